"""Pages of nets that no file holds."""

from __future__ import annotations

from tinyalex.explore.collect import described, numbers_of, weights_of
from tinyalex.explore.page import written

CLASSES = [f"class {k}" for k in range(10)]


def page_of(net, passes, channels, change=lambda arrays: None):
    """The page of a net with these passes; `change` may alter its arrays."""
    arrays = weights_of(net, channels)
    for at, one in enumerate(passes):
        arrays |= numbers_of(net, channels, one, at)
    change(arrays)
    pictures = [
        {"name": f"{at}.png", "size": [24, 24], "label": one.label, "why": "guess", "loss": one.loss, "top": [["class 1", 0.5]]}
        for at, one in enumerate(passes)
    ]
    about = {"title": "a <small> net", "net": "small", "file": "file", "note": "</script><b>", "classes": CLASSES, "pictures": pictures}
    return written({**about, "input": list(net.in_shape), "layers": described(net, channels)}, arrays)
