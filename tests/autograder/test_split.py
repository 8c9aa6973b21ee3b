"""Notebooks of any course: locked cells against a student's process, through proxies."""

from typing import Any

import pytest

from autograder import engine
from autograder.bounds import Bounds

STUDENT, LOCKED, GRADED = "student", "locked", "graded"


def cell(kind: str, source: str, name: str = "c", points: float = 1) -> dict[str, Any]:
    meta: dict[str, Any] = {}
    if kind != STUDENT:
        meta["nbgrader"] = {"grade": kind == GRADED, "solution": False, "locked": True,
                            "grade_id": name, "schema_version": 3, "task": False}
        if kind == GRADED:
            meta["nbgrader"]["points"] = points
    return {"cell_type": "code", "source": source, "metadata": meta}


def run(*cells: tuple[str, str], **options: Any) -> list[dict[str, Any]]:
    """Execute cells; returns the outputs and the status of each."""
    made = [cell(kind, source, f"cell_{index}") for index, (kind, source) in enumerate(cells)]
    limits = options.pop("limits", {"cell_seconds": 8.0, "call_seconds": 2.0})
    bounds = Bounds(notebook_seconds=120, **limits).to_dict()
    record = engine.execute({"cells": made, "bounds": bounds, **options})
    for index, found in enumerate(record["cells"]):
        found["ran"] = index in record["executed"]
    record["cells"][0]["incidents"] = record["incidents"]
    return list(record["cells"])


def errors(found: dict[str, Any]) -> list[str]:
    return [f"{o['ename']}: {o['evalue']}" for o in found["outputs"]
            if o["output_type"] == "error"]


def text(found: dict[str, Any]) -> str:
    return "".join(o["text"] for o in found["outputs"] if o["output_type"] == "stream")


def passes(student: str, test: str, **options: Any) -> bool:
    found = run((STUDENT, student), (GRADED, test), **options)
    assert found[1]["ran"]
    return not errors(found[1])


FUNCTIONS = """
import numpy as np
def add(a, b): return a + b
def double_in_place(values):
    for k in range(len(values)): values[k] *= 2
def scale(array): array *= 3
def apply(f, x): return f(f(x))
def make_adder(n): return lambda x: x + n
def count():
    for k in range(3): yield k
def fail(kind):
    raise kind("no luck")
def shout(): print("loud"); return 1
def rows(x): return {"mean": x.mean(axis=0), "shape": x.shape}
class Stack:
    size_limit = 5
    def __init__(self, items=()): self.items = list(items)
    def push(self, item): self.items.append(item); return self
    def __len__(self): return len(self.items)
    def __getitem__(self, key): return self.items[key]
    def __iter__(self): return iter(self.items)
    def __contains__(self, item): return item in self.items
    def __add__(self, other): return Stack(self.items + other.items)
    def __enter__(self): self.items.append("in"); return self
    def __exit__(self, *error): self.items.append("out")
table = {"a": [1, 2]}
"""


@pytest.mark.parametrize("test", [
    "assert add(1, 2) == 3 and add('a', 'b') == 'ab' and add((1,), (2,)) == (1, 2)",
    "assert (add(np.ones(2), 1) == [2, 2]).all()",
    "x = [1, 2]\ndouble_in_place(x)\nassert x == [2, 4]",
    "import numpy\nx = numpy.ones(3)\nscale(x)\nassert x.tolist() == [3, 3, 3]",
    "assert apply(lambda x: x * 10, 2) == 200",
    "assert make_adder(4)(5) == 9",
    "assert list(count()) == [0, 1, 2]",
    "try:\n    fail(ValueError)\nexcept ValueError as e:\n    text = str(e)\nassert 'luck' in text",
    "import pytest\nwith pytest.raises(KeyError):\n    fail(KeyError)",
    "import io, contextlib\nout = io.StringIO()\nwith contextlib.redirect_stdout(out):\n"
    "    shout()\nassert out.getvalue() == 'loud\\n'",
    "found = rows(np.arange(6.0).reshape(3, 2))\nassert found['shape'] == (3, 2)\n"
    "np.testing.assert_allclose(found['mean'], [2, 3])",
    "s = Stack([1])\ns.push(2).push(3)\nassert len(s) == 3 and s[2] == 3 and 2 in s\n"
    "assert list(s) == [1, 2, 3] and s.items[0] == 1 and Stack.size_limit == 5",
    "assert (Stack([1]) + Stack([2])).items == [1, 2] and isinstance(Stack(), Stack)",
    "s = Stack()\nwith s:\n    pass\nassert s.items == ['in', 'out']\n"
    "s.name = 'mine'\nassert s.name == 'mine'",
    "assert table == {'a': [1, 2]} and callable(add) and add.__name__ == 'add'",
    "rng = np.random.default_rng(0)\nassert add(rng, 0) if False else True",
])  # fmt: skip
def test_free_assertions_work_over_proxies(test: str) -> None:
    found = run((STUDENT, FUNCTIONS), (GRADED, test))
    assert errors(found[0]) == errors(found[1]) == []


@pytest.mark.parametrize("test", [
    "assert add(1, 2) == 4", "assert len(Stack()) == 1", "assert list(count()) == [0]",
    "missing(3)", "Stack().missing", "fail(ValueError)", "assert table['a'] == [1]",
])  # fmt: skip
def test_a_wrong_assertion_fails(test: str) -> None:
    assert not passes(FUNCTIONS, test)


LIAR = """
import numpy as np
class Liar:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __sub__(self, other): return 0.0
    __rsub__ = __add__ = __mul__ = __sub__
    def __abs__(self): return 0.0
    def __float__(self): return 3.0
    def __array__(self, *a, **k): return np.array(3.0)
    def __bool__(self): return True
    def __len__(self): return 3
def three(): return Liar()
"""


@pytest.mark.parametrize("test", [
    "assert three() == 3", "assert 3 == three()", "assert not (three() != 3)",
    "assert three() < 4", "assert abs(three() - 3) < 1e-9", "assert three() in [3]",
    "assert float(three()) == 3", "import numpy\nnumpy.testing.assert_allclose(three(), 3)",
    "import numpy\nassert numpy.isclose(three(), 3)",
    "import math\nassert math.isclose(three(), 3)",
    "assert {3: 1}[three()]", "assert three() + 1 == 0.0", "assert isinstance(three(), int)",
])  # fmt: skip
def test_an_object_that_claims_to_be_right_is_wrong(test: str) -> None:
    assert not passes(LIAR, test)


def test_locked_names_and_builtins_belong_to_the_instructor() -> None:
    cheat = "def helper(x): return True\ndef abs(x): return 0\ndef len(x): return 3\nf = lambda: 1"
    found = run((LOCKED, "def helper(x): return x == 2"), (STUDENT, cheat),
                (GRADED, "assert helper(f())"), (GRADED, "assert abs(f() - 2) < 1e-9"),
                (GRADED, "assert len([]) == 3"))  # fmt: skip
    assert all(errors(found[k]) for k in (2, 3, 4))


def test_an_instructors_own_solution_names_belong_to_the_student() -> None:
    cells = ((LOCKED, "data = 3"), (STUDENT, "data = data + 1\ndef sum(x): return 7"),
             (GRADED, "assert data == 4"), (GRADED, "assert sum([]) == 7"))  # fmt: skip
    assert errors(run(*cells)[2])
    given = run(*cells, student_names=["data", "sum"])
    assert errors(given[2]) == errors(given[3]) == []


def test_an_endless_loop_costs_only_its_own_cell() -> None:
    found = run((STUDENT, "def ok(): return 1\ndef loop():\n    while True: pass"),
                (GRADED, "loop()"), (GRADED, "assert ok() == 1"))  # fmt: skip
    assert "CallTimeout" in errors(found[1])[0]
    assert errors(found[2]) == []


def test_a_loop_that_can_not_be_interrupted_costs_only_its_own_cell() -> None:
    stubborn = (
        "import signal\ndef ok(): return 1\n"
        "def loop():\n    signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "    while True: pass"
    )
    found = run((STUDENT, stubborn), (GRADED, "loop()"), (GRADED, "assert ok() == 1"))
    assert errors(found[1])
    assert errors(found[2]) == []
    assert "endless loop?" in found[0]["incidents"][0]["text"]


def test_a_process_that_ends_itself_is_started_again() -> None:
    found = run((STUDENT, "def ok(): return 1"), (STUDENT, "import os\nos._exit(3)"),
                (STUDENT, "def later(): return 2"),
                (GRADED, "assert ok() + later() == 3"))  # fmt: skip
    assert errors(found[1])
    assert errors(found[3]) == []


def test_outputs_are_those_of_a_notebook() -> None:
    found = run(
        (STUDENT, "print('a')\nprint('b')\nimport sys\nprint('c', file=sys.stderr)\n4 + 4"),
        (STUDENT, "from IPython.display import display, HTML\ndisplay(HTML('<b>x</b>'))\n1 / 0"),
        (GRADED, "2.5"),
    )
    kinds = [[o["output_type"] for o in f["outputs"]] for f in found]
    assert kinds == [["stream", "stream", "execute_result"], ["display_data", "error"],
                     ["execute_result"]]
    assert text(found[0]) == "a\nb\nc\n"
    assert found[1]["outputs"][0]["data"]["text/html"] == "<b>x</b>"
    assert found[2]["outputs"][0]["data"]["text/plain"] == "2.5"


def test_shared_isolation_runs_all_cells_in_one_process() -> None:
    cells = ((STUDENT, "x = 1\nclass A:\n    def __eq__(self, o): return True"),
             (GRADED, "x += 1\nassert x == 2 and A() == 5"), (STUDENT, "print(x)"))  # fmt: skip
    found = run(*cells, isolation="shared")
    assert errors(found[1]) == []
    assert text(found[2]) == "2\n"
    assert errors(run(*cells)[1])


def test_gradients_flow_through_a_students_torch_code() -> None:
    student = """
import torch
from torch import nn
class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 3
    @staticmethod
    def backward(ctx, dy):
        return dy * 7            # wrong on purpose: it must be this code's gradient that arrives
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 3)
        self.register_buffer("seen", torch.zeros(()))
    def forward(self, x):
        self.seen += len(x)
        return self.inner(x).tanh()
def square(x): return x * x
def step(model, x):
    model(x).sum().backward()
    with torch.no_grad():
        for p in model.parameters():
            p -= 0.1 * p.grad
"""
    test = """
import torch
x = torch.tensor([1.0, 2.0], requires_grad=True)
y = square(x)
y.backward(torch.tensor([1.0, 10.0]))
assert x.grad.tolist() == [2.0, 40.0]
z = torch.tensor([2.0], requires_grad=True)
Cube.apply(z).backward()
assert z.grad.tolist() == [7.0]
torch.autograd.gradcheck(square, torch.rand(3, dtype=torch.float64, requires_grad=True))
(g,) = torch.autograd.grad(square(x).sum(), x, create_graph=True)
assert torch.autograd.grad(g.sum(), x)[0].tolist() == [2.0, 2.0]
net = Net()
assert isinstance(net, torch.nn.Module)
assert [n for n, _ in net.named_parameters()] == ["inner.weight", "inner.bias"]
out = net(torch.ones(4, 2))
assert out.shape == (4, 3) and int(net.seen) == 4
out.sum().backward()
assert net.inner.weight.grad.shape == (3, 2) and net.inner.weight.grad.abs().sum() > 0
net.eval()
assert not net.training
mine = torch.nn.Linear(2, 1)
before = mine.weight.detach().clone()
step(mine, torch.ones(1, 2))
assert torch.allclose(mine.weight, before - 0.1) and mine.weight.grad is not None
"""
    found = run((STUDENT, student), (GRADED, test), limits={})
    assert errors(found[0]) == errors(found[1]) == []


def test_the_instructors_files_are_there_on_both_sides() -> None:
    import base64

    files = {"helpers.py": b"def twice(x): return 2 * x\n", "data.txt": b"3\n",
             "numpy.py": b"raise SystemExit('shadowed')\n"}  # fmt: skip
    packed = {name: base64.b64encode(data).decode() for name, data in files.items()}
    found = run(
        (LOCKED, "import helpers\nimport numpy as np\ngiven = int(open('data.txt').read())"),
        (STUDENT, "import helpers\ndef f(): return helpers.twice(int(open('data.txt').read()))"),
        (GRADED, "assert f() == helpers.twice(given) == int(np.array(6))"),
        files=packed, given=packed,
    )
    assert [errors(f) for f in found] == [[], [], []]
    import sys

    assert "helpers" not in sys.modules
