"""Known mistakes of chapter 6 in PyTorch, continued: one epoch, and measuring."""

import torch
from torch import nn

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- train_epoch


@mistake("train_epoch", hint="""
    The gradients are never reset. `.grad` adds up, so each step follows the sum of all gradients
    so far, even of those from before the call. Clear them for every batch.""",
         anchor="training-failures")
def gradients_never_reset(model, batches, loss_fn, *, learning_rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    model.train()
    total = rows = 0
    for x, y in batches:
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        total, rows = total + loss.item() * len(x), rows + len(x)
    return total / rows


@mistake("train_epoch", hint="""
    The gradients are reset once, before the loop. From the second batch on, each step follows the
    sum over all batches so far: reset inside the loop.""", anchor="training-failures")
def gradients_reset_once(model, batches, loss_fn, *, learning_rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    model.train()
    optimizer.zero_grad()
    total = rows = 0
    for x, y in batches:
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        total, rows = total + loss.item() * len(x), rows + len(x)
    return total / rows


@mistake("train_epoch", hint="""
    No parameter moves. Either no step is taken, or `zero_grad` stands between `backward` and
    `step` and wipes out what `backward` just computed. Which of the three comes first?""",
         anchor="training-failures")
def reset_before_the_step(model, batches, loss_fn, *, learning_rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    model.train()
    total = rows = 0
    for x, y in batches:
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()
        total, rows = total + loss.item() * len(x), rows + len(x)
    return total / rows


@mistake("train_epoch", hint="""
    Right for a fresh model, but one that comes with gradients takes a first step that includes
    them: you reset only *after* each step. Reset before `backward`.""",
         anchor="training-failures")
def reset_after_the_step_only(model, batches, loss_fn, *, learning_rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    model.train()
    total = rows = 0
    for x, y in batches:
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        total, rows = total + loss.item() * len(x), rows + len(x)
    return total / rows


@mistake("train_epoch", hint="""
    A model that comes in evaluation mode is trained in evaluation mode: dropout is off, and batch
    normalization neither uses nor learns the statistics of the batch. Say `model.train()`
    first.""")
def mode_left_as_it_came(model, batches, loss_fn, *, learning_rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    total = rows = 0
    for x, y in batches:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        total, rows = total + loss.item() * len(x), rows + len(x)
    return total / rows


@mistake("train_epoch", hint="""
    You return the mean of the batches' means. The last batch is smaller, so its rows count for
    more than the others. Weight each mean by its number of rows: equation (6.3).""",
         anchor="monitoring")
def batch_means_averaged(model, batches, loss_fn, *, learning_rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    model.train()
    values = []
    for x, y in batches:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    return sum(values) / len(values)


# ---------------------------------------------------------------- evaluate_classifier


@mistake("evaluate_classifier", anchor="training-failures", hint="""
    The model is measured in training mode: its results depend on which rows share a batch, and
    batch normalization learns from data that it should only be measured on. Call `model.eval()`
    first.""")
def measured_in_training_mode(model, batches):
    total = right = rows = 0
    with torch.no_grad():
        for x, labels in batches:
            scores = model(x)
            total += nn.functional.cross_entropy(scores, labels).item() * len(x)
            right += (scores.argmax(dim=1) == labels).sum().item()
            rows += len(x)
    return total / rows, right / rows


@mistake("evaluate_classifier", anchor="training-pytorch", hint="""
    The numbers are right, but every forward pass records a graph that nobody needs, and keeps all
    activations in memory. Measure under `torch.no_grad()` or `torch.inference_mode()`;
    `model.eval()` does not switch recording off.""")
def graph_recorded(model, batches):
    was_training = model.training
    model.eval()
    total = right = rows = 0
    for x, labels in batches:
        scores = model(x)
        total += nn.functional.cross_entropy(scores, labels).item() * len(x)
        right += (scores.argmax(dim=1) == labels).sum().item()
        rows += len(x)
    model.train(was_training)
    return total / rows, right / rows


@mistake("evaluate_classifier", hint="""
    The model stays in evaluation mode. If training goes on afterwards, it goes on without dropout
    and with frozen statistics. Put the model back into the mode in which it came.""")
def left_in_evaluation_mode(model, batches):
    model.eval()
    total = right = rows = 0
    with torch.no_grad():
        for x, labels in batches:
            scores = model(x)
            total += nn.functional.cross_entropy(scores, labels).item() * len(x)
            right += (scores.argmax(dim=1) == labels).sum().item()
            rows += len(x)
    return total / rows, right / rows


@mistake("evaluate_classifier", hint="""
    Afterwards the model is always in training mode, even if it came in evaluation mode. Look at
    `model.training` before you change it.""")
def always_back_to_training(model, batches):
    model.eval()
    total = right = rows = 0
    with torch.no_grad():
        for x, labels in batches:
            scores = model(x)
            total += nn.functional.cross_entropy(scores, labels).item() * len(x)
            right += (scores.argmax(dim=1) == labels).sum().item()
            rows += len(x)
    model.train()
    return total / rows, right / rows


@mistake("evaluate_classifier", anchor="monitoring", hint="""
    Loss and accuracy are means of the batches' means. The last batch is smaller, so its rows count
    for more than the others: add up over the rows, then divide once.""")
def means_of_batches_averaged(model, batches):
    was_training = model.training
    model.eval()
    losses, shares = [], []
    with torch.no_grad():
        for x, labels in batches:
            scores = model(x)
            losses.append(nn.functional.cross_entropy(scores, labels).item())
            shares.append((scores.argmax(dim=1) == labels).double().mean().item())
    model.train(was_training)
    return sum(losses) / len(losses), sum(shares) / len(shares)


@mistake("evaluate_classifier", anchor="monitoring", hint="""
    The loss is a sum over the batches, so it grows with their number. Divide by the number of rows
    after weighting each batch by its own.""")
def losses_added_up(model, batches):
    was_training = model.training
    model.eval()
    total = right = rows = 0
    with torch.no_grad():
        for x, labels in batches:
            scores = model(x)
            total += nn.functional.cross_entropy(scores, labels).item()
            right += (scores.argmax(dim=1) == labels).sum().item()
            rows += len(x)
    model.train(was_training)
    return total, right / rows
