"""Print what NumPy and CuPy share, as JSON; needs CuPy but no GPU: python extract_cupy_api.py > tinyalex/devices/cupy_api.json.

The simulated GPU offers exactly this. The table is committed, so that nobody needs the 130 MB of CuPy to run the tests;
make it anew when the required version of CuPy changes. CI installs the newest CuPy 14 and calls this file with --check and the table: it
fails where the simulated GPU has a name or a keyword that this CuPy does not have. What CuPy has and the table lacks is printed.
"""

import inspect
import json
import re
import sys
import types
from pathlib import Path
from typing import Any

import cupy  # type: ignore[import-not-found]  # not a dependency: installed by whoever renews the table
import numpy as np

PACKAGE = Path(__file__).parents[2] / "tinyalex" / "devices"
HIDDEN = {  # keywords of functions whose signature says **kwargs
    "einsum": ["dtype", "optimize"],
    "meshgrid": ["indexing", "sparse", "copy"],
    "pad": ["array", "pad_width", "mode", "constant_values", "end_values", "reflect_type", "stat_length"],
}
# Left out: files and texts, callbacks, polynomials, aliases that NumPy deprecates, and what needs no array.
LEFT_OUT = re.compile(
    r"(from|load|save|gen|array2|array_[rs]|format_|print|base_repr|apply_|asarray_chk|set_|get_|show_|poly|roots|piecewise|row_stack|(may_)?share)"
)
HOST_MEMORY = {"base", "data", "flat", "flags", "device", "dump", "dumps", "tofile"}  # would lead out of the simulation
SAYS = re.compile(r"may synchronize the device\.\s")  # the warning in CuPy's docstrings, where it holds for every call
ALSO = {  # those whose docstrings do not say so, or that call one of the others; and `where` of one argument
    "functions": ["argwhere", "choose", "intersect1d", "put", "setdiff1d", "setxor1d", "trim_zeros", "union1d", "unique_all",
                  "unique_counts", "unique_inverse", "unique_values"],
    "methods": ["choose", "put"],
}  # fmt: skip
CALLS: dict[str, tuple[Any, ...]] = {
    "reduce": (object(),),
    "accumulate": (object(),),
    "reduceat": (object(), [0]),
    "at": (object(), [0], 1),
    "outer": (object(), object()),
}


def keywords(name: str, f: Any) -> list[str]:
    """The keywords that `f` takes, from its signature or else the first line of its docstring."""
    if name in HIDDEN:
        return HIDDEN[name]
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except ValueError:
        inside = re.match(r"[\w.]*\((.*?)\)", f.__doc__.splitlines()[0])
        assert inside is not None, f"no signature of {name}"
        names = [part.split("=")[0].split()[-1] for part in inside[1].split(",") if part.strip()]
        return [name for name in names if name.isidentifier() and name != "self"]
    assert not any(p.kind is p.VAR_KEYWORD for p in parameters), f"write the keywords of {name} into HIDDEN"
    return [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL and p.name != "self"]


def has(method: Any, arguments: tuple[Any, ...]) -> bool:
    """Whether a method of a ufunc exists: one that does not says so before it looks at its arguments."""
    try:
        method(*arguments)
    except NotImplementedError:
        return False
    except (AttributeError, TypeError, ValueError):
        pass
    return True


def table() -> dict[str, Any]:
    """Everything public that both modules have under one name."""
    functions: dict[str, list[str]] = {}
    ufuncs: dict[str, list[str]] = {}
    methods: dict[str, list[str]] = {}
    attributes, values = [], []
    for name in sorted(dir(cupy)):
        f, twin = getattr(cupy, name), getattr(np, name, name)
        if name.startswith("_") or not hasattr(np, name) or LEFT_OUT.match(name) or isinstance(f, types.ModuleType):
            continue
        if isinstance(f, cupy.ufunc) and isinstance(twin, np.ufunc):
            ufuncs[name] = [method for method, arguments in CALLS.items() if has(getattr(f, method), arguments)]
        elif f is twin and (f is None or isinstance(f, (float, type))):  # numbers, and NumPy's own types
            values.append(name)
        elif callable(f) and not isinstance(f, type) and not name.endswith("_"):
            functions[name] = keywords(name, f)
    for name in sorted(dir(cupy.ndarray)):
        f = getattr(cupy.ndarray, name)
        if name.startswith("_") or not hasattr(np.ndarray, name) or name in HOST_MEMORY:
            continue
        if inspect.isgetsetdescriptor(f):
            attributes.append(name)
        else:
            methods[name] = keywords(name, f)
    waits = {
        section: sorted(name for name in names if name in ALSO[section] or SAYS.search(f"{getattr(owner, name).__doc__}\n"))
        for section, names, owner in (("functions", functions, cupy), ("methods", methods, cupy.ndarray))
    }
    versions = {"cupy": cupy.__version__, "numpy": np.__version__}
    names = {"functions": functions, "ufuncs": ufuncs, "methods": methods, "attributes": attributes, "values": values}
    return {"versions": versions, **names, "synchronizing": waits}


def unknown(folder: Path = PACKAGE) -> list[str]:
    """What the package uses of CuPy by name and this CuPy does not have: `cupy.x.y`, `self.xp.x.y`, and imports from CuPy."""
    import cupyx  # type: ignore[import-not-found]

    missing = []
    for path in (folder / "cuda.py", folder / "uploads.py", folder / "cards.py"):
        source = path.read_text(encoding="utf-8")
        used = [("cupy", name) for name in re.findall(r"\b(?:cupy|self\.xp)\.([a-zA-Z_.]+\w)", source)]
        used += [("cupyx", name) for name in re.findall(r"from cupyx import (\w+)", source)]
        used += [("cupy", f"_core.{name}") for name in re.findall(r"from cupy\._core import (\w+)", source)]
        used += [("cupy", f"_core._routines_linalg.{name}") for name in re.findall(r"\bproducts\.(\w+)", source)]
        for module, name in used:
            found: Any = {"cupy": cupy, "cupyx": cupyx}[module]
            for part in name.split("."):
                found = getattr(found, part, None)
            if found is None:
                missing.append(f"{path.name}: {module}.{name}")
    return sorted(set(missing))


def lost(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What the table `old` offers and `new` does not: names, and keywords or methods of a name."""
    missing = []
    for section in ("functions", "ufuncs", "methods", "attributes", "values"):
        for name in old[section]:
            if name not in new[section]:
                missing.append(f"{section}: {name}")
            elif isinstance(old[section], dict):
                missing += [f"{section}: {name}, {part}" for part in old[section][name] if part not in new[section][name]]
    return missing


def check(path: str) -> int:
    """Compare the table in a file with the installed CuPy. Return 1 if the file offers too much."""
    old, new = json.loads(Path(path).read_text(encoding="utf-8")), table()
    wrong, more = lost(old, new) + unknown(), lost(new, old)
    waits = [f"{section}: {name}" for section, names in new["synchronizing"].items() for name in names
             if name not in old["synchronizing"][section] and name in old[section]]  # fmt: skip
    print(f"{path}, of CuPy {old['versions']['cupy']}, beside CuPy {new['versions']['cupy']} with NumPy {np.__version__}:")
    print("\n".join([f"  CuPy lacks {name}" for name in wrong] + [f"  CuPy may wait in {name}" for name in waits]) or "  nothing is wrong")
    print("\n".join(f"  the table lacks {name}" for name in more) or "  nothing is missing")
    return 1 if wrong or waits else 0


def text(table: dict[str, Any]) -> str:
    """The table as JSON with one name a line."""
    sections = []
    for section, entries in table.items():
        if isinstance(entries, dict):
            lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
            sections.append(f'  "{section}": {{\n{lines}\n  }}')
        else:
            sections.append(f'  "{section}": {json.dumps(entries)}')
    return "{\n" + ",\n".join(sections) + "\n}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        sys.exit(check(sys.argv[2]))
    print(text(table()))
