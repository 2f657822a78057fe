"""What the predictions of lessons 11 to 16 come to: as in `tinyalex.tutor.answers`."""

from __future__ import annotations

import json
from collections.abc import Callable
from time import process_time

import numpy as np
import numpy.typing as npt

from tinyalex.data.synthetic import synthetic_dataset
from tinyalex.errors import DataError
from tinyalex.tutor.syllabus import FOLDER

Array = npt.NDArray[np.float64]


def layers_of_alexnet() -> tuple[Array, Array]:
    """The weights of AlexNet's five convolutions and three fully connected layers, and how often each weight is used for an image."""
    channels, filters, kernel = np.array([3, 48, 256, 192, 192]), np.array([96, 256, 384, 384, 256]), np.array([11, 5, 3, 3, 3])
    full = np.array([9216 * 4096, 4096 * 4096, 4096 * 1000])
    side = np.array([55, 27, 13, 13, 13, 1, 1, 1])
    return np.append(filters * channels * kernel**2, full).astype(float), side.astype(float) ** 2


def _lines_that_fail() -> float:
    """How many of five lines fail on a simulated card: those with an array of the host, and with a keyword that CuPy lacks."""
    from tinyalex.devices.sim import SimDevice

    device, mean = SimDevice(0), np.zeros(3, np.float32)
    x = device.asarray(np.ones((4, 3), np.float32))
    lines: list[Callable[[], object]] = [
        lambda: x - mean,
        lambda: x.sum(where=x > 0),
        lambda: device.xp.maximum(x, 0),
        lambda: x * np.sqrt(2),
        lambda: float(x.mean()),
    ]
    failed = 0
    for line in lines:
        try:
            line()
        except TypeError:
            failed += 1
    return float(failed)


def _copy_and_kernel() -> float:
    bus, memory = 8e9, 192.4e9  # bytes a second of a GTX 580, as NVIDIA publishes them
    return (1 / bus) / (2 / memory)


def _sectors(apart: int = 729) -> float:
    lanes = np.arange(32)
    return len(set(lanes * apart * 4 // 32)) / len(set(lanes * 4 // 32))


def _flat_gradient() -> float:
    rng = np.random.default_rng(0)
    dout, y = np.ones(1000), rng.standard_normal(1000)
    y -= y.mean()
    return round(float(np.abs(dout - dout.mean() - y * (dout * y).mean()).max()), 9)


def _parameters_of_resnet50() -> float:
    """Percent of AlexNet's. Each convolution has no biases, and batch normalization with two numbers a channel behind it."""
    total, channels = 7 * 7 * 3 * 64 + 2 * 64, 64
    for k, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for _ in range(blocks):
            total += channels * k + 9 * k * k + k * 4 * k + 2 * (k + k + 4 * k)
            total += 0 if channels == 4 * k else channels * 4 * k + 2 * 4 * k  # the projection of a stage's first block
            channels = 4 * k
    weights, _ = layers_of_alexnet()
    return 100 * (total + 1000 * channels + 1000) / (float(weights.sum()) + 10_568)


def _left_by_the_program() -> float:
    return float(100 * (2 + 1e-4 / 5 * 100**2) ** -0.75)


def _squares_before_relu() -> float:
    z = np.random.default_rng(0).standard_normal(1_000_000)
    return float((z**2).mean() / (np.maximum(z, 0) ** 2).mean())


def _map_of_tens() -> float:
    window = np.full((5, 5), 10.0)
    return float(10 / (1 + 0.001 / 25 * (window**2).sum()) ** 0.75)


def _three_layers() -> float:
    weights = np.random.default_rng(0).standard_normal((3, 20, 20))

    def norm(factor: float) -> float:
        h = np.ones(20)
        for weight in weights:
            h = np.maximum(factor * weight @ h, 0)
        return float(np.linalg.norm(h))

    return norm(3) / norm(1)


def _noisy_and_divided() -> float:
    return float(100 * np.sqrt(1 + 0.1**2) / (1 + 0.1))


def _rates_at_the_end() -> float:
    return 2 * 0.01 / (0.01 / 10**3)


def _loops_to_columns() -> float:
    """The order of magnitude, measured: how many times as fast one product is as one multiplication after the other."""
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    weight, sheet = rng.standard_normal((64, 576), dtype=np.float32), rng.standard_normal((64, 14, 14), dtype=np.float32)
    columns = np.empty((64, 3, 3, 12, 12), np.float32)

    def loops() -> None:
        total = np.float32(0)
        for c in range(64):
            for i in range(3):
                for j in range(3):
                    total += weight[5, 9 * c + 3 * i + j] * sheet[c, 4 + i, 5 + j]

    def product() -> None:
        for i in range(3):
            for j in range(3):
                columns[:, i, j] = sheet[:, i : i + 12, j : j + 12]
        weight @ columns.reshape(576, 144)

    with threadpool_limits(1):
        return float(round(np.log10(_seconds(loops) * 64 * 144 / _seconds(product))))


def _seconds(function: Callable[[], None]) -> float:
    """The time of a call, without the time that other programs took."""
    shortest = np.inf
    for _ in range(4):
        calls, start = 0, process_time()
        while (spent := process_time() - start) < 0.02:
            function()
            calls += 1
        shortest = min(shortest, spent / calls)
    return shortest


def _products_of_a_tile() -> float:
    return float((2 + 3 - 1) ** 2 / 2**2)


def _waiting_for_memory() -> float:
    """Layers with fewer operations for each byte of float32, for one image, than any processor can do while a byte arrives."""
    parameters, windows = layers_of_alexnet()
    inputs = np.array([224 * 224 * 3, 69_984, 43_264, 64_896, 64_896, 9216, 4096, 4096])
    outputs = np.array([290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000])
    bytes_moved = 4 * (inputs + parameters + outputs)
    return float((2 * parameters * windows / bytes_moved < 1).sum())


def _error_of_tiles() -> float:
    """The order of magnitude of the largest error of tiles with 6 x 6 outputs, of 64 channels, in float32."""
    from tinyalex.fast.tiles import cook_toom

    rng = np.random.default_rng(0)
    squares, kernels = rng.standard_normal((64, 200, 8, 8)).astype(np.float32), rng.standard_normal((8, 64, 3, 3)).astype(np.float32)
    found = []
    for dtype in (np.float32, np.float64):
        b, g, a = (matrix.astype(dtype) for matrix in cook_toom(6, 3))
        u, v = (g @ kernels.astype(dtype) @ g.T).transpose(2, 3, 0, 1), (b @ squares.astype(dtype) @ b.T).transpose(2, 3, 0, 1)
        found.append(a.T @ (u @ v).transpose(2, 3, 0, 1) @ a)
    return float(round(np.log10(np.abs(found[0] - found[1]).max() / np.abs(found[1]).max())))


def _factor_of_figure1(setup: str) -> float:
    """How many times as many epochs tanh needs, by the runs that lie in the repository. Raises DataError where there are none."""
    name = "examples/results/figure1/result.json"
    try:
        document = json.loads((FOLDER.parent / name).read_text("utf-8"))
        return float(document["setups"][setup]["factor"]["tanh"]["train_error"]["value"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        got = f"{type(error).__name__} in reading it"
        raise DataError(f"reveal: {name} must hold the factor of setup {setup}, got {got}", "clone the whole repository") from None


def _moves(std: float = 74.0, inputs: int = 75) -> float:
    """How far a sum moves when its own image comes again after a step, compared with inputs of standard deviation 1."""
    x = np.random.default_rng(0).standard_normal(inputs)
    return float(((std * x) @ (std * x)) / (x @ x))


def _saturated(std: float = 10.0) -> float:
    z = std * np.random.default_rng(0).standard_normal(1_000_000)
    return float(100 * (1 - np.tanh(z) ** 2 < 0.01).mean())


def _synthetic() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The images and labels of lesson 12: 3,000 for training, then 200 for testing. Images are (N, 3, 32, 32), of middle gray 0."""
    data = synthetic_dataset(3000, 200, seed=1)
    x, x_test = (images.astype(np.float32) - 128 for images in (data.train_images, data.test_images))
    return x, data.train_labels, x_test, data.test_labels


def _pixel_distances() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The distances of 200 test images from 3,000 training images, and where the classes are the same; both (200, 3000)."""
    x, labels, x_test, own = _synthetic()
    a, b = x_test.reshape(200, -1), x.reshape(3000, -1)
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0)), own[:, None] == labels


def _pixel_neighbors() -> float:
    far, same = _pixel_distances()
    return float(6 * np.take_along_axis(same, np.argsort(far, axis=1)[:, :6], axis=1).mean())


def _moved_by_two() -> float:
    far, same = _pixel_distances()
    x_test = _synthetic()[2]
    moved = np.pad(x_test, ((0, 0), (0, 0), (0, 0), (2, 0)), mode="edge")[..., :32]
    return float(100 * np.median(np.sqrt(((x_test - moved) ** 2).sum(axis=(1, 2, 3)))) / np.median(far[~same]))


ANSWERS: dict[str, Callable[[], float]] = {
    "11-a": lambda: _factor_of_figure1("2012"),
    "11-b": lambda: _factor_of_figure1("fan-in"),
    "11-c": _moves,
    "11-d": _saturated,
    "12-a": lambda: 100 / 10,  # one class in ten
    "12-b": _pixel_neighbors,
    "12-c": _moved_by_two,
    "12-d": lambda: float(np.tanh(5.0)),
    "13-a": _loops_to_columns,
    "13-b": _products_of_a_tile,
    "13-c": _waiting_for_memory,
    "13-d": _error_of_tiles,
    "14-a": _lines_that_fail,
    "14-b": _copy_and_kernel,
    "14-c": _sectors,
    "15-a": lambda: float(100 * np.prod(np.full(20, 0.8))),
    "15-b": lambda: float(np.prod(np.full(20, 1 + 0.1))),
    "15-c": _flat_gradient,
    "15-d": _parameters_of_resnet50,
    "16-a": _left_by_the_program,
    "16-b": _squares_before_relu,
    "16-c": _map_of_tens,
    "16-d": _three_layers,
    "16-e": _noisy_and_divided,
    "16-f": _rates_at_the_end,
}
