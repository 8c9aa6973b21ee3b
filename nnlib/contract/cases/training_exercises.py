"""Cases for the training loop in functions, and the questions of chapter 6's notebooks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.registry import register

CHAPTER = "06-training"
NUMPY = ("numpy",)
TORCH = ("torch",)


def _params(rng: np.random.Generator, dtype: type = np.float64) -> dict[str, np.ndarray]:
    return {"w": rng.normal(size=(3, 2)).astype(dtype), "b": rng.normal(size=2).astype(dtype)}


def _mini_batch_step(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, n: int, *, rate: float = 0.1, classes: bool = False,
             dtype: Any = np.float64) -> Case:
        x = rng.normal(size=(n, 3)).astype(dtype)
        y = rng.integers(2, size=n) if classes else rng.normal(size=(n, 2)).astype(dtype)
        loss = "softmax_cross_entropy" if classes else "mse"
        # A loss comes back as a Python float, which does not show that it was computed in float32.
        rtol, atol = (2e-4, 2e-5) if dtype is np.float32 else (None, None)
        return Case(name, prop, (_params(rng, dtype), x, y),
                    {"loss": loss, "learning_rate": rate}, drive="mini_batch_step",
                    rtol=rtol, atol=atol)

    return [
        case("5 rows, squared error", "values", 5),
        case("7 rows, cross-entropy", "values", 7, classes=True, rate=0.3),
        case("float32", "values", 6, dtype=np.float32),
        case("learning_rate=0.5", "options", 4, rate=0.5),
        case("one row", "edge sizes", 1),
    ]


def _fit_epochs(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, n: int, curve: list[float], *, patience: int,
             batch_size: int = 4, epochs: int | None = None) -> Case:
        x, y = rng.normal(size=(n, 3)), rng.normal(size=(n, 2))
        params: dict[str, Any] = {**_params(rng), "rows": np.array(0.0)}
        losses = [float(value) for value in rng.uniform(0.5, 2.0) * np.array(curve)]
        options = {"batch_size": batch_size, "patience": patience,
                   "epochs": len(curve) if epochs is None else epochs}
        return Case(name, prop, (x, y, params, losses), options, drive="fit_epochs",
                    seed=int(rng.integers(2**31)))

    return [
        case("10 rows in batches of 4, always better", "values", 10, [0.9, 0.7, 0.6, 0.5],
             patience=2),
        case("best in the third of six epochs", "values", 10,
             [0.9, 0.7, 0.4, 0.5, 0.6, 0.45], patience=9),
        case("patience 2 runs out", "options", 9, [0.8, 0.5, 0.6, 0.7, 0.72, 0.3, 0.2],
             patience=2),
        case("better again just in time", "options", 9,
             [0.8, 0.9, 0.7, 0.75, 0.6, 0.65, 0.66, 0.67, 0.1], patience=2),
        case("patience 1", "options", 8, [0.8, 0.6, 0.7, 0.75, 0.1], patience=1),
        # Equal is not lower: the first of equals stays, and patience runs.
        case("equal losses", "edge sizes", 9, [0.8, 0.5, 0.5, 0.5, 0.5], patience=2),
        case("one batch an epoch", "edge sizes", 6, [0.8, 0.6, 0.7], patience=5, batch_size=6),
        case("no epochs", "edge sizes", 6, [0.8], patience=2, epochs=0),
    ]


OPERATIONS: Sequence[Operation] = (
    Operation("mini_batch_step",
              "(params, x, y, *, forward, loss, backward, learning_rate) -> (params, value)",
              CHAPTER, "training-step", ("params", "value"), _mini_batch_step, tracks=NUMPY,
              weights={"inputs kept": 2.0}),
    Operation("fit_epochs",
              "(params, *, batches, step, validate, epochs, patience) -> (params, history)",
              CHAPTER, "fit", ("params", "loss", "validation_loss"), _fit_epochs, tracks=NUMPY,
              weights={"options": 3.0}, output_weights={"params": 2.0}),
)

QUESTIONS: Sequence[Question] = (
    Question(
        "updates_of_a_training",
        "1,000 training examples, mini-batches of 64, the last smaller one is used too, 20 "
        "epochs. How many updates does every weight get?",
        320.0,
        {
            "312.5": "Half an update does not exist. In each epoch the last batch holds the 40 "
                     "examples that are left: round up per epoch, then multiply.",
            "313": "Each epoch begins anew and ends with a smaller batch. So round up the batches "
                   "of one epoch first, then multiply by the epochs.",
            "300": "That is what remains if the last, smaller batch of each epoch is dropped. "
                   "Here it is used.",
            "16": "That is one epoch. There are 20.",
            "20": "That is one update per epoch, as if all examples were one batch.",
            "20000": "That is one update per example: batches of 1. Equation (6.2) divides by the "
                     "batch size.",
            "1280": "That is batch size times epochs. How many batches does an epoch have?",
        },
        CHAPTER, "epochs-and-iterations", tracks=NUMPY,
    ),
    Question(
        "number_to_report",
        "You train 40 networks that differ in their settings, and choose the one with the highest "
        "accuracy. Which number tells how well it will do on new examples?",
        "c",
        {
            "a": "The network was fitted to these examples. A network that memorised them all "
                 "would report 100 % here.",
            "b": "The choice among 40 was made by this number, so the winner owes part of it to "
                 "luck. It is too good, on average.",
            "d": "If the test part takes part in the choice, it is a second validation part, and "
                 "no part is left that knows nothing of the choice.",
        },
        CHAPTER, "train-validation-test",
        {"a": "its accuracy on the training part, since it has the most examples",
         "b": "its accuracy on the validation part, by which it was chosen",
         "c": "its accuracy on a test part that was used for nothing before",
         "d": "the highest accuracy of all 40 networks on the test part"},
        tracks=NUMPY,
    ),
    Question(
        "share_of_sick_found",
        "Confusion matrix of a test for a disease, rows are the truth: healthy [950, 20], sick "
        "[12, 18]. Which share of the sick does it find?",
        0.6,
        {
            "0.968": "That is the accuracy, which the many healthy people dominate. Look at the "
                     "row of the sick alone.",
            "0.4": "That is the share of the sick that are missed. Which column holds those that "
                   "are found?",
            "0.47368421052631576": "You read down the column: of those *called* sick, how many "
                                   "are. The question starts from those who *are* sick, a row.",
            "0.018": "You divide by all 1,000 people. The question asks for a share of the sick.",
            "60": "The number is right as a percentage; answer with a share between 0 and 1.",
            "18": "That is how many are found. Of how many?",
        },
        CHAPTER, "confusion-matrix", tracks=NUMPY, tolerance=1e-3,
    ),
    Question(
        "steps_with_drop_last",
        "A DataLoader over 1,000 examples with batch_size=64, shuffle=True, drop_last=True, and 20 "
        "epochs. How many times is optimizer.step() called?",
        300.0,
        {
            "320": "That counts the last batch of each epoch, which has only 40 examples. "
                   "drop_last=True leaves it out.",
            "312": "The examples of the dropped batches do not come back in the next epoch: round "
                   "down in each epoch.",
            "312.5": "Half a step does not exist. drop_last=True rounds down in each epoch.",
            "313": "drop_last=True rounds down in each epoch, not up at the end.",
            "15": "That is one epoch. There are 20.",
            "1280": "That is batch size times epochs. How many batches does an epoch have?",
        },
        CHAPTER, "epochs-and-iterations", tracks=TORCH,
    ),
    Question(
        "what_eval_does",
        "What does model.eval() change?",
        "b",
        {
            "a": "Gradients are recorded in evaluation mode too: try loss.backward() after "
                 "model.eval(). torch.no_grad() and torch.inference_mode() switch that off.",
            "c": "Parameters stay trainable: an optimizer would still change them. "
                 "requires_grad_(False) freezes.",
            "d": "It moves nothing and computes in the same dtype. It only sets a flag, "
                 "`training`, in every module.",
        },
        CHAPTER, "training-pytorch",
        {"a": "autograd stops recording, so that memory is saved",
         "b": "layers such as dropout and batch normalization behave as in use, not as in "
              "training",
         "c": "the parameters are frozen",
         "d": "the model runs in a faster, less precise arithmetic"},
        tracks=TORCH,
    ),
)

register(*OPERATIONS, *QUESTIONS)
