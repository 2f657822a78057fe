"""A message of Caffe, as the text form and the binary form both give it: values by the names of fields, each with its place in the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tinyalex.errors import DataError, said, show
from tinyalex.formats.caffe.schema import new_type


@dataclass
class Message:
    """kind: a key of `tinyalex.formats.caffe.schema.BY_NAME`. line: where it begins in a text; 0 in a binary file.

    values: for each field that is there, its values, each with its line. A value of an enumeration is its name.
    """

    kind: str
    line: int = 0
    values: dict[str, list[tuple[Any, int]]] = field(default_factory=dict)

    def add(self, name: str, value: Any, line: int = 0) -> None:
        """Append a value to a field."""
        self.values.setdefault(name, []).append((value, line))

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self.values

    def one(self, name: str, default: Any = None) -> Any:
        """The last value of a field."""
        return self.values[name][-1][0] if name in self.values else default

    def all(self, name: str) -> list[Any]:
        """All values of a field, in order."""
        return [value for value, _ in self.values.get(name, ())]

    def part(self, name: str, kind: str) -> Message:
        """The message in a field; an empty one of this kind if it is not there."""
        found = self.one(name)
        return found if isinstance(found, Message) else Message(kind, self.line)

    def line_of(self, *names: str) -> int:
        """The line of the first of these fields that is there, else that of the message."""
        return next((self.values[name][-1][1] for name in names if name in self.values), self.line)


@dataclass(frozen=True)
class Param:
    """What a layer says of one of its blobs. name: blobs of one name share their values. lr, decay: factors of the rate and the decay."""

    name: str = ""
    lr: float = 1.0
    decay: float = 1.0


@dataclass
class CaffeLayer:
    """A layer in the one form that the rest of the package reads. type: the present name, such as "InnerProduct"."""

    name: str
    type: str
    bottoms: list[str]
    tops: list[str]
    message: Message
    params: list[Param]
    source: str
    place: str

    @property
    def where(self) -> str:
        """The file and the place in it."""
        return f"{self.source}: {self.place}"

    def part(self, name: str, kind: str) -> Message:
        """The parameters of the layer in this field."""
        return self.message.part(name, kind)

    def error(self, quantity: str, rule: str, got: object, remedy: str | None = None, *, at: int = 0) -> DataError:
        """The error that a quantity of this layer is not as the rule says. at: the line, if not that of the layer."""
        who = f"{self.source}: line {at}" if at else self.where
        return DataError(f"{who}: {quantity} of {show(self.name)} must be {rule}, got {said(got)}", remedy)


def layers_of(net: Message, source: str) -> Iterator[CaffeLayer]:
    """The layers of a net, of the new and the old form. DataError: a layer of the form of before 2014."""
    for number, message in enumerate(net.all("layer") + net.all("layers"), 1):
        place = f"line {message.line}" if message.line else f"layer {number}"  # a binary file has no lines
        kind = message.one("type", "")
        if message.kind == "Layer":
            params = [Param(p.one("name", ""), p.one("lr_mult", 1.0), p.one("decay_mult", 1.0)) for p in message.all("param")]
        else:
            if message.has("layer"):
                remedy = "convert the file with Caffe's upgrade_net_proto_text or upgrade_net_proto_binary"
                rule = "a layer must be in the form of 2014 or later"
                raise DataError(f"{source}: {place}: {rule}, got the older one, a layer inside of layers", remedy)
            kind = new_type(kind)
            names, rates, decays = (message.all(key) for key in ("param", "blobs_lr", "weight_decay"))
            count = max(len(names), len(rates), len(decays))
            longer = (values + [rest] * (count - len(values)) for values, rest in ((names, ""), (rates, 1.0), (decays, 1.0)))
            params = [Param(*each) for each in zip(*longer, strict=True)]
        yield CaffeLayer(message.one("name", ""), kind, message.all("bottom"), message.all("top"), message, params, source, place)
