"""Cases for group norm, and the prediction questions of chapter 11."""

from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.cases._pairs import error_case
from nnlib.contract.cases.normalization import CHAPTER
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError


def _images(rng: np.random.Generator, *shape: int, dtype: type = np.float64, scale: float = 1.0,
            shift: float = 0.0) -> tuple[np.ndarray, ...]:
    """Draw x, gamma and beta; channels and images differ in their means."""
    n, c = shape[:2]
    x = rng.normal(size=shape) + rng.normal(size=(n, c, 1, 1))
    drawn = (scale * x + shift, rng.normal(size=c), rng.normal(size=c))
    return tuple(np.asarray(a, dtype=dtype) for a in drawn)


def _group_norm(rng: np.random.Generator) -> list[Case]:
    name = "group_norm"

    def case(title: str, prop: str, *shape: int, groups: int = 2, eps: float = 1e-5,
             **drawn: Any) -> Case:
        options: dict[str, Any] = {"groups": groups} | ({} if eps == 1e-5 else {"eps": eps})
        return Case(title, prop, _images(rng, *shape, **drawn), options)

    args = _images(rng, 2, 6, 2, 2)
    x, gamma, beta = args
    return [
        # 2 groups of 3: who exchanges number and size of the groups gets 3 groups of 2.
        case("2 groups of 3 channels", "values", 3, 6, 2, 4),
        case("2 groups of 2 channels, as many images", "values", 4, 4, 3, 3),
        case("float32", "values", 2, 6, 2, 3, groups=3, dtype=np.float32),
        case("3 groups", "options", 2, 6, 2, 3, groups=3),
        case("eps=0.1", "options", 2, 4, 2, 2, eps=0.1),
        case("one group of all channels", "edge sizes", 2, 4, 2, 3, groups=1),
        case("a group for each channel", "edge sizes", 2, 4, 2, 3, groups=4),
        case("a single image", "edge sizes", 1, 6, 2, 2, groups=3),
        case("images of one pixel", "edge sizes", 3, 6, 1, 1),
        case("no images", "edge sizes", 0, 4, 2, 2),
        case("up to 1e4", "stability", 2, 6, 2, 2, scale=3e3),
        case("up to 1e4, float32", "stability", 2, 6, 2, 2, scale=3e3, dtype=np.float32),
        case("mean 1e4, variance 1", "stability", 2, 6, 2, 2, shift=1e4),
        error_case("groups that do not divide", args, ValueError,
                   f"{name}: groups must divide the 6 channels, got 4", {"groups": 4}),
        error_case("groups=0", args, ValueError, f"{name}: groups must be", {"groups": 0}),
        error_case("rows", (x[:, :, 0, 0].copy(), gamma, beta), ShapeError,
                   rf"{name}: x must have shape \(n, c, h, w\), got \(2, 6\)", {"groups": 2}),
        error_case("empty images", (x[:, :, :0].copy(), gamma, beta), ShapeError,
                   f"{name}: the images must not be empty", {"groups": 2}),
        error_case("gamma for the groups", (x, gamma[:2].copy(), beta), ShapeError,
                   rf"{name}: gamma must have shape \(6,\), got \(2,\)", {"groups": 2}),
        error_case("two dtypes", (x, gamma, beta.astype(np.float32)), DtypeError,
                   f"{name}: x and beta must have one dtype", {"groups": 2}),
        error_case("eps=0", args, ValueError, f"{name}: eps must be a finite number > 0",
                   {"groups": 2, "eps": 0.0}),
    ]


register(
    Operation("group_norm", "(x, gamma, beta, *, groups, eps=1e-5) -> y", CHAPTER, "group-norm",
              ("y",), _group_norm),
    Question(
        "running_mean_after_three",
        "A batch norm is new: running mean 0, momentum 0.1. In each of three training batches a "
        "column has the mean 10. What is its running mean then?",
        2.71,
        {
            "10": "That is where it is going. Each batch covers a tenth of the way that is left.",
            "3": "Three steps of 1 would be a tenth of 10 each time. The step is a tenth of what "
                 "is left, and that shrinks.",
            "9.99": "That is the momentum the other way round: nine tenths of the new batch. Here, "
                    "as in PyTorch, momentum is the weight of the batch.",
            "1": "That is after the first batch: 0.9 * 0 + 0.1 * 10. Two more follow.",
            "1.9": "That is after two batches.",
            "7.29": "That is the way still to go: 10 * 0.9 ** 3. How far has it come?",
            "0.1": "One tenth is the weight of a batch, not a mean. Begin: 0.9 * 0 + 0.1 * 10.",
        },
        CHAPTER, "running-statistics", tolerance=5e-4, tracks=("numpy",)),
    Question(
        "gradient_of_a_shift",
        "Batch norm in training. The gradient dx that its backward returns, summed over the batch, "
        "is for every column",
        "c",
        {
            "a": "The sum of dy is the gradient of beta. Between y and x stands the mean, which "
                 "takes every common shift out.",
            "b": "The sum of dy * x_hat is the gradient of gamma. What does y do when all of x "
                 "moves by the same amount?",
            "d": "It does not depend on the numbers: add the same amount to the whole column, and "
                 "look at what y does.",
        },
        CHAPTER, "what-the-backward-means",
        {"a": "the sum of dy",
         "b": "the sum of dy times the normalised values",
         "c": "zero",
         "d": "different from batch to batch"},
        tracks=("numpy",)),
    Question(
        "numbers_in_the_state_dict",
        "How many numbers does the state dict of nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)) "
        "hold?",
        33.0,
        {
            "24": "Those are the parameters, which an optimizer changes: 16 of the linear layer "
                  "and 8 of the norm. A state dict also holds buffers.",
            "32": "One number is missing: how many batches the norm has seen.",
            "16": "That is the linear layer alone: 12 weights and 4 biases.",
            "36": "The count of batches is one number for the whole norm, not one for each column.",
            "17": "That is the norm alone: 8 parameters, 8 running statistics and a count.",
            "28": "12 weights and 4 biases make 16. The norm holds four arrays of 4, and a count.",
        },
        CHAPTER, "buffers", tracks=("torch",)),
    Question(
        "evaluation_left_out",
        "A classifier with batch norm is used on single images, one at a time, and the call of "
        "model.eval() was forgotten. The layers are Linear, BatchNorm1d, ReLU, Linear. What "
        "happens?",
        "b",
        {
            "a": "In training a norm takes the statistics of the batch at hand, not the running "
                 "ones.",
            "c": "That is what happens at two images at a time. What is the variance of one value?",
            "d": "A lower accuracy needs an output. Which batch variance would divide a single "
                 "row?",
        },
        CHAPTER, "batch-of-one-and-two",
        {"a": "the predictions are right: the running statistics are used",
         "b": "an error: training needs more than one row",
         "c": "every normalised value is +1 or -1",
         "d": "no error, but a lower accuracy"},
        tracks=("torch",)),
)
