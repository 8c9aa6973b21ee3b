"""Known mistakes of chapter 4's PyTorch exercises."""

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- task_loss


@mistake("task_loss", hint="""
    A column `(n, 1)` meets a row `(n,)`: broadcasting compares every output with every target, n
    times n differences. PyTorch only warns. Give both one shape.""", anchor="loss-failures")
def column_against_row(task, output, target):
    if task == "one class":
        return F.cross_entropy(output, target.long())
    target = target.to(output.dtype)
    if task == "several classes":
        return F.binary_cross_entropy_with_logits(output, target)
    if task == "binary":
        return F.binary_cross_entropy_with_logits(output[:, 0], target)
    return ((output - target) ** 2).mean()


@mistake("task_loss", hint="""
    The sigmoid is applied twice: `binary_cross_entropy_with_logits` has one inside. Hand it the
    raw output.""", anchor="losses-pytorch")
def sigmoid_before_the_logit_loss(task, output, target):
    if task == "one class":
        return F.cross_entropy(output, target.long())
    target = target.to(output.dtype)
    if task == "regression":
        return F.mse_loss(output[:, 0], target)
    p = torch.sigmoid(output if task == "several classes" else output[:, 0])
    return F.binary_cross_entropy_with_logits(p, target)


@mistake("task_loss", hint="""
    The softmax is applied twice: `cross_entropy` has one inside. The loss then never gets near 0,
    and the gradient is small. Hand it the raw output.""", anchor="losses-pytorch")
def softmax_before_cross_entropy(task, output, target):
    if task == "one class":
        return F.cross_entropy(output.softmax(dim=1), target.long())
    target = target.to(output.dtype)
    if task == "several classes":
        return F.binary_cross_entropy_with_logits(output, target)
    if task == "binary":
        return F.binary_cross_entropy_with_logits(output[:, 0], target)
    return F.mse_loss(output[:, 0], target)


@mistake("task_loss", hint="""
    For several classes you let the classes compete in one softmax. There each class is a yes or no
    of its own: an image can show a cat and a dog.""")
def classes_compete(task, output, target):
    if task == "one class":
        return F.cross_entropy(output, target.long())
    target = target.to(output.dtype)
    if task == "several classes":
        return F.cross_entropy(output, target)
    if task == "binary":
        return F.binary_cross_entropy_with_logits(output[:, 0], target)
    return F.mse_loss(output[:, 0], target)


@mistake("task_loss", hint="""
    The targets come as the data set holds them: integers, booleans, small integers. Each loss
    wants its own type; look at which one the error message names, and convert.""",
         anchor="losses-pytorch")
def targets_not_converted(task, output, target):
    if task == "one class":
        return F.cross_entropy(output, target)
    if task == "several classes":
        return F.binary_cross_entropy_with_logits(output, target)
    if task == "binary":
        return F.binary_cross_entropy_with_logits(output[:, 0], target)
    return F.mse_loss(output[:, 0], target)


@mistake("task_loss", hint="""
    `squeeze()` removes every axis of size 1. With a batch of one the batch axis goes too. Name the
    axis that you mean.""", anchor="loss-failures")
def squeezed_without_an_axis(task, output, target):
    if task == "one class":
        return F.cross_entropy(output.squeeze(), target.long())
    target = target.to(output.dtype)
    if task == "several classes":
        return F.binary_cross_entropy_with_logits(output, target)
    if task == "binary":
        return F.binary_cross_entropy_with_logits(output.squeeze(), target)
    return F.mse_loss(output.squeeze(), target)


@mistake("task_loss", hint="""
    The binary task gets the squared error of a sigmoid. Where the network is surely wrong the
    sigmoid is flat and the gradient vanishes. Cross-entropy keeps it.""",
         anchor="binary-cross-entropy")
def squared_error_of_a_sigmoid(task, output, target):
    if task == "one class":
        return F.cross_entropy(output, target.long())
    target = target.to(output.dtype)
    if task == "several classes":
        return F.binary_cross_entropy_with_logits(output, target)
    if task == "binary":
        return F.mse_loss(torch.sigmoid(output[:, 0]), target)
    return F.mse_loss(output[:, 0], target)


# ---------------------------------------------------------------- BalancedCrossEntropy


@mistake("BalancedCrossEntropy", hint="""
    The weight is a plain attribute: it is not saved, and `.to(...)` leaves it where it was, on
    another device or in another type than the logits. Register it as a buffer.""",
         anchor="losses-pytorch")
class WeightAsPlainAttribute(torch.nn.Module):
    def __init__(self, counts):
        super().__init__()
        self.weight = counts.sum() / (len(counts) * counts)

    def forward(self, logits, labels):
        return F.cross_entropy(logits, labels, weight=self.weight)


@mistake("BalancedCrossEntropy", hint="""
    The weight is a parameter: an optimiser would train it, and the cheapest way to a small loss is
    to weigh the hard classes less. It is a constant: a buffer.""", anchor="losses-pytorch")
class WeightAsParameter(torch.nn.Module):
    def __init__(self, counts):
        super().__init__()
        self.weight = torch.nn.Parameter(counts.sum() / (len(counts) * counts))

    def forward(self, logits, labels):
        return F.cross_entropy(logits, labels, weight=self.weight)


@mistake("BalancedCrossEntropy", hint="""
    Your weights grow with the count, so frequent classes get even more say. A rare class needs the
    larger weight.""")
class FrequentClassesCountMore(torch.nn.Module):
    def __init__(self, counts):
        super().__init__()
        self.register_buffer("weight", len(counts) * counts / counts.sum())

    def forward(self, logits, labels):
        return F.cross_entropy(logits, labels, weight=self.weight)


@mistake("BalancedCrossEntropy", hint="""
    You divide by the number of rows. A weighted mean is divided by the sum of the *weights* of the
    rows, as in `F.cross_entropy`; otherwise a batch of rare classes gets a larger loss.""")
class DividedByTheRows(torch.nn.Module):
    def __init__(self, counts):
        super().__init__()
        self.register_buffer("weight", counts.sum() / (len(counts) * counts))

    def forward(self, logits, labels):
        return F.cross_entropy(logits, labels, weight=self.weight, reduction="sum") / len(labels)


@mistake("BalancedCrossEntropy", hint="""
    The softmax is applied twice: `F.cross_entropy` takes logits and has one inside.""",
         anchor="losses-pytorch")
class SoftmaxFirst(torch.nn.Module):
    def __init__(self, counts):
        super().__init__()
        self.register_buffer("weight", counts.sum() / (len(counts) * counts))

    def forward(self, logits, labels):
        return F.cross_entropy(logits.softmax(dim=1), labels, weight=self.weight)


@mistake("BalancedCrossEntropy", hint="""
    The buffer is there, but the loss does not use it: every row counts alike, so frequent classes
    have more say.""")
class WeightNotUsed(torch.nn.Module):
    def __init__(self, counts):
        super().__init__()
        self.register_buffer("weight", counts.sum() / (len(counts) * counts))

    def forward(self, logits, labels):
        return F.cross_entropy(logits, labels)


@mistake("BalancedCrossEntropy", hint="""
    The loss is right, since a weighted mean does not feel a common factor. The buffer is not: the
    docstring scales the weights so that those of all training examples sum to n.""")
class WeightNotScaled(torch.nn.Module):
    def __init__(self, counts):
        super().__init__()
        self.register_buffer("weight", 1 / counts)

    def forward(self, logits, labels):
        return F.cross_entropy(logits, labels, weight=self.weight)


# ---------------------------------------------------------------- masked_cross_entropy


@mistake("masked_cross_entropy", hint="""
    You divide by all positions, also by those that don't count. The more padding a batch has, the
    smaller its loss would be. Divide by the number that count.""", anchor="loss-reduction")
def divided_by_all_positions(logits, labels, *, ignore_index=-100):
    total = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=ignore_index,
                            reduction="sum")
    return total / labels.numel()


@mistake("masked_cross_entropy", hint="""
    `view` or `reshape` to (n, k, t) does not move the classes to the second axis, it cuts the same
    numbers elsewhere. Flatten the positions instead, or swap the axes with `transpose`.""")
def reshaped_for_transposed(logits, labels, *, ignore_index=-100):
    n, t, k = logits.shape
    if not (labels != ignore_index).any():
        return 0 * logits.sum()
    return F.cross_entropy(logits.reshape(n, k, t), labels, ignore_index=ignore_index)


@mistake("masked_cross_entropy", hint="""
    Where no position counts the result is NaN, 0 / 0, and one such batch spoils all parameters.
    The docstring asks for 0 there.""", anchor="loss-failures")
def nan_where_nothing_counts(logits, labels, *, ignore_index=-100):
    return F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=ignore_index)


@mistake("masked_cross_entropy", hint="""
    Positions that don't count are taken for class 0. The network learns to predict padding. Leave
    them out of the sum and out of the number that divides it.""")
def padding_taken_for_class_0(logits, labels, *, ignore_index=-100):
    kept = torch.where(labels == ignore_index, 0, labels)
    return F.cross_entropy(logits.flatten(0, 1), kept.flatten())


@mistake("masked_cross_entropy", hint="""
    The mark for "does not count" is fixed at -100: the argument `ignore_index` has no effect. Some
    data sets use 0 or -1.""")
def mark_hard_coded(logits, labels, *, ignore_index=-100):
    flat = labels.flatten()
    flat = torch.where((flat >= 0) & (flat < logits.shape[2]), flat, -100)
    total = F.cross_entropy(logits.flatten(0, 1), flat, reduction="sum")
    return total / (flat != -100).sum().clamp(min=1)


@mistake("masked_cross_entropy", hint="""
    You average within each sequence first, then over the sequences. A position in a short sequence
    then weighs more than one in a long sequence. The mean is over all positions that count.""",
         anchor="loss-reduction")
def mean_of_the_sequences_means(logits, labels, *, ignore_index=-100):
    each = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=ignore_index,
                           reduction="none")
    return (each.sum(1) / (labels != ignore_index).sum(1).clamp(min=1)).mean()


# ---------------------------------------------------------------- binary_focal_loss


@mistake("binary_focal_loss", hint="""
    The factor is p_t**gamma: examples that are right already count most. It is 1 - p_t that makes
    the easy ones fade.""")
def easy_examples_count_more(logits, targets, *, gamma=2.0):
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (torch.sigmoid(logits * (2 * targets - 1)) ** gamma * entropy).mean()


@mistake("binary_focal_loss", hint="""
    The factor uses the probability of class 1 for every example. p_t is the probability of the
    *target*: p where it is 1, and 1 - p where it is 0.""")
def probability_of_class_1_for_all(logits, targets, *, gamma=2.0):
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (torch.sigmoid(-logits) ** gamma * entropy).mean()


@mistake("binary_focal_loss", hint="""
    The exponent is fixed at 2: `gamma` has no effect. With gamma = 0 the loss must be plain binary
    cross-entropy.""")
def exponent_fixed_at_two(logits, targets, *, gamma=2.0):
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (torch.sigmoid(logits * (1 - 2 * targets)) ** 2 * entropy).mean()


@mistake("binary_focal_loss", hint="""
    For large logits the probability rounds to 0 and its logarithm is -inf. PyTorch has the
    logarithm of a sigmoid as one function, and a binary cross-entropy that takes logits.""",
         anchor="loss-stability")
def log_of_a_rounded_sigmoid(logits, targets, *, gamma=2.0):
    p = torch.sigmoid(logits)
    p_t = torch.where(targets == 1, p, 1 - p)
    return (-((1 - p_t) ** gamma) * torch.log(p_t)).mean()


@mistake("binary_focal_loss", hint="""
    The loss is right, its gradient is not: the factor (1 - p_t)**gamma is detached or computed
    under no_grad. It depends on the logits too.""")
def factor_detached(logits, targets, *, gamma=2.0):
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    factor = torch.sigmoid(logits.detach() * (1 - 2 * targets)) ** gamma
    return (factor * entropy).mean()


@mistake("binary_focal_loss", hint="""
    You return the sum; the docstring asks for the mean over all elements.""",
         anchor="loss-reduction")
def focal_losses_summed(logits, targets, *, gamma=2.0):
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (torch.sigmoid(logits * (1 - 2 * targets)) ** gamma * entropy).sum()


# ---------------------------------------------------------------- loss_by_class


@mistake("loss_by_class", hint="""
    The numbers are right, but the result drags the whole graph along. A report that is kept for
    every epoch keeps every graph: compute it under torch.no_grad, or detach it.""",
         anchor="losses-pytorch")
def report_keeps_the_graph(logits, labels):
    k = logits.shape[1]
    each = F.cross_entropy(logits, labels, reduction="none")
    sums = each.new_zeros(k).index_add(0, labels, each)
    return sums / torch.bincount(labels, minlength=k)


@mistake("loss_by_class", hint="""
    A class that does not occur gets 0, the best possible loss. Nothing is known about it: the
    docstring asks for NaN there.""")
def absent_class_looks_perfect(logits, labels):
    k = logits.shape[1]
    each = F.cross_entropy(logits, labels, reduction="none").detach()
    sums = each.new_zeros(k).index_add(0, labels, each)
    return sums / torch.bincount(labels, minlength=k).clamp(min=1)


@mistake("loss_by_class", hint="""
    Each sum is divided by all rows. Then a rare class looks good because it is rare. Divide by the
    rows of that class.""", anchor="loss-reduction")
def divided_by_all_rows(logits, labels):
    k = logits.shape[1]
    each = F.cross_entropy(logits, labels, reduction="none").detach()
    sums = each.new_zeros(k).index_add(0, labels, each) / len(labels)
    return torch.where(torch.bincount(labels, minlength=k) > 0, sums, torch.nan)


@mistake("loss_by_class", hint="""
    These are sums, so a frequent class looks worse than a rare one. Divide by the number of rows
    of each class.""", anchor="loss-reduction")
def sums_of_the_classes(logits, labels):
    k = logits.shape[1]
    each = F.cross_entropy(logits, labels, reduction="none").detach()
    sums = each.new_zeros(k).index_add(0, labels, each)
    return torch.where(torch.bincount(labels, minlength=k) > 0, sums, torch.nan)


@mistake("loss_by_class", hint="""
    The rows are grouped by the predicted class. Then the errors of a class that is never predicted
    hide among the others. Group by the label.""")
def grouped_by_prediction(logits, labels):
    k = logits.shape[1]
    each = F.cross_entropy(logits, labels, reduction="none").detach()
    predicted = logits.argmax(dim=1)
    sums = each.new_zeros(k).index_add(0, predicted, each)
    return sums / torch.bincount(predicted, minlength=k)


@mistake("loss_by_class", hint="""
    The result has entries only for the classes that occur, so entry c is not class c. It has one
    entry for each column of the logits.""")
def only_classes_that_occur(logits, labels):
    each = F.cross_entropy(logits, labels, reduction="none").detach()
    return torch.stack([each[labels == c].mean() for c in labels.unique()])
