"""The book in a browser: it opens from the file system, asks for nothing, and nothing is too wide, empty or out of reach."""

import re

import pytest

from tests.lessons.browser import CHROMIUM, measured, run
from tinyalex.tutor.syllabus import FOLDER, lessons_in

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")


@pytest.fixture(scope="module")
def narrow(book, tmp_path_factory):
    return measured(book, tmp_path_factory.mktemp("narrow"), 400)


@pytest.fixture(scope="module")
def dark(book, tmp_path_factory):
    return measured(book, tmp_path_factory.mktemp("dark"), 1300, "--blink-settings=preferredColorScheme=0")


def test_nothing_is_asked_for(narrow, dark):
    assert narrow[1] == dark[1] == []


@pytest.mark.parametrize("width", [400, 1300])
def test_no_page_is_wider_than_the_window(narrow, dark, width):
    for page, found in (narrow if width == 400 else dark)[0].items():
        assert found["width"] == width
        assert found["scroll"] <= width and not found["wide"], (page, found["wide"])


@pytest.mark.parametrize("width", [400, 1300])
def test_tables_of_terms_and_mistakes_are_seen_as_a_whole(narrow, dark, width):
    assert all(not found["cut"] for found in (narrow if width == 400 else dark)[0].values())


def test_formulas_and_pictures_have_a_size(narrow):
    for page, found in narrow[0].items():
        assert not found["flat"] and not found["blank"], (page, found)
    assert narrow[0]["00_small.html"]["math"] == 5 and narrow[0]["00_small.html"]["images"] == 2


def test_notes_of_the_glossary_show_with_the_keyboard(narrow):
    assert len(narrow[0]["00_small.html"]["notes"]) >= 4
    assert all(all(found["notes"]) for found in narrow[0].values())


def test_arrow_keys_turn_slides(dark):
    for name in ("00_small.slides.html", "01_next.slides.html"):
        assert dark[0][name]["turned"] and dark[0][name]["home"], dark[0][name]
        assert dark[0][name]["rest"], "the rest of a high slide cannot be read"


def test_dark_and_light(narrow, dark):
    assert {found["background"] for found in narrow[0].values()} == {"rgb(255, 255, 255)"}
    assert {found["background"] for found in dark[0].values()} == {"rgb(21, 24, 28)"}


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1300] if lessons_in(FOLDER) else [])
def test_book_of_the_repository(whole_book, tmp_path, width):
    """All that is said above holds for every page of the lessons there are."""
    results, asked = measured(whole_book, tmp_path, width)
    assert not asked
    for page, found in results.items():
        assert found["scroll"] <= width and not found["wide"], (page, found["wide"])
        assert not found["flat"] and not found["blank"] and all(found["notes"]) and found.get("turned", True), (page, found)
        assert found["images"] or "slides" not in page, page


SCREENS = [(1280, 720), (1024, 768)]
LEAST_LETTERS = 1 / 45  # of the window's height: the letters of code and outputs, which are the smallest ones


def too_large_or_small(found, width, height):
    """The slides that a class could not read: their names, and what is wrong."""
    for slide in found["slides"]:
        if slide["height"] > height + 1 or slide["low"] > slide["height"] or slide["right"] > width:
            yield slide["name"], "overflows"
        if slide["letters"] < LEAST_LETTERS * height:
            yield slide["name"], "small letters"
        if any(picture < 0.35 * height for picture in slide["pictures"]):
            yield slide["name"], "small picture"


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), SCREENS if lessons_in(FOLDER) else [])
def test_slides_of_the_repository_can_be_read_from_the_last_row(whole_book, tmp_path, width, height):
    results, _ = measured(whole_book, tmp_path, width, height=height, pages="*.slides.html")
    assert len(results) == len(lessons_in(FOLDER))
    for page, found in results.items():
        assert len(found["slides"]) >= 20, page
        assert not list(too_large_or_small(found, width, height)), page


@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_slides_can_be_read_from_the_last_row(book, tmp_path, width, height):
    results, _ = measured(book, tmp_path, width, height=height, pages="*.slides.html")
    for page, found in results.items():
        assert found["slides"] and not list(too_large_or_small(found, width, height)), page


def test_slide_that_cannot_be_read_would_be_seen(book, tmp_path):
    """The check can fail: 40 lines, a long word, small letters, a small picture. The first two are what the script cannot mend."""
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    for name in ("book.css", "slides.js"):
        (spoilt / name).write_bytes((book / name).read_bytes())
    page = (book / "00_small.slides.html").read_text("utf-8")
    bodies = ["<p>line</p>" * 40, '<pre class="code">' + "x" * 200 + "</pre>", '<p style="font-size: 9px">small</p>',
              '<figure style="flex: none; height: 90px"><img src="data:," alt=""></figure>']  # fmt: skip
    slides = "".join(f'<section class="slide" id="s{at}">{body}</section>' for at, body in enumerate(bodies))
    (spoilt / "a.slides.html").write_text(re.sub(r"<main.*</main>", f"<main>{slides}</main>", page, flags=re.DOTALL), "utf-8")
    results, _ = measured(spoilt, tmp_path, 1280, height=720)
    assert {*too_large_or_small(results["a.slides.html"], 1280, 720)} >= {
        ("s0", "overflows"), ("s1", "overflows"), ("s2", "small letters"), ("s3", "small picture"),
    }  # fmt: skip


def test_a_request_would_be_seen(book, tmp_path):
    """The check can fail: a page that asks for a picture elsewhere, and one that is too wide."""
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    (spoilt / "a.html").write_text('<body><main><img src="http://example.invalid/a.png" alt=""><p style="width: 900px">x</p></main></body>')
    results, asked = measured(spoilt, tmp_path, 400)
    assert asked == ["http://example.invalid/a.png"]
    assert results["a.html"]["scroll"] > 400 and results["a.html"]["wide"] and results["a.html"]["blank"] == 1


def test_print_leaves_solutions_and_navigation_out(book, tmp_path):
    run(tmp_path, book / "00_small.slides.html", f"--print-to-pdf={tmp_path / 'slides.pdf'}", "--no-pdf-header-footer")
    pages = re.findall(rb"/Type\s*/Page\b", (tmp_path / "slides.pdf").read_bytes())
    assert len(pages) == (book / "00_small.slides.html").read_text("utf-8").count('<section id="s') == 7
