"""Notebooks are what their sources say, run in a fresh kernel, and refused where they show what they must not."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

import lessons
from lessons import __main__ as command, extra, notebooks
from lessons.extra import LessonError, MissingExtra
from lessons.kernel import client_of
from tests.contract import refuses
from tinyalex.errors import ShapeError
from tinyalex.tutor.syllabus import lessons_in

ROOT = Path(lessons.__file__).parents[1]


@pytest.fixture
def lesson(folder):
    return lessons_in(folder)[0]


def change(lesson, old, new):
    text = lesson.path.read_text("utf-8")
    assert old in text
    lesson.path.write_text(text.replace(old, new, 1), "utf-8")


def test_notebook_has_outputs_and_nothing_that_changes_from_run_to_run(lesson):
    notebook = json.loads(lesson.notebook.read_text("utf-8"))
    assert [cell["id"] for cell in notebook["cells"]] == [f"00-{at:03}" for at in range(len(notebook["cells"]))]
    assert set(notebook["metadata"]) == {"kernelspec", "language_info", "tinyalex"}
    assert notebook["metadata"]["language_info"] == {"name": "python"} and notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert {key for cell in notebook["cells"] for key in cell["metadata"]} == {"tags"}
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    texts = ["".join(output["text"]) for cell in code for output in cell["outputs"] if output["output_type"] == "stream"]
    assert "50 % of the numbers are zero afterwards\n0.5\n" in texts
    assert not [output for cell in code for output in cell["outputs"] if output["output_type"] == "execute_result"]  # of reveal
    alts = [output["metadata"]["image/png"]["alt"] for cell in code for output in cell["outputs"] if "image/png" in output.get("data", {})]
    assert alts == [
        "The output is 0 for inputs from -2 to 0, and rises to 2 at the input 2.",
        "Two uses of x send back 3 and 2, and the gradient of x is 5.",
    ]
    nbformat.validate(nbformat.from_dict(notebook))


def test_fast_run_runs_the_same_cells_and_gives_the_same_kinds(lesson, monkeypatch):
    monkeypatch.setenv("TINYALEX_FAST", "1")
    fresh = notebooks.execute(lesson)
    assert notebooks.counts(fresh) == notebooks.counts(notebooks.read(lesson))
    assert notebooks.out_of_step(lesson, fresh) is None


def test_out_of_step_is_found(lesson):
    fresh = notebooks.read(lesson)
    assert notebooks.out_of_step(lesson, notebooks.convert(lesson)) is None
    del fresh.cells[-1].outputs[0]
    assert "outputs of cell 00-010 must be of the kinds ['stdout'], as in a fresh run, got ['image/png', 'stdout', " in (
        notebooks.out_of_step(lesson, fresh)
    )
    change(lesson, "rises", "climbs")
    assert notebooks.out_of_step(lesson, notebooks.convert(lesson)).startswith(
        "00_small: notebook must be in step with its source, got another cell 00-009; python -m lessons build 00"
    )
    change(lesson, 'tags=["slide"]', "")
    change(lesson, "climbs", "rises")
    assert "got another cell 00-009" in notebooks.out_of_step(lesson, notebooks.convert(lesson))
    lesson.notebook.unlink()
    assert "notebook must be built from the source, got no 00_small.ipynb" in notebooks.out_of_step(lesson, notebooks.convert(lesson))


def test_cell_that_is_gone_is_found(lesson):
    lesson.path.write_text(lesson.path.read_text("utf-8").rpartition("# %%")[0], "utf-8")
    assert "got another cell 00-010" in notebooks.out_of_step(lesson, notebooks.convert(lesson))


def test_damaged_notebook_is_named(lesson):
    lesson.notebook.write_text("{")
    with refuses(LessonError, "00_small: 00_small.ipynb must be a notebook, got "):
        notebooks.read(lesson)


def test_damaged_notebook_is_built_again(folder, monkeypatch, capsys):
    """The remedy that the message names must work: a merge leaves such files."""
    monkeypatch.delenv("TINYALEX_FAST", raising=False)
    built = []
    monkeypatch.setattr(notebooks, "build", lambda lesson: built.append(lesson.number))
    lessons_in(folder)[0].notebook.write_text("<<<<<<< HEAD")
    assert command.main(["build", "00", "--from", str(folder)]) == 0
    assert built == ["00"] and capsys.readouterr().out.startswith("00_small: built in ")


def test_picture_of_readme_that_is_gone_is_refused(lesson, monkeypatch, tmp_path):
    monkeypatch.setattr(notebooks, "FOLDER", lesson.path.parent)
    monkeypatch.setattr(notebooks, "README_PICTURE", ("00", 2, tmp_path / "picture.png"))
    monkeypatch.setattr(notebooks, "run", notebooks.read)
    with refuses(LessonError, "00_small: pictures must be more than 2, as README shows number 2, got 2"):
        notebooks.build(lesson)
    assert not (tmp_path / "picture.png").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 / 0", "00_small: every cell must run, got ZeroDivisionError: division by zero at the line '1 / 0'; mend the source"),
        ("np.log(np.zeros(2))", "every cell must run, got RuntimeWarning: divide by zero encountered in log"),
        ("say('38 %', value=0.5, within=0.03)", "got ShapeError: say: the value of '38 %' must be within 0.03 of 0.38, got 0.5"),
        ("import tinyalexnet", "00_small: tinyalex must be importable in the kernel, got No module named 'tinyalexnet'; pip install -e "),
        ("plt.subplots(); plt.show()", "00_small: cell 00-006 must give each picture an alt text of at least 25 characters, got none"),
        ("import os; os._exit(3)", "00_small: the kernel must live until the last cell, got a dead one; run the source as a script"),
    ],
)
def test_lesson_that_fails_is_refused_and_its_notebook_stays(lesson, line, message):
    before = lesson.notebook.read_bytes()
    change(lesson, "print(round(float(share), 1))", line)
    with refuses(LessonError, message):
        notebooks.build(lesson)
    assert lesson.notebook.read_bytes() == before


def test_cell_that_does_not_end_is_refused(lesson, monkeypatch):
    monkeypatch.setattr(notebooks, "CELL_S", 5)
    change(lesson, "print(round(float(share), 1))", "import time; time.sleep(100)")
    with refuses(LessonError, "00_small: each cell must end within 5 seconds, got one that does not; compute less"):
        notebooks.execute(lesson)


def picture(size=60, alt="A picture of nothing but noise."):
    data = {"image/png": base64.b64encode(os.urandom(size)).decode()}
    return nbformat.v4.new_output("display_data", data, metadata={"image/png": {"alt": alt}})


def text(words, name="stdout"):
    return nbformat.v4.new_output("stream", name=name, text=words)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([picture(), text("a warning", "stderr")], "cell 00-001 must write nothing to stderr, got 'a warning'"),
        ([picture(), text("<Axes at 0x7f32a1>")], "cell 00-001 must show no address in memory, got 'at 0x7f32a1'"),
        ([picture(), text(f"{ROOT}/a.py")], "cell 00-001 must show no path of this machine, got "),
        ([picture(alt="")], "cell 00-001 must give each picture an alt text of at least 25 characters, got none"),
        ([picture(alt="A short text.")], "cell 00-001 must give each picture an alt text of at least 25 characters, got none"),
        ([], "lesson must show at least one picture with an alt text, got none"),
        ([picture(400_000)], "notebook must have at most 500,000 bytes, got "),
    ],
)
def test_outputs_that_may_not_be_shown(lesson, outputs, message):
    notebook = notebooks.convert(lesson)
    notebook.cells[1].outputs = outputs
    with refuses(LessonError, message):
        raise LessonError(next(notebooks.faults(lesson, notebook)))
    notebook.cells[1].outputs = [picture(), text(f"a square{Path.home()}, of a cube")]  # no path: nothing of that folder is named
    assert not list(notebooks.faults(lesson, notebook))


def test_kernel_without_the_package_says_what_to_do(lesson, tmp_path):
    """As a reader sees it, who opens the notebook in the kernel of another Python."""
    notebook = notebooks.convert(lesson)
    client = client_of(notebook, str(tmp_path), "import sys; sys.modules['tinyalex'] = None", 60, lambda: None)
    with pytest.raises(CellExecutionError) as caught:
        client.execute()
    assert caught.value.ename == "ModuleNotFoundError"
    assert extra.REMEDY in notebooks.ANSI.sub("", caught.value.traceback).partition("-----\nModuleNotFoundError")[2]


def test_only_what_changed_is_built_again(folder, monkeypatch, capsys):
    monkeypatch.delenv("TINYALEX_FAST", raising=False)
    built = []
    monkeypatch.setattr(notebooks, "build", lambda lesson: built.append(lesson.number))
    assert command.main(["build", "--from", str(folder)]) == 0
    assert not built and capsys.readouterr().out == "00_small: unchanged\n01_next: unchanged\n"
    change(lessons_in(folder)[1], "Three bars", "The three bars")
    assert command.main(["build", "--from", str(folder)]) == 0
    assert built == ["01"]
    monkeypatch.setattr(notebooks, "digests", lambda lesson: {"package": "new", "source": "new"})
    assert command.main(["build", "--from", str(folder)]) == 0
    assert command.main(["build", "0", "--force", "--from", str(folder)]) == 0
    assert built == ["01", "00", "01", "00"]


def test_digest_sees_the_source_and_the_package(lesson, tmp_path, monkeypatch):
    before = notebooks.digests(lesson)
    lesson.path.write_bytes(lesson.path.read_bytes().replace(b"\n", b"\r\n"))
    assert notebooks.digests(lesson) == before
    change(lesson, "rises", "climbs")
    assert notebooks.digests(lesson)["source"] != before["source"] and notebooks.digests(lesson)["package"] == before["package"]
    package = tmp_path / "package"
    shutil.copytree(notebooks.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    monkeypatch.setattr(notebooks, "PACKAGE", package)
    assert notebooks.digests(lesson)["package"] == before["package"]
    (package / "loss.py").write_text("")
    assert notebooks.digests(lesson)["package"] != before["package"]


def test_check_writes_nothing_and_exits_1(folder, monkeypatch, capsys):
    monkeypatch.setattr(notebooks, "run", notebooks.convert)  # no kernel: sources alone
    assert command.main(["build", "--check", "--from", str(folder)]) == 0
    change(lessons_in(folder)[0], "rises", "climbs")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert command.main(["build", "--check", "--from", str(folder)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[-2].startswith("00_small: notebook must be in step") and out[-1].startswith("01_next: in step in ")
    assert before == {path: path.read_bytes() for path in folder.iterdir()}


def test_notebooks_are_built_in_full(folder, monkeypatch, capsys):
    monkeypatch.setenv("TINYALEX_FAST", "1")
    assert command.main(["build", "--from", str(folder)]) == 2
    assert capsys.readouterr().err == "error: lessons: TINYALEX_FAST must not be set while notebooks are built, got '1'; unset it\n"


def test_options_that_do_not_go_together(folder, tmp_path, capsys):
    for options in (["--out", "x"], ["--seed", "3"], ["--student"], ["--student", "--out", str(tmp_path / "new"), "--check"]):
        assert command.main(["build", *options, "--from", str(folder)]) == ShapeError.exit_code
        assert capsys.readouterr().err.startswith("error: lessons: --")
    assert not (tmp_path / "new").exists()


def test_missing_extra_is_one_sentence(folder, monkeypatch, capsys):
    monkeypatch.setattr(extra, "find_spec", lambda name: None if name in ("jupytext", "latex2mathml") else object())
    with refuses(MissingExtra, 'lessons: packages must be installed, got no jupytext; pip install -e ".[lessons]" in the folder'):
        notebooks.convert(lessons_in(folder)[0])
    assert command.main(["build", "--from", str(folder)]) == 2, "also where notebooks are there already"
    assert "lessons: packages must be installed, got no jupytext; pip install" in capsys.readouterr().err
    assert command.main(["book", "--from", str(folder), "--out", str(folder / "book")]) == 2
    assert "book: packages must be installed, got no latex2mathml; pip install" in capsys.readouterr().err


def test_old_numpy_is_one_sentence():
    code = "import numpy, sys; numpy.__version__ = '1.26.4'; from lessons.__main__ import main; sys.exit(main(['build', '00']))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: lessons: NumPy must be of version 2.0 or newer, got 1.26.4; pip install --upgrade numpy")


def test_builders_import_without_the_extra():
    code = "import lessons.__main__, sys; print(*{'jupytext', 'nbclient', 'markdown_it', 'pygments'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_ends_the_kernel_too(lesson):
    change(lesson, "print(round(float(share), 1))", "import os, time; open('../pid', 'w').write(str(os.getpid())); time.sleep(100)")
    command_line = [sys.executable, "-m", "lessons", "build", "00", "--force", "--from", str(lesson.path.parent)]
    scratch = lesson.path.parent / "scratch"
    scratch.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "TINYALEX_FAST"} | {"TMPDIR": str(scratch)}
    process = subprocess.Popen(command_line, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (scratch / "pid").exists() or not (scratch / "pid").read_text():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert "lessons: interrupted; what was built is kept" in process.stderr.read()
    process.stderr.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((scratch / "pid").read_text()), 0)
