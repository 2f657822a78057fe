"""Graphs fold into rows of branches and unfold again: the same net, each layer once, and in bounded time whatever the graph."""

import time
from collections import Counter

import pytest
from hypothesis import given, strategies as st

from tests.contract import refuses
from tinyalex.errors import ShapeError
from tinyalex.formats.graph import DEEPEST, Node, fold, unfold
from tinyalex.models.later import googlenet as googlenets
from tinyalex.models.later.rows import MERGES, branches, flat
from tinyalex.models.registry import MODELS, heads_of, rows_of
from tinyalex.models.rows import Row


def layer(name, value, output=None, where=""):
    return Node(Row("relu", name), (value,), output or name, where)


def join(kind, name, *inputs, where=""):
    return Node(Row(kind, name), inputs, name, where)


def relu(name):
    return Row("relu", name)


@pytest.mark.parametrize("name", MODELS)
def test_every_net_goes_round(name):
    rows = rows_of(name)
    nodes, sink = unfold(rows, "data")
    assert fold(name, nodes, "data", sink) == rows
    assert fold(name, nodes[::-1], "data", sink) == rows  # in any order


@st.composite
def nets(draw, deepest=3):
    """Rows with random names, nested up to `deepest` levels."""
    fresh = iter(range(10**6))

    def rows(level, least=0):
        made = []
        for _ in range(draw(st.integers(least, 3))):
            if level and draw(st.booleans()):
                merge = draw(st.sampled_from(["concat", "sum", "product", "both"]))
                paths = [rows(level - 1) for _ in range(2 if merge == "product" else draw(st.integers(2, 4)))]
                made.append(branches(f"b{next(fresh)}", merge, *paths))
            else:
                made.append(Row("relu", f"r{next(fresh)}"))
        return tuple(made)

    return rows(deepest, least=1)


@given(nets(), st.randoms())
def test_random_rows_go_round(rows, random):
    nodes, sink = unfold(rows, "x")
    random.shuffle(nodes)
    assert fold("net", nodes, "x", sink) == rows


class Values:
    """Numbers for what layers and joins compute: joins of one kind are flattened, and a sum has no order."""

    def __init__(self):
        self.numbers, self.keys = {}, []

    def number(self, *key):
        if key not in self.numbers:
            self.numbers[key] = len(self.keys)
            self.keys.append(key)
        return self.numbers[key]

    def joined(self, merge, parts):
        if merge in ("concat", "sum"):
            parts = [inner for part in parts for inner in (self.keys[part][1:] if self.keys[part][0] == merge else (part,))]
        if len(parts) == 1:
            return parts[0]
        return self.number(merge, *(sorted(parts) if merge == "sum" else parts))

    def of_rows(self, rows, x):
        for row in rows:
            if row.kind == "branches":
                x = self.joined(row["merge"], [self.of_rows(path, x) for path in row["paths"]])
            else:
                x = self.number("layer", row.name, x)
        return x

    def of_graph(self, nodes, source, sink):
        values = {source: self.number("x")}
        for node in nodes:
            inputs = [values[value] for value in node.inputs]
            is_join = node.row.kind in MERGES
            values[node.output] = self.joined(node.row.kind, inputs) if is_join else self.number("layer", node.row.name, *inputs)
        return values[sink]

    def agree(self, rows, nodes, source, sink):
        return self.of_rows(rows, self.number("x")) == self.of_graph(nodes, source, sink)


@st.composite
def graphs(draw):
    nodes, values = [], ["x"]
    for i in range(draw(st.integers(1, 9))):
        recent = st.sampled_from(values[-4:])
        if draw(st.booleans()):
            nodes.append(layer(f"n{i}", draw(recent)))
        else:
            kind = draw(st.sampled_from(["concat", "sum"]))
            nodes.append(join(kind, f"n{i}", *draw(st.lists(recent, min_size=1, max_size=4))))
        values.append(f"n{i}")
    return nodes


@given(graphs())
def test_whatever_folds_computes_what_the_graph_computes_and_each_layer_once(nodes):
    sink = nodes[-1].output
    try:
        rows = fold("net", nodes, "x", sink)
    except ShapeError:
        return
    assert Values().agree(rows, nodes, "x", sink)
    names = [row.name for row in flat(rows)]
    assert max(Counter(names).values(), default=0) <= 1
    assert set(names) <= {node.row.name for node in nodes}


def test_inputs_of_one_concat_that_share_a_beginning_are_joined_behind_it():
    nodes = [layer("a", "x"), layer("b", "x"), layer("b1", "b"), layer("b2", "b"), layer("b3", "b2")]
    nodes.append(join("concat", "cat", "a", "b1", "b3"))
    inner = branches("cat.paths1", "concat", (relu("b1"),), (relu("b2"), relu("b3")))
    assert fold("net", nodes, "x", "cat") == (branches("cat", "concat", (relu("a"),), (relu("b"), inner)),)


def test_inception_v3_with_flattened_concats_is_the_same_net():
    rows = rows_of("inception-v3")
    nodes, sink = unfold(rows, "data")
    inner = {node.output: node for node in nodes if node.row.name.endswith(("3x3", "3x3b")) and node.row.kind == "concat"}
    assert len(inner) == 4
    flattened = []
    for node in nodes:
        if node.output in inner:
            continue
        inputs = tuple(value for read in node.inputs for value in (inner[read].inputs if read in inner else (read,)))
        flattened.append(Node(node.row, inputs, node.output))
    found = fold("inception-v3", flattened, "data", sink)
    assert Values().agree(found, nodes, "data", sink)
    assert sum(row.kind == "branches" and row.name.endswith(".paths1") for path in found[-4]["paths"] for row in path) == 1


def test_torchvisions_densenet_reads_all_outputs_so_far_in_every_concat():
    nodes = [layer("stem", "x")]
    values = ["stem"]
    for i in range(1, 5):
        nodes += [join("concat", f"all{i}", *values), layer(f"f{i}", f"all{i}")]
        values.append(f"f{i}")
    nodes.append(join("concat", "end", *values))
    named = ["all2", "all3", "all4", "end"]
    assert fold("net", nodes, "x", "end") == (
        relu("stem"),
        *(branches(name, "concat", (), (relu(f"f{i}"),)) for i, name in enumerate(named, 1)),
    )


def test_a_value_and_what_comes_of_it_in_one_concat_nest():
    nodes = [layer("a", "x"), layer("b", "a"), layer("c", "b"), join("concat", "cat", "x", "a", "b", "c")]
    third = branches("cat.paths1", "concat", (), (relu("c"),))
    second = branches("cat.paths2", "concat", (), (relu("b"), third))
    assert fold("net", nodes, "x", "cat") == (branches("cat", "concat", (), (relu("a"), second)),)


def test_a_sum_may_read_three_values_and_one_value_twice():
    nodes = [layer("a", "x"), join("sum", "add", "a", "x", "a", "x")]
    inner = branches("add.paths1", "sum", (), ())
    assert fold("net", nodes, "x", "add") == (branches("add", "sum", (relu("a"), inner), (), ()),)


def test_squeeze_and_excitation_is_a_product_with_a_gate():
    nodes = [layer("conv", "x"), layer("mean", "conv"), layer("gate", "mean")]
    nodes += [join("product", "se", "conv", "gate"), join("sum", "add", "se", "x")]
    se = branches("se", "product", (), (relu("mean"), relu("gate")))
    assert fold("net", nodes, "x", "add") == (branches("add", "sum", (relu("conv"), se), ()),)


def test_a_join_of_one_value_passes_it_on_and_names_that_are_taken_get_a_number():
    assert fold("net", [layer("a", "x"), join("sum", "s", "a"), layer("b", "s")], "x", "b") == (relu("a"), relu("b"))
    nodes = [layer("a", "x"), layer("cat.paths1", "a"), join("concat", "cat", "a", "cat.paths1", "x")]
    inner = branches("cat.paths1.2", "concat", (), (relu("cat.paths1"),))
    assert fold("net", nodes, "x", "cat") == (branches("cat", "concat", (relu("a"), inner), ()),)


def test_auxiliary_heads_are_left_out_or_work_while_training():
    rows = rows_of("googlenet-heads")
    nodes, _ = unfold(rows, "data")
    nodes = [node for node in nodes if node.row.kind != "both"]
    assert fold("net", nodes, "data", "fc") == googlenets.googlenet()
    assert fold("net", nodes, "data", "fc", heads=("aux1.fc2", "aux2.fc2")) == rows
    assert len(heads_of("googlenet-heads")) == 2


def test_a_head_is_what_it_is_when_nothing_else_follows():
    nodes = [layer("a", "x"), layer("b", "a"), layer("c", "a")]
    assert fold("net", nodes, "x", "b", heads=("c", "b")) == (
        relu("a"),
        branches("head1", "both", (relu("b"), branches("head2", "both", (), ())), (relu("c"),)),
    )


def test_the_source_may_be_the_sink():
    assert fold("net", [layer("a", "x")], "x", "x") == ()
    assert unfold((), "x") == ([], "x")


@pytest.mark.parametrize(
    ("nodes", "text"),
    [
        ([layer("a", "x"), layer("a", "x", "y", "line 7")], "a (line 7) must have a name of its own, got that of a"),
        ([layer("a", "x"), layer("b", "x", "a", "line 7")], "b (line 7) must give a value of its own, got 'a', the output of a"),
        ([layer("a", "x", "x", "node 1")], "a (node 1) must give a value of its own, got 'x', the input of the net"),
        ([layer("end", "y", where="node 3")], "end (node 3) must read values that a layer gives, got 'y', which none gives"),
        ([layer("a", "end"), layer("end", "a")], "the graph must have no cycle, got one that leads to a"),
        ([layer("a", "b"), layer("b", "a"), join("sum", "end", "x", "b")], "the graph must have no cycle, got one that leads to a"),
        ([layer("end", "end", where="node 0")], "must have no cycle, got one that leads to end (node 0)"),
        ([Node(Row("relu", "end"), ("x", "x"), "end", "node 2")], "end (node 2) must read one value, got 2"),
        ([Node(Row("relu", "end"), (), "end")], "end must read one value, got 0"),
        ([join("sum", "end")], "end must read at least one value, got 0"),
        ([layer("a", "x")], "the value 'end' must be given by a layer, got none that gives it"),
    ],
)
def test_a_damaged_graph_is_refused_with_the_node_and_its_place(nodes, text):
    with refuses(ShapeError, text):
        fold("net.onnx", nodes, "x", "end")


def bridge():
    """a is read by b and by the first sum, whose output the second joins with b: no paths that part and meet."""
    return [
        layer("a", "x", where="node 1"),
        layer("b", "x"),
        layer("c", "a"),
        join("sum", "first", "a", "b", where="node 4"),
        layer("d", "first"),
        join("sum", "end", "d", "c", where="node 6"),
    ]


def test_a_graph_that_is_no_paths_is_refused():
    with refuses(ShapeError, "a (node 1) must lie on one path, got one to first (node 4) and one to end (node 6); the engine needs paths"):
        fold("net", bridge(), "x", "end")


def test_a_head_from_inside_of_a_path_is_refused():
    nodes = [layer("a", "x"), layer("b", "a"), join("sum", "end", "b", "x"), layer("h", "a")]
    with refuses(ShapeError, "a must lie on one path, got one to end and one to head1"):
        fold("net", nodes, "x", "end", heads=("h",))


def test_a_concat_whose_shared_beginnings_are_apart_is_refused_and_a_sum_is_not():
    nodes = [layer("a", "x"), layer("a1", "a"), layer("a2", "a"), layer("b", "x")]
    with refuses(ShapeError, "cat must read inputs that share a beginning beside each other, got another value between them"):
        fold("net", [*nodes, join("concat", "cat", "a1", "b", "a2")], "x", "cat")
    assert len(list(flat(fold("net", [*nodes, join("sum", "s", "a1", "b", "a2")], "x", "s")))) == 4
    with refuses(ShapeError, "p must join paths that part at one value, got two that share a"):
        fold("net", [*nodes, join("product", "p", "a1", "a2", "b")], "x", "p")


def test_rows_with_one_name_cannot_unfold():
    with refuses(ShapeError, "names of rows must be unique and other than the source's, got 'a' twice"):
        unfold((relu("a"), relu("a")), "x")
    with refuses(ShapeError, "got 'x' twice"):
        unfold((relu("x"),), "x")


def chain(n):
    return [layer(f"n{i}", f"n{i - 1}" if i else "x") for i in range(n)], f"n{n - 1}"


def residual(n):
    nodes, value = [], "x"
    for i in range(n // 3):
        nodes += [layer(f"a{i}", value), layer(f"b{i}", f"a{i}"), join("sum", f"s{i}", f"b{i}", value)]
        value = f"s{i}"
    return nodes, value


def long_paths(n):
    """Two paths of half the net each: the walk to where they part is long, but there is only one."""
    a, b = chain(n // 2)[0], [layer(f"m{i}", f"m{i - 1}" if i else "x") for i in range(n // 2)]
    return [*a, *b, join("sum", "end", a[-1].output, b[-1].output)], "end"


def wide(n):
    nodes = [layer(f"n{i}", "x") for i in range(n)]
    return [*nodes, join("concat", "end", *(node.output for node in nodes))], "end"


def densely(n):
    """Concats of 2, 3, ... values: the file itself is as long as the square of their number."""
    nodes, values = [layer("f0", "x")], ["f0"]
    for i in range(1, int(n**0.5)):
        nodes += [join("concat", f"c{i}", *values), layer(f"f{i}", f"c{i}")]
        values.append(f"f{i}")
    return [*nodes, join("concat", "end", *values)], "end"


@pytest.mark.parametrize("graph", [chain, residual, long_paths, wide, densely])
def test_time_grows_with_the_file_and_depth_is_no_matter(graph):
    nodes, sink = graph(20_000)
    start = time.process_time()
    rows = fold("net", nodes, "x", sink)
    assert time.process_time() - start < 3
    layers = sum(node.row.kind == "relu" for node in nodes)
    assert len(list(flat(rows))) == layers
    start = time.process_time()
    assert len(unfold(rows, "x")[0]) >= layers
    assert time.process_time() - start < 3


def ladder(n):
    """Each rung joins both sides: every value lies on many ways, and the first join that is no fold ends the work."""
    nodes = [layer("l0", "x"), layer("r0", "x")]
    for i in range(1, n // 2):
        nodes += [join("sum", f"l{i}", f"l{i - 1}", f"r{i - 1}"), layer(f"r{i}", f"r{i - 1}")]
    return nodes, nodes[-2].output


def nested(n):
    """Each value is read by the layer behind it and by one sum."""
    nodes, _ = chain(n)
    return [*nodes, join("sum", "end", *(node.output for node in nodes))], "end"


def sums_in_sums(n):
    nodes = [layer(f"n{i}", "x") for i in range(n // 2)]
    nodes += [join("concat", f"c{i}", f"c{i - 1}" if i else "x", f"n{i}") for i in range(n // 2)]
    return [*nodes, *(join("product", f"p{i}", f"p{i - 1}" if i else nodes[-1].output, f"n{i}") for i in range(9))], "p8"


@pytest.mark.parametrize("graph", [ladder, nested, sums_in_sums])
def test_hostile_graphs_are_refused_in_bounded_time(graph):
    nodes, sink = graph(30_000)
    start = time.process_time()
    with refuses(ShapeError, "must"):
        fold("net", nodes, "x", sink)
    assert time.process_time() - start < 10


def test_a_chain_of_100_000_layers_folds():
    nodes, sink = chain(100_000)
    assert len(fold("net", nodes, "x", sink)) == 100_000


def test_paths_inside_of_paths_are_limited():
    nodes, sink = nested(DEEPEST)
    assert len(list(flat(fold("net", nodes, "x", sink)))) == DEEPEST
    nodes, sink = nested(DEEPEST + 2)
    with refuses(ShapeError, "end must have at most 64 levels of paths inside of paths, got more"):
        fold("net", nodes, "x", sink)
