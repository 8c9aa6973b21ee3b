"""The work that is timed: the same step written with nnlib, with PyTorch, with NumPy peers.

Each builder takes a `Kit` and returns a function without arguments that makes one step. nnlib's
builders serve both tracks, since these have the same names.
"""

import itertools
import math
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

Step = Callable[[], object]


class Kit(NamedTuple):
    """What a builder needs: a track of nnlib, and where its arrays live."""

    track: str
    device: str = "cpu"

    @property
    def ops(self) -> Any:
        return import_module(f"nnlib.{self.track}_track")

    def objects(self, file: str) -> Any:
        return import_module(f"nnlib.{self.track}_track.{file}")

    def array(self, x: np.ndarray) -> Any:
        return x if self.track == "numpy" else torch.from_numpy(x).to(self.device)

    def rng(self) -> Any:
        if self.track == "numpy":
            return np.random.default_rng(0)
        return torch.Generator(self.device).manual_seed(0)

    @property
    def float32(self) -> Any:
        return np.float32 if self.track == "numpy" else torch.float32


class Row(NamedTuple):
    """One line of the table: what it costs in operations and bytes, and who can do it."""

    name: str
    target: float
    ours: Callable[[Kit], Step]
    torch: Callable[[str], Step]
    #: Operations in matrix products, and bytes that must be read or written at least once.
    flops: float
    bytes: float


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(math.prod(shape)).normal(size=shape).astype(np.float32)


def labels(n: int, k: int = 10) -> np.ndarray:
    return np.random.default_rng(n).integers(k, size=n)


# --- training steps -------------------------------------------------------------------------------


def ours_training(kit: Kit, model: Any, x: np.ndarray, y: np.ndarray) -> Step:
    ops, data, target = kit.ops, kit.array(x), kit.array(y)
    optimizer = ops.get_optimizer("sgd")
    state = optimizer.init(model.params)

    def step() -> None:
        nonlocal state
        state = ops.train_step(
            model, data, target, loss=ops.softmax_cross_entropy, optimizer=optimizer,
            state=state, learning_rate=1e-2,
        ).state

    return step


def torch_training(model: torch.nn.Module, x: np.ndarray, y: np.ndarray, device: str) -> Step:
    model = model.to(device)
    data, target = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(data), target).backward()
        optimizer.step()

    return step


def mlp_row(n: int, target: float) -> Row:
    sizes = (784, 256, 128, 10)
    weights = sum(a * b for a, b in itertools.pairwise(sizes))

    def ours(kit: Kit) -> Step:
        model = kit.objects("model").mlp(kit.rng(), sizes, dtype=kit.float32)
        return ours_training(kit, model, draw(n, 784), labels(n))

    def theirs(device: str) -> Step:
        nn = torch.nn
        model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(),
                              nn.Linear(128, 10))
        return torch_training(model, draw(n, 784), labels(n), device)

    # Forward, dw, and dx behind the first layer.
    flops = 2.0 * n * (3 * weights - sizes[0] * sizes[1])
    return Row(f"MLP 784-256-128-10 training step, batch {n}", target, ours, theirs, flops,
               4.0 * (4 * weights + n * (784 + 6 * (256 + 128))))


def cnn_row(n: int, target: float) -> Row:
    def ours(kit: Kit) -> Step:
        layers, build = kit.objects("model"), {"rng": kit.rng(), "dtype": kit.float32}
        images = kit.objects("layers_images")
        plain = kit.objects("layers")
        model = layers.Sequential(
            images.Conv2d(1, 6, kernel_size=5, padding=2, **build), plain.ReLU(),
            images.MaxPool2d(kernel_size=2),
            images.Conv2d(6, 16, kernel_size=5, **build), plain.ReLU(),
            images.MaxPool2d(kernel_size=2), plain.Flatten(),
            plain.Linear(400, 120, **build), plain.ReLU(), plain.Linear(120, 84, **build),
            plain.ReLU(), plain.Linear(84, 10, **build),
        )
        return ours_training(kit, model, draw(n, 1, 28, 28), labels(n))

    def theirs(device: str) -> Step:
        nn = torch.nn
        model = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5),
            nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(),
            nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
        )
        return torch_training(model, draw(n, 1, 28, 28), labels(n), device)

    first, second, rest = 784 * 6 * 25, 100 * 16 * 150, 400 * 120 + 120 * 84 + 84 * 10
    flops = 2.0 * n * (2 * first + 3 * second + 3 * rest)
    return Row(f"LeNet-like CNN training step, 1x28x28, batch {n}", target, ours, theirs, flops,
               4.0 * n * (784 + 8 * 6 * 784 + 8 * 1600))


# --- single operations, forward and backward ------------------------------------------------------


def backward_of(function: Callable[..., torch.Tensor], arrays: tuple[np.ndarray, ...],
                dy: np.ndarray | None, device: str) -> Step:
    """PyTorch: forward, and backward to every array."""
    tensors = [torch.from_numpy(a).to(device).requires_grad_() for a in arrays]
    upstream = None if dy is None else torch.from_numpy(dy).to(device)
    return lambda: torch.autograd.grad(function(*tensors), tensors, upstream)


def conv_row(target: float) -> Row:
    x, w, b, dy = draw(64, 16, 14, 14), draw(32, 16, 3, 3), draw(32), draw(64, 32, 14, 14)

    def ours(kit: Kit) -> Step:
        ops, a = kit.ops, [kit.array(v) for v in (x, w, b, dy)]
        return lambda: ops.conv2d_backward(a[3], ops.conv2d_forward(*a[:3], padding=1)[1])

    return Row(
        "conv 16->32, 3x3, 64x14x14, forward + backward", target, ours,
        lambda device: backward_of(lambda x, w, b: F.conv2d(x, w, b, padding=1), (x, w, b), dy,
                                   device),
        3 * 2.0 * 64 * 196 * 32 * 144, 4.0 * (3 * x.size + 2 * dy.size),
    )


def pool_row(target: float) -> Row:
    x, dy = draw(64, 16, 28, 28), draw(64, 16, 14, 14)

    def ours(kit: Kit) -> Step:
        ops, a, da = kit.ops, kit.array(x), kit.array(dy)
        return lambda: ops.max_pool2d_backward(da, ops.max_pool2d_forward(a, kernel_size=2)[1])

    return Row("max pool 2x2, 64x16x28x28, forward + backward", target, ours,
               lambda device: backward_of(lambda x: F.max_pool2d(x, 2), (x,), dy, device),
               0, 4.0 * (3 * x.size + 3 * dy.size))


def batch_norm_row(target: float) -> Row:
    x, dy, gamma, beta = draw(64, 32, 14, 14), draw(64, 32, 14, 14)[::-1].copy(), draw(32), draw(32)
    mean, var = np.zeros(32, np.float32), np.ones(32, np.float32)

    def ours(kit: Kit) -> Step:
        ops, a, da = kit.ops, [kit.array(v) for v in (x, gamma, beta, mean, var)], kit.array(dy)
        return lambda: ops.batch_norm_backward(
            da, ops.batch_norm_forward(*a, training=True)[2])

    def theirs(device: str) -> Step:
        m, v = torch.from_numpy(mean.copy()).to(device), torch.from_numpy(var.copy()).to(device)
        return backward_of(lambda x, g, b: F.batch_norm(x, m, v, g, b, training=True),
                           (x, gamma, beta), dy, device)

    return Row("batch norm, 64x32x14x14, forward + backward", target, ours, theirs,
               0, 4.0 * 6 * x.size)


def cross_entropy_row(target: float) -> Row:
    n, k = 512, 1000
    logits, y = draw(n, k), labels(n, k)

    def ours(kit: Kit) -> Step:
        ops, a, t = kit.ops, kit.array(logits), kit.array(y)
        return lambda: ops.softmax_cross_entropy(a, t)

    def theirs(device: str) -> Step:
        t = torch.from_numpy(y).to(device)
        return backward_of(lambda z: F.cross_entropy(z, t), (logits,), None, device)

    return Row(f"softmax cross-entropy, {n}x{k}, forward + backward", target, ours, theirs,
               0, 4.0 * 3 * n * k)


def adam_row(target: float) -> Row:
    shapes = {"w1": (1000, 600), "b1": (600,), "w2": (600, 660), "b2": (3400,)}

    def ours(kit: Kit) -> Step:
        ops = kit.ops
        params = {name: kit.array(draw(*shape)) for name, shape in shapes.items()}
        grads = {name: kit.array(draw(*shape)[::-1].copy()) for name, shape in shapes.items()}
        state = ops.adam_init(params)

        def step() -> None:
            nonlocal params, state
            params, state = ops.adam_update(params, grads, state)

        return step

    def theirs(device: str) -> Step:
        params = [torch.from_numpy(draw(*shape)).to(device).requires_grad_()
                  for shape in shapes.values()]
        for p in params:
            p.grad = p.detach().flip(0).contiguous()
        return torch.optim.Adam(params).step

    total = sum(math.prod(shape) for shape in shapes.values())
    return Row("Adam on 1 M parameters", target, ours, theirs, 0, 4.0 * 7 * total)


def attention_row(target: float) -> Row:
    shape = (8, 128, 64)
    q, dy = draw(*shape), draw(*shape)[::-1].copy()
    k, v = q[:, ::-1].copy(), q[..., ::-1].copy()

    def ours(kit: Kit) -> Step:
        ops, a, da = kit.ops, [kit.array(x) for x in (q, k, v)], kit.array(dy)
        return lambda: ops.attention_backward(da, ops.attention_forward(*a)[1])

    return Row("attention, 8x128x64, forward + backward", target, ours,
               lambda device: backward_of(F.scaled_dot_product_attention, (q, k, v), dy, device),
               6 * 2.0 * 8 * 128 * 128 * 64, 4.0 * (8 * q.size + 6 * 8 * 128 * 128))


ROWS = (
    mlp_row(64, 0.8), mlp_row(1024, 1.2), cnn_row(64, 2.5), conv_row(2.5), pool_row(1.5),
    batch_norm_row(1.5), cross_entropy_row(1.5), adam_row(1.2), attention_row(1.5),
)
