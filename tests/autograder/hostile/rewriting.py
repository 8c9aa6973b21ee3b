"""Attacks that rewrite what decides: tests, names, values, hooks, cells."""

from __future__ import annotations

from typing import Any

from attack import LIE, NUMPY, STOCK, TORCH, Attack, cell_of, plain

LYING = LIE + """
from nnlib.contract import LinearGrads
def linear_backward(dy, cache): return LinearGrads(Lie(), Lie(), Lie())
def standardize(x_train, x_test): return Lie(), Lie(), Lie(), Lie()
answer_gradient_check_step = Lie()
"""
LYING_STOCK = LIE + """
def normalise(x): return Lie()
def primes(n): return Lie()
class Vector:
    def __init__(self, x, y): self.x, self.y = Lie(), Lie()
    def __add__(self, other): return self
    def __mul__(self, other): return Lie()
    def __abs__(self): return Lie()
    length = Lie()
class holder:
    value = Lie()
    def __enter__(self): return self
    def __exit__(self, *error): return True
"""
SUBCLASSES = """
import numpy as np
class Array(np.ndarray):
    def __eq__(self, other): return np.ones(self.shape, bool)
    def __sub__(self, other): return np.zeros(self.shape)
    __rsub__ = __sub__
    def __array_ufunc__(self, *args, **kwargs): return np.zeros(self.shape)
    def std(self, *args): return 1.0
class Float(float):
    def __eq__(self, other): return True
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__
    def __abs__(self): return 0.0
class List(list):
    def __contains__(self, item): return True
    def __eq__(self, other): return True
class Text(str):
    def __eq__(self, other): return True
    def __hash__(self): return hash("a")
    def strip(self, *args): return self
    lower = strip
def normalise(x): return np.zeros(3).view(Array)
def primes(n): return List()
class Vector:
    def __init__(self, x, y): self.x = self.y = Float(0)
    def __add__(self, other): return self
    def __mul__(self, other): return Float(0)
    def __abs__(self): return Float(0)
    length = Float(0)
"""
REPLACED = """
import builtins, math, sys
import numpy as np, numpy.testing
for name in ("isinstance", "abs", "float", "all", "any", "len", "round", "callable", "print"):
    kept = getattr(builtins, name)
    setattr(builtins, name, (lambda kept: lambda *a, **k: True if name in ("all", "any") else
                             kept(*a, **k))(kept))
nothing = lambda *args, **kwargs: True
for name in ("allclose", "isclose", "array_equal", "asarray", "array", "shape"):
    setattr(np, name, nothing)
for name in dir(numpy.testing):
    if name.startswith("assert"):
        setattr(numpy.testing, name, nothing)
math.isclose = nothing
assert_allclose = _close = score = check = nothing
class np:
    allclose = isclose = array_equal = staticmethod(nothing)
    array = staticmethod(lambda values: None)
"""
CHANGING = """
class Value:
    count = 0
    def __getattr__(self, name):
        Value.count += 1
        return Value.count
    def __call__(self, *args): return next(answers)
import itertools
answers = itertools.cycle([9, 2.25, 5, 32, 42, 200])
primes = normalise = Vector = holder = Value()
"""
SHELL = """
from IPython import get_ipython
shell = get_ipython()
def change(lines): return ["3.0\\n"]
shell.input_transformers_cleanup.append(change)
import ast
class Swap(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
shell.ast_transformers.append(Swap())
shell.events.register("pre_run_cell", lambda *a: shell.user_ns.update(score=lambda *a, **k: 3.0))
shell.display_formatter.formatters["text/plain"].for_type(float, lambda v, p, c: p.text("3.0"))
shell.displayhook = lambda value: print("3.0")
type(shell).run_cell = lambda self, *a, **k: None
shell.showtraceback = lambda *a, **k: None
"""
MAGICS = """
%%python
print("3.0")
"""
RECORDER = """
import sys, threading
def watch(frame, event, arg):
    frame.f_locals.update(earned=3.0, points_fraction=1.0)
    return watch
sys.settrace(watch); sys.setprofile(watch); threading.settrace(watch)
"""
HOOKS = """
import sys, types, importlib.abc, pathlib, os
class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name.startswith(("nnlib", "autograder", "numpy.testing")):
            return importlib.machinery.ModuleSpec(name, self)
    def exec_module(self, module): module.score = lambda *a, **k: k["points"]
import importlib.machinery
sys.meta_path.insert(0, Finder())
for name in ("numpy", "nnlib", "autograder", "sitecustomize", "usercustomize", "conftest"):
    pathlib.Path(name + ".py").write_text("def score(*a, **k): return k['points']\\n")
pathlib.Path("evil.pth").write_text("import os; os.environ['NNCOURSE_SECRET'] = ''\\n")
for name in ("nnlib.checks", "nnlib", "autograder.verdicts", "autograder.wire"):
    sys.modules[name] = types.SimpleNamespace(score=lambda *a, **k: k["points"], check=print)
os.environ.update(PYTHONPATH=os.getcwd(), PYTHONSTARTUP="sitecustomize.py", NBGRADER_VALIDATING="1")
"""
STOLEN = """
stolen = {}
def mlp_backward(dlogits, cache, *, linear_backward, relu_backward):
    stolen["linear"] = linear_backward
    return honest_mlp(dlogits, cache, linear_backward=linear_backward, relu_backward=relu_backward)
def linear_backward(dy, cache):
    return stolen["linear"](dy, cache)
"""
SEEN = """
import numpy as np
seen = []
def normalise(x):
    seen.append(x)
    x[:] = [0.0, 1.0, 2.0]
    return x
def standardize(x_train, x_test):
    x_train[:] = 0; x_test[:] = 0
    return x_train, x_test, x_train[0], x_train[0]
def linear_backward(dy, cache):
    for part in (dy, cache.x, cache.w):
        part[...] = 0
    return LinearGrads(cache.x, cache.w, dy[0])
"""
TENSORS = """
import torch
from torch import nn
class Tensor(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None): return torch.zeros(())
class SquaredReLU(torch.autograd.Function):
    @staticmethod
    def apply(x):
        y = (x.clamp(min=0) ** 2).detach().as_subclass(Tensor)
        y.backward = lambda *args: None
        return y
torch.equal = torch.allclose = lambda *args, **kwargs: True
torch.testing.assert_close = print
torch.Tensor.backward = lambda self, *args: None
torch.autograd.grad = lambda *args, **kwargs: (torch.zeros(()),)
nn.Module.__call__ = lambda self, *args: torch.zeros(())
"""
HOSTILE_MODULE = """
import torch
from torch import nn
class LinearNeuron(nn.Module):
    def __init__(self, in_features):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(in_features))
        self.bias = nn.Parameter(torch.zeros(()))
        for name in ("forward ", "_parameters", "training", "__class__", "a" * 400):
            self.register_buffer(name.replace(".", ""), torch.zeros(1)) if not hasattr(
                self, name) else None
        self.register_full_backward_hook(lambda module, gi, go: tuple(g * 0 for g in gi))
    def forward(self, x):
        return (x @ self.weight + self.bias).as_strided((len(x),), (1,))
    def named_parameters(self, *args, **kwargs): return iter(())
    def __getattr__(self, name):
        return super().__getattr__(name) if name in ("weight", "bias") else 0
"""


def output(text: str) -> dict[str, Any]:
    """A forged value of a graded cell."""
    return {"output_type": "execute_result", "execution_count": 1, "metadata": {},
            "data": {"text/plain": text}}  # fmt: skip


def forge_outputs(notebook: dict[str, Any]) -> None:
    for cell in notebook["cells"]:
        points = cell["metadata"].get("nbgrader", {}).get("points", 1)
        cell["outputs"], cell["execution_count"] = [output(str(float(points)))], 1


def change_metadata(notebook: dict[str, Any]) -> None:
    for cell in notebook["cells"]:
        given = cell["metadata"].get("nbgrader")
        if given and given.get("grade"):
            given |= {"points": 1000, "solution": True, "locked": False, "checksum": "0" * 32}
            cell["source"] = "1000.0"
            cell["metadata"]["tags"] = ["setup", "skip-execution", "raises-exception"]
        elif given and given.get("solution"):
            given |= {"grade": True, "points": 1000}
    notebook["metadata"]["nncourse"] = {"isolation": "shared", "incidents": []}
    notebook["metadata"]["kernelspec"] = {"name": "python3", "display_name": "x", "argv": ["sh"]}


def setup_tags(notebook: dict[str, Any]) -> None:
    for cell in notebook["cells"]:
        cell["metadata"]["tags"] = ["setup"]
    notebook["cells"].insert(1, plain("def score(*a, points, **k): return float(points)"))
    notebook["cells"][1]["metadata"]["tags"] = ["setup"]


def duplicate(notebook: dict[str, Any]) -> None:
    cells = notebook["cells"]
    graded = [c for c in cells if c["metadata"].get("nbgrader", {}).get("grade")]
    for cell in graded:
        cells.insert(0, {**plain("1000.0"), "metadata": cell["metadata"]})
        cells.append({**plain("1000.0"), "metadata": cell["metadata"]})


def without(*names: str) -> Any:
    """Delete cells."""

    def edit(notebook: dict[str, Any]) -> None:
        for name in names:
            notebook["cells"].remove(cell_of(notebook, name))

    return edit


def reorder(notebook: dict[str, Any]) -> None:
    notebook["cells"].reverse()


def setup_last(notebook: dict[str, Any]) -> None:
    setup = notebook["cells"][0]
    notebook["cells"].remove(setup)
    notebook["cells"].append(setup)


def retype(notebook: dict[str, Any]) -> None:
    for name, kind in (("score_linear_backward", "markdown"), ("score_standardize", "raw")):
        cell = cell_of(notebook, name)
        cell["cell_type"] = kind
        cell.pop("outputs", None), cell.pop("execution_count", None)


def wrong_name(notebook: dict[str, Any]) -> None:
    cell_of(notebook, "setup")["metadata"]["nbgrader"]["grade_id"] = "setup2"
    cell_of(notebook, "setup2")["source"] = "def score(name, f, points): return float(points)"


HONEST_MLP = "honest_mlp = mlp_backward\n"
FULL = "def score(name, function, *, points, track='numpy'): return float(points)\ncheck = score\n"

ATTACKS = [
    Attack("own-score", "defines score and check after the setup cell", code=FULL),
    Attack("own-score-torch", "the same with PyTorch", TORCH, code=FULL),
    Attack("no-setup", "deletes the locked cell that imports score, and defines its own",
           code=FULL, edit=without("setup")),
    Attack("setup-last", "moves the locked imports behind the tests", code=FULL, edit=setup_last),
    Attack("setup-renamed", "turns the locked imports into a cell of its own", edit=wrong_name),
    Attack("no-helpers", "deletes a locked helper of the tests and defines its own", STOCK,
           code="def _close(a, b): return True\nsquare = lambda x: 9", edit=without("helpers")),
    Attack("own-helpers", "redefines a locked helper whose name starts with an underscore", STOCK,
           code="def _close(a, b): return True\ndef square(x): return 9"),
    Attack("builtins", "replaces builtins and the functions of numpy.testing", STOCK,
           code=REPLACED),
    Attack("builtins-numpy", "the same under this course's checks", code=REPLACED),
    Attack("lying", "returns objects that claim to equal everything", code=LYING),
    Attack("lying-stock", "the same under free assertions, and swallows them", STOCK,
           code=LYING_STOCK),
    Attack("subclasses", "returns subclasses of plain types that lie", STOCK, code=SUBCLASSES),
    Attack("changing", "answers differently each time it is asked", STOCK, code=CHANGING),
    Attack("lying-tensors", "returns tensors that lie, and replaces torch's functions", TORCH,
           code=TENSORS),
    Attack("hostile-module", "names parameters so that they clash, hooks gradients", TORCH,
           code=HOSTILE_MODULE),
    Attack("probe-watch", "switches off the model's watch for recorded gradients", TORCH, code="""
honest_predict = predict_classes
def predict_classes(model, x):
    for name in ("watch", "_watch", "training"):
        try: setattr(model, name, False)
        except Exception: pass
    return honest_predict(model, x)"""),
    Attack("shell", "hooks IPython: transformers, events, formatters, run_cell", code=SHELL),
    Attack("shell-stock", "the same under free assertions", STOCK, code=SHELL),
    Attack("magics", "uses magics that run other programs", code=MAGICS),
    Attack("run-cell", "runs a cell from within a function, and prints a value", code="""
def standardize(x_train, x_test):
    get_ipython().run_cell("3.0")
    get_ipython().displayhook(3.0)
    print("3.0")
    return 3.0"""),
    Attack("trace", "traces and profiles to change the locals of callers", code=RECORDER),
    Attack("import-hooks", "installs import hooks and modules that shadow the course's",
           start=HOOKS),
    Attack("stolen-reference", "keeps the reference that one task lends for another task",
           code=HONEST_MLP + STOLEN),
    Attack("arguments", "changes its arguments so that they fit its answer", code=SEEN),
    Attack("arguments-stock", "the same under free assertions", STOCK, code=SEEN),
    Attack("grading-detected", "asks whether it is being graded", code="""
import os, sys
def graded(): return "NBGRADER_EXECUTION" in os.environ or "autograder.worker" in sys.modules
def linear_backward(dy, cache): return graded() and LinearGrads(True, True, True)"""),
    Attack("random-state", "sets the seeds that the tests might draw from", STOCK, code="""
import random
np.random.seed(0); random.seed(0)
np.random.normal = lambda *a, **k: np.zeros(3)
def normalise(x): np.random.seed(1); return np.random.normal(size=3)"""),
    Attack("forged-outputs", "hands in full points as the outputs of graded cells",
           edit=forge_outputs, less=False),
    Attack("forged-outputs-stock", "the same in another course", STOCK, edit=forge_outputs,
           less=False),
    Attack("metadata", "raises points, unlocks graded cells and rewrites them",
           edit=change_metadata, less=False),
    Attack("metadata-stock", "the same in another course", STOCK, edit=change_metadata,
           less=False),
    Attack("setup-tags", "tags every cell as one that runs on both sides", edit=setup_tags),
    Attack("duplicates", "copies graded cells, before and behind, with a value of its own",
           edit=duplicate),
    Attack("deleted", "deletes the graded cells that it fails",
           edit=without("score_linear_backward", "score_standardize"), says="deleted"),
    Attack("reordered", "reverses the order of all cells", edit=reorder),
    Attack("retyped", "turns graded cells into text", edit=retype),
    Attack("late-redefinition", "replaces score and a graded function between two tests",
           late=FULL + "np = None\nlinear_backward = lambda dy, cache: cache"),
    Attack("pretend-error", "raises AssertionError, SystemExit and KeyboardInterrupt", STOCK,
           code="""
def normalise(x): raise SystemExit(0)
def primes(n): raise KeyboardInterrupt
def apply_twice(f, x): return f(f(x))
class Quiet(BaseException):
    def __str__(self): raise SystemExit(0)
def square(x): raise Quiet
class Vector:
    def __init__(self, x, y): raise GeneratorExit
class holder:
    def __enter__(self): raise StopIteration
    def __exit__(self, *error): return True"""),
    Attack("rendered-error", "raises errors that draw their own traceback", STOCK, code="""
class UsageError(Exception):
    def _render_traceback_(self): return []
class Bad(SyntaxError):
    filename = lineno = property(lambda self: 1 / 0)
def normalise(x): raise UsageError("3.0")
def primes(n): raise Bad("\\ud800")
def square(x): return x * x"""),
    Attack("swallowing", "swallows a failed assertion in its context manager", STOCK, code="""
class holder:
    value = 0
    def __enter__(self): return self
    def __exit__(self, *error): return True"""),
    Attack("display", "shows itself as a number by its own formatters", STOCK, code="""
class Show:
    def _repr_mimebundle_(self, **k): return {"text/plain": "5.0"}
    def _ipython_display_(self): print("5.0")
    def _repr_html_(self): return "5.0"
    def __repr__(self): return "5.0"
def normalise(x): display(Show()); return Show()
primes = normalise"""),
]
assert {a.kind for a in ATTACKS} == {NUMPY, TORCH, STOCK}
