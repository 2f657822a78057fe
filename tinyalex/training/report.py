"""The files that a run writes for its readers: `result.json` with the curves, and `curve.png`, the picture of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinyalex.files.atomic import write_picture
from tinyalex.training.evaluate import Evaluation
from tinyalex.training.log import NAME, EpochResult, RunLog
from tinyalex.units import time_in_words

FORMAT, FORMAT_VERSION = "tinyalex-run", 1
RESULT, CURVE, WEIGHTS = "result.json", "curve.png", "weights.safetensors"


def epoch_line(result: EpochResult, epochs: int) -> str:
    """One line of text about an epoch of a run of `epochs` epochs."""
    val = f", validation error {100 * result.val_error:.2f} %" if result.val_error is not None else ""
    error = 100 * (result.running_error if result.train_error is None else result.train_error)
    said = f"loss {result.loss:.4f}, training error {error:.2f} %{val}"
    return f"epoch {result.epoch} of {epochs}: {said}, rate {result.lr:g}, {time_in_words(result.wall_s)}"


def document_of(folder: Path, command: str, results: Sequence[EpochResult], test: Evaluation) -> dict[str, Any]:
    """The contents of `result.json` for the run whose log is in `folder`; `command` is the command line that continues the run."""
    first = RunLog(folder / NAME).read()[0]
    rows = [asdict(result) for result in results]
    evaluated = [key for key in rows[-1] if rows[-1][key] is not None]
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "command": command,
        "config": first["config"],
        "epochs": len(results),
        "test": asdict(test),
        "curves": {key: [row[key] for row in rows] for key in evaluated},
        "wall_s": results[-1].wall_s,
        "weights": WEIGHTS,
        **{key: first[key] for key in ("machine", "versions", "blas", "device", "workers")},
        "date": first["time"],
    }


def draw_curve(document: dict[str, Any], path: Path) -> None:
    """Draw training and validation error against epochs into a PNG file, from the contents of `result.json`."""
    from matplotlib import rc_context

    with rc_context({"font.size": 13, "lines.linewidth": 2.4, "lines.markersize": 5}):
        write_picture(path, lambda file: figure_of(document).savefig(file, format="png", dpi=150))


def figure_of(document: dict[str, Any]) -> Any:
    """The Matplotlib figure that `draw_curve` writes. It is made without pyplot, so it needs no screen."""
    from matplotlib.figure import Figure

    curves, config, test = document["curves"], document["config"], document["test"]
    figure = Figure(figsize=(8, 5.4), layout="constrained")
    panel: Any = figure.add_subplot()
    percent = {key: [100 * error for error in curves[key]] for key in ("running_error", "val_error")}
    training = "training images, before each update" + ", with dropout" * _has_dropout(config)
    panel.plot(curves["epoch"], percent["running_error"], "s--", color="#D55E00", label=training)
    panel.plot(curves["epoch"], percent["val_error"], "o-", color="#0072B2", label=f"validation: {config['val']}")
    right = max(curves["epoch"][-1], 2) + 0.5
    for epoch, before, after in zip(curves["epoch"][1:], curves["lr"], curves["lr"][1:], strict=False):
        if after < before:
            panel.axvline(epoch - 0.5, color="0.6", linewidth=1, linestyle=":")
            late = epoch - 0.5 > 0.8 * right  # there the words would leave the frame
            panel.annotate(
                f"rate {after:g}", (epoch - 0.5, 0.02), (-4 if late else 4, 0), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="right" if late else "left", fontsize=10, color="0.35",
            )  # fmt: skip
    top = min(100, 10 + max(percent["running_error"] + percent["val_error"]))
    panel.set(ylabel="error, %", ylim=(0, top), xlim=(0.5, right))
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.grid(axis="y", color="0.9")
    figure.legend(loc="outside lower center", ncols=2, fontsize=11)  # outside, where no curve is
    net, data = config["net"]["name"], config["data"]
    panel.set_title(f"{net}: test error {100 * test['error']:.2f} % after epoch {document['epochs']}")
    panel.set_xlabel(f"epochs\n{data['name']}: {data['note']}; seed {config['net']['seed']}")
    return figure


def _has_dropout(config: dict[str, Any]) -> bool:
    """Whether the net has a layer of dropout. Runs of tinyalex 0.1 do not say so: for them it is False."""
    layers = config.get("trainer", {}).get("layers", {})
    return any(layer.get("type") == "Dropout" for layer in layers.values())


def bar_of(done: int, images: int, progress: bool | None) -> Any:
    """A progress bar over the images of a run. progress: True or False; None hides it unless stderr is a terminal."""
    from tqdm import TqdmMonitorWarning, tqdm

    hidden = None if progress is None else not progress
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmMonitorWarning)  # it says that no thread starts, as in a browser; the bar needs none
        return tqdm(total=images, initial=done, unit=" images", unit_scale=True, disable=hidden, dynamic_ncols=True)
