"""Prediction questions of chapter 10."""

from nnlib.contract.case import Question
from nnlib.contract.registry import register

CHAPTER = "10-regularization"

register(
    Question(
        "lasso_of_a_small_weight",
        "The data alone would settle a weight at 0.3: their loss is (w - 0.3)^2 / 2. The L1 "
        "penalty 0.5 |w| is added. Where is the minimum now?",
        "b",
        {
            "a": "That is the minimum under the L2 penalty 0.5 / 2 w^2: it divides by 1 + 0.5. L1 "
                 "subtracts instead.",
            "c": "0.3 - 0.5 is right up to 0 and no further: on the other side the penalty pulls "
                 "the other way.",
            "d": "The penalty has a gradient of 0.5 however small the weight is. Compare that "
                 "with the gradient of the data near 0.",
        },
        CHAPTER, "l1",
        {"a": "at 0.2", "b": "at exactly 0", "c": "at -0.2", "d": "at 0.15"},
        tracks=("numpy",)),
    Question(
        "share_of_wrong_labels",
        "Of the training labels of ten equally frequent classes, 20 % are drawn anew, each class "
        "with the same probability. Which share of all labels is wrong then? Give a number from "
        "0 to 1.",
        0.18,
        {
            "0.2": "A label that is drawn anew can come out right by luck. How often?",
            "0.02": "That is the share that is drawn anew and comes out right.",
            "0.8": "That is the share that is not drawn anew.",
            "0.82": "That is the share of right labels.",
            "18": "As a share, not in per cent.",
        },
        CHAPTER, "label-noise", tolerance=1e-3, tracks=("numpy",)),
    Question(
        "two_dropouts_in_a_row",
        "A tensor of ones goes through nn.Dropout(0.2) and then through nn.Dropout(0.5), both in "
        "training mode. What is the largest value that comes out?",
        2.5,
        {
            "1": "That is evaluation mode. In training what stays is divided by the probability "
                 "to stay.",
            "10": "1 / (0.2 * 0.5): the argument is the probability to drop, so what stays is "
                  "divided by 1 - p.",
            "2": "That is the second layer alone. The first one rescales as well.",
            "1.25": "That is the first layer alone. The second one rescales as well.",
            "0.4": "Upside down: what stays must grow, so that the mean stays.",
            "3.25": "The factors multiply: the second layer gets what the first one gives.",
        },
        CHAPTER, "dropout-forward", tolerance=1e-3, tracks=("torch",)),
    Question(
        "split_after_augmenting",
        "digits is a Dataset that shifts each image at random when it is asked for. "
        "train, valid = torch.utils.data.random_split(digits, [160, 40]). Which images does the "
        "validation loss see?",
        "c",
        {
            "a": "random_split hands out row numbers and nothing else. Which object is asked for "
                 "the image?",
            "b": "The Dataset shifts in __getitem__, so every request draws anew. Nothing is kept.",
            "d": "There is no mode on a Dataset, and eval() of a model does not reach it.",
        },
        CHAPTER, "augmentation-pytorch",
        {"a": "the originals: only the training part is shifted",
         "b": "shifted ones, the same in every epoch",
         "c": "shifted ones, other ones in every epoch",
         "d": "the originals, as soon as model.eval() was called"},
        tracks=("torch",)),
)
