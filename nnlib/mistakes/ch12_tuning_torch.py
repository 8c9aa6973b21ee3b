"""Known mistakes of chapter 12's PyTorch exercises: draws, loaders, a choice, hypergradients."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- log_uniform


@mistake("log_uniform", hint="""
    The numbers are uniform, not their logarithms. From 0.0001 to 1, nine out of ten are then above
    0.1.""")
def uniform_in_the_value(low, high, size, *, generator):
    return low + (high - low) * torch.rand(size, generator=generator)


@mistake("log_uniform", hint="""
    You return the logarithms themselves. Which function undoes a logarithm?""")
def logarithms_returned(low, high, size, *, generator):
    places = torch.rand(size, generator=generator)
    return math.log(low) + places * (math.log(high) - math.log(low))


@mistake("log_uniform", hint="""
    The logarithm is one to base 10 and the power one to base e. Use the same base for both.""")
def two_bases(low, high, size, *, generator):
    places = torch.rand(size, generator=generator)
    return torch.exp(math.log10(low) + places * (math.log10(high) - math.log10(low)))


@mistake("log_uniform", hint="""
    The draws don't come from the generator that you got. Without it, a seed repeats nothing,
    unless the whole program is seeded.""", anchor="loaders")
def generator_not_used(low, high, size, *, generator):
    return torch.exp(math.log(low) + torch.rand(size) * math.log(high / low))


@mistake("log_uniform", hint="""
    Only a few values occur: the exponents are whole numbers. Everything in between belongs to the
    range as well.""")
def whole_exponents(low, high, size, *, generator):
    first, last = round(math.log10(low)), round(math.log10(high))
    exponents = torch.randint(first, last + 1, (size,), generator=generator)
    return (10.0 ** exponents.double()).clamp(low, high)


@mistake("log_uniform", hint="""
    The draws crowd in the middle of the range: their logarithms are normal, not uniform.""")
def logarithms_are_normal(low, high, size, *, generator):
    middle, width = math.log(low * high) / 2, math.log(high / low)
    places = 0.15 * torch.randn(size, generator=generator)
    return torch.exp(middle + width * places.clamp(-0.5, 0.5))


# ---------------------------------------------------------------- fold_loaders


@mistake("fold_loaders", hint="""
    The test part is shuffled as well. That changes no score, but nobody can put predictions and
    rows together afterwards.""")
def test_part_shuffled(x, y, train, test, *, batch_size, generator):
    data = TensorDataset(x, y)
    return (DataLoader(Subset(data, train.tolist()), batch_size, shuffle=True,
                       generator=generator),
            DataLoader(Subset(data, test.tolist()), batch_size, shuffle=True,
                       generator=generator))


@mistake("fold_loaders", hint="""
    The training part comes in the same order in every epoch. Let its loader shuffle.""")
def training_part_in_order(x, y, train, test, *, batch_size, generator):
    data = TensorDataset(x, y)
    return (DataLoader(Subset(data, train.tolist()), batch_size),
            DataLoader(Subset(data, test.tolist()), batch_size))


@mistake("fold_loaders", hint="""
    The loader shuffles with PyTorch's global generator. Hand it the one that you got, or no run
    can be repeated.""")
def loader_without_generator(x, y, train, test, *, batch_size, generator):
    data = TensorDataset(x, y)
    return (DataLoader(Subset(data, train.tolist()), batch_size, shuffle=True),
            DataLoader(Subset(data, test.tolist()), batch_size))


@mistake("fold_loaders", hint="""
    The rows are shuffled once, before the first epoch, and then always come in that order. The
    loader should shuffle anew in each epoch.""")
def shuffled_once(x, y, train, test, *, batch_size, generator):
    data = TensorDataset(x, y)
    order = train[torch.randperm(len(train), generator=generator)]
    return (DataLoader(Subset(data, order.tolist()), batch_size),
            DataLoader(Subset(data, test.tolist()), batch_size))


@mistake("fold_loaders", hint="""
    The training loader gives all rows, the fold's test rows too. Take the subset of `train`.""",
         anchor="leak-in-folds")
def trained_on_all_rows(x, y, train, test, *, batch_size, generator):
    data = TensorDataset(x, y)
    return (DataLoader(data, batch_size, shuffle=True, generator=generator),
            DataLoader(Subset(data, test.tolist()), batch_size))


@mistake("fold_loaders", hint="""
    The last, smaller batch is dropped, in the test part too: some of its rows are never scored.""")
def last_batch_dropped(x, y, train, test, *, batch_size, generator):
    data = TensorDataset(x, y)
    return (DataLoader(Subset(data, train.tolist()), batch_size, shuffle=True,
                       generator=generator, drop_last=True),
            DataLoader(Subset(data, test.tolist()), batch_size, drop_last=True))


# ---------------------------------------------------------------- select_and_report


@mistake("select_and_report", hint="""
    You choose by the test part. Its accuracy is then the highest of many, and no longer says what
    to expect. Choose by the validation part.""")
def chosen_on_the_test_part(models, validation, test):
    def accuracy(model, part):
        mode = model.training
        model.eval()
        with torch.inference_mode():
            share = (model(part[0]).argmax(dim=1) == part[1]).double().mean().item()
        model.train(mode)
        return share

    by_test = [accuracy(model, test) for model in models]
    best = by_test.index(max(by_test))
    return best, [accuracy(model, validation) for model in models], by_test[best]


@mistake("select_and_report", hint="""
    You report the accuracy by which the model was chosen. That is the highest of several, and too
    good. Report the one of the test part.""")
def validation_accuracy_reported(models, validation, test):
    shares = []
    for model in models:
        mode = model.training
        model.eval()
        with torch.inference_mode():
            right = model(validation[0]).argmax(dim=1) == validation[1]
        shares.append(right.double().mean().item())
        model.train(mode)
    return shares.index(max(shares)), shares, max(shares)


@mistake("select_and_report", hint="""
    The models are measured in training mode. Batch norm then uses the statistics of this batch,
    and dropout drops. Switch to evaluation first.""")
def measured_in_training_mode(models, validation, test):
    def accuracy(model, part):
        with torch.inference_mode():
            return (model(part[0]).argmax(dim=1) == part[1]).double().mean().item()

    shares = [accuracy(model, validation) for model in models]
    best = shares.index(max(shares))
    return best, shares, accuracy(models[best], test)


@mistake("select_and_report", hint="""
    The numbers are right, but the models stay in evaluation mode. Whoever trains on afterwards
    gets no dropout. Give each the mode back that it had.""")
def evaluation_mode_left_on(models, validation, test):
    def accuracy(model, part):
        model.eval()
        with torch.inference_mode():
            return (model(part[0]).argmax(dim=1) == part[1]).double().mean().item()

    shares = [accuracy(model, validation) for model in models]
    best = shares.index(max(shares))
    return best, shares, accuracy(models[best], test)


@mistake("select_and_report", hint="""
    The model with the *lowest* validation accuracy is chosen. For a loss that would be right.""")
def worst_chosen(models, validation, test):
    def accuracy(model, part):
        mode = model.training
        model.eval()
        with torch.inference_mode():
            share = (model(part[0]).argmax(dim=1) == part[1]).double().mean().item()
        model.train(mode)
        return share

    shares = [accuracy(model, validation) for model in models]
    best = shares.index(min(shares))
    return best, shares, accuracy(models[best], test)


@mistake("select_and_report", hint="""
    You report the best test accuracy of all models, not that of the chosen one. That is choosing
    on the test part in another guise.""")
def best_test_accuracy_reported(models, validation, test):
    def accuracy(model, part):
        mode = model.training
        model.eval()
        with torch.inference_mode():
            share = (model(part[0]).argmax(dim=1) == part[1]).double().mean().item()
        model.train(mode)
        return share

    shares = [accuracy(model, validation) for model in models]
    return shares.index(max(shares)), shares, max(accuracy(model, test) for model in models)


# ---------------------------------------------------------------- hypergradient


@mistake("hypergradient", hint="""
    The gradients of the training loss are treated as constants. But a later gradient depends on
    where the earlier steps have led: let autograd record how it was computed.""")
def inner_gradients_constant(w, log_rate, train, validation, *, steps):
    log_rate = log_rate.detach().clone().requires_grad_()
    w = w.detach().clone().requires_grad_()
    for _ in range(steps):
        loss = nn.functional.mse_loss(train[0] @ w, train[1])
        (gradient,) = torch.autograd.grad(loss, w)
        w = w - torch.exp(log_rate) * gradient
    loss = nn.functional.mse_loss(validation[0] @ w, validation[1])
    return loss.detach(), torch.autograd.grad(loss, log_rate)[0]


@mistake("hypergradient", hint="""
    The weights are cut from the graph in every step, so only the last step counts. The chain must
    reach through all of them.""")
def only_the_last_step(w, log_rate, train, validation, *, steps):
    log_rate = log_rate.detach().clone().requires_grad_()
    for _ in range(steps):
        w = w.detach().clone().requires_grad_()
        loss = nn.functional.mse_loss(train[0] @ w, train[1])
        (gradient,) = torch.autograd.grad(loss, w)
        w = w - torch.exp(log_rate) * gradient
    loss = nn.functional.mse_loss(validation[0] @ w, validation[1])
    return loss.detach(), torch.autograd.grad(loss, log_rate)[0]


@mistake("hypergradient", hint="""
    That is the derivative with respect to the learning rate. Asked for is the one with respect to
    its logarithm; the chain rule says which factor lies between them.""")
def derivative_by_the_rate(w, log_rate, train, validation, *, steps):
    rate = torch.exp(log_rate.detach()).requires_grad_()
    w = w.detach().clone().requires_grad_()
    for _ in range(steps):
        loss = nn.functional.mse_loss(train[0] @ w, train[1])
        (gradient,) = torch.autograd.grad(loss, w, create_graph=True)
        w = w - rate * gradient
    loss = nn.functional.mse_loss(validation[0] @ w, validation[1])
    return loss.detach(), torch.autograd.grad(loss, rate)[0]


@mistake("hypergradient", hint="""
    The loss at the end is that of the training part. By it a learning rate can only be chosen for
    fitting, not for what is new.""")
def training_loss_at_the_end(w, log_rate, train, validation, *, steps):
    log_rate = log_rate.detach().clone().requires_grad_()
    w = w.detach().clone().requires_grad_()
    for _ in range(steps):
        loss = nn.functional.mse_loss(train[0] @ w, train[1])
        (gradient,) = torch.autograd.grad(loss, w, create_graph=True)
        w = w - torch.exp(log_rate) * gradient
    loss = nn.functional.mse_loss(train[0] @ w, train[1])
    return loss.detach(), torch.autograd.grad(loss, log_rate)[0]


@mistake("hypergradient", hint="""
    The descent runs on the validation part. It is there to judge the learning rate, not to train
    the weights.""", anchor="leak-in-folds")
def trained_on_the_validation_part(w, log_rate, train, validation, *, steps):
    log_rate = log_rate.detach().clone().requires_grad_()
    w = w.detach().clone().requires_grad_()
    for _ in range(steps):
        loss = nn.functional.mse_loss(validation[0] @ w, validation[1])
        (gradient,) = torch.autograd.grad(loss, w, create_graph=True)
        w = w - torch.exp(log_rate) * gradient
    loss = nn.functional.mse_loss(validation[0] @ w, validation[1])
    return loss.detach(), torch.autograd.grad(loss, log_rate)[0]


@mistake("hypergradient", hint="""
    The step goes up the training loss. Descent subtracts.""")
def steps_upwards(w, log_rate, train, validation, *, steps):
    log_rate = log_rate.detach().clone().requires_grad_()
    w = w.detach().clone().requires_grad_()
    for _ in range(steps):
        loss = nn.functional.mse_loss(train[0] @ w, train[1])
        (gradient,) = torch.autograd.grad(loss, w, create_graph=True)
        w = w + torch.exp(log_rate) * gradient
    loss = nn.functional.mse_loss(validation[0] @ w, validation[1])
    return loss.detach(), torch.autograd.grad(loss, log_rate)[0]
