"""Chinese is Chinese: no English word stands in a message but names of code, and the short values of a finding are Chinese as well."""

import inspect
import json
import re
import string
import tomllib

import numpy as np
import pytest

from tests.chinese import of_another_script
from tinyalex.errors import show
from tinyalex.tutor import session
from tinyalex.tutor.arrays import LAYOUTS
from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import LANGUAGES, PHRASES, SPOKEN, Finding, catalogue, fields, filled, passed, said
from tinyalex.tutor.other_arguments import OF_ARRAYS
from tinyalex.tutor.source import SubmissionError
from tinyalex.tutor.submission import load, read
from tinyalex.tutor.syllabus import FOLDER

ENGLISH, CHINESE = map(catalogue, LANGUAGES)
GLOSSARY = FOLDER / "glossary.toml"
HAN = "[\u4e00-\u9fff]"
FUNCTIONS = [function for exercise in EXERCISES.values() for function in exercise.functions]
OF_CODE = {  # names of the exercises, which are the same in every language
    *(name for function in FUNCTIONS for name in (function.name, *function.returns, *function.changes)),
    *(name for function in FUNCTIONS for name in inspect.signature(function.right).parameters),
}
NAMES = set(  # of tools, of functions of mathematics, of sizes and layers as the pages of the exercises write them
    "AlexNet NumPy Python Jupyter JSON UTF MiB Ctrl Nesterov ReLU relu tanh sigmoid softmax logit exp ln max min sinh cosh inf NaN"
    " True False None SAME OH OW KH KW dA dB CA dsheet var eps dy conv conv1 conv2 conv3 pool linear float32 float64 assert".split()
)
CODE = re.compile(r"`[^`]*`|\{[^}]*\}|\w+(?:\.\w+)+|\.\w+|\w+\([^()]*\)", re.ASCII)  # in backticks, a field, a.b, .py, a call


def english(text):
    """The words of a text that are neither Chinese nor names of code."""
    return [word for word in re.findall(r"[A-Za-z_]\w+", CODE.sub(" ", text), re.ASCII) if word not in OF_CODE | NAMES]


def test_no_english_word_stands_in_a_chinese_sentence():
    equations = re.compile(r"\.hints\.\w+\.two$")
    left = {key: words for key, text in CHINESE.items() if not equations.search(key) and (words := english(text))}
    assert left == {}
    assert english("你的函数停在 line 7：输入的 shape 不对") == ["line", "shape"]  # the check can fail


def test_chinese_sentences_have_chinese_punctuation_and_one_voice():
    for key, text in CHINESE.items():
        assert not re.search(rf"{HAN}[,;:?!.]|[,;:?!] ?{HAN}|[!！](?!=)|您|显然|简单地|应当", text), (key, text)
        assert not re.search(rf"{HAN} +{HAN}|^ | $", text), (key, text)
        assert not re.search(rf"[A-Za-z0-9`]{HAN}|{HAN}[A-Za-z0-9`]", re.sub(r"`[^`]*`", "``", text)), (key, text)


INSERTED = [
    "line 7", "cell 3, line 2", "a function that it calls", "a result", "another answer", "another shape", "no end", "none", "nothing",
    "another shape than with fewer numbers", "too many brackets in each other", "1.25 or 0", "exit code 3", "signal 9",
    show(np.zeros((3, 4))), show(np.ma.masked_array(np.zeros(3))), show([0] * 2000), *LAYOUTS, *OF_ARRAYS,
]  # fmt: skip


@pytest.mark.parametrize("value", INSERTED)
def test_what_the_code_inserts_is_said_in_both_languages(value):
    assert english(said(CHINESE, value)) in ([], ["list"]) and re.search(HAN, said(CHINESE, value))
    key = value.partition("/")[0].replace(" ", "_")
    assert said(ENGLISH, value) == ENGLISH.get(f"said.{key}", value.replace("masked ", ""))


def test_errors_and_names_are_left_as_they_are():
    for value in ("ValueError: line 7 is wrong", "dx[1, 2]", "(2, 3)", "1.25", 3, "list", "(x, kernel)"):
        assert said(CHINESE, value) == value
    assert all(f"phrase.{key}" in CHINESE for _, key in PHRASES)


def test_every_field_with_words_is_among_those_that_are_spoken():
    words = set("line where made at yours right how layout got error first second wanted sum code kinds".split())
    names = {name for text in CHINESE.values() for _, name, _, _ in string.Formatter().parse(text) if name}
    assert words == SPOKEN and words <= names


def test_chinese_meets_chinese_without_a_space_and_names_with_one():
    words = {"stop": "你的函数在 {line} 停止，{got}不同", "call": "用{probe}调用"}
    assert filled(words | CHINESE, "stop", {"line": "line 7", "got": "dx"}) == "你的函数在第 7 行停止，dx 不同"
    assert filled(words, "call", {"probe": "p = 0.5"}) == "用 p = 0.5 调用"
    assert filled(words, "call", {"probe": "一张图像"}) == "用一张图像调用"
    assert filled(ENGLISH, "submission.missing", {"file": "学习"}).startswith("学习: the file")


def stops(x, kernel, stride):
    return undefined_name  # noqa: F821


def by_layout(x, kernel, stride):
    out = EXERCISES["E06"].function("max_pool").right(x, kernel, stride)
    return out if x.strides[-1] == x.itemsize else 2 * out


def upside_down(x, kernel, stride):
    return EXERCISES["E06"].function("max_pool").right(x[:, :, ::-1].copy(), kernel, stride)


def no_sum(dout, x, kernel, stride):
    dx = EXERCISES["E06"].function("max_pool_backward").right(dout, x, kernel, stride)
    if len(np.unique(x)) < x.size:
        raise ValueError
    return dx


@pytest.mark.parametrize(
    ("name", "student", "says"),
    [
        ("max_pool", stops, "你的函数停在第 "),
        ("max_pool", by_layout, "给出了另一个结果"),
        ("max_pool", upside_down, "它的各行从后往前"),
        ("max_pool", 5, "得到的却是 5。"),
        ("max_pool", np.zeros((3, 4)), "得到的却是形状为 (3, 4) 的 float64 数组。"),
        ("max_pool_backward", no_sum, "dx 的总和是算不出的值"),
    ],
)
def test_findings_are_chinese_as_a_whole(name, student, says):
    finding = examine(EXERCISES["E06"], EXERCISES["E06"].function(name), student)
    assert finding is not None
    text = finding.text("zh")
    assert says in text and "{" not in text, text
    assert text.startswith(f"E06 {name}：") and not re.search(rf"{HAN} {HAN}", text)
    assert set(english(re.sub(r"\w+Error: .*|E06-[\w ]+|layout=\"[^\"]+\"", "", text))) <= {"E06", "nan"}, text


NOTEBOOK = {"cells": [{"cell_type": "code", "source": text} for text in (
    "import numpy as np\nscale = np.ones(3)", "def max_pool(x, kernel, stride):\n    return scale * x", "import no_such_module_at_all",
)]}  # fmt: skip


def test_what_is_wrong_with_a_file_is_chinese_as_a_whole(tmp_path):
    path = tmp_path / "mine.ipynb"
    path.write_text(json.dumps(NOTEBOOK), "utf-8")
    loaded = load(read(path, ["max_pool"]), ["max_pool"])
    numbers = {"error": "NameError: name 'scale' is not defined", "line": "cell 2, line 2"}
    finding = loaded.explained(Finding("contract.raises", "E06", "max_pool", "contract", numbers=numbers))
    error = str(SubmissionError(finding.key.partition(".")[2], "zh", **finding.numbers))
    assert "在第 2 个单元格第 2 行用到了 `scale`" in error and "由第 1 个单元格第 2 行的其他代码产生" in error and english(error) == []
    path = tmp_path / "mine.py"
    path.write_text("def max_pool(x, kernel, stride):\n    return x)\n", "utf-8")
    with pytest.raises(SubmissionError) as caught:
        read(path, ["max_pool"])
    assert "但第 2 行有错误“unmatched ')'”" in str(caught.value.said_in("zh"))
    with pytest.raises(SubmissionError) as caught:
        read(tmp_path / "mine", ["max_pool"])
    assert "得到的是没有扩展名" in str(caught.value.said_in("zh"))


def test_hints_and_what_comes_next_are_chinese_as_a_whole(capsys):
    session.hint("E06", "max_pool_backward", "zh")
    out = capsys.readouterr().out
    assert re.match(r"max_pool_backward，提示 \d / 3：一个像素", out) and english(out) == []
    assert passed("zh", "E12", ["exchange"], 8, "exchange_backward") == "E12 exchange：全部 8 次调用都正确。接下来：exchange_backward"


def test_sentences_name_the_same_values_in_both_languages():
    assert ENGLISH.keys() == {key for key in CHINESE if ".probes." not in key}  # an exercise itself describes its calls in English
    spoken = {key for key in ENGLISH if fields(ENGLISH[key]) != fields(CHINESE[key])}
    assert spoken == set()
    for key in ENGLISH:  # and functions of NumPy and of the tutor
        calls = [set(re.findall(r"\b(np\.\w+|tutor\.\w+)", text, re.ASCII)) for text in (ENGLISH[key], CHINESE[key])]
        assert calls[0] == calls[1], key


# What a reader of the mainland calls otherwise, or what has two meanings where it would stand: the word, and what the tutor says for it.
ONE_WORD = {
    "滤镜": "滤波器", "过滤器": "滤波器", "步长数": "步幅", "陣列": "数组", "参量": "参数", "矢量": "向量", "补零": "填充",
    "汇聚": "池化",
    "冲量": "动量", "权值": "权重", "偏差": "偏置", "缺省": "默认", "信息熵": "交叉熵", "字典数组": "字典", "列方向": "逐列",
    "行方向": "逐行",
    "向下": "编号小的一侧", "转折点": "折点", "标准化": "归一化", "规范化": "归一化", "卷积核组": "滤波器",
}  # fmt: skip
ALLOWED = {"向下": {"取整", "移了一行"}}


def other_words(text):
    """The words of a text that the tutor says otherwise."""
    found = {word for word in ONE_WORD if word in text}
    return {word for word in found if not any(f"{word}{after}" in text for after in ALLOWED.get(word, ()))}


def test_one_thing_has_one_name_in_simplified_characters():
    assert {key: left for key, text in CHINESE.items() if (left := other_words(text) or of_another_script(text, traditional=False))} == {}
    assert other_words("窗口向下 n // 2 个") == {"向下"} and not other_words("尺寸向下取整")
    assert of_another_script("你的參數", traditional=False) == "參數"


def test_terms_are_those_of_the_glossary():
    """The Chinese word for each of these stands in the glossary, and where the English sentence has the one, the Chinese has the other."""
    terms = {term["en"]: term["zh"] for term in tomllib.loads(GLOSSARY.read_text("utf-8"))["term"]}
    for english_word, forms in (
        ("padding", ("填充", "`padding")), ("channel", ("通道",)), ("stride", ("步幅", "stride")), ("gradient", ("梯度",)),
        ("mask", ("掩码", "mask")), ("weight decay", ("权重衰减",)), ("logarithm", ("对数",)), ("probability", ("概率",)),
        ("array", ("数组",)),
    ):  # fmt: skip
        assert any(form in terms[english_word] for form in forms), english_word
        pattern = re.compile(rf"(?<![\w`.]){english_word}s?(?![\w`(])")
        missing = [key for key, text in ENGLISH.items() if pattern.search(text) and not any(form in CHINESE[key] for form in forms)]
        assert len(missing) <= 0.1 * sum(bool(pattern.search(text)) for text in ENGLISH.values()), (english_word, missing)
