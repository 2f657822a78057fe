"""The glossary: whole in English and in both Chinese scripts, with every technical word of the lessons, the tutor and the commands."""

import re
from pathlib import Path

import pytest

from lessons.book import pages
from lessons.book.glossary import read_glossary
from tests.chinese import HAN, OF_MAINLAND, TERMS, of_another_script
from tinyalex.tutor.finding import catalogue
from tinyalex.tutor.syllabus import FOLDER, lessons_in

GLOSSARY = read_glossary(pages.GLOSSARY)
FORMS = {form.lower() for term in GLOSSARY.terms for form in (term.en, *term.also)}
BOLD = re.compile(r"\*\*([a-z][a-z -]*)\*\*")
STRESSED = set(  # words in bold that are no terms: words that are stressed, and names that a lesson gives to something on its own page
    "measures add adds sum mean every keeps wins winner reads is here small present pull scatter depends cell sheet scale field connection"
    " link exchange column gap chain linear groups map scores step error centered one-sided chord hidden saturates saturated rate dead"
    " inverted convolutional up dx factor inputs and code cover first if neighbors or p shuffled smooth added operations ratios sgemm"
    " gather lane launch transfer cases s again branch explodes plain residual".split()
) | {
    "for every step", "every k", "every n", "for each weight", "used twice", "lie on", "reach the end", "above the line", "below the line",
    "direct term", "mirrored window", "neighboring channels", "halved net", "training images", "fully connected", "arithmetic mean",
    "together with", "a little", "by a lot", "exactly the same", "feature activation vector", "first-order guess", "gray share",
    "plain functions", "waits for memory", "bound check", "simulated card", "all three",
}  # fmt: skip
# Technical words that stand in the tutor's messages or in the help of the commands, beside those of the glossary that lessons explain.
WORDS = re.compile(
    r"\b(arrays?|axis|shapes?|slices?|views?|tuples?|loops?|global variable|indices|overflows?|logits?|strides?|padding|kernels?|channels?"
    r"|checkpoints?|threads?|devices?|towers?|defaults?|synthetic|momentum|weight decay|learning rate"
    r"|epochs?|dropout|batch(?:es)?|logarithms?"
    r"|top-5 error|accuracy|precision|memory|masks?|seeds?|gradients?|labels?|class(?:es)?|filters?|float32|float64|arguments?)\b",
    re.IGNORECASE,
)
FORMS_OF = {"precision": "single precision", "top-5 error": "top-5 error"}


def known(words):
    singular = re.sub(r"(?<=[a-z])s$", "", words)
    return bool({words, singular, re.sub(r"es$", "", words), FORMS_OF.get(words, "")} & FORMS)


def terms_of(lesson):
    """The words in bold of the first eight parts of a lesson: there they are terms that are explained."""
    text = re.sub(r"\n# ?", " ", lesson.path.read_text("utf-8").partition("## 9. ")[0])
    return {" ".join(words.split()) for words in BOLD.findall(text) if len(words.split()) <= 3}


def test_terms_are_whole():
    for term in GLOSSARY.terms:
        assert re.fullmatch(r"\d\d", term.lesson) and term.means.endswith(".") and "!" not in term.means, term
        assert any(re.search(HAN, one) for one in term.zh) or term.en in ("im2col", "col2im"), term
        assert all(one.strip() == one and ";" not in one and "；" not in one for one in (*term.zh, *term.tw)), term
        assert len(set(term.zh)) == len(term.zh) and len(set(term.tw)) == len(term.tw), term
    assert len({term.name for term in GLOSSARY.terms}) == len(GLOSSARY.terms)


@pytest.mark.parametrize("lesson", lessons_in(FOLDER), ids=lambda lesson: lesson.number)
def test_every_term_that_a_lesson_explains_is_there(lesson):
    assert {words for words in terms_of(lesson) if not known(words)} <= STRESSED


def test_technical_words_of_tutor_and_commands_are_there():
    texts = [*catalogue("en").values(), *(path.read_text("utf-8") for path in Path("tinyalex/commands").resolve().glob("*.py"))]
    used = {found.lower() for text in texts for found in WORDS.findall(text)}
    assert len(used) > 40 and {word for word in used if not known(word)} == set()
    assert not known("broadcasting")  # the check can fail


def test_each_script_has_its_own_characters():
    for term in GLOSSARY.terms:
        assert not of_another_script("".join(term.zh), traditional=False), term
        assert not of_another_script("".join(term.tw), traditional=True), term
    assert of_another_script("反向传播", traditional=True) == "传" and of_another_script("反向傳播", traditional=False) == "傳"


def test_rows_and_columns_are_exchanged_between_the_mainland_and_taiwan():
    """The same two characters mean the opposite: whoever changes the script alone turns every matrix."""
    by = {term.en: term for term in GLOSSARY.terms}
    assert by["row"].zh == ("行",) and by["row"].tw == ("列", "橫列") and by["column"].zh == ("列",) and by["column"].tw == ("行", "直行")


def test_taiwan_has_its_own_terms_and_the_mainland_too():
    for term in GLOSSARY.terms:
        for one in term.tw:
            rest = re.sub("|".join(TERMS.values()), " ", one)  # such a term may hold one of the mainland, as the Chinese for algorithm
            assert not any(wrong in rest for wrong in OF_MAINLAND), term
        for mainland, taiwan in TERMS.items():
            if mainland in term.zh[0]:
                assert taiwan in term.tw[0], (term, mainland, taiwan)
            assert not any(taiwan in one for one in term.zh), term
