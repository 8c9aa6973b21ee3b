"""Cases for cross-validation, searches and checkpoints."""

from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Rng
from nnlib.contract.cases._pairs import error_case
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError
from nnlib.sampling import Choice, IntUniform, LogIntUniform, LogUniform, Uniform

CHAPTER = "12-tuning"


def _kfold(rng: np.random.Generator) -> list[Case]:
    def case(label: str, prop: str, n: int, k: int, **options: Any) -> Case:
        return Case(label, prop, (n,), {"k": k, **options}, drive="kfold")

    name = "kfold_indices"
    labels = np.repeat([0, 1, 2], [30, 20, 10])
    uneven = np.repeat([0, 1], [41, 6])
    good = {"k": 2, "rng": Rng(0)}
    return [
        case("100 rows, 5 folds", "values", 100, 5),
        case("103 rows, 5 folds", "values", 103, 5),
        case("three classes of 30, 20 and 10", "values", 60, 5, labels=rng.permutation(labels)),
        case("two classes of 41 and 6", "options", 47, 3, labels=rng.permutation(uneven)),
        case("classes one after the other", "options", 60, 4, labels=labels),
        case("as many folds as rows", "edge sizes", 6, 6),
        case("two folds", "edge sizes", 7, 2),
        error_case("k=1", (10,), ValueError, f"{name}: k must be an integer >= 2, got 1",
                   {**good, "k": 1}),
        error_case("more folds than rows", (4,), ValueError, f"{name}: k must be at most n",
                   {**good, "k": 5}),
        error_case("a seed for the rng", (4,), DtypeError, f"{name}: rng must be a",
                   {**good, "rng": 7}),
        error_case("too few labels", (4,), ShapeError, rf"{name}: labels must have shape \(4,\)",
                   {**good, "labels": np.zeros(3, int)}),
        error_case("labels as floats", (4,), DtypeError, f"{name}: labels must hold integers",
                   {**good, "labels": np.zeros(4)}),
    ]


def _grid(rng: np.random.Generator) -> list[Case]:
    a, b, c = (float(value) for value in rng.uniform(0.5, 1.5, size=3))
    space = {"rate": [0.1 * a, a, 10 * a], "width": [8, 16], "kind": ["relu", "tanh"]}

    def score(settings: dict[str, Any]) -> float:
        return (settings["rate"] - b) ** 2 + settings["width"] * (
            c if settings["kind"] == "relu" else 0.1)

    def sometimes_nan(settings: dict[str, Any]) -> float:
        return float("nan") if settings["kind"] == "tanh" else score(settings)

    def nan_at_first(settings: dict[str, Any]) -> float:
        return float("nan") if settings["kind"] == "relu" else score(settings)

    name = "grid_search"
    return [
        Case("3 x 2 x 2 settings", "values", (space, score)),
        Case("mode='max'", "options", (space, score), {"mode": "max"}),
        Case("one setting", "edge sizes", ({"rate": [a], "width": [4], "kind": ["relu"]}, score)),
        Case("nan is worst", "stability", (space, sometimes_nan)),
        Case("nan is worst, mode='max'", "stability", (space, sometimes_nan), {"mode": "max"}),
        Case("nan in the first trial", "stability", (space, nan_at_first)),
        Case("all scores equal", "edge sizes", (space, lambda settings: 1.5)),
        error_case("an empty space", ({}, score), ValueError, f"{name}: space must not be empty"),
        error_case("a name without values", ({"rate": []}, score), ValueError,
                   rf"{name}: space\['rate'\] must hold at least one value"),
        error_case("a number for the values", ({"rate": 0.1}, score), DtypeError,
                   rf"{name}: space\['rate'\] must be a list of values, got float"),
        error_case("mode='best'", (space, score), ValueError,
                   f"{name}: mode must be 'min' or 'max'", {"mode": "best"}),
        error_case("no score", (space, lambda settings: None), DtypeError,
                   f"{name}: evaluate must return a number, got NoneType"),
    ]


_SPACE = {"rate": LogUniform(1e-5, 1.0), "drop": Uniform(0.0, 0.5),
          "width": LogIntUniform(4, 512), "layers": IntUniform(1, 4),
          "kind": Choice(["relu", "tanh", "gelu"])}


def _distance(rng: np.random.Generator) -> Any:
    """Return a score with its best place drawn at random."""
    rate, drop = 10 ** float(rng.uniform(-4, -1)), float(rng.uniform(0.1, 0.4))

    def score(settings: dict[str, Any]) -> float:
        return (float(np.log10(settings["rate"] / rate)) ** 2 + (settings["drop"] - drop) ** 2
                + 0.1 * settings["layers"] + (0.5 if settings["kind"] == "tanh" else 0.0))

    return score


def _space_errors(name: str, score: Any, options: dict[str, Any]) -> list[Case]:
    given = {**options, "rng": Rng(0)}
    return [
        error_case("an empty space", ({}, score), ValueError, f"{name}: space must not be empty",
                   given),
        error_case("a list in the space", ({"rate": [0.1, 1.0]}, score), DtypeError,
                   rf"{name}: space\['rate'\] must be a Uniform, LogUniform", given),
        error_case("a seed for the rng", (_SPACE, score), DtypeError, f"{name}: rng must be a",
                   {**given, "rng": 7}),
        error_case("mode='best'", (_SPACE, score), ValueError,
                   f"{name}: mode must be 'min' or 'max'", {**given, "mode": "best"}),
    ]


def _random(rng: np.random.Generator) -> list[Case]:
    score = _distance(rng)

    def case(label: str, prop: str, **options: Any) -> Case:
        return Case(label, prop, (_SPACE, score), options, drive="search")

    return [
        # Each draw of a student's code crosses processes, so its cases are small.
        Case("300 trials", "values", (_SPACE, score), {"trials": 300}, drive="search",
             library=True),
        case("24 trials", "values", trials=24),
        case("20 trials, mode='max'", "options", trials=20, mode="max"),
        case("one trial", "edge sizes", trials=1),
        *_space_errors("random_search", score, {"trials": 3}),
        error_case("trials=0", (_SPACE, score), ValueError,
                   "random_search: trials must be an integer >= 1",
                   {"trials": 0, "rng": Rng(0)}),
    ]


def _halving(rng: np.random.Generator) -> list[Case]:
    near = _distance(rng)

    def score(settings: dict[str, Any], budget: int) -> float:
        # More budget: closer to the truth, another order.
        return near(settings) + float(np.sin(1e3 * settings["drop"])) / budget

    def case(label: str, prop: str, **options: Any) -> Case:
        return Case(label, prop, (_SPACE, score), options, drive="halving")

    name = "successive_halving"
    return [
        case("16 candidates", "values", candidates=16),
        case("27 candidates, factor=3, min_budget=2", "values", candidates=27, factor=3,
             min_budget=2),
        case("11 candidates", "edge sizes", candidates=11),
        case("one candidate", "edge sizes", candidates=1, min_budget=5),
        case("mode='max'", "options", candidates=8, mode="max"),
        *_space_errors(name, score, {"candidates": 4}),
        error_case("factor=1", (_SPACE, score), ValueError,
                   f"{name}: factor must be an integer >= 2",
                   {"candidates": 4, "factor": 1, "rng": Rng(0)}),
    ]


def _evolution(rng: np.random.Generator) -> list[Case]:
    score = _distance(rng)

    def case(label: str, prop: str, **options: Any) -> Case:
        return Case(label, prop, (_SPACE, score), options, drive="evolution")

    name = "evolutionary_search"
    return [
        case("8 generations of 20", "values", population=20, generations=8),
        case("mode='max'", "options", population=20, generations=6, mode="max"),
        case("small changes only", "options", population=20, generations=8, mutation_prob=0.5,
             mutation_scale=0.05),
        case("one generation", "edge sizes", population=5, generations=1),
        *_space_errors(name, score, {"population": 4, "generations": 2}),
        error_case("population=1", (_SPACE, score), ValueError,
                   f"{name}: population must be an integer >= 2",
                   {"population": 1, "generations": 2, "rng": Rng(0)}),
        error_case("mutation_prob=2", (_SPACE, score), ValueError,
                   f"{name}: mutation_prob must be",
                   {"population": 4, "generations": 2, "mutation_prob": 2.0, "rng": Rng(0)}),
    ]


def _checkpoint(rng: np.random.Generator, name: str) -> list[Case]:
    def draw(dtype: type = np.float64) -> dict[str, np.ndarray]:
        return {"0.w": rng.normal(size=(3, 2)).astype(dtype),
                "0.b": rng.normal(size=2).astype(dtype)}

    def case(label: str, prop: str, **content: Any) -> Case:
        return Case(label, prop, (), content, forward=name, drive="checkpoint", rtol=0, atol=0)

    adam = {"step": 12, "m": draw(), "v": draw()}
    return [
        case("parameters and the state of adam", "values", params=draw(), state=adam, step=12,
             rng=Rng(3), metadata={"epoch": 4, "losses": [0.5, 0.25], "note": "größer"}),
        case("float32", "values", params=draw(np.float32), state={"step": 1}, rng=Rng(4)),
        case("parameters only", "edge sizes", params=draw()),
        case("a single number, no elements", "edge sizes",
             params={"a": np.array(rng.normal()), "b": np.zeros((0, 3))}, state={}),
        case("a nested state", "options", params=draw(),
             state={"groups": [{"rate": 0.1, "on": True, "m": draw()}, {"name": None}]}),
    ]


def _save(rng: np.random.Generator) -> list[Case]:
    name, params = "save_checkpoint", {"w": rng.normal(size=2)}
    path = "/nowhere/at/all/run.npz"
    return [
        *_checkpoint(rng, name),
        error_case("no parameters", (path,), ValueError, f"{name}: params must not be empty",
                   {"params": {}}),
        error_case("step=-1", (path,), ValueError, f"{name}: step must be an integer >= 0",
                   {"params": params, "step": -1}),
        error_case("a seed for the rng", (path,), DtypeError, f"{name}: rng must be a",
                   {"params": params, "rng": 7}),
        error_case("metadata that is no plain data", (path,), DtypeError,
                   f"{name}: metadata must be plain data", {"params": params,
                                                            "metadata": {"a": {1, 2}}}),
        error_case("a state that is no data", (path,), DtypeError,
                   f"{name}: state/f must hold arrays, numbers",
                   {"params": params, "state": {"f": len}}),
    ]


def _load(rng: np.random.Generator) -> list[Case]:
    name = "load_checkpoint"

    def bad(label: str, content: bytes, raises: type[Exception], match: str) -> Case:
        return Case(label, "errors", (content,), {}, drive="checkpoint_error", raises=raises,
                    match=match)

    return [
        *_checkpoint(rng, name),
        bad("no file", b"", FileNotFoundError, "run.npz"),
        bad("text", b"not a checkpoint at all", ValueError,
            f"{name}: .*run.npz must be a whole file of format 'nnlib-checkpoint'"),
        bad("half an archive", b"PK\x03\x04" + 40 * b"\x00", ValueError,
            f"{name}: .*cannot be read"),
    ]


register(
    Operation("kfold_indices", "(n, *, k, rng, labels=None) -> list of (train, test)", CHAPTER,
              "cross-validation", ("folds",), _kfold),
    Operation("grid_search", '(space, evaluate, *, mode="min") -> SearchResult(trials, best)',
              CHAPTER, "grid-search", ("trials", "best"), _grid),
    Operation("random_search",
              '(space, evaluate, *, trials, rng, mode="min") -> SearchResult(trials, best)',
              CHAPTER, "random-search", ("search",), _random),
    Operation("successive_halving",
              "(space, evaluate, *, candidates, min_budget=1, factor=2, rng, "
              'mode="min") -> SearchResult(trials, best)', CHAPTER, "successive-halving",
              ("search",), _halving),
    Operation("evolutionary_search",
              "(space, evaluate, *, population, generations, rng, mutation_prob=0.3, "
              'mutation_scale=0.2, mode="min") -> SearchResult(trials, best)', CHAPTER,
              "evolutionary-search", ("search",), _evolution),
    Operation("save_checkpoint",
              "(path, *, params, state=None, rng=None, step=0, metadata=None) -> None", CHAPTER,
              "checkpoints", ("params", "state", "rng", "step", "metadata", "files"), _save),
    Operation("load_checkpoint",
              "(path) -> Checkpoint(params, state, rng, step, metadata)", CHAPTER, "checkpoints",
              ("params", "state", "rng", "step", "metadata", "files"), _load),
)
