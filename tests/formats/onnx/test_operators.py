"""Small graphs as other programs write them, against ONNX Runtime: constants, axes in other orders, padding by itself, old forms."""

import numpy as np
import pytest

from tests.contract import values
from tests.formats.onnx.graphs import agree, by_runtime, helper, model_of, node, run, saved
from tinyalex.formats.onnx import read_onnx
from tinyalex.models.later.rows import flat

CONV = {"w": values((4, 3, 3, 3), 1, np.float32), "b": values((4,), 2, np.float32)}
CHANNELS = {"c": values((4, 1, 1), 3, np.float32), "d": values((1, 4, 1, 1), 4, np.float32)}
FULL = {"v": values((5, 48), 5, np.float32), "k": values((5,), 6, np.float32)}
INTS = {name: np.array(each, np.int64) for name, each in {"i0": 0, "i1": [1], "m1": [-1], "z2": [0, 0], "i23": [2, 3]}.items()}
NHWC = node("Transpose", "x", "n", perm=[0, 3, 1, 2])


def lrn_by_steps(n):
    """Local response normalization as PyTorch exports it, with a window of n channels."""
    return [
        node("Mul", "x x", "s"),
        node("Unsqueeze", "s", "u", axes=[1]),
        node("Pad", "u", "p", pads=[0, 0, n // 2, 0, 0, 0, 0, (n - 1) // 2, 0, 0]),
        node("AveragePool", "p", "a", kernel_shape=[n, 1, 1], strides=[1, 1, 1]),
        node("Squeeze", "a", "q", axes=[1]),
        node("Mul", "q alpha", "m"),
        node("Add", "m two", "d"),
        node("Pow", "d beta", "w"),
        node("Div", "x w", "y"),
    ]


STEPS = {"alpha": np.full((), 0.3, np.float32), "two": np.full((), 2, np.float32), "beta": np.full((), 0.75, np.float32)}
BRANCHES = {
    f"{name}_branch": helper.make_graph([node(kind, "r", "inside")], name, [], [helper.make_tensor_value_info("inside", 1, None)])
    for name, kind in (("then", "Tanh"), ("else", "Sigmoid"))
}

# name: the nodes, the shape of an image, the opset, the arrays, and the kinds of layers that are read
GRAPHS = {
    "scale-behind-bn": (
        [
            node("BatchNormalization", "x c1 c2 c3 v1", "n"),
            node("Unsqueeze", "c2", "u", axes=[1, 2]),
            node("Mul", "n u", "m"),
            node("Unsqueeze", "c3", "s", axes=[1, 2]),
            node("Add", "m s", "y"),
        ],
        (4, 5, 5),
        9,
        {"c1": CHANNELS["c"][:, 0, 0], "c2": CONV["b"], "c3": CONV["b"][::-1].copy(), "v1": np.ones(4, np.float32)},
        "bn",
    ),
    "affine-alone": ([node("Mul", "x c", "m"), node("Add", "m d", "a"), node("Relu", "a", "y")], (4, 5, 5), 9, CHANNELS, "bn relu"),
    "affine-behind-conv": (
        [node("Conv", "x w", "v"), node("Mul", "v c", "m"), node("Add", "d m", "y")],
        (3, 6, 6),
        9,
        {"w": CONV["w"], **CHANNELS},
        "conv",
    ),
    "read-twice": (
        [node("Conv", "x w", "v"), node("Mul", "v c", "m"), node("Add", "v m", "y")],
        (3, 6, 6),
        9,
        {"w": CONV["w"], **CHANNELS},
        "conv bn",
    ),
    "input-scaled": (
        [node("Sub", "x mean", "a"), node("Div", "a std", "n"), node("Conv", "n w b", "y")],
        (3, 6, 6),
        13,
        {**CONV, "mean": values((1, 3, 1, 1), 7, np.float32), "std": np.full((), 0.25, np.float32)},
        "bn scale conv",
    ),
    "padding-in-front": (
        [node("Pad", "x p", "a", mode="constant"), node("Conv", "a w b", "y", strides=[2, 2])],
        (3, 6, 7),
        13,
        {**CONV, "p": np.array([0, 0, 1, 2, 0, 0, 0, 1])},
        "conv",
    ),
    "padding-of-some-axes": (
        [node("Pad", "x p zero i23", "a"), node("Conv", "a w b", "y", pads=[0, 1, 2, 3])],
        (3, 6, 7),
        18,
        {**CONV, **INTS, "p": np.array([1, 0, 0, 2]), "zero": np.zeros((), np.float32)},
        "conv",
    ),
    "padding-behind-relu": (
        [
            node("Relu", "x", "r"),
            node("Pad", "r", "a", pads=[0, 0, 1, 1, 0, 0, 1, 1]),
            node("MaxPool", "a", "y", kernel_shape=[3, 3], strides=[2, 2]),
        ],
        (3, 6, 7),
        9,
        {},
        "relu pool",
    ),
    "copies-of-the-edge": (
        [
            node("Constant", "", "backwards", value_ints=[1, 1, 0, 0, 0, 0, 0, 0]),
            node("Slice", "backwards last first i0 back", "p"),
            node("Pad", "x p", "a", mode="edge"),
            node("MaxPool", "a", "y", kernel_shape=[3, 3], strides=[2, 2]),
        ],
        (3, 6, 8),
        13,
        {name: np.array([number]) for name, number in {"last": -1, "first": -(2**63) + 1, "i0": 0, "back": -1}.items()},
        "pool",
    ),
    "padding-in-front-of-means": (
        [node("Pad", "x", "a", pads=[0, 0, 1, 1, 0, 0, 1, 1]), node("AveragePool", "a", "y", kernel_shape=[3, 3], strides=[2, 2])],
        (3, 7, 7),
        9,
        {},
        "mean_pool",
    ),
    "channels-last": (
        [
            NHWC,
            node("Conv", "n w b", "v", pads=[1, 1, 1, 1]),
            node("Transpose", "v", "l", perm=[0, 2, 3, 1]),
            node("Mul", "l f", "m"),
            node("Add", "m g", "a"),
            node("Relu", "a", "r"),
            node("Reshape", "r m1n", "t"),
            node("MatMul", "t v2", "y"),
        ],
        (4, 3, 3),
        13,
        {
            **CONV,
            "f": values((4,), 8, np.float32),
            "g": values((1, 1, 4), 9, np.float32),
            "m1n": np.array([-1, 48]),
            "v2": FULL["v"].T.copy(),
        },
        "conv relu flatten linear",
    ),
    "channels-last-mean": (
        [
            NHWC,
            node("Conv", "n w b", "v"),
            node("Transpose", "v", "l", perm=[0, 2, 3, 1]),
            node("ReduceMean", "l", "h", axes=[1, 2], keepdims=1),
            node("Squeeze", "h", "s", axes=[1, 2]),
            node("Sigmoid", "s", "y"),
        ],
        (5, 5, 3),
        9,
        CONV,
        "conv global_pool sigmoid",
    ),
    "channels-last-joined": (
        [
            NHWC,
            node("Conv", "n w b", "v"),
            node("Transpose", "v", "l", perm=[0, 2, 3, 1]),
            node("Relu", "l", "r"),
            node("Tanh", "l", "t"),
            node("Concat", "r t", "j", axis=3),
            node("Transpose", "j", "y", perm=[0, 3, 1, 2]),
        ],
        (5, 5, 3),
        9,
        CONV,
        "conv relu tanh",
    ),
    "shape-of-the-batch": (
        [
            node("Shape", "x", "s"),
            node("Gather", "s i0", "n", axis=0),
            node("Unsqueeze", "n", "n1", axes=[0]),
            node("Concat", "n1 m1", "t", axis=0),
            node("Reshape", "x t", "r"),
            node("Gemm", "r v k", "y", transB=1),
        ],
        (3, 4, 4),
        9,
        {**FULL, **INTS},
        "flatten linear",
    ),
    "shape-divided": (  # whole numbers are divided towards 0: 45 - (-7 / 2) is 48
        [
            node("Div", "m7 two", "d"),
            node("Sub", "n45 d", "n48"),
            node("Concat", "m1 n48", "t", axis=0),
            node("Reshape", "x t", "r"),
            node("Gemm", "r v k", "y", transB=1),
        ],
        (3, 4, 4),
        13,
        {**FULL, **INTS, "m7": np.array([-7]), "two": np.array([2]), "n45": np.array([45])},
        "flatten linear",
    ),
    "shape-sliced": (
        [
            node("Shape", "x", "s"),
            node("Slice", "s i0a i1", "n"),
            node("Concat", "n m1", "t", axis=0),
            node("Reshape", "x t", "r"),
            node("MatMul", "r vt", "m"),
            node("Add", "k m", "y"),
        ],
        (3, 4, 4),
        13,
        {**FULL, **INTS, "i0a": np.array([0]), "vt": FULL["v"].T.copy()},
        "flatten linear",
    ),
    "gemm-settings": (
        [node("Flatten", "x", "r"), node("Gemm", "r vt one", "y", alpha=0.3, beta=2.0)],
        (3, 4, 4),
        13,
        {"vt": FULL["v"].T.copy(), "one": np.full((1, 1), 0.7, np.float32)},
        "flatten linear",
    ),
    "gemm-no-bias": ([node("Flatten", "x", "r"), node("Gemm", "r v", "y", transB=1)], (3, 4, 4), 11, FULL, "flatten linear"),
    "bn-behind-gemm": (
        [node("Flatten", "x", "r"), node("Gemm", "r v k", "g", transB=1), node("BatchNormalization", "g k k k one", "y")],
        (3, 4, 4),
        9,
        {**FULL, "one": np.full(5, 1.5, np.float32)},
        "flatten linear",
    ),
    "one-pixel": (
        [
            node("GlobalAveragePool", "x", "g"),
            node("Conv", "g w1 b1", "v"),
            node("Relu", "v", "r"),
            node("Conv", "r w2", "u", group=2),
            node("Sigmoid", "u", "s"),
            node("Mul", "x s", "y"),
        ],
        (4, 5, 6),
        13,
        {"w1": values((6, 4, 1, 1), 1, np.float32), "b1": values((6,), 2, np.float32), "w2": values((4, 3, 1, 1), 3, np.float32)},
        "global_pool linear relu linear sigmoid",
    ),
    "gate-unsqueezed": (
        [
            node("ReduceMean", "x", "g", axes=[-2, -1], keepdims=0),
            node("Gemm", "g q", "v"),
            node("Unsqueeze", "v i23", "u"),
            node("Mul", "u x", "y"),
        ],
        (4, 5, 6),
        13,
        {"q": values((4, 4), 1, np.float32), **INTS},
        "global_pool linear",
    ),
    "option-a": (
        [
            node("Conv", "x w b", "v", strides=[2, 2], pads=[1, 1, 1, 1]),
            node("Slice", "x z2 e i23 s", "t"),
            node("Pad", "t p", "u"),
            node("Add", "v u", "y"),
        ],
        (3, 8, 8),
        13,
        {**CONV, **INTS, "e": np.array([2**63 - 1, 2**63 - 1]), "s": np.array([2, 2]), "p": np.array([0, 0, 0, 0, 0, 1, 0, 0])},
        "conv shortcut",
    ),
    "lrn-in-groups": (
        [
            node("Split", "x", "a b", axis=1, split=[2, 2]),
            node("LRN", "a", "n", size=3, alpha=0.3),
            node("LRN", "b", "m", size=3, alpha=0.3),
            node("Concat", "n m", "y", axis=1),
        ],
        (4, 5, 5),
        9,
        {},
        "norm",
    ),
    "lrn-by-steps": (lrn_by_steps(5), (7, 3, 4), 9, STEPS, "norm"),
    "lrn-by-steps-even": (lrn_by_steps(4), (7, 3, 4), 9, STEPS, "norm"),
    "if-true": ([node("Relu", "x", "r"), node("If", "yes", "y", **BRANCHES)], (3, 4, 4), 13, {"yes": np.ones((), bool)}, "relu tanh"),
    "if-false": ([node("Relu", "x", "r"), node("If", "no", "y", **BRANCHES)], (3, 4, 4), 13, {"no": np.zeros(1, bool)}, "relu sigmoid"),
    "tanh-behind-turned-axes": (
        [
            node("Mul", "x half", "m"),
            node("Transpose", "m", "t", perm=[0, 2, 3, 1]),
            node("Tanh", "t", "h"),
            node("Flatten", "h", "f"),
            node("Gemm", "f v k", "y", transB=1),
        ],
        (3, 4, 4),
        13,
        {**FULL, "half": np.full((), 0.5, np.float32)},
        "tanh flatten linear",
    ),
    "three-summed": ([node("Relu", "x", "a"), node("Tanh", "x", "b"), node("Sum", "a x b", "y")], (3, 4, 4), 9, {}, "relu tanh"),
    "old-concat": ([node("Relu", "x", "a"), node("Tanh", "x", "b"), node("Concat", "a b", "y", axis=1)], (3, 4, 4), 8, {}, "relu tanh"),
    "dropout-7": ([node("Relu", "x", "r"), node("Dropout", "r", "y mask", ratio=0.25)], (3, 4, 4), 7, {}, "relu dropout"),
    "dropout-13": (
        [node("Relu", "x", "r"), node("Dropout", "r ratio no", "y")],
        (3, 4, 4),
        13,
        {"ratio": np.full((), 0.25, np.float32), "no": np.zeros((), bool)},
        "relu dropout",
    ),
    "dropout-of-nothing": ([node("Relu", "x", "r"), node("Dropout", "r", "y", ratio=0.0)], (3, 4, 4), 7, {}, "relu"),
    "softmax-11-of-images": ([node("GlobalAveragePool", "x", "g"), node("Softmax", "g", "y")], (5, 4, 4), 11, {}, "global_pool"),
    "softmax-13": ([node("Flatten", "x", "f"), node("Softmax", "f", "s"), node("Identity", "s", "y")], (5, 1, 1), 13, {}, "flatten"),
    "types": (
        [node("Cast", "x", "d", to=1), node("Cast", "w", "f", to=1), node("Conv", "d f", "y")],
        (3, 6, 6),
        13,
        {"w": CONV["w"].astype(np.float64)},
        "conv",
    ),
    "largest": ([node("GlobalMaxPool", "x", "g"), node("Flatten", "g", "y")], (5, 4, 3), 13, {}, "pool flatten"),
    "same-upper": ([node("Conv", "x w b", "y", auto_pad="SAME_UPPER", strides=[2, 3])], (3, 8, 7), 13, CONV, "conv"),
    "same-lower": ([node("Conv", "x w b", "y", auto_pad="SAME_LOWER", strides=[2, 2])], (3, 8, 8), 13, CONV, "conv"),
    "valid": ([node("MaxPool", "x", "y", auto_pad="VALID", kernel_shape=[3, 2])], (3, 8, 7), 13, {}, "pool"),
    "same-of-means": (
        [node("AveragePool", "x", "y", auto_pad="SAME_LOWER", kernel_shape=[2, 4], strides=[2, 1])],
        (3, 7, 6),
        9,
        {},
        "mean_pool",
    ),
    "tail-for-ceil": ([node("MaxPool", "x", "y", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])], (3, 8, 8), 9, {}, "pool"),
    "ceil": ([node("MaxPool", "x", "y", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1)], (3, 8, 7), 12, {}, "pool"),
    "ceil-of-means": (
        [node("AveragePool", "x", "y", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1)],
        (3, 8, 7),
        19,
        {},
        "mean_pool",
    ),
    "constants": (
        [
            node("ConstantOfShape", "shape", "ones", value=model_of([], (1,), inits={"v": np.ones(1, np.float32)}).graph.initializer[0]),
            node("Constant", "", "half", value_float=0.5),
            node("Mul", "ones half", "w0"),
            node("Add", "w0 w", "w1"),
            node("Conv", "x w1 b", "y"),
        ],
        (3, 6, 6),
        13,
        {**CONV, "shape": np.array([4, 3, 3, 3])},
        "conv",
    ),
    "expanded": (
        [
            node("Expand", "one shape", "e"),
            node("Sqrt", "e", "r"),
            node("Transpose", "r", "t", perm=[1, 0]),
            node("Flatten", "x", "f"),
            node("MatMul", "f t", "y"),
        ],
        (3, 4, 4),
        13,
        {"one": np.full((1, 48), 2.0, np.float32), "shape": np.array([5, 48])},
        "flatten linear",
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_is_computed_as_onnx_runtime_does(name, tmp_path):
    nodes, shape, opset, arrays, kinds = GRAPHS[name]
    model = model_of(nodes, shape, opset, arrays)
    x = values((2, *shape), 0, np.float32)
    (theirs,) = by_runtime(model, x)
    net = read_onnx(saved(model, tmp_path))
    assert [row.kind for row in flat(net.rows)] == kinds.split()
    if nodes[0] is NHWC:
        assert "the net takes them as (N, C, H, W)" in net.notes[0]
        x = x.transpose(0, 3, 1, 2)
    agree(run(net, x), theirs, 1e-5)
