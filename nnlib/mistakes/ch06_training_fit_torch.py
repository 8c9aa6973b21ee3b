"""Known mistakes of chapter 6 in PyTorch, continued: the loop that restores the best weights."""

import copy

import torch

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- fit_best


@mistake("fit_best", hint="""
    The model ends with the weights of the last epoch. Either the best ones are never loaded back,
    or they were kept without a copy: `state_dict()` holds the very tensors that the optimizer goes
    on changing.""")
def best_kept_without_a_copy(
    model, train_batches, validation_batches, loss_fn, *, epochs, learning_rate
):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
    history = {"loss": [], "validation_loss": []}
    lowest, best = float("inf"), None
    for _ in range(epochs):
        model.train()
        total = rows = 0
        for x, y in train_batches:
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            total, rows = total + loss.item() * len(x), rows + len(x)
        history["loss"].append(total / rows)
        model.eval()
        total = rows = 0
        with torch.no_grad():
            for x, y in validation_batches:
                total, rows = total + loss_fn(model(x), y).item() * len(x), rows + len(x)
        history["validation_loss"].append(total / rows)
        if total / rows < lowest:
            lowest, best = total / rows, model.state_dict()
    model.load_state_dict(best)
    return history


@mistake("fit_best", hint="""
    The training loss decides which weights are kept. It tells how well these examples are fitted;
    whether new ones are predicted better, only the validation loss tells.""")
def best_by_the_loss_of_training(
    model, train_batches, validation_batches, loss_fn, *, epochs, learning_rate
):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
    history = {"loss": [], "validation_loss": []}
    lowest, best = float("inf"), None
    for _ in range(epochs):
        model.train()
        total = rows = 0
        for x, y in train_batches:
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            total, rows = total + loss.item() * len(x), rows + len(x)
        history["loss"].append(total / rows)
        if total / rows < lowest:
            lowest, best = total / rows, copy.deepcopy(model.state_dict())
        model.eval()
        total = rows = 0
        with torch.no_grad():
            for x, y in validation_batches:
                total, rows = total + loss_fn(model(x), y).item() * len(x), rows + len(x)
        history["validation_loss"].append(total / rows)
    model.load_state_dict(best)
    return history


@mistake("fit_best", anchor="train-validation-test", hint="""
    The validation batches are trained on as well. Then their loss falls whatever happens, and
    nothing is left that tells when to stop. Only measure on them.""")
def trained_on_the_validation_part(
    model, train_batches, validation_batches, loss_fn, *, epochs, learning_rate
):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
    history = {"loss": [], "validation_loss": []}
    lowest, best = float("inf"), None
    for _ in range(epochs):
        for name, part in [("loss", train_batches), ("validation_loss", validation_batches)]:
            model.train()
            total = rows = 0
            for x, y in part:
                optimizer.zero_grad()
                loss = loss_fn(model(x), y)
                loss.backward()
                optimizer.step()
                total, rows = total + loss.item() * len(x), rows + len(x)
            history[name].append(total / rows)
        model.eval()
        if total / rows < lowest:
            lowest, best = total / rows, copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return history


@mistake("fit_best", anchor="training-failures", hint="""
    The validation loss is measured in training mode: batch normalization then uses, and learns,
    the statistics of the validation batches. Switch to evaluation mode for it, and back before the
    next epoch.""")
def validated_in_training_mode(
    model, train_batches, validation_batches, loss_fn, *, epochs, learning_rate
):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
    history = {"loss": [], "validation_loss": []}
    lowest, best = float("inf"), None
    model.train()
    for _ in range(epochs):
        total = rows = 0
        for x, y in train_batches:
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            total, rows = total + loss.item() * len(x), rows + len(x)
        history["loss"].append(total / rows)
        total = rows = 0
        with torch.no_grad():
            for x, y in validation_batches:
                total, rows = total + loss_fn(model(x), y).item() * len(x), rows + len(x)
        history["validation_loss"].append(total / rows)
        if total / rows < lowest:
            lowest, best = total / rows, copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    model.eval()
    return history


@mistake("fit_best", hint="""
    Only the first epoch trains in training mode: after the first validation the model stays in
    evaluation mode. Say `model.train()` at the start of each epoch.""",
         anchor="training-pytorch")
def never_back_to_training_mode(
    model, train_batches, validation_batches, loss_fn, *, epochs, learning_rate
):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
    history = {"loss": [], "validation_loss": []}
    lowest, best = float("inf"), None
    model.train()
    for _ in range(epochs):
        total = rows = 0
        for x, y in train_batches:
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            total, rows = total + loss.item() * len(x), rows + len(x)
        history["loss"].append(total / rows)
        model.eval()
        total = rows = 0
        with torch.no_grad():
            for x, y in validation_batches:
                total, rows = total + loss_fn(model(x), y).item() * len(x), rows + len(x)
        history["validation_loss"].append(total / rows)
        if total / rows < lowest:
            lowest, best = total / rows, copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return history


@mistake("fit_best", hint="""
    The parameters are restored, the buffers are not: the running statistics of batch normalization
    are those of the last epoch. `state_dict()` holds both.""")
def buffers_not_restored(
    model, train_batches, validation_batches, loss_fn, *, epochs, learning_rate
):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
    history = {"loss": [], "validation_loss": []}
    lowest, best = float("inf"), None
    for _ in range(epochs):
        model.train()
        total = rows = 0
        for x, y in train_batches:
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            total, rows = total + loss.item() * len(x), rows + len(x)
        history["loss"].append(total / rows)
        model.eval()
        total = rows = 0
        with torch.no_grad():
            for x, y in validation_batches:
                total, rows = total + loss_fn(model(x), y).item() * len(x), rows + len(x)
        history["validation_loss"].append(total / rows)
        if total / rows < lowest:
            lowest, best = total / rows, [p.detach().clone() for p in model.parameters()]
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), best, strict=True):
            parameter.copy_(value)
    return history


@mistake("fit_best", anchor="training-step", hint="""
    A new optimizer is made in every epoch, so its memory, here the momentum, starts from zero each
    time. Make it once, before the loop.""")
def optimizer_made_in_every_epoch(
    model, train_batches, validation_batches, loss_fn, *, epochs, learning_rate
):
    history = {"loss": [], "validation_loss": []}
    lowest, best = float("inf"), None
    for _ in range(epochs):
        optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
        model.train()
        total = rows = 0
        for x, y in train_batches:
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            total, rows = total + loss.item() * len(x), rows + len(x)
        history["loss"].append(total / rows)
        model.eval()
        total = rows = 0
        with torch.no_grad():
            for x, y in validation_batches:
                total, rows = total + loss_fn(model(x), y).item() * len(x), rows + len(x)
        history["validation_loss"].append(total / rows)
        if total / rows < lowest:
            lowest, best = total / rows, copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return history
