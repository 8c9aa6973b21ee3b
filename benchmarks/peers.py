"""The same work in other libraries that compute gradients on NumPy arrays.

Each is used in its idiomatic way, where it has the operation; a row without a function for a peer
has no entry in the table. None of them is needed by the course:

    python -m pip install --target /tmp/peers --no-deps autograd mygrad
    python benchmarks/nnlib.py --peers /tmp/peers
"""

import importlib
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.steps import Step, draw, labels

NAMES = ("autograd", "mygrad")


def available() -> tuple[dict[str, Any], list[str]]:
    """Import the peers; returns those that are there, and the names of those that are not."""
    found, missing = {}, []
    for name in NAMES:
        try:
            found[name] = importlib.import_module(name)
        except ImportError:
            missing.append(name)
    return found, missing


def steps_for(row: str, peers: dict[str, Any]) -> dict[str, Step]:
    """Return a step for each peer that can do the row's work."""
    steps: dict[str, Step] = {}
    for name in peers:
        for start, build in BUILDERS[name].items():
            if row.startswith(start):
                steps[name] = build(row)
    return steps


def _batch(row: str) -> int:
    return int(row.rpartition("batch ")[2])


def _layers(sizes: tuple[int, ...]) -> list[np.ndarray]:
    params: list[np.ndarray] = []
    for d_in, d_out in itertools.pairwise(sizes):
        params += [draw(d_in, d_out) * np.float32(np.sqrt(2 / d_in)), np.zeros(d_out, np.float32)]
    return params


# --- autograd -------------------------------------------------------------------------------------


def autograd_mlp(row: str) -> Step:
    import autograd.numpy as anp
    from autograd import grad

    n = _batch(row)
    x, y, params = draw(n, 784), labels(n), _layers((784, 256, 128, 10))
    rows, rate = np.arange(n), np.float32(1e-2)

    def loss(params: list[Any]) -> Any:
        h = x
        for w, b in zip(params[0:4:2], params[1:4:2], strict=True):
            h = anp.maximum(anp.dot(h, w) + b, 0)
        return _autograd_cross_entropy(anp, anp.dot(h, params[4]) + params[5], rows, y)

    gradient = grad(loss)

    def step() -> None:
        nonlocal params
        params = [p - rate * g for p, g in zip(params, gradient(params), strict=True)]

    return step


def _autograd_cross_entropy(anp: Any, logits: Any, rows: Any, y: Any) -> Any:
    shifted = logits - anp.max(logits, axis=1, keepdims=True)
    log_p = shifted - anp.log(anp.sum(anp.exp(shifted), axis=1, keepdims=True))
    return -anp.mean(log_p[rows, y])


def autograd_cross_entropy(row: str) -> Step:
    import autograd.numpy as anp
    from autograd import grad

    logits, y, rows = draw(512, 1000), labels(512, 1000), np.arange(512)
    gradient = grad(lambda z: _autograd_cross_entropy(anp, z, rows, y))
    return lambda: gradient(logits)


def _autograd_pullback(function: Callable[..., Any], arrays: tuple[Any, ...], dy: Any) -> Step:
    from autograd import make_vjp

    def step() -> None:
        pullback, _ = make_vjp(lambda arrays: function(*arrays))(arrays)
        pullback(dy)

    return step


def autograd_pool(row: str) -> Step:
    import autograd.numpy as anp

    x, dy = draw(64, 16, 28, 28), draw(64, 16, 14, 14)
    return _autograd_pullback(
        lambda x: anp.max(anp.max(anp.reshape(x, (64, 16, 14, 2, 14, 2)), axis=5), axis=3),
        (x,), dy)


def autograd_batch_norm(row: str) -> Step:
    import autograd.numpy as anp

    x, gamma, beta = draw(64, 32, 14, 14), draw(32), draw(32)

    def norm(x: Any, gamma: Any, beta: Any) -> Any:
        centred = x - anp.mean(x, axis=(0, 2, 3), keepdims=True)
        var = anp.mean(centred * centred, axis=(0, 2, 3), keepdims=True)
        shape = (1, 32, 1, 1)
        return (centred / anp.sqrt(var + 1e-5) * anp.reshape(gamma, shape)
                + anp.reshape(beta, shape))

    return _autograd_pullback(norm, (x, gamma, beta), x[::-1].copy())


def autograd_attention(row: str) -> Step:
    import autograd.numpy as anp

    q = draw(8, 128, 64)

    def attend(q: Any, k: Any, v: Any) -> Any:
        scores = anp.matmul(q, anp.swapaxes(k, 1, 2)) / np.float32(8)
        weights = anp.exp(scores - anp.max(scores, axis=-1, keepdims=True))
        return anp.matmul(weights / anp.sum(weights, axis=-1, keepdims=True), v)

    return _autograd_pullback(attend, (q, q[:, ::-1].copy(), q[..., ::-1].copy()),
                              q[::-1].copy())


def autograd_conv(row: str) -> Step:
    from autograd.scipy.signal import convolve

    x, w, b = draw(64, 16, 14, 14), draw(32, 16, 3, 3), draw(32)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))

    def conv(x: Any, w: Any, b: Any) -> Any:
        y = convolve(x, w[:, :, ::-1, ::-1], axes=([2, 3], [2, 3]), dot_axes=([1], [1]),
                     mode="valid")
        return y + b[None, :, None, None]

    return _autograd_pullback(conv, (padded, w, b), draw(64, 32, 14, 14))


def autograd_adam(row: str) -> Step:
    from autograd.misc.optimizers import adam

    p, g = draw(1_000_000), draw(1_000_000)[::-1].copy()
    return lambda: adam(lambda x, i: g, p, num_iters=1)


# --- mygrad ---------------------------------------------------------------------------------------


def mygrad_mlp(row: str) -> Step:
    import mygrad as mg
    from mygrad.nnet.activations import relu
    from mygrad.nnet.losses import softmax_crossentropy

    n = _batch(row)
    x, y = draw(n, 784), labels(n)
    params = [mg.tensor(p) for p in _layers((784, 256, 128, 10))]

    def step() -> None:
        h = x
        for w, b in zip(params[0:4:2], params[1:4:2], strict=True):
            h = relu(mg.matmul(h, w) + b)
        softmax_crossentropy(mg.matmul(h, params[4]) + params[5], y).backward()
        for p in params:
            p.data -= np.float32(1e-2) * p.grad

    return step


def mygrad_cnn(row: str) -> Step:
    import mygrad as mg
    from mygrad.nnet.activations import relu
    from mygrad.nnet.layers import conv_nd, max_pool
    from mygrad.nnet.losses import softmax_crossentropy

    n = _batch(row)
    x, y = draw(n, 1, 28, 28), labels(n)
    filters = [mg.tensor(draw(6, 1, 5, 5) * np.float32(0.2)),
               mg.tensor(draw(16, 6, 5, 5) * np.float32(0.1))]
    biases = [mg.tensor(np.zeros((1, c, 1, 1), np.float32)) for c in (6, 16)]
    dense = [mg.tensor(p) for p in _layers((400, 120, 84, 10))]

    def step() -> None:
        h = relu(conv_nd(x, filters[0], stride=1, padding=2) + biases[0])
        h = relu(conv_nd(max_pool(h, (2, 2), 2), filters[1], stride=1) + biases[1])
        h = max_pool(h, (2, 2), 2).reshape(n, 400)
        h = relu(mg.matmul(h, dense[0]) + dense[1])
        h = relu(mg.matmul(h, dense[2]) + dense[3])
        softmax_crossentropy(mg.matmul(h, dense[4]) + dense[5], y).backward()
        for p in (*filters, *biases, *dense):
            p.data -= np.float32(1e-2) * p.grad

    return step


def _mygrad_pullback(function: Callable[..., Any], arrays: tuple[Any, ...], dy: Any) -> Step:
    import mygrad as mg

    tensors = [mg.tensor(a) for a in arrays]

    def step() -> None:
        function(*tensors).backward(dy)

    return step


def mygrad_conv(row: str) -> Step:
    from mygrad.nnet.layers import conv_nd

    return _mygrad_pullback(
        lambda x, w, b: conv_nd(x, w, stride=1, padding=1) + b,
        (draw(64, 16, 14, 14), draw(32, 16, 3, 3), draw(32).reshape(1, 32, 1, 1)),
        draw(64, 32, 14, 14))


def mygrad_pool(row: str) -> Step:
    from mygrad.nnet.layers import max_pool

    return _mygrad_pullback(lambda x: max_pool(x, (2, 2), 2), (draw(64, 16, 28, 28),),
                            draw(64, 16, 14, 14))


def mygrad_batch_norm(row: str) -> Step:
    from mygrad.nnet.layers import batchnorm

    x = draw(64, 32, 14, 14)
    return _mygrad_pullback(lambda x, g, b: batchnorm(x, gamma=g, beta=b, eps=1e-5),
                            (x, draw(32), draw(32)), x[::-1].copy())


def mygrad_cross_entropy(row: str) -> Step:
    from mygrad.nnet.losses import softmax_crossentropy

    y = labels(512, 1000)
    return _mygrad_pullback(lambda z: softmax_crossentropy(z, y), (draw(512, 1000),), None)


def mygrad_attention(row: str) -> Step:
    import mygrad as mg
    from mygrad.nnet.activations import softmax

    q = draw(8, 128, 64)
    return _mygrad_pullback(
        lambda q, k, v: mg.matmul(
            softmax(mg.matmul(q, k.transpose(0, 2, 1)) / np.float32(8), axis=-1), v),
        (q, q[:, ::-1].copy(), q[..., ::-1].copy()), q[::-1].copy())


BUILDERS: dict[str, dict[str, Callable[[str], Step]]] = {
    "autograd": {
        "MLP": autograd_mlp, "conv": autograd_conv, "max pool": autograd_pool,
        "batch norm": autograd_batch_norm, "softmax": autograd_cross_entropy,
        "Adam": autograd_adam, "attention": autograd_attention,
    },
    "mygrad": {
        "MLP": mygrad_mlp, "LeNet": mygrad_cnn, "conv": mygrad_conv, "max pool": mygrad_pool,
        "batch norm": mygrad_batch_norm, "softmax": mygrad_cross_entropy,
        "attention": mygrad_attention,
    },
}
