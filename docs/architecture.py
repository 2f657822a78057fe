"""Draw docs/architecture.png: who imports whom in tinyalex, read off the sources.

    python docs/architecture.py

The imports are kept inside the picture too, so that a test can compare the picture with the sources.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

ROOT = Path(__file__).parents[1] / "tinyalex"
PICTURE = Path(__file__).with_name("architecture.png")
KEY = "imports"  # under which the picture holds them

LEARNING, RANDOM, WORDS = "loss, optim, schedule", "init, masks", "errors, units, shown"  # modules that share a box
LEVELS: tuple[dict[str, tuple[float, str]], ...] = (  # from the top to the bottom: a box imports only from below; its place across
    {"commands": (5, "the command line")},
    {"experiments": (3.6, "Figure 1, claims"), "explore": (7.6, "a net as a page")},
    {"analysis": (8.9, "counts, Figure 2")},
    {"training": (3.6, "loop, checkpoints"), "tutor": (0.2, "thirteen exercises")},
    {"formats": (4.7, "files of others")},
    {"models": (2.6, "nets as rows"), "gradcheck": (9, "the numerical proof")},
    {"data": (1.8, "images, batches"), "towers": (4.3, "two devices"), LEARNING: (6.9, "what a step needs")},
    {"layers": (5, "what the paper says")},
    {
        "files": (0.2, "bytes in and out"), "sim": (2.6, "runs CUDA kernels"), "fast": (5, "the same, faster"),
        "parameters": (7.6, "arrays by name"), RANDOM: (10, "random numbers"),
    },
    {"geometry": (3.9, "where windows lie"), "devices": (6.3, "arrays, threads")},
    {WORDS: (5, "what a user reads")},
)
UPWARD = ("fast", "layers")  # fast/fuse.py alone looks back: it decides which activation works inside the block of another layer


def imports(root: Path = ROOT) -> dict[str, list[str]]:
    """By package or module of tinyalex: those it imports. What only a type checker reads is left out, and so is `tinyalex` itself."""
    units = {path.stem for path in root.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()} - {"__init__", "__main__"}
    found: dict[str, set[str]] = {unit: set() for unit in units}
    for path in sorted(root.rglob("*.py")):
        unit = path.relative_to(root).with_suffix("").parts[0]
        if unit in units:
            found[unit] |= {taken for taken in _taken(ast.parse(path.read_text(encoding="utf-8"))) if taken in units}
    found["commands"] |= found.pop("cli")  # one box for both
    return {unit: sorted(taken - {unit, "cli"}) for unit, taken in sorted(found.items())}


def _taken(node: ast.AST) -> set[str]:
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return set()
    if isinstance(node, ast.ImportFrom) and node.module == "tinyalex":
        return {alias.name for alias in node.names}
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    taken = {name.split(".")[1] for name in names if name.startswith("tinyalex.")}
    return taken.union(*map(_taken, ast.iter_child_nodes(node)))


def boxes(found: dict[str, list[str]]) -> set[tuple[str, str]]:
    """Each import as a pair of boxes, the box that imports first."""
    box = {unit: next((shared for shared in (LEARNING, RANDOM, WORDS) if unit in shared.split(", ")), unit) for unit in found}
    return {(box[unit], box[taken]) for unit, all_taken in found.items() for taken in all_taken if box[unit] != box[taken]}


def drawn(arrows: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """The arrows to draw: where A imports B and B imports C, no arrow shows that A imports C as well."""
    arrows = arrows - {UPWARD}
    for name in sorted({name for arrow in arrows for name in arrow} - {name for level in LEVELS for name in level}):
        raise SystemExit(f"docs/architecture.py: LEVELS must hold every package, got none called {name}; give it a place")
    below: dict[str, set[str]] = {}
    for unit in [name for level in reversed(LEVELS) for name in level]:
        mine = {taken for start, taken in arrows if start == unit}
        below[unit] = mine.union(*(below[taken] for taken in mine))
    return sorted((a, c) for a, c in arrows if not any(c in below[b] for start, b in arrows if start == a))


def draw(path: Path = PICTURE) -> None:
    """Write the picture."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyBboxPatch

    found = imports()
    at = {name: (x, -float(y)) for y, level in enumerate(LEVELS) for name, (x, _) in level.items()}
    figure, axes = plt.subplots(figsize=(8.4, 7.6), dpi=110)
    axes.set(xlim=(-1.1, 11.3), ylim=(-len(LEVELS) + 0.5, 0.45))
    axes.axis("off")
    look = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, "lw": 1.1}
    for start, end in drawn(boxes(found)):
        (x, y), (to_x, to_y) = at[start], at[end]
        lean = max(-0.8, min(0.8, (to_x - x) * 0.25))  # several arrows at one box stand side by side
        axes.annotate("", (to_x - lean, to_y + 0.27), (x + lean, y - 0.27), arrowprops=look | {"color": "0.35"})
    colors = {"layers": "#cfe8d5", "fast": "#fbe3c0"}
    for name, (x, y) in at.items():
        color = colors.get(name, "#eef1f6")
        axes.add_patch(FancyBboxPatch((x - 1.1, y - 0.22), 2.2, 0.44, boxstyle="round,pad=0.05", fc=color, ec="0.3", zorder=3))
        size = 7.5 if name in (LEARNING, WORDS) else 11
        axes.text(x, y + 0.09, name, ha="center", va="center", fontsize=size, fontweight="bold", zorder=4)
        axes.text(x, y - 0.14, LEVELS[round(-y)][name][1], ha="center", va="center", fontsize=8, zorder=4)
    (x, y), (_, to_y) = at["fast"], at["layers"]
    axes.annotate("", (x - 0.4, to_y - 0.27), (x - 0.4, y + 0.27), arrowprops=look | {"color": "#b35900", "linestyle": "--"})
    axes.text(x - 0.5, (y + to_y) / 2, "fuse.py alone", color="#b35900", fontsize=8, va="center", ha="right")
    figure.savefig(path, bbox_inches="tight", metadata={KEY: json.dumps(found)})
    plt.close(figure)


if __name__ == "__main__":
    draw()
