"""What a file of weights says about its network, so that the network can be used without the program that trained it.

The description is JSON with the network's name in the registry and its options, or its rows if it came from elsewhere; its classes; and how
images are prepared. The arrays of the preparation, such as the mean image, lie beside the weights under names that begin with "about/". A
description can only name networks, layers and preparations that tinyalex has, so reading one executes nothing of the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.data.color import ColorNoise
from tinyalex.data.prepare import Floats, Prepare, prepare_from_state, prepare_state
from tinyalex.data.source import Images
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import (
    CheckpointError,
    DataError,
    ShapeError,
    TinyalexError,
    require_bool,
    require_choice,
    require_float,
    require_int,
    require_keywords,
    show,
)
from tinyalex.layers import Sequential
from tinyalex.models.build import places_of
from tinyalex.models.later.rows import build_net, head_ends
from tinyalex.models.options import keywords_of
from tinyalex.models.registry import MODELS, build, require_name
from tinyalex.models.rows import Rows
from tinyalex.models.rows_json import rows_from_json, rows_to_json
from tinyalex.models.weights import PREFIX

LARGEST = 2048  # pixels of an image's side: a description of a larger one comes from nobody who means well
LONGEST = 2**24  # characters of a description
OF_A_RUN = ("towers", "devices", "seed", "dtype", "input_gradient")  # they change neither what a trained net computes nor its arrays
WHO = "saved net"
CROPPED = "use 1 view; only a net whose input is a crop of its images has ten"


@dataclass(frozen=True, eq=False)
class SavedNet:
    """A network of the registry or of rows, its classes, and the way from images to its input.

    Parameters
    ----------
    net: the network's name, such as "alexnet"; any name for a network of rows.
    classes: the name of each output. Characters that cannot be printed are replaced.
    prepare: the preparation of the training, of a class that can be stored (`tinyalex.data.prepare.stored`).
    image_shape: (C, H, W) of the images that `prepare` takes.
    options: the settings with which the network was built, such as {"width": 0.5}, without towers, devices, seed and number of classes.
    warp: whether pictures of other shapes are squeezed to H x W; False scales them and cuts out the center.
    note: what the network was trained on.
    folders: other names of the classes, such as "n01440764", those of their folders; as many as classes, or none.
    rows, takes: the layers of a network that the registry does not have, and (C, H, W) of its input; () for one that it has.
    heads: by how much the losses of the auxiliary heads of `rows` count, see `tinyalex.loss.WeightedHeads`; () where nobody said it.

    Raises
    ------
    ShapeError, DataError: there is no such network or option, the layers do not fit together, the preparation cannot be stored, or its
        output does not fit the network.

    Example
    -------
    >>> from tinyalex.data.prepare import CropAndFlip, Standardize
    >>> saved = SavedNet("cifar-alexnet", ("cat", "dog"), CropAndFlip(Standardize((120,) * 3, (64,) * 3), 24), (3, 32, 32))
    >>> saved.views(np.zeros((2, 3, 32, 32), np.uint8)).shape
    (20, 3, 24, 24)
    >>> saved.build().shapes[-1]
    (2,)
    """

    net: str
    classes: tuple[str, ...]
    prepare: Prepare
    image_shape: tuple[int, int, int]
    options: Mapping[str, Any] = field(default_factory=dict)
    warp: bool = False
    note: str = ""
    folders: tuple[str, ...] = ()
    rows: Rows = ()
    takes: tuple[int, ...] = ()
    heads: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        names = self.classes
        if isinstance(names, str) or not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
            raise ShapeError(f"{WHO}: classes must be one name for each output, got {show(names)}")
        folders = self.folders
        whole = isinstance(folders, Sequence) and not isinstance(folders, str) and all(isinstance(name, str) for name in folders)
        if not whole or len(folders) not in (0, len(names)):
            raise ShapeError(f"{WHO}: folders must be one name for each class, or none, got {show(folders)}")
        sizes = _sizes("image_shape", self.image_shape)
        own = {key: getattr(self, key) for key in ("net", "note")}
        for key, value in own.items():
            if not isinstance(value, str):
                raise ShapeError(f"{WHO}: {key} must be a text, got {show(value)}")
        for key, value in {
            "net": printable([self.net])[0],
            "classes": printable(names),
            "image_shape": sizes,
            "rows": rows_from_json(rows_to_json(self.rows)) if self.rows else (),
            "takes": _sizes("takes", self.takes) if self.rows else (),
            "options": self._options(),
            "warp": require_bool(WHO, "warp", self.warp),
            "note": printable([self.note])[0],
            "folders": printable(folders),
            "heads": self._heads(),
        }.items():
            object.__setattr__(self, key, value)
        outputs = self.dry().shapes[-1]
        if outputs != (len(names),):  # a net whose number of outputs is no option
            raise ShapeError(f"{WHO}: classes must be as many as the outputs of {self.net}, {outputs}, got {len(names)}")
        prepare_state(self.prepare)  # refuses a preparation that cannot be stored
        with np.errstate(all="ignore"):
            made = self.prepare(np.zeros((1, *sizes), np.uint8), None)
        if made.shape != (1, *self.in_shape):
            raise ShapeError(f"{WHO}: prepare must make the net's input, {_size(self.in_shape)}, got {_size(made.shape[1:])}")
        if not np.isfinite(made).all():
            raise DataError(f"{WHO}: prepare must make finite numbers of pixels of 0 to 255, got a NaN or an infinity")

    def _heads(self) -> tuple[float, ...]:
        """The weights of the losses of the heads. ShapeError: one is no weight, or there is not one for each head."""
        ends = len(head_ends(self.rows))
        if not isinstance(self.heads, Sequence) or isinstance(self.heads, str) or len(self.heads) not in (0, ends):
            raise ShapeError(f"{WHO}: heads must be one weight for each of the {ends} auxiliary heads, or none, got {show(self.heads)}")
        rule = "a finite number of at least 0"
        return tuple(require_float(WHO, "a head's weight", weight, rule, lambda v: 0 <= v < math.inf) for weight in self.heads)

    def _options(self) -> dict[str, Any]:
        """The options as they come back from a file. ShapeError: one is unknown, or no JSON value."""
        if not isinstance(self.options, Mapping):
            raise ShapeError(f"{WHO}: options must be settings by name, got {show(self.options)}")
        known = () if self.rows else keywords_of(MODELS[require_name(self.net)])
        require_keywords(f"{WHO} {self.net}", self.options, [key for key in known if key not in (*OF_A_RUN, *COUNTS)])
        try:
            options: dict[str, Any] = json.loads(json.dumps(dict(self.options), allow_nan=False))
        except (TypeError, ValueError):
            raise ShapeError(f"{WHO}: options must be JSON values, got {show(dict(self.options))}") from None
        return options

    @property
    def in_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the network's input."""
        c, h, w = self.takes or self.dry().in_shape or (0, 0, 0)
        return c, h, w

    @property
    def most_views(self) -> int:
        """10 if the input is a crop of the image, else 1."""
        return 10 if views_of(self.prepare) and self.in_shape[1:] != self.image_shape[1:] else 1

    def views(self, images: Images) -> Floats:
        """The ten views of each image (paper 4.1), float32 (10 N, C, h, w): rows 10 k to 10 k + 9 are of image k.

        Raises
        ------
        ShapeError: the input is the whole image, so there is one view.
        """
        made = views_of(self.prepare)
        if made is None or self.most_views == 1:
            raise ShapeError(f"{WHO}: views must be 1 for a net that reads whole images of {_size(self.image_shape)}, got 10; {CROPPED}")
        return made(images)

    def build(self, towers: int = 1, devices: Any = None, dtype: Any = np.float32) -> Sequential:
        """The network with initial weights, on one device or two. ShapeError: a network of rows has one tower."""
        if self.rows:
            require_choice(WHO, "towers", towers, (1,))
            return build_net(self.rows, self.takes, self.net, places_of(WHO, 1, devices)[0], dtype=dtype)
        return build(self.net, **self._settings(), towers=towers, devices=devices, dtype=dtype)

    def dry(self, towers: int = 1) -> Sequential:
        """The network without arrays, to be counted."""
        return self.build(towers, DryDevice("cpu") if towers == 1 else [DryDevice("cpu:0"), DryDevice("cpu:1")])

    def _settings(self) -> dict[str, Any]:
        counts = [key for key in COUNTS if key in keywords_of(MODELS[self.net])]
        return {**self.options, **dict.fromkeys(counts, len(self.classes))}

    def stored(self) -> tuple[dict[str, str], dict[str, npt.NDArray[Any]]]:
        """Texts and arrays for a file, from which `from_stored` makes the same description."""
        prepare, arrays = prepare_state(self.prepare)
        about = {
            "net": self.net,
            "options": self.options,
            "classes": self.classes,
            "image_shape": self.image_shape,
            "prepare": prepare,
            "warp": self.warp,
            "note": self.note,
            "folders": self.folders,
        }
        if self.rows:
            about |= {"rows": rows_to_json(self.rows), "takes": self.takes, "heads": self.heads}
        return {"about": json.dumps(about, allow_nan=False)}, {PREFIX + name: array for name, array in arrays.items()}

    @classmethod
    def from_stored(cls, who: str, text: Mapping[str, str], tensors: Mapping[str, npt.NDArray[Any]]) -> SavedNet | None:
        """The description in a file's texts and tensors; None if the file has none. `who` is named in errors.

        Raises
        ------
        CheckpointError: the description is of another form, or of a network or a preparation that this tinyalex does not have.
        """
        if "about" not in text:
            return None
        arrays = {name.removeprefix(PREFIX): array for name, array in tensors.items() if name.startswith(PREFIX)}
        try:
            if len(text["about"]) > LONGEST:
                raise ValueError(f"{len(text['about']):,} characters")
            about = json.loads(text["about"])
            own = {key: about[key] for key in ("net", "options", "image_shape", "warp", "note")}
            classes = about["classes"]
            if not isinstance(classes, list):
                raise ValueError(f"classes {show(classes)}")
            own["folders"] = tuple(about.get("folders", ()))
            if "rows" in about:
                own |= {"rows": rows_from_json(about["rows"]), "takes": about["takes"], "heads": tuple(about.get("heads", ()))}
            return cls(**own, classes=tuple(classes), prepare=prepare_from_state(about["prepare"], arrays))
        except (TinyalexError, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
            got = _reason(error)
            rule, remedy = "the description of its network must be one that this tinyalex knows", "install the one that wrote the file"
            raise CheckpointError(f"{who}: {rule}, got {printable([got])[0][:200]}", remedy) from None


COUNTS = ("num_classes", "classes")  # what the builders of the registry call the number of outputs


def printable(names: Sequence[str]) -> tuple[str, ...]:
    """Texts without characters that could change a terminal, which are replaced by a question mark."""
    return tuple(name if name.isprintable() else "".join(c if c.isprintable() else "?" for c in name) for name in names)


def views_of(prepare: Any) -> Callable[[Images], Floats] | None:
    """The method that makes ten views, None if there is none."""
    while isinstance(prepare, ColorNoise):  # without a generator it adds nothing
        prepare = prepare.prepare
    found: Callable[[Images], Floats] | None = getattr(prepare, "views", None)
    return found


def _reason(error: Exception) -> str:
    """What is wrong with a description, in words."""
    if isinstance(error, TinyalexError):
        return error.sentence
    return f"no {error}" if isinstance(error, KeyError) else f"{type(error).__name__} {error}"


def _sizes(what: str, shape: Any) -> tuple[int, ...]:
    """`shape` as (C, H, W). ShapeError: it is something else, or too large."""
    sizes = tuple(shape) if isinstance(shape, Sequence) else ()
    if len(sizes) != 3:
        raise ShapeError(f"{WHO}: {what} must be (C, H, W), got {show(shape)}")
    return tuple(require_int(WHO, f"a size of {what}", size, most=LARGEST) for size in sizes)


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
