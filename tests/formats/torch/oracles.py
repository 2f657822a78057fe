"""torchvision's and timm's models, without their compiled operators for boxes and without a network."""

import importlib.util
import re
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: install the extra 'bench' to compare")
KEPT = []  # a library of operators lives as long as its object


def _without_operators():
    """Declare the operators that torchvision describes, where its own file of them does not fit this PyTorch. The models need none."""
    found = importlib.util.find_spec("torchvision")
    if found is None:
        pytest.skip("torchvision is not installed: install the extra 'bench' to compare", allow_module_level=True)
    (folder,) = found.submodule_search_locations
    text = (Path(folder) / "_meta_registrations.py").read_text()
    library = torch.library.Library("torchvision", "DEF")
    for name in sorted(set(re.findall(r'register_(?:fake|meta)\("(?:torchvision::)?(\w+)"', text))):
        library.define(f"{name}(Tensor x) -> Tensor")
    KEPT.append(library)


def torchvision_models():
    """The module torchvision.models; the test is skipped where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import torchvision
        except (ImportError, RuntimeError):
            _without_operators()
            import torchvision
    return torchvision.models
