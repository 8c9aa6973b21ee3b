"""Right answers written differently: each must earn full points."""

import numpy as np
import torch

from nnlib.contract import LinearGrads

# ---------------------------------------------------------------- NumPy


def numerical_vjp__unit_steps(f, x, dy, *, eps=1e-6):
    dx = np.empty(x.size)
    for i in range(x.size):
        step = np.zeros(x.size)
        step[i] = eps
        step = step.reshape(x.shape)
        dx[i] = np.vdot(dy, f(x + step) - f(x - step)) / (2 * eps)
    return dx.reshape(x.shape)


def numerical_vjp__in_place_with_copies(f, x, dy, *, eps=1e-6):
    point, dx = x.copy(), np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        old = x[index]
        point[index] = old + eps
        plus = np.sum(f(point.copy()) * dy)
        point[index] = old - eps
        minus = np.sum(f(point.copy()) * dy)
        point[index] = old
        dx[index] = (plus - minus) / eps / 2
    return dx


def linear_backward__einsum(dy, cache):
    dx = np.einsum("no,io->ni", dy, cache.w)
    dw = np.einsum("ni,no->io", cache.x, dy)
    return LinearGrads(dx, dw, None if cache.b is None else np.einsum("no->o", dy))


def linear_backward__loop(dy, cache):
    dx, dw = np.zeros_like(cache.x), np.zeros_like(cache.w)
    db = np.zeros_like(dw[0])
    for i, row in enumerate(dy):
        dx[i] = cache.w @ row
        dw += np.outer(cache.x[i], row)
        db += row
    return dx, dw, db if cache.b is not None else None


def linear_backward__ones(dy, cache):
    ones = np.ones(len(dy), dtype=dy.dtype)
    db = ones @ dy if cache.b is not None else None
    return LinearGrads((cache.w @ dy.T).T, (dy.T @ cache.x).T, db)


def relu_backward__mask(dy, cache):
    return dy * (cache.x > 0)


def relu_backward__sign(dy, cache):
    return dy * np.maximum(np.sign(cache.x), 0)


def relu_backward__assign(dy, cache):
    dx = np.array(dy)
    dx[cache.x <= 0] = 0
    return dx


def mlp_backward__recursive(dlogits, cache, *, linear_backward, relu_backward):
    def below(dy, depth):
        grads = linear_backward(dy, cache.linear[depth])
        if depth == 0:
            return [grads]
        return [*below(relu_backward(grads.dx, cache.relu[depth - 1]), depth - 1), grads]

    return below(dlogits, len(cache.linear) - 1)


def mlp_backward__filled_from_the_end(dlogits, cache, *, linear_backward, relu_backward):
    grads = [None] * len(cache.linear)
    dy = dlogits
    for i in range(len(grads) - 1, -1, -1):
        grads[i] = linear_backward(dy, cache.linear[i])
        if i > 0:
            dy = relu_backward(grads[i].dx, cache.relu[i - 1])
    return grads


def mul_vjp__multiply(dy, a, b):
    return np.multiply(b, dy), np.multiply(a, dy)


def mul_vjp__copies(dy, a, b):
    da, db = dy.copy(), dy.copy()
    da *= b
    db *= a
    return da, db


def matmul_vjp__einsum(dy, a, b):
    return np.einsum("nm,km->nk", dy, b), np.einsum("nk,nm->km", a, dy)


def matmul_vjp__transposed(dy, a, b):
    return (b @ dy.T).T, (dy.T @ a).T


def unbroadcast__one_axis_at_a_time(grad, shape):
    while grad.ndim > len(shape):
        grad = grad.sum(axis=0)
    for axis, size in enumerate(shape):
        if size == 1:
            grad = grad.sum(axis=axis, keepdims=True)
    return np.array(grad)


def unbroadcast__where_sizes_differ(grad, shape):
    padded = (1,) * (grad.ndim - len(shape)) + tuple(shape)
    axes = tuple(i for i in range(grad.ndim) if padded[i] != grad.shape[i])
    return np.reshape(grad.sum(axis=axes, keepdims=True), shape)


def backpropagate__counting_users(parents, vjps, output, dy):
    needed, waiting, users = {output}, [output], {}
    while waiting:
        for parent in parents.get(waiting.pop(), ()):
            users[parent] = users.get(parent, 0) + 1
            if parent not in needed:
                needed.add(parent)
                waiting.append(parent)
    grads, ready = {output: dy}, [output]
    while ready:
        node = ready.pop()
        if not parents.get(node):
            continue
        for parent, grad in zip(parents[node], vjps[node](grads[node]), strict=True):
            grads[parent] = grads[parent] + grad if parent in grads else grad
            users[parent] -= 1
            if users[parent] == 0:
                ready.append(parent)
    return grads


def backpropagate__lists_of_parts(parents, vjps, output, dy):
    order, state, stack = [], {}, [output]
    while stack:
        node = stack[-1]
        if state.get(node) is None:
            state[node] = "open"
            stack += [p for p in parents.get(node, ()) if p not in state]
        else:
            stack.pop()
            if state[node] == "open":
                state[node] = "done"
                order.append(node)
    parts = {node: [] for node in order}
    parts[output].append(dy)
    grads = {}
    for node in order[::-1]:
        grads[node] = sum(parts[node][1:], parts[node][0])
        if parents.get(node):
            for parent, part in zip(parents[node], vjps[node](grads[node]), strict=True):
                parts[parent].append(part)
    return grads


# ---------------------------------------------------------------- PyTorch


class SquaredReLU__torch__saves_the_output(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.relu(x) ** 2
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        return dy * 2 * ctx.saved_tensors[0].sqrt()


class SquaredReLU__torch__mask(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        mask = (x > 0).to(x.dtype)
        ctx.save_for_backward(x, mask)
        return x * x * mask

    @staticmethod
    def backward(ctx, dy):
        x, mask = ctx.saved_tensors
        return 2 * dy * x * mask


def vjp__torch__functional(f, x, dy):
    return torch.autograd.functional.vjp(f, x, dy)[1]


def vjp__torch__transform(f, x, dy):
    _, pull_back = torch.func.vjp(f, x.detach())
    return pull_back(dy)[0]


def vjp__torch__backward_on_a_copy(f, x, dy):
    leaf = x.detach().clone().requires_grad_(True)
    f(leaf).backward(dy)
    return leaf.grad


def gradients_agree__torch__caught(f, x):
    leaf = x.detach().double().clone().requires_grad_(True)
    try:
        return torch.autograd.gradcheck(f, (leaf,))
    except RuntimeError:
        return False


def gradients_agree__torch__jacobians(f, x):
    x = x.detach().double()
    rows = torch.autograd.functional.jacobian(f, x).reshape(-1, x.numel())
    for i in range(x.numel()):
        step = torch.zeros(x.numel(), dtype=torch.float64)
        step[i] = 1e-6
        step = step.reshape(x.shape)
        column = (f(x + step) - f(x - step)).flatten() / 2e-6
        if not torch.allclose(rows[:, i], column, rtol=1e-5, atol=1e-6):
            return False
    # A backward that ignores its upstream gradient looks right for one-hot rows with 1 alone.
    leaf = x.clone().requires_grad_()
    y = f(leaf)
    dy = torch.linspace(0.5, 1.5, y.numel(), dtype=torch.float64).reshape(y.shape)
    (dx,) = torch.autograd.grad(y, leaf, dy)
    return torch.allclose(dx.flatten(), rows.T @ dy.flatten(), rtol=1e-5, atol=1e-6)


def accumulate_gradients__torch__sums(model, loss_fn, x, y, *, micro_batch_size):
    for parameter in model.parameters():
        parameter.grad = None
    total = 0.0
    for start in range(0, len(x), micro_batch_size):
        rows, targets = x[start:start + micro_batch_size], y[start:start + micro_batch_size]
        loss = loss_fn(model(rows), targets) * len(rows)
        loss.backward()
        total += loss.detach().item()
    for parameter in model.parameters():
        parameter.grad /= len(x)
    return total / len(x)


def accumulate_gradients__torch__upstream(model, loss_fn, x, y, *, micro_batch_size):
    model.zero_grad(set_to_none=True)
    total = torch.zeros((), dtype=x.dtype)
    pieces = (torch.split(x, micro_batch_size), torch.split(y, micro_batch_size))
    for rows, targets in zip(*pieces, strict=True):
        share = torch.tensor(len(rows) / len(x), dtype=x.dtype)
        loss = loss_fn(model(rows), targets)
        loss.backward(share)
        total += share * loss.detach()
    return float(total)


def gradient_step__torch__no_grad(params, loss_fn, *, learning_rate):
    names = list(params)
    loss = loss_fn(params)
    grads = torch.autograd.grad(loss, [params[name] for name in names])
    with torch.no_grad():
        pairs = zip(names, grads, strict=True)
        new = {name: params[name] - learning_rate * grad for name, grad in pairs}
    for value in new.values():
        value.requires_grad = True
    return new, float(loss)


def gradient_step__torch__on_copies(params, loss_fn, *, learning_rate):
    copies = {name: p.detach().clone().requires_grad_() for name, p in params.items()}
    loss = loss_fn(copies)
    loss.backward()
    new = {name: torch.sub(p.detach(), p.grad, alpha=learning_rate).requires_grad_()
           for name, p in copies.items()}
    return new, loss.item()
