"""Makes a network from a checkpoint or a file of weights alone, also of one that another program wrote."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.data.dataset import Sources
from tinyalex.data.prepare import Prepare
from tinyalex.devices import Device
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import CheckpointError, TinyalexError, did_you_mean, require_choice
from tinyalex.files.atomic import require_path
from tinyalex.files.tensors import Tensor, kind_of
from tinyalex.formats.files import files_in, kind_of_files, read as read_foreign
from tinyalex.formats.saved import describe_imported
from tinyalex.layers import Sequential
from tinyalex.models import weights
from tinyalex.models.later.rows import flat
from tinyalex.models.pretrained import trained_figure1
from tinyalex.models.registry import build
from tinyalex.models.saved_net import SavedNet
from tinyalex.training import checkpoint
from tinyalex.training.recipes import recipe_for, recipe_of
from tinyalex.training.report import WEIGHTS
from tinyalex.training.start import input_of

__all__ = ["SHIPPED", "SavedNet", "describe", "describe_old", "load_net", "read_saved"]

SHIPPED = ("figure1",)  # the names of the trained networks that come with the package


def load_net(
    path: Path | str,
    devices: str | Device | Sequence[str | Device] | None = None,
    towers: int | None = None,
    about: SavedNet | Callable[[], SavedNet] | None = None,
    net: str | None = None,
    tell: Callable[[str], object] | None = None,
) -> tuple[Sequential, SavedNet]:
    """The network of a checkpoint or a file of weights, ready to be used, and what the file says about it.

    Everything is checked before memory is taken: the arrays that the description asks for must be those of the file. So a file from a
    stranger can do no harm but be refused.

    Parameters
    ----------
    path: a checkpoint, a file of `save_weights`, the folder of a run (its newest checkpoint, else its weights), or "figure1" for the
        trained network that comes with the package; or what `tinyalex.formats.files.read` reads, such as "net.onnx".
    devices: one device, or one for each tower; None for the CPU. towers: 1 or 2, whatever the network was trained with; None is the
        number of devices.
    about: the description of a file that has none, because an earlier tinyalex wrote it; or a function that makes it, if it is needed.
    net: the name in the registry of the network whose weights a file of another program has, where they do not tell.
    tell: called with each sentence about what a file of another program does not say, and about what was left out.

    Raises
    ------
    CheckpointError: there is no such file, it is altered, it does not describe its network, or its arrays are not those of that network.
    ShapeError, DeviceError: the network has no two towers, or there is no such device.

    Example
    -------
    >>> net, saved = load_net("figure1")
    >>> saved.classes[:3], net.forward(saved.prepare(np.zeros((1, 3, 32, 32), np.uint8))).shape
    (('airplane', 'automobile', 'bird'), (1, 10))
    """
    names = devices.split(",") if isinstance(devices, str) else devices
    count = len(names) if isinstance(names, Sequence) and len(names) == 2 else 1
    towers = require_choice("load_net", "towers", count if towers is None else towers, (1, 2))
    if is_shipped(path):
        return _shipped(towers, devices)
    file, params, found = read_saved(path, net, tell)
    if found is None and about is None:
        remedy = "say which with --net NAME and --data DATA, in Python with about=SavedNet(...)"
        raise CheckpointError(f"{file}: the file must describe its network, got weights alone, as earlier versions wrote them; {remedy}")
    saved = found or (about() if callable(about) else about)
    assert saved is not None
    for name, array in params.items():
        if not np.isfinite(array).all():
            raise CheckpointError(f"{file}: {name} must be finite, got a NaN or an infinity; the training of this net has diverged")
    made = _build(file, saved, towers, devices, params)
    weights.copy_state(made, weights.match_state(params, weights.arrays_of(made)))
    return made, saved


def describe(net: str, options: Mapping[str, Any], sources: Sources, prepare: Prepare) -> SavedNet:
    """The description of a network that is trained on `sources`, for `Trainer(about=...)` and `save_weights(about=...)`.

    options: the settings of the network, without towers, devices, seed and number of classes.
    """
    source, note = sources.train, f"trained on {sources.name}: {sources.note}"
    warp = bool(getattr(source, "warp", getattr(getattr(source, "source", None), "warp", False)))  # also of a part of a source
    return SavedNet(net, sources.classes, prepare, source.image_shape, options, warp, note, sources.folders)


def describe_old(net: str, sources: Sources) -> SavedNet:
    """A description for a file that has none: the network called `net`, trained on `sources` with the recipe for it."""
    recipe = recipe_of(recipe_for(net))
    shape = build(net, devices=DryDevice()).in_shape or (0, 0, 0)
    return describe(net, {}, sources, input_of(recipe, sources, sources.train, shape[-1]))


def wrote(path: str) -> bool:
    """Whether tinyalex wrote what `path` means: a checkpoint, a file of weights, a run's folder, or a network of the package."""
    if is_shipped(path) or Path(path).is_dir():
        return True
    files = files_in(path)
    return len(files) == 1 and files[0].is_file() and (kind_of(files[0]) or "").startswith("tinyalex")


def is_shipped(path: object) -> bool:
    """Whether `path` names a network of the package. A file or folder of that name comes first."""
    return isinstance(path, str) and path in SHIPPED and not os.path.exists(path)


def _shipped(towers: int, devices: Any) -> tuple[Sequential, SavedNet]:
    trained = trained_figure1()
    note = "trained on a JPEG-recompressed copy of CIFAR-10 (examples/results/figure1)"
    saved = SavedNet("figure1", trained.classes, trained.prepare, (3, 32, 32), {"setup": "fan-in"}, note=note)
    if devices is None and towers == 1:
        return trained.net, saved
    net = saved.build(towers, devices)
    weights.copy_state(net, weights.state_on_host(trained.net))
    return net, saved


def read_saved(
    path: Path | str, net: str | None = None, tell: Callable[[str], object] | None = None
) -> tuple[Path, Mapping[str, Tensor], SavedNet | None]:
    """The file that `path` means, its parameters, and what it says about its network; None where an earlier tinyalex wrote it.

    "figure1" is the network of the package, unless there is a file of that name. net, tell: see `load_net`.

    Raises
    ------
    CheckpointError, DataError: there is no such file, it is altered, or holds what the engine cannot do.
    """
    if is_shipped(path):
        shipped, saved = _shipped(1, None)
        return Path(path), weights.state_on_host(shipped), saved
    if "," in str(path) and len(files_in(path)) > 1:
        return _foreign(path, net, tell)
    file = require_path(path if str(path) not in (".", "..") else Path(path).resolve())
    if not file.exists():
        remedy = did_you_mean(str(path), SHIPPED) or f"correct the name; {', '.join(SHIPPED)} comes with tinyalex"
        raise CheckpointError(f"{file}: the checkpoint must be a file or the folder of a run, got nothing of that name", remedy)
    if file.is_dir():
        newest = checkpoint.latest_checkpoint(file)
        if newest is not None:
            return newest.path, newest.params, newest.about()
        if not (file / WEIGHTS).is_file():
            rule = f"{file}: the folder must hold a checkpoint of a run or {WEIGHTS}"
            raise CheckpointError(f"{rule}, got neither; name the folder that `tinyalex train` wrote to")
        file = file / WEIGHTS
    kind = kind_of(file) if file.is_file() else None  # a pipe would never answer
    if kind == checkpoint.FORMAT:
        loaded = checkpoint.load_checkpoint(file)
        return file, loaded.params, loaded.about()
    if kind == weights.FORMAT:
        return file, *weights.read_weights(file)
    if kind is not None and kind.startswith("tinyalex"):
        raise CheckpointError(f"{file}: the file must be a checkpoint or weights of tinyalex, got {kind}; it is another file, or truncated")
    return _foreign(file, net, tell)


def _foreign(
    path: Path | str, net: str | None, tell: Callable[[str], object] | None
) -> tuple[Path, Mapping[str, Tensor], SavedNet]:
    """What a file of another program holds, with a description that is usual for its kind."""
    kind = kind_of_files(path)
    read = read_foreign(path, net=net)
    if not read.arrays and any(row.weighted for row in flat(read.rows)):
        rule = f"{path}: the file must hold the weights of its layers"
        raise CheckpointError(f"{rule}, got the layers alone; name the file of the weights too, as deploy.prototxt,net.caffemodel")
    saved, said = describe_imported(read, kind)
    for sentence in (*read.notes, *said) if tell is not None else ():
        tell(sentence)  # type: ignore[misc]
    return Path(read.source), read.arrays, saved


def _build(file: Path, saved: SavedNet, towers: int, devices: Any, params: Mapping[str, Tensor]) -> Sequential:
    """The network, after a look at its shapes: arrays are made only if the file holds arrays of the same shapes."""
    try:
        wanted = weights.arrays_of(saved.dry(1))
    except TinyalexError as error:  # the builder refuses an option that the description names
        raise CheckpointError(f"{file}: its network must be one that can be built, got {error}") from None
    who = f"{file}: {saved.net} with {len(saved.classes)} classes: param"
    weights.check_tensors(who, wanted, weights.match_state(params, wanted), exact=False, remedy=weights.OTHER_NET)
    return saved.build(towers, devices)
