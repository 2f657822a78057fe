"""Says once in a run that the net is still no better than a guess, and why."""

from __future__ import annotations

from tinyalex.data.batches import Batches
from tinyalex.data.prepare import Prepare
from tinyalex.layers.base import Layer
from tinyalex.loss import Loss
from tinyalex.optim import SGD
from tinyalex.training.checkpoint import Position
from tinyalex.training.diagnose import at_chance, entropy_of
from tinyalex.training.fits import MOST, labels_fit
from tinyalex.training.log import EpochResult
from tinyalex.training.stall import are_mixed, examine, is_stalled

LOOK_EVERY = 500  # steps of an epoch between two looks: an epoch of ImageNet takes hours
EXAMINED = 64  # images that are examined


class Watch:
    """Looks at the loss of a run after each epoch and after every 500 steps of one.

    Parameters
    ----------
    net, loss, sgd, batches, prepare: those of the run. on: False never says anything.
    """

    def __init__(
        self, net: Layer, loss: Loss, sgd: SGD, batches: Batches, prepare: Prepare, on: bool
    ) -> None:
        self.net, self.loss, self.sgd, self.batches, self.prepare, self.on = net, loss, sgd, batches, prepare, on
        self._entropy = entropy_of(batches.labels)

    def after_step(self, position: Position) -> list[str]:
        """Lines of text if the mean loss of the epoch's steps is no better than a guess's; else an empty list."""
        if not self.on or position.batch % LOOK_EVERY or not position.images:
            return []
        mean = position.loss_sum / position.images
        if not is_stalled(mean, self._entropy):
            return []
        losses = f"its mean loss is {mean:.4f}, that of a guess {self._entropy:.4f}"
        return self._why(f"after step {position.step} the net still guesses: {losses}")

    def after_epoch(self, result: EpochResult) -> list[str]:
        """Lines of text if the epoch's loss and error are no better than a guess's; else an empty list."""
        error = result.running_error if result.train_error is None else result.train_error
        hint = at_chance(result.loss, error, self.batches.labels) if self.on else None
        return self._why(f"after epoch {result.epoch} {hint}") if hint else []

    def _why(self, what: str) -> list[str]:
        """What is wrong, and what an examination of one batch finds. From now on nothing is said."""
        self.on = False
        order, source = self.batches.order(0), self.batches.source
        few, many = (order[:: max(1, len(order) // count)][:count] for count in (EXAMINED, MOST))  # sorted images: of all classes
        fits = labels_fit(source.read(many), self.batches.labels[many])
        x, labels = self.prepare(source.read(few), None), self.batches.labels[few]
        mixed = are_mixed(self.batches.labels[order], self.batches.batch_size)
        found = examine(self.net, self.loss, x, labels, self.sgd.lr, fits, self._entropy, mixed)
        return [f"trainer: {what}", *(f"  {line}" for line in found.lines())]
