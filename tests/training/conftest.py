"""One run without interruption, which the others are compared with."""

import pytest

from tests.training.small_run import make_trainer
from tinyalex.training import parameters_sha256


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Two epochs without interruption: folder, results and SHA-256."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    trainer = make_trainer(folder)
    return folder, trainer.run(2), parameters_sha256(trainer.net)
