"""The results file."""

import json
from pathlib import Path

import pytest

from benchmarks.document import Document, read, run_of, with_run, write
from benchmarks.measure import Settings
from tests.benchmarks.fakes import QUICK, curve, finished
from tinyalex.errors import DataError
from tinyalex.files.atomic import TEMPORARY

RECORD = Path(__file__).parents[2] / "benchmarks" / "results.json"


def test_what_is_written_is_read_again(tmp_path):
    path, result, measured = tmp_path / "results.json", finished(), curve()
    write(path, Document({result.workload: result}, {measured.name: measured}))
    document = read(path)
    assert document.results == {"figure1-epoch": result} and document.scaling == {"batch-figure1": measured}
    assert json.loads(path.read_text())["results"][0]["summary"]["ratio"] == 2.0
    assert not list(tmp_path.glob(f"*{TEMPORARY}"))


def test_no_file_is_an_empty_document(tmp_path):
    assert read(tmp_path / "absent.json") == Document()


def test_run_names_machine_versions_and_matrix_library():
    pools = [{"user_api": "openmp"}, {"user_api": "blas", "architecture": "Zen"}]
    about = {"sgemm": {"thread_pools": pools, "numpy": "2"}, "torch": {"torch": "3", "torch_config": "long", "peak_rss": 1}}
    run = run_of(QUICK, [], about)
    assert run["blas"]["architecture"] == "Zen" and run["versions"] == {"numpy": "2", "torch": "3"} and run["torch_config"] == "long"
    assert run["settings"]["quick"] is True and run["machine"]["cores"] >= 1 and run["date"].startswith("20")


def test_the_configuration_of_torch_is_kept_once():
    result = finished()
    result.about["slow"]["torch_config"] = "long"
    kept = with_run(result, [], QUICK)
    assert kept.run["torch_config"] == "long" and "torch_config" not in kept.about["slow"]


def test_format_1_is_read_with_its_run_given_to_each_result(tmp_path):
    result, path = finished(), tmp_path / "old.json"
    write(path, Document({result.workload: result}))
    old = json.loads(path.read_text())
    old |= {"format": 1, **old["results"][0]["run"]}
    for name in ("run", "traffic", "copy_bytes", "copy_s", "absent"):
        del old["results"][0][name]
    del old["scaling"]
    path.write_text(json.dumps(old))
    there = read(path).results["figure1-epoch"]
    assert there.run == result.run and there.pairs == result.pairs and there.copy_rate() is None


def test_the_record_beside_the_benchmarks_can_be_read():
    document = read(RECORD)
    assert document.results and all(result.run["machine"]["cpu"] for result in document.results.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "must be one of benchmark results, got"),
        ("[]", "format of benchmark results must be from 1 to 2, got None"),
        ('{"format": 3}', "format of benchmark results must be from 1 to 2, got 3"),
        ('{"format": 2}', "each result must have all of its fields and no other, got 'results'"),
        ('{"format": 2, "results": [], "scaling": [{"name": "x"}]}', "each result must have all of its fields"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="must be one of benchmark results"):
        read(tmp_path)


def test_tiny_inputs_and_real_ones_are_kept_apart(tmp_path):
    quick = Document({"a": finished()})
    quick.refuse_mixture(tmp_path, QUICK)
    with pytest.raises(DataError, match="must be of the same inputs, got those of a quick run; name another file"):
        quick.refuse_mixture(tmp_path, Settings())
    with pytest.raises(DataError, match="got those of a run in full size"):
        Document(scaling={"b": curve(settings=Settings())}).refuse_mixture(tmp_path, QUICK)
