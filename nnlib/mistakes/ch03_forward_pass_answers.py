"""Known mistakes of chapter 3: probabilities, classes, batches, networks that are built."""

import numpy as np

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- predict_proba


@mistake("predict_proba", hint="""
    Each *column* sums to 1 in your result. The classes of one example share one unit of
    probability, so it is the rows that must sum to 1.""")
def softmax_over_the_batch(logits):
    if logits.shape[1] == 1:
        p = 1 / (1 + np.exp(-logits))
        return np.concatenate([1 - p, p], axis=1)
    e = np.exp(logits - logits.max(axis=0, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=0, keepdims=True)


@mistake("predict_proba", hint="""
    Right for ordinary scores, nan for large ones: exp(1000) is too large for a float. Softmax does
    not change when you subtract the row's largest score first.""")
def largest_score_not_subtracted(logits):
    if logits.shape[1] == 1:
        p = 1 / (1 + np.exp(-logits))
        return np.concatenate([1 - p, p], axis=1)
    e = np.exp(logits)
    return e / e.sum(axis=1, keepdims=True)


@mistake("predict_proba", hint="""
    Softmax over a single column is always 1. One score means class 1 against class 0: the sigmoid
    turns it into a probability, and the other class gets the rest.""")
def softmax_of_a_single_column(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@mistake("predict_proba", hint="""
    Each class gets its own sigmoid, so the rows don't sum to 1. For exactly one of k classes the
    classes compete: that is softmax.""")
def sigmoid_for_every_class(logits):
    p = 1 / (1 + np.exp(-logits))
    return np.concatenate([1 - p, p], axis=1) if logits.shape[1] == 1 else p


@mistake("predict_proba", hint="""
    For a single score the two columns are exchanged. Column j belongs to class j, and a large
    score speaks for class 1.""")
def columns_exchanged(logits):
    if logits.shape[1] == 1:
        p = 1 / (1 + np.exp(-logits))
        return np.concatenate([p, 1 - p], axis=1)
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@mistake("predict_proba", hint="""
    For a single score you return one column. The docstring asks for one column for each class:
    where is class 0?""")
def one_column_returned(logits):
    if logits.shape[1] == 1:
        return 1 / (1 + np.exp(-logits))
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@mistake("predict_proba", hint="""
    You divide the scores by their sum. Scores can be negative, probabilities can't: make them
    positive first, as equation (3.5) does.""")
def divided_without_exp(logits):
    if logits.shape[1] == 1:
        p = 1 / (1 + np.exp(-logits))
        return np.concatenate([1 - p, p], axis=1)
    return logits / logits.sum(axis=1, keepdims=True)


# ---------------------------------------------------------------- predict


@mistake("predict", anchor="column-against-row", hint="""
    For a single column you return a column, (n, 1). Compared with labels (n,) it would be stretched
    to (n, n) without a word. One class number for each row has the shape (n,).""")
def column_kept(logits):
    if logits.shape[1] == 1:
        return (logits >= 0).astype(np.int64)
    return logits.argmax(axis=1)


@mistake("predict", hint="""
    You look for the largest score in each column. The scores of one example stand in its *row*.""")
def largest_of_each_column(logits):
    if logits.shape[1] == 1:
        return (logits[:, 0] >= 0).astype(np.int64)
    return logits.argmax(axis=0)


@mistake("predict", hint="""
    The largest of one number is always the first, so a single column always gives class 0. There
    the sign of the score decides.""")
def largest_of_a_single_column(logits):
    return logits.argmax(axis=1)


@mistake("predict", hint="""
    You compare the score with one half. One half is the threshold of the *probability*; which score
    has that probability?""")
def probability_threshold_on_scores(logits):
    if logits.shape[1] == 1:
        return (logits[:, 0] >= 0.5).astype(np.int64)
    return logits.argmax(axis=1)


@mistake("predict", hint="""
    A score of exactly 0 belongs to class 1, as for the neuron of chapter 1. Your comparison leaves
    it out.""")
def zero_excluded(logits):
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).astype(np.int64)
    return logits.argmax(axis=1)


@mistake("predict", hint="""
    You return the largest score. The class is its *place* in the row.""")
def score_instead_of_its_place(logits):
    if logits.shape[1] == 1:
        return (logits[:, 0] >= 0).astype(np.int64)
    return logits.max(axis=1)


@mistake("predict", anchor="column-against-row", hint="""
    The numbers are right, as a column (n, 1). Labels have the shape (n,): an axis of size 1 invites
    broadcasting.""")
def rows_kept_apart(logits):
    if logits.shape[1] == 1:
        return (logits >= 0).astype(np.int64)
    return logits.argmax(axis=1, keepdims=True)


# ---------------------------------------------------------------- predict_in_batches


@mistake("predict_in_batches", hint="""
    The last, smaller batch is missing: n // batch_size drops the remainder. Every row needs an
    answer.""")
def last_batch_dropped(forward, x, *, batch_size):
    starts = range(0, max(len(x) // batch_size, 1) * batch_size, batch_size)
    return np.concatenate([forward(x[i:i + batch_size]) for i in starts])


@mistake("predict_in_batches", hint="""
    The numbers are right, but all rows go through at once. The point is memory: no call may get
    more than batch_size rows.""")
def all_rows_at_once(forward, x, *, batch_size):
    return forward(x)


@mistake("predict_in_batches", hint="""
    The numbers are right, but every row is a call of its own, which wastes what a matrix product
    is good at. Pass batch_size rows at a time.""")
def one_row_at_a_time(forward, x, *, batch_size):
    return np.concatenate([forward(x[i:i + 1]) for i in range(max(len(x), 1))])


@mistake("predict_in_batches", hint="""
    The start moves by one row, so the batches overlap and rows are answered several times. The
    next batch begins where the last one ended.""")
def batches_overlap(forward, x, *, batch_size):
    starts = range(max(len(x) - batch_size + 1, 1))
    return np.concatenate([forward(x[i:i + batch_size]) for i in starts])


@mistake("predict_in_batches", hint="""
    You stack the results, which adds an axis that counts the batches. Rows belong under rows:
    join along the axis that is there.""")
def results_stacked(forward, x, *, batch_size):
    starts = range(0, max(len(x), 1), batch_size)
    return np.stack([forward(x[i:i + batch_size]) for i in starts])


@mistake("predict_in_batches", hint="""
    The results stand side by side, as columns. They are answers for different *rows*: join them
    along the first axis.""")
def joined_side_by_side(forward, x, *, batch_size):
    starts = range(0, max(len(x), 1), batch_size)
    return np.concatenate([forward(x[i:i + batch_size]) for i in starts], axis=1)


@mistake("predict_in_batches", hint="""
    Right, except for no rows at all: then your list of results is empty, and there is nothing to
    join. Zero examples are a batch too, and its result has columns.""")
def no_rows_forgotten(forward, x, *, batch_size):
    starts = range(0, len(x), batch_size)
    return np.concatenate([forward(x[i:i + batch_size]) for i in starts])


# ---------------------------------------------------------------- interpolation_params


@mistake("interpolation_params", hint="""
    The output weights are the slopes themselves. A unit that has switched on stays on, so slopes
    add up: each weight is the *change* of slope at its knot, equation (3.7).""")
def slopes_instead_of_changes(knots, values):
    slopes = np.diff(values) / np.diff(knots)
    hidden = (np.ones((1, len(slopes)), knots.dtype), -knots[:-1])
    return [hidden, (slopes[:, np.newaxis], values[:1])]


@mistake("interpolation_params", hint="""
    The hidden biases have the wrong sign. A unit relu(x + b) switches on where x + b = 0: which b
    puts that at its knot?""")
def hidden_bias_sign_wrong(knots, values):
    slopes = np.diff(values) / np.diff(knots)
    changes = np.concatenate([slopes[:1], np.diff(slopes)])
    hidden = (np.ones((1, len(slopes)), knots.dtype), knots[:-1])
    return [hidden, (changes[:, np.newaxis], values[:1])]


@mistake("interpolation_params", hint="""
    The shape is right, the height is not: at the first knot every unit is still off, and your
    network gives 0 there. What is left to give the first value?""")
def first_value_forgotten(knots, values):
    slopes = np.diff(values) / np.diff(knots)
    changes = np.concatenate([slopes[:1], np.diff(slopes)])
    hidden = (np.ones((1, len(slopes)), knots.dtype), -knots[:-1])
    return [hidden, (changes[:, np.newaxis], np.zeros(1, knots.dtype))]


@mistake("interpolation_params", hint="""
    A slope is a rise divided by a distance. You take the rise alone, which is right only for knots
    at distance 1.""")
def distance_ignored(knots, values):
    rises = np.diff(values)
    changes = np.concatenate([rises[:1], np.diff(rises)])
    hidden = (np.ones((1, len(rises)), knots.dtype), -knots[:-1])
    return [hidden, (changes[:, np.newaxis], values[:1])]


@mistake("interpolation_params", hint="""
    The output weights are the heights. A ReLU is a ramp, not a bump: its weight says how much
    *steeper* the curve gets at its knot.""")
def heights_as_weights(knots, values):
    hidden = (np.ones((1, len(knots) - 1), knots.dtype), -knots[:-1])
    return [hidden, (values[1:, np.newaxis], values[:1])]


@mistake("interpolation_params", hint="""
    Every unit switches on one knot too late: the first interval stays flat. The unit of an interval
    starts at its *left* end.""")
def switched_on_one_knot_late(knots, values):
    slopes = np.diff(values) / np.diff(knots)
    changes = np.concatenate([slopes[:1], np.diff(slopes)])
    hidden = (np.ones((1, len(slopes)), knots.dtype), -knots[1:])
    return [hidden, (changes[:, np.newaxis], values[:1])]


@mistake("interpolation_params", hint="""
    The first slope is lost. Before the first knot the slope is 0, so the first change is the whole
    first slope.""")
def first_slope_lost(knots, values):
    slopes = np.diff(values) / np.diff(knots)
    changes = np.concatenate([np.zeros(1, knots.dtype), np.diff(slopes)])
    hidden = (np.ones((1, len(slopes)), knots.dtype), -knots[:-1])
    return [hidden, (changes[:, np.newaxis], values[:1])]


@mistake("interpolation_params", anchor="linear-forward", hint="""
    The weight matrices are transposed. One input and m units make w (1, m), m units and one output
    w (m, 1): first what comes in, then what goes out.""")
def matrices_transposed(knots, values):
    slopes = np.diff(values) / np.diff(knots)
    changes = np.concatenate([slopes[:1], np.diff(slopes)])
    hidden = (np.ones((len(slopes), 1), knots.dtype), -knots[:-1])
    return [hidden, (changes[np.newaxis, :], values[:1])]
