"""What is taken of a student's file, and the sentence for each file that cannot be used."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from tests.contract import refuses
from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import catalogue
from tinyalex.tutor.guard import time_limit_of_calls
from tinyalex.tutor.source import MOST_BYTES, SubmissionError
from tinyalex.tutor.submission import load, read

E06 = EXERCISES["E06"]
WANTED = ("max_pool", "max_pool_backward")
RIGHT = """
def max_pool(x, kernel, stride):
    return np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride].max((-2, -1))
"""
STUB = 'def max_pool_backward(dout, x, kernel, stride):\n    """Not yet."""\n    raise NotImplementedError("yours")\n'


@pytest.fixture(autouse=True)
def modules_as_before(monkeypatch):
    monkeypatch.setattr(sys, "modules", dict(sys.modules))


@pytest.fixture
def write(tmp_path):
    """(name, text or bytes, or the cells of a notebook) -> its path."""

    def written(name, *content):
        path = tmp_path / name
        if name.endswith(".ipynb") and content and not isinstance(content[0], bytes):
            cells = [{"cell_type": "markdown", "source": cell[1:]} if cell.startswith("#!") else
                     {"cell_type": "code", "source": cell.splitlines(keepends=True), "outputs": []} for cell in content]  # fmt: skip
            content = (json.dumps({"nbformat": 4, "cells": cells}).encode(),)
        path.write_bytes(content[0] if isinstance(content[0], bytes) else content[0].encode())
        return path

    return written


def finding_of(path, function="max_pool"):
    """What the tutor says about a function of a file."""
    loaded = load(read(path, WANTED), WANTED)
    finding = examine(E06, E06.function(function), loaded.function(function))
    return None if finding is None else loaded.explained(finding)


def test_module_is_imported_whole(write):
    path = write("mine.py", "import numpy as np\nfrom functools import partial\npool = partial(np.max, axis=(-2, -1))\n" + RIGHT + STUB)
    submission = read(path, WANTED)
    assert submission.begun("max_pool") and not submission.begun("max_pool_backward") and not submission.begun("conv_forward")
    loaded = load(submission, WANTED)
    assert "pool" in loaded.names and loaded.function("conv_forward") is None
    assert finding_of(path) is None


def test_of_a_notebook_only_what_the_functions_need_is_taken(write, capsys):
    path = write(
        "mine.ipynb",
        "#!markdown",
        "%matplotlib inline\n!pip install 'nothing\nimport numpy as np\nimport not_there_at_all\nfiles = !ls\nraise SystemExit",
        "%%bash\nrm -rf x",
        "AXES: tuple = (-2, -1)\nHALF = 1 / 2\nprint('run')\nhelp(np)\nnp?",
        "%%time\ndef largest(a): return a.max(AXES)",
        RIGHT.replace("return ", "return largest(").replace(".max((-2, -1))", ")"),
        "from google.colab import drive\nclass Later: pass\nout = max_pool(np.ones((1, 1, 3, 3)), 3, 2)\n" + STUB,
    )
    submission = read(path, WANTED)
    loaded = load(submission, WANTED)
    assert {"np", "AXES", "largest", "max_pool"} <= set(loaded.names)
    assert {"HALF", "drive", "Later", "out", "not_there_at_all"}.isdisjoint(loaded.names)
    assert finding_of(path) is None and not submission.begun("max_pool_backward")
    assert capsys.readouterr() == ("", "")


def test_line_that_only_looks_like_magic_stays(write):
    path = write("mine.ipynb", "def max_pool(x, kernel, stride):\n    return (7\n    % 4)\n!ls\n")
    assert load(read(path, WANTED), WANTED).function("max_pool")(1, 1, 1) == 3


def test_annotations_and_future_imports_of_a_notebook(write):
    path = write("mine.ipynb", "from __future__ import annotations\ndef max_pool(x: Array, kernel: int, stride: Stride) -> Array: return 5")
    assert load(read(path, WANTED), WANTED).function("max_pool")(1, 1, 1) == 5


def test_finding_in_a_notebook_names_cell_and_line(write):
    path = write("mine.ipynb", "import numpy as np", "\ndef inner(x):\n    return x[9]\ndef max_pool(x, kernel, stride): return inner(x)")
    text = finding_of(path).text()
    assert "your function stopped at cell 2, line 3:\nIndexError: index 9" in text


BAD = {
    "no file": (None, "mine.py: the file must be there, got none of that name"),
    "another kind": (("mine.txt", "x"), "mine.txt: the name of the file must end in .py or .ipynb, got .txt"),
    "too large": (("mine.py", b"#" * (MOST_BYTES + 1)), "mine.py: the file must have at most 50 MiB, got 50 MiB"),
    "no text": (("mine.py", b"a = '\xff'"), "mine.py: the text must be UTF-8, got other bytes"),
    "unknown coding": (("mine.py", b"# coding: martian\n"), "mine.py: the text must be UTF-8, got other bytes"),
    "broken JSON": (("mine.ipynb", b'{"cells": [\n{"cell_type": }'), "the notebook must be whole JSON, got expecting value in line 2"),
    "deep JSON": (("mine.ipynb", b"[" * 100000), "mine.ipynb: the notebook must be whole JSON, got "),
    "notebook that is no text": (("mine.ipynb", b"\xff\xfe"), "mine.ipynb: the text must be UTF-8, got other bytes"),
    "JSON that is no notebook": (("mine.ipynb", b"[1]"), "mine.ipynb: the notebook must hold a list of cells"),
    "cells that are none": (("mine.ipynb", b'{"cells": [1]}'), "mine.ipynb: the notebook must hold a list of cells"),
    "no Python": (("mine.py", "import numpy\n\ndef max_pool(x:\n    pass"), "must be Python, got \"'(' was never closed\" in line 3"),
    "null byte": (("mine.py", b"a = 1\0"), "the code must be Python, got \"source code string cannot contain null bytes\" in line 1"),
    "deep Python": (("mine.py", "a = " + "-" * 100000 + "1"), "mine.py: the code must be Python, got "),
    "cell that is no Python": (("mine.ipynb", "import os", "a = 1\ndef max_pool(x)\n    pass"), "got \"expected ':'\" in cell 2, line 2"),
    "two definitions": (("mine.ipynb", RIGHT, "#!text", "\n\n" + RIGHT),
                        "mine.ipynb: max_pool must be defined once, got two definitions, in cell 1, line 2 and in cell 3, line 4"),
    "two definitions in a cell": (("mine.ipynb", RIGHT + RIGHT), "two definitions, in cell 1, line 2 and in cell 1, line 5"),
    "none of the functions": (("mine.py", "def pool(x): pass"), "must define a function of the exercises, such as max_pool, got none"),
    "empty notebook": (("mine.ipynb", "#!text"), "must define a function of the exercises, such as max_pool, got none"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_file_that_cannot_be_read_gets_one_sentence(what, write, tmp_path):
    content, text = BAD[what]
    path = tmp_path / "mine.py" if content is None else write(*content)
    with refuses(SubmissionError, text):
        read(path, WANTED)


BAD_IMPORTS = {
    "raises": ("import numpy as np\n\nnp.ones(3)[5]\n", "mine.py: the code must run without an error, got IndexError: index 5 "),
    "not installed": ("import not_there_at_all\n", "got ModuleNotFoundError: No module named 'not_there_at_all' in line 1"),
    "sys.exit": ("import sys\nsys.exit(3)\n", "got SystemExit: 3 in line 2"),
    "return": ("return 3\n", "got 'return' outside function in line 1"),
    "endless": ("while True:\n    print(1)\n", "mine.py: the import must end within 0.3 seconds, got no end, in line "),
}


@pytest.mark.parametrize("what", BAD_IMPORTS)
def test_module_that_does_not_import_gets_one_sentence(what, write, capsys):
    code, text = BAD_IMPORTS[what]
    submission = read(write("mine.py", code + RIGHT), WANTED)
    with time_limit_of_calls(0.3), refuses(SubmissionError, text):
        load(submission, WANTED)
    assert capsys.readouterr() == ("", "")


HELPERS = {
    "nowhere": ("", "mine.ipynb: `pad_image` must be defined, as max_pool uses it in cell 2, line 2, got nothing of that name; define or"),
    "misspelled": ("def pad_imag(x): pass", "got nothing of that name; did you mean `pad_imag`?"),
    "made by other code": ("import functools\npad_image = functools.partial(print)",
                           "must be an import, a plain constant or a function, as max_pool uses it in cell 2, line 2, got other code"),
    "import that failed": ("from not_there_at_all import pad_image", "ModuleNotFoundError: No module named 'not_there_at_all' in cell 1"),
}  # fmt: skip


@pytest.mark.parametrize("what", HELPERS)
def test_missing_helper_gets_one_sentence(what, write):
    cell, text = HELPERS[what]
    finding = finding_of(write("mine.ipynb", cell, "def max_pool(x, kernel, stride):\n    return pad_image(x)"))
    sentence = catalogue("en")[finding.key].format(**finding.numbers)
    assert text in sentence and finding.layer == "file"


def test_missing_helper_of_a_module(write):
    finding = finding_of(write("mine.py", "def max_pool(x, kernel, stride):\n    return pad_image(x)\n"))
    assert finding.key == "submission.helper" and finding.numbers["where"] == "line 2"


def test_function_of_a_notebook_that_cannot_be_made(write):
    loaded = load(read(write("mine.ipynb", "@jit\n" + RIGHT.strip()), WANTED), WANTED)
    with refuses(SubmissionError, "the code must run without an error, got NameError: name 'jit' is not defined in cell 1, line"):
        loaded.function("max_pool")


def test_sentences_are_in_two_languages():
    error = SubmissionError("two", file="a.ipynb", function="max_pool", first="cell 1", second="cell 2")
    "只能定义一次" in str(error.said_in("zh")) and str(error.said_in("zh").said_in("en")) == str(error)


def test_reading_runs_nothing(write, tmp_path):
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    read(write("mine.py", f"open({str(tmp_path / 'made')!r}, 'w')\n" + RIGHT), WANTED)
    assert not (tmp_path / "made").exists() and np.random.get_state()[1].tolist() == before  # noqa: NPY002
