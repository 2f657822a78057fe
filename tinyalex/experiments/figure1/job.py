"""One call of `tinyalex figure1`: what it trains, the files that it writes, and how it is continued after a stop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tinyalex.data.dataset import Dataset
from tinyalex.devices import Device
from tinyalex.errors import DivergedError, Interrupted
from tinyalex.experiments import resumable as shared
from tinyalex.experiments.figure1.experiment import Figure1
from tinyalex.experiments.figure1.plan import Plan
from tinyalex.experiments.figure1.rates import with_record
from tinyalex.experiments.figure1.result import RESULT, read_plans, result, write_result
from tinyalex.experiments.figure1.runs import read_runs
from tinyalex.experiments.figure1.time import epochs_left, seconds_an_epoch, usual_epochs
from tinyalex.experiments.resumable import resumable
from tinyalex.models.cifar import SETUPS
from tinyalex.training.log import NAME as LOG
from tinyalex.units import time_in_words

FIGURE, FACTOR, RATES = "figure1.png", "factor.png", "rates.json"
FILES = (FIGURE, FACTOR, RESULT, LOG)
DRAW_EVERY_S = 15.0  # seconds; drawing the pictures takes a second


def open_folder(folder: Path) -> None:
    """Make the folder. CheckpointError: it is there and holds other files that the results would overwrite."""
    shared.open_folder("figure1", folder, (*FILES, RATES), lambda: read_runs(folder))


class Job:
    """The work of one call of the command.

    An earlier call in the same folder may have trained other setups. Their plans and runs stay in `result.json`.

    Parameters
    ----------
    folder: where the runs and the files are. plans: what this call trains. command: the command line that continues the work.
    record: the shipped learning rates. tell: called with each line of text for the user.
    """

    def __init__(self, folder: Path, plans: Sequence[Plan], command: str, record: dict[str, Any], tell: Callable[[str], None]) -> None:
        self.folder, self.plans, self.command, self.record, self.tell = folder, plans, command, record, tell
        saved = read_plans(folder)
        mine = {plan.setup for plan in plans}
        self.earlier = [plan for plan in saved[0] if plan.setup not in mine] if saved else []
        self._written = -DRAW_EVERY_S

    def write_now_and_then(self) -> None:
        """Call `write`, unless the last call was less than 15 s ago."""
        if time.monotonic() - self._written >= DRAW_EVERY_S:
            self.write()
            self._written = time.monotonic()

    def write(self, finished: bool = False) -> dict[str, Any]:
        """Write `result.json`, `log.jsonl` and the pictures from the runs in the folder, and return the contents of `result.json`."""
        from tinyalex.experiments.figure1.plots import draw_factor, draw_figure

        runs = read_runs(self.folder) if finished and self.earlier else []
        finished = finished and not any(epochs_left(plan, runs) for plan in self.earlier)
        plans = sorted([*self.plans, *self.earlier], key=lambda plan: list(SETUPS).index(plan.setup))
        document = with_record(result(plans, self.folder, self.command, finished), self.record)
        write_result(self.folder, document)
        draw_figure(document, self.folder / FIGURE)
        draw_factor(document, self.folder / FACTOR)
        return document

    def train(self, dataset: Dataset, device: Device) -> None:
        """Train all runs of all plans. If a run is stopped, or all rates diverge, the pictures show the runs so far."""
        runs = read_runs(self.folder)
        usual = [usual_epochs(plan, dataset, self.record, runs) for plan in self.plans]
        figure1 = Figure1(
            dataset,
            self.folder,
            device=device,
            tell=self.tell,
            after_run=self.write_now_and_then,
            usual={(plan.setup, name): epochs for plan, of in zip(self.plans, usual, strict=True) for name, epochs in of.items()},
        )
        most = sum(epochs_left(plan, runs) for plan in self.plans)
        if most:
            likely = sum(epochs_left(plan, runs, of) for plan, of in zip(self.plans, usual, strict=True))
            self._expect(dataset, seconds_an_epoch(dataset, device), likely, most)
        failed = []
        try:
            for plan in self.plans:
                try:
                    figure1.run(plan)
                except DivergedError as error:
                    failed.append(error)
        except Interrupted:
            self.write()
            raise
        if failed:
            self.write(finished=True)
            raise failed[0]

    def _expect(self, dataset: Dataset, seconds: float, likely: int, most: int) -> None:
        self.tell(f"{len(dataset.train_labels):,} training images ({dataset.name}: {dataset.note}); an epoch takes {seconds:.2f} s")
        about = f"about {time_in_words(likely * seconds)}, " if likely < most else ""
        self.tell(f"this takes {about}at most {time_in_words(most * seconds)}; after a stop, go on with: {self.command}")

    def resumable(self) -> contextlib.AbstractContextManager[None]:
        """A context in which every error that stops the work names the command that continues it."""
        return resumable("figure1", self.folder, self.command)
