"""`tinyalex convert`: a net from one format of files to another, with a report and a comparison on random images."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.commands.convert_report import Converted, document_of, report, some
from tinyalex.commands.files import numbers, shape_in
from tinyalex.commands.saved import require_place
from tinyalex.commands.shared import path, tell_expected
from tinyalex.data.find import open_data
from tinyalex.errors import CheckpointError, DataError, ShapeError, require_int, show
from tinyalex.formats.files import FORMATS, files_in, format_of, format_to_write, kind_of_files, read, write
from tinyalex.formats.imported import Imported
from tinyalex.formats.matching import Matched, as_net, match
from tinyalex.formats.parity import Parity, compare, random_images, with_runtime
from tinyalex.formats.saved import Pixels, describe_imported, imported_from, in_registry, outputs_of, require_whole
from tinyalex.formats.torch.match import arrange
from tinyalex.layers import Sequential
from tinyalex.models.later.rows import build_net, head_ends
from tinyalex.models.registry import heads_of, require_name
from tinyalex.models.saved_net import SavedNet, printable
from tinyalex.models.weights import arrays_of, copy_state, join_state, read_weights, save_weights
from tinyalex.training.saved_net import SHIPPED, is_shipped, read_saved, wrote

HELP = "a net from one format of files to another: Caffe, ONNX, PyTorch, safetensors, cuda-convnet and this program's own"
EXAMPLE = "tinyalex convert deploy.prototxt,net.caffemodel net.safetensors"
BYTES_PER_S = 1e8  # of a disk that is read and written, and of the comparisons
NAMED = ("pth", "safetensors")  # formats whose files have arrays and no layers
NAMES = ("tinyalex", "torchvision", "timm", "akamaster")
OF_IMAGES = ("mean", "std", "images", "warp", "classes", "data")  # options about what only an .onnx and a file of this program keep


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    kinds = ", ".join(f"{each.suffixes[0]}" for each in FORMATS if each.reads)
    add("source", metavar="IN", help=f"a file ({kinds}), two with a comma between, a checkpoint, a run's folder or {SHIPPED[0]}")
    written = ", ".join(each.suffixes[0] for each in FORMATS if each.writes)
    add("target", metavar="OUT", help=f"the file to write, or two with a comma between; its end is one of {written}")
    add("--net", metavar="NAME", help="the net of `tinyalex net --list` whose weights they are; its layers' names are taken")
    named = f"whose names the arrays of a .pth or .safetensors get: {', '.join(NAMES)} (default: for .pth those of the first that fits)"
    add("--names", metavar="LIBRARY", help=f"{named}; without it a .safetensors is a file of weights of this program")
    add("--in-shape", metavar="C,H,W", help="the size of an image, where the file leaves it open")
    add("--output", metavar="NAME", help="the output that the net gives, where the file has several")
    images = parser.add_argument_group("how images become the input, if OUT is .onnx or .safetensors (default: as IN says, or is usual)")
    images.add_argument("--mean", metavar="R,G,B", help="is subtracted from pixels of 0 to 255: numbers, or a .binaryproto of Caffe")
    images.add_argument("--std", metavar="R,G,B", help="by which they are then divided (default: 1, with --mean)")
    images.add_argument("--images", type=int, metavar="N", help="height and width of the images from which the center is cut")
    images.add_argument("--warp", action="store_true", help="squeeze pictures to squares, instead of cutting out their center")
    images.add_argument("--classes", metavar="FILE", help="a text file with the name of a class in each line")
    images.add_argument("--data", metavar="DATA", help="the data whose classes the net tells apart, as `tinyalex evaluate` takes it")
    add("--check", choices=("yes", "no"), default="yes", help="compare with the other program and read the file back (default: yes)")
    add("--json", action="store_true", help="print one JSON document instead of the lines")


def run(args: argparse.Namespace) -> int:
    """Read, write, compare, report. The exit code is 1 if a comparison fails."""
    targets = files_in(path(args.target))
    kinds = tuple(format_to_write(target).name for target in targets)
    if len(targets) > 1 and kinds != ("prototxt", "caffemodel"):
        rule = "convert: OUT must be one file, or a .prototxt and a .caffemodel with a comma between"
        raise ShapeError(f"{rule}, got {args.target}")
    for target in targets:
        require_place("convert", target, "OUT")
    given = [f"--{option}" for option in OF_IMAGES if getattr(args, option) not in (None, False)]
    if given and not keeps_images(args, kinds):
        rule = f"convert: OUT must be an .onnx, or a .safetensors without --names, where {given[0]} is given"
        raise ShapeError(f"{rule}, got {args.target}; no other file keeps how images are prepared and what classes are called")
    if args.net is not None:
        require_name(args.net)
    if args.names is not None and args.names not in NAMES:
        raise ShapeError(f"convert: --names must be one of {', '.join(NAMES)}, got {show(args.names)}")
    if args.names is not None and kinds[0] not in NAMED:
        raise ShapeError(f"convert: OUT must be a .pth or a .safetensors where --names is given, got {args.target}; leave it out")
    seconds = max(1.0, _size(args.source) * (3 if args.check == "yes" else 2) / BYTES_PER_S)
    tell_expected(f"reads {args.source} and writes {args.target}", seconds)
    net, saved, differences = read_net(args)
    own, matched = build_imported(net)
    whole = replace(net, arrays=arrays_of(own))
    if matched.missing and kinds != ("prototxt",):
        rule = f"convert: {args.source} must hold the arrays of all layers, got none for {some(matched.missing)}"
        raise CheckpointError(f"{rule}; name the file of the weights too")
    notes = [*net.notes, *differences]
    native = is_native(args, kinds)
    if native:
        about, said = described(args, whole, saved)
        notes += said
        save_weights(targets[0], own, note=about.note, about=about)
    else:
        kept, said = _kept(args, whole, saved, bool(given)) if keeps_images(args, kinds) else (None, ())
        notes += said
        write(path(args.target), whole, names=args.names, about=kept)
        notes += [] if saved is None or kept is not None else [_not_kept(args.target, saved)]
    if heads := head_ends(net.rows) if "prototxt" in kinds else []:
        notes.append(f"left out of the .prototxt, which is for use: {', '.join(printable(heads))}, the ends of auxiliary heads")
    checks = checked(args, net, own, targets, native) if args.check == "yes" else ()
    parameters = sum(int(np.prod(array.shape)) for leaf in own.leaves() for array in leaf.params.values())
    done = Converted(net, matched, parameters, tuple(notes), tuple(targets), checks)
    print(json.dumps(document_of(args, done), indent=1, allow_nan=False) if args.json else "\n".join(report(args, done)))
    return 0 if done.agrees else 1


def is_native(args: argparse.Namespace, kinds: Sequence[str]) -> bool:
    """Whether OUT, of these formats, becomes a file of weights of this program."""
    return tuple(kinds) == ("safetensors",) and args.names is None


def keeps_images(args: argparse.Namespace, kinds: Sequence[str]) -> bool:
    """Whether OUT, of these formats, keeps how images become the input of the net."""
    return is_native(args, kinds) or tuple(kinds) == ("onnx",)


def _kept(args: argparse.Namespace, net: Imported, saved: SavedNet | None, asked: bool) -> tuple[SavedNet | None, tuple[str, ...]]:
    """What an ONNX file keeps, as `described`; None for a net that gives no classes, unless an option asks for it."""
    try:
        return described(args, net, saved)
    except ShapeError:
        if asked:
            raise
    return None, ()


def read_net(args: argparse.Namespace) -> tuple[Imported, SavedNet | None, tuple[str, ...]]:
    """The net of IN; its description, if this program wrote the file; and in what its layers differ from those of --net."""
    given = args.source if is_shipped(args.source) else str(path(args.source))
    if wrote(given):
        option = next((f"--{name.replace('_', '-')}" for name in ("in_shape", "output") if getattr(args, name) is not None), None)
        if option is not None:
            raise ShapeError(f"convert: IN must be a file of another program where {option} is given, got {args.source}; leave it out")
        file, params, saved = read_saved(given)
        if saved is None:  # as earlier versions wrote them, whose nets are known by their arrays
            net = arrange(str(file), join_state(params), args.net, None)
        else:
            net = imported_from(saved, params, str(file))
    else:
        net = _foreign(args, given)
        saved = net.about
    if args.net is None or (net.name == args.net and (in_registry(net) or (saved is None and _kind(args.source) in NAMED))):
        return net, saved, ()  # the reader of arrays alone has found the net
    renamed, differences = as_net(net, args.net)
    x = random_images(net)
    before, after = (build_imported(each)[0].forward(x) for each in (net, renamed))
    found = compare(args.net, after, before)
    if not found.agrees:
        why = f"; {differences[0]}" if differences else ""
        rule = f"convert: --net must be a net that computes the same, got {args.net}, whose outputs differ by {found.difference:.2g}"
        raise CheckpointError(f"{rule} of the largest{why}")
    return renamed, saved, differences


def _foreign(args: argparse.Namespace, given: str) -> Imported:
    """The net of a file of another program, with its auxiliary heads where it has weights for them and --net has them too."""
    options: dict[str, Any] = dict(net=args.net, in_shape=shape_in("convert", args.in_shape), output=args.output)
    if args.net is None or heads_of(args.net):
        try:
            net = read(given, **options, heads=True)
            if not head_ends(net.rows) or not net.arrays or not match(net).missing:
                return net
        except DataError:  # perhaps because of its heads
            pass
    return read(given, **options)


def build_imported(net: Imported) -> tuple[Sequential, Matched]:
    """The net with the arrays of the file, and which they are."""
    matched = match(net)
    made = build_net(net.rows, require_whole(net), net.name or "net")
    copy_state(made, {name: net.arrays[name] for name in matched.found})
    return made, matched


def described(args: argparse.Namespace, net: Imported, saved: SavedNet | None) -> tuple[SavedNet, tuple[str, ...]]:
    """The description for a file of this program: what the options say, then what IN says, then what is usual."""
    classes, folders = _classes(args)
    if classes and len(classes) != (count := outputs_of(net)):
        option = "--data" if args.classes is None else "--classes"
        raise ShapeError(f"convert: {option} must have a name for each of the {count:,} outputs of {net.name}, got {len(classes):,}")
    options = (args.mean, args.std, args.images, args.warp or None)
    as_before = saved is not None and all(option is None for option in options)
    if saved is not None and as_before and args.net is None:
        return (replace(saved, classes=tuple(classes), folders=tuple(folders)) if classes else saved), ()
    pixels = None if saved is None else _pixels_in(saved)
    if args.mean is not None or args.std is not None:
        channels = (net.in_shape or (3,))[0]
        mean = _mean(args.mean, channels)
        std = (1.0,) * channels if args.std is None else numbers("convert", "--std", args.std, float, (1, channels))
        pixels = Pixels(mean, std * (channels // len(std)), "as the options say")
    images = None if args.images is None else require_int("convert", "--images", args.images)
    if saved is None:
        return describe_imported(net, _kind(args.source), pixels=pixels, images=images, classes=classes, folders=folders, warp=args.warp)
    if images is None and saved.image_shape[1] == saved.image_shape[2]:
        images = saved.image_shape[1]
    names, others = (classes, folders) if classes else (saved.classes, saved.folders)
    warp = args.warp or saved.warp
    about, said = describe_imported(net, "tinyalex", pixels=pixels, images=images, classes=names, folders=others, warp=warp)
    if as_before:
        about, said = replace(about, prepare=saved.prepare, image_shape=saved.image_shape), ()
    return replace(about, note=saved.note), said


def _not_kept(target: str, saved: SavedNet) -> str:
    """The sentence that most files of other programs have no place for the description of the net."""
    pixels = _pixels_in(saved)
    how = "" if pixels is None else f" (less {_colors(pixels.mean)}, over {_colors(pixels.std)})"
    lost = f"{target} does not keep how pixels become the input{how} and what classes are called"
    return f"{lost}; an .onnx does, and a .safetensors without --names"


def _colors(numbers: Sequence[float]) -> str:
    return ",".join(f"{number:.6g}" for number in numbers)


def _pixels_in(saved: SavedNet) -> Pixels | None:
    """How the file prepares pixels, with the mean color in the place of a mean image; None where that is no mean and deviation."""
    inner: Any = getattr(saved.prepare, "prepare", saved.prepare)
    if not hasattr(inner, "mean"):
        return None
    channels = saved.in_shape[0]
    mean = np.broadcast_to(inner.mean, (channels, *inner.mean.shape[1:])).mean(axis=(1, 2))
    std = np.broadcast_to(getattr(inner, "std", np.ones((1, 1, 1))), (channels, 1, 1))[:, 0, 0]
    return Pixels(tuple(map(float, mean)), tuple(map(float, std)), "as in the file")


def _classes(args: argparse.Namespace) -> tuple[Sequence[str], Sequence[str]]:
    """The names of classes and folders that the options give."""
    if args.classes is not None:
        file = path(args.classes)
        try:
            lines = file.read_text(encoding="utf-8").split("\n")
        except (OSError, ValueError) as error:
            raise CheckpointError(f"convert: --classes must be a text file in UTF-8, got {file}: {error}; correct the name") from None
        return [line.strip() for line in lines if line.strip()], ()
    if args.data is not None:
        sources = open_data(args.data)
        return sources.classes, sources.folders
    return (), ()


def _mean(text: str | None, channels: int) -> tuple[float, ...]:
    if text is None:
        return (0.0,) * channels
    if text.endswith(".binaryproto"):
        from tinyalex.formats.caffe.blobs import read_mean

        return tuple(float(value) for value in read_mean(path(text), rgb=channels == 3).mean(axis=(1, 2)))
    mean = numbers("convert", "--mean", text, float, (1, channels))
    return mean * (channels // len(mean))


def checked(args: argparse.Namespace, net: Imported, own: Sequential, targets: list[Path], native: bool) -> tuple[Parity, ...]:
    """The comparisons: IN with its program, OUT read back, OUT with its program."""
    checks: list[Parity | None] = []
    if not wrote(args.source if is_shipped(args.source) else str(path(args.source))):
        files = files_in(path(args.source))
        checks.append(with_runtime(files, [format_of(file).name for file in files], net, own, args.output))
    x = random_images(net)
    if native:
        saved = read_weights(targets[0])
        back = imported_from(saved[1], saved[0], str(targets[0])) if saved[1] is not None else net
    elif all(format_to_write(target).name == "prototxt" for target in targets):
        return tuple(filter(None, checks))
    elif format_to_write(targets[0]).name in NAMED:
        return tuple(filter(None, (*checks, _same_arrays(args, targets[0], replace(net, arrays=arrays_of(own))))))
    else:
        back = read(path(args.target), in_shape=net.in_shape)
    again = build_imported(back)[0]
    checks.append(compare(f"{args.target} read back", again.forward(x), own.forward(x), 0.0))
    if not native:
        checks.append(with_runtime(targets, [format_to_write(target).name for target in targets], back, again))
    return tuple(filter(None, checks))


def _same_arrays(args: argparse.Namespace, target: Path, net: Imported) -> Parity:
    """The arrays of a file that has no layers beside those that were to be written: 0 if they have the same bits, else 1."""
    from tinyalex.files.safetensors_format import read_safetensors
    from tinyalex.formats.torch.containers import read_bytes
    from tinyalex.formats.torch.match import named
    from tinyalex.formats.torch.state import arrays_of_pth

    found = read_safetensors(target) if target.suffix == ".safetensors" else arrays_of_pth(*read_bytes(target))[0]
    _, wanted = named(str(target), net, args.names)
    same = found.keys() == wanted.keys() and all(np.array_equal(found[name], wanted[name]) for name in wanted)
    return Parity(f"{target} read back", 0.0 if same else 1.0, most=0.0)


def _kind(source: str) -> str:
    """The name of the format of IN; what this program wrote is safetensors, which has no layers where it does not describe its network."""
    return "safetensors" if wrote(str(path(source))) else kind_of_files(path(source))


def _size(source: str) -> int:
    """Bytes of the files of IN; 0 where they are not there."""
    try:
        return sum(file.stat().st_size for file in files_in(path(source)))
    except (OSError, CheckpointError):  # also the current folder, whose path has no name
        return 0
