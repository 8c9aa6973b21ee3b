"""Known mistakes of chapter 0, "Start here": encoding, scaling, distances, splitting."""

import numpy as np

from nnlib.contract import SplitIndices, Standardized
from nnlib.mistakes.registry import mistake

#: For code that runs on arrays and on tensors as it stands.
BOTH = ("numpy", "torch")


@mistake("one_hot", hint="Your result is the transpose: rows are examples, so each label gets a "
                         "row of length num_classes, not a column.", anchor="rows-are-examples")
def transposed(labels, num_classes):
    y = np.zeros((num_classes, len(labels)))
    y[labels, np.arange(len(labels))] = 1
    return y


@mistake("one_hot", hint="The 1 stands one place too far left. Classes are counted from 0: label "
                         "0 means the first column, so nothing is subtracted.")
def counted_from_one(labels, num_classes):
    return np.eye(num_classes)[labels - 1]


@mistake("one_hot", tracks=("numpy",),
         hint="The numbers are right, their type is not. A network computes with floats, and the "
              "docstring asks for float64. Give the dtype where you make the array.",
         anchor="dtypes")
def integer_result(labels, num_classes):
    return np.eye(num_classes, dtype=np.int64)[labels]


@mistake("one_hot", hint="The number of columns comes from the labels that happen to occur. A "
                         "batch need not contain every class: num_classes decides the shape.")
def classes_from_labels(labels, num_classes):
    y = np.zeros((len(labels), int(labels.max(initial=0)) + 1))
    y[np.arange(len(labels)), labels] = 1
    return y


@mistake("one_hot", hint="The 1 stands in the column of the row's own number. The label of the "
                         "row decides the column, not its position.")
def row_number_for_label(labels, num_classes):
    return np.eye(len(labels), num_classes)


@mistake("one_hot", hint="Some rows hold more than one 1. A slice for the rows and an array for "
                         "the columns selects every row with every listed column. You want pairs: "
                         "row i with labels[i], so both indices must be arrays of n numbers.")
def whole_columns_set(labels, num_classes):
    y = np.zeros((len(labels), num_classes))
    y[:, labels] = 1
    return y


@mistake("standardize", anchor="leak",
         hint="The mean and the standard deviation come from all rows, the test rows included. "
              "Test rows stand for data that nobody has seen yet: take the statistics from "
              "x_train alone.")
def statistics_of_all_rows(x_train, x_test):
    rows = np.concatenate([x_train, x_test])
    mean, std = rows.mean(axis=0), rows.std(axis=0)
    std = np.where(std == 0, np.ones_like(std), std)
    return Standardized((x_train - mean) / std, (x_test - mean) / std, mean, std)


@mistake("standardize", anchor="leak",
         hint="The test part is scaled with its own mean and standard deviation. One test row "
              "alone could not be scaled that way. Both parts take the statistics of x_train.")
def test_part_by_its_own_statistics(x_train, x_test):
    mean, std = x_train.mean(axis=0), x_train.std(axis=0)
    std = np.where(std == 0, np.ones_like(std), std)
    if len(x_test) == 0:
        return Standardized((x_train - mean) / std, (x_test - mean) / std, mean, std)
    own_mean, own_std = x_test.mean(axis=0), x_test.std(axis=0)
    own_std = np.where(own_std == 0, np.ones_like(own_std), own_std)
    return Standardized((x_train - mean) / std, (x_test - own_mean) / own_std, mean, std)


@mistake("standardize", anchor="rows-are-examples",
         hint="Your statistics belong to rows. A row is one example and mixes all features; each "
              "column needs its own mean and standard deviation. Which axis must disappear?")
def statistics_per_row(x_train, x_test):
    mean = x_train.mean(axis=1, keepdims=True)
    std = x_train.std(axis=1, keepdims=True)
    std = np.where(std == 0, np.ones_like(std), std)
    own_mean, own_std = x_test.mean(axis=1, keepdims=True), x_test.std(axis=1, keepdims=True)
    own_std = np.where(own_std == 0, np.ones_like(own_std), own_std)
    return Standardized((x_train - mean) / std, (x_test - own_mean) / own_std, mean, std)


@mistake("standardize", anchor="rows-are-examples",
         hint="One mean and one standard deviation for the whole array: the columns keep their "
              "different scales. Without axis, a reduction runs over every axis.")
def one_statistic_for_all_columns(x_train, x_test):
    mean = x_train.mean()
    std = x_train.std() or 1.0
    return Standardized((x_train - mean) / std, (x_test - mean) / std, mean, std)


@mistake("standardize", anchor="dtypes",
         hint="Whole numbers went in and whole numbers came out: the fractions are cut off. An "
              "array of the input's dtype can't hold them. Compute in floats.")
def integer_result_for_integer_input(x_train, x_test):
    mean, std = x_train.mean(axis=0), x_train.std(axis=0)
    std = np.where(std == 0, np.ones_like(std), std)
    return Standardized(((x_train - mean) / std).astype(x_train.dtype),
                        ((x_test - mean) / std).astype(x_train.dtype), mean, std)


@mistake("standardize", tracks=("numpy",),
         hint="Your standard deviation divides by n - 1. The equation divides by n: NumPy's "
              "default, ddof=0.")
def divided_by_n_minus_one(x_train, x_test):
    mean = x_train.mean(axis=0)
    std = np.sqrt(((x_train - mean) ** 2).sum(axis=0) / max(len(x_train) - 1, 1))
    std = np.where(std == 0, np.ones_like(std), std)
    return Standardized((x_train - mean) / std, (x_test - mean) / std, mean, std)


@mistake("standardize", tracks=("numpy",), anchor="views-and-copies",
         hint="Your function changes the caller's arrays: `-=` and `/=` write into the array that "
              "was passed in. Compute new arrays instead.")
def writes_into_the_inputs(x_train, x_test):
    mean, std = x_train.mean(axis=0), x_train.std(axis=0)
    std = np.where(std == 0, np.ones_like(std), std)
    for part in (x_train, x_test):
        part -= mean
        part /= std
    return Standardized(x_train, x_test, mean, std)


@mistake("standardize",
         hint="A constant column has the standard deviation 0, and dividing by it gives nan or "
              "inf. The docstring says which value takes its place.")
def constant_column_divided_by_zero(x_train, x_test):
    mean, std = x_train.mean(axis=0), x_train.std(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Standardized((x_train - mean) / std, (x_test - mean) / std, mean, std)


@mistake("standardize",
         hint="A small constant is added to the standard deviation. Where a column is constant it "
              "is then tiny instead of 1, and a test value that differs becomes enormous.")
def tiny_number_added_to_std(x_train, x_test):
    mean, std = x_train.mean(axis=0), x_train.std(axis=0) + x_train.dtype.type(1e-8)
    return Standardized((x_train - mean) / std, (x_test - mean) / std, mean, std)


@mistake("standardize",
         hint="You divide by the variance. It has the unit of x squared; its square root, the "
              "standard deviation, has the unit of x.")
def variance_for_std(x_train, x_test):
    mean, std = x_train.mean(axis=0), x_train.var(axis=0)
    std = np.where(std == 0, np.ones_like(std), std)
    return Standardized((x_train - mean) / std, (x_test - mean) / std, mean, std)


@mistake("standardize",
         hint="The columns are scaled but not centred: the mean of a standardised training column "
              "must be 0.")
def mean_not_subtracted(x_train, x_test):
    mean, std = x_train.mean(axis=0), x_train.std(axis=0)
    std = np.where(std == 0, np.ones_like(std), std)
    return Standardized(x_train / std, x_test / std, mean, std)


@mistake("standardize", anchor="cancellation",
         hint="The variance as mean of squares minus square of the mean is right on paper. For "
              "large numbers of small spread it subtracts two nearly equal numbers and loses the "
              "digits. Subtract the mean first.")
def variance_from_mean_of_squares(x_train, x_test):
    mean = x_train.mean(axis=0)
    variance = (x_train ** 2).mean(axis=0) - mean ** 2
    spread = x_train.max(axis=0) > x_train.min(axis=0)
    std = np.where(spread, np.sqrt(np.maximum(variance, 1e-12)), 1).astype(mean.dtype)
    return Standardized((x_train - mean) / std, (x_test - mean) / std, mean, std)


@mistake("pairwise_squared_distances", source_tracks=BOTH, anchor="rows-are-examples",
         hint="Your table has a row for each row of b. The signature asks for (n, m): entry "
              "[i, j] belongs to row i of a and row j of b.")
def table_transposed(a, b):
    return ((b[:, None, :] - a[None, :, :]) ** 2).sum(axis=2)


@mistake("pairwise_squared_distances", source_tracks=BOTH, anchor="expanding-the-square",
         hint="The cross term lacks a factor. Expand (u - v)^2 on paper and look at its middle "
              "term.")
def cross_term_without_two(a, b):
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)
    return (squares - a @ b.T).clip(min=0)


@mistake("pairwise_squared_distances", source_tracks=BOTH, anchor="expanding-the-square",
         hint="The cross term has the wrong sign: what you compute belongs to a + b. Expand "
              "(u - v)^2 on paper.")
def cross_term_added(a, b):
    return ((a[:, None, :] + b[None, :, :]) ** 2).sum(axis=2)


@mistake("pairwise_squared_distances", source_tracks=BOTH,
         hint="You took the square root. The task asks for squared distances: where only the "
              "order matters the root is wasted work, and its derivative is infinite at 0.")
def square_root_taken(a, b):
    return ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2) ** 0.5


@mistake("pairwise_squared_distances", source_tracks=BOTH, anchor="cancellation",
         hint="Rounding makes some of your distances slightly negative, which no sum of squares "
              "can be. A square root of it later gives nan. Clip at 0, or sum the squares of the "
              "differences.")
def negative_numbers_left(a, b):
    return (a * a).sum(axis=1)[:, None] - 2 * (a @ b.T) + (b * b).sum(axis=1)


@mistake("pairwise_squared_distances", source_tracks=BOTH,
         hint="The differences are summed without being squared, so positive and negative ones "
              "cancel.")
def differences_not_squared(a, b):
    return (a[:, None, :] - b[None, :, :]).sum(axis=2)


@mistake("pairwise_squared_distances", source_tracks=BOTH,
         hint="You sum absolute differences, the L1 distance. The squared Euclidean distance sums "
              "squares.")
def absolute_differences(a, b):
    return abs(a[:, None, :] - b[None, :, :]).sum(axis=2)


@mistake("pairwise_squared_distances", source_tracks=BOTH,
         hint="You average over the columns where the definition sums. Your numbers are too small "
              "by the factor d.")
def mean_over_columns(a, b):
    return ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2) / a.shape[1]


@mistake("pairwise_squared_distances", source_tracks=BOTH,
         hint="The sum runs over the wrong axis. The differences have the shape (n, m, d), and it "
              "is d, the columns, that must disappear.")
def summed_over_the_rows_of_b(a, b):
    return ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=1)


@mistake("pairwise_squared_distances", source_tracks=BOTH, anchor="broadcasting",
         hint="Row i of a meets only row i of b. Every row of a must meet every row of b: give "
              "each array an axis of size 1 where the other has its rows.")
def rows_paired_in_order(a, b):
    return ((a - b) ** 2).sum(axis=1)


@mistake("split_indices", anchor="split-rows",
         hint="The rows are cut in the order in which they came. Files are often sorted by class "
              "or by date, so the test part would differ from the training part. Permute the row "
              "numbers with rng first.")
def not_shuffled(n, *, test_fraction, rng):
    rows = np.arange(n)
    cut = n - round(n * test_fraction)
    return SplitIndices(rows[:cut], rows[cut:])


@mistake("split_indices", tracks=("numpy",),
         hint="The same seed gives two different splits: the numbers come from a generator of "
              "your own. Draw from the rng that is passed in and nothing else, or nobody can "
              "repeat the experiment.")
def own_generator(n, *, test_fraction, rng):
    rows = np.random.default_rng().permutation(n)
    n_test = round(n * test_fraction)
    return SplitIndices(rows[n_test:], rows[:n_test])


@mistake("split_indices",
         hint="Every seed gives the same split: the rng that is passed in is not used. A fixed "
              "seed inside the function takes the choice away from the caller.")
def seed_fixed_inside(n, *, test_fraction, rng):
    rows = np.random.default_rng(0).permutation(n)
    n_test = round(n * test_fraction)
    return SplitIndices(rows[n_test:], rows[:n_test])


@mistake("split_indices", tracks=("numpy",),
         hint="Some rows are in both parts. A test on rows that were trained on measures memory. "
              "Permute once, then cut: each row number lands on one side of the cut.")
def parts_drawn_separately(n, *, test_fraction, rng):
    n_test = round(n * test_fraction)
    return SplitIndices(rng.permutation(n)[n_test:], rng.permutation(n)[:n_test])


@mistake("split_indices",
         hint="The sizes are exchanged: test_fraction is the share of the test part, and the "
              "training part comes first in the result.")
def parts_exchanged(n, *, test_fraction, rng):
    rows = rng.permutation(n)
    n_test = round(n * test_fraction)
    return SplitIndices(rows[:n_test], rows[n_test:])


@mistake("split_indices",
         hint="The size of the test part is cut off, not rounded: int(1.75) is 1. The docstring "
              "asks for round(n * test_fraction).")
def size_cut_off(n, *, test_fraction, rng):
    rows = rng.permutation(n)
    n_test = int(n * test_fraction)
    return SplitIndices(rows[n_test:], rows[:n_test])


@mistake("split_indices",
         hint="Some rows appear twice in a part. Drawing row numbers one by one draws with "
              "replacement; a permutation holds each number once.")
def drawn_with_replacement(n, *, test_fraction, rng):
    test = rng.integers(n, size=round(n * test_fraction))
    return SplitIndices(np.setdiff1d(np.arange(n), test), test)


@mistake("split_indices",
         hint="Row numbers start at 0 and end at n - 1. Yours start at 1, so row 0 is lost and "
              "row n does not exist.")
def rows_counted_from_one(n, *, test_fraction, rng):
    rows = rng.permutation(n) + 1
    n_test = round(n * test_fraction)
    return SplitIndices(rows[n_test:], rows[:n_test])


@mistake("split_indices",
         hint="Each row is sent to the test part by a coin of its own, so the size of the part is "
              "left to chance. Permute the row numbers and cut at the stated size.")
def a_coin_for_each_row(n, *, test_fraction, rng):
    in_test = rng.random(n) < test_fraction
    return SplitIndices(np.flatnonzero(~in_test), np.flatnonzero(in_test))


@mistake("split_indices",
         hint="With no test rows your training part is empty. The slice [:-n_test] means all but "
              "the last n_test only while n_test is not 0, because -0 is 0. Count from the front.")
def slice_to_minus_zero(n, *, test_fraction, rng):
    rows = rng.permutation(n)
    n_test = round(n * test_fraction)
    return SplitIndices(rows[:-n_test], rows[-n_test:])
