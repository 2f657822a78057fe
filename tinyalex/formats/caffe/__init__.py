"""Networks and weights of Caffe: prototxt, caffemodel, mean.binaryproto, solver.

Caffe's nets read pixels of 0 to 255 less a mean, in the order blue, green, red; `rgb=True` turns the weights of the first convolution.
"""

from tinyalex.formats.caffe.blobs import read_mean
from tinyalex.formats.caffe.net import CaffeNet
from tinyalex.formats.caffe.read import read_caffemodel, read_prototxt
from tinyalex.formats.caffe.solver import Solver, read_solver
from tinyalex.formats.caffe.write import write_caffemodel, write_prototxt

__all__ = [
    "CaffeNet",
    "Solver",
    "read_caffemodel",
    "read_mean",
    "read_prototxt",
    "read_solver",
    "write_caffemodel",
    "write_prototxt",
]
