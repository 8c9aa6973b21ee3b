"""Known mistakes of chapter 4: binary and multi-class cross-entropy."""

import numpy as np

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- binary cross-entropy


@mistake("binary_cross_entropy_with_logits", hint="""
    For large logits the sigmoid rounds to 0 or 1, and you take the logarithm of 0. Don't form the
    probability first: write the loss in terms of the logit, equation (4.9).""",
         anchor="loss-stability")
def log_of_zero(logits, targets, *, reduction="mean"):
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        p = 1 / (1 + np.exp(-logits))
        loss = -targets * np.log(p) - (1 - targets) * np.log(1 - p)
    if reduction == "none":
        return loss, p - targets
    if reduction == "sum":
        return loss.sum(), p - targets
    return loss.mean(), (p - targets) / loss.size


@mistake("binary_cross_entropy_with_logits", hint="""
    The probability is clipped before the logarithm. That hides the inf, and makes the loss wrong:
    no error, however confident, costs more than the clip allows. Equation (4.9) needs no clip.""",
         anchor="loss-stability")
def probability_clipped(logits, targets, *, reduction="mean"):
    with np.errstate(over="ignore"):
        p = 1 / (1 + np.exp(-logits))
    q = np.clip(p, 1e-7, 1 - 1e-7)
    loss = -targets * np.log(q) - (1 - targets) * np.log(1 - q)
    if reduction == "none":
        return loss, p - targets
    if reduction == "sum":
        return loss.sum(), p - targets
    return loss.mean(), (p - targets) / loss.size


@mistake("binary_cross_entropy_with_logits", hint="""
    Only the targets of 1 cost anything in your loss: the term for class 0, with 1 - t and 1 - p,
    is missing. A network that always says 1 would be perfect.""")
def only_the_ones_count(logits, targets, *, reduction="mean"):
    softplus = np.maximum(-logits, 0) + np.log1p(np.exp(-np.abs(logits)))
    p = np.exp(np.minimum(logits, 0)) / (1 + np.exp(-np.abs(logits)))
    loss, slope = targets * softplus, targets * (p - 1)
    if reduction == "none":
        return loss, slope
    if reduction == "sum":
        return loss.sum(), slope
    return loss.mean(), slope / loss.size


@mistake("binary_cross_entropy_with_logits", hint="""
    Your gradient is the derivative by the probability. The function returns the one by the logit:
    multiply by the slope of the sigmoid, p (1 - p), and most of it cancels.""")
def derivative_by_the_probability(logits, targets, *, reduction="mean"):
    decay = np.exp(-np.abs(logits))
    loss = np.maximum(logits, 0) - logits * targets + np.log1p(decay)
    p = np.where(logits >= 0, 1, decay) / (1 + decay)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (p - targets) / (p * (1 - p))
    if reduction == "none":
        return loss, slope
    if reduction == "sum":
        return loss.sum(), slope
    return loss.mean(), slope / loss.size


@mistake("binary_cross_entropy_with_logits", hint="""
    The gradient has the wrong sign. Where the probability is above the target, a higher logit
    makes the loss grow.""")
def target_minus_probability(logits, targets, *, reduction="mean"):
    decay = np.exp(-np.abs(logits))
    loss = np.maximum(logits, 0) - logits * targets + np.log1p(decay)
    slope = targets - np.where(logits >= 0, 1, decay) / (1 + decay)
    if reduction == "none":
        return loss, slope
    if reduction == "sum":
        return loss.sum(), slope
    return loss.mean(), slope / loss.size


@mistake("binary_cross_entropy_with_logits", hint="""
    With reduction="mean" you return the sum. The mean divides it by the number of elements, and
    so does its gradient.""", anchor="loss-reduction")
def entropies_summed(logits, targets, *, reduction="mean"):
    decay = np.exp(-np.abs(logits))
    loss = np.maximum(logits, 0) - logits * targets + np.log1p(decay)
    slope = np.where(logits >= 0, 1, decay) / (1 + decay) - targets
    return (loss if reduction == "none" else loss.sum()), slope


@mistake("binary_cross_entropy_with_logits", hint="""
    The loss is a mean, but its gradient lacks the 1/n. What divides the loss divides the
    gradient.""", anchor="loss-reduction")
def slope_lacks_the_mean(logits, targets, *, reduction="mean"):
    decay = np.exp(-np.abs(logits))
    loss = np.maximum(logits, 0) - logits * targets + np.log1p(decay)
    slope = np.where(logits >= 0, 1, decay) / (1 + decay) - targets
    total = {"none": loss, "sum": loss.sum()}
    return total.get(reduction, loss.sum() / max(loss.size, 1)), slope


# ---------------------------------------------------------------- softmax cross-entropy


@mistake("softmax_cross_entropy", hint="""
    The softmax is shifted, yet a small probability still rounds to 0, and you take its logarithm.
    Write the logarithm of the softmax directly, as a difference: equation (4.13).""",
         anchor="loss-stability")
def log_of_a_rounded_softmax(logits, labels, *, reduction="mean", label_smoothing=0.0):
    n, k = logits.shape
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True)
    q = np.full_like(p, label_smoothing / k)
    q[np.arange(n), labels] += 1 - label_smoothing
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = -np.where(q > 0, q * np.log(p), 0).sum(axis=1)
    if reduction == "none":
        return loss, p - q
    if reduction == "sum":
        return loss.sum(), p - q
    return loss.mean(), (p - q) / n


@mistake("softmax_cross_entropy", hint="""
    The exponentials overflow: exp(1e4) is inf, and inf / inf is nan. A constant taken off all
    logits of a row changes no probability: section "Log-sum-exp".""", anchor="log-sum-exp")
def logits_not_shifted(logits, labels, *, reduction="mean", label_smoothing=0.0):
    n, k = logits.shape
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        p = np.exp(logits)
        total = p.sum(axis=1, keepdims=True)
        p, log_p = p / total, logits - np.log(total)
    q = np.full_like(logits, label_smoothing / k)
    q[np.arange(n), labels] += 1 - label_smoothing
    loss = -(q * log_p).sum(axis=1)
    if reduction == "none":
        return loss, p - q
    if reduction == "sum":
        return loss.sum(), p - q
    return loss.mean(), (p - q) / n


@mistake("softmax_cross_entropy", hint="""
    The loss is a mean over the rows, but its gradient lacks the 1/n. What divides the loss divides
    the gradient.""", anchor="loss-reduction")
def one_over_n_left_out(logits, labels, *, reduction="mean", label_smoothing=0.0):
    n, k = logits.shape
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    q = np.full_like(log_p, label_smoothing / k)
    q[np.arange(n), labels] += 1 - label_smoothing
    loss = -(q * log_p).sum(axis=1)
    total = {"none": loss, "sum": loss.sum()}
    return total.get(reduction, loss.sum() / max(n, 1)), np.exp(log_p) - q


@mistake("softmax_cross_entropy", hint="""
    You return the sum over the rows where the mean is asked for. Its size then depends on the
    batch size, and so does the step.""", anchor="loss-reduction")
def rows_summed_for_the_mean(logits, labels, *, reduction="mean", label_smoothing=0.0):
    n, k = logits.shape
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    q = np.full_like(log_p, label_smoothing / k)
    q[np.arange(n), labels] += 1 - label_smoothing
    loss = -(q * log_p).sum(axis=1)
    return (loss if reduction == "none" else loss.sum()), np.exp(log_p) - q


@mistake("softmax_cross_entropy", hint="""
    The gradient is divided by all n k entries. A row has *one* loss, however many classes it has:
    the mean is over the n rows.""", anchor="loss-reduction")
def mean_over_the_classes_too(logits, labels, *, reduction="mean", label_smoothing=0.0):
    n, k = logits.shape
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    q = np.full_like(log_p, label_smoothing / k)
    q[np.arange(n), labels] += 1 - label_smoothing
    loss = -(q * log_p).sum(axis=1)
    if reduction == "none":
        return loss, np.exp(log_p) - q
    if reduction == "sum":
        return loss.sum(), np.exp(log_p) - q
    return loss.mean(), (np.exp(log_p) - q) / (n * k)


@mistake("softmax_cross_entropy", hint="""
    The gradient is the softmax alone. The right class must be pushed up: what is wanted, q, is
    subtracted from what is given, p.""", anchor="cross-entropy-gradient")
def target_not_subtracted(logits, labels, *, reduction="mean", label_smoothing=0.0):
    n, k = logits.shape
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    q = np.full_like(log_p, label_smoothing / k)
    q[np.arange(n), labels] += 1 - label_smoothing
    loss = -(q * log_p).sum(axis=1)
    if reduction == "none":
        return loss, np.exp(log_p)
    if reduction == "sum":
        return loss.sum(), np.exp(log_p)
    return loss.mean(), np.exp(log_p) / n


@mistake("softmax_cross_entropy", hint="""
    `log_p[:, labels]` takes *every* label's column for every row, an (n, n) array. Pair row i with
    label i: index both axes with arrays of length n.""", anchor="one-hot-or-index")
def every_row_meets_every_label(logits, labels, *, reduction="mean", label_smoothing=0.0):
    n, k = logits.shape
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    q = np.full_like(log_p, label_smoothing / k)
    q[np.arange(n), labels] += 1 - label_smoothing
    smooth = label_smoothing * log_p.mean(axis=1, keepdims=True)
    loss = -(1 - label_smoothing) * log_p[:, labels] - smooth
    if reduction == "none":
        return loss, np.exp(log_p) - q
    if reduction == "sum":
        return loss.sum(), np.exp(log_p) - q
    return loss.mean(), (np.exp(log_p) - q) / n


@mistake("softmax_cross_entropy", hint="""
    The smoothing is spread over the k - 1 wrong classes. Here, as in PyTorch, every class gets
    label_smoothing / k, the right one too.""", anchor="label-smoothing")
def smoothing_without_the_right_class(logits, labels, *, reduction="mean", label_smoothing=0.0):
    n, k = logits.shape
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    q = np.full_like(log_p, label_smoothing / max(k - 1, 1))
    q[np.arange(n), labels] = 1 - label_smoothing
    loss = -(q * log_p).sum(axis=1)
    if reduction == "none":
        return loss, np.exp(log_p) - q
    if reduction == "sum":
        return loss.sum(), np.exp(log_p) - q
    return loss.mean(), (np.exp(log_p) - q) / n


@mistake("softmax_cross_entropy", hint="""
    `label_smoothing` changes the loss, but not the gradient: you still subtract the one-hot row.
    Subtract the same target that the loss uses.""", anchor="label-smoothing")
def gradient_not_smoothed(logits, labels, *, reduction="mean", label_smoothing=0.0):
    n, k = logits.shape
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    q = np.full_like(log_p, label_smoothing / k)
    q[np.arange(n), labels] += 1 - label_smoothing
    loss = -(q * log_p).sum(axis=1)
    slope = np.exp(log_p)
    slope[np.arange(n), labels] -= 1
    if reduction == "none":
        return loss, slope
    if reduction == "sum":
        return loss.sum(), slope
    return loss.mean(), slope / n


@mistake("softmax_cross_entropy", hint="""
    `label_smoothing` has no effect at all. The target mixes the one-hot row with equal
    shares for all classes.""", anchor="label-smoothing")
def smoothing_ignored(logits, labels, *, reduction="mean", label_smoothing=0.0):
    n, _ = logits.shape
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    loss, slope = -log_p[np.arange(n), labels], np.exp(log_p)
    slope[np.arange(n), labels] -= 1
    if reduction == "none":
        return loss, slope
    if reduction == "sum":
        return loss.sum(), slope
    return loss.mean(), slope / n


@mistake("softmax_cross_entropy", hint="""
    The loss is minus the probability. The logarithm is missing: without it a confident error costs
    1 at most, and its gradient vanishes.""", anchor="multiclass-cross-entropy")
def probability_without_logarithm(logits, labels, *, reduction="mean", label_smoothing=0.0):
    n, k = logits.shape
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True)
    q = np.full_like(p, label_smoothing / k)
    q[np.arange(n), labels] += 1 - label_smoothing
    loss = -(q * p).sum(axis=1)
    if reduction == "none":
        return loss, p - q
    if reduction == "sum":
        return loss.sum(), p - q
    return loss.mean(), (p - q) / n


@mistake("softmax_cross_entropy", hint="""
    The softmax runs over the examples, not over the classes: your probabilities sum to 1 down the
    columns. Each *row* is one example and gets its own.""", anchor="multiclass-cross-entropy")
def softmax_over_the_batch(logits, labels, *, reduction="mean", label_smoothing=0.0):
    n, k = logits.shape
    if n == 0:
        return (logits.sum(axis=1) if reduction == "none" else logits.sum()), logits.copy()
    log_p = logits - logits.max(axis=0)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=0))
    q = np.full_like(log_p, label_smoothing / k)
    q[np.arange(n), labels] += 1 - label_smoothing
    loss = -(q * log_p).sum(axis=1)
    if reduction == "none":
        return loss, np.exp(log_p) - q
    if reduction == "sum":
        return loss.sum(), np.exp(log_p) - q
    return loss.mean(), (np.exp(log_p) - q) / n
