"""Right answers written differently: each must earn full points."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

# ---------------------------------------------------------------- NumPy


def mse__square(pred, target, *, reduction="mean"):
    error = np.subtract(pred, target)
    loss, dpred = np.square(error), error + error
    if reduction == "mean":
        return np.average(loss), dpred / np.size(pred)
    return (np.sum(loss) if reduction == "sum" else loss), dpred


def mse__dot_product(pred, target, *, reduction="mean"):
    error = pred - target
    if reduction == "none":
        return error**2, 2 * error
    total = np.dot(error.ravel(), error.ravel())
    if reduction == "sum":
        return total, 2 * error
    return total / error.dtype.type(error.size), 2 / error.size * error


def mae__where(pred, target, *, reduction="mean"):
    above, below = pred > target, pred < target
    loss = np.where(above, pred - target, target - pred)
    dpred = above.astype(pred.dtype) - below.astype(pred.dtype)
    if reduction == "mean":
        return loss.mean(), dpred / loss.size
    return (loss.sum() if reduction == "sum" else loss), dpred


def mae__maximum(pred, target, *, reduction="mean"):
    error = pred - target
    loss, dpred = np.maximum(error, -error), np.sign(error)
    if reduction == "none":
        return loss, dpred
    divisor = loss.size if reduction == "mean" else 1
    return loss.sum() / loss.dtype.type(divisor), dpred / divisor


def huber__where(pred, target, *, delta=1.0, reduction="mean"):
    error = pred - target
    near = np.abs(error) < delta
    loss = np.where(near, 0.5 * error**2, delta * np.abs(error) - 0.5 * delta**2)
    dpred = np.where(near, error, delta * np.sign(error))
    if reduction == "mean":
        return loss.mean(), dpred / loss.size
    return (loss.sum() if reduction == "sum" else loss), dpred


def huber__clipped(pred, target, *, delta=1.0, reduction="mean"):
    error = pred - target
    slope = np.clip(error, -delta, delta)
    loss = slope * (error - slope / 2)
    if reduction == "none":
        return loss, slope
    if reduction == "sum":
        return np.sum(loss), slope
    return np.mean(loss), slope / np.size(error)


def huber__assign(pred, target, *, delta=1.0, reduction="mean"):
    error = pred - target
    loss, dpred = error**2 / 2, error.copy()
    for sign in (-1, 1):
        far = sign * error > delta
        loss[far] = delta * (sign * error[far] - delta / 2)
        dpred[far] = sign * delta
    if reduction == "mean":
        return loss.mean(), dpred / loss.size
    return (loss.sum() if reduction == "sum" else loss), dpred


def log_sum_exp__expand(x, *, axis=-1):
    largest = np.max(x, axis=axis)
    shifted = x - np.expand_dims(largest, axis)
    return np.log(np.sum(np.exp(shifted), axis=axis)) + largest


def log_sum_exp__logaddexp(x, *, axis=-1):
    return np.logaddexp.reduce(x, axis=axis)


def log_sum_exp__take(x, *, axis=-1):
    moved = np.moveaxis(x, axis, 0)
    largest = moved.max(axis=0)
    total = np.zeros_like(largest)
    for part in moved:
        total = total + np.exp(part - largest)
    return largest + np.log(total)


def binary_cross_entropy_with_logits__logaddexp(logits, targets, *, reduction="mean"):
    zero = np.zeros_like(logits)
    loss = np.logaddexp(zero, logits) - logits * targets
    dlogits = np.exp(-np.logaddexp(zero, -logits)) - targets
    if reduction == "mean":
        return loss.mean(), dlogits / loss.size
    return (loss.sum() if reduction == "sum" else loss), dlogits


def binary_cross_entropy_with_logits__both_terms(logits, targets, *, reduction="mean"):
    rest = np.log1p(np.exp(-np.abs(logits)))
    minus_log_p = np.maximum(-logits, 0) + rest
    minus_log_not_p = np.maximum(logits, 0) + rest
    loss = targets * minus_log_p + (1 - targets) * minus_log_not_p
    dlogits = np.exp(-minus_log_p) - targets
    if reduction == "none":
        return loss, dlogits
    if reduction == "sum":
        return loss.sum(), dlogits
    return loss.mean(), dlogits / loss.size


def softmax_cross_entropy__one_hot(logits, labels, *, reduction="mean", label_smoothing=0.0):
    n, k = logits.shape
    one_hot = (labels[:, np.newaxis] == np.arange(k)).astype(logits.dtype)
    target = (1 - label_smoothing) * one_hot + label_smoothing / k
    log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    loss, dlogits = -(target * log_p).sum(axis=1), np.exp(log_p) - target
    if reduction == "mean":
        return loss.mean(), dlogits / n
    return (loss.sum() if reduction == "sum" else loss), dlogits


def softmax_cross_entropy__index(logits, labels, *, reduction="mean", label_smoothing=0.0):
    n, k = logits.shape
    rows = np.arange(n)
    shifted = logits - logits.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1)
    right = np.log(total) - shifted[rows, labels]
    every = np.log(total) - shifted.mean(axis=1)
    loss = (1 - label_smoothing) * right + label_smoothing * every
    dlogits = np.exp(shifted) / total[:, np.newaxis]
    dlogits[rows, labels] -= 1 - label_smoothing
    dlogits -= label_smoothing / k
    if reduction == "mean":
        return loss.mean(), dlogits / n
    return (loss.sum() if reduction == "sum" else loss), dlogits


def softmax_cross_entropy__rows(logits, labels, *, reduction="mean", label_smoothing=0.0):
    n, k = logits.shape
    loss, dlogits = np.zeros(n, logits.dtype), np.zeros_like(logits)
    for i in range(n):
        row = logits[i] - logits[i].max()
        log_p = row - np.log(np.exp(row).sum())
        target = np.full(k, label_smoothing / k, logits.dtype)
        target[labels[i]] += 1 - label_smoothing
        loss[i], dlogits[i] = -(target * log_p).sum(), np.exp(log_p) - target
    if reduction == "mean":
        return loss.mean(), dlogits / n
    return (loss.sum() if reduction == "sum" else loss), dlogits


def balanced_class_weights__loop(labels, *, num_classes):
    counts = [int(np.sum(labels == c)) for c in range(num_classes)]
    present = sum(count > 0 for count in counts)
    return np.array([len(labels) / (present * c) if c else 0.0 for c in counts])


def balanced_class_weights__unique(labels, *, num_classes):
    classes, counts = np.unique(labels, return_counts=True)
    weights = np.zeros(num_classes)
    weights[classes] = counts.mean() / counts
    return weights


# ---------------------------------------------------------------- PyTorch


def task_loss__torch__dictionary(task, output, target):
    functions = {
        "regression": lambda: F.mse_loss(output.flatten(), target.to(output)),
        "binary": lambda: F.binary_cross_entropy_with_logits(output.flatten(), target.to(output)),
        "one class": lambda: F.cross_entropy(output, target.long()),
        "several classes": lambda: F.binary_cross_entropy_with_logits(output, target.to(output)),
    }
    return functions[task]()


def task_loss__torch__modules(task, output, target):
    if task == "one class":
        return torch.nn.CrossEntropyLoss()(output, target.to(torch.int64))
    target = target.reshape(output.shape).to(output.dtype)
    if task == "regression":
        return torch.nn.MSELoss()(output, target)
    return torch.nn.BCEWithLogitsLoss()(output, target)


class BalancedCrossEntropy__torch__gather(torch.nn.Module):
    def __init__(self, counts):
        super().__init__()
        weight = counts.double().mean() / counts
        self.register_buffer("weight", weight.float())

    def forward(self, logits, labels):
        log_p = F.log_softmax(logits, dim=1)
        each = -log_p.gather(1, labels[:, None]).squeeze(1)
        weight = self.weight[labels]
        return (weight * each).sum() / weight.sum()


class BalancedCrossEntropy__torch__reduction_none(torch.nn.Module):
    def __init__(self, counts):
        super().__init__()
        frequency = counts / counts.sum()
        self.register_buffer("weight", 1 / (len(frequency) * frequency))

    def forward(self, logits, labels):
        each = F.cross_entropy(logits, labels, reduction="none")
        weight = self.weight.index_select(0, labels)
        return torch.dot(weight, each) / weight.sum()


def masked_cross_entropy__torch__boolean_mask(logits, labels, *, ignore_index=-100):
    keep = labels != ignore_index
    if not keep.any():
        return 0 * logits.sum()
    return F.cross_entropy(logits[keep], labels[keep])


def masked_cross_entropy__torch__transposed(logits, labels, *, ignore_index=-100):
    each = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=ignore_index,
                           reduction="none")
    return each.sum() / max(int((labels != ignore_index).sum()), 1)


def binary_focal_loss__torch__from_the_entropy(logits, targets, *, gamma=2.0):
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    p = torch.sigmoid(logits)
    missing = targets * torch.sigmoid(-logits) + (1 - targets) * p
    return (missing**gamma * entropy).mean()


def binary_focal_loss__torch__softplus(logits, targets, *, gamma=2.0):
    signed = torch.where(targets > 0.5, -logits, logits)
    log_missing = -torch.logaddexp(torch.zeros_like(signed), -signed)
    entropy = torch.logaddexp(torch.zeros_like(signed), signed)
    return (torch.exp(gamma * log_missing) * entropy).mean()


def loss_by_class__torch__loop(logits, labels):
    with torch.no_grad():
        each = F.cross_entropy(logits, labels, reduction="none")
        return torch.stack([each[labels == c].mean() for c in range(logits.shape[1])])


def loss_by_class__torch__one_hot(logits, labels):
    each = F.cross_entropy(logits.detach(), labels, reduction="none")
    member = F.one_hot(labels, logits.shape[1]).to(each.dtype)
    return (member.T @ each) / member.sum(dim=0)
