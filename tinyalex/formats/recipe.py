"""What the files of a net say about its training: the layers with their initial values, and the settings of Caffe and cuda-convnet.

A prototxt of Caffe with a data layer gives the batch and the crops, its solver the rates and the length of the run. cuda-convnet's file of
parameters gives the rates. ONNX gives layers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tinyalex.errors import CheckpointError, DataError
from tinyalex.formats.caffe.read import read_prototxt
from tinyalex.formats.caffe.solver import Solver, read_solver
from tinyalex.formats.cfg import read_cfg, read_rates
from tinyalex.formats.files import files_in, format_of, read, without_solver
from tinyalex.formats.imported import Imported
from tinyalex.formats.saved import has_data
from tinyalex.models.rows import Shape

KINDS = (("prototxt",), ("prototxt", "solver"), ("solver",), ("cfg",), ("cfg", "cfg"), ("onnx",))
OF_SOLVER = ("epochs", "batch_size", "lr", "momentum", "weight_decay", "schedule", "divide_by", "drop_after")
MEAN_IMAGE = {"pixels": "mean-image", "offsets": "code", "own_mean_window": True, "color_noise": 0.0}  # what these programs subtract


@dataclass(frozen=True, eq=False)
class Training:
    """A net to be trained by its files.

    Parameters
    ----------
    net: its layers; arrays of the file are not used. kind: the name of the format.
    fields: of a recipe, `tinyalex.training.recipes.Recipe`, by the name of the file that says them; "usual" for what its program does.
    multipliers: of `SGD`, by the names of parameters. heads: the weights of the losses of auxiliary heads.
    solver: where its rate changes in a way that a recipe does not have, else None. steps: of it, in an epoch. notes: each one sentence.
    """

    net: Imported
    kind: str
    fields: Mapping[str, Mapping[str, Any]]
    multipliers: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    heads: tuple[float, ...] = ()
    solver: Solver | None = None
    steps: float = 1.0
    notes: tuple[str, ...] = ()


def read_training(path: Path | str, images: int, image_shape: Shape, batch_size: int, side: int | None = None) -> Training:
    """What `path` says: a prototxt, a solver, which names its net, both with a comma between, a .cfg, or with its parameters, or an .onnx.

    Parameters
    ----------
    images: how many images are trained on, so that steps become epochs. image_shape: theirs, for a prototxt that leaves it open.
    batch_size: where no file says it. side: height and width of the net's input, None for that of the file.

    Raises
    ------
    CheckpointError, DataError: a file cannot be read, is of another format, or says what the engine cannot do.
    """
    files = files_in(path)
    kinds = tuple(format_of(file).name for file in files)
    if kinds not in KINDS:
        rule = f"{path}: the files to train by must be .prototxt, solver.prototxt, both, .cfg, two .cfg, or .onnx"
        raise CheckpointError(f"{rule}, got {' and '.join(kinds)}; a file of weights is given with --from")
    in_shape = None if side is None else (image_shape[0], side, side)
    if kinds[0] == "onnx":
        net = read(path, in_shape=in_shape)
        note = (f"the weights in {files[0].name} are not used; --from begins with them",) if net.arrays else ()
        return Training(net, "onnx", {}, heads=net.heads, notes=(*net.notes, *note))
    if kinds[0] == "cfg":
        return _of_cuda_convnet(files, side)
    return _of_caffe(files, kinds, images, image_shape, in_shape, batch_size)


def _of_cuda_convnet(files: list[Path], side: int | None) -> Training:
    net = read_cfg(files[0], files[1] if len(files) == 2 else None, side)
    if len(files) == 1:
        return Training(net, "cfg", {"usual": MEAN_IMAGE}, notes=net.notes)
    rates = read_rates(files[0], files[1])
    schedule = "dexp" if rates.falls else "constant"
    fields = {"lr": rates.lr, "momentum": rates.momentum, "weight_decay": rates.weight_decay, "schedule": schedule}
    notes = ("the rates fall in four steps to a 250th, whatever their dexp says",) if rates.falls else ()
    return Training(net, "cfg", {files[1].name: fields, "usual": MEAN_IMAGE}, rates.multipliers, notes=(*net.notes, *notes))


def _of_caffe(
    files: list[Path], kinds: tuple[str, ...], images: int, image_shape: Shape, in_shape: Shape | None, batch_size: int
) -> Training:
    file = without_solver(files)[0]
    net = read_prototxt(file, phase="TRAIN", heads=True, in_shape=in_shape, open_shape=tuple(image_shape))
    own: dict[str, Any] = {key: net.data[key] for key in ("batch_size",) if key in net.data}
    usual: dict[str, Any] = {} if has_data(net) else dict(MEAN_IMAGE)
    notes = list(net.notes)
    if net.data:
        own["augment"] = bool(net.data.get("crop_size") or net.data.get("mirror"))
        if own["augment"] and not net.data.get("mirror"):
            notes.append(f"half of the crops are mirrored, which {file.name} does not ask for; --no-augment takes the center alone")
    if "mean_file" in net.data:
        instead = "" if has_data(net) else "; the mean image of the training images is subtracted in its place"
        notes.append(f"{net.data['mean_file']} is not read{instead}")
    said: dict[str, dict[str, Any]] = {file.name: own, "usual": usual}
    by_step, steps = None, 1.0
    if kinds[-1] == "solver":
        solver = read_solver(files[-1])
        notes += solver.notes
        size = own.get("batch_size", batch_size)
        steps = solver.schedule(images, size).steps
        try:
            fields = solver.recipe_fields(images, size)
        except DataError:  # a rate that a recipe does not have
            fields, by_step = replace(solver, policy="fixed").recipe_fields(images, size), solver
        said.setdefault(files[-1].name, {}).update({key: fields[key] for key in OF_SOLVER if key != "batch_size" or solver.iter_size > 1})
    return Training(net, "prototxt", said, net.multipliers, net.heads, by_step, steps, tuple(notes))
