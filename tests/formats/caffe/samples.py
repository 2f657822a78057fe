"""Nets of Caffe that the tests read, in our own words, and helpers that write files of them."""

from pathlib import Path

import numpy as np

from tinyalex.formats.caffe.blobs import statistics_blobs
from tinyalex.formats.caffe.maker import Maker
from tinyalex.formats.caffe.message import Message
from tinyalex.formats.caffe.text import Reader
from tinyalex.formats.caffe.wire import write_wire
from tinyalex.models.later.rows import build_net
from tinyalex.models.weights import copy_state, state_on_host

NEW = """
name: "new" # a comment
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
        data_param { source: "here" batch_size: 64 backend: LMDB } transform_param { crop_size: 11 mirror: true mean_value: 104 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
        data_param { source: "there" batch_size: 32 } transform_param { crop_size: 11 mean_value: [104, 117, 123] } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 group: 1 weight_filler { type: "gaussian" std: 0.01 }
                      bias_filler { type: "constant" value: 0.1 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "norm1" type: "LRN" bottom: "conv1" top: "norm1" lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 k: 2 } }
layer { name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2" convolution_param { num_output: 6 pad: 1 kernel_size: 3 group: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "conv2" top: "fc" inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "drop" type: "Dropout" bottom: "fc" top: "fc" dropout_param { dropout_ratio: 0.25 } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
OLD = """
name: 'old'
layers { name: "data" type: DATA top: "data" top: "label" data_param { source: "here" batch_size: 64 crop_size: 11 mirror: true } }
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1" blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 weight_filler { type: "gaussian" std: 0.01 }
                      bias_filler { type: "constant" value: 0.1 } } }
layers { name: "relu1" type: RELU bottom: "conv1" top: "conv1" }
layers { name: "norm1" type: LRN bottom: "conv1" top: "norm1" lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 k: 2 } }
layers { name: "pool1" type: POOLING bottom: "norm1" top: "pool1" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layers { name: "conv2" type: CONVOLUTION bottom: "pool1" top: "conv2" convolution_param { num_output: 6 pad: 1 kernel_size: 3 group: 2 } }
layers { name: "fc" type: INNER_PRODUCT bottom: "conv2" top: "fc" inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layers { name: "drop" type: DROPOUT bottom: "fc" top: "fc" dropout_param { dropout_ratio: 0.25 } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "fc" bottom: "label" }
"""


def net_text(*layers, size=(3, 8, 8), name="data"):
    """A net that reads images of this size and has these layers, each a text such as 'ReLU r data'; see `layer_text`."""
    dims = " ".join(f"dim: {side}" for side in (1, *size))
    return f'name: "small"\ninput: "{name}"\ninput_shape {{ {dims} }}\n' + "\n".join(map(layer_text, layers)) + "\n"


def layer_text(text):
    """'Type name bottom,bottom top | parameters' as a layer; the top is the name where it is left out."""
    head, _, parts = text.partition("|")
    kind, name, bottoms, *tops = head.split()
    lines = [f'bottom: "{bottom}"' for bottom in bottoms.split(",")] + [f'top: "{top}"' for top in (tops[0] if tops else name).split(",")]
    return f'layer {{ name: "{name}" type: "{kind}" {" ".join(lines)} {parts} }}'


def written(folder: Path, text: str, name: str = "net.prototxt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def parsed(text: str, kind: str = "Net") -> Message:
    return Reader(text, "text").message(kind)


def write_model(path: Path, layers: dict[str, list], old: bool = False, types=None) -> Path:
    """A caffemodel of layers with these arrays; `old` writes layers and shapes as programs before 2015 did. types: of the layers."""
    net = Message("Net")
    for name, arrays in layers.items():
        layer = Message("OldLayer" if old else "Layer")
        layer.add("name", name)
        if types:
            layer.add("type", types[name])
        if old:
            for array in arrays:
                blob = Message("Blob")
                for key, side in zip(("num", "channels", "height", "width"), (1,) * (4 - array.ndim) + array.shape, strict=True):
                    blob.add(key, side)
                blob.add("data", array)
                layer.add("blobs", blob)
        else:
            Maker({}).blobs(layer, *arrays)
        net.add("layers" if old else "layer", layer)
    path.write_bytes(b"".join(write_wire(net)))
    return path


def random_arrays(net, seed=0):
    """Values for all arrays of a net, so that signals neither vanish nor grow."""
    rng, found = np.random.default_rng(seed), {}
    for name, array in state_on_host(net).items():
        if name.endswith("batches"):
            value = np.full(array.shape, 37.123)
        elif name.endswith("running_var"):
            value = rng.uniform(0.5, 2, array.shape)
        elif array.ndim == 1:
            value = 0.1 * rng.standard_normal(array.shape) + name.endswith(".weight")
        else:
            value = rng.standard_normal(array.shape) * np.sqrt(2 / np.prod(array.shape[1:]))
        found[name] = value.astype(np.float32)
    return found


def built(net, arrays=None):
    """The net of an import, with its arrays."""
    made = build_net(net.rows, net.in_shape, net.name)
    copy_state(made, net.arrays if arrays is None else arrays)
    return made


def statistics(mean, var, factor):
    """The three blobs of BatchNorm."""
    return statistics_blobs(np.float32(mean), np.float32(var), np.full(len(mean), factor, np.float32))
