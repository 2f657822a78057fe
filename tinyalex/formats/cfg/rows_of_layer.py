"""The row of one layer of cuda-convnet: convolutions, pooling, normalization, dropout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinyalex.formats.cfg.sections import Section, boolean, integer, number, positive
from tinyalex.init import Constant, Gaussian
from tinyalex.models.rows import Row, conv, linear, norm, pool, rnorm

WEIGHTED = ("conv", "local", "fc")
HALVED = ("pool", "cmrnorm", "rnorm", "hs", "dropout", "dropout2")  # each half reads its own
POOLS = {"max": "pool", "avg": "mean_pool"}
PARAMS = "give the file of parameters as well, LAYERS.cfg,PARAMS.cfg"


@dataclass(frozen=True)
class Source:
    """What a layer reads.

    sections: the names of its sections, one or two. value: what it gives behind its neurons.
    own: whether each half of the layer that reads it reads its own half.
    place: which of the layer's inputs it is, where a key may have another value for each; None for the only one.
    """

    sections: tuple[str, ...]
    value: str
    own: bool
    place: int | None = None


def rows_of_layer(
    sections: Sequence[Section], params: Sequence[Section], name: str, source: Source, first: bool, notes: list[str]
) -> Iterator[Row]:
    """The rows of a layer, or of its halves together: one, or none for a layer that does nothing.

    Parameters
    ----------
    sections: of the layer, or of its two halves. params: theirs in the file of parameters. name: of the row.
    source: what is read. first: whether it is the first of several, whose outputs are added up. notes: gets what a user should know.
    """
    section, halves = sections[0], len(sections)
    kind = section.text("type")
    if kind in ("conv", "local"):
        yield _convolution(section, halves, name, source, first, notes)
    elif kind == "fc":
        weight, bias = _initial(section, source, notes)
        units = section.one("outputs", positive) * halves
        if not first:
            notes.append(f"{section.name} adds up one product for each input; all but the first have biases too, which begin at 0")
        yield linear(name, units, groups=2 if source.own else 1, weight=weight, bias=bias if first else 0)
    elif kind == "pool":
        yield _pool(section, name)
    elif kind in ("cmrnorm", "rnorm"):
        yield _norm(section, params, name, halves)
    elif not params or params[0].one("enable", boolean, "true"):
        keep = section.one("keep", number, None if kind == "hs" else "0.5")
        if not 0 < keep <= 1:
            section.fail("keep must be above 0 and at most 1", f"{keep:g}", "keep")
        scale = "train" if kind == "dropout" else "test"
        yield Row("dropout", name, {"p": 1 - keep, "scale": scale, "seed": 0, "part": (0, 1)})


def _initial(section: Section, source: Source, notes: list[str]) -> tuple[Gaussian, float]:
    """The distribution of the initial weights, and the initial bias."""
    for key in ("initwfunc", "initbfunc"):
        if section.text(key, ""):
            notes.append(f"{section.name}: {key} names a function of the authors' program, which is not run; initW and initB count")
    if section.text("weightsource", "").strip(", "):
        section.fail("weightSource must be empty", section.text("weightsource"), "weightsource", "no two layers here share weights")
    stds = section.list("initw", "0.01")
    if source.place is None or len(stds) <= source.place:
        std = section.one("initw", number, "0.01")
    else:
        std = number(section, "initw", stds[source.place])
    if std < 0:
        section.fail("initW must be at least 0", f"{std:g}", "initw")
    return Gaussian(std), section.one("initb", number, "0")


def _convolution(section: Section, halves: int, name: str, source: Source, first: bool, notes: list[str]) -> Row:
    """A convolution, or a layer whose windows have weights of their own. There the number of filters is that of a group."""
    weight, bias = _initial(section, source, notes)
    groups = section.one("groups", positive, "1")
    if any(boolean(section, "randsparse", text) for text in section.list("randsparse", "0")):
        section.fail("randSparse must be 0", "1", "randsparse", "the channels that a filter reads are not drawn here")
    filters, kernel = section.one("filters", positive) * groups * halves, section.one("filtersize", positive)
    stride, padding = section.one("stride", positive, "1"), section.one("padding", integer, "0")
    if padding < 0:
        section.fail("padding must be at least 0", f"{padding}", "padding")
    if section.text("type") == "conv":
        if not section.one("sharedbiases", boolean, "1"):
            section.fail("sharedBiases must be 1", "0", "sharedbiases", "a filter has one bias here")
        row = conv(name, filters, kernel, stride=stride, padding=padding, ceil=stride > 1, weight=weight, bias=bias)
        row = row.having(groups=groups * (2 if source.own else 1))
        return row if first else Row(row.kind, name, {**row.settings, "bias": False})
    if groups > 1 or source.own or halves > 1:
        section.fail("a local layer must have one group and be on one device", "more", "groups")
    if source.place is not None:
        section.fail("a local layer must have one input", "more", "inputs")
    window = {"out_channels": filters, "kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": stride > 1}
    return Row("local", name, window | {"weight_init": weight, "bias_init": Constant(float(bias))})


def _pool(section: Section, name: str) -> Row:
    """Pooling. A negative start is padding in front; the last window may reach over the edge."""
    kind = section.text("pool")
    if kind not in POOLS:
        section.fail("pool must be max or avg", kind, "pool", "the engine has no other pooling of the authors' program")
    kernel, stride = section.one("sizex", positive), section.one("stride", positive)
    start = section.one("start", integer, "0")
    if stride > kernel:
        section.fail(f"stride must be at most sizeX, {kernel}", f"{stride}", "stride")
    if start > 0 or -start >= kernel:
        section.fail("start must be at most 0 and above -sizeX", f"{start}", "start")
    if section.one("outputsx", integer, "0") > 0:
        section.fail("outputsX must be 0, for as many windows as there are", section.text("outputsx"), "outputsx")
    row = pool(name, kernel, stride=stride, kind=POOLS[kind])
    return row if start == 0 else Row(row.kind, name, {**row.settings, "padding": (-start, 0, -start, 0)})


def _norm(section: Section, params: Sequence[Section], name: str, halves: int) -> Row:
    """Response normalization across channels (cmrnorm) or within one (rnorm), whose alpha is divided by the size of the window."""
    if section.one("blocked", boolean, "0"):
        section.fail("blocked must be 0", "1", "blocked", "windows of channels overlap here")
    found = [_norm_params(section, own) for own in params or [section]]
    if len(params) not in (0, halves) or found[0] != found[-1]:
        section.fail("both halves must have the same parameters", f"{len(params)} of {halves}")
    alpha, beta, k = found[0]
    n = section.one("size" if "size" in section.values else "sizex", positive)
    if section.text("type") == "rnorm":
        return rnorm(name, n=n, k=1.0, alpha=alpha, beta=beta)
    return norm(name, n=n, k=k, alpha=alpha, beta=beta, groups=halves, over_n=True)


def _norm_params(section: Section, params: Section) -> tuple[float, float, float]:
    """scale, pow and minDiv; the oldest files have them in the file of layers."""
    for key in ("scale", "pow"):
        if key not in params.values:
            section.fail(f"normalization must have {key}", "none", None, PARAMS)
    values = params.one("scale", number), params.one("pow", number), params.one("mindiv", number, "1")
    if values[0] < 0 or values[2] <= 0:
        params.fail("scale must be at least 0, and minDiv above 0", f"{values[0]:g} and {values[2]:g}")
    return values
