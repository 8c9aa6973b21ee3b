"""Cases for choosing a learning rate, and the questions of chapter 9's NumPy notebook."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.registry import register

CHAPTER = "09-schedules"
NUMPY = ("numpy",)


def _noise_ball(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, product: float, **options: Any) -> Case:
        """Make a case whose learning rate is ``product`` over the curvature."""
        curvature = float(rng.uniform(0.5, 4.0))
        return Case(name, prop, (product / curvature,),
                    {"curvature": curvature, "noise_std": float(rng.uniform(1.5, 3.0)), **options})

    return [
        case("a small rate", "values", 0.02),
        case("a middle rate", "values", 0.6),
        case("a large rate", "values", 1.7),
        case("batches of 4", "options", 0.8, batch_size=4),
        case("batches of 50", "options", 1.2, batch_size=50),
        case("no noise", "edge sizes", 0.5, noise_std=0.0),
        Case("a rate of exactly 2 / curvature", "stability", (0.5,),
             {"curvature": 4.0, "noise_std": 1.0}),
        case("a rate above 2 / curvature", "stability", 2.5),
    ]


def _plateau_rates(rng: np.random.Generator) -> list[Case]:
    rate = float(rng.uniform(0.1, 0.5))

    def case(name: str, prop: str, losses: Sequence[float], **options: Any) -> Case:
        noisy = [float(loss + 0.001 * k) for k, loss in enumerate(losses)]
        return Case(name, prop, (noisy,), {"learning_rate": rate, **options}, drive="rates")

    def exact(name: str, prop: str, losses: list[float], **options: Any) -> Case:
        return Case(name, prop, (losses,), {"learning_rate": rate, **options}, drive="rates")

    scale = float(rng.uniform(0.8, 1.2))
    curve = [scale * v for v in (1.0, 0.7, 0.75, 0.72, 0.6, 0.65, 0.62, 0.64, 0.66, 0.5, 0.55,
                                 0.56, 0.57, 0.58, 0.59, 0.6, 0.61, 0.62)]
    return [
        case("patience 2, factor 0.5", "values", curve, factor=0.5, patience=2),
        case("patience 1, factor 0.3", "values", curve, factor=0.3, patience=1),
        # Lower than the one before, but not than the best: no improvement.
        exact("falling, above the best", "values",
              [scale * v for v in (0.5, 0.9, 0.8, 0.7, 0.6, 0.55, 0.4)], factor=0.5, patience=2),
        exact("equal losses", "edge sizes", [scale] * 7, factor=0.5, patience=2),
        exact("patience 0", "edge sizes", [scale * v for v in (0.5, 0.6, 0.4, 0.45, 0.46)],
              factor=0.5, patience=0),
        exact("one loss", "edge sizes", [scale], factor=0.5, patience=1),
        exact("no losses", "edge sizes", [], factor=0.5, patience=1),
        exact("factor and patience by default", "options", [scale] * 26),
        exact("min_learning_rate", "options", [scale] * 8, factor=0.2, patience=0,
              min_learning_rate=0.01),
        exact("nan on the way", "stability",
              [scale, float("nan"), 0.9 * scale, float("nan"), float("nan"), 0.95 * scale],
              factor=0.5, patience=1),
    ]


def _range_test_rates(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, low: float, high: float, steps: int) -> Case:
        factors = rng.uniform(0.7, 1.3, size=2)
        return Case(name, prop, (float(low * factors[0]), float(high * factors[1])),
                    {"steps": steps}, drive="rates")

    return [
        case("5 rates", "values", 1e-3, 10.0, 5),
        case("40 rates", "values", 1e-4, 3.0, 40),
        case("2 rates", "edge sizes", 0.01, 1.0, 2),
        case("3 rates", "edge sizes", 0.01, 1.0, 3),
        case("18 powers of ten", "stability", 1e-9, 1e9, 7),
    ]


def _pick(rng: np.random.Generator) -> list[Case]:
    def curve(steps: int, noise: float) -> tuple[list[float], list[float]]:
        """Draw a range test: flat, falling, lowest near 0.7 of the way, then rising fast."""
        rates = np.geomspace(1e-4, 10.0, steps) * rng.uniform(0.7, 1.3)
        way = np.linspace(0, 1, steps)
        losses = 2.3 - 1.6 * way**2 + 40 * np.maximum(way - 0.72, 0) ** 2
        return rates.tolist(), (losses + noise * rng.normal(size=steps)).tolist()

    def case(name: str, prop: str, steps: int, noise: float, **options: Any) -> Case:
        return Case(name, prop, curve(steps, noise), options)

    # One loss of a lucky batch, far below its neighbours: smoothing must not follow it.
    rates, losses = curve(60, 0.02)
    lucky = [*losses[:20], 0.05, *losses[21:]]
    good, falling = curve(30, 0.02)
    blown = [*falling[:24], float("nan"), 0.1, *falling[26:]]
    infinite = [*falling[:25], float("inf"), float("inf"), *falling[27:]]
    return [
        case("60 rates", "values", 60, 0.03),
        case("100 noisy rates", "values", 100, 0.15),
        Case("one lucky batch", "values", (rates, lucky)),
        case("smoothing=0.5", "options", 60, 0.1, smoothing=0.5),
        case("no smoothing", "options", 60, 0.1, smoothing=0.0),
        case("margin=3", "options", 60, 0.05, margin=3.0),
        Case("nan, then a low loss", "stability", (good, blown)),
        Case("inf at the end", "stability", (good, infinite), {"smoothing": 0.6}),
        case("one rate", "edge sizes", 1, 0.1),
        Case("rising from the start", "edge sizes", ([0.1, 0.2, 0.4], [1.0, 2.0, 3.0])),
    ]


OPERATIONS: Sequence[Operation] = (
    Operation("noise_ball", "(learning_rate, *, curvature, noise_std, batch_size=1) -> float",
              CHAPTER, "noise-ball", ("variance",), _noise_ball, tracks=NUMPY,
              weights={"options": 2.0}),
    Operation("plateau_rates",
              "(losses, *, learning_rate, factor=0.1, patience=10, min_learning_rate=0.0) -> list",
              CHAPTER, "plateau", ("rates",), _plateau_rates, tracks=NUMPY),
    Operation("range_test_rates", "(low, high, *, steps) -> list", CHAPTER, "range-test",
              ("rates",), _range_test_rates, tracks=NUMPY),
    Operation("pick_learning_rate", "(rates, losses, *, smoothing=0.9, margin=10.0) -> float",
              CHAPTER, "range-test", ("rate",), _pick, tracks=NUMPY, weights={"options": 2.0}),
)

QUESTIONS: Sequence[Question] = (
    Question(
        "linear_scaling",
        "SGD without momentum trains well with batches of 32 and a learning rate of 0.1. You go to "
        "batches of 256. Which learning rate does the linear rule give?",
        0.8,
        {
            "0.1": "Then each epoch has eight times fewer steps, none of them larger. Which "
                   "quotient does equation (9.11) ask you to keep?",
            "0.0125": "That is the wrong way round: a larger batch has *less* noise, so it can "
                      "afford a larger step.",
            "0.28284271247461906": "That is the square-root rule, which keeps the noise of one "
                                   "step. The linear rule keeps the noise per example.",
            "0.2828": "That is the square-root rule, which keeps the noise of one step. The linear "
                      "rule keeps the noise per example.",
            "6.4": "You multiplied the rate by 64. By what factor did the batch grow?",
            "8": "That is the factor. What is the rate?",
        },
        CHAPTER, "batch-size-and-rate", tracks=NUMPY, tolerance=1e-3,
    ),
    Question(
        "epoch_for_step",
        "50 epochs of 100 batches, cosine(t, learning_rate=0.1, total_steps=5000). By mistake t is "
        "the number of the epoch. Which learning rate does the last epoch use?",
        "c",
        {
            "a": "That is what the schedule was meant to reach. But t only gets to 49: what is "
                 "cos(49 pi / 5000)?",
            "b": "That is the middle of the cosine, at t = 2500. How far does t get?",
            "d": "A cosine that ran to its end and on would rise again in some libraries. Here t "
                 "doesn't get that far.",
        },
        CHAPTER, "schedules-failures",
        {"a": "nearly 0", "b": "0.05", "c": "nearly 0.1", "d": "it fell and rose many times"},
        tracks=NUMPY,
    ),
)

register(*OPERATIONS, *QUESTIONS)
