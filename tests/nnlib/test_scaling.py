"""Cost grows as the mathematics says: time and peak memory of the NumPy track against size.

Each operation runs on inputs of two sizes, the second `GROWTH` times the first. Time and memory
may grow by that factor, with room for noise and caches (`ROOM`), and not by its square. A hidden
loop, a one-hot matrix or a copy for each example would show. What convolution does in detail is in
test_convolution.py.
"""

import gc
import math
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnlib.numpy_track as ops

GROWTH = 8
#: What leaves the cache takes up to three times as long for each element, more where other
#: programs use the cache too; the square would be GROWTH times too much.
ROOM = 5
Step = Callable[[], object]


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def both_ways(name: str, *arrays: Any, **options: Any) -> Step:
    """Forward, then backward under the output as upstream gradient."""
    forward, backward = getattr(ops, f"{name}_forward"), getattr(ops, f"{name}_backward")

    def step() -> object:
        result = forward(*arrays, **options)
        return backward(result[0], result[-1])

    return step


def call(name: str, *arrays: Any, **options: Any) -> Step:
    """One function, such as a loss that returns its gradient too."""
    return lambda: getattr(ops, name)(*arrays, **options)


def optimizer(name: str, size: int) -> Step:
    init, update = ops.get_optimizer(name)
    params, grads = {"w": draw(size)}, {"w": draw(size)[::-1].copy()}
    state = init(params)
    return lambda: update(params, grads, state)


def cell(name: str, n: int) -> Step:
    gates = {"rnn": 1, "lstm": 4, "gru": 3}[name]
    states = [draw(n, 32)] * (2 if name == "lstm" else 1)
    biases = [draw(gates * 32)] * (2 if name == "gru" else 1)
    args = (draw(n, 48), *states, draw(48, gates * 32), draw(32, gates * 32), *biases)
    forward, backward = (getattr(ops, f"{name}_cell_{way}") for way in ("forward", "backward"))

    def step() -> object:
        out, cache = forward(*args)
        return backward(out, cache)

    return step


def mlp(n: int) -> Step:
    params = [(draw(64, 64), draw(64))] * 3
    x = draw(n, 64)

    def step() -> object:
        logits, cache = ops.mlp_forward(x, params)
        return ops.mlp_backward(logits, cache)

    return step


#: Name to (work on inputs of a size, the smaller size). All grow linearly with it.
WORK: dict[str, tuple[Callable[[int], Step], int]] = {
    **{name: (lambda n, name=name: both_ways(name, draw(n, 256)), 128)
       for name in ("identity", "sigmoid", "tanh", "relu", "softplus", "silu", "gelu",
                    "leaky_relu", "elu", "softmax", "log_softmax")},
    "linear": (lambda n: both_ways("linear", draw(n, 128), draw(128, 128), draw(128)), 256),
    "flatten": (lambda n: both_ways("flatten", draw(n, 3, 16, 16)), 64),
    "mlp": (mlp, 256),
    "conv2d": (lambda n: both_ways("conv2d", draw(n, 4, 14, 14), draw(8, 4, 3, 3), draw(8),
                                   padding=1), 24),
    "max_pool2d": (lambda n: both_ways("max_pool2d", draw(n, 4, 14, 14), kernel_size=2), 32),
    "avg_pool2d": (lambda n: both_ways("avg_pool2d", draw(n, 4, 14, 14), kernel_size=2), 32),
    "global_avg_pool2d": (lambda n: both_ways("global_avg_pool2d", draw(n, 8, 14, 14)), 32),
    "batch_norm": (lambda n: both_ways(
        "batch_norm", draw(n, 8, 14, 14), draw(8), draw(8), draw(8), np.ones(8, np.float32),
        training=True), 24),
    "layer_norm": (lambda n: both_ways("layer_norm", draw(n, 256), draw(256), draw(256)), 128),
    "dropout": (lambda n: both_ways("dropout", draw(n, 256), drop_prob=0.5, training=True,
                                    rng=np.random.default_rng(0)), 128),
    "embedding": (lambda n: both_ways(
        "embedding", np.random.default_rng(0).integers(64, size=n), draw(64, 64)), 512),
    **{f"{name}_cell": (lambda n, name=name: cell(name, n), 256)
       for name in ("rnn", "lstm", "gru")},
    "attention, examples": (lambda n: both_ways("attention", *[draw(n, 32, 32)] * 3), 8),
    **{name: (lambda n, name=name: call(name, draw(n, 256), draw(n, 256)), 128)
       for name in ("mse", "mae", "huber")},
    "binary_cross_entropy_with_logits": (
        lambda n: call("binary_cross_entropy_with_logits", draw(n, 256), np.abs(draw(n, 256)) % 1),
        128),
    "softmax_cross_entropy, rows": (
        lambda n: call("softmax_cross_entropy", draw(n, 100), np.arange(n) % 100), 256),
    "softmax_cross_entropy, classes": (
        lambda k: call("softmax_cross_entropy", draw(64, k), np.arange(64)), 512),
    **{name: (lambda n, name=name: optimizer(name, n), 40_000)
       for name in ("sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw")},
    "l2_penalty": (lambda n: call("l2_penalty", {"w": draw(n)}, strength=0.1), 40_000),
    "clip_grad_norm": (lambda n: call("clip_grad_norm", {"w": draw(n)}, max_norm=1.0), 40_000),
    "one_hot": (lambda n: call("one_hot", np.arange(n) % 50, 50), 1000),
    "standardize": (lambda n: call("standardize", draw(n, 64), draw(n, 64)), 512),
}


def best_time(step: Step) -> float:
    """The least processor time of several calls: noise only ever adds."""
    step()
    times = []
    for _ in range(7):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return min(times)


def peak_memory(step: Step) -> int:
    """Bytes at the highest point of a call, besides its inputs."""
    step()
    gc.collect()
    tracemalloc.start()
    try:
        kept = step()
        del kept
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", WORK)
def test_time_grows_with_the_size(name: str) -> None:
    make, size = WORK[name]
    small, large = make(size), make(GROWTH * size)
    # A busy machine can spoil one measurement, not ten with pauses between them.
    found = []
    for attempt in range(10):
        time.sleep(0.1 * attempt)
        found.append(best_time(large) / best_time(small))
        if found[-1] < ROOM * GROWTH:
            return
    pytest.fail(f"{GROWTH} times the size took {min(found):.0f} times as long")


@pytest.mark.parametrize("name", WORK)
def test_memory_grows_with_the_size(name: str) -> None:
    make, size = WORK[name]
    small, large = peak_memory(make(size)), peak_memory(make(GROWTH * size))
    # Blocks make it grow by less; what every call needs, whatever the size, is a few kB.
    assert large <= 1.3 * GROWTH * small + 20_000


@pytest.mark.parametrize(("name", "arrays"), [
    ("relu", 3), ("tanh", 4), ("sigmoid", 7), ("softmax", 5), ("layer_norm", 6), ("dropout", 5),
])
def test_no_operation_holds_many_copies_of_its_input(name: str, arrays: int) -> None:
    make, size = WORK[name]
    assert peak_memory(make(GROWTH * size)) <= arrays * 4 * 256 * GROWTH * size + 20_000


def test_attention_grows_with_the_square_of_the_length() -> None:
    small, large = (peak_memory(both_ways("attention", *[draw(2, t, 16)] * 3)) for t in (64, 256))
    weights = 4 * 2 * 256 * 256
    assert large < 4 * weights
    assert 4 < large / small < 20


@pytest.mark.parametrize(("channels", "size", "kernel"), [(16, 14, 3), (8, 28, 5), (32, 7, 3)])
def test_peak_memory_of_a_convolution_stays_below_3_im2col_matrices(
    channels: int, size: int, kernel: int
) -> None:
    n = 32
    step = both_ways("conv2d", draw(n, channels, size, size),
                     draw(2 * channels, channels, kernel, kernel), None, padding=kernel // 2)
    im2col = 4 * n * math.prod((channels, kernel, kernel, size, size))
    assert peak_memory(step) < 3 * im2col


def test_work_that_is_not_linear_is_found() -> None:
    def square(n: int) -> Step:
        x = draw(n, 1)
        return lambda: np.tanh(x - x.T).sum()

    assert peak_memory(square(3200)) > 1.3 * GROWTH * peak_memory(square(400)) + 20_000
    assert best_time(square(3200)) > ROOM * GROWTH * best_time(square(400))
