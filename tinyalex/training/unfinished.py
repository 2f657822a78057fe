"""The counts of an evaluation that was stopped, so that it goes on where it was: seven nets with ten views take hours.

They lie in the cache folder, under a hash of all that decides them, and are deleted when the evaluation is complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex import __version__
from tinyalex.data.find import default_data_folder
from tinyalex.data.source import Source
from tinyalex.errors import TinyalexError
from tinyalex.files.atomic import make_folder, write_bytes
from tinyalex.files.tensors import raw_bytes
from tinyalex.layers import Sequential
from tinyalex.models.saved_net import SavedNet
from tinyalex.models.weights import parameters_sha256
from tinyalex.training.probabilities import Tally


class Unfinished:
    """The file for the counts of one evaluation.

    Parameters
    ----------
    nets: the networks with their descriptions. source: the images and labels. settings: JSON values of all else that decides the counts
        or where a batch begins, such as the number of views and the batch size.
    """

    def __init__(self, nets: Sequence[tuple[Sequential, SavedNet]], source: Source, settings: dict[str, Any]) -> None:
        digest = hashlib.sha256(json.dumps([__version__, source.fingerprint(), len(source), settings]).encode())
        digest.update(raw_bytes(source.labels))
        for net, saved in nets:
            text, arrays = saved.stored()
            digest.update(json.dumps([parameters_sha256(net), text, sorted(arrays)]).encode())
            for _, array in sorted(arrays.items()):
                digest.update(raw_bytes(array))
        self.path = default_data_folder() / "evaluations" / f"{digest.hexdigest()[:32]}.npz"
        self.images = len(source)

    def read(self, tallies: Sequence[Tally]) -> int:
        """How many images are done, whose counts are put into `tallies`, which are empty. 0: there is nothing, or it is damaged."""
        try:
            with np.load(io.BytesIO(self.path.read_bytes())) as file:
                found = dict(file)
            done = int(found["done"])
            sums = [[found[f"{k} {name}"] for name in ("images", "top1", "top5", "loss", "taken")] for k in range(len(tallies))]
            for tally, (images, top1, top5, loss, taken) in zip(tallies, sums, strict=True):
                if not (images.shape == top1.shape == top5.shape == (tally.classes,) and images.sum() == done and 0 < done < self.images):
                    return 0
                float(loss), taken.reshape(-1, 3)
        except Exception:  # not there, or damaged in any way: count all images again
            return 0
        for tally, (images, top1, top5, loss, taken) in zip(tallies, sums, strict=True):
            tally.images[:], tally.top1[:], tally.top5[:], tally.loss = images, top1, top5, float(loss)
            tally.taken = Counter({(int(a), int(b)): int(count) for a, b, count in taken.reshape(-1, 3)})
        return done

    def keep(self, done: int, tallies: Sequence[Tally]) -> Path | None:
        """Write the counts of the first `done` images, and return the file; None where there is no room or no folder for it."""
        state: dict[str, Any] = {"done": np.int64(done)}
        for k, tally in enumerate(tallies):
            taken = np.array([(a, b, count) for (a, b), count in tally.taken.items()], np.int64).reshape(-1, 3)
            sums = {"images": tally.images, "top1": tally.top1, "top5": tally.top5, "loss": np.float64(tally.loss), "taken": taken}
            state |= {f"{k} {name}": array for name, array in sums.items()}
        file = io.BytesIO()
        np.savez(file, **state)
        with contextlib.suppress(TinyalexError):
            make_folder(self.path.parent)
            write_bytes(self.path, file.getbuffer())
            return self.path
        return None

    def forget(self) -> None:
        """Delete the file, if there is one."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
