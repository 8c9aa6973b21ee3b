"""Known mistakes of chapter 6, continued: accuracy and the confusion matrix."""

import numpy as np

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- accuracy


@mistake("accuracy", hint="""
    That is the number of right predictions. Accuracy is their share: it lies from 0 to 1,
    however many examples there are.""")
def number_instead_of_share(predictions, labels):
    classes = predictions.argmax(axis=1) if predictions.ndim == 2 else predictions
    return float((classes == labels).sum())


@mistake("accuracy", hint="""
    That is the share of *wrong* predictions, the error rate. Accuracy is the share of right
    ones.""")
def share_of_wrong_ones(predictions, labels):
    classes = predictions.argmax(axis=1) if predictions.ndim == 2 else predictions
    return float((classes != labels).mean())


@mistake("accuracy", hint="""
    Your result is in per cent. The docstring asks for a share from 0 to 1.""")
def in_per_cent(predictions, labels):
    classes = predictions.argmax(axis=1) if predictions.ndim == 2 else predictions
    return 100.0 * float((classes == labels).mean())


@mistake("accuracy", hint="""
    The largest score is looked for down the column, among examples. The prediction for a row is
    the class whose score is largest *in that row*. With 3 rows and 3 classes both have the same
    shape.""")
def largest_down_the_column(predictions, labels):
    classes = predictions.argmax(axis=0) if predictions.ndim == 2 else predictions
    return float((classes == labels).mean())


@mistake("accuracy", hint="""
    You divide by the number of scores, rows times classes. The share is taken of the examples,
    so divide by the number of rows.""")
def divided_by_all_scores(predictions, labels):
    classes = predictions.argmax(axis=1) if predictions.ndim == 2 else predictions
    return float((classes == labels).sum() / predictions.size)


@mistake("accuracy", hint="""
    Class numbers, shape (n,), are treated as scores. They are predictions already: only an array
    with two axes needs the step from scores to classes.""")
def class_numbers_not_accepted(predictions, labels):
    return float((predictions.argmax(axis=-1) == labels).mean())


# ---------------------------------------------------------------- confusion_matrix


@mistake("confusion_matrix", hint="""
    Rows and columns are exchanged. In this course, as in scikit-learn, a row is the true class and
    a column the predicted one.""")
def rows_and_columns_exchanged(predictions, labels, *, num_classes):
    classes = predictions.argmax(axis=1) if predictions.ndim == 2 else predictions
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts, (classes, labels), 1)
    return counts


@mistake("confusion_matrix", hint="""
    No entry exceeds 1: `counts[labels, classes] += 1` adds once for each *place*, however often
    that place occurs in the index arrays. Count repeats: a loop does, and so do `np.add.at` and
    `np.bincount`.""")
def repeats_counted_once(predictions, labels, *, num_classes):
    classes = predictions.argmax(axis=1) if predictions.ndim == 2 else predictions
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    counts[labels, classes] += 1
    return counts


@mistake("confusion_matrix", hint="""
    The rows are divided by their sums, so you return shares. The docstring asks for counts: from
    them everybody can compute the shares that they need.""")
def shares_instead_of_counts(predictions, labels, *, num_classes):
    classes = predictions.argmax(axis=1) if predictions.ndim == 2 else predictions
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (labels, classes), 1)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


@mistake("confusion_matrix", hint="""
    The size comes from the classes that happen to occur. A class without examples still has its
    row and its column: the size is `num_classes`.""")
def size_from_the_data(predictions, labels, *, num_classes):
    classes = predictions.argmax(axis=1) if predictions.ndim == 2 else predictions
    size = int(max(labels.max(initial=0), classes.max(initial=0))) + 1
    counts = np.zeros((size, size), dtype=np.int64)
    np.add.at(counts, (labels, classes), 1)
    return counts


@mistake("confusion_matrix", hint="""
    The numbers are right, but they are floats: `np.zeros` makes floats unless told otherwise.
    Counts are integers.""")
def counts_as_floats(predictions, labels, *, num_classes):
    classes = predictions.argmax(axis=1) if predictions.ndim == 2 else predictions
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (labels, classes), 1)
    return counts


@mistake("confusion_matrix", hint="""
    Only right predictions are counted, so everything off the diagonal is 0. What the network takes
    for what stands there.""")
def diagonal_only(predictions, labels, *, num_classes):
    classes = predictions.argmax(axis=1) if predictions.ndim == 2 else predictions
    return np.diag(np.bincount(labels[classes == labels], minlength=num_classes))
