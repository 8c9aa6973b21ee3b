"""Right answers written differently: each must earn full points."""

import copy

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

# ---------------------------------------------------------------- NumPy


def iterate_batches__list(x, y, *, batch_size, rng=None, shuffle=True, drop_last=False):
    order = list(range(len(x)))
    if shuffle:
        rng.shuffle(order)
    found = []
    while order:
        rows, order = order[:batch_size], order[batch_size:]
        if len(rows) == batch_size or not drop_last:
            found.append((x[rows], y[rows]))
    return found


def iterate_batches__split(x, y, *, batch_size, rng=None, shuffle=True, drop_last=False):
    n = len(x)
    order = rng.permutation(n) if shuffle else np.arange(n)
    for rows in np.split(order, range(batch_size, n, batch_size)):
        if len(rows) == batch_size or (len(rows) and not drop_last):
            yield x[rows], y[rows]


def iterate_batches__sorted_random_keys(
    x, y, *, batch_size, rng=None, shuffle=True, drop_last=False
):
    rows = np.argsort(rng.random(len(x))) if shuffle else np.arange(len(x))
    number = len(x) // batch_size if drop_last else -(-len(x) // batch_size)
    xs, ys = x[rows], y[rows]
    for k in range(number):
        part = slice(k * batch_size, (k + 1) * batch_size)
        yield xs[part].copy(), ys[part].copy()


def mini_batch_step__loop(params, x, y, *, forward, loss, backward, learning_rate):
    predictions, cache = forward(params, x)
    value, upstream = loss(predictions, y)
    grads = backward(upstream, cache)
    new = {}
    for name in params:
        new[name] = params[name] + grads[name] * -learning_rate
    return new, value


def mini_batch_step__scaled_upstream(params, x, y, *, forward, loss, backward, learning_rate):
    predictions, cache = forward(params, x)
    value, upstream = loss(predictions, y)
    steps = backward(learning_rate * upstream, cache)
    return {name: params[name] - steps[name] for name in sorted(params)}, float(value)


def fit_epochs__history_first(params, *, batches, step, validate, epochs, patience):
    every, losses, values = [params], [], []
    while len(losses) < epochs:
        parts = []
        for x, y in batches():
            params, value = step(params, x, y)
            parts.append((value, len(x)))
        losses.append(float(np.average([v for v, _ in parts], weights=[n for _, n in parts])))
        values.append(validate(params))
        every.append(params)
        if len(values) - 1 - int(np.argmin(values)) == patience:
            break
    best = every[int(np.argmin(values)) + 1] if values else params
    return best, {"loss": losses, "validation_loss": values}


def fit_epochs__tuple_of_the_best(params, *, batches, step, validate, epochs, patience):
    history = {"validation_loss": [], "loss": []}
    best, waited = (float("inf"), params), 0
    for _ in range(epochs):
        values, sizes = [], []
        for x, y in list(batches()):
            params, value = step(params, x, y)
            values.append(value)
            sizes.append(x.shape[0])
        history["loss"].append(np.dot(values, sizes) / sum(sizes))
        now = validate(params)
        history["validation_loss"].append(now)
        best, waited = ((now, params), 0) if now < best[0] else (best, waited + 1)
        if waited >= patience:
            return best[1], history
    return best[1], history


def accuracy__loop(predictions, labels):
    right = 0
    for prediction, label in zip(predictions, labels, strict=True):
        guess = int(np.argmax(prediction)) if predictions.ndim == 2 else int(prediction)
        right += guess == int(label)
    return right / len(labels)


def accuracy__sorted_scores(predictions, labels):
    classes = predictions
    if predictions.ndim == 2:
        classes = np.argsort(predictions, axis=1)[:, -1]
    return 1.0 - np.count_nonzero(classes - labels) / len(labels)


def confusion_matrix__loop(predictions, labels, *, num_classes):
    counts = np.zeros((num_classes, num_classes), dtype=int)
    for prediction, label in zip(predictions, labels, strict=True):
        guess = prediction.argmax() if predictions.ndim == 2 else prediction
        counts[label, guess] += 1
    return counts


def confusion_matrix__one_hot_product(predictions, labels, *, num_classes):
    classes = predictions.argmax(axis=1) if predictions.ndim == 2 else predictions
    rows = np.eye(num_classes, dtype=np.int64)
    return rows[labels].T @ rows[classes]


def confusion_matrix__bincount(predictions, labels, *, num_classes):
    classes = predictions.argmax(axis=1) if predictions.ndim == 2 else predictions
    places = labels * num_classes + classes
    counts = np.bincount(places, minlength=num_classes * num_classes)
    return counts.reshape(num_classes, num_classes)


# ---------------------------------------------------------------- PyTorch


class GreyImages__torch__prepared(Dataset):
    def __init__(self, images, labels, *, transform=None):
        self.images = images[:, None].to(torch.float32) / 255
        self.labels = labels.tolist()
        self.transform = transform or (lambda image: image)

    def __len__(self):
        return self.images.shape[0]

    def __getitem__(self, index):
        return self.transform(self.images[index]), self.labels[index]


class GreyImages__torch__sequence:
    def __init__(self, images, labels, transform=None):
        self.pairs, self.transform = (images, labels), transform

    def __len__(self):
        return len(self.pairs[1])

    def __getitem__(self, index):
        image, label = (part[index] for part in self.pairs)
        image = torch.mul(image.float().reshape(1, *image.shape), 1 / 255)
        return (image if self.transform is None else self.transform(image)), label


def shuffled_epochs__torch__randperm(x, y, *, batch_size, epochs, seed, drop_last=False):
    generator = torch.Generator()
    generator.manual_seed(seed)
    found = []
    for _ in range(epochs):
        parts = torch.randperm(len(x), generator=generator).split(batch_size)
        found.append([(x[rows], y[rows]) for rows in parts
                      if len(rows) == batch_size or not drop_last])
    return found


def shuffled_epochs__torch__sampler(x, y, *, batch_size, epochs, seed, drop_last=False):
    generator = torch.Generator().manual_seed(seed)
    sampler = torch.utils.data.RandomSampler(range(len(x)), generator=generator)
    loader = DataLoader(TensorDataset(x, y), batch_size, sampler=sampler, drop_last=drop_last)
    return [[tuple(batch) for batch in loader] for _ in range(epochs)]


def collate_sequences__torch__zeros(batch):
    sequences, labels = zip(*batch, strict=True)
    lengths = torch.tensor([sequence.shape[0] for sequence in sequences])
    padded = sequences[0].new_zeros(len(batch), int(lengths.max()), sequences[0].shape[1])
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded, lengths, torch.tensor(labels)


def collate_sequences__torch__pad(batch):
    longest = max(len(sequence) for sequence, _ in batch)
    padded = [nn.functional.pad(sequence, (0, 0, 0, longest - len(sequence)))
              for sequence, _ in batch]
    lengths = [len(sequence) for sequence, _ in batch]
    return torch.stack(padded), torch.LongTensor(lengths), torch.LongTensor([t for _, t in batch])


def move_to_device__torch__cases(batch, device):
    match batch:
        case torch.Tensor():
            return batch.to(device=device)
        case dict():
            return dict(zip(batch, move_to_device__torch__cases([*batch.values()], device),
                            strict=True))
        case list():
            return [move_to_device__torch__cases(item, device) for item in batch]
        case tuple():
            return tuple(move_to_device__torch__cases([*batch], device))
        case _:
            return batch


def move_to_device__torch__tree(batch, device):
    def to(value):
        return value.to(device) if torch.is_tensor(value) else value

    return torch.utils._pytree.tree_map(to, batch)


def train_epoch__torch__by_hand(model, batches, loss_fn, *, learning_rate):
    model.train(True)
    parameters = list(model.parameters())
    values, sizes = [], []
    for x, y in batches:
        loss = loss_fn(model(x), y)
        grads = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, grad in zip(parameters, grads, strict=True):
                parameter -= learning_rate * grad
        values.append(float(loss))
        sizes.append(len(x))
    return sum(v * n for v, n in zip(values, sizes, strict=True)) / sum(sizes)


def train_epoch__torch__reset_by_none(model, batches, loss_fn, *, learning_rate):
    optimizer = torch.optim.SGD(model.parameters(), learning_rate)
    model.train()
    total, rows = torch.zeros((), dtype=torch.float64), 0
    for x, y in batches:
        for parameter in model.parameters():
            parameter.grad = None
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        total, rows = total + loss.detach().double() * x.shape[0], rows + x.shape[0]
    return (total / rows).item()


def evaluate_classifier__torch__collected(model, batches):
    before = model.training
    with torch.inference_mode():
        model.train(False)
        scores = torch.cat([model(x) for x, _ in batches])
        model.train(before)
    labels = torch.cat([labels for _, labels in batches])
    loss = nn.functional.cross_entropy(scores, labels)
    return loss.item(), (scores.argmax(1) == labels).double().mean().item()


def evaluate_classifier__torch__log_softmax(model, batches):
    before = model.training
    model.eval()
    losses, hits = [], []
    with torch.no_grad():
        for x, labels in batches:
            log_p = model(x).log_softmax(dim=1)
            losses += (-log_p[torch.arange(len(x)), labels]).tolist()
            hits += (log_p.max(dim=1).indices == labels).tolist()
    if before:
        model.train()
    return sum(losses) / len(losses), sum(hits) / len(hits)


def fit_best__torch__clones(
    model, train_batches, validation_batches, loss_fn, *, epochs, learning_rate
):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
    history = {"loss": [], "validation_loss": []}
    kept = []
    for _ in range(epochs):
        model.train()
        sums = []
        for x, y in train_batches:
            loss = loss_fn(model(x), y)
            model.zero_grad()
            loss.backward()
            optimizer.step()
            sums.append(loss.item() * len(x))
        history["loss"].append(sum(sums) / sum(len(x) for x, _ in train_batches))
        model.eval()
        with torch.inference_mode():
            sums = [loss_fn(model(x), y).item() * len(x) for x, y in validation_batches]
        history["validation_loss"].append(sum(sums) / sum(len(x) for x, _ in validation_batches))
        kept.append({name: value.clone() for name, value in model.state_dict().items()})
    values = history["validation_loss"]
    model.load_state_dict(kept[values.index(min(values))])
    return history


def fit_best__torch__own_momentum(
    model, train_batches, validation_batches, loss_fn, *, epochs, learning_rate
):
    parameters = list(model.parameters())
    velocity = [torch.zeros_like(parameter) for parameter in parameters]
    losses, values, best = [], [], None

    def mean(parts):
        return sum(value * n for value, n in parts) / sum(n for _, n in parts)

    for _ in range(epochs):
        parts = []
        model.train()
        for x, y in train_batches:
            loss = loss_fn(model(x), y)
            grads = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, v, grad in zip(parameters, velocity, grads, strict=True):
                    v.mul_(0.9).add_(grad)
                    parameter.sub_(learning_rate * v)
            parts.append((loss.item(), len(x)))
        losses.append(mean(parts))
        model.eval()
        with torch.no_grad():
            values.append(mean([(loss_fn(model(x), y).item(), len(x))
                                for x, y in validation_batches]))
        if values[-1] < min(values[:-1], default=float("inf")):
            best = copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return {"validation_loss": values, "loss": losses}
