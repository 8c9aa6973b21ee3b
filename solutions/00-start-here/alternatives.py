"""Right answers written differently: each must earn full points."""

import numpy as np
import torch

from nnlib.contract import SplitIndices, Standardized


def one_hot__loop(labels, num_classes):
    y = np.zeros((len(labels), num_classes))
    for row, label in enumerate(labels):
        y[row, label] = 1.0
    return y


def one_hot__compare(labels, num_classes):
    return (labels[:, None] == np.arange(num_classes)).astype(np.float64)


def one_hot__identity_rows(labels, num_classes):
    return np.eye(num_classes)[labels]


def standardize__columns(x_train, x_test):
    dtype = x_train.dtype if x_train.dtype.kind == "f" else np.float64
    train, test = np.array(x_train, dtype=dtype), np.array(x_test, dtype=dtype)
    d = train.shape[1]
    mean, std = np.zeros(d, dtype=dtype), np.ones(d, dtype=dtype)
    for j in range(d):
        mean[j] = train[:, j].mean()
        if train[:, j].std() > 0:
            std[j] = train[:, j].std()
        train[:, j] = (train[:, j] - mean[j]) / std[j]
        test[:, j] = (test[:, j] - mean[j]) / std[j]
    return train, test, mean, std


def standardize__centred_first(x_train, x_test):
    if not np.issubdtype(x_train.dtype, np.floating):
        x_train, x_test = x_train.astype(float), x_test.astype(float)
    mean = np.sum(x_train, axis=0) / len(x_train)
    centred = x_train - mean
    std = np.sqrt(np.mean(centred**2, axis=0))
    std[std == 0] = 1
    return Standardized(centred / std, (x_test - mean) / std, mean, std)


def standardize__where(x_train, x_test):
    if x_train.dtype.kind in "iu":
        x_train, x_test = x_train * 1.0, x_test * 1.0
    mean, std = x_train.mean(axis=0), x_train.std(axis=0)
    std = np.where(std == 0, 1.0, std)
    return Standardized((x_train - mean) / std, (x_test - mean) / std, mean, std)


def pairwise_squared_distances__loops(a, b):
    distances = np.zeros((len(a), len(b)), dtype=a.dtype)
    for i in range(len(a)):
        for j in range(len(b)):
            distances[i, j] = np.sum((a[i] - b[j]) ** 2)
    return distances


def pairwise_squared_distances__expanded(a, b):
    squares = (a**2).sum(axis=1, keepdims=True) + (b**2).sum(axis=1)
    return np.maximum(squares - 2 * a @ b.T, 0)


def pairwise_squared_distances__einsum(a, b):
    differences = a[:, None] - b
    return np.einsum("nmd,nmd->nm", differences, differences)


def split_indices__shuffle(n, *, test_fraction, rng):
    rows = np.arange(n)
    rng.shuffle(rows)
    n_train = n - round(n * test_fraction)
    return rows[:n_train], rows[n_train:]


def split_indices__choice(n, *, test_fraction, rng):
    test = rng.choice(n, size=round(n * test_fraction), replace=False)
    return SplitIndices(np.setdiff1d(np.arange(n), test), test)


def split_indices__sorted_keys(n, *, test_fraction, rng):
    order = np.argsort(rng.random(n))
    n_test = round(n * test_fraction)
    return SplitIndices(np.sort(order[n_test:]), np.sort(order[:n_test]))


def one_hot__torch__functional(labels, num_classes):
    return torch.nn.functional.one_hot(labels, num_classes).to(torch.float64)


def one_hot__torch__scatter(labels, num_classes):
    y = torch.zeros(len(labels), num_classes, dtype=torch.float64, device=labels.device)
    return y.scatter_(1, labels.unsqueeze(1), 1.0)


def one_hot__torch__compare(labels, num_classes):
    return (labels[:, None] == torch.arange(num_classes, device=labels.device)).double()


def standardize__torch__std_mean(x_train, x_test):
    if not torch.is_floating_point(x_train):
        x_train, x_test = x_train.double(), x_test.double()
    std, mean = torch.std_mean(x_train, dim=0, correction=0)
    std = std.masked_fill(std == 0, 1)
    return Standardized((x_train - mean) / std, (x_test - mean) / std, mean, std)


def standardize__torch__centred_first(x_train, x_test):
    if not x_train.is_floating_point():
        x_train, x_test = x_train.to(torch.float64), x_test.to(torch.float64)
    mean = x_train.sum(dim=0) / len(x_train)
    centred = x_train - mean
    std = centred.square().mean(dim=0).sqrt()
    std[std == 0] = 1
    return centred / std, (x_test - mean) / std, mean, std


def pairwise_squared_distances__torch__differences(a, b):
    return (a[:, None, :] - b[None, :, :]).square().sum(dim=2)


def pairwise_squared_distances__torch__expanded(a, b):
    squares = a.square().sum(dim=1, keepdim=True) + b.square().sum(dim=1)
    return (squares - 2 * a @ b.T).clamp(min=0)


def pairwise_squared_distances__torch__cdist(a, b):
    mode = "donot_use_mm_for_euclid_dist"
    return torch.cdist(a, b, compute_mode=mode).square()


def split_indices__torch__cut_behind(n, *, test_fraction, rng):
    rows = torch.randperm(n, generator=rng)
    n_train = n - round(n * test_fraction)
    train, test = rows.split([n_train, n - n_train])
    return train, test


def split_indices__torch__sorted_keys(n, *, test_fraction, rng):
    order = torch.rand(n, generator=rng).argsort()
    n_test = round(n * test_fraction)
    return SplitIndices(order[n_test:].sort().values, order[:n_test].sort().values)


def as_model_input__torch__tensor(images):
    scale = 255 if images.dtype == np.uint8 else 1
    return torch.tensor(images, dtype=torch.float32)[:, None] / scale


def as_model_input__torch__numpy_first(images):
    pixels = images.astype(np.float32)
    if images.dtype == np.uint8:
        pixels /= 255
    n, h, w = pixels.shape
    return torch.from_numpy(pixels).reshape(n, 1, h, w)
