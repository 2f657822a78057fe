"""Operators that the engine does not have: each is refused in one sentence that names the node."""

import numpy as np
import pytest

from tests.contract import refuses, values
from tests.formats.onnx.graphs import FLOAT, helper, model_of, node, saved
from tinyalex.errors import DataError
from tinyalex.formats.onnx import read_onnx

W = {"w": values((4, 3, 3, 3), 1, np.float32)}
CONV = node("Conv", "x w", "y")
RELU = node("Relu", "x", "y")
IMAGES = (3, 6, 6)

OPERATORS = [
    (
        [
            node("Split", "x", "a b c", axis=1),
            *(node("LRN", each, f"{each}n", size=3) for each in "abc"),
            node("Concat", "an cn bn", "y", axis=1),
        ],
        {},
        "(Concat): its inputs must be all parts of one array in their order, each behind the same LRN, got 3 parts",
    ),
    (
        [node("Pad", "x", "y", pads=[0, 0, 0, 0, 0, 3, 0, 0], value=1.0)],
        {},
        "(Pad): its padding must be zeros, for the new channels alone, behind the others or half before them, got (0, 3) with 1",
    ),
    ([node("Pad", "x", "y", pads=[0, 0, 1, 1, 0, 0, 1, 1], value="one")], {}, "(Pad): value must be a number, got one"),
    ([node("Relu", "x", "r"), helper.make_node("Sum", [], ["y"])], {}, "(Sum): input 0 must be an array that the network computes, got"),
    (
        [node("ConstantOfShape", "s", "w"), node("Flatten", "x", "f"), node("Gemm", "f w", "y", transB=1)],
        {"s": np.array([2**24, 108])},
        "(Gemm): the constants of the graph must be at most 1,073,741,824 bytes, got more",
    ),
    (
        [node("ConstantOfShape", "s", "w"), node("ReduceProd", "w", "p"), node("Mul", "x p", "y")],
        {"s": np.array([2**24, 108])},
        "(ReduceProd): the constants of the graph must be at most 1,073,741,824 bytes, got more",
    ),
    ([node("Elu", "x", "y")], {}, "node 0 'y' (Elu): the operator must be one that tinyalex has, got Elu"),
    ([node("Clip", "x", "y", min=0.0)], {}, "(Clip): the operator must be one that tinyalex has"),
    (
        [helper.make_node("FusedConv", ["x", "w"], ["y"], "c", domain="com.microsoft")],
        W,
        "node 0 'c' (FusedConv): the operator must be one of ONNX itself, got FusedConv of com.microsoft",
    ),
    ([node("Conv", "x w", "y", dilations=[2, 2])], W, "(Conv): dilations must be 1, as tinyalex has none, got (2, 2)"),
    (
        [node("Conv", "x w", "y", group=3)],
        W,
        "(Conv): the weights must be for 3 channels in 3 groups, got float32 array of shape (4, 3, 3, 3)",
    ),
    ([node("Conv", "x w", "y", group=0)], W, "(Conv): the weights must be for 3 channels in 0 groups"),
    ([node("Conv", "x w", "y", pads=[-1, 0, 0, 0])], W, "(Conv): pads must be four numbers of at least 0, got (-1, 0, 0, 0)"),
    ([node("Conv", "x w", "y", strides=[0, 1])], W, "(Conv): strides must be two steps of at least 1, got (0, 1)"),
    ([node("Conv", "x w", "y", kernel_shape=[2, 2])], W, "(Conv): kernel_shape must be (3, 3), as the weights have it, got (2, 2)"),
    ([node("Conv", "x w", "y", auto_pad="ELSE")], W, "auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER, got 'ELSE'"),
    ([node("Conv", "x x", "y")], {}, "(Conv): the weights must be a constant of the file, got an array that the network computes"),
    ([node("Conv", "w x", "y")], W, "(Conv): the weights must be a constant of the file, got an array that the network computes"),
    ([node("Conv", "x v", "y")], {"v": np.ones((2, 3, 3, 3), np.int64)}, "(Conv): the weights must be floats, got int64 array"),
    (
        [node("Conv", "x v", "y")],
        {"v": np.ones((2, 3, 7, 7), np.float32)},
        "input height with padding must be at least 7, the kernel's, got 6",
    ),
    ([node("MaxPool", "x", "y z", kernel_shape=[2, 2]), node("Add", "y z", "s")], {}, "(MaxPool): its outputs must be one, the maxima"),
    ([node("MaxPool", "x", "y")], {}, "(MaxPool): kernel_shape must be two sizes of at least 1, got ()"),
    ([node("MaxPool", "x", "y", kernel_shape=[2, 2], pads=[2, 2, 2, 2])], {}, "padding must be below 2, the kernel's height, got 2"),
    (
        [node("Pad", "x", "p", pads=[0, 0, 1, 1, 0, 0, 1, 1]), node("MaxPool", "p", "y", kernel_shape=[3, 3])],
        {},
        "(MaxPool): the padding in front of it must be -inf, the edge, or 0 behind a ReLU, got 0",
    ),
    (
        [node("Relu", "x", "r"), node("Pad", "r", "p", pads=[0, 0, 0, 0, 0, 0, 3, 3]), node("MaxPool", "p", "y", kernel_shape=[3, 3])],
        {},
        "(MaxPool): the padding in front of it must be smaller than its windows, of which each sees a pixel, got (0, 3, 0, 3)",
    ),
    (
        [node("Pad", "x", "p", pads=[0, 0, 0, 0, 0, 0, 1, 1], mode="edge"), node("Conv", "p w", "y")],
        W,
        "(Conv): the padding in front of it must be zeros, got the edge or -inf",
    ),
    (
        [node("Pad", "x", "p", pads=[0, 0, 1, 1, 0, 0, 1, 1]), node("Relu", "p", "y")],
        {},
        "(Relu): the operator must be a convolution or a pooling, which can add the padding in front of it, got Relu",
    ),
    ([node("Pad", "x", "y", pads=[0, 0, 1, 1, 0, 0, 1, 1])], {}, "the output 'y' must be given by a layer, got Pad, Split or x^2"),
    (
        [node("Pad", "x", "y", pads=[1, 0, 0, 0, 0, 0, 0, 0])],
        {},
        "(Pad): its padding must be constant or the edge, on the sides of each image, of at least 0",
    ),
    ([node("LRN", "x", "y", size=4)], {}, "(LRN): size must be odd, because the windows of ONNX and tinyalex differ for even ones, got 4"),
    ([node("LRN", "x", "y", size=3, bias=0.0)], {}, "k must be a finite number above 0, got 0.0"),
    (
        [node("Softmax", "x", "y", axis=1)],
        {},
        "(Softmax): its axis must be that of the classes, the only one beside the batch, got 1 of (N, 3, 6, 6)",
    ),
    (
        [node("GlobalAveragePool", "x", "g"), node("Softmax", "g", "s", axis=1), node("Relu", "s", "y")],
        {},
        "(Relu): the operator must be in front of the softmax, which tinyalex has in its loss",
    ),
    ([node("Reshape", "x t", "y")], {"t": np.array([-1, 3])}, "(Reshape): shape must be one of"),
    ([node("Reshape", "x t", "y")], {"t": np.array([3, -1, 6, 6])}, "(Reshape): shape must be one that leaves each image by itself"),
    ([node("Transpose", "x", "y", perm=[1, 0, 2, 3])], {}, "(Transpose): its axes must be the batch and those of images"),
    (
        [node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("Conv", "t w", "y")],
        W,
        "(Conv): its input must be images (N, C, H, W), got (N, 6, 6, 3) with its channels elsewhere",
    ),
    ([node("Transpose", "x", "y", perm=[0, 2, 3, 1])], {}, "the output 'y' must have its channels first, as the layers have them"),
    (
        [node("Mul", "x m", "y")],
        {"m": np.ones((3, 6, 1), np.float32) * 2},
        "(Mul): the constant must be one number a channel of (N, 3, 6, 6)",
    ),
    ([node("Mul", "x x", "y")], {}, "the output 'y' must be given by a layer, got Pad, Split or x^2"),
    ([node("Mul", "x m", "y")], {"m": np.zeros((), np.float32)}, "factor must be a finite number other than 0, got 0.0"),
    ([node("Div", "x m", "y")], {"m": np.zeros((), np.float32)}, "(Div): what it is divided by must be other than 0, got 0"),
    ([node("Concat", "x x", "y", axis=2)], {}, "(Concat): axis must be that of the channels of (N, 3, 6, 6), got 2"),
    (
        [node("Split", "x", "a b c", axis=1), node("Concat", "a c b", "y", axis=1)],
        {},
        "(Concat): its inputs must be all parts of one array in their order",
    ),
    ([node("Split", "x", "y b c", axis=1)], {}, "the output 'y' must be given by a layer, got Pad, Split or x^2"),
    ([node("ReduceMean", "x", "y", axes=[2])], {}, "(ReduceMean): axes must be the height and the width of (N, 3, 6, 6), got (2,)"),
    ([node("Slice", "x a b", "y")], {"a": np.array([0]), "b": np.array([2])}, "(Slice): its bounds must be whole axes"),
    ([node("Abs", "x", "y")], {}, "(Abs): its input must be the output of Tanh, which nothing else reads, got another"),
    (
        [node("Dropout", "x r t", "y")],
        {"r": np.full((), 0.5, np.float32), "t": np.ones((), bool)},
        "(Dropout): training_mode must be False",
    ),
    ([node("Dropout", "x r", "y")], {"r": np.full((), 1.5, np.float32)}, "p must be at least 0 and below 1, got 1.5"),
]


def steps(**changed):
    """Response normalization step by step, with one step changed."""
    made = {
        "square": node("Mul", "x x", "s"),
        "place": node("Unsqueeze", "s", "u", axes=[1]),
        "pad": node("Pad", "u", "p", pads=[0, 0, 1, 0, 0, 0, 0, 1, 0, 0]),
        "mean": node("AveragePool", "p", "a", kernel_shape=[3, 1, 1], strides=[1, 1, 1]),
        "back": node("Squeeze", "a", "q", axes=[1]),
        "alpha": node("Mul", "q c", "m"),
        "k": node("Add", "m c", "d"),
        "beta": node("Pow", "d c", "w"),
        "divide": node("Div", "x w", "y"),
    }
    return [*(made | changed).values()]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"pad": node("Pad", "u", "p", pads=[0, 0, 2, 0, 0, 0, 0, 0, 0, 0])}, "(AveragePool): its window must be n channels of one pixel"),
        ({"pad": node("Pad", "u", "p", pads=[0, 0, 1, 1, 0, 0, 0, 1, 0, 0])}, "(Pad): its padding must be zeros in front of the channels"),
        ({"pad": node("Pad", "u", "p", pads=[0, 0, 1, 0, 0, 0, 0, 1, 0, 0], value=1.0)}, "(Pad): its padding must be zeros in front"),
        (
            {"mean": node("AveragePool", "p", "a", kernel_shape=[3, 1, 2], strides=[1, 1, 1])},
            "(AveragePool): its window must be n channels",
        ),
        (
            {"mean": node("AveragePool", "p", "a", kernel_shape=[3, 1, 1], strides=[1, 2, 1])},
            "(AveragePool): its window must be n channels",
        ),
        ({"mean": node("MaxPool", "p", "a", kernel_shape=[3, 1, 1])}, "(MaxPool): the operator must be a step of response normalization"),
        ({"mean": node("Relu", "p", "a")}, "(Relu): the operator must be a step of response normalization, as its input is x^2, got Relu"),
        ({"k": node("Add", "s c", "d")}, "(Add): its constant must be the k of response normalization, one number, got 0.5"),
        ({"k": node("Add", "m e", "d")}, "(Add): its constant must be the k of response normalization, one number, got float32 array"),
        ({"beta": node("Pow", "s c", "w")}, "(Pow): the operator must be one that tinyalex has, got Pow"),
        ({"divide": node("Div", "x d", "y")}, "(Div): its inputs must be x and what response normalization divides it by"),
        ({"first": node("Relu", "x", "r"), "divide": node("Div", "r w", "y")}, "(Div): its inputs must be x and what"),
    ],
)
def test_steps_that_are_no_response_normalization_are_refused(changed, text, tmp_path):
    made = steps(**changed)
    made.sort(key=lambda each: each.output[0] != "r")
    arrays = {"c": np.full((), 0.5, np.float32), "e": np.ones((3, 1, 1), np.float32)}
    with refuses(DataError, text):
        read_onnx(saved(model_of(made, IMAGES, 9, arrays), tmp_path))
    assert read_onnx(saved(model_of(steps(), IMAGES, 9, arrays), tmp_path)).rows[0].kind == "norm"


def test_an_if_has_to_be_decided_by_a_constant(tmp_path):
    graph = helper.make_graph([node("Relu", "x", "z")], "g", [], [helper.make_tensor_value_info("z", FLOAT, None)])
    other = helper.make_graph([node("Relu", "x", "x")], "g", [], [helper.make_tensor_value_info("x", FLOAT, None)])
    lost = helper.make_graph([node("Relu", "x", "z")], "g", [], [helper.make_tensor_value_info("lost", FLOAT, None)])
    yes = {"yes": np.ones((), bool)}
    for arrays, branch, text in (
        ({}, graph, "(If): the condition must be a constant of the file, got an array that the network computes"),
        ({"yes": np.ones(2, bool)}, graph, "(If): the condition must be one value, got bool array of shape (2,)"),
        (yes, other, "(If): the values inside of it must be new ones, got x"),
        (yes, lost, "(If): its outputs must be given by nodes inside of it, got lost"),
    ):
        made = [node("If", "yes" if arrays else "x", "y", then_branch=branch, else_branch=graph)]
        with refuses(DataError, text):
            read_onnx(saved(model_of(made, IMAGES, 13, arrays), tmp_path))


@pytest.mark.parametrize(("nodes", "arrays", "text"), OPERATORS, ids=[text[:60] for *_, text in OPERATORS])
def test_an_operator_is_refused_with_its_node(nodes, arrays, text, tmp_path):
    opset = 9 if any(each.op_type in ("Pad", "Split") for each in nodes) else 13
    path = saved(model_of(nodes, IMAGES, opset, arrays, [nodes[-1].output[0]]), tmp_path)
    with refuses(DataError, text):
        read_onnx(path)
