"""What lessons call: a picture needs a description, and a sentence that stopped being true fails."""

import importlib
import subprocess
import sys
import types

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.contract import refuses
from tinyalex.errors import ShapeError, TinyalexError
from tinyalex.tutor import lesson
from tinyalex.tutor.lesson import adds, fast, say, show

ALT = "A line that rises from 0 to 3 over four steps."


@pytest.fixture(autouse=True)
def full_run(monkeypatch):
    monkeypatch.delenv("TINYALEX_FAST", raising=False)


def line(title=""):
    fig = Figure()
    fig.subplots().plot(range(4))
    fig.axes[0].set_title(title)
    return fig


def test_script_shows_the_description(capsys):
    show(line(), alt="A line that rises\n    from 0 to 3 over four steps.")
    assert capsys.readouterr().out == ALT + "\n"


class Shell:
    """A notebook's shell that keeps what is displayed."""

    kernel = object()

    def __init__(self):
        self.shown, self.display_pub = [], types.SimpleNamespace(publish=lambda *message: self.shown.append(message))


def test_notebook_shows_a_picture_with_its_alt_text(monkeypatch, capsys):
    shell = Shell()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell, version_info=(9, 0)))
    show(line(), alt=ALT)
    [(data, metadata)] = shell.shown
    assert metadata == {"image/png": {"alt": ALT}} and data["text/plain"] == ALT
    assert data["image/png"].startswith("iVBORw0KGgo")  # the first bytes of every PNG
    assert capsys.readouterr().out == ALT + "\n"


def test_figure_of_pyplot_is_closed():
    code = "import matplotlib; matplotlib.use('agg'); import matplotlib.pyplot as plt; from tinyalex.tutor.lesson import show; "
    code += f"show(plt.figure(), alt={ALT!r}); assert not plt.get_fignums(); import sys; assert 'IPython' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize("alt", ["", " " * 40, "a short one", "x                        y", None, 3])
def test_picture_without_a_description_is_refused(alt):
    with refuses(ShapeError, "show: alt must describe the picture in at least 25 characters, got "):
        show(line(), alt=alt)


def test_title_is_no_description():
    title = "Error of the centered difference"
    with refuses(ShapeError, "show: alt must say more than the title, got 'Error of the "):
        show(line(title), alt=title)
    whole = line()
    whole.suptitle(title)
    with refuses(ShapeError, "show: alt must say more than the title"):
        show(whole, alt=title)
    show(line(title), alt=title + " against h, from 1e-1 to 1e-15.")


def test_only_figures_are_shown():
    with refuses(ShapeError, "show: fig must be a matplotlib figure, got 'picture'; call plt.subplots()"):
        show("picture", alt=ALT)


@pytest.mark.parametrize(
    ("text", "value", "within"),
    [
        ("38 %", 0.3821, 0.03), ("38% of the winners", 0.38, 0), ("2.303", np.log(10), 1e-3), ("60,965,224 parameters", 60_965_224, 0),
        ("conv1 and fc6 reach 1.5e-5", np.float32(1.5e-5), 1e-9), ("the slope is -3", -3, 0), ("the slope is \u22120.5.", -0.5, 0),
        ("At the step h = 1e-13 it is large", 1e-13, 0), ("a 3-layer net", 3, 0),
        ("conv-1 has 96 filters", 96, 0), ("38\u00a0%", np.array(0.38), 0),
    ],
)  # fmt: skip
def test_true_sentence_is_printed(text, value, within, capsys):
    say(text, value=value, within=within)
    assert capsys.readouterr().out == text + "\n"
    with refuses(ShapeError, "mend the code, or write what is true now"):
        say(text, value=float(value) + within * 1.01 + 1e-3, within=within)
    assert capsys.readouterr().out == ""


def test_sentence_that_stopped_being_true_fails():
    with refuses(ShapeError, "say: the value of '38 %' must be within 0.03 of 0.38, got 0.52; mend the code"):
        say("38 %", value=0.52, within=0.03)
    with refuses(ShapeError, "got nan"):
        say("38 %", value=np.nan, within=1)
    with refuses(ShapeError, "got inf"):
        say("38 %", value=np.inf, within=1)


@pytest.mark.parametrize(("text", "count"), [("no number", 0), ("from 0.594 to 0.595", 2), ("224 x 224", 2), ("60kB", 0), (0.38, 0)])
def test_sentence_holds_one_number(text, count):
    with refuses(ShapeError, f"say: the text must hold exactly one number, got {count} in "):
        say(text, value=0.38, within=1)


@pytest.mark.parametrize("within", [-0.1, np.nan, np.inf, "much", None])
def test_within_is_a_distance(within):
    with refuses(ShapeError, "say: within must be a number of at least 0, got "):
        say("38 %", value=0.38, within=within)


def test_value_is_one_number():
    with refuses(ShapeError, "say: value must be one number, got float64 array of shape (3,)"):
        say("38 %", value=np.zeros(3), within=0.1)


def test_fast_mode_is_asked_for_by_a_variable(monkeypatch, capsys):
    assert fast(20, 3) == 20
    for off in ("", "0"):
        monkeypatch.setenv("TINYALEX_FAST", off)
        assert fast(20, 3) == 20
    with refuses(ShapeError, "must be within"):
        say("38 %", value=0.9, within=0.01, full_only=True)
    monkeypatch.setenv("TINYALEX_FAST", "1")
    assert fast(20, 3) == 3 and fast((0.1, 0.2), (0.1,)) == (0.1,)
    say("38 %", value=0.9, within=0.01, full_only=True)
    assert capsys.readouterr().out == "38 %\n"
    with refuses(ShapeError, "must be within"):
        say("38 %", value=0.9, within=0.01)
    with refuses(ShapeError, "say: the text must hold exactly one number"):
        say("much", value=0.9, within=0.01, full_only=True)


def test_fast_is_not_more():
    with refuses(ShapeError, "fast: few must be at most full, 3, got 20; write fast(full, few)"):
        fast(3, 20)


def words(fig):
    return [text.get_text() for text in fig.axes[0].texts]


def test_adds_draws_the_uses_and_the_sum():
    fig = adds("x", [("x * x, left", 3.0), ("x * x, right", 3), ("-x", -0.25)], size=(6, 4))
    assert {"x", "+", "x * x, left", "sends back 3", "sends back -0.25", "dx = 3 + 3 + (-0.25) = 5.75"} <= set(words(fig))
    assert fig.get_size_inches().tolist() == [6, 4]
    assert "dx[2, 2] = dy1 + dy2" in words(adds("x[2, 2]", [("window 1", "dy1"), ("window 2", "dy2")]))


def test_adds_draws_in_given_axes():
    fig = Figure()
    left, right = fig.subplots(1, 2)
    assert adds("x", [("a", 1), ("b", 2)], ax=right) is fig
    assert not left.texts and "dx = 1 + 2 = 3" in [text.get_text() for text in right.texts]
    with refuses(ShapeError, "adds: size must be None where ax is given, got (3, 4)"):
        adds("x", [("a", 1), ("b", 2)], ax=right, size=(3, 4))


def test_no_words_of_the_picture_overlap():
    for count in (2, 3, 5):
        fig = adds("x[2, 2]", [(f"window {i}", 0.125) for i in range(count)])
        fig.draw_without_rendering()
        boxes = [text.get_window_extent() for text in fig.axes[0].texts if text.get_text()]
        assert not [1 for at, one in enumerate(boxes) for other in boxes[:at] if one.overlaps(other)]
        assert all(0 <= box.x0 and box.x1 <= fig.bbox.width and 0 <= box.y0 and box.y1 <= fig.bbox.height for box in boxes)


def test_adds_refuses_what_does_not_add():
    with refuses(ShapeError, "adds: uses must be at least two, got 1; a value that is used once has one gradient"):
        adds("x", [("a", 1)])
    with refuses(ShapeError, "adds: each use must be (label, gradient), got "):
        adds("x", [1, 2])
    with refuses(ShapeError, "adds: each use must be (label, gradient), got "):
        adds("x", None)
    with refuses(ShapeError, "adds: gradients must be all numbers or all texts, got "):
        adds("x", [("a", 1), ("b", "dy")])
    with refuses(ShapeError, "adds: a gradient must be a finite number, got nan"):
        adds("x", [("a", 1), ("b", float("nan"))])


def test_old_numpy_is_one_sentence_where_the_first_cell_imports(monkeypatch):
    with refuses(TinyalexError, "lessons: NumPy must be of version 2.0 or newer, got 1.26.4; pip install --upgrade numpy, then restart"):
        lesson.require_numpy("1.26.4")
    monkeypatch.setattr(np, "__version__", "1.26.4")
    with refuses(TinyalexError, "lessons: NumPy must be of version 2.0 or newer"):
        importlib.reload(lesson)
    for version in ("2.0.0", "2.4.6", "10.1.0.dev0"):
        lesson.require_numpy(version)


def test_nothing_of_a_notebook_is_needed():
    assert lesson._kernel() is None
