"""cuda-convnet's files: the authors' nets equal the engine's layer by layer, rates, and what the engine lacks is named with its line."""

import math
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.contract import refuses, values
from tests.formats.cfg.cfg_files import (
    CONV,
    DATA,
    LOCAL,
    authors,
    authors_params,
    cifar_params,
    conv_local,
    cost,
    halves,
    sections,
    three_stages,
)
from tinyalex.errors import DataError, ShapeError
from tinyalex.experiments.claims.nets import of_pair
from tinyalex.formats.cfg import read_cfg
from tinyalex.formats.cfg.sections import parse_sections
from tinyalex.models.later.rows import build_net, flat
from tinyalex.models.options import as_built
from tinyalex.models.registry import rows_of
from tinyalex.models.rows import parameters
from tinyalex.models.variants import VARIANTS


def layers(rows):
    """Kinds and settings, and where a name decides nothing it is left out."""
    return [(row.kind, dict(row.settings)) for row in rows]


def test_the_authors_net_equals_the_variant_layer_by_layer(read):
    found = read(authors(), authors_params())
    assert layers(found.rows) == layers(VARIANTS["authors"].rows) and found.in_shape == (3, 224, 224)
    assert parameters(found.rows, found.in_shape) == 60_965_224
    assert [row.name for row in found.rows if row.weighted] == [*(f"conv{i}" for i in range(1, 6)), "fc2048", "fc2048b", "fc1000"]
    assert "224x224 is a guess" in found.notes[0] and found.ends == "probabilities"


@pytest.mark.parametrize("exchange", [(), ("conv3",), ("fc6", "fc7"), ("conv3", "fc6")])
def test_halves_that_read_their_own_half_or_both(read, exchange):
    found = read(authors(exchange), authors_params())
    assert layers(found.rows) == layers(as_built("authors", exchange=exchange).rows)


def test_the_net_of_19_percent_is_that_of_figure_1(read):
    found = read(three_stages())
    assert layers(found.rows) == layers(rows_of("figure1")) and found.in_shape == (3, 32, 32)
    assert parameters(found.rows, (3, 32, 32)) == 89_578 and parameters(found.rows, (3, 24, 24)) == 85_098


def test_the_nets_of_80_seconds_and_18_percent(read):
    found = read(three_stages(hidden=True))
    assert parameters(found.rows, (3, 32, 32)) == 145_578 and parameters(found.rows, (3, 24, 24)) == 116_906
    found = read(three_stages(rnorm=True), cifar_params((), (), "0.00005"))
    kinds = [row.kind for row in found.rows]
    assert kinds == "conv pool relu rnorm conv relu mean_pool rnorm conv relu mean_pool flatten linear".split()
    assert found.rows[3].settings == {"n": 3, "k": 1.0, "alpha": 5e-5, "beta": 0.75}


@pytest.mark.parametrize(("norm", "count"), [(False, 1_116_490), (True, 2_112_970)])
def test_the_nets_with_local_layers(read, norm, count):
    found = read(conv_local(norm), cifar_params(LOCAL, (0, 0, 0.004, 0.004, 0.01)), 24)
    net = build_net(found.rows, found.in_shape, "net")
    assert found.in_shape == (3, 24, 24) and sum(array.size for array in net.params.values()) == count
    if not norm:
        other = of_pair(False)(0, 10, net.device)
        for mine, theirs in zip(net.params.values(), other.params.values(), strict=True):
            mine[...] = theirs
        x = values((2, 3, 24, 24), dtype=np.float32)
        assert np.array_equal(net.forward(x), other.forward(x))


def windows(n, k, s, start):
    """The authors' rule: how many windows there are, the first of which begins at `start`, and the pixels in each."""
    count = math.ceil((n - start - k) / s) + 1
    return [[p for p in range(start + i * s, start + i * s + k) if 0 <= p < n] for i in range(count)]


@given(st.integers(1, 9), st.integers(1, 5), st.data())
@settings(max_examples=50)
def test_pooling_follows_the_authors_rule(n, k, data):
    s, start = data.draw(st.integers(1, k)), -data.draw(st.integers(0, k - 1))
    if k > n - start:
        return
    for kind, reduce in (("max", np.max), ("avg", np.mean)):
        text = sections("data data dataIdx=0", f"pool pool pool={kind} inputs=data channels=2 sizeX={k} stride={s} start={start}")
        net = build_net(_rows_of_text(text), (2, n, n), "net", dtype=np.float64)
        x = values((1, 2, n, n))
        there = windows(n, k, s, start)
        wanted = [[[reduce(x[0, c][np.ix_(rows, columns)]) for columns in there] for rows in there] for c in range(2)]
        assert np.allclose(net.forward(x)[0], wanted, rtol=1e-12)


def _rows_of_text(text):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.cfg").write_text(text)
        return read_cfg(Path(folder) / "a.cfg").rows


def test_sizes_of_convolutions_are_rounded_up(read):
    for n, k, s, p in [(224, 11, 4, 0), (32, 5, 3, 2), (31, 4, 2, 1), (9, 3, 3, 0)]:
        line = f"conv conv inputs=data channels=3 filters=4 filterSize={k} stride={s} padding={p}"
        found = read(sections("data data dataIdx=0", line), size=n)
        assert build_net(found.rows, found.in_shape, "net").shapes[-1][1:] == (1 + math.ceil((2 * p + n - k) / s),) * 2


def test_groups_neurons_dropout_and_comments(read):
    text = sections(
        "data data dataIdx=0",
        f"conv1 {CONV} inputs=data channels=4 filters=8 groups=2 padding=1 filterSize=3 neuron=tanh[1.7159,0.6667] initB=0.5",
        "d1 dropout inputs=conv1",
        "fc1 fc inputs=d1 outputs=6 neuron=logistic",
        "d2 dropout2 inputs=fc1 keep=0.75",
        "fc2 fc inputs=d2 outputs=5 neuron=abstanh[1,2]",
        "n1 neuron inputs=fc2 neuron=relu",
    )
    found = read("# a comment\n; another\n" + text.replace("keep=0.75", "Keep : 0.75 ; in words"))
    rows = {row.name: row for row in found.rows}
    assert rows["conv1"].settings["out_channels"] == 16 and rows["conv1"]["groups"] == 2 and rows["conv1"]["bias_init"].value == 0.5
    assert rows["conv1_neuron"].settings == {"a": 1.7159, "b": 0.6667} and found.in_shape[0] == 4
    assert (rows["d1"]["p"], rows["d1"]["scale"], rows["d2"]["p"], rows["d2"]["scale"]) == (0.5, "train", 0.25, "test")
    kinds = [row.kind for row in found.rows]
    assert kinds == "conv tanh dropout flatten linear sigmoid dropout linear abstanh relu".split()


def test_layers_with_several_inputs_and_joins(read):
    text = sections(
        *DATA,
        f"a {CONV} inputs=data channels=3 filters=4 padding=1 filterSize=3 neuron=relu",
        f"b {CONV} inputs=a channels=4 filters=4 padding=1 filterSize=3",
        "c eltsum inputs=a,b",
        "d concat inputs=c,a",
        "fc fc inputs=d,a outputs=10 initW=0.1,0.2 initB=3",
        *cost("fc"),
    )
    found = read(text)
    rows = {row.name: row for row in flat(found.rows)}
    assert rows["fc.1"]["weight_init"].std == 0.1 and rows["fc.2"]["weight_init"].std == 0.2
    assert rows["fc.1"]["bias_init"].value == 3 and rows["fc.2"]["bias_init"].value == 0
    net = build_net(found.rows, (3, 5, 5), "net", dtype=np.float64)
    x = values((2, 3, 5, 5))

    def conv(x, name):
        padded, weight = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), net.params[f"{name}.weight"]
        return sum(np.einsum("nchw,kc->nkhw", padded[:, :, i : i + 5, j : j + 5], weight[:, :, i, j]) for i in range(3) for j in range(3))

    a = np.maximum(conv(x, "a"), 0)
    b = conv(a, "b")
    d = np.concatenate([a + b, a], 1).reshape(2, -1)
    assert np.allclose(net.forward(x), d @ net.params["fc.1.weight"].T + a.reshape(2, -1) @ net.params["fc.2.weight"].T + 3)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("x cnorm inputs=c size=3", "line 15: x: type must be one of neuron, conv, local, fc, pool, "),
        ("x pool inputs=c pool=maxabs sizeX=3 stride=2", "line 17: x: pool must be max or avg, got maxabs"),
        ("x pool inputs=c pool=max sizeX=3 stride=4", "line 19: x: stride must be at most sizeX, 3, got 4"),
        ("x pool inputs=c pool=max sizeX=3 stride=2 start=1", "line 20: x: start must be at most 0 and above -sizeX, got 1"),
        ("x pool inputs=c pool=max sizeX=3 stride=2 outputsX=4", "line 20: x: outputsX must be 0"),
        ("x pool inputs=c pool=max sizeX=0 stride=2", "line 18: x: sizex must be at least 1, got '0'"),
        ("x conv inputs=c filters=4 filterSize=3 sharedBiases=0", "x: sharedBiases must be 1, got 0"),
        ("x conv inputs=c filters=4 filterSize=3 randSparse=1", "x: randSparse must be 0, got 1"),
        ("x conv inputs=c filters=4 filterSize=3 weightSource=c", "x: weightSource must be empty, got c"),
        ("x conv inputs=c filters=4 filterSize=3 padding=-1", "x: padding must be at least 0, got -1"),
        ("x conv inputs=c filters=4 filterSize=99999999999", "x: filtersize must be an integer up to 16,777,216"),
        ("x conv inputs=c filters=4.5 filterSize=3", "x: filters must be an integer"),
        ("x conv inputs=c filters=4,5 filterSize=3", "x: filters must be the same for all inputs, got '4,5'"),
        ("x conv inputs=c filterSize=3", "line 14: x: the section must have filters, got none"),
        ("x conv inputs=c filters=4 filterSize=3 initW=nan", "x: initw must be a finite number, got 'nan'"),
        ("x conv inputs=c filters=4 filterSize=3 initW=-1", "x: initW must be at least 0, got -1"),
        ("x conv inputs=c filters=4 filterSize=3 neuron=softrelu", "x: neuron must be relu, logistic, tanh[a,b], abstanh[a,b] or ident"),
        ("x conv inputs=c filters=4 filterSize=3 neuron=tanh[1]", "x: neuron must be a name, or tanh or abstanh with two factors"),
        ("x local inputs=c filters=4 filterSize=3 groups=2", "x: a local layer must have one group and be on one device, got more"),
        ("x cmrnorm inputs=c size=3", "line 14: x: normalization must have scale, got none; give the file of parameters as well"),
        ("x cmrnorm inputs=c size=3 scale=1 pow=.75 minDiv=0", "x: scale must be at least 0, and minDiv above 0, got 1 and 0"),
        ("x cmrnorm inputs=c size=3 blocked=1 scale=1 pow=1", "x: blocked must be 0, got 1"),
        ("x cmrnorm inputs=c size=3 blocked=2 scale=1 pow=1", "x: blocked must be 1 or 0, got '2'"),
        ("x hs inputs=c keep=0", "x: keep must be above 0 and at most 1, got 0"),
        ("x hs inputs=c", "x: the section must have keep, got none"),
        ("x pool inputs=c,data pool=max sizeX=3 stride=2", "x: pool must have one input, got 2"),
        ("x eltsum inputs=c,c", "x: inputs must be different layers, got 'c'"),
        ("x eltsum inputs=c,data coeffs=1,2", "x: coeffs must be 1, got 1,2"),
        ("x fc inputs=later outputs=3", "line 16: x: inputs must be layers that stand before it, got 'later'"),
        ("x fc inputs=x outputs=3", "x: inputs must be layers that stand before it, got 'x'"),
        ("x fc outputs=3", "x: the section must have inputs, got none"),
        ("x - inputs=c", "line 14: x: the section must have type, got none"),
    ],
)
def test_what_the_engine_lacks_is_named_with_its_line(read, line, text):
    base = sections("data data dataIdx=0", "c conv inputs=data channels=3 filters=4 filterSize=3 padding=1 stride=1")
    assert base.count("\n") == 12
    with refuses(DataError, text):
        read(base + "\n" + sections(line))


def test_towers_that_are_not_two_halves(read):
    base = [DATA[0], *halves("c{h} conv inputs=data channels=3 filters=4 filterSize=3 gpu={g}")]
    for more, text in [
        (("x fc inputs=ca outputs=3",), "x: a layer must read both halves of one below, or each half its own, got a half of c"),
        (tuple(halves("f{h} fc inputs=c{o} outputs=3 gpu={g}")), "f: a layer must read both halves".replace("f:", "fa:")),
        (tuple(halves("p{h} pool pool=max inputs=ca,cb sizeX=2 stride=2 gpu={g}")), "each half must read its own half, got c"),
        (("n pool pool=max inputs=ca,cb sizeX=2 stride=2",), "each half must read its own half, got c"),
        (("e eltsum inputs=ca,cb",), "e: eltsum must read whole layers, or both halves in order, got 'ca, cb'"),
        (("e concat inputs=cb,ca",), "e: concat must read whole layers, or both halves in order, got 'cb, ca'"),
    ]:
        with refuses(DataError, text):
            read(sections(*base, *more))
    found = read(sections(*base, "e concat inputs=ca,cb", "f fc inputs=e outputs=3"))
    assert [row.kind for row in found.rows] == ["conv", "flatten", "linear"] and found.rows[0]["out_channels"] == 8
    assert found.ends == "logits"


def test_costs_data_and_ends(read):
    fc = "fc fc inputs=data outputs=3"
    with refuses(DataError, "data with dataIdx=0 must be one layer, got 0"):
        read(sections("data data dataIdx=1", fc))
    with refuses(DataError, "the softmax must be one layer, got p, q"):
        read(sections(DATA[0], fc, "p softmax inputs=fc", "q softmax inputs=fc"))
    with refuses(DataError, "labels: type must be one of"):
        read(sections(*DATA, "fc fc inputs=labels,data outputs=3"))
    with refuses(ShapeError, "size must be an integer of at least 1"):
        read(sections(*DATA, fc), size=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file must hold sections such as [conv1], got none"),
        ("a=1", "line 1: a line must be [NAME] or, in a section, KEY=VALUE, got 'a=1'"),
        ("[a]\nb", "line 2: a line must be [NAME] or"),
        ("[a]\nb=1\nB=2", "line 3: each key must stand once in its section, got a second 'b'"),
        ("[a]\n[b]\n[a]", "line 3: a: each section must stand once, got a second; the first is in line 1"),
        ("[" + "a" * 200 + "]", "line 1: the name of a section must be printable, of at most 100 characters"),
        ("[a\x1b[31m]", "line 1: a line must be"),
        ("\n".join(f"[a{i}]" for i in range(10_001)), "line 10001: sections must be at most 10,000, got more"),
    ],
)
def test_files_of_another_form(text, message):
    with refuses(DataError, message):
        parse_sections("file", text)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
@pytest.mark.parametrize("inside", ["\f", "\v", "\x1c", "\x1e", "\x85", "\u2028", "\u2029"], ids=ascii)
def test_lines_are_those_that_an_editor_counts(inside, end):
    """A form feed and other separators, which str.splitlines takes for ends of lines, are inside of lines."""
    text = end.join(["; a comment" + inside + "that goes on", "[a]", "type=" + inside + "x", "[b]", inside, "b"])
    with refuses(DataError, "file: line 6: a line must be [NAME] or, in a section, KEY=VALUE, got 'b'"):
        parse_sections("file", text)
    assert parse_sections("file", text[:-1])["b"].line == 4


def test_files_that_cannot_be_read(tmp_path):
    with refuses(DataError, "the file must be readable, got No such file"):
        read_cfg(tmp_path / "none.cfg")
    (tmp_path / "large.cfg").write_bytes(b"#" * (2**20 + 1))
    with refuses(DataError, "the file must have at most 1,048,576 bytes, got more"):
        read_cfg(tmp_path / "large.cfg")


def test_functions_of_initial_weights_are_not_run(read):
    found = read(sections(DATA[0], "fc fc inputs=data outputs=3 initWFunc=os.system(touch)"))
    assert any("initwfunc names a function of the authors' program, which is not run" in note for note in found.notes)


def test_a_chain_of_many_layers_ends_soon(read):
    lines = [f"n{i} neuron inputs={'data' if i == 0 else f'n{i - 1}'} neuron=relu" for i in range(4000)]
    assert len(read(sections(DATA[0], *lines)).rows) == 4000


def test_a_line_of_spaces_costs_no_time():
    began = time.process_time()
    with refuses(DataError, "line 2: a line must be [NAME] or, in a section, KEY=VALUE, got 'a  "):
        parse_sections("file", "[data]\na" + " " * 100_000 + "b")
    assert time.process_time() - began < 5
    assert parse_sections("file", "[data]\na b \t = c = d ; e")["data"].values == {"a b": ("c = d", 2)}


def test_a_type_does_not_change_a_terminal(read):
    with refuses(DataError, "got '\\x1b[2J'"):
        read("[data]\ntype=data\ndataIdx=0\n\n[a]\ntype=\x1b[2J\ninputs=data\n")
