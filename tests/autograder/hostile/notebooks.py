"""The three notebooks that attacks start from: two of this course's, and one of another."""

from __future__ import annotations

import copy
import json
from typing import Any

from attack import NUMPY, STOCK, TORCH, Attack, cell_of, plain

from autograder.bounds import Bounds
from autograder.intake import expect
from autograder.job import Job
from autograder.plan import Plan
from autograder.restore import Template, TemplateCell, checksum, is_locked
from autograder.roles import instructors_parts
from autograder.submission import Submission
from nnlib.contract import find

SECRET = "canary-secret-8f2a71"
NEIGHBOUR = "canary-neighbour-55d0c3"
BOUNDS = Bounds(
    cell_seconds=2.5, call_seconds=1.5, notebook_seconds=20, memory_bytes=512 * 2**20, processes=48,
    open_files=128, file_bytes=16 * 2**20, output_bytes=200_000, array_bytes=64 * 2**20,
)  # fmt: skip


def meta(name: str, *, points: float = 0, solution: bool = False) -> dict[str, Any]:
    """Metadata of a cell for nbgrader."""
    found = {"grade_id": name, "grade": bool(points), "solution": solution,
             "locked": not solution, "task": False, "schema_version": 3}  # fmt: skip
    return {"nbgrader": found | ({"points": points} if points else {})}


def locked(name: str, source: str, points: float = 0) -> dict[str, Any]:
    """A cell that students can't change."""
    return {**plain(source), "metadata": meta(name, points=points)}


def solution(name: str, source: str) -> dict[str, Any]:
    """A cell that students write."""
    return {**plain(source), "metadata": meta(name, solution=True)}


RIGHT = {
    "relu": """
def relu_forward(x):
    if not isinstance(x, np.ndarray):
        raise DtypeError(f"relu_forward: x must be an array, got {type(x).__name__}")
    if x.dtype.kind != "f":
        raise DtypeError(f"relu_forward: x must hold floats, got {x.dtype}")
    return np.maximum(x, 0), ReluCache(x)""",
    "standardize": """
def standardize(x_train, x_test):
    mean, std = x_train.mean(axis=0), x_train.std(axis=0)
    std = np.where(std == 0, 1.0, std).astype(std.dtype)
    return (x_train - mean) / std, (x_test - mean) / std, mean, std""",
    "linear": """
def linear_backward(dy, cache):
    db = None if cache.b is None else dy.sum(axis=0)
    return LinearGrads(dy @ cache.w.T, cache.x.T @ dy, db)""",
    "mlp": """
def mlp_backward(dlogits, cache, *, linear_backward, relu_backward):
    grads = []
    dy = dlogits
    for step in range(len(cache.linear) - 1, -1, -1):
        if step < len(cache.linear) - 1:
            dy = relu_backward(dy, cache.relu[step])
        found = linear_backward(dy, cache.linear[step])
        dy = found.dx
        grads.insert(0, found)
    return grads""",
    "answer": f"answer_gradient_check_step = {find('gradient_check_step').answer!r}",
    "squared": """
class SquaredReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0) ** 2
    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return 2 * x.clamp(min=0) * dy""",
    "neuron": """
class LinearNeuron(nn.Module):
    def __init__(self, in_features):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(in_features))
        self.bias = nn.Parameter(torch.zeros(()))
    def forward(self, x):
        return x @ self.weight + self.bias""",
    "predict": """
def predict_classes(model, x):
    with torch.no_grad():
        z = model(x)
        return (z >= 0).long() if z.ndim == 1 else z.argmax(dim=1)""",
    "square": "def square(x):\n    return x * x",
    "normalise": "def normalise(x):\n    return (x - x.mean()) / x.std()",
    "vector": """
class Vector:
    def __init__(self, x, y): self.x, self.y = x, y
    def __add__(self, other): return Vector(self.x + other.x, self.y + other.y)
    def __mul__(self, other): return self.x * other.x + self.y * other.y
    def __abs__(self): return (self.x**2 + self.y**2) ** 0.5
    @property
    def length(self): return abs(self)""",
    "twice": "def apply_twice(f, x):\n    return f(f(x))",
    "primes": """
def primes(n):
    return [k for k in range(2, n) if all(k % d for d in range(2, k))]""",
    "holder": """
class holder:
    def __enter__(self): self.value = 42; return self
    def __exit__(self, *error): return None""",
}

HALF = RIGHT | {
    "standardize": "def standardize(x_train, x_test):\n    raise NotImplementedError",
    "linear": "def linear_backward(dy, cache):\n    return LinearGrads(dy, dy, dy)",
    "answer": "answer_gradient_check_step = None",
    "squared": RIGHT["squared"].replace("2 * x", "x"),
    "predict": RIGHT["predict"].replace("with torch.no_grad()", "if True"),
    "normalise": "def normalise(x):\n    return x",
    "vector": """
class Vector:
    def __init__(self, x, y): self.x, self.y = x, y
    def __add__(self, other): return self
    def __mul__(self, other): return 0
    def __abs__(self): return 0
    length = 0""",
    "primes": "def primes(n):\n    return []",
    "holder": """
class holder:
    def __enter__(self): self.value = 0; return self
    def __exit__(self, *error): return None""",
}


def score(name: str, variable: str, points: float, more: str = "") -> dict[str, Any]:
    """A graded cell of this course."""
    source = f'score("{name}", {variable}, points={points}{more})'
    return locked(f"score_{variable}", source, points)


def build(kind: str, text: dict[str, str]) -> dict[str, Any]:
    """One of the notebooks with these solutions."""
    if kind == NUMPY:
        cells = [
            locked("setup", "import numpy as np\n\nfrom nnlib.checks import check, score\n"
                            "from nnlib.contract import LinearGrads, ReluCache\n"
                            "from nnlib.errors import DtypeError"),
            *(solution(name, text[name])
              for name in ("relu", "standardize", "linear", "mlp", "answer")),
            locked("check_relu", 'check("relu_forward", relu_forward)'),
            score("relu_forward", "relu_forward", 2),
            score("mlp_backward", "mlp_backward", 2),
            score("standardize", "standardize", 2),
            score("linear_backward", "linear_backward", 3),
            score("gradient_check_step", "answer_gradient_check_step", 1),
        ]  # fmt: skip
    elif kind == TORCH:
        track = ', track="torch"'
        cells = [
            locked("setup", "import torch\nfrom torch import nn\n\n"
                            "from nnlib.checks import check, score"),
            *(solution(name, text[name]) for name in ("squared", "neuron", "predict")),
            score("LinearNeuron", "LinearNeuron", 3, track),
            score("SquaredReLU", "SquaredReLU", 3, track),
            score("predict_classes", "predict_classes", 3, track),
        ]  # fmt: skip
    else:
        cells = [
            plain("import numpy as np\nfrom numpy.testing import assert_allclose"),
            locked("helpers", "def _close(a, b):\n    return abs(a - b) < 1e-9"),
            *(solution(name, text[name])
              for name in ("square", "normalise", "vector", "twice", "primes", "holder")),
            locked("t_square", "assert square(3) == 9\nassert _close(square(-1.5), 2.25)", 1),
            locked("t_normalise",
                   "data = np.array([1.0, 2.0, 6.0])\nright = (data - data.mean()) / data.std()\n"
                   "found = normalise(data)\nassert_allclose(found, right)\n"
                   "assert found.shape == (3,) and np.isclose(found.std(), 1).all()", 2),
            locked("t_vector",
                   "v = Vector(3, 4)\nassert abs(abs(v) - 5) < 1e-9\nw = v + Vector(1, 1)\n"
                   "assert (w.x, w.y) == (4, 5)\nassert abs(v * w - 32) < 1e-9\n", 1),
            locked("t_length", "assert abs(Vector(3, 4).length - 5) < 1e-9", 1),
            locked("t_twice", "assert apply_twice(lambda k: k * 10, 2) == 200", 1),
            locked("t_primes",
                   "assert 7 in primes(10)\nassert list(primes(10)) == [2, 3, 5, 7]", 1),
            locked("t_holder", "with holder() as held:\n    assert held.value == 42", 1),
        ]  # fmt: skip
    return {
        "cells": [{**cell, "id": f"cell-{number}"} for number, cell in enumerate(cells)],
        "metadata": {"kernelspec": {"name": "python3", "language": "python",
                                    "display_name": "Python 3"}},
        "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip


def make_plan(kind: str) -> Plan:
    """What grading one of the notebooks needs."""
    cells = build(kind, RIGHT)["cells"]
    released = []
    for cell in cells:
        given = cell["metadata"].get("nbgrader")
        if given:
            released.append(TemplateCell(
                given["grade_id"], "code", cell["source"], checksum(cell), is_locked(given),
                given["grade"], given["solution"], False, float(given.get("points", 0)),
            ))  # fmt: skip
    template = Template(kind, tuple(released), {"name": "python3", "language": "python",
                                               "display_name": "Python 3"})
    hidden = [] if kind == TORCH else ["torch"]
    own = {kind: {"hidden": hidden, **instructors_parts(cells)}}
    return Plan("hostile", (template,), (expect("hostile", kind, cells),),
                bounds=BOUNDS.to_dict(), own=own, secret=SECRET)  # fmt: skip


PLANS = {kind: make_plan(kind) for kind in (NUMPY, TORCH, STOCK)}


def honest(kind: str) -> dict[str, Any]:
    """All right; with a text that no other submission may see."""
    notebook = build(kind, RIGHT)
    notebook["cells"].append({**plain(f"canary = '{NEIGHBOUR}'"), "id": "last"})
    return notebook


def twin(kind: str) -> dict[str, Any]:
    """The honest work that every attack starts from."""
    return build(kind, HALF)


def hostile(attack: Attack) -> dict[str, Any]:
    """The notebook of an attack."""
    notebook = twin(attack.kind)
    cells = notebook["cells"]
    for name, source in attack.cells.items():
        cell_of(notebook, name)["source"] = source
    graded = [number for number, cell in enumerate(cells)
              if cell["metadata"].get("nbgrader", {}).get("grade")]  # fmt: skip
    for place, source in ((len(cells), attack.end), (graded[0] + 1, attack.late),
                          (graded[0], attack.code), (0, attack.start)):  # fmt: skip
        if source:
            cells.insert(place, plain(source))
    if attack.edit is not None:
        attack.edit(notebook)
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return notebook


def job(kind: str, notebook: dict[str, Any] | bytes) -> Job:
    """A submission of one notebook."""
    plan = PLANS[kind]
    data = notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode()
    return Job(plan.text, plan.key, Submission({f"{kind}.ipynb": data}))


def copy_of(cell: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A deep copy with changes."""
    return copy.deepcopy(cell) | changes
