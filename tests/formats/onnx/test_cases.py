"""The test cases of the package onnx, made by others, with their stored inputs and outputs: each agrees, or is refused by name."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.formats.onnx.graphs import agree, node_cases, numpy_helper, onnx, run, saved
from tinyalex.errors import DataError
from tinyalex.formats.onnx import read_onnx

DATA = Path(onnx.__file__).parent / "backend/test/data"
OPERATORS = (
    "Abs", "Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Constant", "ConstantOfShape", "Conv", "Dropout", "Flatten",
    "Gather", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "GroupNormalization", "Identity", "LRN", "LogSoftmax", "MatMul", "MaxPool",
    "Mul", "Pad", "ReduceMean", "Relu", "Reshape", "Shape", "Sigmoid", "Softmax", "Squeeze", "Sum", "Tanh", "Transpose", "Unsqueeze",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A graph, the values of its inputs by name, and of its outputs."""

    name: str
    model: Any
    inputs: dict[str, np.ndarray]
    outputs: list[np.ndarray]

    def baked(self) -> Any:
        """The graph with all inputs but the first as initializers, as in the file of a network."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        for name in list(self.inputs)[1:]:
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(self.inputs[name]), name))
        return model


def of_folder(folder: Path) -> Case:
    model = onnx.load(folder / "model.onnx")
    stored = {tensor.name for tensor in model.graph.initializer}
    names = [value.name for value in model.graph.input if value.name not in stored]
    read = [[onnx.load_tensor(path) for path in sorted((folder / "test_data_set_0").glob(f"{kind}_*.pb"))] for kind in ("input", "output")]
    inputs, outputs = ([numpy_helper.to_array(tensor) for tensor in tensors] for tensors in read)
    return Case(folder.name, model, dict(zip(names, inputs, strict=False)), outputs)


@cache
def of_operators() -> dict[str, list[Case]]:
    """The cases of one node, by operator."""
    found: dict[str, list[Case]] = {kind: [] for kind in OPERATORS}
    modules = [{"BatchNormalization": "batch_normalization"}.get(kind, kind.lower()) for kind in OPERATORS]
    for case in node_cases(*modules):
        if case.model.graph.node[0].op_type not in found:
            continue
        names = [value.name for value in case.model.graph.input]
        inputs, outputs = case.data_sets[0]
        kind = case.model.graph.node[0].op_type
        found[kind].append(Case(case.name, case.model, dict(zip(names, inputs, strict=False)), list(outputs)))
    return found


def outcome(case: Case, folder: Path) -> str:
    """ "agrees", or what of which operator is refused."""
    try:
        net = read_onnx(saved(case.baked(), folder))
    except DataError as error:
        (said,) = re.findall(r"model\.onnx: (.*?) must ", error.sentence)
        return re.sub(r"^node \d+ '[^']*' |'[^']*' ", "", said)
    ours = run(net, next(iter(case.inputs.values())))
    if any("logarithms" in note for note in net.notes):
        ours = np.log(ours)
    agree(ours, case.outputs[0], 2e-4 if case.name in ROUNDED else 1e-4)
    return "agrees"


ROUNDED = ("test_averagepool_2d_ceil_last_window_starts_on_pad",)  # its outputs are stored with four digits

EXPECTED: dict[str, dict[str, int]] = {
    "pytorch-converted": {
        "agrees": 24, "(Abs): its input": 1, "(AveragePool): its input": 5, "(BatchNormalization): its input": 3, "(Conv): dilations": 1,
        "(Conv): the weights": 15, "(ConvTranspose): the operator": 2, "(Elu): the operator": 1, "(Exp): the operator": 1,
        "(LeakyRelu): the operator": 2, "(LogSoftmax): its axis": 1, "(MaxPool): dilations": 1, "(MaxPool): its input": 6,
        "(Neg): the operator": 1, "(PRelu): the operator": 6, "(Pad): its padding": 1, "(Selu): the operator": 1,
        "(Softmax): its axis": 1, "(Softplus): the operator": 1, "(Split): its input": 2, "(Transpose): its axes": 1, "the input '0'": 2,
        "the output '1'": 3,
    },
    "pytorch-operator": {
        "agrees": 4, "(Add): the constant": 6, "(Clip): the operator": 1, "(Concat): input 1": 1, "(ConvTranspose): the operator": 1,
        "(Exp): the operator": 1, "(Gemm): the biases": 1, "(InstanceNormalization): the operator": 1, "(Max): the operator": 1,
        "(MaxPool): its input": 1, "(Min): the operator": 1, "(Pad): its padding": 1, "(Pow): the operator": 1, "(ReduceMean): axes": 2,
        "(ReduceSum): the operator": 2, "(Selu): the operator": 1, "(Sqrt): the operator": 1, "(Squeeze): axes": 1,
        "(Tile): the operator": 2, "the input '0'": 5,
    },
    "Abs": {"(Abs): its input": 1},
    "Add": {"(Add): the constant": 3, "the input 'x'": 5},
    "AveragePool": {"agrees": 12, "(AveragePool): dilations": 1, "(AveragePool): its input": 7},
    "BatchNormalization": {"agrees": 2, "(BatchNormalization): training_mode": 2},
    "Clip": {"(Clip): the operator": 3, "the input 'x'": 9},
    "Concat": {"(Concat): input 1": 10, "the input 'value0'": 2},
    "Constant": {"the graph": 1},
    "ConstantOfShape": {"the input 'x'": 3},
    "Conv": {"agrees": 6},
    "Dropout": {"agrees": 5, "(Dropout): training_mode": 6, "the input 'x'": 1},
    "Flatten": {"agrees": 3, "(Flatten): axis": 6},
    "Gather": {"(Gather): the operator": 3, "the input 'data'": 1},
    "Gemm": {"agrees": 8, "(Gemm): its input": 2, "(Gemm): the biases": 1},
    "GlobalAveragePool": {"agrees": 2},
    "GlobalMaxPool": {"agrees": 2},
    "GroupNormalization": {"agrees": 2},
    "Identity": {"agrees": 1, "the input 'opt_in'": 1, "the input 'x'": 3},
    "LRN": {"agrees": 2},
    "LogSoftmax": {"agrees": 2, "(LogSoftmax): its axis": 5},
    "MatMul": {"agrees": 1, "(MatMul): the weights": 4, "the input 'a'": 2},
    "MaxPool": {"agrees": 13, "(MaxPool): dilations": 1, "(MaxPool): its input": 5},
    "Mul": {"(Mul): the constant": 3, "the input 'x'": 6},
    "Pad": {"the input 'x'": 3, "the output 'y'": 3},
    "ReduceMean": {"(ReduceMean): axes": 8},
    "Relu": {"agrees": 1},
    "Reshape": {"agrees": 6, "(Reshape): shape": 4},
    "Shape": {"the output 'y'": 11},
    "Sigmoid": {"agrees": 1, "the input 'x'": 1},
    "Softmax": {"agrees": 2, "(Softmax): its axis": 5},
    "Squeeze": {"agrees": 1, "(Squeeze): axes": 1},
    "Sum": {"the input 'data_0'": 3},
    "Tanh": {"agrees": 1, "the input 'x'": 1},
    "Transpose": {"(Transpose): its axes": 5, "the output 'transposed'": 2},
    "Unsqueeze": {"agrees": 6, "(Unsqueeze): axes": 1},
}  # fmt: skip


@pytest.mark.parametrize("group", EXPECTED)
def test_every_case_of_a_group_agrees_or_is_refused_by_name(group, tmp_path):
    folder = DATA / group
    found = [of_folder(each) for each in sorted(folder.iterdir())] if folder.is_dir() else of_operators()[group]
    assert Counter(outcome(case, tmp_path) for case in found) == EXPECTED[group]


def test_all_groups_are_run():
    assert set(EXPECTED) == {"pytorch-converted", "pytorch-operator", *OPERATORS}
