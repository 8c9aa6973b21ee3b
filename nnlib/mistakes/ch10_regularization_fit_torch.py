"""Known mistakes of chapter 10 in PyTorch, continued: the loop that stops in time."""

import copy
import math

import torch

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- fit_with_patience


@mistake("fit_with_patience", hint="""
    Off by one: you wait one epoch longer than you were told. With patience 1 the first epoch
    without a lower validation loss ends the training.""")
def one_epoch_too_long(model, train_batches, validation_batches, loss_fn, *, max_epochs, patience,
                       learning_rate, weight_decay):
    groups = [{"params": [p for p in model.parameters() if p.ndim >= 2],
               "weight_decay": weight_decay},
              {"params": [p for p in model.parameters() if p.ndim < 2]}]
    optimizer = torch.optim.SGD(groups, lr=learning_rate)
    losses, lowest, best, waited = [], math.inf, None, 0
    for _ in range(max_epochs):
        model.train()
        for x, y in train_batches:
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            total = sum(loss_fn(model(x), y).item() * len(x) for x, y in validation_batches)
        losses.append(total / sum(len(x) for x, _ in validation_batches))
        if losses[-1] < lowest:
            lowest, best, waited = losses[-1], copy.deepcopy(model.state_dict()), 0
        else:
            waited += 1
        if waited > patience:
            break
    model.load_state_dict(best)
    return losses


@mistake("fit_with_patience", hint="""
    A lower loss does not set the counter back, so bad epochs add up over the whole run. Patience
    counts bad epochs *in a row*.""")
def bad_epochs_add_up(model, train_batches, validation_batches, loss_fn, *, max_epochs, patience,
                      learning_rate, weight_decay):
    groups = [{"params": [p for p in model.parameters() if p.ndim >= 2],
               "weight_decay": weight_decay},
              {"params": [p for p in model.parameters() if p.ndim < 2]}]
    optimizer = torch.optim.SGD(groups, lr=learning_rate)
    losses, lowest, best, waited = [], math.inf, None, 0
    while len(losses) < max_epochs and waited < patience:
        model.train()
        for x, y in train_batches:
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            total = sum(loss_fn(model(x), y).item() * len(x) for x, y in validation_batches)
        losses.append(total / sum(len(x) for x, _ in validation_batches))
        if losses[-1] < lowest:
            lowest, best = losses[-1], copy.deepcopy(model.state_dict())
        else:
            waited += 1
    model.load_state_dict(best)
    return losses


@mistake("fit_with_patience", hint="""
    The model ends with the weights of the last epoch. Either the best ones are never loaded back,
    or they were kept without a copy: `state_dict()` holds the very tensors that the optimizer goes
    on changing.""")
def last_weights_kept(model, train_batches, validation_batches, loss_fn, *, max_epochs, patience,
                      learning_rate, weight_decay):
    groups = [{"params": [p for p in model.parameters() if p.ndim >= 2],
               "weight_decay": weight_decay},
              {"params": [p for p in model.parameters() if p.ndim < 2]}]
    optimizer = torch.optim.SGD(groups, lr=learning_rate)
    losses, lowest, best, waited = [], math.inf, None, 0
    while len(losses) < max_epochs and waited < patience:
        model.train()
        for x, y in train_batches:
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            total = sum(loss_fn(model(x), y).item() * len(x) for x, y in validation_batches)
        losses.append(total / sum(len(x) for x, _ in validation_batches))
        waited += 1
        if losses[-1] < lowest:
            lowest, best, waited = losses[-1], model.state_dict(), 0
    model.load_state_dict(best)
    return losses


@mistake("fit_with_patience", hint="""
    You restore the parameters and not the buffers. The running statistics of a normalization then
    belong to other weights. `state_dict()` names both.""")
def buffers_left_behind(model, train_batches, validation_batches, loss_fn, *, max_epochs,
                        patience, learning_rate, weight_decay):
    groups = [{"params": [p for p in model.parameters() if p.ndim >= 2],
               "weight_decay": weight_decay},
              {"params": [p for p in model.parameters() if p.ndim < 2]}]
    optimizer = torch.optim.SGD(groups, lr=learning_rate)
    losses, lowest, best, waited = [], math.inf, None, 0
    while len(losses) < max_epochs and waited < patience:
        model.train()
        for x, y in train_batches:
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            total = sum(loss_fn(model(x), y).item() * len(x) for x, y in validation_batches)
        losses.append(total / sum(len(x) for x, _ in validation_batches))
        waited += 1
        if losses[-1] < lowest:
            lowest, waited = losses[-1], 0
            best = {name: p.detach().clone() for name, p in model.named_parameters()}
    model.load_state_dict(best, strict=False)
    return losses


@mistake("fit_with_patience", anchor="regularization-failures", hint="""
    The validation loss is measured in training mode: dropout drops, and batch normalization uses
    and learns the statistics of the validation batches. Switch to evaluation mode for it, and back
    before the next epoch.""")
def measured_in_training_mode(model, train_batches, validation_batches, loss_fn, *, max_epochs,
                              patience, learning_rate, weight_decay):
    groups = [{"params": [p for p in model.parameters() if p.ndim >= 2],
               "weight_decay": weight_decay},
              {"params": [p for p in model.parameters() if p.ndim < 2]}]
    optimizer = torch.optim.SGD(groups, lr=learning_rate)
    losses, lowest, best, waited = [], math.inf, None, 0
    model.train()
    while len(losses) < max_epochs and waited < patience:
        for x, y in train_batches:
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
        with torch.no_grad():
            total = sum(loss_fn(model(x), y).item() * len(x) for x, y in validation_batches)
        losses.append(total / sum(len(x) for x, _ in validation_batches))
        waited += 1
        if losses[-1] < lowest:
            lowest, best, waited = losses[-1], copy.deepcopy(model.state_dict()), 0
    model.load_state_dict(best)
    model.eval()
    return losses


@mistake("fit_with_patience", anchor="weight-decay", hint="""
    The biases decay too. Give the optimizer two groups, so that only parameters with two or more
    axes are pulled to 0.""")
def biases_decay_too(model, train_batches, validation_batches, loss_fn, *, max_epochs, patience,
                     learning_rate, weight_decay):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, weight_decay=weight_decay)
    losses, lowest, best, waited = [], math.inf, None, 0
    while len(losses) < max_epochs and waited < patience:
        model.train()
        for x, y in train_batches:
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            total = sum(loss_fn(model(x), y).item() * len(x) for x, y in validation_batches)
        losses.append(total / sum(len(x) for x, _ in validation_batches))
        waited += 1
        if losses[-1] < lowest:
            lowest, best, waited = losses[-1], copy.deepcopy(model.state_dict()), 0
    model.load_state_dict(best)
    return losses


@mistake("fit_with_patience", hint="""
    You compare with the epoch before. After one bad epoch a slightly less bad one then counts as
    progress, and its weights as the best. Compare with the lowest loss so far.""")
def compared_with_the_epoch_before(model, train_batches, validation_batches, loss_fn, *,
                                   max_epochs, patience, learning_rate, weight_decay):
    groups = [{"params": [p for p in model.parameters() if p.ndim >= 2],
               "weight_decay": weight_decay},
              {"params": [p for p in model.parameters() if p.ndim < 2]}]
    optimizer = torch.optim.SGD(groups, lr=learning_rate)
    losses, last, best, waited = [], math.inf, None, 0
    while len(losses) < max_epochs and waited < patience:
        model.train()
        for x, y in train_batches:
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            total = sum(loss_fn(model(x), y).item() * len(x) for x, y in validation_batches)
        losses.append(total / sum(len(x) for x, _ in validation_batches))
        waited += 1
        if losses[-1] < last:
            best, waited = copy.deepcopy(model.state_dict()), 0
        last = losses[-1]
    model.load_state_dict(best)
    return losses
