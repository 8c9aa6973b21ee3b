"""Cases for the PyTorch exercises of chapter 12, and the questions of both notebooks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.registry import register

CHAPTER = "12-tuning"
TORCH = ("torch",)


def _log_uniform(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, low: float, high: float, size: int) -> Case:
        return Case(name, prop, (low, high, size), drive="torch_log_uniform")

    return [
        case("0.0001 to 1", "values", 1e-4, 1.0, 2000),
        case("1 to 1000", "values", 1.0, 1000.0, 2000),
        case("a narrow range", "options", 0.05, 0.2, 500),
        case("one draw", "edge sizes", 1e-3, 1e-1, 1),
        case("none", "edge sizes", 1e-3, 1e-1, 0),
    ]


def _fold_loaders(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, n: int, tests: int, batch_size: int) -> Case:
        order = rng.permutation(n).tolist()
        return Case(name, prop, (n, order[tests:], order[:tests]), {"batch_size": batch_size},
                    drive="torch_fold_loaders")

    return [
        case("28 rows, 8 in the test part", "values", 28, 8, 4),
        case("a last, smaller batch", "values", 33, 10, 4),
        case("one row a batch", "options", 22, 8, 1),
        case("a batch larger than the fold", "edge sizes", 14, 3, 50),
    ]


def _select(rng: np.random.Generator) -> list[Case]:
    """Draw models of which the best by validation is not the best by test."""

    def case(name: str, prop: str, count: int, n: int = 12, **options: Any) -> Case:
        while True:
            weights = [rng.normal(size=(3, 3)) for _ in range(count)]
            shifts = [rng.normal(size=3) for _ in range(count)]
            parts = [(rng.normal(size=(n, 3)), rng.integers(0, 3, size=n)) for _ in range(2)]
            shares = [[float(np.mean(((x - shift) @ w).argmax(axis=1) == y))
                       for w, shift in zip(weights, shifts, strict=True)] for x, y in parts]
            batch = [[float(np.mean(((x - x.mean(axis=0)) / x.std(axis=0) @ w).argmax(axis=1) == y))
                      for w in weights] for x, y in parts]
            validation, test = shares
            best = validation.index(max(validation))
            last = count - 1 - validation[::-1].index(max(validation))
            if count == 1:
                break
            if options.get("tie"):
                if last != best and len({validation[best], test[best], test[last]}) == 3:
                    break
            elif (last == best and test.index(max(test)) != best
                    and validation[best] != test[best] and batch[0] != validation
                    and batch[1][best] != test[best]):
                break
        options.pop("tie", None)
        return Case(name, prop, (weights, shifts, *parts), options, drive="torch_select")

    return [
        case("4 models", "values", 4),
        case("5 models, 20 rows", "values", 5, 20),
        case("the two best are equal", "options", 5, tie=True),
        case("some in evaluation mode", "PyTorch rules", 4, modes=[True, False, True, False]),
        case("one model", "edge sizes", 1),
    ]


def _resume(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, n: int, epochs: int, stop: int, dtype: type = np.float64,
             **options: Any) -> Case:
        x: np.ndarray = rng.normal(size=(n, 2)).astype(dtype)
        y: np.ndarray = (x @ rng.normal(size=(2, 1)) + 0.5 * rng.normal(size=(n, 1))).astype(dtype)
        return Case(name, prop, (x, y),
                    {"epochs": epochs, "stop": stop, "seed": int(rng.integers(1000)), **options},
                    drive="torch_resume_training")

    return [
        case("after 2 of 5 epochs", "values", 12, 5, 2),
        case("after 3 of 6 epochs", "values", 9, 6, 3),
        case("learning_rate=0.1", "options", 8, 4, 2, learning_rate=0.1),
        case("float32", "options", 12, 4, 1, np.float32),
        case("before the first epoch", "edge sizes", 8, 2, 0),
    ]


def _hypergradient(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, steps: int, n: int = 8, d: int = 3, dtype: type = np.float64,
             **options: Any) -> Case:
        shapes = ((d, 2), (n, d), (n, 2), (n + 1, d), (n + 1, 2))
        arrays: list[np.ndarray] = [rng.normal(size=shape).astype(dtype) for shape in shapes]
        w, x, y, x_val, y_val = arrays
        rate: np.ndarray = np.array(np.log(rng.uniform(0.05, 0.15)), dtype=dtype)
        return Case(name, prop, (w, rate, (x, y), (x_val, y_val)), {"steps": steps, **options},
                    drive="torch_hypergradient")

    return [
        case("3 steps", "values", 3),
        case("6 steps", "values", 6),
        case("float32", "values", 2, dtype=np.float32),
        case("one step", "edge sizes", 1),
        case("one row, one feature", "edge sizes", 2, 1, 1),
        case("w and log_rate require gradients", "PyTorch rules", 3, watched=True),
    ]


def _operation(name: str, signature: str, anchor: str, outputs: tuple[str, ...],
               make_cases: object, **more: Any) -> Operation:
    return Operation(name, signature, CHAPTER, anchor, outputs, make_cases,  # type: ignore[arg-type]
                     tracks=TORCH, **more)


OPERATIONS: Sequence[Operation] = (
    _operation("log_uniform", "(low, high, size, *, generator) -> draws (size,)", "log-scale",
               ("draws",), _log_uniform),
    _operation("fold_loaders",
               "(x, y, train, test, *, batch_size, generator) -> (train_loader, test_loader)",
               "loaders", ("train_loader", "test_loader"), _fold_loaders,
               output_weights={"train_loader": 2.0}),
    _operation("select_and_report",
               "(models, validation, test) -> (best, validation_accuracies, test_accuracy)",
               "test-part", ("best", "validation_accuracies", "test_accuracy", "models"), _select),
    _operation("ResumableTraining",
               "Training with save() -> bytes and load(bytes)", "checkpoint-pytorch",
               ("straight", "resumed", "weights", "epoch"), _resume, kind="class",
               output_weights={"resumed": 4.0, "weights": 2.0}),
    _operation("hypergradient",
               "(w, log_rate, train, validation, *, steps) -> (loss, gradient)", "hypergradient",
               ("loss", "gradient", "inputs"), _hypergradient,
               output_weights={"gradient": 4.0, "loss": 2.0}),
)

QUESTIONS: Sequence[Question] = (
    Question(
        "halving_epochs",
        "Successive halving starts 16 settings with 1 epoch each; factor 2; every round trains "
        "from scratch. How many epochs does it train in all?",
        80.0,
        {
            "16": "That is the first round alone. Four more follow.",
            "31": "That is the number of trainings, 16 + 8 + 4 + 2 + 1. They are not equally long.",
            "64": "Each round costs 16 epochs, and there are more than four: 16, 8, 4, 2 and 1 "
                  "settings.",
            "256": "That would be 16 full trainings. Most settings never get that far.",
            "32": "The number of settings halves and the budget doubles. What does one round cost?",
        },
        CHAPTER, "successive-halving", tracks=("numpy",), tolerance=1e-9,
    ),
    Question(
        "grid_values",
        "Four hyper-parameters, a grid of 81 trials with equally many values for each, and it "
        "turns out that only the learning rate matters. How many different learning rates were "
        "tried?",
        3.0,
        {
            "81": "That is what random search would have tried. A grid repeats its values.",
            "20.25": "The trials are not shared out among the names: every combination is one.",
            "20": "The trials are not shared out among the names: every combination is one.",
            "9": "With 9 values each there would be 9 to the power of 4 trials.",
            "4": "With 4 values each there would be 256 trials.",
            "27": "27 trials share each value of the learning rate. How many values is that?",
        },
        CHAPTER, "grid-search", tracks=("numpy",), tolerance=1e-9,
    ),
    Question(
        "best_of_a_hundred",
        "100 settings are all equally good: 80 % of all digits right. Each is measured on the same "
        "number of validation digits with a standard deviation of 4 points, independently. What "
        "does the best of them show?",
        "c",
        {
            "a": "That is the mean. You pick the highest of 100 numbers that scatter around it.",
            "b": "One standard deviation above is reached by about every sixth. The best of 100 "
                 "lies higher.",
            "d": "Five standard deviations above: too rare for 100 draws.",
        },
        CHAPTER, "optimism", tracks=TORCH,
        options={"a": "about 80 %", "b": "about 84 %", "c": "about 90 %", "d": "about 100 %"},
    ),
    Question(
        "downloaded_checkpoint",
        "Somebody's checkpoint is loaded with torch.load(path, weights_only=False). What is the "
        "worst that the file can do?",
        "d",
        {
            "a": "That would be harmless: you would notice at once.",
            "b": "It can, but that is not the worst. A pickle is a program.",
            "c": "Shapes are compared by load_state_dict, with an error. By then torch.load has "
                 "already run what the file says.",
        },
        CHAPTER, "checkpoint-pytorch", tracks=TORCH,
        options={"a": "fail to load", "b": "hold weights with a bad accuracy",
                 "c": "fit a model of another shape", "d": "run any command on your machine"},
    ),
)

register(*OPERATIONS, *QUESTIONS)
