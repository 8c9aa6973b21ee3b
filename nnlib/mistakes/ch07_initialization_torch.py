"""Known mistakes of chapter 7's PyTorch exercises: gradients, twins, data, orthogonal weights."""

import math

import torch
from torch import nn

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- weight_gradient_norms


@mistake("weight_gradient_norms", hint="""
    The norms are right, but your function writes into `.grad` and leaves it there: the next
    optimizer step would use it. Which function returns gradients without storing them?""")
def gradients_left_in_the_model(model, loss_fn, x, y):
    for p in model.parameters():
        p.grad = None
    loss_fn(model(x), y).backward()
    return {name: 0.0 if p.grad is None else float(p.grad.norm())
            for name, p in model.named_parameters() if p.requires_grad and p.ndim >= 2}


@mistake("weight_gradient_norms", hint="""
    `backward()` adds to what `.grad` already holds, so your norms include old gradients. Ask for
    the gradients themselves instead.""")
def added_to_old_gradients(model, loss_fn, x, y):
    loss_fn(model(x), y).backward()
    return {name: 0.0 if p.grad is None else float(p.grad.norm())
            for name, p in model.named_parameters() if p.requires_grad and p.ndim >= 2}


@mistake("weight_gradient_norms", hint="""
    The biases are in your table too. Weights are the parameters with two axes or more.""")
def biases_included(model, loss_fn, x, y):
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    grads = torch.autograd.grad(loss_fn(model(x), y), list(trained.values()), allow_unused=True)
    return {name: 0.0 if grad is None else float(grad.norm())
            for name, grad in zip(trained, grads, strict=True)}


@mistake("weight_gradient_norms", hint="""
    These are the norms of the weights. The norms of their gradients are asked for.""")
def norms_of_the_weights(model, loss_fn, x, y):
    return {name: float(p.detach().norm())
            for name, p in model.named_parameters() if p.requires_grad and p.ndim >= 2}


@mistake("weight_gradient_norms", hint="""
    Your numbers are squares of norms. The norm is the root of the sum of squares.""")
def root_forgotten(model, loss_fn, x, y):
    weights = {n: p for n, p in model.named_parameters() if p.requires_grad and p.ndim >= 2}
    grads = torch.autograd.grad(loss_fn(model(x), y), list(weights.values()), allow_unused=True)
    return {name: 0.0 if grad is None else float((grad**2).sum())
            for name, grad in zip(weights, grads, strict=True)}


@mistake("weight_gradient_norms", hint="""
    You average over the entries. The norm adds up the squares of all of them and takes the
    root.""")
def root_mean_square(model, loss_fn, x, y):
    weights = {n: p for n, p in model.named_parameters() if p.requires_grad and p.ndim >= 2}
    grads = torch.autograd.grad(loss_fn(model(x), y), list(weights.values()), allow_unused=True)
    return {name: 0.0 if grad is None else float((grad**2).mean().sqrt())
            for name, grad in zip(weights, grads, strict=True)}


@mistake("weight_gradient_norms", hint="""
    A weight that the loss does not depend on is missing from your table. Its gradient is 0, and
    that is worth seeing: list it.""")
def unused_weights_left_out(model, loss_fn, x, y):
    weights = {n: p for n, p in model.named_parameters() if p.requires_grad and p.ndim >= 2}
    grads = torch.autograd.grad(loss_fn(model(x), y), list(weights.values()), allow_unused=True)
    return {name: float(grad.norm())
            for name, grad in zip(weights, grads, strict=True) if grad is not None}


# ---------------------------------------------------------------- count_twins


@mistake("count_twins", hint="""
    You compare incoming weights and biases alone. Units with different *outgoing* weights get
    different gradients and part in the first step: they are no twins.""")
def outgoing_weights_ignored(first, second):
    units = first.weight.detach()
    if first.bias is not None:
        units = torch.cat([units, first.bias.detach()[:, None]], dim=1)
    return len(units) - len(torch.unique(units, dim=0))


@mistake("count_twins", hint="""
    You leave out the bias. Units with the same weights and different biases compute different
    things.""")
def bias_ignored(first, second):
    units = torch.cat([first.weight.detach(), second.weight.detach().T], dim=1)
    return len(units) - len(torch.unique(units, dim=0))


@mistake("count_twins", hint="""
    You leave out the incoming weights. Units that listen to different inputs compute different
    things, whatever happens to their output.""")
def incoming_weights_ignored(first, second):
    units = second.weight.detach().T
    if first.bias is not None:
        units = torch.cat([units, first.bias.detach()[:, None]], dim=1)
    return len(units) - len(torch.unique(units, dim=0))


@mistake("count_twins", hint="""
    You return how many different units there are. The question is how many are *too many*: the
    units less the different ones.""")
def different_units_counted(first, second):
    parts = [first.weight.detach(), second.weight.detach().T]
    if first.bias is not None:
        parts.append(first.bias.detach()[:, None])
    return len(torch.unique(torch.cat(parts, dim=1), dim=0))


@mistake("count_twins", hint="""
    You count every unit that has a twin. Of three alike, one would be there anyway: two are
    copies.""")
def every_member_counted(first, second):
    parts = [first.weight.detach(), second.weight.detach().T]
    if first.bias is not None:
        parts.append(first.bias.detach()[:, None])
    _, counts = torch.unique(torch.cat(parts, dim=1), dim=0, return_counts=True)
    return int(counts[counts > 1].sum())


@mistake("count_twins", hint="""
    You count pairs. Three units alike make three pairs, but only two of them are copies.""")
def pairs_counted(first, second):
    parts = [first.weight.detach(), second.weight.detach().T]
    if first.bias is not None:
        parts.append(first.bias.detach()[:, None])
    _, counts = torch.unique(torch.cat(parts, dim=1), dim=0, return_counts=True)
    return int((counts * (counts - 1) // 2).sum())


# ---------------------------------------------------------------- scale_to_unit_variance


@mistake("scale_to_unit_variance", hint="""
    You divide by the variance. Outputs divided by a number c have their variance divided by
    c squared.""")
def divided_by_the_variance(model, x):
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                if layer.bias is not None:
                    layer.bias.zero_()
                layer.weight /= layer(x).var(correction=0)
            x = layer(x)


@mistake("scale_to_unit_variance", hint="""
    The spread of each layer was measured before any layer was scaled. Scaling one changes what
    the next one receives: measure, scale, go on.""")
def all_measured_before_scaling(model, x):
    with torch.no_grad():
        stds = []
        for layer in model:
            if isinstance(layer, nn.Linear) and layer.bias is not None:
                layer.bias.zero_()
            x = layer(x)
            if isinstance(layer, nn.Linear):
                stds.append(x.std(correction=0))
        for layer in model:
            if isinstance(layer, nn.Linear):
                layer.weight /= stds.pop(0)


@mistake("scale_to_unit_variance", hint="""
    Each layer is measured on the network's input as it would come through the linear layers
    alone. The activations between them belong to the way.""")
def activations_skipped(model, x):
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                if layer.bias is not None:
                    layer.bias.zero_()
                layer.weight /= layer(x).std(correction=0)
                x = layer(x)


@mistake("scale_to_unit_variance", hint="""
    You use a standard deviation of its own for each unit. One number for the whole layer keeps
    the proportions between its units.""")
def each_unit_for_itself(model, x):
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                if layer.bias is not None:
                    layer.bias.zero_()
                layer.weight /= layer(x).std(dim=0, correction=0)[:, None]
            x = layer(x)


@mistake("scale_to_unit_variance", hint="""
    You take the root of the mean square. The outputs of a layer have a mean that is not 0, and
    the variance leaves it out.""")
def mean_square_for_variance(model, x):
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                if layer.bias is not None:
                    layer.bias.zero_()
                layer.weight /= (layer(x) ** 2).mean().sqrt()
            x = layer(x)


@mistake("scale_to_unit_variance", hint="""
    The weights were measured and scaled with the old biases in place. Set a layer's bias to 0
    first.""")
def biases_kept(model, x):
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                layer.weight /= layer(x).std(correction=0)
            x = layer(x)


@mistake("scale_to_unit_variance", hint="""
    You scale by the spread of the weights and never look at the data: that is an ordinary
    initialiser. Measure what comes out of the layer for this batch.""")
def data_not_looked_at(model, x):
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                if layer.bias is not None:
                    layer.bias.zero_()
                layer.weight /= layer.weight.std(correction=0) * math.sqrt(layer.in_features)


# ---------------------------------------------------------------- orthogonal


@mistake("orthogonal", hint="""
    `gain` comes in twice. The rows get the length gain, so their products with themselves are
    gain squared.""")
def gain_twice(shape, *, gain=1.0, generator):
    rows, columns = shape[0], math.prod(shape[1:])
    tall = torch.randn(max(rows, columns), min(rows, columns), generator=generator)
    q, _ = torch.linalg.qr(tall)
    return gain**2 * (q if rows >= columns else q.T).reshape(shape)


@mistake("orthogonal", hint="""
    `gain` changes nothing in your function. It multiplies the finished matrix.""")
def gain_left_out(shape, *, gain=1.0, generator):
    rows, columns = shape[0], math.prod(shape[1:])
    tall = torch.randn(max(rows, columns), min(rows, columns), generator=generator)
    q, _ = torch.linalg.qr(tall)
    return (q if rows >= columns else q.T).reshape(shape)


@mistake("orthogonal", hint="""
    Rows (or columns) have the right length, but they are not perpendicular to each other. Scaling
    each one alone can't do that; a QR decomposition can.""")
def lengths_alone(shape, *, gain=1.0, generator):
    rows, columns = shape[0], math.prod(shape[1:])
    w = torch.randn(rows, columns, generator=generator)
    return gain * (w / w.norm(dim=1 if rows <= columns else 0, keepdim=True)).reshape(shape)


@mistake("orthogonal", hint="""
    Your matrix is the identity, cut to the shape: orthogonal, but the same for every seed. All
    layers would start alike.""", anchor="symmetry")
def identity_matrix(shape, *, gain=1.0, generator):
    return gain * torch.eye(shape[0], math.prod(shape[1:])).reshape(shape)


@mistake("orthogonal", hint="""
    The generator isn't used: the same seed gives another matrix each time. Pass it to the
    function that draws.""")
def global_generator(shape, *, gain=1.0, generator):
    rows, columns = shape[0], math.prod(shape[1:])
    q, _ = torch.linalg.qr(torch.randn(max(rows, columns), min(rows, columns)))
    return gain * (q if rows >= columns else q.T).reshape(shape)


@mistake("orthogonal", hint="""
    This fails where there are more columns than rows: QR of a wide matrix gives a square Q. Draw
    a tall matrix, and turn the result on its side.""")
def wide_shapes_not_turned(shape, *, gain=1.0, generator):
    q, _ = torch.linalg.qr(torch.randn(shape[0], math.prod(shape[1:]), generator=generator))
    return gain * q.reshape(shape)


@mistake("orthogonal", hint="""
    Right for linear layers, not for filters: nn.Conv2d's weights have four axes, and each filter
    is one row. Flatten them to two axes first.""")
def kernels_one_by_one(shape, *, gain=1.0, generator):
    rows, columns = shape[0], shape[1]
    tall = torch.randn(*shape[2:], max(rows, columns), min(rows, columns), generator=generator)
    q, _ = torch.linalg.qr(tall)
    q = q if rows >= columns else q.transpose(-1, -2)
    return gain * (q.permute(2, 3, 0, 1) if len(shape) == 4 else q)
