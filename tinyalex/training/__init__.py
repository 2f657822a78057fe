"""Training: the training loop, checkpoints, the log, the evaluation of a net."""

from tinyalex.models.pretrained import Trained, trained_figure1
from tinyalex.models.saved_net import SavedNet
from tinyalex.models.weights import load_weights, parameters_sha256, save_weights
from tinyalex.training.checkpoint import (
    Checkpoint,
    Position,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from tinyalex.training.evaluate import Evaluation, evaluate
from tinyalex.training.log import EpochResult, RunLog
from tinyalex.training.probabilities import probabilities
from tinyalex.training.saved_net import load_net
from tinyalex.training.trainer import Trainer

__all__ = [
    "Checkpoint",
    "EpochResult",
    "Evaluation",
    "Position",
    "RunLog",
    "SavedNet",
    "Trained",
    "Trainer",
    "evaluate",
    "latest_checkpoint",
    "load_checkpoint",
    "load_net",
    "load_weights",
    "parameters_sha256",
    "probabilities",
    "save_checkpoint",
    "save_weights",
    "trained_figure1",
]
