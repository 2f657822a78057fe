"""The site for the browser: its notebooks, its wheel, its runtime, and what is refused; and what the lessons do where they run then."""

import json
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import nbformat
import pytest

from lessons import lite
from lessons.__main__ import main
from lessons.extra import LessonError
from lessons.lite import CORE, FIRST, LOCK, PACKAGES, read_runtime, write_site
from tests.contract import refuses
from tests.lessons.browser import CHROMIUM, requests
from tinyalex.errors import DataError, ShapeError

ROOT = Path(__file__).parents[2]
NAMES = ["00_small.ipynb", "01_next.ipynb"]


def build(*args):
    """The exit code of `python -m lessons lite`."""
    return main(["lite", *map(str, args)])


@pytest.fixture(scope="module")
def site(built, tmp_path_factory):
    """The site of the two small lessons, whose runtime comes from the network."""
    out = tmp_path_factory.mktemp("lite") / "site"
    write_site(built, out)
    return out


def settings(site):
    return json.loads((site / "jupyter-lite.json").read_text("utf-8"))["jupyter-config-data"]["litePluginSettings"][lite.KERNEL]


def test_notebooks_begin_with_the_installation_and_keep_their_outputs(site, built):
    for name in NAMES:
        ours, theirs = (nbformat.read(folder / name, as_version=4) for folder in (site / "files", built))
        nbformat.validate(ours)
        assert ours.cells[0].source == FIRST and ours.cells[0].cell_type == "code"
        assert ours.metadata["kernelspec"]["name"] == "python"  # the name of Pyodide's kernel
        assert [cell.get("outputs") for cell in ours.cells[1:]] == [cell.get("outputs") for cell in theirs.cells]
        assert "pip install -e" not in "".join(cell.source for cell in ours.cells)
    listed = json.loads((site / "api" / "contents" / "all.json").read_text("utf-8"))["content"]
    assert sorted(entry["name"] for entry in listed) == NAMES


def test_the_site_holds_the_wheel_of_this_package(site):
    index = json.loads((site / "pypi" / "all.json").read_text("utf-8"))
    (release,) = index["tinyalex"]["releases"].values()
    with zipfile.ZipFile(site / "pypi" / release[0]["filename"]) as wheel:
        packed = {name: wheel.read(name) for name in wheel.namelist() if name.startswith("tinyalex/")}
        metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("/METADATA"))).decode()
    for path in (ROOT / "tinyalex").rglob("*.py"):
        assert packed[path.relative_to(ROOT).as_posix()] == path.read_bytes()
    assert any(name.endswith(".safetensors") for name in packed) and any(name.endswith(".toml") for name in packed)
    assert 'Requires-Dist: safetensors; sys_platform != "emscripten"' in metadata
    assert not settings(site)["disablePyPIFallback"] and "pyodideUrl" not in settings(site)


def test_an_older_site_is_replaced_and_nothing_else_is_left(site, built, tmp_path, capsys):
    out = tmp_path / "with space" / "site"
    out.mkdir(parents=True)
    (out / lite.MARK).write_text("{}")
    (out / "old").write_text("old")
    assert build("--out", out, "--from", built) == 0
    assert not (out / "old").exists() and (out / "lab" / "index.html").is_file()
    assert os.listdir(out.parent) == ["site"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f"2 lessons in {out}, built in ") and printed[2].endswith("/lab/index.html?path=00_small.ipynb")
    assert printed[1] == f"  python -m http.server --directory '{out}' 8000"


def test_a_folder_of_something_else_is_kept(built, tmp_path, capsys):
    (tmp_path / "mine").write_text("mine")
    assert build("--out", tmp_path, "--from", built) == 2
    said = f"error: lite: --out must be a new folder, an empty one or an older site, got {tmp_path}; name another one\n"
    assert capsys.readouterr().err == said and (tmp_path / "mine").read_text() == "mine"
    with refuses(ShapeError, "lite: --out must be a new folder"):
        write_site(built, tmp_path / "mine")


def test_a_folder_that_cannot_be_made_is_one_sentence(built, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert build("--out", tmp_path / "file" / "site", "--from", built) == 2
    assert "the folder must be one that can be made, got" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_sentence(built, tmp_path, capsys, monkeypatch):
    def refused(**kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(lite.tempfile, "TemporaryDirectory", refused)
    assert build("--out", tmp_path / "site", "--from", built) == 2
    assert f"lite: the folder {tmp_path} must be one that can be written, got Permission denied" in capsys.readouterr().err


def test_a_missing_extra_is_one_sentence(built, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("lessons.extra._found", lambda name: not name.startswith("jupyterlite"))
    assert build("--out", tmp_path / "site", "--from", built) == 2
    said = "error: lite: packages must be installed, got no jupyterlite_core, no jupyterlite_pyodide_kernel; "
    assert capsys.readouterr().err == said + 'pip install -e ".[lite]" in the folder of the repository\n'
    assert not (tmp_path / "site").exists()


def test_a_notebook_out_of_step_is_told(folder, tmp_path, capsys):
    source = folder / "00_small.py"
    source.write_text(source.read_text("utf-8") + "\n# %%\nprint(1)\n", "utf-8")
    assert build("--out", tmp_path / "site", "--from", folder) == 1
    assert "00_small: notebook must be in step with its source" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_help_says_what_the_page_loads(capsys):
    with pytest.raises(SystemExit) as stop:
        build("--help")
    printed = capsys.readouterr().out
    assert stop.value.code == 0 and "Pyodide's network" in printed and "exit codes: 0 done, 1" in printed


def wheel_of(folder, name, version="1.0"):
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return path


@pytest.fixture
def runtime(tmp_path):
    """A folder that looks like a release of Pyodide, with comm beside it, and one package that the lessons do not need."""
    folder = tmp_path / "pyodide"
    folder.mkdir()
    entries = {name: {"file_name": f"{name}-1.whl", "depends": []} for name in (*PACKAGES, "cycler", "scipy") if name != "comm"}
    entries["matplotlib"]["depends"] = ["cycler"]
    for name in (*CORE, *(entry["file_name"] for entry in entries.values())):
        (folder / name).write_text(name)
    (folder / LOCK).write_text(json.dumps({"packages": entries}))
    wheel_of(folder, "comm")
    return folder


def test_a_runtime_goes_into_the_site_which_then_asks_for_nothing_else(built, runtime, tmp_path):
    assert build("--out", tmp_path / "site", "--runtime", runtime, "--from", built) == 0
    site = tmp_path / "site"
    names = {path.name for path in (site / "static" / "pyodide").iterdir()}
    assert names == {*CORE, LOCK, "cycler-1.whl", *(f"{name}-1.whl" for name in PACKAGES if name != "comm")}
    assert set(json.loads((site / "pypi" / "all.json").read_text("utf-8"))) == {"comm", "tinyalex"}
    assert settings(site)["disablePyPIFallback"] and settings(site)["pyodideUrl"].startswith("./static/pyodide/pyodide.mjs")


def test_a_runtime_without_its_parts_is_one_sentence(runtime, built, tmp_path, capsys):
    (runtime / "cycler-1.whl").unlink()
    (runtime / "comm-1.0-py3-none-any.whl").unlink()
    with refuses(DataError, "must hold wheels of all packages of the lessons, got no comm, no cycler; unpack a whole"):
        read_runtime(runtime)
    (runtime / LOCK).write_text('{"packages": {"numpy": {"file_name": "n.whl"}}}')
    with refuses(DataError, "must hold Pyodide's list pyodide-lock.json, got KeyError when it is read; unpack it again"):
        read_runtime(runtime)
    (runtime / LOCK).write_text("[" * 10)
    with refuses(DataError, "must hold Pyodide's list pyodide-lock.json, got JSONDecodeError when it is read"):
        read_runtime(runtime)
    (runtime / "pyodide.asm.wasm").unlink()
    with refuses(DataError, "must hold Pyodide, got no pyodide.asm.wasm; unpack a whole pyodide-VERSION.tar.bz2"):
        read_runtime(runtime)
    assert build("--out", tmp_path / "site", "--runtime", tmp_path / "nowhere", "--from", built) == 2
    assert "must hold Pyodide, got no pyodide.mjs" in capsys.readouterr().err


def test_a_list_that_leads_out_of_the_folder_is_not_followed(runtime):
    document = json.loads((runtime / LOCK).read_text())
    (runtime.parent / "secret").write_text("secret")
    document["packages"]["numpy"]["file_name"] = "../secret"
    (runtime / LOCK).write_text(json.dumps(document))
    with refuses(DataError, "got no numpy"):
        read_runtime(runtime)


def test_a_fault_of_jupyterlite_is_one_sentence(built, runtime, tmp_path):
    (runtime / "comm-1.0-py3-none-any.whl").write_bytes(b"no wheel")
    with refuses(LessonError, "lite: the site must be built without a fault, got exit code"):
        write_site(built, tmp_path / "site", runtime)
    assert not (tmp_path / "site").exists()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")
def test_a_browser_opens_a_lesson_and_asks_only_for_pyodide(site, tmp_path):
    """Here nothing answers for Pyodide's network, so no cell runs. The notebook with its outputs is there, and the kernel begins."""
    from jupyterlite_pyodide_kernel.constants import PYODIDE_VERSION

    from tests.lessons.lite_browser import opened

    with opened(site, "lab/index.html?path=00_small.ipynb", tmp_path) as page:
        first = page.wait_for("document.querySelector('.jp-Notebook .jp-Cell .cm-content')?.innerText", 120)
        assert first.split("\n") == FIRST.split("\n")
        page.wait_for("[...document.querySelectorAll('.jp-Notebook img')].some((image) => image.naturalWidth > 0)", 120)
        page.wait_for("document.querySelector('.jp-NotebookPanel-toolbar')?.innerText.includes('Python (Pyodide)')", 120)
        page.wait_for("performance.getEntriesByType('resource').some((one) => one.name.includes('worker'))", 120)
        time.sleep(5)  # the worker now imports Pyodide
    (outside,) = [url for url in requests(tmp_path / "net.json") if not url.startswith(page.origin)]
    assert outside == f"https://cdn.jsdelivr.net/pyodide/v{PYODIDE_VERSION}/full/pyodide.mjs"


@pytest.mark.slow
def test_lesson_03_and_the_gradient_check_run_as_in_a_browser():
    """Without threads, processes and safetensors; `.ci/run` does the same in WebAssembly itself."""
    environment = {name: value for name, value in os.environ.items() if name not in ("TINYALEX_WORKERS", "TINYALEX_FAST", "TINYALEX_DATA")}
    script = Path(__file__).parent / "as_in_a_browser.py"
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run([sys.executable, script, "--pretend", "03"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "03_convolution: " in done.stdout and re.search(r"gradcheck: \d{3} cases, .* all at or below", done.stdout)
    assert done.stdout.splitlines()[-1].startswith("cpu: the system must start a thread for each worker")


def test_the_check_of_a_browser_can_fail():
    """Where a thread starts, it ends at once."""
    script = Path(__file__).parent / "as_in_a_browser.py"
    done = subprocess.run([sys.executable, script, "03"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "AssertionError" in done.stderr and not done.stdout
