"""The answers to the questions of the lessons: each is computed here, and none is stored."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def _slope_of_the_difference() -> float:
    return float(((1 + 0.1) ** 3 - (1 - 0.1) ** 3) / (2 * 0.1))


def _error_of_the_difference(h: float) -> float:
    """How far the centered difference of sin at 1 is from cos(1)."""
    return float(abs((np.sin(1 + h) - np.sin(1 - h)) / (2 * h) - np.cos(1.0)))


def _power_of_the_error() -> float:
    return float(np.log10(_error_of_the_difference(1e-5)))


def _best_power() -> float:
    return -float(1 + np.argmin([_error_of_the_difference(10.0**-power) for power in range(1, 16)]))


def _dead_units() -> float:
    x = np.random.default_rng(0).standard_normal(100_000)
    return float(100 * (x <= 0).mean())


def _parts_of_a_slope() -> float:
    x = np.linspace(-5, 5, 1001)
    out = 1 / (1 + np.exp(-x))
    return float((1 / (out * (1 - out)).max()) ** 8)


def _shared() -> float:
    x, h = 3.0, 1e-6
    return float(((x + h) * (x + h) - (x - h) * (x - h)) / (2 * h))


def _cost_of_backward(n: int = 7, c: int = 5, k: int = 4) -> float:
    forward, dx, dweight = n * k * c, n * c * k, k * c * n
    return (dx + dweight) / forward


def _last_use(x: float = 2.0) -> float:
    dx = 0.0
    for sent_back in (x, x, 3.0):
        dx = sent_back
    return dx


def _conv1_columns() -> float:
    return 11 * 11 * 3 * 55 * 55 / (224 * 224 * 3)


def _conv1_windows() -> float:
    return float(1 + -(-(224 - 11) // 4))


def _most_copies() -> float:
    copies = np.zeros((6, 8))
    for top, left in np.ndindex(2, 3):
        copies[2 * top : 2 * top + 3, 2 * left : 2 * left + 4] += 1
    return float(copies.max())


def _seen_twice() -> float:
    reads = np.zeros(55, int)
    for start in range(0, 53, 2):
        reads[start : start + 3] += 1
    return float(100 * (np.multiply.outer(reads, reads) > 1).mean())


def _winners_of_noise(maps: int = 40) -> tuple[npt.NDArray[np.int64], Array]:
    """Noise of 55 x 55 pixels pooled with kernel 3 and stride 2: which pixel won each window, and a random gradient of the window."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((maps, 55, 55))
    seen = np.lib.stride_tricks.sliding_window_view(noise, (3, 3), (1, 2))[:, ::2, ::2].reshape(maps, 27, 27, 9)
    i, j = np.divmod(seen.argmax(axis=-1), 3)
    line, column = 2 * np.arange(27)[:, None] + i, 2 * np.arange(27) + j
    return (np.arange(maps)[:, None, None] * 55 + line) * 55 + column, rng.standard_normal((maps, 27, 27))


def _won_twice() -> float:
    wins = np.bincount(_winners_of_noise()[0].ravel())
    return float(100 * (wins > 1).sum() / (wins > 0).sum())


def _lost_by_overwriting() -> float:
    winner, dout = _winners_of_noise()
    right, wrong = np.zeros((2, winner.max() + 1))
    np.add.at(right, winner, dout)
    wrong[winner] = dout
    return float(100 * np.linalg.norm(right - wrong) / np.linalg.norm(right))


def _lrn_alone() -> float:
    return float(10.0 / (2 + 1e-4 * 10.0**2) ** 0.75)


def _window_sums(a: Array) -> Array:
    """The sums over the windows of five channels on axis 1, which end at the first and the last channel."""
    return np.stack([a[:, max(0, i - 2) : i + 3].sum(axis=1) for i in range(a.shape[1])], axis=1)


def _lrn_factor(std: float) -> float:
    a = std * np.random.default_rng(0).standard_normal((2000, 96))
    return float(np.median((2 + 1e-4 * _window_sums(a * a)) ** -0.75))


def _cross_term_missing() -> float:
    a, dout = np.random.default_rng(0).standard_normal((2, 2000, 96))
    scale = 2 + 1e-4 * _window_sums(a * a)
    direct = dout * scale**-0.75
    cross = 2 * 1e-4 * 0.75 * a * _window_sums(direct * a / scale)
    return float(100 * np.linalg.norm(cross) / np.linalg.norm(direct - cross))


def _chance_loss(classes: int) -> float:
    return float(np.log(classes))


def _three_classes() -> Array:
    e = np.exp([2.0, 0.5, -3.0])
    return np.asarray(e / e.sum(), np.float64)


def _loss_of_three() -> float:
    return float(-np.log(_three_classes()[0]))


def _slope_of_three() -> float:
    return float(_three_classes()[0] - 1)


def _hopeless() -> float:
    z = np.array([10_000.0, 0.0])
    return float(z.max() + np.log(np.exp(z - z.max()).sum()) - z[1])


def _steady_velocity() -> float:
    v = 0.0
    for _ in range(1000):
        v = 0.9 * v + 1
    return v


def _ten_steps_after_the_cut() -> float:
    v, paper = 10.0, 0.0  # the steady velocity, in units of the old rate
    for _ in range(10):
        v = 0.9 * v + 0.1
        paper += v
    return paper / (10 * 10 * 0.1)


def _last_ten_gradients() -> float:
    return float(100 * (0.9 ** np.arange(10)).sum() / (0.9 ** np.arange(1000)).sum())


def _masks() -> float:
    return float(len(str(2**4096)))


def _pieces() -> float:
    return float(sum(2 for _ in np.ndindex(256 - 224 + 1, 256 - 224 + 1)))


def _geometric_and_halved() -> float:
    rng = np.random.default_rng(8)
    h, weight = np.abs(rng.standard_normal(10)), rng.standard_normal((5, 10))
    masks = ((np.arange(1024)[:, None] >> np.arange(10)) & 1).astype(np.float64)

    def answers(outputs: Array) -> Array:
        p = np.exp(outputs @ weight.T)
        return np.asarray(p / p.sum(axis=-1, keepdims=True), np.float64)

    geometric = np.exp(np.log(answers(masks * h)).mean(axis=0))
    return round(100 * float(np.abs(geometric / geometric.sum() - answers(0.5 * h)).max()), 9)


def _eigenvalue_for_its_root() -> float:
    return float(0.1 * 121.78006099**2)  # the largest deviation of ImageNet's colors in cuda-convnet2


def _alexnet() -> tuple[Array, Array]:
    """The weights of AlexNet's five convolutions and three fully connected layers, and how often each weight is used for an image."""
    channels, filters, kernel = np.array([3, 48, 256, 192, 192]), np.array([96, 256, 384, 384, 256]), np.array([11, 5, 3, 3, 3])
    full = np.array([9216 * 4096, 4096 * 4096, 4096 * 1000])
    side = np.array([55, 27, 13, 13, 13, 1, 1, 1])
    return np.append(filters * channels * kernel**2, full).astype(float), side.astype(float) ** 2


def _fc_share() -> float:
    parameters = _alexnet()[0] + [96, 256, 384, 384, 256, 4096, 4096, 1000]
    return float(100 * parameters[5:].sum() / parameters.sum())


def _conv_share() -> float:
    macs = np.multiply(*_alexnet())
    return float(100 * macs[:5].sum() / macs.sum())


def _field_of_pool5() -> float:
    size, jump = 1, 1
    for kernel, stride in ((11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)):
        size, jump = size + (kernel - 1) * jump, stride * jump
    return float(size)


def _link_bytes() -> dict[str, int]:
    """Bytes of float32 that both cards together would send in front of a layer that reads both halves, for one image, forward."""
    numbers = {"conv2": 96 * 27 * 27, "conv3": 256 * 13 * 13, "conv4": 384 * 13 * 13, "conv5": 384 * 13 * 13}
    return {name: 4 * n for name, n in (numbers | {"fc6": 256 * 6 * 6, "fc7": 4096, "fc8": 2048}).items()}


def _sent_bytes() -> float:
    sent = _link_bytes()
    return sum(sent[name] for name in ("conv3", "fc6", "fc7", "fc8")) / (224 * 224 * 3)


def _all_links() -> float:
    return sum(_link_bytes().values()) / (224 * 224 * 3) / _sent_bytes()


def _not_sent_back() -> float:
    own, other = np.random.default_rng(0).standard_normal((2, 100_000))
    return float(100 * np.linalg.norm(other) / np.linalg.norm(own + other))


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
    from tinyalex.analysis.predict_cards import CARDS

    card = CARDS["gtx580"]
    return (1 / card.bus) / (2 / card.traffic)


def _sectors(apart: int = 729) -> float:
    lanes = np.arange(32)
    return len(set(lanes * apart * 4 // 32)) / len(set(lanes * 4 // 32))


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
    parameters, windows = _alexnet()
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


ANSWERS: dict[str, Callable[[], float]] = {
    "00-a": _slope_of_the_difference,
    "00-b": _power_of_the_error,
    "00-c": _best_power,
    "01-a": _dead_units,
    "01-b": lambda: _chance_loss(10),
    "01-c": _parts_of_a_slope,
    "02-a": _shared,
    "02-b": _cost_of_backward,
    "02-c": _last_use,
    "03-a": _conv1_columns,
    "03-b": _conv1_windows,
    "03-c": _most_copies,
    "04-a": _seen_twice,
    "04-b": _won_twice,
    "04-c": _lost_by_overwriting,
    "05-a": _lrn_alone,
    "05-b": lambda: _lrn_factor(1),
    "05-c": lambda: _lrn_factor(100),
    "05-d": _cross_term_missing,
    "06-a": lambda: _chance_loss(1000),
    "06-b": _loss_of_three,
    "06-c": _slope_of_three,
    "06-d": _hopeless,
    "07-a": _steady_velocity,
    "07-b": _ten_steps_after_the_cut,
    "07-c": _last_ten_gradients,
    "08-a": _masks,
    "08-b": _pieces,
    "08-c": _geometric_and_halved,
    "08-d": _eigenvalue_for_its_root,
    "09-a": _fc_share,
    "09-b": _conv_share,
    "09-c": _field_of_pool5,
    "10-a": _sent_bytes,
    "10-b": _all_links,
    "10-c": _not_sent_back,
    "14-a": _lines_that_fail,
    "14-b": _copy_and_kernel,
    "14-c": _sectors,
    "16-a": _left_by_the_program,
    "16-b": _squares_before_relu,
    "16-c": _map_of_tens,
    "16-d": _three_layers,
    "16-e": _noisy_and_divided,
    "16-f": _rates_at_the_end,


    "13-a": _loops_to_columns,
    "13-b": _products_of_a_tile,
    "13-c": _waiting_for_memory,
    "13-d": _error_of_tiles,
}
