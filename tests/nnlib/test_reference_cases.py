"""The reference passes its own case tables, and the tables are what they claim to be."""

import numpy as np
import pytest

from nnlib.checks.compare import compare
from nnlib.checks.judges import FREE_FORM
from nnlib.checks.run import Result, draw_cases, expect, run_cases
from nnlib.checks.tracks import reference
from nnlib.contract import Case, Operation, operations

TOPICS = ("activations", "dense", "losses", "init", "optim", "gradcheck", "engine",
          "losses_more", "schedules", "regularization", "train", "tuning",
          "normalization", "dropout", "embedding", "recurrent", "attention",
          "convolution", "pooling")
MINE = [op for op in operations()
        if getattr(op.make_cases, "__module__", "").rsplit(".", 1)[-1] in TOPICS]
BOTH = [(op, track) for op in MINE for track in op.tracks]


def label(value: object) -> str:
    return value.name if isinstance(value, Operation) else str(value)


def test_the_tables_are_there() -> None:
    assert len(MINE) > 45


def faults(result: Result) -> list[str]:
    found = [d.message for d in result.differences.values()]
    found += [result.dtype] if result.dtype else []
    return found + [f"modified {name}" for name in result.trial.modified]


@pytest.mark.parametrize("secret", ["public", "another seed"])
@pytest.mark.parametrize(("operation", "track"), BOTH, ids=label)
def test_reference_passes(operation: Operation, track: str, secret: str) -> None:
    cases = draw_cases(operation, secret=secret)
    implementation = getattr(reference(track), operation.name)
    results = run_cases(operation, implementation, cases, track=track)
    assert len(results) == len(cases) > 2
    assert {r.case.name: faults(r) for r in results if faults(r)} == {}


@pytest.mark.parametrize("operation", [op for op in MINE if len(op.tracks) == 2], ids=label)
def test_tracks_agree(operation: Operation) -> None:
    compared = 0
    for case in draw_cases(operation):
        if case.raises is None and case.judge not in FREE_FORM:
            one, other = expect(operation, case, "numpy"), expect(operation, case, "torch")
            assert compare(other.outputs, one.outputs) is None, case.name
            compared += 1
    assert compared or operation.chapter == "07-initialization"


@pytest.mark.parametrize("operation", MINE, ids=label)
def test_cases_differ_in_numbers_only(operation: Operation) -> None:
    one, other = (operation.make_cases(np.random.default_rng(seed)) for seed in (1, 2))
    assert [(c.name, c.property) for c in one] == [(c.name, c.property) for c in other]
    assert len({c.name for c in one}) == len(one)
    assert any(c.property == "values" for c in one)


def arrays(case: Case) -> list[np.ndarray]:
    found: list[np.ndarray] = []

    def visit(value: object) -> None:
        if isinstance(value, np.ndarray):
            found.append(value)
        elif isinstance(value, tuple | list):
            for item in value:
                visit(item)
        elif isinstance(value, dict):
            visit(list(value.values()))

    visit(case.args)
    return found


@pytest.mark.parametrize("operation", [
    op for op in MINE
    if op.name not in ("fans", "init_params", "zeros", "topological_order", "sgd_init",
                       "count_parameters", "relative_error", "output_size", "receptive_field")
    and op.chapter not in ("07-initialization", "09-schedules", "12-tuning")], ids=label)
def test_generated_data_vary(operation: Operation) -> None:
    one, other = (operation.make_cases(np.random.default_rng(seed)) for seed in (1, 2))
    for first, second in zip(one, other, strict=True):
        if first.property != "values":
            continue
        pairs = list(zip(arrays(first), arrays(second), strict=True))
        assert pairs, first.name
        assert any(not np.array_equal(a, b) for a, b in pairs), first.name
        large = [a for a, _ in pairs if a.size > 3]
        assert all(len(np.unique(a)) == a.size for a in large if a.dtype.kind == "f"), first.name


@pytest.mark.parametrize("name", ["relu_backward", "linear_backward", "mlp_backward",
                                  "softmax_backward", "backpropagate", "numerical_vjp"])
def test_no_zero_gradient_passes(name: str) -> None:
    """The trap of all-ones upstream gradients: a backward that returns zeros."""
    (operation,) = [op for op in MINE if op.name == name]
    right = getattr(reference("numpy"), name)

    def zeros(value: object) -> object:
        if isinstance(value, dict):
            return {key: zeros(item) for key, item in value.items()}
        if isinstance(value, tuple | list):
            items = [zeros(item) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        return None if value is None else np.zeros_like(value)

    results = run_cases(operation, lambda *a, **k: zeros(right(*a, **k)),
                        draw_cases(operation), track="numpy")
    assert all(faults(r) for r in results if r.case.property == "values")
