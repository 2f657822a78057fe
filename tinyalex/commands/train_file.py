"""Training by the files of a net: `tinyalex train --net train_test.prototxt,solver.prototxt`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tinyalex.commands.shared import path, tell
from tinyalex.commands.train_own import Own
from tinyalex.data.dataset import Sources
from tinyalex.errors import CheckpointError, TinyalexError
from tinyalex.formats.caffe.solver import PerEpoch, Solver
from tinyalex.formats.files import files_in
from tinyalex.formats.recipe import Training, read_training
from tinyalex.formats.saved import describe_imported, has_data, pixels_of
from tinyalex.models.rows import Rows, Shape
from tinyalex.models.saved_net import printable
from tinyalex.training.checkpoint import latest_checkpoint
from tinyalex.training.recipe_table import in_rows, said
from tinyalex.training.recipes import NAMES, Recipe, recipe_of

BASE = "small"  # the recipe that gives what no file says
SHOWN = ("epochs", "batch_size", "lr", "momentum", "weight_decay", "schedule", "divide_by", "drop_after", "augment", "pixels")
OF_STEPS = ("divide_by", "drop_after")  # they count with the schedule "steps" alone


@dataclass(frozen=True)
class FileRecipe:
    """The settings that the files of --net give, as the config of the run keeps them.

    name: of the files. origin: the file of the layers, and that of the multipliers. multipliers: of `SGD`.
    recipe: the name of the recipe that gives what the files do not say. fields: of a recipe, by the file that says them.
    heads: the weights of auxiliary losses. pixels: whether the file says how pixels become the input.
    solver, steps: where its rate follows no schedule of a recipe, and steps in an epoch.
    """

    name: str
    origin: tuple[str, str]
    recipe: str
    fields: Mapping[str, Mapping[str, Any]]
    multipliers: Mapping[str, tuple[float, float]]
    heads: tuple[float, ...]
    pixels: bool
    solver: Solver | None = None
    steps: float = 1.0

    def base(self) -> Recipe:
        """The recipe, before the options of the command line."""
        return recipe_of(self.recipe).with_fields(**{key: value for each in self.fields.values() for key, value in each.items()})

    @property
    def words(self) -> str:
        """The recipe's name in messages."""
        return f"of {self.name}" if self.fields else self.recipe

    def net_alone(self, recipe: str) -> FileRecipe:
        """The same net, trained by a recipe of this program."""
        return replace(self, recipe=recipe, fields={}, multipliers={}, pixels=False, solver=None)

    def stored(self) -> dict[str, Any]:
        """JSON values from which `from_stored` makes the same."""
        return asdict(self)

    @classmethod
    def from_stored(cls, who: str, value: Mapping[str, Any]) -> FileRecipe:
        """The settings in the config of a checkpoint. CheckpointError: they are none."""
        try:
            solver = value["solver"]
            fields = {name: {key: _tuple(each) for key, each in own.items()} for name, own in value["fields"].items()}
            found = cls(
                str(value["name"]),
                (str(value["origin"][0]), str(value["origin"][1])),
                value["recipe"],
                fields,
                {name: (rate, decay) for name, (rate, decay) in value["multipliers"].items()},
                tuple(value["heads"]),
                bool(value["pixels"]),
                None if solver is None else Solver(**{key: _tuple(each) for key, each in solver.items()}),
                float(value["steps"]),
            )
            found.base()
        except (TinyalexError, TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
            got = printable([str(error)])[0][:200]
            raise CheckpointError(f"{who}: its file must hold the settings of a run by the files of a net, got {got}") from None
        return found

    def schedule(self, args: argparse.Namespace, recipe: Recipe) -> PerEpoch | None:
        """The solver's schedule; None where the recipe has it. A run of another length than the solver's goes through the same rates."""
        if self.solver is None or args.schedule is not None:
            return None
        return PerEpoch(replace(self.solver, base_lr=recipe.lr), self.steps * self.base().epochs / recipe.epochs)

    def factors(self, args: argparse.Namespace) -> dict[str, tuple[float, float]]:
        """The multipliers, in which --bias-lr and --bias-decay replace those of biases."""
        found = dict(self.multipliers)
        for name, (rate, decay) in self.multipliers.items():
            if name.endswith(".bias"):
                found[name] = (rate if args.bias_lr is None else args.bias_lr, decay if args.bias_decay is None else args.bias_decay)
        return found

    def lines(self, args: argparse.Namespace, recipe: Recipe) -> Iterator[str]:
        """Sentences that say which setting comes from where."""
        base = self.base()
        layers, rates = self.origin
        yield f"from {layers}: the layers and their initial values"
        if self.multipliers:
            names = f"{len(self.multipliers)} parameters, such as {next(iter(self.multipliers))}"
            yield f"from {rates}: factors of rate and decay for {names}"
        if self.heads:
            times = ", ".join(f"{weight:g}" for weight in self.heads)
            yield f"from {layers}: the losses of auxiliary heads, which count {times} times"
        known: set[str] = set()
        for name, own in self.fields.items():
            known |= own.keys()
            if words := _words(own, base):
                yield f"{'as is usual for such files' if name == 'usual' else f'from {name}'}: {words}"
        if self.pixels:
            known.add("pixels")
        if self.solver is not None and args.schedule is None:
            yield f"the rate follows lr_policy {self.solver.policy} of the solver, and is set once an epoch"
        rest = {key: getattr(base, key) for key in SHOWN if key not in known}
        if words := _words(rest, base):
            yield f"{'in no file, so ' if self.fields else ''}as in recipe {self.recipe}: {words}"
        changed = {key: value for key, value in vars(recipe).items() if key != "net" and value != getattr(base, key)}
        if words := _words(changed, recipe, tuple(changed)):
            yield f"by your options: {words}"

    def table(self, args: argparse.Namespace, recipe: Recipe, rows: Rows) -> Iterator[str]:
        """Lines of a table: each field of the recipe, its value, and the file that says it. rows: of the net."""
        base = self.base()
        sources = dict.fromkeys(NAMES, f"in no file: recipe {self.recipe}" if self.fields else f"recipe {self.recipe}")
        for name, own in self.fields.items():
            sources |= dict.fromkeys(own, "usual for such files" if name == "usual" else name)
        if self.pixels:
            sources["pixels"] = self.origin[0]
        mine = {field: said(getattr(recipe, field)) for field in NAMES}
        for field, value in mine.items():
            theirs = said(getattr(base, field))
            sources[field] = sources[field] if value == theirs else f"yours; without your options {theirs}"
        if self.solver is not None and args.schedule is None:
            mine["schedule"], sources["schedule"] = self.solver.policy, "the solver, whose rate is set once an epoch"
        initial = in_rows(rows)
        mine |= initial
        sources |= dict.fromkeys(["net", *initial], self.origin[0])
        if self.multipliers:
            mine["factors"] = f"of rate and decay for {len(self.multipliers)} parameters, such as {next(iter(self.multipliers))}"
            sources["factors"] = self.origin[1]
        if self.heads:
            mine["heads"], sources["heads"] = f"losses times {', '.join(f'{weight:g}' for weight in self.heads)}", self.origin[0]
        wide, wider = max(map(len, mine)), max(map(len, mine.values()))
        yield from (f"{field:<{wide}}  {value:<{wider}}  {sources[field]}" for field, value in mine.items())


def _words(fields: Mapping[str, Any], recipe: Recipe, keys: Sequence[str] = SHOWN) -> str:
    """Some fields with their values. Those that the schedule of the recipe does not use are left out."""
    shown = {key: value for key, value in fields.items() if key in keys and (key not in OF_STEPS or recipe.schedule == "steps")}
    return ", ".join(f"{key} {said(value)}" for key, value in shown.items())


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def net_of_files(args: argparse.Namespace, sources: Sources, images: int) -> tuple[Own, FileRecipe]:
    """The net of the files of --net and their settings; those of its checkpoint where a run goes on, so the files may be gone.

    images: how many are trained on. With --recipe the files give the net alone.
    """
    files = files_in(path(args.net))
    name = printable([",".join(file.name for file in files)])[0]
    newest = latest_checkpoint(path(args.out)) if args.out is not None and path(args.out).is_dir() else None
    about = None if newest is None else newest.about()
    if newest is not None and about is not None and about.rows and isinstance(newest.config.get("file"), dict):
        kept = replace(FileRecipe.from_stored(str(newest.path), newest.config["file"]), name=name)
        return Own(about, None, "--net"), kept if args.recipe is None else kept.net_alone(args.recipe)
    base = recipe_of(BASE if args.recipe is None else args.recipe)
    shape: Shape = tuple(sources.train.image_shape)
    found = read_training(path(args.net), images, shape, args.batch_size or base.batch_size, args.input_size)
    saved, _ = describe_imported(found.net, found.kind)
    for note in printable(found.notes):
        tell(note)
    layers, last = printable([Path(found.net.source).name, files[-1].name])
    origin = layers, last if found.kind == "cfg" else layers
    own = Own(replace(saved, rows=found.net.rows, takes=saved.in_shape), None, "--net")
    if args.recipe is not None:
        return own, _settings(name, origin, found, own).net_alone(args.recipe)
    if has_data(found.net):
        tell(pixels_of(found.net, found.kind).words)
    return own, _settings(name, origin, found, own)


def _settings(name: str, origin: tuple[str, str], found: Training, own: Own) -> FileRecipe:
    parameters = {f"{leaf.name}.{key}" for leaf in own.saved.dry().leaves() for key in leaf.params}
    factors = {key: pair for key, pair in found.multipliers.items() if key in parameters}
    fields = {printable([file])[0]: dict(each) for file, each in found.fields.items()}
    return FileRecipe(name, origin, BASE, fields, factors, found.heads, has_data(found.net), found.solver, found.steps)
