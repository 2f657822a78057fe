"""The book: links that lead somewhere, formulas, the engine's lines, folded solutions, contrast; and what it refuses."""

import re
import tomllib
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lessons import notebooks
from lessons.__main__ import BOOK, main
from lessons.book import pages
from lessons.book.engine import Engine, python
from lessons.book.glossary import Glossary, Term, read_glossary
from lessons.book.lesson import _cut, _embedded, _wrapped
from lessons.book.text import Text, mathml
from lessons.extra import LessonError
from tests.contract import refuses
from tinyalex.commands import lessons as command
from tinyalex.tutor.syllabus import FOLDER, lessons_in

TERMS = [
    Term("stride", ("步幅", "步长"), ("步幅", "步長"), "How far a window moves.", "03"),
    Term("pooling", ("池化",), ("池化",), "One number a window.", "04"),
]
LONG = Term("overlapping pooling", ("重叠池化",), ("重疊池化",), "Windows larger than the stride.", "04")


class Reader(HTMLParser):
    """Addresses, ids, headings and pictures of a page."""

    def __init__(self, page):
        super().__init__()
        self.hrefs, self.sources, self.ids, self.headings, self.alts, self.tags = [], [], [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        self.hrefs += [found["href"]] if tag in ("a", "link") and "href" in found else []
        self.sources += [found["src"]] if "src" in found else []
        self.ids += [found["id"]] if "id" in found else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        self.alts += [found.get("alt")] if tag == "img" else []


def read(book):
    return {path.relative_to(book): Reader(path.read_text("utf-8")) for path in book.rglob("*.html")}


def test_links_lead_somewhere_and_nothing_is_loaded_from_elsewhere(book):
    found = read(book)
    assert {path.as_posix() for path in found} == {
        "index.html", "glossary.html", "mistakes.html", "numbers.html", "curves.html",
        "00_small.html", "00_small.slides.html", "01_next.html", "01_next.slides.html",
        "engine/tinyalex.layers.activation.html", "engine/tinyalex.layers.columns.html",
        *(f"engine/lessons.paper_numbers.{name}.html" for name in ("learning", "net", "published", "runs")),
        "engine/lessons.wall.bugs.html",
    }  # fmt: skip
    for path, page in found.items():
        assert len(set(page.ids)) == len(page.ids), path
        for address in page.hrefs + page.sources:
            if address.startswith("data:"):
                continue
            assert not re.match(r"\w+:|//", address), (path, address)
            target, _, part = address.partition("#")
            file = (book / path.parent / target).resolve() if target else book / path
            assert file.is_file(), (path, address)
            if part:
                assert part in found[file.relative_to(book.resolve()) if target else path].ids, (path, address)


def test_headings_do_not_jump_and_pictures_are_described(book):
    for path, page in read(book).items():
        assert page.headings.count(1) == 1 and page.headings[0] == 1, path
        assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False)), path
        assert all(alt and len(alt) >= 25 for alt in page.alts), path
        assert [found["lang"] for tag, found in page.tags if tag == "html"] == ["en"]
        assert "#content" in page.hrefs and "content" in page.ids


def test_page_of_a_lesson(book):
    page = (book / "00_small.html").read_text("utf-8")
    solution = re.search(r'<details class="solution">.*?</details>', page, re.DOTALL)[0]
    assert "positive" in solution and "np" in solution and "zeros_like" not in page.replace(solution, "")
    assert "Write your own first.</summary>" in solution  # no exercise: the tutor does not know this function
    assert page.count("The output is 0 for inputs from -2 to 0") == 2  # as alt text, and as the caption
    assert re.sub(r"<[^>]+>", "", page).count('show(fig, alt="...")') == 1  # the source of the cell leaves it out
    line = 1 + Path(notebooks.PACKAGE, "layers", "columns.py").read_text("utf-8").splitlines().index(
        next(
            line
            for line in Path(notebooks.PACKAGE, "layers", "columns.py").read_text("utf-8").splitlines()
            if line.startswith("def im2col(")
        )
    )
    assert f'<a class="engine" href="engine/tinyalex.layers.columns.html#L-{line}">' in page
    assert f"line {line}: <code>im2col</code>" in page
    assert '<a class="term" href="glossary.html#chain-rule">chain rule' in page and '<span lang="zh-Hans">链式法则</span>' in page
    assert page.count('href="glossary.html#relu"') == 1
    assert "<table>" in page and 'style="text-align:right"' in page and 'rel="next" href="01_next.html"' in page


def test_line_of_the_engine_is_marked_and_not_a_stop_of_the_keyboard(book):
    """The anchor itself is empty, so the number after it must be what is marked."""
    page = (book / "engine" / "tinyalex.layers.columns.html").read_text("utf-8")
    assert '<a id="L-12" name="L-12"></a><a tabindex="-1" href="#L-12"><span class="linenos">' in page
    assert page.count('tabindex="-1" href="#L-') == page.count('href="#L-')
    assert ".engine .code a:target + a .linenos" in (book / "book.css").read_text("utf-8")


def test_command_writes_where_tinyalex_lessons_looks(built, tmp_path, capsys):
    assert BOOK == command.BOOK
    assert main(["book", "--from", str(built), "--out", str(tmp_path / "a" / "b")]) == 0
    assert capsys.readouterr().out == f"16 pages; open {tmp_path / 'a' / 'b' / 'index.html'}\n"
    assert (tmp_path / "a" / "b" / "index.html").is_file()


def write(source, **changed):
    settings = {
        "who": "03_x",
        "engine": Engine(notebooks.PACKAGE.parent),
        "glossary": Glossary([*TERMS, LONG]),
        "pages": {"04": "04_y.html"},
    }
    settings["images"] = lambda source: source
    return Text(**settings | changed).blocks(source)


def html(source, **changed):
    return "".join(block.html for block in write(source, **changed))


def test_terms_are_explained_once_the_longest_first_and_never_in_code_or_headings():
    made = html("## Pooling\n\nOverlapping pooling: its stride, two strides, `stride`, pooling, poolings and [a stride](#here).")
    assert re.findall(r'href="glossary.html#([\w-]+)">([\w ]+)', made) == [
        ("overlapping-pooling", "Overlapping pooling"), ("stride", "stride"), ("pooling", "pooling"),
    ]  # fmt: skip
    assert "步幅，步长</span> / " in made and "步長" in made and "池化</span>: One" in made
    assert "upstride" in html("upstride") and "glossary" not in html("upstride prestrided")


def test_lessons_and_files_become_links():
    made = html("Lesson 04, lesson 05, [next](04_overlapping.ipynb), [page](https://example.org) and [file](../tinyalex/loss.py).")
    assert 'Lesson <a href="04_y.html">04</a>' in made and "lesson 05" in made and '<a href="04_y.html">next</a>' in made
    assert 'href="engine/tinyalex.loss.html"' in made and 'href="https://example.org"' in made
    assert 'href="engine/lessons.mine.html"' in html("[yours](mine.py)")


def test_names_of_a_paragraphs_file_become_links():
    [block] = write("`conv2d` and `Conv2d.forward` in `tinyalex/layers/conv.py`, and `positive`.")
    assert [place.name for place in block.places] == ["conv2d", "Conv2d.forward"] and "<code>positive</code>" in block.html
    assert block.html.count('class="engine"') == 3
    lines = Path(notebooks.PACKAGE, "layers", "conv.py").read_text("utf-8").splitlines()
    assert lines[block.places[0].line - 1].startswith("def conv2d(") and lines[block.places[0].end - 1].startswith("    return")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("See `tinyalex/layers/conv.py: conv3d`.", "03_x: tinyalex/layers/conv.py must define what the lesson names, got conv3d"),
        ("See `tinyalex/layers/convolution.py`.", "03_x: file of the engine must be there, got tinyalex/layers/convolution.py"),
        ("[a](04.md)", "03_x: link must lead to a lesson or to a file of the repository, got '04.md'"),
        ("[a](../../etc/passwd)", "03_x: link must lead to a lesson or to a file of the repository, got "),
        ("![](a.png)", "03_x: picture must have an alt text, got none for a.png; write ![alt](file)"),
        (r"$\unknown x$", r"03_x: formula must hold known commands only, got '\\unknown'"),
        (r"$$\begin{flalign} a &= b \end{flalign}$$", "03_x: formula must "),
        (r"$\frac{1}{$", "03_x: formula must be LaTeX that becomes MathML, got "),
    ],
)
def test_what_leads_nowhere_or_cannot_be_shown_is_refused(source, message):
    with refuses(LessonError, message):
        html(source)


def test_formulas():
    made = html(
        r"$$\begin{aligned} a &= b \\ &= c \end{aligned}$$ and $x_i \le \left\lfloor y \right\rfloor$" + "\n\n" + r"$a < b$ costs $5."
    )
    assert made.count("<math ") == 3 and "<mtable" in made and "text-align: right" in made and "columnalign" not in made
    assert 'alttext="a &lt; b"' in made and "costs $5." in made
    assert "display" in mathml("x", True, "x") and 'display="inline"' in mathml("x", False, "x")


@pytest.mark.parametrize("words", ["4.2 put in", "put in 4.2", " if ", "product rule, chain rule", "5"])
def test_words_of_a_formula_keep_their_spaces(words):
    made = unescape(mathml(rf"x \text{{{words}}}", True, "x"))
    assert f"<mtext>{words}</mtext>" in made.replace("\u00a0", " ")


def test_signs_keep_their_distance():
    """A browser puts spaces round a bar, and none round an equals sign between two texts."""
    assert mathml("|x|", False, "x").count('<mo stretchy="false" lspace="0" rspace="0">&#x0007C;</mo>') == 2
    assert "<mi>dx</mi><mo>&#x0003D;</mo><mtext>dout</mtext>" in mathml(r"\text{dx} = \text{dout}", True, "x")


def test_long_lines_of_code_know_their_indentation():
    lines = re.findall(r'<span class="line"( style="--in: \d+")?>', python("for x in y:\n    if x:\n        z()\n\nz()"))
    assert lines == ["", ' style="--in: 4"', ' style="--in: 8"', "", ""]
    code = 'def f(x):\n    """One\n    two"""'
    assert unescape(re.sub(r"<[^>]+>", "", python(code))).strip() == code


def test_lines_of_a_table_are_not_wrapped():
    found = list(_wrapped("a  1\nb  2\na long sentence"))
    assert found == ["a  1\n", "b  2\n", '<span class="line">a long sentence</span>']
    assert list(_wrapped("one  gap\nis none")) == ['<span class="line">one  gap\n</span>', '<span class="line">is none</span>']


def test_mistake_leads_to_the_part_of_its_first_lesson(monkeypatch, tmp_path):
    path = tmp_path / "mistakes.toml"
    row = '[[topic]]\nname = "T"\n[[topic.mistake]]\nsaid = "It is e^-x + F0^2."\ntrue = "No."\nlessons = ["03", "04", "05"]\n'
    path.write_text('intro = "x"\n' + row, "utf-8")
    monkeypatch.setattr(pages, "MISTAKES", path)
    made = pages._mistakes({"03": "03_x.html", "04": "04_y.html"}, {"03": "#part-9", "04": "#part-9"})
    assert '<a href="03_x.html#part-9">03</a> <a href="04_y.html">04</a> 05' in made
    assert "It is e<sup>-x</sup> + F0<sup>2</sup>." in made


def test_names_of_functions_keep_their_distance():
    space = '<mspace width="0.17em" /></mrow>'
    assert f"<mi>log</mi>{space}<mi>p</mi>" in mathml(r"-\log p", True, "x")
    assert space not in mathml(r"\log(p)", True, "x") and mathml(r"\log\exp x_i", True, "x").count(space) == 2
    assert f"<msup><mrow><mi>sin</mi>{space}" in mathml(r"\sin^2 x", True, "x")


def test_wide_formulas_run_over_the_whole_width():
    short, formula = write("Some words.\n\n$x$ is so.\n\n$$a = b$$"), write(r"$$\begin{array}{ll} a & b \end{array}$$")
    assert [block.formula for block in [*short, *formula]] == [False, False, True, True]
    assert not short[-1].wide and formula[0].wide
    assert _cut([*short, *formula]) == 4 and _cut([*formula, *short]) == 1 and _cut([]) == 0
    note = write(r"$$\text{dx}[n,c,h,w] = \sum_{(y,z)\,\text{won by}\,(h,w)} \text{dout}[n,c,y,z] \qquad\qquad (N, C, H, W)$$")
    assert note[0].wide and not write(r"$$\text{out} = \max(0, x) \qquad (N, C)$$")[0].wide
    assert 'class="math inline"' in html("$a = b$")
    assert 'class="math inline wide" tabindex="0"' in html(r"$f'(x) = a b (1 - \tanh(b x)^2) = 0$")
    heading, long = write("## Part\n\n" + "word " * 300)
    assert _cut([*short, heading, long]) == 3 and _cut([heading, *short, long, *short[2:]]) == 5 - 1


def test_html_of_a_lesson_is_shown_as_text():
    assert "&lt;script&gt;" in html("<script>alert(1)</script>")


def test_pictures_of_the_folder_go_into_the_page(folder):
    lesson = lessons_in(folder)[0]
    with refuses(LessonError, "00_small: picture must be a PNG or an SVG of the lessons' folder, got 'a.png'"):
        _embedded(lesson, "a.png")
    (folder / "a.png").write_bytes(b"\x89PNG")
    assert _embedded(lesson, "a.png") == "data:image/png;base64,iVBORw=="


def test_notebook_that_is_missing_or_old_is_refused(folder, tmp_path):
    first, second = lessons_in(folder)
    first.path.write_text(first.path.read_text("utf-8").replace("rises", "climbs"), "utf-8")
    with refuses(LessonError, "00_small: notebook must be in step with its source, got another cell 00-009; python -m lessons build 00"):
        pages.write_book(folder, tmp_path / "book")
    second.notebook.unlink()
    first.path.write_text(first.path.read_text("utf-8").replace("climbs", "rises"), "utf-8")
    with refuses(LessonError, "01_next: notebook must be built from the source, got no 01_next.ipynb"):
        pages.write_book(folder, tmp_path / "book")
    assert not (tmp_path / "book").exists()


def test_link_of_a_page_that_leads_nowhere_is_refused():
    pages._check_links({"a.html": '<a href="b/c.html#x">', "b/c.html": '<p id="x"><a href="../a.html">'})
    for href in ("c.html", "b/c.html#y", "#z"):
        with refuses(LessonError, f"book: each link must lead to a page of the book, got '{href}' on a.html"):
            pages._check_links({"a.html": f'<a href="{href}">', "b/c.html": '<p id="x">'})


def test_term_that_is_not_complete_or_there_twice_is_refused(tmp_path):
    path = tmp_path / "glossary.toml"
    path.write_text('[[term]]\nen = "stride"\nzh = []\nmeans = "x"\nlesson = "03"\n')
    with refuses(LessonError, "glossary.toml: each term must have en, zh, tw, means and lesson, got "):
        read_glossary(path)
    entry = '[[term]]\nen = "{}"\nzh = ["步幅"]\ntw = ["步幅"]\nmeans = "x"\nlesson = "03"\nalso = ["stride"]\n'
    path.write_text(entry.format("step") + entry.format("stepwidth"), "utf-8")
    with refuses(LessonError, "glossary.toml: each term must stand there once, got stride twice"):
        read_glossary(path)


@pytest.mark.parametrize("content", [b'[[term]]\nen = "stride', b'en = "\xff"'])
def test_file_that_is_no_toml_is_refused(tmp_path, monkeypatch, built, content):
    path = tmp_path / "glossary.toml"
    path.write_bytes(content)
    with refuses(LessonError, "glossary.toml: file must be TOML, got "):
        read_glossary(path)
    monkeypatch.setattr(pages, "MISTAKES", path)
    with refuses(LessonError, "glossary.toml: file must be TOML, got "):
        pages.write_book(built, tmp_path / "book")


NUMBERS = {lesson.number for lesson in lessons_in(FOLDER)}


def test_mistakes_name_lessons_and_say_what_is_so():
    document = tomllib.loads(pages.MISTAKES.read_text("utf-8"))
    found = [mistake for topic in document["topic"] for mistake in topic["mistake"]]
    assert len(found) >= 35 and len({mistake["said"] for mistake in found}) == len(found)
    for mistake in found:
        assert mistake["lessons"] and set(mistake["lessons"]) <= NUMBERS, mistake
        assert mistake["said"].endswith((".", ").")) and mistake["true"].endswith(".") and "!" not in mistake["true"]


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_every_colour_can_be_read_on_light_and_on_dark_screens(book):
    from pygments.styles import get_style_by_name

    variables = [
        dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        for block in re.findall(r":root \{(.*?)\}", (book / "book.css").read_text(), re.DOTALL)
    ]
    assert len(variables) == 2 and variables[0].keys() == variables[1].keys()
    for colours, style in zip(variables, (pages.LIGHT, pages.DARK), strict=True):
        for name in ("text", "soft", "link", "mark"):
            assert min(contrast(colours[name], colours[ground]) for ground in ("page", "card")) >= 4.5, name
        assert contrast(colours["note"], colours["note-text"]) >= 4.5
        for token, look in get_style_by_name(style):
            if look["color"] and "Generic" not in str(token) and "Error" not in str(token):
                assert contrast("#" + look["color"], colours["card"]) >= 4.5, (style, token)
