"""ONNX: networks of other programs in, and ours out. Needs the package onnx, of which only the messages of the format are used."""

from tinyalex.formats.onnx.read import read_onnx
from tinyalex.formats.onnx.write import write_onnx

__all__ = ["read_onnx", "write_onnx"]
