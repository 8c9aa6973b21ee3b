"""The forms that PyTorch programs use: modules, autograd functions, optimizers, schedulers."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    SequentialLR,
    StepLR,
)

import nnlib.torch_track as ops
from nnlib.torch_track import layers, modules
from nnlib.torch_track.modules import (
    AttentionFunction,
    BatchNormFunction,
    Conv2dFunction,
    LeNet,
    LinearFunction,
    MultiHeadAttention,
    ReLUFunction,
    ResidualBlock,
    SoftmaxCrossEntropyFunction,
)


def leaf(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape) + seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()


# --- autograd functions ---------------------------------------------------------------------------

MEAN, VAR = leaf(3).detach(), leaf(3).detach().abs() + 0.5
LABELS = torch.tensor([0, 2, 2, 1])


def ours_and_theirs() -> dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor], Any]]:
    """Collect the function, what torch has for it, and the tensors both take."""
    q, k, v = (leaf(2, 3, 4, seed=s) for s in range(3))
    x, gamma, beta = leaf(4, 3), leaf(3), leaf(3, seed=1)
    image, w, b = leaf(2, 4, 5, 6), leaf(6, 2, 3, 2), leaf(6)
    return {
        "relu": (ReLUFunction.apply, F.relu, (x,)),
        "linear": (LinearFunction.apply, lambda x, w, b: F.linear(x, w.T, b),
                   (leaf(4, 3), leaf(3, 2), leaf(2))),
        "linear without bias": (lambda x, w: LinearFunction.apply(x, w, None),
                                lambda x, w: x @ w, (leaf(4, 3), leaf(3, 2))),
        "conv2d": (Conv2dFunction.apply, F.conv2d, (leaf(2, 4, 5, 6), leaf(3, 4, 3, 2), leaf(3))),
        "conv2d with options": (
            lambda x, w, b: Conv2dFunction.apply(x, w, b, (2, 1), (1, 0), (1, 2), 2),
            lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 0), (1, 2), 2), (image, w, b)),
        "conv2d without bias": (lambda x, w: Conv2dFunction.apply(x, w, None), F.conv2d,
                                (leaf(2, 4, 5, 6), leaf(3, 4, 3, 2))),
        "batch norm": (
            lambda x, g, b: BatchNormFunction.apply(x, g, b, MEAN, VAR, True)[0],
            lambda x, g, b: F.batch_norm(x, MEAN.clone(), VAR.clone(), g, b, training=True),
            (x, gamma, beta)),
        "batch norm of images": (
            lambda x, g, b: BatchNormFunction.apply(x, g, b, MEAN, VAR, True, 0.2, 1e-3)[0],
            lambda x, g, b: F.batch_norm(x, MEAN.clone(), VAR.clone(), g, b, training=True,
                                         eps=1e-3),
            (leaf(3, 3, 2, 2), gamma, beta)),
        "batch norm in evaluation": (
            lambda x, g, b: BatchNormFunction.apply(x, g, b, MEAN, VAR, False)[0],
            lambda x, g, b: F.batch_norm(x, MEAN, VAR, g, b), (x, gamma, beta)),
        "softmax cross-entropy": (
            lambda z: SoftmaxCrossEntropyFunction.apply(z, LABELS),
            lambda z: F.cross_entropy(z, LABELS), (leaf(4, 3),)),
        "label smoothing": (
            lambda z: SoftmaxCrossEntropyFunction.apply(z, LABELS, 0.1),
            lambda z: F.cross_entropy(z, LABELS, label_smoothing=0.1), (leaf(4, 3),)),
        "attention": (AttentionFunction.apply, F.scaled_dot_product_attention, (q, k, v)),
        "causal attention": (
            lambda q, k, v: AttentionFunction.apply(q, k, v, True),
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), (q, k, v)),
    }


FUNCTIONS = ours_and_theirs()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_pass_gradcheck(name: str) -> None:
    function, _, inputs = FUNCTIONS[name]
    assert torch.autograd.gradcheck(function, inputs)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_equal_torch(name: str) -> None:
    function, theirs, inputs = FUNCTIONS[name]
    y, want = function(*inputs), theirs(*inputs)
    dy = leaf(*y.shape).detach()
    torch.testing.assert_close(y, want, rtol=0, atol=1e-12)
    got = torch.autograd.grad(y, inputs, dy)
    for a, b in zip(got, torch.autograd.grad(want, inputs, dy), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_batch_norm_function_returns_running_statistics_without_a_gradient() -> None:
    x, gamma, beta = FUNCTIONS["batch norm"][2]
    mean, var = MEAN.clone(), VAR.clone()
    F.batch_norm(x, mean, var, gamma, beta, training=True)
    _, new_mean, new_var = BatchNormFunction.apply(x, gamma, beta, MEAN, VAR, True)
    torch.testing.assert_close(new_mean, mean)
    torch.testing.assert_close(new_var, var)
    assert not new_mean.requires_grad
    assert not new_var.requires_grad
    _, same, _ = BatchNormFunction.apply(x, gamma, beta, MEAN, VAR, False)
    assert (same == MEAN).all()


@pytest.mark.parametrize("name", ["relu", "linear", "conv2d", "conv2d with options"])
def test_second_derivatives(name: str) -> None:
    function, _, inputs = FUNCTIONS[name]
    assert torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.parametrize("name", ["batch norm", "attention", "softmax cross-entropy"])
def test_second_derivatives_are_refused_where_they_would_be_wrong(name: str) -> None:
    function, _, inputs = FUNCTIONS[name]
    (first, *_) = torch.autograd.grad((function(*inputs) ** 2).sum(), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        first.sum().backward()


# --- networks -------------------------------------------------------------------------------------


def test_lenet_has_the_size_that_the_layers_have() -> None:
    model = LeNet()
    assert sum(p.numel() for p in model.parameters()) == 61_706
    assert LeNet(3, 5)(torch.zeros((2, 3, 28, 28))).shape == (2, 5)
    rng = torch.Generator()
    ours = layers.Sequential(
        layers.Conv2d(1, 6, 5, padding=2, rng=rng), layers.ReLU(), layers.MaxPool2d(2),
        layers.Conv2d(6, 16, 5, rng=rng), layers.ReLU(), layers.MaxPool2d(2), layers.Flatten(),
        layers.Linear(400, 120, rng=rng), layers.ReLU(), layers.Linear(120, 84, rng=rng),
        layers.ReLU(), layers.Linear(84, 10, rng=rng))
    model = model.double()
    weights = [p.detach().T if p.ndim == 2 else p.detach() for p in model.parameters()]
    ours.params = dict(zip(ours.params, weights, strict=True))
    x = leaf(3, 1, 28, 28)
    y = model(x)
    torch.testing.assert_close(ours(x.detach()), y, rtol=0, atol=1e-12)
    y.backward(dy := leaf(3, 10).detach())
    torch.testing.assert_close(ours.backward(dy), x.grad, rtol=0, atol=1e-10)
    for mine, p in zip(ours.grads.values(), model.parameters(), strict=True):
        torch.testing.assert_close(mine, p.grad.T if p.ndim == 2 else p.grad, rtol=0, atol=1e-10)


def test_residual_block() -> None:
    same = ResidualBlock(4, 4)
    assert isinstance(same.shortcut, nn.Identity)
    x = torch.rand((2, 4, 7, 7))
    nn.init.zeros_(same.body[-1].weight)  # type: ignore[arg-type]
    torch.testing.assert_close(same(x), x)  # a block starts as the identity; x is positive
    block = ResidualBlock(4, 6, stride=2)
    assert block(x).shape == (2, 6, 4, 4)
    assert (block(x) >= 0).all()
    assert all(p.grad is None for p in block.parameters())
    block(x).sum().backward()
    assert all(p.grad is not None for p in block.parameters())
    with pytest.raises(ValueError, match="ResidualBlock: stride must be an integer >= 1, got 0"):
        ResidualBlock(4, 4, stride=0)


@pytest.mark.parametrize("causal", [False, True])
def test_multi_head_attention_equals_torch(causal: bool) -> None:
    module = MultiHeadAttention(8, 2, causal=causal).double()
    theirs = nn.MultiheadAttention(8, 2, batch_first=True).double()
    theirs.load_state_dict({
        "in_proj_weight": module.qkv.weight, "in_proj_bias": module.qkv.bias,
        "out_proj.weight": module.out.weight, "out_proj.bias": module.out.bias})
    x = leaf(3, 5, 8)
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None
    want, _ = theirs(x, x, x, attn_mask=mask, need_weights=False)
    torch.testing.assert_close(module(x), want, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="MultiHeadAttention: num_heads must divide d 8, got 3"):
        MultiHeadAttention(8, 3)


# --- optimizers -----------------------------------------------------------------------------------

OPTIMIZERS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "sgd": (modules.SGD, torch.optim.SGD, {"lr": 0.05, "weight_decay": 0.1}),
    "momentum": (modules.Momentum, torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}),
    "dampening": (modules.Momentum, torch.optim.SGD,
                  {"lr": 0.05, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1}),
    "nesterov": (modules.Momentum, torch.optim.SGD,
                 {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "adam": (modules.Adam, torch.optim.Adam, {"lr": 0.01}),
    "adam with options": (modules.Adam, torch.optim.Adam,
                          {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1,
                           "amsgrad": True}),
    "adamw": (modules.AdamW, torch.optim.AdamW, {"lr": 0.01}),
    "adamw with options": (modules.AdamW, torch.optim.AdamW,
                           {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.2}),
}


def train(
    make: Callable[[Any], torch.optim.Optimizer], steps: int,
    *, reload: Callable[[Any], torch.optim.Optimizer] | None = None,
) -> list[Tensor]:
    torch_rng = torch.Generator().manual_seed(1)
    params = [leaf(3, 4), leaf(4)]
    optimizer = make(params)
    for step in range(steps):
        if reload is not None and step == steps // 2:
            state = optimizer.state_dict()
            optimizer = reload(params)
            optimizer.load_state_dict(state)
        optimizer.zero_grad()
        x = torch.randn(5, 3, dtype=torch.float64, generator=torch_rng)
        y = torch.tanh(x @ params[0])
        # Every third step leaves the second parameter without a gradient.
        (y if step % 3 == 2 else y + params[1]).square().mean().backward()
        optimizer.step()
    return [p.detach() for p in params]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_100_steps_equal_torch(name: str) -> None:
    ours, theirs, options = OPTIMIZERS[name]
    got = train(lambda params: ours(params, **options), 100)
    want = train(lambda params: theirs(params, **options), 100)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)
    assert not torch.equal(got[0], leaf(3, 4))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_goes_on_from_its_state(name: str) -> None:
    ours, _, options = OPTIMIZERS[name]

    def make(params: Any) -> torch.optim.Optimizer:
        return ours(params, **options)

    for a, b in zip(train(make, 10), train(make, 10, reload=make), strict=True):
        assert torch.equal(a, b)


def test_an_optimizer_can_be_copied() -> None:
    w = leaf(2)
    optimizer = modules.Adam([w], lr=0.1)
    w.sum().backward()
    optimizer.step()
    other = copy.deepcopy(optimizer)
    p = other.param_groups[0]["params"][0]
    p.grad = w.grad
    optimizer.step()
    other.step()
    assert torch.equal(w, p)


def test_groups_closures_and_bad_rates() -> None:
    a, b = leaf(2), leaf(2, seed=1)
    start = a.detach().clone(), b.detach().clone()
    optimizer = modules.SGD([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=0.1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = a.sum() + b.sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == start[0].sum() + start[1].sum()
    torch.testing.assert_close(a.detach(), start[0] - 0.1)
    torch.testing.assert_close(b.detach(), start[1] - 0.5)
    for kind in (modules.SGD, modules.Momentum, modules.Adam, modules.AdamW):
        with pytest.raises(ValueError, match=f"{kind.__name__}: lr must be a finite number > 0"):
            kind([a], lr=0)


# --- schedulers -----------------------------------------------------------------------------------


def warmup_cosine(optimizer: torch.optim.Optimizer) -> LRScheduler:
    return SequentialLR(optimizer, [
        LinearLR(optimizer, start_factor=1 / 5, total_iters=4),
        CosineAnnealingLR(optimizer, T_max=16, eta_min=0.01)], milestones=[4])


SCHEDULERS: dict[str, tuple[Callable[[Any], LRScheduler], Callable[[Any], LRScheduler]]] = {
    "step decay": (lambda o: modules.StepDecayLR(o, step_size=6, gamma=0.5),
                   lambda o: StepLR(o, 6, 0.5)),
    "exponential decay": (lambda o: modules.ExponentialDecayLR(o, gamma=0.9),
                          lambda o: ExponentialLR(o, 0.9)),
    "cosine": (lambda o: modules.CosineLR(o, total_steps=20, min_learning_rate=0.01),
               lambda o: CosineAnnealingLR(o, 20, 0.01)),
    "warmup cosine": (lambda o: modules.WarmupCosineLR(
        o, warmup_steps=4, total_steps=20, min_learning_rate=0.01), warmup_cosine),
}


def rates(make: Callable[[Any], LRScheduler], steps: int = 20, resume: int | None = None) -> Any:
    a, b = leaf(1), leaf(1)
    optimizer = modules.SGD([{"params": [a]}, {"params": [b], "lr": 0.3}], lr=0.2)
    scheduler, seen = make(optimizer), []
    for step in range(steps):
        if step == resume:
            state, rate = scheduler.state_dict(), [g["lr"] for g in optimizer.param_groups]
            scheduler = make(optimizer)
            scheduler.load_state_dict(state)
            for group, lr in zip(optimizer.param_groups, rate, strict=True):
                group["lr"] = lr
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return torch.tensor(seen)


@pytest.mark.filterwarnings("ignore:The epoch parameter in:UserWarning")  # torch's SequentialLR
@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_equal_torch(name: str) -> None:
    ours, theirs = SCHEDULERS[name]
    got = rates(ours)
    torch.testing.assert_close(got, rates(theirs), rtol=1e-5, atol=1e-8)
    assert len(set(got[:, 0].tolist())) > 3
    torch.testing.assert_close(rates(ours, resume=7), got, rtol=0, atol=0)


def test_schedulers_read_the_schedules() -> None:
    want = [ops.warmup_cosine(step, learning_rate=0.2, warmup_steps=4, total_steps=20,
                              min_learning_rate=0.01) for step in range(20)]
    assert rates(SCHEDULERS["warmup cosine"][0])[:, 0].tolist() == torch.tensor(want).tolist()


# --- devices --------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_layers_and_modules_train_on_the_gpu() -> None:
    rng = torch.Generator(device="cuda").manual_seed(0)
    model = layers.Sequential(
        layers.Conv2d(1, 4, 3, padding=1, rng=rng, dtype=torch.float32),
        layers.BatchNorm(4, dtype=torch.float32, device="cuda"), layers.ReLU(),
        layers.Dropout(0.1, rng=rng), layers.GlobalAvgPool2d(),
        layers.Linear(4, 3, rng=rng, dtype=torch.float32))
    x = torch.randn(16, 1, 8, 8, device="cuda", generator=rng)
    labels = torch.randint(3, (16,), device="cuda", generator=rng)
    history = model.fit(x, labels, loss=ops.softmax_cross_entropy, epochs=3, rng=rng)
    assert history["loss"][-1] < history["loss"][0] + 1
    assert all(value.device.type == "cuda" for value in model.state_dict().values())

    sequence = torch.randn(4, 5, 8, device="cuda", generator=rng)
    for layer in (layers.RNN(8, 8, rng=rng, dtype=torch.float32),
                  layers.LSTM(8, 8, rng=rng, dtype=torch.float32),
                  layers.GRU(8, 8, rng=rng, dtype=torch.float32),
                  layers.Attention(8, 2, rng=rng, dtype=torch.float32),
                  layers.LayerNorm(8, dtype=torch.float32, device="cuda")):
        assert layer.backward(layer(sequence)).device.type == "cuda"
        assert all(g.device.type == "cuda" for g in layer.grads.values())

    net = LeNet().cuda()
    optimizer = modules.AdamW(net.parameters(), lr=1e-3)
    images = torch.randn(16, 1, 28, 28, device="cuda", generator=rng)
    loss = SoftmaxCrossEntropyFunction.apply(net(images), labels)
    loss.backward()
    optimizer.step()
    assert SoftmaxCrossEntropyFunction.apply(net(images), labels) < loss
    for name in ("relu", "linear", "conv2d with options", "causal attention"):
        function, _, inputs = FUNCTIONS[name]
        assert torch.autograd.gradcheck(
            function, [p.detach().cuda().requires_grad_() for p in inputs])
