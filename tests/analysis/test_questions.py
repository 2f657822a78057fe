"""The tables about the networks after AlexNet, against arithmetic written out here, and the slips of a lecture that they correct."""

import re

import pytest

from tinyalex.analysis.compare_chart import SLIPS
from tinyalex.analysis.questions import QUESTIONS, aligned, text
from tinyalex.models.later import LATER

FULL = 224 * 224 * 64 * 9 * 64


@pytest.fixture(scope="module")
def answers():
    return {name: question() for name, question in QUESTIONS.items()}


def test_work_of_vgg_follows_the_rule_where_the_table_says_so(answers):
    answer = answers["equal-work"]
    work = {line[0]: line[5] for line in answer.lines}
    assert {name for name, macs in work.items() if macs == FULL} == {"conv1_2", "conv2_2", "conv3_2", "conv3_3", "conv4_2", "conv4_3"}
    assert work["conv1_1"] * 64 == FULL * 3
    assert work["conv2_1"] == work["conv3_1"] == work["conv4_1"] == FULL // 2 and work["conv5_1"] == work["conv5_3"] == FULL // 4
    assert [work[f"stage {i}"] for i in range(1, 6)] == [FULL + FULL * 3 // 64, FULL * 3 // 2, FULL * 5 // 2, FULL * 5 // 2, FULL * 3 // 4]
    for line in answer.lines[:13]:
        product = 1
        for factor in line[4].split(" x "):
            product *= int(factor)
        assert product == line[5]
    assert "15.47 billion" in answer.sentences[-1] and "13.62 billion, which is the lecture's 13.6" in answer.sentences[-1]
    assert "1.047, 1.5, 2.5, 2.5, 0.75" in answer.sentences[3]


def test_stem_is_478_or_481_and_never_418(answers):
    answer = answers["stem"]
    google, vgg = ([line for line in answer.lines if line[0] == net] for net in ("GoogLeNet", "VGG-16"))
    assert google[-1][3:7] == (124_416, 7.465, 118_013_952 + 12_845_056 + 346_816_512, 9 * (56 * 56 * 64 + 28 * 28 * 192))
    assert google[-1][5] == 477_675_520 and google[-1][5] + google[-1][6] == 480_836_608
    assert vgg[-1][3:6] == (1_735_488, 51.297, 9_335_144_448) and google[-2][2] == "192x28x28" and vgg[-2][2] == "256x28x28"
    for net in (google, vgg):
        assert sum(line[5] for line in net[:-1]) == net[-1][5] and sum(line[3] for line in net[:-1]) == net[-1][3]
    said = " ".join(answer.sentences)
    for words in ("478 million", "481 million", "19.5 times", "13.9 times", "6.9 times", "45.9 MiB"):
        assert words in said
    assert "without conv3_3: 42.875 MiB, 1,145,408 and 7,485,456,384." in said


def test_small_kernels_see_as_much_for_less(answers):
    answer = answers["small-kernels"]
    by_name = {line[0]: line for line in answer.lines}
    assert [by_name[name][2] for name in by_name] == [cells * 64 * 64 for cells in (25, 18, 49, 27)]
    assert [by_name[name][3] for name in by_name] == [cells * 64 * 64 * 56 * 56 for cells in (25, 18, 49, 27)]
    assert [by_name[name][4] for name in by_name] == ["5x5", "5x5", "7x7", "7x7"]
    assert by_name["two 3x3"][6] == pytest.approx(2 * by_name["one 5x5"][6], abs=2e-3)
    assert "72 %" in answer.sentences[0] and "55 %" in answer.sentences[0]


def test_bottleneck_sees_less_than_a_basic_block(answers):
    answer = answers["bottleneck"]
    by_name = {line[0]: line for line in answer.lines}
    places = 56 * 56 * 64 * 64
    assert by_name["1 basic block"][3:5] == (18 * places, "5x5") and by_name["1 bottleneck"][3:5] == (17 * places, "3x3")
    assert by_name["2 basic blocks"][3:5] == (36 * places, "9x9") and by_name["2 bottlenecks"][3:5] == (34 * places, "5x5")
    assert by_name["1 bottleneck"][2] == 17 * 64 * 64 + 2 * (64 + 64 + 256)
    assert by_name["ResNet-34"][4] == "899x899" and by_name["ResNet-50"][4] == "427x427"  # published as 899 and 427, or 483 for v1
    assert "a unit sees 3x3" in answer.sentences[1] and "a unit sees 5x5" in answer.sentences[1] and "is false" in answer.sentences[1]


def test_projections_cost_what_they_hold(answers):
    by_name = {line[0]: line for line in answers["shortcuts"].lines}
    for depth in (20, 32, 44, 56, 110):
        line = by_name[f"ResNet-{depth}, CIFAR-10"]
        assert line[3] - line[2] == 16 * 32 + 32 * 64 + 2 * (32 + 64) and line[6] - line[5] == 16 * 16 * 16 * 32 + 8 * 8 * 32 * 64
    line = by_name["ResNet-50, ImageNet"]
    sizes = [(64, 256, 56), (256, 512, 28), (512, 1024, 14), (1024, 2048, 7)]
    assert line[3] == LATER["resnet50"].parameters and line[3] - line[2] == sum(c * k + 2 * k for c, k, _ in sizes)
    assert line[6] - line[5] == sum(c * k * side * side for c, k, side in sizes) and line[1] == 4
    assert by_name["ResNet-18, ImageNet"][1] == 3 and by_name["ResNet-20, CIFAR-10"][4] == 1.02


@pytest.mark.parametrize("name", QUESTIONS)
def test_each_answer_is_a_whole_table_of_lines_that_fit(name, answers):
    answer = answers[name]
    assert len(set(answer.head)) == len(answer.head) and all(len(line) == len(answer.head) for line in answer.lines)
    lines = text(answer)
    assert lines[0] == answer.title and all(len(line) <= 140 and line == line.rstrip() for line in lines)
    assert " ".join(line.strip() for line in lines[-40:]).endswith(" ".join(answer.sentences[-1].split()))


def test_columns_are_as_wide_as_their_cells():
    assert aligned([("net", "n"), ("a", "1,000")], (False, True)) == ["net      n", "a    1,000"]


def test_slips_in_the_caption_of_the_chart_are_what_the_tables_say(answers):
    tables = " ".join(sentence for answer in answers.values() for sentence in answer.sentences)
    for number in re.findall(r"\d+(?:\.\d+)?", SLIPS.replace("2019", "").replace("15.5", "15.47")):
        assert number in tables, number
