"""The pictures of the page: curves as SVG, filters as PNG inside of the page."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 250, 62, 42  # of a curve, in the units of the SVG
LEAST = 1e-17  # where a difference of 0 is drawn
ZOOM, GAP = 12, 6  # pixels of the picture for one of a filter, and between filters


def curves(lines: Sequence[tuple[str, Sequence[float]]], alt: str, step: str, test: str) -> str:
    """Lines over the steps. lines: the class of each, and its values; those that are no number break it."""
    finite = [value for _, values in lines for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    ticks = [low + (high - low) * part / 3 for part in range(4)]
    marks = [(tick, f"{tick:.3g}") for tick in ticks]
    return _chart([(name, [(value - low) / (high - low) for value in values]) for name, values in lines],
                  [((tick - low) / (high - low), text) for tick, text in marks], alt, step, test)  # fmt: skip


def gaps(values: Sequence[float], aim: float, alt: str, step: str, test: str) -> str:
    """Differences over the steps on a scale of powers of ten, with a dashed line at `aim`."""
    powers = [math.log10(max(value, LEAST)) if math.isfinite(value) else math.inf for value in values]
    high = max(1.0, *(power for power in powers if math.isfinite(power)))
    low = math.log10(LEAST)
    marks = [((power - low) / (high - low), f"1e{power}") for power in range(-16, math.ceil(high) + 1, 4) if power <= high]
    drawn = _chart([("yours", [(power - low) / (high - low) for power in powers])], marks, alt, step, test)
    y = _y((math.log10(aim) - low) / (high - low))
    return drawn.replace("</svg>", f'<line class="aim" x1="{LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/></svg>')


def _chart(lines: Sequence[tuple[str, Sequence[float]]], marks: Sequence[tuple[float, str]], alt: str, step: str, test: str) -> str:
    """Lines of values from 0 to 1 with marks at the left and the numbers of steps below; the last value is that of the test."""
    count = max(len(values) for _, values in lines)
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(alt)}">']
    for at, text in marks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 8}" y1="{_y(at):.1f}" y2="{_y(at):.1f}"/>'
                     f'<text x="{LEFT - 6}" y="{_y(at) + 5:.1f}" text-anchor="end">{text}</text>')  # fmt: skip
    for number in (0, *range(4, count - 1, 5)):
        parts.append(f'<text x="{_x(number, count):.1f}" y="{HEIGHT - 20}" text-anchor="middle">{number + 1}</text>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 3}">{html.escape(step)}</text>')
    parts.append(f'<text x="{WIDTH - 8}" y="{HEIGHT - 3}" text-anchor="end">{html.escape(test)}</text>')
    for name, values in lines:
        pieces, path = [], ""
        for number, value in enumerate(values):
            if math.isfinite(value):
                path += f"{'L' if path else 'M'}{_x(number, count):.1f} {_y(value):.1f}"
                pieces.append((number, value))
        parts.append(f'<path class="{name}" d="{path}"/>')
        r = 3.5 if name == "yours" else 6  # where two lines lie on each other both are seen
        parts += [f'<circle class="{name}" cx="{_x(n, count):.1f}" cy="{_y(v):.1f}" r="{r}"/>' for n, v in pieces]
    return "".join([*parts, "</svg>"])


def _x(number: int, count: int) -> float:
    return LEFT + (WIDTH - 20 - LEFT) * number / max(1, count - 1)


def _y(value: float) -> float:
    return 12 + (HEIGHT - BOTTOM - 12) * (1 - value)


def filters(weight: Sequence[object], scale: float) -> str:
    """The filters (K, 3, KH, KW) in a row, as the address of a picture inside of the page; those with numbers that are none are gray.

    scale: the weight that is drawn brightest, above 0; its negative is the darkest, and what lies beyond them is drawn like them.
    """
    array = np.asarray(weight, float)
    array = np.where(np.isfinite(array), np.clip(array / scale, -1, 1), 0.0)
    shade = (127.5 + 127.5 * array).round().astype(np.uint8)
    shade = shade.transpose(0, 2, 3, 1).repeat(ZOOM, axis=1).repeat(ZOOM, axis=2)
    k, h, w, _ = shade.shape
    sheet = np.zeros((h, k * w + (k - 1) * GAP, 4), np.uint8)  # the gaps let the page shine through
    for at, one in enumerate(shade):
        sheet[:, at * (w + GAP) : at * (w + GAP) + w] = np.concatenate([one, np.full((h, w, 1), 255, np.uint8)], axis=2)
    stream = io.BytesIO()
    Image.fromarray(sheet).save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
