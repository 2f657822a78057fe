"""The lessons as a site for the browser: JupyterLite, whose Python runs in the page, with no server and nothing to install.

The site holds the notebooks and the package's own wheel. The first cell of each notebook installs that wheel. Python itself and NumPy, in
WebAssembly, are Pyodide. The page loads them from Pyodide's network, or from the site, if they lie in a folder here when it is built.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lessons.extra import NOTEBOOKS, REMEDY, LessonError, progress, require_extra
from lessons.notebooks import convert, out_of_step, read, written
from tinyalex.errors import CheckpointError, DataError, ShapeError
from tinyalex.files.atomic import make_folder
from tinyalex.tutor.syllabus import Lesson, chosen

ROOT = Path(__file__).parents[1]
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")  # what a wheel is made of, beside the folder of the package
LITE = ("jupyterlite_core", "jupyterlite_pyodide_kernel", "jupyter_server", "setuptools")
EXTRA = "lite"
CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")  # of a runtime, beside its list of packages
LOCK = "pyodide-lock.json"
PACKAGES = ("numpy", "pillow", "matplotlib", "tqdm", "threadpoolctl", "micropip", "ipython", "jedi", "comm")  # the package's, the kernel's
KERNEL = "@jupyterlite/pyodide-kernel-extension:kernel"  # whose settings stand in the site's configuration
MARK = "jupyter-lite.json"  # every site has this file
FIRST = "# Run this cell first. It installs tinyalex in this page, from the site; that takes some seconds.\n%pip install -q tinyalex"
HERE = "# If this line fails: run the first cell, which installs tinyalex."


@dataclass(frozen=True)
class Runtime:
    """A folder with Pyodide: the files that the site needs, and wheels beside them that Pyodide's list does not have."""

    files: tuple[Path, ...]
    wheels: tuple[Path, ...]


def write_site(folder: Path, out: Path, runtime: Path | None = None) -> list[str]:
    """Build the site of the lessons in `folder` into the folder `out`, and return the names of its notebooks.

    An older site in `out` is replaced when the new one is whole. runtime: a folder with Pyodide, which is copied into the site; None for
    a site that loads it from Pyodide's network.

    Raises MissingExtra, ShapeError where `out` is neither new nor empty nor a site, CheckpointError where it cannot be written, DataError
    for a runtime that lacks something, and LessonError where a notebook is out of step or JupyterLite fails.
    """
    require_extra("lite", (*NOTEBOOKS, *LITE), EXTRA)
    lessons = chosen("lite", [], folder)
    if out.exists() and not (out.is_dir() and ((out / MARK).is_file() or not any(out.iterdir()))):
        raise ShapeError(f"lite: --out must be a new folder, an empty one or an older site, got {out}; name another one")
    found = None if runtime is None else read_runtime(runtime.absolute())
    out = out.absolute()  # JupyterLite runs in another folder
    make_folder(out.parent)
    try:
        scratch = tempfile.TemporaryDirectory(prefix=".lite-", dir=out.parent)
    except OSError as error:
        raise CheckpointError(f"lite: the folder {out.parent} must be one that can be written, got {error.strerror}") from None
    with scratch as name, progress(len(lessons) + 2, "lite") as bar:
        work = Path(name)
        (work / "files").mkdir()
        for lesson in lessons:
            if (fault := out_of_step(lesson, convert(lesson))) is not None:
                raise LessonError(fault)
            (work / "files" / lesson.notebook.name).write_bytes(written(for_the_browser(lesson)))
            bar.update()
        wheels = [build_wheel(work)]
        bar.update()
        if found is not None:
            wheels += found.wheels
            (work / "static" / "pyodide").mkdir(parents=True)
            for path in found.files:
                shutil.copy(path, work / "static" / "pyodide")
        _build(work, wheels, offline=found is not None)
        if out.exists():
            out.replace(work / "older")  # it goes with the folder `work`
        (work / "site").replace(out)
    return [lesson.notebook.name for lesson in lessons]


def for_the_browser(lesson: Lesson) -> Any:
    """The notebook of a lesson with its outputs, for Pyodide's kernel; its new first cell installs tinyalex."""
    import nbformat

    notebook = read(lesson)
    for cell in notebook.cells:
        cell.source = cell.source.replace(REMEDY, HERE)
    first = nbformat.v4.new_code_cell(FIRST, id=f"{lesson.number}-install")
    notebook.cells.insert(0, first)
    notebook.metadata["kernelspec"] = {"display_name": "Python (Pyodide)", "language": "python", "name": "python"}
    return notebook


def build_wheel(work: Path) -> Path:
    """Build the package's wheel in a copy of its sources, so that nothing is left in the repository. `work`: a folder to work in."""
    copy = work / "package"
    shutil.copytree(ROOT / "tinyalex", copy / "tinyalex", ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCES:
        shutil.copy(ROOT / name, copy)
    code = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    _run("the wheel of tinyalex", [sys.executable, "-c", code, str(work)], copy)
    (wheel,) = work.glob("tinyalex-*-py3-none-any.whl")
    return wheel


def _build(work: Path, wheels: list[Path], offline: bool) -> None:
    settings = {"litePluginSettings": {KERNEL: {"disablePyPIFallback": offline}}}
    (work / MARK).write_text(json.dumps({"jupyter-lite-schema-version": 0, "jupyter-config-data": settings}), "utf-8")
    command = [sys.executable, "-m", "jupyterlite_core", "build", "--lite-dir", ".", "--contents", "files", "--output-dir", "site"]
    command += ["--apps", "lab", "--apps", "notebooks", "--no-sourcemaps", "--no-unused-shared-packages"]
    for wheel in wheels:
        command += ["--piplite-wheels", str(wheel)]
    _run("the site", command, work)


def _run(what: str, command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if done.returncode:
        last = next((line for line in reversed(done.stdout.splitlines()) if line.strip()), "nothing")
        raise LessonError(f"lite: {what} must be built without a fault, got exit code {done.returncode}: {last.strip()[:300]}")


def read_runtime(folder: Path) -> Runtime:
    """The files of Pyodide in a folder that the lessons need: its core, and their packages with all that these need.

    A package may also lie there as a wheel of pure Python that Pyodide's list does not have. Raises DataError where something is missing.
    """
    who = f"lite: the runtime folder {folder}"
    if absent := [name for name in (*CORE, LOCK) if not (folder / name).is_file()]:
        raise DataError(f"{who} must hold Pyodide, got no {absent[0]}; unpack a whole pyodide-VERSION.tar.bz2 of its releases")
    try:
        packages = json.loads((folder / LOCK).read_text("utf-8"))["packages"]
        names = {name: (str(entry["file_name"]), list(entry["depends"])) for name, entry in packages.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{who} must hold Pyodide's list {LOCK}, got {type(error).__name__} when it is read; unpack it again") from None
    wheels = {_plain(path.name.partition("-")[0]): path for path in sorted(folder.glob("*py3-none-any.whl"))}
    listed = {file for file, _ in names.values()}
    files, extra, missing = {name: folder / name for name in (*CORE, LOCK)}, {}, []
    wanted, seen = list(PACKAGES), set[str]()
    while wanted:
        name = _plain(wanted.pop(0))
        if name in seen:
            continue
        seen.add(name)
        file, depends = names.get(name, ("", []))
        if file and file == Path(file).name and (folder / file).is_file():
            files[file] = folder / file
            wanted += depends
        elif name in wheels and wheels[name].name not in listed:
            extra[name] = wheels[name]
        else:
            missing.append(name)
    if missing:
        remedy = f"unpack a whole release of Pyodide; pip download --no-deps -d {folder} {missing[0]} gets one of pure Python"
        raise DataError(f"{who} must hold wheels of all packages of the lessons, got no {', no '.join(missing)}", remedy)
    return Runtime(tuple(files.values()), tuple(extra.values()))


def _plain(name: str) -> str:
    """The name of a package as Pyodide's list writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()
