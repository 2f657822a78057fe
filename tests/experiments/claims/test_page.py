"""Values, verdicts and the page, from runs with planted outcomes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.experiments.claims.fakes import IMAGES, make_outcome, make_run, make_work, plant
from tinyalex.experiments.claims.alexnet import ALEXNET, CLAIMS, VARIANTS
from tinyalex.experiments.claims.job import Job
from tinyalex.experiments.claims.page import OF_CLAIMS, PAGES, files_of, page_of, sentences
from tinyalex.experiments.claims.result import result
from tinyalex.experiments.claims.values import value_of

REPOSITORY = Path(__file__).parents[3]


def document_of(folder, *names, seeds=3):
    return json.loads(json.dumps(result(make_work(*names, seeds=seeds), folder)))


def plain(page):
    """The page without its line ends."""
    return " ".join(page.split())


def pairs(better, worse, values, base=0.4):
    """Runs whose test error differs by `values` points, one a seed."""
    for seed, value in enumerate(values):
        yield make_run(better, seed, make_outcome(base))
        yield make_run(worse, seed, make_outcome(base + value / 100))


@pytest.mark.parametrize(
    ("claim", "better", "worse", "value"),
    [
        ("pooling", make_outcome(0.40), make_outcome(0.43), 3),
        ("pooling", make_outcome(0.43), make_outcome(0.40), -3),
        ("decay", make_outcome(train=(0.5, 0.4, 0.30)), make_outcome(train=(0.5, 0.4, 0.36)), 6),
        ("overfitting", make_outcome(0.40, train=(0.5, 0.4, 0.38)), make_outcome(0.41, train=(0.4, 0.2, 0.1)), 29),
        ("views", make_outcome(0.40, ten=0.385), make_outcome(0.40, ten=0.385), 1.5),
        ("pair", make_outcome(0.3, ten=0.20), make_outcome(0.2, ten=0.22), 2),
        ("towers", make_outcome(colors=(0.0, 0.3)), make_outcome(colors=(0.5, 0.1)), 20),
        ("iterations", make_outcome(train=(0.5, 0.5, 0.1)), make_outcome(train=(0.1, 0.1, 0.1)), 2),
        ("iterations", make_outcome(train=(0.6, 0.5, 0.1)), make_outcome(train=(0.7, 0.6, 0.1)), 0.75),
    ],
)
def test_value_is_above_no_effect_where_the_paper_is_right(claim, better, worse, value):
    assert value_of(CLAIMS[claim], better, worse) == pytest.approx(value)


def test_iterations_count_only_epochs_at_the_first_rate_and_average_the_last_three():
    rates = (0.01, 0.01, 0.01, 0.01, 0.001)
    better, worse = (make_outcome(train=train, lr=rates) for train in ((0.8, 0.7, 0.6, 0.5, 0.2), (0.8, 0.5, 0.4, 0.3, 0.1)))
    assert value_of(CLAIMS["iterations"], better, worse) == pytest.approx(3 / (1 + 0.2 / 0.3))  # to 0.6


def test_a_run_that_diverged_gives_no_value(tmp_path):
    assert value_of(CLAIMS["pooling"], make_outcome(), make_outcome(diverged="loss must be finite, got nan")) is None
    plant(tmp_path, *pairs("base", "mean-pools", [1.0, 2.0]), make_run("base", 2), make_run("mean-pools", 2, make_outcome(diverged="x")))
    claim = document_of(tmp_path, "average")["claims"]["average"]
    assert claim["diverged_seeds"] == [2] and list(claim["values"]) == ["0", "1"]
    assert f"| {claim['verdict']}; diverged with seed 2 |" in page_of(document_of(tmp_path, "average"))
    assert f"mean-pools-seed2 | {VARIANTS['mean-pools'].text} (diverged) |" in page_of(document_of(tmp_path, "average"))


@pytest.mark.parametrize(
    ("values", "verdict"), [([3.0, 3.1, 2.9], "seen"), ([-3.0, -3.1, -2.9], "the other way"), ([3.0, -3.1, 0.2], "not seen")]
)
def test_planted_effects_get_their_verdicts(values, verdict, tmp_path):
    plant(tmp_path, *pairs("base", "no-conv4", values))
    document = document_of(tmp_path, "depth")
    claim = document["claims"]["depth"]
    assert claim["verdict"] == verdict and claim["mean"] == pytest.approx(sum(values) / 3) and document["finished"]
    assert [claim["values"][str(seed)] for seed in range(3)] == pytest.approx(values)
    assert claim["low"] < claim["mean"] < claim["high"]
    page = page_of(document)
    assert f"{claim['mean']:.2f} points ({claim['low']:.2f} to {claim['high']:.2f}) | 3 | {verdict} |" in page
    assert any(line.startswith("depth, section 3.5, 7: test error, lower by ") and verdict in line for line in sentences(document))


def test_page_says_what_is_running_and_what_was_not_run(tmp_path):
    plant(tmp_path, *pairs("base", "no-conv4", [1.0, 1.1]), make_run("base", 2), make_run("half-maps", 0))
    document = document_of(tmp_path, "depth", "halves", "pooling")
    assert not document["finished"] and (document["runs_done"], document["runs_planned"]) == (6, 12)
    verdicts = {name: claim["verdict"] for name, claim in document["claims"].items()}
    assert verdicts["depth"] == "seen" and verdicts["halves"] == "one seed so far" and verdicts["pooling"] == "running"
    assert verdicts["pair"] == verdicts["towers"] == "not run"
    page = page_of(document)
    assert "**Still running: 6 of 12 runs are finished.**" in page
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in page.splitlines() if line.startswith("| ")}
    assert rows[CLAIMS["depth"].title].endswith("| 2 | seen; running, 2 of 3 seeds |")
    assert rows[CLAIMS["halves"].title].endswith("| 1 | running, 1 of 3 seeds |")
    assert rows[CLAIMS["pooling"].title].endswith("| – | 0 | running |")
    assert rows[CLAIMS["pair"].title].endswith("| – | 0 | not run |")


def test_page_of_no_run_at_all(tmp_path):
    document = document_of(tmp_path)
    assert "0 of 39 runs are finished" in page_of(document) and "30 epochs of the training images" in plain(page_of(document))
    Job(tmp_path, make_work(), lambda line: None).write()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "result.json"]


def test_page_says_which_images_and_no_number_of_it_is_typed(tmp_path):
    plant(tmp_path, *pairs("base", "no-conv4", [1.0, 1.5, 2.0]))
    page = page_of(document_of(tmp_path, "depth"))
    assert "CIFAR-10 (JPEG-recompressed copy)" in plain(page) and "tinyalex claims --out here" in page and "synthetic" not in page
    other = tmp_path / "other"
    synthetic = {"images": IMAGES | {"data": "synthetic", "note": "synthetic shapes, seed 0"}}
    plant(other, replace(make_run(), settings=make_run(**synthetic).settings))
    assert "**synthetic** images that a program drew" in plain(page_of(document_of(other, "views")))
    assert max(len(line) for line in page.splitlines() if not line.startswith(("|", "!"))) <= 140


def test_budget_is_that_of_the_finished_runs(tmp_path):
    plant(tmp_path, make_run("base", 0, lr=0.5, batch_size=32))
    page = plain(page_of(document_of(tmp_path)))
    assert "3 epochs of 10,000 training images (and 10,000 for testing), 21 parameters an image" in page
    assert "Batches of 32, rate 0.5," in page
    assert "8 epochs of the training images" in page and "short: 939 steps, where" in page


def test_table_of_runs_has_every_run(tmp_path):
    plant(tmp_path, make_run("base", 0), make_run("split", 1, make_outcome(0.25, train=(), ten=None, colors=(0.1, 0.2, 0.35))))
    page = page_of(document_of(tmp_path))
    assert "| base-seed0 | the base net, with all parts | 35.00 % | 40.00 % | 38.00 % | – |" in page
    assert f"| split-seed1 | {VARIANTS['split'].text} | – | 25.00 % | – | 0.750, 0.400 (0.500) |" in page


def test_every_picture_is_drawn_for_the_runs_it_needs(tmp_path):
    plant(tmp_path, *pairs("base", "no-dropout", [1.0, -2.0, 0.5]), *pairs("pair-norm", "pair-plain", [2.0]))
    plant(tmp_path, *(make_run(name, 0, make_outcome(colors=(0.1, 0.2, 0.3))) for name in ("split", "whole")))
    Job(tmp_path, make_work(), lambda line: None).write()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted(files_of(ALEXNET))
    for name in files_of(ALEXNET):
        if name.endswith("png"):
            with Image.open(tmp_path / name) as image:
                image.load()
                assert image.width > 1000
            assert f"]({name})" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("name", ["claims", "later"])
def test_page_of_the_repository_is_that_of_its_result(name):
    """`tinyalex claims --page --out FOLDER` writes it again; a result may have been written when there was one table."""
    folder = REPOSITORY / "examples" / "results" / name
    if name == "later" and not folder.is_dir():
        return  # its runs take hours, and none is committed yet
    document = json.loads((folder / "result.json").read_text())
    pictures = [OF_CLAIMS, *PAGES[document.get("of", "alexnet")].pictures]
    shown = [picture for picture in pictures if (folder / picture.file).is_file()]
    assert page_of(document, shown) == (folder / "README.md").read_text()


def test_result_is_the_same_whenever_it_is_written(tmp_path):
    plant(tmp_path, *pairs("base", "no-dropout", [1.0, -2.0, 0.5]))
    written = [json.dumps(Job(tmp_path, make_work(), lambda line: None).write()) for _ in range(2)]
    assert written[0] == written[1]
