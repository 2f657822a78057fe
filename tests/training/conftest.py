"""The place where the small run computes; and one run without interruption on it, which the others are compared with."""

import pytest

from tests.places import PLACES
from tests.training import small_run
from tests.training.small_run import make_trainer
from tinyalex.training import parameters_sha256


@pytest.fixture(params=PLACES)
def place(request, monkeypatch):
    """"cpu" or "card": where the nets of the small run are. Tests that do not take it run on a CPU alone."""
    monkeypatch.setattr(small_run, "PLACE", request.param)
    return request.param


@pytest.fixture(scope="session")
def runs():
    """The uninterrupted run of each place, made when it is first asked for."""
    return {}


@pytest.fixture
def whole(request, runs, tmp_path_factory):
    """Two epochs without interruption: folder, results and SHA-256."""
    if "place" in request.fixturenames:
        request.getfixturevalue("place")
    if small_run.PLACE not in runs:
        folder = tmp_path_factory.mktemp("whole") / "run"
        trainer = make_trainer(folder)
        runs[small_run.PLACE] = folder, trainer.run(2), parameters_sha256(trainer.net)
    return runs[small_run.PLACE]
