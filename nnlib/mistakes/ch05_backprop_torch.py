"""Known mistakes of chapter 5's PyTorch exercises."""

import torch

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- SquaredReLU


@mistake("SquaredReLU", hint="""
    The backward is that of plain ReLU, 0 or 1. The output is a *square*: what does its derivative
    still depend on?""")
class DerivativeOfPlainReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0) ** 2

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return dy * (x > 0)


@mistake("SquaredReLU", hint="""
    `dx` is half of what it should be: the square brings down its exponent.""")
class FactorTwoMissing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0) ** 2

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return dy * x.clamp(min=0)


@mistake("SquaredReLU", hint="""
    `backward` returns the derivative of the function. It is asked for a vector-Jacobian product:
    the derivative times `dy`.""", anchor="vector-jacobian-products")
class UpstreamIgnored(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0) ** 2

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return 2 * x.clamp(min=0)


@mistake("SquaredReLU", hint="""
    You saved the output y and use it where max(x, 0) belongs. Both are fine to save, but from y
    the derivative is written differently.""")
class OutputTakenForTheInput(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.clamp(min=0) ** 2
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved_tensors
        return dy * 2 * y


@mistake("SquaredReLU", hint="""
    For negative inputs the output is constant, so no gradient may pass there. Your backward is
    that of x**2 on both sides.""")
class NegativeSideLeaks(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0) ** 2

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return dy * 2 * x


@mistake("SquaredReLU", hint="""
    The numbers are right, but `forward` writes into the caller's tensor: a name that ends in `_`,
    like `clamp_`, works in place. Use the form without it.""")
class InputModified(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x.clamp_(min=0)
        ctx.save_for_backward(x.clone())
        return x**2

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return dy * 2 * x


# ---------------------------------------------------------------- vjp


@mistake("vjp", hint="""
    This is the gradient of the plain sum of the outputs: `dy` is not used. Autograd takes the
    upstream gradient as an argument of `grad` and of `backward`.""", anchor="all-ones-upstream")
def outputs_summed_without_dy(f, x, dy):
    leaf = x.detach().requires_grad_()
    return torch.autograd.grad(f(leaf).sum(), leaf)[0]


@mistake("vjp", hint="""
    You let the result collect in `x.grad`. It adds to what is there already, and the caller's
    tensor is changed. Work on a detached leaf, or ask `torch.autograd.grad` for the gradient.""",
         anchor="backprop-pytorch")
def collected_in_the_callers_tensor(f, x, dy):
    x.requires_grad_()
    f(x).backward(dy)
    return x.grad


@mistake("vjp", hint="""
    This is J dy, a Jacobian-vector product (forward mode). Backpropagation needs the transpose,
    which sums over the *outputs*: equation (5.3).""")
def jacobian_not_transposed(f, x, dy):
    return torch.autograd.functional.jvp(f, x, dy)[1]


@mistake("vjp", hint="""
    You return a tuple. `torch.autograd.grad` gives one gradient per input, always in a tuple; take
    the one that was asked for.""")
def tuple_not_unpacked(f, x, dy):
    leaf = x.detach().requires_grad_()
    return torch.autograd.grad(f(leaf), leaf, dy)


@mistake("vjp", hint="""
    You multiply by `dy` after differentiating the sum. That is right only where each output
    depends on one input. `dy` weights the outputs, so it enters before the walk back.""")
def multiplied_afterwards(f, x, dy):
    leaf = x.detach().requires_grad_()
    return dy * torch.autograd.grad(f(leaf).sum(), leaf)[0]


# ---------------------------------------------------------------- gradients_agree


@mistake("gradients_agree", hint="""
    For a wrong gradient your function raises gradcheck's error. It should return False: gradcheck
    has an option for that.""")
def error_instead_of_false(f, x):
    return torch.autograd.gradcheck(f, x.detach().double().requires_grad_())


@mistake("gradients_agree", hint="""
    A float32 input is checked in float32, where rounding swamps the difference: right gradients
    are refused. Convert to float64 first.""", anchor="u-curve")
def checked_in_single_precision(f, x):
    return torch.autograd.gradcheck(f, x.detach().clone().requires_grad_(), raise_exception=False)


@mistake("gradients_agree", hint="""
    Your check uses the sum of the outputs, an upstream gradient of all ones. Softmax with a
    gradient of zeros passes it, and so does a backward that ignores `dy`.""",
         anchor="all-ones-upstream")
def checked_through_the_sum(f, x):
    return torch.autograd.gradcheck(
        lambda v: f(v).sum(), x.detach().double().requires_grad_(), raise_exception=False)


@mistake("gradients_agree", hint="""
    The tolerance is so wide that a gradient wrong by a few per cent passes. In float64 a right one
    agrees to many digits: leave the defaults.""", anchor="u-curve")
def tolerance_too_wide(f, x):
    leaf = x.detach().double().requires_grad_()
    return torch.autograd.gradcheck(f, leaf, atol=0.1, rtol=0.1, raise_exception=False)


@mistake("gradients_agree", hint="""
    Only the first entry of `x` is compared. A mistake can sit in any entry: compare them all.""")
def first_entry_only(f, x):
    leaf = x.detach().double().requires_grad_()
    y = f(leaf)
    dy = torch.linspace(0.5, 1.5, y.numel(), dtype=torch.float64).reshape(y.shape)
    (dx,) = torch.autograd.grad(y, leaf, dy)
    step = torch.zeros(leaf.numel(), dtype=torch.float64)
    step[0] = 1e-6
    step = step.reshape(leaf.shape)
    with torch.no_grad():
        slope = ((f(leaf + step) - f(leaf - step)) * dy).sum() / 2e-6
    return bool(torch.isclose(dx.flatten()[0], slope, rtol=1e-4, atol=1e-6))


# ---------------------------------------------------------------- accumulate_gradients


@mistake("accumulate_gradients", hint="""
    The losses of the pieces are means already, and you add them up: the gradient grows with the
    number of pieces. Weight each piece by its share of the rows.""")
def means_added_up(model, loss_fn, x, y, *, micro_batch_size):
    model.zero_grad()
    total = 0.0
    for rows, targets in zip(x.split(micro_batch_size), y.split(micro_batch_size), strict=True):
        loss = loss_fn(model(rows), targets)
        loss.backward()
        total += loss.item()
    return total


@mistake("accumulate_gradients", hint="""
    You divide by the number of pieces. When the last piece is smaller, its rows then count for
    more than the others. The weight of a piece is its share of the *rows*.""")
def divided_by_the_number_of_pieces(model, loss_fn, x, y, *, micro_batch_size):
    model.zero_grad()
    total = 0.0
    pieces = list(zip(x.split(micro_batch_size), y.split(micro_batch_size), strict=True))
    for rows, targets in pieces:
        loss = loss_fn(model(rows), targets) / len(pieces)
        loss.backward()
        total += loss.item()
    return total


@mistake("accumulate_gradients", hint="""
    Gradients that were there before are added to yours. `.grad` accumulates across calls: clear it
    once, before the first piece.""")
def earlier_gradients_kept(model, loss_fn, x, y, *, micro_batch_size):
    total = 0.0
    for rows, targets in zip(x.split(micro_batch_size), y.split(micro_batch_size), strict=True):
        loss = loss_fn(model(rows), targets) * (len(rows) / len(x))
        loss.backward()
        total += loss.item()
    return total


@mistake("accumulate_gradients", hint="""
    The gradients are cleared inside the loop, so only the last piece survives. Here accumulation
    is what you want: clear once, before the loop.""")
def cleared_before_every_piece(model, loss_fn, x, y, *, micro_batch_size):
    total = 0.0
    for rows, targets in zip(x.split(micro_batch_size), y.split(micro_batch_size), strict=True):
        model.zero_grad()
        loss = loss_fn(model(rows), targets) * (len(rows) / len(x))
        loss.backward()
        total += loss.item()
    return total


@mistake("accumulate_gradients", hint="""
    The last, smaller piece is left out: n // micro_batch_size drops the remainder. Every row
    belongs to the mean.""")
def last_piece_dropped(model, loss_fn, x, y, *, micro_batch_size):
    model.zero_grad()
    total = 0.0
    for i in range(len(x) // micro_batch_size):
        piece = slice(i * micro_batch_size, (i + 1) * micro_batch_size)
        loss = loss_fn(model(x[piece]), y[piece]) * (micro_batch_size / len(x))
        loss.backward()
        total += loss.item()
    return total


@mistake("accumulate_gradients", hint="""
    The numbers are right, but all rows go through the model at once. The point is memory: at most
    micro_batch_size rows at a time, each with its own backward.""")
def whole_batch_at_once(model, loss_fn, x, y, *, micro_batch_size):
    model.zero_grad()
    loss = loss_fn(model(x), y)
    loss.backward()
    return loss.item()


# ---------------------------------------------------------------- gradient_step


@mistake("gradient_step", hint="""
    The update itself is recorded: the new parameters hang on the graph of the old ones, and memory
    grows with every step. Compute the update under torch.no_grad, or detach it.""")
def update_recorded_in_the_graph(params, loss_fn, *, learning_rate):
    loss = loss_fn(params)
    grads = torch.autograd.grad(loss, list(params.values()))
    new = {name: p - learning_rate * g for (name, p), g in zip(params.items(), grads, strict=True)}
    return new, loss.item()


@mistake("gradient_step", hint="""
    The step goes uphill: the loss grows. The gradient points to where the loss increases; go the
    other way.""")
def step_uphill(params, loss_fn, *, learning_rate):
    loss = loss_fn(params)
    grads = torch.autograd.grad(loss, list(params.values()))
    pairs = zip(params.items(), grads, strict=True)
    new = {name: (p + learning_rate * g).detach().requires_grad_() for (name, p), g in pairs}
    return new, loss.item()


@mistake("gradient_step", hint="""
    The caller's tensors are changed. This step returns *new* parameters and leaves the old ones as
    they are: no `-=` and no method that ends in `_` on them.""")
def parameters_changed_in_place(params, loss_fn, *, learning_rate):
    loss = loss_fn(params)
    grads = torch.autograd.grad(loss, list(params.values()))
    with torch.no_grad():
        for p, g in zip(params.values(), grads, strict=True):
            p -= learning_rate * g
    return dict(params), loss.item()


@mistake("gradient_step", hint="""
    `loss.backward()` leaves gradients in the `.grad` of the caller's tensors. `torch.autograd.grad`
    returns them without storing anything.""")
def gradients_left_in_the_old_parameters(params, loss_fn, *, learning_rate):
    loss = loss_fn(params)
    loss.backward()
    new = {name: (p - learning_rate * p.grad).detach().requires_grad_()
           for name, p in params.items()}
    return new, loss.item()


@mistake("gradient_step", hint="""
    The returned loss is that of the new parameters. The docstring asks for the loss before the
    step, which is computed already.""")
def loss_after_the_step(params, loss_fn, *, learning_rate):
    grads = torch.autograd.grad(loss_fn(params), list(params.values()))
    pairs = zip(params.items(), grads, strict=True)
    new = {name: (p - learning_rate * g).detach().requires_grad_() for (name, p), g in pairs}
    return new, loss_fn(new).item()


@mistake("gradient_step", hint="""
    The new parameters don't require gradients, so a second step from them fails. A tensor made
    under no_grad or by detach() needs `requires_grad_()`.""")
def new_parameters_frozen(params, loss_fn, *, learning_rate):
    loss = loss_fn(params)
    grads = torch.autograd.grad(loss, list(params.values()))
    pairs = zip(params.items(), grads, strict=True)
    return {name: (p - learning_rate * g).detach() for (name, p), g in pairs}, loss.item()
