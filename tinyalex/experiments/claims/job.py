"""One call of `tinyalex claims`: which runs it trains, how long that takes, and the files that it writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinyalex.data.dataset import Dataset
from tinyalex.devices import Device
from tinyalex.errors import Interrupted
from tinyalex.experiments import resumable
from tinyalex.experiments.claims.experiment import Training
from tinyalex.experiments.claims.plan import VARIANTS, Variant
from tinyalex.experiments.claims.result import RESULT, Work, result
from tinyalex.experiments.claims.runs import name_of, read_runs
from tinyalex.files.atomic import alone_in, make_folder, write_json
from tinyalex.training.expected import seconds_an_epoch
from tinyalex.units import time_in_words

WRITE_EVERY_S = 15.0  # seconds; drawing the pictures takes some


def open_folder(folder: Path) -> None:
    """Make the folder. CheckpointError: it is there and holds files of something else, or a folder is in the place of a result."""
    from tinyalex.experiments.claims.page import FILES

    resumable.open_folder("claims", folder, FILES, (folder / "runs").is_dir)
    make_folder(folder / "runs")


class Job:
    """The work of one call. tell: called with each line of text for the user. progress: whether to show bars; None for a terminal."""

    def __init__(self, folder: Path, work: Work, tell: Callable[[str], None], progress: bool | None = None) -> None:
        self.folder, self.work, self.tell, self.progress = folder, work, tell, progress
        self._written = -WRITE_EVERY_S

    def write(self) -> dict[str, Any]:
        """Write `result.json`, the pictures and README.md from the finished runs, and return the contents of `result.json`."""
        from tinyalex.experiments.claims.page import write_page

        document = result(self.work, self.folder)
        write_json(self.folder / RESULT, document)
        write_page(self.folder, document, read_runs(self.folder))
        self._written = time.monotonic()
        return document

    def train(self, dataset: Dataset, device: Device) -> None:
        """Train all runs of the queue that are not finished.

        Raises
        ------
        Interrupted: Ctrl-C or SIGTERM; the run in progress is saved, and the files show the finished runs.
        CheckpointError: the folder holds runs with other settings, or another process works there.
        """
        of = {
            name: Training(family, dataset, self.folder, device, self.progress)
            for name, family in self.work.families.items()
            if any(VARIANTS[variant].family == name for variant, _ in self.work.queue)
        }
        queue = [(VARIANTS[name], seed) for name, seed in self.work.queue]
        left = {(variant.name, seed): of[variant.family].epochs_left(variant, seed) for variant, seed in queue}
        with alone_in(self.folder):
            seconds = self._expect(of, queue, left)
            try:
                for number, (variant, seed) in enumerate(queue, 1):
                    key = variant.name, seed
                    if left[key] or of[variant.family].finished(variant, seed) is None:
                        rest = sum(left[other.name, k] * seconds[other.family] for other, k in queue[number - 1 :])
                        run = f"run {number} of {len(queue)}: {name_of(*key)}, {variant.text}"
                        self.tell(f"{run}; {_epochs(left[key])}; about {time_in_words(rest)} to the end")
                    began = time.monotonic()
                    trained = of[variant.family].train(variant, seed)
                    if left[key]:  # a run that was just trained is the best guess for the next one
                        seconds[variant.family] = (time.monotonic() - began) / left[key]
                    left[key] = 0
                    if trained.outcome.diverged:
                        self.tell(trained.outcome.diverged)
                    if time.monotonic() - self._written >= WRITE_EVERY_S:
                        self.write()
            except Interrupted:
                self.write()
                raise

    def _expect(self, of: dict[str, Training], queue: list[tuple[Variant, int]], left: dict[tuple[str, int], int]) -> dict[str, float]:
        """Say how long the work will take, and return the seconds of an epoch of each family. A few steps are timed for it."""
        seconds = dict.fromkeys(of, 0.0)
        for variant, seed in queue:
            if left[variant.name, seed] and not seconds[variant.family]:
                training = of[variant.family]
                net, sgd = training.parts(variant, seed)
                trainer = training.trainer(variant, seed, net, sgd, len(training.stages) - 1, None)
                again = 1.4 if training.family.evaluate_train else 1.0  # the training images are read once more, forward only
                seconds[variant.family] = again * seconds_an_epoch(trainer)
        runs = sum(1 for epochs in left.values() if epochs)
        total = sum(left[variant.name, seed] * seconds[variant.family] for variant, seed in queue)
        if runs:
            self.tell(f"trains {runs} of {len(queue)} runs, about {time_in_words(total)}; after a stop, go on with: {self.work.command}")
        for name, training in of.items():
            data = training.dataset
            if seconds[name]:
                images = f"{len(data.train_labels):,} training images ({data.name}: {data.note})"
                self.tell(f"{name}: {_epochs(training.epochs)} a run, of {images}; an epoch takes about {time_in_words(seconds[name])}")
        return seconds


def _epochs(number: int) -> str:
    return f"{number} epoch{'' if number == 1 else 's'}"
