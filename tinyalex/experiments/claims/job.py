"""One call of `tinyalex claims`: which runs it trains, how long that takes, and the files that it writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinyalex.data.dataset import Dataset
from tinyalex.devices import Device
from tinyalex.errors import CheckpointError, Interrupted
from tinyalex.experiments import resumable
from tinyalex.experiments.claims.claim import Table, Variant
from tinyalex.experiments.claims.experiment import Training
from tinyalex.experiments.claims.plan import VARIANTS, table_of
from tinyalex.experiments.claims.result import RESULT, Work, result
from tinyalex.experiments.claims.runs import name_of, read_runs
from tinyalex.files.atomic import alone_in, make_folder, write_json
from tinyalex.training.expected import seconds_an_epoch
from tinyalex.units import time_in_words

WRITE_EVERY_S = 15.0  # seconds; drawing the pictures takes some


def open_folder(folder: Path, table: Table) -> None:
    """Make the folder. CheckpointError: it is there and holds files of something else, or a folder is in the place of a result."""
    from tinyalex.experiments.claims.page import files_of

    resumable.open_folder("claims", folder, files_of(table), (folder / "runs").is_dir)
    for variant, _ in read_runs(folder):
        if table_of(variant) is not table:
            rule = f"{folder}: --out must be a folder of runs of --of {table.name}"
            raise CheckpointError(f"{rule}, got one of --of {table_of(variant).name}; name another folder")
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
                        rest = sum(left[other.name, k] * seconds[other.name] for other, k in queue[number - 1 :])
                        run = f"run {number} of {len(queue)}: {name_of(*key)}, {variant.text}"
                        self.tell(f"{run}; {_epochs(left[key])}; about {time_in_words(rest)} to the end")
                    began = time.monotonic()
                    trained = of[variant.family].train(variant, seed)
                    if left[key]:  # a run that was just trained says how right the guess was for its family
                        ratio = (time.monotonic() - began) / left[key] / seconds[variant.name]
                        seconds |= {name: ratio * seconds[name] for name in seconds if VARIANTS[name].family == variant.family}
                    left[key] = 0
                    if trained.outcome.diverged:
                        self.tell(trained.outcome.diverged)
                    if time.monotonic() - self._written >= WRITE_EVERY_S:
                        self.write()
            except Interrupted:
                self.write()
                raise

    def _expect(self, of: dict[str, Training], queue: list[tuple[Variant, int]], left: dict[tuple[str, int], int]) -> dict[str, float]:
        """Say how long the work will take, and return the seconds of an epoch of each variant. A few steps of each are timed for it."""
        seconds = dict.fromkeys((variant.name for variant, _ in queue), 0.0)
        for variant, seed in queue:
            if left[variant.name, seed] and not seconds[variant.name]:
                training = of[variant.family]
                net, sgd = training.parts(variant, seed)
                trainer = training.trainer(variant, seed, net, sgd, len(training.stages) - 1, None)
                again = 1.4 if training.family.evaluate_train else 1.0  # the training images are read once more, forward only
                seconds[variant.name] = again * seconds_an_epoch(trainer)
        runs = sum(1 for epochs in left.values() if epochs)
        total = sum(left[variant.name, seed] * seconds[variant.name] for variant, seed in queue)
        if runs:
            self.tell(f"trains {runs} of {len(queue)} runs, about {time_in_words(total)}; after a stop, go on with: {self.work.command}")
        for name, training in of.items():
            data = training.dataset
            times = sorted(seconds[variant.name] for variant, _ in queue if variant.family == name and seconds[variant.name])
            if times:
                images = f"{len(data.train_labels):,} training images ({data.name}: {data.note})"
                shortest, longest = time_in_words(times[0]), time_in_words(times[-1])
                about = shortest if shortest == longest else f"{shortest} to {longest}"
                self.tell(f"{name}: {_epochs(training.epochs)} a run, of {images}; an epoch takes about {about}")
        return seconds


def _epochs(number: int) -> str:
    return f"{number} epoch{'' if number == 1 else 's'}"
