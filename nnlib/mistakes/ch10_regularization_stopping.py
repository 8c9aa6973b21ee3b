"""Known mistakes of chapter 10, continued: early stopping and augmentation."""

import copy
import math

import numpy as np

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- EarlyStopping


@mistake("EarlyStopping", hint="""
    Off by one: you wait one epoch longer than you were told. With patience 1 the first epoch
    without a better value ends the training.""")
class PatienceOneTooLong:
    def __init__(self, *, patience=10, min_delta=0.0, mode="min"):
        self.patience, self.min_delta, self.sign = patience, min_delta, 1 if mode == "min" else -1
        self.best, self.waited, self.weights = self.sign * math.inf, 0, None

    def observe(self, value, model):
        if self.sign * (self.best - value) > self.min_delta:
            self.best, self.waited = value, 0
            self.weights = copy.deepcopy(model.params)
        else:
            self.waited += 1
        return self.waited > self.patience

    def restore(self, model):
        if self.weights is not None:
            model.params = copy.deepcopy(self.weights)


@mistake("EarlyStopping", hint="""
    A better value does not set your counter back, so bad epochs add up over the whole run. Patience
    counts bad epochs *in a row*.""")
class CounterNeverReset:
    def __init__(self, *, patience=10, min_delta=0.0, mode="min"):
        self.patience, self.min_delta, self.sign = patience, min_delta, 1 if mode == "min" else -1
        self.best, self.waited, self.weights = self.sign * math.inf, 0, None

    def observe(self, value, model):
        if self.sign * (self.best - value) > self.min_delta:
            self.best = value
            self.weights = copy.deepcopy(model.params)
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        if self.weights is not None:
            model.params = copy.deepcopy(self.weights)


@mistake("EarlyStopping", hint="""
    It stops in time, but `restore` gives back nothing: the model keeps its last weights, which are
    `patience` epochs past the best.""")
class BestNotRestored:
    def __init__(self, *, patience=10, min_delta=0.0, mode="min"):
        self.patience, self.min_delta, self.sign = patience, min_delta, 1 if mode == "min" else -1
        self.best, self.waited = self.sign * math.inf, 0

    def observe(self, value, model):
        if self.sign * (self.best - value) > self.min_delta:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        pass


@mistake("EarlyStopping", hint="""
    You keep the model's own arrays, not copies. The next update changes them in place, and the
    "best" weights change along. A copied dict still holds the same arrays: copy each of them.""")
class BestKeptWithoutACopy:
    def __init__(self, *, patience=10, min_delta=0.0, mode="min"):
        self.patience, self.min_delta, self.sign = patience, min_delta, 1 if mode == "min" else -1
        self.best, self.waited, self.weights = self.sign * math.inf, 0, None

    def observe(self, value, model):
        if self.sign * (self.best - value) > self.min_delta:
            self.best, self.waited = value, 0
            self.weights = dict(model.params)
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        if self.weights is not None:
            model.params = self.weights


@mistake("EarlyStopping", hint="""
    A value equal to the best counts as better with you. A loss that stands still would then never
    end the training: better means better by more than `min_delta`.""")
class EqualCountsAsBetter:
    def __init__(self, *, patience=10, min_delta=0.0, mode="min"):
        self.patience, self.min_delta, self.sign = patience, min_delta, 1 if mode == "min" else -1
        self.best, self.waited, self.weights = self.sign * math.inf, 0, None

    def observe(self, value, model):
        if self.sign * (self.best - value) >= self.min_delta:
            self.best, self.waited = value, 0
            self.weights = copy.deepcopy(model.params)
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        if self.weights is not None:
            model.params = copy.deepcopy(self.weights)


@mistake("EarlyStopping", hint="""
    You compare with the value of the epoch before. After one bad epoch a slightly less bad one
    then counts as progress. Compare with the best so far.""")
class ComparedWithTheLastValue:
    def __init__(self, *, patience=10, min_delta=0.0, mode="min"):
        self.patience, self.min_delta, self.sign = patience, min_delta, 1 if mode == "min" else -1
        self.best, self.waited, self.weights = self.sign * math.inf, 0, None
        self.last = self.best

    def observe(self, value, model):
        if self.sign * (self.last - value) > self.min_delta:
            self.best, self.waited = value, 0
            self.weights = copy.deepcopy(model.params)
        else:
            self.waited += 1
        self.last = value
        return self.waited >= self.patience

    def restore(self, model):
        if self.weights is not None:
            model.params = copy.deepcopy(self.weights)


@mistake("EarlyStopping", hint="""
    `min_delta` is not used. Progress smaller than that should not count, or a loss that creeps
    along never ends the training.""")
class SmallestGainIgnored:
    def __init__(self, *, patience=10, min_delta=0.0, mode="min"):
        self.patience, self.sign = patience, 1 if mode == "min" else -1
        self.best, self.waited, self.weights = self.sign * math.inf, 0, None

    def observe(self, value, model):
        if self.sign * (self.best - value) > 0:
            self.best, self.waited = value, 0
            self.weights = copy.deepcopy(model.params)
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        if self.weights is not None:
            model.params = copy.deepcopy(self.weights)


@mistake("EarlyStopping", hint="""
    With mode="max" you still look for the smallest value. An accuracy is better when it is larger,
    so the comparison and the value to start from both turn round.""")
class AlwaysTheSmallest:
    def __init__(self, *, patience=10, min_delta=0.0, mode="min"):
        self.patience, self.min_delta = patience, min_delta
        self.best, self.waited, self.weights = math.inf, 0, None

    def observe(self, value, model):
        if self.best - value > self.min_delta:
            self.best, self.waited = value, 0
            self.weights = copy.deepcopy(model.params)
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        if self.weights is not None:
            model.params = copy.deepcopy(self.weights)


@mistake("EarlyStopping", hint="""
    A loss of nan counts as better with you, because "not worse" is not the same as "better": every
    comparison with nan is false. Ask whether the value is better.""")
class NanCountsAsBetter:
    def __init__(self, *, patience=10, min_delta=0.0, mode="min"):
        self.patience, self.min_delta, self.sign = patience, min_delta, 1 if mode == "min" else -1
        self.best, self.waited, self.weights = self.sign * math.inf, 0, None

    def observe(self, value, model):
        if self.sign * (self.best - value) <= self.min_delta:
            self.waited += 1
        else:
            self.best, self.waited = value, 0
            self.weights = copy.deepcopy(model.params)
        return self.waited >= self.patience

    def restore(self, model):
        if self.weights is not None:
            model.params = copy.deepcopy(self.weights)


# ---------------------------------------------------------------- random_shift


@mistake("random_shift", hint="""
    The images of the test are shifted as well. Augmentation makes training harder on purpose; what
    is measured must be the images that users have. Look at `training`.""",
         anchor="regularization-failures")
def test_images_shifted_too(images, *, max_shift, training, rng):
    rng = np.random.default_rng(0) if rng is None else rng
    m, (h, w) = max_shift, images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (m, m), (m, m)))
    result = np.empty_like(images)
    for k, (down, right) in enumerate(rng.integers(-m, m + 1, size=(len(images), 2))):
        result[k] = padded[k, :, m - down : m - down + h, m - right : m - right + w]
    return result


@mistake("random_shift", hint="""
    What leaves an image on one side comes in again on the other, as `np.roll` does it. Part of a 7
    at the wrong edge is no 7: zeros must come in.""")
def wrapped_around(images, *, max_shift, training, rng):
    if not training:
        return images
    result = np.empty_like(images)
    shifts = rng.integers(-max_shift, max_shift + 1, size=(len(images), 2))
    for k, (down, right) in enumerate(shifts):
        result[k] = np.roll(images[k], (down, right), axis=(1, 2))
    return result


@mistake("random_shift", hint="""
    The whole batch moves alike. Each image needs a draw of its own, or a batch shows one shift
    only.""")
def one_shift_for_the_batch(images, *, max_shift, training, rng):
    if not training:
        return images
    m, (h, w) = max_shift, images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (m, m), (m, m)))
    down, right = rng.integers(-m, m + 1, size=2)
    return padded[:, :, m - down : m - down + h, m - right : m - right + w].copy()


@mistake("random_shift", hint="""
    `rng.integers(low, high)` leaves out `high`: your images never move by the full distance down
    or right.""")
def upper_end_left_out(images, *, max_shift, training, rng):
    if not training or max_shift == 0:
        return images
    m, (h, w) = max_shift, images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (m, m), (m, m)))
    result = np.empty_like(images)
    for k, (down, right) in enumerate(rng.integers(-m, m, size=(len(images), 2))):
        result[k] = padded[k, :, m - down : m - down + h, m - right : m - right + w]
    return result


@mistake("random_shift", hint="""
    Images only move down and right. Distances are drawn from both sides of 0.""")
def down_and_right_only(images, *, max_shift, training, rng):
    if not training:
        return images
    m, (h, w) = max_shift, images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (m, m), (m, m)))
    result = np.empty_like(images)
    for k, (down, right) in enumerate(rng.integers(0, m + 1, size=(len(images), 2))):
        result[k] = padded[k, :, m - down : m - down + h, m - right : m - right + w]
    return result


@mistake("random_shift", hint="""
    One draw serves both directions, so images move along the diagonal only. Down and right are two
    draws.""")
def along_the_diagonal(images, *, max_shift, training, rng):
    if not training:
        return images
    m, (h, w) = max_shift, images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (m, m), (m, m)))
    result = np.empty_like(images)
    for k, d in enumerate(rng.integers(-m, m + 1, size=len(images))):
        result[k] = padded[k, :, m - d : m - d + h, m - d : m - d + w]
    return result


# ---------------------------------------------------------------- mixup


@mistake("mixup", hint="""
    The images are blended and the targets are not: a picture that is half a 3 and half an 8 still
    claims to be a 3. Blend the targets with the same shares.""")
def targets_not_blended(x, y, *, shares, partners):
    s = shares.reshape(-1, *[1] * (x.ndim - 1))
    return s * x + (1 - s) * x[partners], y.copy()


@mistake("mixup", hint="""
    The shares are swapped: an example keeps 1 - s of itself. Its own part has the factor s.""")
def shares_swapped(x, y, *, shares, partners):
    s, t = shares.reshape(-1, *[1] * (x.ndim - 1)), shares[:, None]
    return (1 - s) * x + s * x[partners], (1 - t) * y + t * y[partners]


@mistake("mixup", hint="""
    All rows use the share of the first. Every row has its own.""")
def first_share_for_all(x, y, *, shares, partners):
    s = shares[:1].sum()
    return s * x + (1 - s) * x[partners], s * y + (1 - s) * y[partners]


@mistake("mixup", hint="""
    The shares run along the last axis, so each column has its own instead of each row. Give them
    as many axes as the array has, of size 1 after the first.""")
def shares_along_the_last_axis(x, y, *, shares, partners):
    return (shares * x + (1 - shares) * x[partners],
            shares * y + (1 - shares) * y[partners])


@mistake("mixup", hint="""
    The partner is added whole. Then images grow brighter and targets sum to more than 1; the two
    shares must add up to 1.""")
def partner_added_whole(x, y, *, shares, partners):
    s, t = shares.reshape(-1, *[1] * (x.ndim - 1)), shares[:, None]
    return s * x + x[partners], t * y + y[partners]


@mistake("mixup", hint="""
    The image is blended with one partner and the target with another: its row i is not the row
    that `partners` names. Index both with `partners`.""")
def targets_of_the_next_row(x, y, *, shares, partners):
    s, t = shares.reshape(-1, *[1] * (x.ndim - 1)), shares[:, None]
    return s * x + (1 - s) * x[partners], t * y + (1 - t) * np.roll(y, 1, axis=0)
