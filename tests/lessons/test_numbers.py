"""The paper's numbers: every row is true now, and a wrong number, a wrong engine and a lost cell of a lesson are each found."""

import dataclasses
import re
import shutil
from functools import partial

import numpy as np
import pytest

from lessons.__main__ import main
from lessons.extra import LessonError
from lessons.paper_numbers import learning, net, page, published, runs
from lessons.paper_numbers.check import VERDICTS, answer, answers
from lessons.paper_numbers.number import Also, Call, Cell, agrees, amounts, by, differs, half_a_unit, shown, slip
from tests.contract import refuses
from tinyalex.analysis.paper_tables import TABLES
from tinyalex.init import Constant
from tinyalex.models.options import alexnet
from tinyalex.models.rows import change
from tinyalex.models.variants import VARIANTS
from tinyalex.training.recipes import recipe_of
from tinyalex.tutor.syllabus import FOLDER, lessons_in

ROWS = [number for _, part in page.PARTS for number in part]


def row(what):
    [found] = [number for number in ROWS if number.what == what]
    return found


@pytest.fixture
def afresh():
    """Nothing that an earlier test computed is remembered, and nothing of this test stays."""
    remembered = (net.net, net._rows, net._conv_local, learning._drawn, learning._rates, runs._alphas, page.all_answers)
    for one in remembered:
        one.cache_clear()
    yield
    for one in remembered:
        one.cache_clear()


def test_page_is_what_is_computed_now(capsys):
    assert main(["numbers", "--check"]) == 0
    printed = capsys.readouterr().out
    assert re.fullmatch(r"\d+ numbers: \d+ agree, \d+ are slips of the paper, \d+ differ, \d+ cannot be run here\n", printed)
    assert printed.startswith(f"{len(ROWS)} numbers: ") and sum(map(int, re.findall(r"\d+", printed)[1:])) == len(ROWS) >= 110


def test_rows_are_complete_and_no_two_are_the_same():
    assert len({(number.section, number.what) for number in ROWS}) == len(ROWS)
    for number in ROWS:
        assert number.verdict in VERDICTS and amounts(number.printed), number
        assert number.why.endswith(".") or not number.why, number
        assert number.by is not None or number.cell is not None or number.verdict == "not run here", number
    sections = {place for number in ROWS for place in number.section.split("; ")}
    wanted = {"abstract", *"1 2 3 3.1 3.2 3.3 3.4 3.5 4 4.1 4.2 5 6 6.1 7".split(), "Table 1", "Table 2", "footnote 2", "footnote 4"}
    assert sections >= wanted | {"footnote 5", "Figure 1", "Figure 2", "Figure 3", "Figure 4"}


def test_every_error_of_the_papers_tables_has_a_row():
    printed = [number.printed for number in ROWS]
    for table in TABLES:
        for line in table.lines:
            for error in line.errors:
                assert error is None or f"{error:.1f} %" in printed, (line.name, error)


def test_logs_are_those_of_the_variant():
    logs = ("145, test of 2010", "145, test of 2010, one view", "145, validation of 2012")
    for name, one in zip(logs, VARIANTS["authors"].published, strict=True):
        assert tuple(100 * error for error in published.LOGS[name]) == pytest.approx((one.top1, one.top5), abs=1e-9)


def other(call):
    """A call that gives wrong values: three times as much and one more."""

    def wrong():
        found = tuple(3 * value + 1 for value in call.values())
        return found if len(found) > 1 else found[0]

    return Call(wrong)


def test_wrong_value_is_found_in_every_row():
    """Each call of each row is replaced by one that gives another value, one at a time."""
    missed = []
    for number in ROWS:
        planted = []
        if number.by is not None:
            planted.append(by(float) if number.relation == "at least" else other(number.by))
            planted = [dataclasses.replace(number, by=planted[0])]
        if number.arithmetic is not None:
            planted.append(dataclasses.replace(number, arithmetic=other(number.arithmetic)))
        for at, also in enumerate(number.also):
            several = [*number.also[:at], Also(also.words, other(also.call)), *number.also[at + 1 :]]
            planted.append(dataclasses.replace(number, also=tuple(several)))
        for one in planted:
            try:
                answer(one)
            except LessonError:
                continue
            missed.append(one.what)
    assert missed == []


@pytest.mark.parametrize(
    ("what", "printed"),
    [
        ("neurons of conv2", "186,264"), ("size of a kernel of conv2", "5 x 5 x 96"), ("parameters of the net", "50 million"),
        ("beta", "0.7"), ("images of a batch", "256"),
        ("convolutions that read the maps of their own card alone", "second, third and fifth"),
        ("neurons of conv1", "290,400"), ("neurons of conv1", "253,441"), ("pieces of an image, with reflections", "2178"),
        ("largest share of the parameters that a convolution has", "no more than 2 %"),
        ("by how much two cards lower the top-1 error", "1.8 %"), ("top-5 error with one view", "18.4 %"),
        ("weight decay: what a weight takes from its velocity, divided by the rate", "0.005"),
        ("by what dropout multiplies the iterations to convergence", "1.5"),
    ],
)  # fmt: skip
def test_wrong_printed_number_is_found(what, printed):
    with refuses(LessonError, f" of {what!r} ({row(what).section}) must be "):
        answer(dataclasses.replace(row(what), printed=printed))


def edited(**changes):
    """The paper's variant with edited rows."""
    return VARIANTS | {"paper": dataclasses.replace(VARIANTS["paper"], rows=change(VARIANTS["paper"].rows, **changes))}


@pytest.mark.parametrize(
    ("module", "name", "planted", "what"),
    [
        (net, "alexnet", partial(alexnet, widths={"conv2": 254}), "kernels of conv2"),
        (net, "alexnet", partial(alexnet, exchange=("conv3", "conv4", "fc6", "fc7")), "size of a kernel of conv4"),
        (net, "alexnet", partial(alexnet, lrn=False), "convolutions that normalization follows"),
        (net, "alexnet", partial(alexnet, dropout=False), "fully connected layers with dropout, from the first one on"),
        (net, "alexnet", partial(alexnet, overlapping=False), "z, the side of all pooling windows"),
        (runs, "VARIANTS", edited(norm={"alpha_over_n": True}), "alpha"),
        (runs, "VARIANTS", edited(norm={"n": 3}), "n: channels that one activity has an effect on"),
        (runs, "VARIANTS", edited(norm={"k": 1.0}), "k of response normalization"),
        (runs, "VARIANTS", edited(dropout={"p": 0.4}), "share of the hidden units that dropout sets to 0"),
        (runs, "VARIANTS", edited(dropout={"scale": "train"}), "factor of the outputs in testing"),
        (learning, "recipe_of", partial(recipe_of, momentum=0.8), "momentum: what is left of a velocity after a step"),
        (learning, "recipe_of", partial(recipe_of, weight_decay=5e-3), "factor of the rate and the weight in the formula"),
        (learning, "recipe_of", partial(recipe_of, times=2), "how often the rate is lowered"),
        (learning, "recipe_of", partial(recipe_of, batch_size=100), "images of a batch"),
        (learning, "VARIANTS", edited(conv4={"bias_init": Constant(0.0)}), "convolutions whose first biases are not 0"),
        (runs, "recipe_of", partial(recipe_of, color_noise=0.2), "standard deviation of alpha"),
    ],
)  # fmt: skip
def test_wrong_engine_is_found(monkeypatch, afresh, module, name, planted, what):
    answer(row(what))
    for one in (net.net, net._rows, learning._drawn, learning._rates, runs._alphas):
        one.cache_clear()
    monkeypatch.setattr(module, name, planted)
    with refuses(LessonError, f"numbers: our value of {what!r} ({row(what).section}) must be "):
        answer(row(what))


def test_engine_that_raises_is_a_row_without_a_value():
    with refuses(LessonError, "numbers: our value of 'x' (3) must be 3, got KeyError: 'conv9'; mend the engine, or write the row anew"):
        answer(agrees("3", "x", "3", by({}.__getitem__, "conv9")))


def test_slip_that_is_none_and_arithmetic_that_gives_something_else():
    seven, eight = by(lambda: 7), by(lambda: 8)
    with refuses(LessonError, "numbers: our value of 'x' (3) must be another one than 7, as the verdict is 'slip', got 7"):
        answer(slip("3", "x", "7", seven, "7"))
    with refuses(LessonError, "numbers: the arithmetic of the slip of 'x' (3) must be 8, got 7"):
        answer(slip("3", "x", "8", seven, "7", seven))
    assert answer(slip("3", "x", "8", seven, "7", eight)).ours == "7"
    with refuses(LessonError, "numbers: our value of 'x' (3) must be another one than 8"):
        answer(differs("3", "x", "8", None, "9"))


def test_first_fault_is_said_and_the_others_are_counted():
    wrong = agrees("3", "x", "3", by(lambda: 4))
    with refuses(LessonError, "numbers: our value of 'x' (3) must be 3, as the paper prints it, got 4; mend the engine, or write"):
        answers([wrong])
    with pytest.raises(LessonError, match=r"\(2 more rows are wrong\)$"):
        answers([wrong, row("kernels of conv2"), wrong, wrong])


def test_cell_of_a_lesson_must_be_there_and_agree(tmp_path):
    good = row("parameters of the net")
    assert answer(good).part == "8. Experiment"

    def changed(**settings):
        return dataclasses.replace(good, **settings)

    with refuses(LessonError, "numbers: the sentence of 'parameters of the net' (abstract; 4) must be said by lesson 09, got no say("):
        answer(changed(cell=Cell("09", "61,000,000 parameters")))
    with refuses(LessonError, "numbers: our value of 'parameters of the net' (abstract; 4) must be what lesson 09 says, '659,272 neurons'"):
        answer(changed(cell=Cell("09", "659,272 neurons")))
    with refuses(LessonError, "numbers: the lesson of 'parameters of the net' (abstract; 4) must be among those of lessons, got 99"):
        answer(changed(cell=Cell("99", "60,965,224 parameters")))
    lesson = next(one for one in lessons_in() if one.number == "09")
    for folder, text, rule in (
        ("a", lesson.notebook.read_text("utf-8").replace("60,965,224 parameters\\n", "60,965,225 parameters\\n"), "printed in 09_"),
        ("b", "no notebook", "09_alexnet_whole.ipynb must be the notebook of lesson 09, got JSONDecodeError; python -m lessons build 09"),
    ):
        (tmp_path / folder).mkdir()
        shutil.copy(lesson.path, tmp_path / folder)
        (tmp_path / folder / lesson.notebook.name).write_text(text, "utf-8")
        with pytest.raises(LessonError, match=re.escape(rule)):
            answer(good, tmp_path / folder)


def test_command_fails_with_one_sentence(monkeypatch, afresh, tmp_path, capsys):
    monkeypatch.setattr(page, "PAGE", tmp_path / "NUMBERS.md")
    assert main(["numbers", "--check"]) == 1
    assert "NUMBERS.md must be the page that is computed now, got no file; python -m lessons numbers\n" in capsys.readouterr().err
    assert main(["numbers"]) == 0 and main(["numbers", "--check"]) == 0
    page.PAGE.write_text(page.PAGE.read_text("utf-8").replace("60,965,224", "60,965,225"), "utf-8")
    assert main(["numbers", "--check"]) == 1 and "got another text" in capsys.readouterr().err
    before = page.PAGE.read_bytes()
    page.all_answers.cache_clear()
    monkeypatch.setattr(page, "PARTS", (("Abstract", (agrees("abstract", "classes", "1001", by(net.classes)),)),))
    assert main(["numbers"]) == 1 and page.PAGE.read_bytes() == before
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "'classes' (abstract) must be 1001, as the paper prints it, got 1,000" in message


def test_links_of_the_page_lead_somewhere():
    for href in re.findall(r"\]\(([^)]+)\)", page.markdown()):
        assert (FOLDER / href).is_file(), href
    for line in page.markdown().splitlines():
        assert not line.startswith("| ") or line.count(" | ") in (2, 5), line


def test_page_of_the_book(book):
    made = (book / "numbers.html").read_text("utf-8")
    assert made.count("<tr") == 1 + len(VERDICTS) + len(page.PARTS) + len(ROWS)
    assert '<tr class="slip">' in made and "<td>290,400</td><td>slip</td>" in made
    line = 1 + (FOLDER / "paper_numbers" / "net.py").read_text("utf-8").splitlines().index("def classes() -> int:")
    assert f'<a class="engine" href="engine/lessons.paper_numbers.net.html#L-{line}"><code>classes()</code></a>' in made
    assert '<a href="numbers.html">' in (book / "index.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("printed", "values"),
    [
        ("60 million", (60e6,)), ("650,000", (650_000,)), ("11 x 11 x 3", (11, 11, 3)), ("10^-4", (1e-4,)), ("1, -1", (1, -1)),
        ("second, fourth and fifth", (2, 4, 5)), ("no more than 1 %", (1,)), ("3GB", (3 * 2**30,)), ("22K", (22_000,)), ("15M", (15e6,)),
        ("conv1 has 290,400 neurons", (290_400,)), ("five to six", (5, 6)), ("roughly doubles", (2,)), ("half as many", (0.5,)),
    ],
)  # fmt: skip
def test_numbers_of_a_text(printed, values):
    assert amounts(printed) == pytest.approx(values)


def test_rounding_and_how_values_are_shown():
    assert (half_a_unit("1.45 %"), half_a_unit("253,440"), half_a_unit("0.5")) == pytest.approx((0.005, 0.5, 0.05))
    assert shown((5, 5, 48), "5 x 5 x 48") == "5 x 5 x 48" and shown((0.5,) * 7, "half") == "0.5"
    assert shown((2, 4, 5), "second, fourth and fifth") == "2, 4, 5" and shown((290_400,), "253,440") == "290,400"
    assert shown((1.4518,), "1 %") == "1.452 %" and shown((1.5 * 2**30,), "3GB") == "1.5 GiB"
    assert shown(tuple(np.linspace(0.0099, 0.0101, 8)), "0.01") == "0.0099 to 0.0101"


def test_calls_are_shown_as_they_are_written():
    assert by(net.parameters, "conv3").text == 'parameters("conv3")'
    assert by(net.parameters, half=True).text == "parameters(half=True)"
    assert by(net.parameters, half=True).values() == (59_798_312,)
