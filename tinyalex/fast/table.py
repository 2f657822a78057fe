"""The table of algorithms, and the one function that chooses a row for a request.

On a CPU `choose` takes the first row whose `pays` is true. The bounds in these conditions are constants of `machine.py`, where each
names the benchmark that found it. A device that runs kernels takes the first row of `KERNELS` that pays and whose file compiles; on
every other device the plain function comes first. The setting `algorithm` of a layer names a row, and then nothing is chosen. A test
compares every row of this table with its plain function, also rows that are new.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from tinyalex.devices import Array, Device
from tinyalex.errors import ShapeError, require_choice, show_pair
from tinyalex.fast import averaging, columns, lines, plain, pointwise, pooling, pooling_innermost, products, strips, winograd
from tinyalex.fast.cuda import convolution as cuda_convolution, functions, pooling as cuda_pooling, product as cuda_product
from tinyalex.fast.cuda.loader import kernels_of
from tinyalex.fast.request import Convolution, Grads, Keeps, Pooling, Product, Row, keeps_x

Request: TypeAlias = Convolution | Pooling | Product


def _by_columns(backward_weight: Any) -> Any:
    """The backward of a row that multiplies columns: the gradients of weight and bias by `backward_weight`, which is the row's own.

    dx is itself a convolution, of dout with turned weights, where `columns.turns` says so: it is computed by the first row that pays.
    """

    def backward(asked: Convolution, x: Array, dout: Array, device: Device, grads: Grads) -> Array | None:
        backward_weight(asked, x, dout, device, grads)
        if not asked.input_gradient:
            return None
        if not columns.turns(asked):
            return columns.backward_input(asked, dout, device)
        turned = columns.turned(asked, device)
        row = next(row for row in BY_COLUMNS if row.pays(turned, len(dout)))
        return row.forward(turned, dout, device)[0]

    return backward


def _pointwise_scratch(asked: Convolution, n: int, backward: bool, workers: int | None) -> int:
    """Only forward is without columns."""
    return (columns if backward else pointwise).scratch_bytes(asked, n, backward, workers)


def _is_innermost(asked: Pooling, n: int) -> bool:
    return asked.innermost


def _keeps_nothing(asked: Any) -> Keeps:
    return Keeps()


# Each row in the order of the fields of `Row`: name, forward, backward, keeps, scratch, pays, fits, needs.
# fmt: off
WINOGRAD = Row("winograd", winograd.forward, winograd.backward, keeps_x, winograd.scratch_bytes,
               winograd.pays, winograd.fits, "a kernel larger than its stride and at most 5 times as large")
POINTWISE = Row("pointwise", pointwise.forward, _by_columns(columns.backward_weight), keeps_x, _pointwise_scratch,
                pointwise.pays, pointwise.fits, "a kernel of 1x1 without padding")
STRIPS = Row("strips", strips.forward, _by_columns(strips.backward_weight), keeps_x, strips.scratch_bytes, strips.outgrow_the_cache)
FEW = Row("few", columns.forward_few, _by_columns(columns.backward_weight), keeps_x, columns.scratch_bytes, columns.is_few)
LINES = Row("lines", lines.forward, lines.backward, lines.keeps, lines.scratch_bytes, lines.pays, lines.fits, "input_gradient=False")
IM2COL = Row("im2col", columns.forward, _by_columns(columns.backward_weight), keeps_x, columns.scratch_bytes)
BY_COLUMNS = (POINTWISE, STRIPS, FEW, IM2COL)
CONV = Row("plain", plain.conv_forward, plain.conv_backward, keeps_x, plain.conv_scratch)

INNERMOST = Row("innermost", pooling_innermost.forward, pooling_innermost.backward, pooling.keeps, pooling.scratch_bytes,
                _is_innermost, pooling.fits, "a kernel of at most 256")
RUNS = Row("runs", pooling.forward, pooling.backward, pooling.keeps, pooling.scratch_bytes,
           pooling.pays, pooling.fits, "a kernel of at most 256")
MAX_POOL = Row("plain", plain.pool_forward, plain.pool_backward, plain.pool_keeps, plain.pool_scratch)

MATRICES = Row("matrices", averaging.forward, averaging.backward, averaging.keeps, averaging.scratch_bytes, averaging.pays)
AVG_POOL = Row("plain", plain.pool_forward, plain.pool_backward, _keeps_nothing, plain.pool_scratch)

BLOCKS = Row("blocks", products.forward, products.backward, keeps_x, products.scratch_bytes, products.pays, products.fits, "groups=1")
LINEAR = Row("plain", plain.product_forward, plain.product_backward, keeps_x, plain.product_scratch)

CPU: dict[str, tuple[Row, ...]] = {
    "convolution": (WINOGRAD, POINTWISE, LINES, STRIPS, FEW, IM2COL, CONV),
    "max pooling": (INNERMOST, RUNS, MAX_POOL),
    "average pooling": (MATRICES, AVG_POOL),
    "product": (BLOCKS, LINEAR),
}

# The rows of kernels. Their .cu files stand in `fast/cuda/`; each row needs all files that it names.
CUDA_TILES = Row("tiles", cuda_convolution.forward_tiles, cuda_convolution.backward, keeps_x, cuda_convolution.scratch_tiles,
                 cuda_convolution.tiles_pay, cuda_convolution.fits_tiles, file="conv.cu columns.cu")
CUDA_COLUMNS = Row("columns", cuda_convolution.forward_columns, cuda_convolution.backward, keeps_x, cuda_convolution.scratch_columns,
                   fits=cuda_convolution.fits, file="columns.cu bias.cu")
CUDA_POOL = Row("gather", cuda_pooling.forward, cuda_pooling.backward, plain.pool_keeps, cuda_pooling.scratch_bytes,
                fits=cuda_pooling.fits, file="pool.cu")
CUDA_AVG_POOL = Row("gather", cuda_pooling.forward, cuda_pooling.backward, _keeps_nothing, cuda_pooling.scratch_bytes,
                    fits=cuda_pooling.fits, file="pool.cu")
CUDA_PRODUCT = Row("in place", cuda_product.forward, plain.product_backward, keeps_x, plain.product_scratch,
                   fits=cuda_product.fits, file="bias.cu")

KERNELS: dict[str, tuple[Row, ...]] = {
    "convolution": (CUDA_TILES, CUDA_COLUMNS),
    "max pooling": (CUDA_POOL,),
    "average pooling": (CUDA_AVG_POOL,),
    "product": (CUDA_PRODUCT,),
}
# By the name of the plain function: the .cu file, what launches its kernel, and whether that asks itself if the kernel compiles: where
# the arguments of a call decide how the file is compiled, only the launch knows.
FUNCTIONS: dict[str, tuple[str, Callable[..., Any], bool]] = {
    "lrn_forward": ("lrn.cu", functions.lrn_forward, True),
    "lrn_backward": ("lrn.cu", functions.lrn_backward, True),
    "relu_backward": ("bias.cu", functions.relu_backward, False),
    "kept_units": ("dropout.cu", functions.kept_units, True),
    "drop": ("dropout.cu", functions.drop, False),
    "softmax_loss": ("loss.cu", functions.softmax_loss, False),
    "softmax_loss_backward": ("loss.cu", functions.softmax_loss_backward, False),
    "sgd_step": ("sgd.cu", functions.sgd_step, False),
}
# fmt: on
OTHERS = {operation: (rows[-1], *rows[:-1]) for operation, rows in CPU.items()}  # the plain function first


def operation_of(asked: Request) -> str:
    """The operation of a request: a key of `CPU`."""
    if isinstance(asked, Convolution):
        return "convolution"
    if isinstance(asked, Product):
        return "product"
    return "max pooling" if asked.remembers else "average pooling"


def choose(asked: Request, n: int, device: Device | str, algorithm: str = "auto") -> Row:
    """The row that serves the request for n images on a device: the row named `algorithm`, or for "auto" one that pays.

    device: a device, or its kind; a kind alone has no kernels.
    """
    kind = device if isinstance(device, str) else device.kind
    operation = operation_of(asked)
    rows = (CPU if kind == "cpu" else OTHERS)[operation]
    if algorithm != "auto":
        return next(row for row in rows if row.name == algorithm)
    kernels = None if isinstance(device, str) else kernels_of(device)
    if kernels is not None:
        for row in KERNELS[operation]:
            if row.pays(asked, n) and row.fits(asked) and all(kernels.ready(file, dtype_of(asked)) for file in row.file.split()):
                return row
    return next(row for row in rows if row.pays(asked, n))


def function(plain: Callable[..., Any], device: Device, dtype: Any) -> Callable[..., Any]:
    """A kernel with the arguments of the plain function, where the device runs one for this dtype; otherwise the plain function."""
    kernels = kernels_of(device)
    if kernels is None:
        return plain
    file, launches, asks = FUNCTIONS[plain.__name__]
    return partial(launches, kernels, plain) if asks or kernels.ready(file, dtype) else plain


def dtype_of(asked: Request) -> Any:
    """The dtype of the images of a request."""
    return ("float32" if asked.itemsize == 4 else "float64") if isinstance(asked, Pooling) else asked.weight.dtype


def check_algorithm(who: str, operation: str, algorithm: Any) -> str:
    """Return `algorithm`; raise ShapeError unless it is "auto" or the name of a row of the operation."""
    name: str = require_choice(who, "algorithm", algorithm, ("auto", *(row.name for row in CPU[operation])))
    return name


def check_fits(who: str, asked: Request, algorithm: str) -> None:
    """Raise ShapeError if the row named `algorithm` cannot serve the request."""
    if algorithm == "auto":
        return
    row = choose(asked, 1, "cpu", algorithm)
    if not row.fits(asked):
        got = _got(asked)
        raise ShapeError(f"{who}: algorithm {algorithm!r} must have {row.needs}, got {got}; use 'auto' or 'plain'")


def _got(asked: Request) -> str:
    if isinstance(asked, Product):
        return f"groups {asked.groups}"
    text = f"kernel {show_pair(asked.windows.kernel)}, stride {show_pair(asked.windows.stride)}"
    return text if isinstance(asked, Pooling) else f"{text}, input_gradient={asked.input_gradient}"
