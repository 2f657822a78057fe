"""`tinyalex capstone`."""

from __future__ import annotations

import argparse
import contextlib
import html
import inspect
import io
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import tinyalex
from tests.contract import refuses
from tests.lessons.browser import CHROMIUM, measured
from tinyalex import cli
from tinyalex.commands import capstone
from tinyalex.errors import Interrupted, TinyalexError
from tinyalex.tutor.capstone.calls import FUNCTIONS
from tinyalex.tutor.capstone.engine import ENGINE
from tinyalex.tutor.finding import catalogue
from tinyalex.tutor.kept import NAME
from tinyalex.tutor.processes import Limits, Processes
from tinyalex.tutor.session import SOLUTIONS

RELU = "import numpy as np\n\n\ndef relu_backward(dout, x):\n    {body}\n"
FILL = "--with-engine"
MOST_BYTES = 2_000_000
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYALEX_LANG", raising=False)
    return tmp_path


def solved():
    """All solutions but that of E11, which no layer needs, as one file."""
    return "\n\n".join(path.read_text("utf-8") for path in sorted(SOLUTIONS.glob("e*.py")) if path.stem != "e11")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The page of a file that is right, in Chinese, and that of one that is wrong in two functions; with what was printed."""
    folder = tmp_path_factory.mktemp("pages")
    wrong = solved().replace("left + j] += dout", "left + j] = dout").replace("return loss, dlogits / len(logits)", "return loss, dlogits")
    assert wrong.count("left + j] = dout") == 1 and wrong.count("return loss, dlogits  #") == 1
    (folder / "mine.py").write_text(solved(), "utf-8")
    (folder / "wrong.py").write_text(wrong, "utf-8")
    kept = {"04-a": {"guess": 38.0}, "10-a": {"guess": 10, "answer": 65536.0}, "unknown": {"guess": 1}}
    (folder / NAME).write_text(json.dumps({"format": 1, "predictions": kept}), "utf-8")
    printed = {}
    for name, file, *options in (("right", "mine.py", "--lang", "zh"), ("wrong", "wrong.py")):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = cli.main(["capstone", str(folder / file), "--out", str(folder / f"{name}.html"), *options])
        printed[name] = code, out.getvalue()
    book = folder / "book"
    book.mkdir()
    for name in printed:
        text = (folder / f"{name}.html").read_text("utf-8")
        assert text.count(POLICY) == 1
        (book / f"{name}.html").write_text(text.replace(POLICY, f"{POLICY}; script-src 'unsafe-inline'"), "utf-8")  # of the measurement
    return book, printed


def test_solutions_agree_and_the_next_command_is_named(pages):
    code, out = pages[1]["right"]
    assert code == 0
    first, more, page, following = out.splitlines()
    agree = r"你的 AlexNet 与引擎的一致：在 20 步中，你的函数被调用了 1,277 次，没有一个数相差超过 \d\.?\d*e-1\d。目标是 1e-10。"
    assert re.fullmatch(f"{agree}剩下的差异来自相加的顺序。", first)
    assert "tinyalex check" in more and "right.html：你的代码与引擎的代码" in page
    assert following.startswith("下一步：`tinyalex net alexnet`")


def test_file_that_is_wrong_in_two_functions_is_told_both(pages):
    code, out = pages[1]["wrong"]
    assert code == 1
    assert out.startswith("They part in step 1 of 20, loss, backward: your softmax_cross_entropy.")
    assert "E08 softmax_cross_entropy: " in out and "is that of the sum of the losses" in out
    assert "first seen in step 1 of 20, pool1 of tower a, backward: your max_pool_backward." in out
    assert "a window overwrites what an earlier window left" in out
    assert out.count("Why the rest differs") == 1 and "next: tinyalex check E08 --hint 1 --file " in out


class Seen(HTMLParser):
    """The addresses, pictures and texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.alts, self.tags, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.tags.append(tag)
        self.addresses += [known[key] for key in ("src", "href") if key in known]
        if tag in ("img", "svg"):
            self.alts.append(known.get("alt") or known.get("aria-label") or "")

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("name", ["right", "wrong"])
def test_page_holds_everything_and_asks_for_nothing(pages, name):
    text = (pages[0] / f"{name}.html").read_text("utf-8")
    seen = Seen(text)
    assert len(text.encode()) < MOST_BYTES and "@@" not in text and "script" not in seen.tags
    assert all(address.startswith(("data:", "#")) for address in seen.addresses) and "url(" not in text
    assert len(seen.alts) == 6 and all(len(alt) > 15 for alt in seen.alts)
    words = catalogue("zh" if name == "right" else "en")
    for section in ("curves", "gap", "filters", "differences", "code", "predictions"):
        assert words[f"capstone.page.{section}"].replace("`", "") in seen.text
    assert seen.text.count("def conv2d(") == 1 and "def conv_forward(x, weight, bias, stride, padding, groups):" in seen.text
    assert "def windows(channels, n):" in seen.text, "a helper of the student's function is missing"
    assert all(f"<code>{function}</code>" in text for function in ENGINE)
    assert '<td lang="en">' in text and "unknown" not in seen.text
    assert words["capstone.page.not_revealed"] in seen.text and "65,536" in seen.text
    assert ('<section id="result" class=apart>' in text) == (name == "wrong") == ("<details open>" in text)
    assert ("class=off" in text) == (name == "wrong")
    if name == "wrong":
        assert text.count("<details open>") == 2 and "They part in step 1 of 20" in seen.text
    assert f"<td class=text>{words['capstone.page.given']}</td>" in text and "<td class=text><code>exchange_backward</code></td>" in text
    assert text.count("<tr><th scope=\"row\">") == 35 + 2 and words["capstone.page.exchange_note"] in seen.text
    result = text.partition('id="result"')[2].partition("</section>")[0]
    assert "`" not in result and "<code>tinyalex check</code>" in result or name == "wrong"


def test_call_of_the_page_can_be_repeated_in_a_fresh_python(pages):
    """Without a call of `check` before it, as a reader of the page has made none."""
    text = html.unescape((pages[0] / "wrong.html").read_text("utf-8"))
    calls = re.findall(r"import wrong; from tinyalex import tutor; (tutor\.replay\([^()]*\))", text)
    assert [call.rpartition(", ")[2] for call in calls] == ["wrong.softmax_cross_entropy)", "wrong.max_pool_backward)"]
    assert text.count("Next: tinyalex check E0") == 2 and "tutor.hint(" not in text
    code = "import wrong; from tinyalex import tutor; " + "; ".join(f"print({call})" for call in calls)
    path = os.pathsep.join(map(str, (pages[0].parent, Path(tinyalex.__file__).parents[1])))
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path})
    assert again.returncode == 0 and again.stdout.count("Replay(") == 2, again.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")
@pytest.mark.parametrize(("width", "flags", "background"), [
    (400, (), "rgb(255, 255, 255)"), (1100, ("--blink-settings=preferredColorScheme=0",), "rgb(21, 24, 28)"),
])  # fmt: skip
def test_page_in_a_browser(pages, tmp_path, width, flags, background):
    results, asked = measured(pages[0], tmp_path, width, *flags)
    assert asked == []
    for name, found in results.items():
        assert found["width"] == width and found["scroll"] <= width and not found["wide"], (name, found)
        assert found["images"] == 4 and found["blank"] == found["code"] == 0 and found["background"] == background, (name, found)


def test_json_has_it_all(folder, capsys):
    (folder / "mine.py").write_text(RELU.format(body="return dout * 1"))
    assert cli.main(["capstone", FILL, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["format"], document["file"], document["agree"], document["steps"]) == (1, "mine.py", False, 20)
    (wrong,) = document["wrong"]
    place = [wrong[key] for key in ("function", "layer", "tower", "direction", "step")]
    assert place == ["relu_backward", "relu3", "a", "backward", 0]
    assert document["findings"]["relu_backward"]["key"] == "E02.lets_all_through" and len(document["filled"]) == len(ENGINE) - 1
    assert document["first"]["function"] == "relu_backward" and len(document["losses"]["yours"]) == 21
    assert document["page"] == "capstone.html" and (folder / "capstone.html").is_file()


REFUSED = {  # by function: the lines of a file that the net does not show to be wrong, and what the tutor finds
    "max_pool_backward": ("""
    dx = np.zeros_like(x)
    for y, z in np.ndindex(*dout.shape[2:]):
        at = np.s_[:, :, y * stride : y * stride + kernel, z * stride : z * stride + kernel]
        dx[at] += (x[at] == x[at].max(axis=(2, 3), keepdims=True)) * dout[:, :, y, z, None, None]
    return dx
""", "E06 max_pool_backward:", "each of yours gets the whole gradient"),
    "lrn_backward": ("""
    def sums(z):
        at = range(a.shape[1])
        return np.stack([z[:, max(0, i - n // 2) : i + (n - 1) // 2 + 1].sum(axis=1) for i in at], axis=1)
    s = k + alpha * sums(a**2)
    return dout / s**beta - 2 * alpha * beta * a * sums(dout * a / s ** (beta + 1))
""", "E07 lrn_backward: ", "With an even n of 4"),
    "softmax_cross_entropy": ("""
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    n = np.arange(len(labels))
    loss = -np.log(probs[n, labels] + 1e-12).mean()
    probs[n, labels] -= 1
    return loss, probs / len(labels)
""", "E08 softmax_cross_entropy: ", "a small number keeps your logarithm from 0"),
}  # fmt: skip


@pytest.mark.parametrize("function", REFUSED)
def test_function_that_agrees_in_the_net_and_that_the_check_refuses_is_no_success(folder, capsys, function):
    body, *says = REFUSED[function]
    wanted = ", ".join(inspect.signature(FUNCTIONS[function][1].right).parameters)
    (folder / "mine.py").write_text(f"import numpy as np\n\n\ndef {function}({wanted}):{body}")
    assert cli.main(["capstone", FILL]) == 1
    out, err = capsys.readouterr()
    assert "Your AlexNet and the engine's agree" in out and f"refuses {function}." in out and all(one in out for one in says)
    assert out.endswith(f"next: tinyalex check {FUNCTIONS[function][0].key} --hint 1\n")
    assert "now your functions are checked, as `tinyalex check` does it" in err
    text = (folder / "capstone.html").read_text("utf-8")
    assert catalogue("en")["capstone.page.not_right"] in text and "They agree" not in text
    assert text.count("<details open>") == 1 and "refused by <code>tinyalex check</code>" in text


def test_nothing_written_is_told_by_name_and_the_engine_fills_in(folder, capsys):
    (folder / "lessons").mkdir()
    (folder / "lessons" / "mine.py").write_text(
        RELU.format(body="return dout * (x > 0)") + "\n\ndef lrn(a, n, k, alpha, beta):\n    '''Text.'''\n    pass\n"
        "\n\ndef max_pool(x, kernel, stride):\n    print(x)\n    raise NotImplementedError('soon')\n"
    )
    assert cli.main(["capstone"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("tinyalex: error: lessons/mine.py: every function of your AlexNet must be written, got none of tanh_backward, ")
    assert "relu_backward" not in error and ", lrn, " in error
    assert error.endswith("or add --with-engine, which puts the engine's in their place")
    assert not (folder / "capstone.html").exists()
    assert cli.main(["capstone", FILL]) == 0
    out = capsys.readouterr().out
    assert "The engine's functions stand in for tanh_backward, " in out and "max_pool" in out
    assert out.endswith("next: tinyalex check E02\n")


def test_function_that_says_only_when_it_is_called_that_it_is_not_written(folder, capsys):
    text = "\n".join(f"def {name}(*given):\n    print(given)\n    raise NotImplementedError\n" for name in ENGINE)
    (folder / "mine.py").write_text(text)
    assert cli.main(["capstone"]) == 2
    assert "got none of " in (error := capsys.readouterr().err) and all(name in error for name in ENGINE)


@pytest.mark.parametrize(("text", "says"), [
    ("import no_such_module_at_all\n" + RELU.format(body="pass"), "mine.py: the code must run without an error, got ModuleNotFoundError"),
    ("def relu_backward(dout, x):\n    return (dout\n", "mine.py: the code must be Python, got "),
    ("while True:\n    pass\n\n\ndef relu_backward(dout, x):\n    pass\n", "mine.py: the import must end within 0.5 seconds, got no end"),
    ("import os\n" + RELU.format(body="os._exit(3)"), "mine.py: your AlexNet must end by returning its results, got a process that"),
    ("x = 1\n", "mine.py: the file must define a function of the exercises, such as "),
])  # fmt: skip
def test_file_that_cannot_be_used_is_one_sentence(folder, text, says):
    (folder / "mine.py").write_text(text)
    with refuses(TinyalexError, says) as caught:
        run(FILL, limits=Limits(0.5, 30))
    assert caught is None and not (folder / "capstone.html").exists()


def run(*options, limits=capstone.LIMITS):
    parser = argparse.ArgumentParser(epilog="")
    capstone.add_arguments(parser)
    return capstone.run(parser.parse_args(list(options)), limits)


def test_file_in_chinese_and_one_that_takes_too_long(folder):
    (folder / "mine.py").write_text("import time\n" + RELU.format(body="time.sleep(9)"))
    with pytest.raises(TinyalexError, match="20 步必须在 0.3 秒内结束"):
        run(FILL, "--lang", "zh", limits=Limits(60, 0.3))


def test_refusals_of_options(folder):
    (folder / "mine.py").write_text(RELU.format(body="return dout"))
    with refuses(TinyalexError, "capstone: --out must name another file than mine.py, got the same"):
        run("mine.py", "--out", "./mine.py")
    with refuses(TinyalexError, "capstone: --out must name a file in a folder that can be written, got no folder"):
        run("mine.py", "--out", "nowhere/page.html")
    with refuses(TinyalexError, "gone.py: the file must be there"):
        run("gone.py")
    with refuses(TinyalexError, "tutor: language must be en or zh"):
        run("mine.py", "--lang", "fr")


def test_ctrl_c_ends_with_130_and_no_page(folder, monkeypatch, capsys):
    (folder / "mine.py").write_text(RELU.format(body="return dout"))

    def stopped(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(Processes, "ask", stopped)
    assert cli.main(["capstone"]) == 130
    assert "capstone: stopped; no page was written; start it again" in capsys.readouterr().err
    assert not (folder / "capstone.html").exists() and Interrupted("").exit_code == 130


def test_broken_predictions_are_told_and_left_out(folder, capsys):
    (folder / "mine.py").write_text(RELU.format(body="return dout * (x > 0)"))
    (folder / NAME).write_text("{")
    assert cli.main(["capstone", FILL]) == 0
    assert f"{NAME}: the predictions must be in the form in which `tutor.predict` writes them" in capsys.readouterr().err
    assert NAME in (folder / "capstone.html").read_text("utf-8")


def test_notebook_is_taken_too(folder, capsys):
    sources = ("import numpy as np", RELU.format(body="'''Page.'''\n    return dout * (x > 0)"))
    cells = [{"cell_type": "code", "source": source} for source in sources]
    (folder / "mine.ipynb").write_text(json.dumps({"cells": cells}))
    assert cli.main(["capstone", "mine.ipynb", FILL]) == 0
    page = (folder / "capstone.html").read_text("utf-8")
    assert "return dout * (x &gt; 0)" in page and "Page." not in page
