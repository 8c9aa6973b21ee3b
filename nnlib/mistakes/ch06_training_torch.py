"""Known mistakes of chapter 6's PyTorch exercises: data sets, loaders, devices."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- GreyImages


@mistake("GreyImages", hint="""
    The image keeps its grey values from 0 to 255. Bring them to the range from 0 to 1: inputs of
    size 255 make the first layer's gradients 255 times as large.""")
class GreyValuesNotScaled(Dataset):
    def __init__(self, images, labels, *, transform=None):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index].float().unsqueeze(0)
        if self.transform is not None:
            image = self.transform(image)
        return image, self.labels[index]


@mistake("GreyImages", hint="""
    Nearly every pixel is 0: whole numbers are divided by whole numbers and rounded down. Convert
    to floats before you scale.""")
class DividedAsIntegers(Dataset):
    def __init__(self, images, labels, *, transform=None):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = (self.images[index] // 255).float().unsqueeze(0)
        if self.transform is not None:
            image = self.transform(image)
        return image, self.labels[index]


@mistake("GreyImages", hint="""
    The channel axis is missing: an image is (1, h, w), so that a batch of them is (n, 1, h, w).
    `unsqueeze` adds an axis of size 1.""")
class ChannelAxisMissing(Dataset):
    def __init__(self, images, labels, *, transform=None):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index].float() / 255
        if self.transform is not None:
            image = self.transform(image)
        return image, self.labels[index]


@mistake("GreyImages", hint="""
    The transform is stored and never used. Apply it to the finished image each time that an item
    is asked for, so that a random transform draws anew.""")
class TransformForgotten(Dataset):
    def __init__(self, images, labels, *, transform=None):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index].float().unsqueeze(0) / 255, self.labels[index]


@mistake("GreyImages", hint="""
    The transform comes before the scaling, so it meets values up to 255. It is meant for the
    finished image, float32 from 0 to 1.""")
class TransformBeforeScaling(Dataset):
    def __init__(self, images, labels, *, transform=None):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index].float().unsqueeze(0)
        if self.transform is not None:
            image = self.transform(image)
        return image / 255, self.labels[index]


@mistake("GreyImages", hint="""
    `len` must be the number of images. Yours is the number of rows of pixels in one image, so a
    DataLoader would visit the wrong indices.""")
class LengthOfOneImage(Dataset):
    def __init__(self, images, labels, *, transform=None):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return self.images.shape[1]

    def __getitem__(self, index):
        image = self.images[index].float().div(255).unsqueeze(0)
        if self.transform is not None:
            image = self.transform(image)
        return image, self.labels[index]


@mistake("GreyImages", hint="""
    Images come out in float64. Parameters are float32 unless told otherwise, and a layer refuses a
    mix: `.float()` makes float32, `.double()` does not.""")
class DoublePrecision(Dataset):
    def __init__(self, images, labels, *, transform=None):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index].double().div(255).unsqueeze(0)
        if self.transform is not None:
            image = self.transform(image)
        return image, self.labels[index]


# ---------------------------------------------------------------- shuffled_epochs


@mistake("shuffled_epochs", hint="""
    The rows are not shuffled. A DataLoader keeps the order of the data unless you pass
    shuffle=True.""")
def not_shuffled(x, y, *, batch_size, epochs, seed, drop_last=False):
    loader = DataLoader(TensorDataset(x, y), batch_size=batch_size, drop_last=drop_last)
    return [list(loader) for _ in range(epochs)]


@mistake("shuffled_epochs", hint="""
    Two calls with the same seed give different batches: without `generator=` the DataLoader draws
    from PyTorch's global generator, which your seed does not reach.""")
def seed_not_used(x, y, *, batch_size, epochs, seed, drop_last=False):
    loader = DataLoader(
        TensorDataset(x, y), batch_size=batch_size, shuffle=True, drop_last=drop_last)
    return [list(loader) for _ in range(epochs)]


@mistake("shuffled_epochs", hint="""
    All epochs have the same order: the generator is seeded anew for each. Make it once, then every
    epoch goes on where the last one stopped.""", anchor="epochs-and-iterations")
def seeded_anew_in_each_epoch(x, y, *, batch_size, epochs, seed, drop_last=False):
    found = []
    for _ in range(epochs):
        loader = DataLoader(
            TensorDataset(x, y), batch_size=batch_size, shuffle=True, drop_last=drop_last,
            generator=torch.Generator().manual_seed(seed))
        found.append(list(loader))
    return found


@mistake("shuffled_epochs", hint="""
    `drop_last` plays no part: the smaller last batch comes although the caller asked to leave it
    out. DataLoader has an argument of the same name.""")
def drop_last_not_passed_on(x, y, *, batch_size, epochs, seed, drop_last=False):
    loader = DataLoader(TensorDataset(x, y), batch_size=batch_size, shuffle=True,
                        generator=torch.Generator().manual_seed(seed))
    return [list(loader) for _ in range(epochs)]


@mistake("shuffled_epochs", hint="""
    The smaller last batch is always left out, so a few examples are missed in every epoch. The
    default of `drop_last` is False.""", anchor="epochs-and-iterations")
def last_batch_always_dropped(x, y, *, batch_size, epochs, seed, drop_last=False):
    loader = DataLoader(TensorDataset(x, y), batch_size=batch_size, shuffle=True, drop_last=True,
                        generator=torch.Generator().manual_seed(seed))
    return [list(loader) for _ in range(epochs)]


@mistake("shuffled_epochs", hint="""
    `x` and `y` come in different orders, so the labels belong to other rows. Put both into one
    TensorDataset: a single index then fetches the row and its label.""", anchor="mini-batches")
def x_and_y_loaded_apart(x, y, *, batch_size, epochs, seed, drop_last=False):
    options = {"batch_size": batch_size, "shuffle": True, "drop_last": drop_last}
    xs = DataLoader(x, generator=torch.Generator().manual_seed(seed), **options)
    ys = DataLoader(y, generator=torch.Generator().manual_seed(seed + 1), **options)
    return [list(zip(xs, ys, strict=True)) for _ in range(epochs)]


@mistake("shuffled_epochs", hint="""
    Only whole batches are shuffled: rows that were neighbours in the data stay together for ever.
    Shuffle the rows, then cut.""", anchor="mini-batches")
def whole_batches_shuffled(x, y, *, batch_size, epochs, seed, drop_last=False):
    generator = torch.Generator().manual_seed(seed)
    loader = DataLoader(TensorDataset(x, y), batch_size=batch_size, drop_last=drop_last)
    blocks = list(loader)
    found = []
    for _ in range(epochs):
        order = torch.randperm(max(len(blocks) - 1, 0), generator=generator).tolist()
        found.append([blocks[k] for k in order] + blocks[-1:])
    return found


# ---------------------------------------------------------------- collate_sequences


@mistake("collate_sequences", hint="""
    The first two axes are exchanged: `pad_sequence` gives (t, n, d) unless told otherwise. In this
    course the batch comes first.""")
def time_axis_first(batch):
    padded = nn.utils.rnn.pad_sequence([sequence for sequence, _ in batch])
    return (padded, torch.tensor([len(sequence) for sequence, _ in batch]),
            torch.tensor([label for _, label in batch]))


@mistake("collate_sequences", hint="""
    All lengths equal the longest: they are measured after padding. Measure each sequence as it
    came, or nobody can tell padding from data.""")
def lengths_after_padding(batch):
    padded = nn.utils.rnn.pad_sequence([sequence for sequence, _ in batch], batch_first=True)
    return (padded, torch.tensor([len(sequence) for sequence in padded]),
            torch.tensor([label for _, label in batch]))


@mistake("collate_sequences", hint="""
    The long sequences are cut to the length of the shortest, and data are lost. Fill up the short
    ones instead.""")
def cut_to_the_shortest(batch):
    shortest = min(len(sequence) for sequence, _ in batch)
    return (torch.stack([sequence[:shortest] for sequence, _ in batch]),
            torch.tensor([len(sequence) for sequence, _ in batch]),
            torch.tensor([label for _, label in batch]))


@mistake("collate_sequences", hint="""
    The zeros stand in front of the sequences. The docstring asks for them behind: row i holds
    sequence i from position 0 on.""")
def padded_in_front(batch):
    longest = max(len(sequence) for sequence, _ in batch)
    first = batch[0][0]
    padded = first.new_zeros(len(batch), longest, first.shape[1])
    for i, (sequence, _) in enumerate(batch):
        padded[i, longest - len(sequence) :] = sequence
    return (padded, torch.tensor([len(sequence) for sequence, _ in batch]),
            torch.tensor([label for _, label in batch]))


@mistake("collate_sequences", hint="""
    The labels are floats. Class numbers are int64: cross-entropy refuses anything else.""")
def labels_as_floats(batch):
    padded = nn.utils.rnn.pad_sequence([sequence for sequence, _ in batch], batch_first=True)
    return (padded, torch.tensor([len(sequence) for sequence, _ in batch]),
            torch.tensor([float(label) for _, label in batch]))


@mistake("collate_sequences", hint="""
    The sequences are sorted by length, and the labels are not sorted with them. Keep the order of
    the batch, for all three results.""", anchor="mini-batches")
def sequences_sorted_without_labels(batch):
    sequences = sorted((sequence for sequence, _ in batch), key=len, reverse=True)
    return (nn.utils.rnn.pad_sequence(sequences, batch_first=True),
            torch.tensor([len(sequence) for sequence in sequences]),
            torch.tensor([label for _, label in batch]))


# ---------------------------------------------------------------- move_to_device


@mistake("move_to_device", hint="""
    Nothing moves: `.to(device)` returns a new tensor and leaves the old one where it is. Use what
    it returns. Or is a device written into your code?""")
def result_of_to_thrown_away(batch, device):
    def visit(value):
        if isinstance(value, torch.Tensor):
            value.to(device)
        elif isinstance(value, dict):
            for item in value.values():
                visit(item)
        elif isinstance(value, tuple | list):
            for item in value:
                visit(item)

    visit(batch)
    return batch


@mistake("move_to_device", hint="""
    Only the outermost container is opened; tensors deeper inside stay behind. A batch can nest:
    let the function call itself on each item.""")
def outermost_container_only(batch, device):
    def moved(value):
        return value.to(device) if isinstance(value, torch.Tensor) else value

    if isinstance(batch, dict):
        return {key: moved(value) for key, value in batch.items()}
    if isinstance(batch, tuple | list):
        return type(batch)(moved(value) for value in batch)
    return moved(batch)


@mistake("move_to_device", hint="""
    Tuples come back as lists. Code that unpacks or compares a batch may rely on its type: rebuild
    the kind of container that came.""")
def tuples_become_lists(batch, device):
    if isinstance(batch, torch.Tensor):
        return batch.to(device)
    if isinstance(batch, dict):
        return {key: tuples_become_lists(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple | list):
        return [tuples_become_lists(value, device) for value in batch]
    return batch


@mistake("move_to_device", hint="""
    What is no tensor gets lost: file names, numbers. They belong to the batch; pass them through as
    they are.""")
def other_values_lost(batch, device):
    if isinstance(batch, torch.Tensor):
        return batch.to(device)
    kept = (torch.Tensor, dict, tuple, list)
    if isinstance(batch, dict):
        return {key: other_values_lost(value, device) for key, value in batch.items()
                if isinstance(value, kept)}
    if isinstance(batch, tuple | list):
        return type(batch)(other_values_lost(value, device) for value in batch
                           if isinstance(value, kept))
    return batch


@mistake("move_to_device", hint="""
    The caller's dict or list is changed. Whoever keeps the batch, a data set in memory for
    example, then finds it on the other device. Build a new container.""")
def callers_container_changed(batch, device):
    if isinstance(batch, torch.Tensor):
        return batch.to(device)
    if isinstance(batch, dict):
        for key in batch:
            batch[key] = callers_container_changed(batch[key], device)
        return batch
    if isinstance(batch, list):
        for k, value in enumerate(batch):
            batch[k] = callers_container_changed(value, device)
        return batch
    if isinstance(batch, tuple):
        return tuple(callers_container_changed(value, device) for value in batch)
    return batch


@mistake("move_to_device", hint="""
    Lists and tuples move, dicts don't. Many data sets give their items as dicts: treat their
    values as well.""")
def dicts_forgotten(batch, device):
    if isinstance(batch, torch.Tensor):
        return batch.to(device)
    if isinstance(batch, tuple | list):
        return type(batch)(dicts_forgotten(value, device) for value in batch)
    return batch
