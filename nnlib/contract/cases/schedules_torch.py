"""Cases for the PyTorch exercises of chapter 9, and the questions of that notebook.

Losses and schedules are named by keys of `nnlib.checks.torch_schedule_drivers`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.registry import register

CHAPTER = "09-schedules"
TORCH = ("torch",)
Arrays = dict[str, np.ndarray]
Batch = tuple[np.ndarray, np.ndarray]


def _network(rng: np.random.Generator) -> Arrays:
    v: np.ndarray = rng.normal(size=(3, 4))
    w: np.ndarray = rng.normal(size=(4, 2))
    return {"v": v, "w": w}


def _batches(rng: np.random.Generator, count: int, n: int = 5) -> list[Batch]:
    return [(rng.normal(size=(n, 3)) + 0.5, rng.normal(size=(n, 2))) for _ in range(count)]


def _train_with_schedule(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, schedule: str, batches: int, epochs: int) -> Case:
        return Case(name, prop, ("mse", _network(rng), _batches(rng, batches)),
                    {"schedule": schedule, "epochs": epochs,
                     "learning_rate": float(rng.uniform(0.1, 0.3))}, drive="torch_schedule")

    return [
        case("a stair, 2 epochs of 3 batches", "values", "stair", 3, 2),
        case("a warm-up, 1 epoch of 6 batches", "values", "warm-up", 6, 1),
        case("halving, 3 epochs of 2 batches", "values", "halving", 2, 3),
        case("constant", "options", "constant", 3, 2),
        case("one batch an epoch", "edge sizes", "halving", 1, 4),
        case("no epochs", "edge sizes", "halving", 2, 0),
    ]


def _clipped_step(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, *, max_norm: float, rate: float = 0.1, size: float = 1.0,
             used: bool = False, broken: float = 0.0) -> Case:
        x, y = _batches(rng, 1)[0]
        x[0, 0] += broken
        options = {"learning_rate": rate, "max_norm": max_norm, "used": used}
        return Case(name, prop, ("mse", _network(rng), x, size * y), options,
                    drive="torch_clipped_step", rtol=3e-6)

    return [
        case("a long gradient", "values", max_norm=0.5, size=20.0),
        case("a longer one", "values", max_norm=1.5, size=200.0, rate=0.3),
        case("a short gradient", "values", max_norm=1e4),
        case("gradients are there already", "PyTorch rules", max_norm=0.7, size=10.0, used=True),
        case("a larger bound", "options", max_norm=5.0, size=50.0),
        case("an infinite input: no step", "stability", max_norm=1.0, broken=np.inf),
    ]


def _train_body_and_head(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, batches: int, warmup_steps: int) -> Case:
        return Case(name, prop, ("mse", _network(rng), _batches(rng, batches)),
                    {"warmup_steps": warmup_steps,
                     "body_learning_rate": float(rng.uniform(0.02, 0.06)),
                     "head_learning_rate": float(rng.uniform(0.1, 0.3))}, drive="torch_groups")

    return [
        case("6 batches, warm-up of 3", "values", 6, 3),
        case("5 batches, warm-up of 4", "values", 5, 4),
        case("a warm-up longer than the training", "options", 3, 10),
        case("no warm-up", "edge sizes", 3, 0),
        case("one batch", "edge sizes", 1, 2),
    ]


def _range_test(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, batches: int, *, low: float = 1e-3, high: float = 1.0,
             broken: tuple[int, ...] = ()) -> Case:
        factors = rng.uniform(0.7, 1.3, size=2)
        given = _batches(rng, batches)
        for k in broken:
            given[k][0][1, 1] = np.inf
        return Case(name, prop, ("mse", _network(rng), given),
                    {"low": float(low * factors[0]), "high": float(high * factors[1])},
                    drive="torch_range_test")

    return [
        case("8 rates", "values", 8),
        case("5 rates", "values", 5, low=0.01, high=0.5),
        case("two rates", "edge sizes", 2),
        case("the sixth loss is not finite", "stability", 9, broken=(5,)),
        case("the second loss is not finite", "stability", 4, broken=(1, 2)),
    ]


def _resumable(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, steps: int, stop: int, dtype: type = np.float64) -> Case:
        d, k = (3, 2) if steps > 1 else (2, 1)
        weights: np.ndarray = rng.normal(size=(2, d, k)).astype(dtype)
        batches: list[Batch] = [
            (rng.normal(size=(6, d)).astype(dtype), rng.normal(size=(6, k)).astype(dtype))
            for _ in range(steps)]
        # Numbers in Python floats don't show that they were computed in float32.
        rtol, atol = (2e-4, 2e-5) if dtype is np.float32 else (None, None)
        return Case(name, prop, (weights[0], weights[1], batches),
                    {"stop": stop, "learning_rate": float(rng.uniform(0.05, 0.15)),
                     "total_steps": steps + 2}, drive="torch_resumable", rtol=rtol, atol=atol)

    return [
        case("8 steps, stopped after 3", "values", 8, 3),
        case("6 steps, stopped after 5", "values", 6, 5),
        case("float32", "values", 7, 4, np.float32),
        case("stopped before the first step", "edge sizes", 4, 0),
        case("stopped at the end", "edge sizes", 4, 4),
    ]


def _operation(name: str, signature: str, anchor: str, outputs: tuple[str, ...],
               make_cases: object, **more: Any) -> Operation:
    return Operation(name, signature, CHAPTER, anchor, outputs, make_cases,  # type: ignore[arg-type]
                     tracks=TORCH, **more)


OPERATIONS: Sequence[Operation] = (
    _operation("train_with_schedule",
               "(model, batches, loss_fn, schedule, *, learning_rate, epochs) -> list of rates",
               "schedules-pytorch", ("rates", "state"), _train_with_schedule),
    _operation("clipped_step",
               "(model, x, y, loss_fn, *, learning_rate, max_norm) -> norm",
               "clipping-pytorch", ("norm", "state"), _clipped_step, weights={"stability": 4.0}),
    _operation("train_body_and_head",
               "(model, batches, loss_fn, *, body_learning_rate, head_learning_rate, "
               "warmup_steps) -> list of (rate, rate)",
               "groups-pytorch", ("rates", "state"), _train_body_and_head),
    _operation("learning_rate_range_test",
               "(model, batches, loss_fn, *, low, high) -> (rates, losses)",
               "range-test", ("rates", "losses", "state"), _range_test),
    _operation("ResumableRun",
               "(w, *, learning_rate, total_steps): step(x, y) -> loss, learning_rate(), "
               "weights(), state_dict(), load_state_dict(state)",
               "resume", ("losses", "losses_after", "rates", "weights"), _resumable,
               kind="class", output_weights={"losses_after": 2.0}),
)

QUESTIONS: Sequence[Question] = (
    Question(
        "scheduler_first",
        "An SGD optimizer with lr=0.8 and LambdaLR(optimizer, lambda step: 0.5**step). The loop "
        "calls scheduler.step() before optimizer.step(). Which learning rate does the first update "
        "use?",
        0.4,
        {
            "0.8": "That is what the right order would use. The first call of scheduler.step() "
                   "has already moved on to step 1.",
            "0.2": "That is two steps on. Only one call came before the first update.",
            "0.5": "0.5 is the factor. LambdaLR multiplies it with the optimizer's lr.",
            "1.0": "Factors never exceed 1 here, and they are multiplied with lr = 0.8.",
            "0": "No factor is 0. Which step is the scheduler at after one call?",
        },
        CHAPTER, "schedules-pytorch", tracks=TORCH,
    ),
    Question(
        "norm_after_clipping",
        "norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0) gives 37.2. How "
        "long is the gradient now, all parameters together?",
        1.0,
        {
            "37.2": "That is the norm *before* clipping: it is returned so that you can record it.",
            "36.2": "Clipping doesn't subtract. It multiplies all gradients by one factor.",
            "0.026881720430107527": "That is the factor, 1 / 37.2. How long is a gradient of "
                                    "length 37.2 once it is multiplied by it?",
            "0": "The direction is kept, and so is a length. Which one?",
        },
        CHAPTER, "clipping-pytorch", tracks=TORCH, tolerance=1e-3,
    ),
    Question(
        "one_cycle_steps",
        "10 epochs of 120 batches; scheduler.step() follows every optimizer.step(). Which "
        "total_steps belongs into OneCycleLR?",
        1200.0,
        {
            "10": "OneCycleLR counts calls of step(). With 10 it raises an error in the first "
                  "epoch.",
            "120": "That is one epoch. The cycle is meant to last for the whole training.",
            "12": "Epochs and batches multiply: each epoch makes an update for every batch.",
            "1199": "The first update uses the rate that the constructor sets, and one call "
                    "follows each update, the last one included.",
            "1201": "One call for each update is enough. How many updates are there?",
        },
        CHAPTER, "schedules-pytorch", tracks=TORCH,
    ),
)

register(*OPERATIONS, *QUESTIONS)
