"""An ONNX file as its graph and its constants, checked against what is declared, before anything is computed of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import CheckpointError, DataError, show
from tinyalex.files.atomic import require_path
from tinyalex.formats.onnx.wire import Cut, cut

Tensor = npt.NDArray[Any]
NEWEST = 28  # the newest set of operators whose meaning was looked up
LARGEST_MESSAGE = 2**28  # bytes of a file without its arrays; real ones have less than 2**23
MOST_ELEMENTS = 2**33  # of one array
MOST_AXES = 64
DTYPES: Mapping[int, str] = {
    1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8", 12: "<u4", 13: "<u8",
}  # fmt: skip
TYPED: Mapping[int, str] = {
    1: "float_data", 2: "int32_data", 3: "int32_data", 4: "int32_data", 5: "int32_data", 6: "int32_data", 7: "int64_data",
    9: "int32_data", 10: "int32_data", 11: "double_data", 12: "uint64_data", 13: "uint64_data",
}  # fmt: skip
FLOATING = (1, 10, 11)  # the types of elements that a network may compute with


def onnx_package(who: str) -> Any:
    """The package onnx, of which only the messages are used. DataError: it is not installed."""
    try:
        import onnx
    except ImportError as error:
        rule = "the package onnx must be installed for ONNX files"
        raise DataError(f"{who}: {rule}, got {error}; run: pip install 'tinyalex[formats]'") from None
    return onnx


@dataclass(frozen=True)
class Model:
    """A file that was read.

    Parameters
    ----------
    path: of the file. graph: its GraphProto. opset: the version of its operators. cut: the large arrays.
    functions: those of the file itself, by domain and name. ours: whether tinyalex wrote it.
    properties: the entries of `metadata_props`, in order; texts, but bytes where a text is none.
    """

    path: Path
    graph: Any
    opset: int
    cut: Cut
    functions: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    ours: bool = False
    properties: tuple[tuple[Any, Any], ...] = ()

    def tensor(self, tensor: Any, what: str) -> Tensor:
        """The elements of a TensorProto; large ones are a view of the file's bytes, which cannot be written to.

        what: what it is, for messages. Raises DataError where the declared shape and the bytes differ, or the bytes are in another file.
        """
        if tensor.data_location == 1 or len(tensor.external_data):
            places = [entry.value for entry in tensor.external_data if entry.key == "location"]
            rule = f"{self.path}: the elements of {what} must be in the file itself"
            merge = f"onnx.save(onnx.load({self.path.name!r}), 'merged.onnx')"
            raise DataError(f"{rule}, got {show(places[0] if places else '')} as another file; merge both where you trust them: {merge}")
        kind, shape = DTYPES.get(tensor.data_type), tuple(tensor.dims)
        if kind is None:
            raise DataError(f"{self.path}: the elements of {what} must be ordinary numbers, got type {tensor.data_type} of ONNX")
        if len(shape) > MOST_AXES or min(shape, default=0) < 0 or math.prod(shape) > MOST_ELEMENTS:
            rule = f"{self.path}: the shape of {what} must be at most {MOST_AXES} sizes and {MOST_ELEMENTS:,} elements"
            raise DataError(f"{rule}, got {show(shape)}")
        dtype, count = np.dtype(kind), math.prod(shape)
        if tensor.HasField("raw_data"):
            raw = self.cut.find(tensor.raw_data)
        else:
            raw = memoryview(self._typed(tensor, what, dtype))
        if raw.nbytes != count * dtype.itemsize:
            rule = f"{self.path}: {what} must have {count * dtype.itemsize:,} bytes, as its shape {show(shape)} says"
            raise DataError(f"{rule}, got {raw.nbytes:,}; the file is truncated or altered")
        return np.frombuffer(raw, dtype).reshape(shape) if count else np.zeros(shape, dtype)

    def _typed(self, tensor: Any, what: str, dtype: np.dtype[Any]) -> bytes:
        """The bytes of elements that are written one by one."""
        if tensor.data_type not in TYPED:
            raise DataError(f"{self.path}: the elements of {what} must be bytes or numbers, got none")
        values = getattr(tensor, TYPED[tensor.data_type])
        kept = np.uint16 if tensor.data_type == 10 else dtype  # float16 is written as the integer that has its bits
        try:
            return np.array(values, np.dtype(kept).newbyteorder("<")).tobytes()
        except (OverflowError, ValueError) as error:
            raise DataError(f"{self.path}: the elements of {what} must fit into {dtype}, got {error}") from None


def load_model(path: Path | str) -> Model:
    """Read an ONNX file.

    Raises
    ------
    CheckpointError: it cannot be read. DataError: it is no ONNX file, is truncated, or has operators that are newer than this tinyalex.
    """
    path = require_path(path)
    onnx = onnx_package(str(path))
    try:
        data = path.read_bytes()
    except (OSError, MemoryError) as error:
        got = getattr(error, "strerror", None) or "more bytes than there is memory"
        raise CheckpointError(f"{path}: the file must be readable, got {got}") from None
    found = cut(str(path), data)
    if len(found.message) > LARGEST_MESSAGE:
        rule = f"{path}: the file without its arrays must have at most {LARGEST_MESSAGE:,} bytes"
        raise DataError(f"{rule}, got {len(found.message):,}")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(found.message)
    except Exception as error:  # the protobuf library has several classes, and which one depends on how it was built
        rule = f"{path}: the file must be an ONNX file"
        raise DataError(f"{rule}, got {show(str(error))}; it is truncated, altered or of another kind") from None
    if not model.graph.node:
        raise DataError(f"{path}: the file must hold a graph with at least one node, got none; it is empty or of another kind")
    if any(isinstance(text, bytes) for text in _texts(model)):  # which the library gives where a text is none
        raise DataError(f"{path}: every name in the file must be text in UTF-8, got other bytes; the file is altered")
    properties = tuple((entry.key, entry.value) for entry in model.metadata_props)
    own = {(function.domain, function.name): function for function in model.functions}
    return Model(path, model.graph, _opset(path, model), found, own, model.producer_name == "tinyalex", properties)


def nodes_of(graph: Any) -> Iterator[Any]:
    """The nodes of a graph, and of the graphs inside of them."""
    waiting = [graph]
    while waiting:
        for node in waiting.pop().node:
            yield node
            waiting += [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def _texts(model: Any) -> Iterator[Any]:
    """All names that are read."""
    graph = model.graph
    yield from (model.producer_name, graph.name)
    for entry in (*model.opset_import, *model.functions):
        yield entry.domain
    for value in (*graph.input, *graph.output, *model.functions):
        yield value.name
    for node in nodes_of(graph):
        yield from (node.name, node.op_type, node.domain, node.doc_string, *node.input, *node.output)
        for attribute in node.attribute:
            yield from (attribute.name, attribute.ref_attr_name)
            yield from (entry.value for entry in attribute.t.external_data)
            yield from (value.name for value in attribute.g.output)
    for tensor in graph.initializer:
        yield tensor.name
        for entry in tensor.external_data:
            yield from (entry.key, entry.value)


def _opset(path: Path, model: Any) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    version = max(versions, default=1)  # files of 2017 name none
    if not 1 <= version <= NEWEST:
        remedy = f"write it again with opset {NEWEST}, or convert it with onnx.version_converter"
        raise DataError(f"{path}: the version of its operators must be from 1 to {NEWEST}, got {version}; {remedy}")
    return int(version)
