"""Two small lessons, built once: what the builders are tested with, however many lessons there are."""

import shutil
from pathlib import Path

import pytest

from lessons import notebooks
from lessons.book.pages import write_book
from tinyalex.tutor.syllabus import FOLDER, lessons_in

SMALL = Path(__file__).parent / "small"


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A folder with the two lessons and their notebooks, run in full. Not to be changed: see `folder`."""
    made = tmp_path_factory.mktemp("small")
    shutil.copytree(SMALL, made, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TINYALEX_FAST", raising=False)
        patch.setenv("TINYALEX_DATA", str(made / "nowhere"))  # a lesson must not look there
        for lesson in lessons_in(made):
            notebooks.build(lesson)
    return made


@pytest.fixture
def folder(built, tmp_path):
    """A copy of `built` that may be changed."""
    shutil.copytree(built, tmp_path / "lessons")
    return tmp_path / "lessons"


@pytest.fixture(scope="session")
def book(built, tmp_path_factory):
    """The book of the two lessons."""
    out = tmp_path_factory.mktemp("book")
    write_book(built, out)
    return out


@pytest.fixture(scope="session")
def whole_book(tmp_path_factory):
    """The book of the repository's own lessons."""
    out = tmp_path_factory.mktemp("whole")
    write_book(FOLDER, out)
    return out
