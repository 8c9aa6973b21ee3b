"""What an attack is: an honest notebook that is half right, and what is done to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

NUMPY, TORCH, STOCK = "numpy", "torch", "stock"

PEER = """
import gc
from autograder.peer import Peer
peer = next(o for o in gc.get_objects() if isinstance(o, Peer))
"""
"""Student code that finds its own end of the connection."""

FORGE = PEER + """
import autograder.wire as wire
class Node:
    def __init__(self, node): self.node = node
_plain = wire.Encoder._encode
def _forged(self, value, kind):
    return value.node if type(value) is Node else _plain(self, value, kind)
wire.Encoder._encode = _forged
"""
"""Student code after which a `Node` crosses as the header node that it holds."""

LIE = """
import numpy as np
class Lie:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __contains__ = __lt__
    def __sub__(self, other): return 0.0
    __rsub__ = __mul__ = __rmul__ = __add__ = __radd__ = __truediv__ = __matmul__ = __sub__
    def __abs__(self): return 0.0
    def __float__(self): return 0.0
    def __int__(self): return 0
    def __bool__(self): return True
    def __hash__(self): return 0
    def __len__(self): return 3
    def __iter__(self): return iter([self, self, self])
    def __getitem__(self, key): return self
    def __array__(self, *args, **kwargs): return np.zeros(3)
    def __array_ufunc__(self, *args, **kwargs): return np.array(True)
    def __array_function__(self, *args, **kwargs): return True
    def all(self, *args): return True
    any = all
    shape, ndim, dtype, size = (3,), 1, np.dtype("float64"), 3
"""


@dataclass(frozen=True)
class Attack:
    """One hostile submission.

    Attributes
    ----------
    name : str
        Its name.
    tries : str
        What it tries, in one sentence.
    kind : str
        Which of the notebooks it changes.
    start, code, late, end : str
        Cells that are added: before everything, after the solutions, after the first graded
        cell, at the end.
    cells : mapping
        Grade ids to new text.
    edit : callable
        Changes the notebook as data, after all else.
    less : bool
        Whether it may also lose points that the honest work earns.
    says : str
        What the result's reasons and notes must mention.
    """

    name: str
    tries: str
    kind: str = NUMPY
    start: str = ""
    code: str = ""
    late: str = ""
    end: str = ""
    cells: Mapping[str, str] = field(default_factory=dict)
    edit: Callable[[dict[str, Any]], None] | None = None
    less: bool = True
    says: str = ""

    @property
    def __name__(self) -> str:
        return self.name


def cell_of(notebook: dict[str, Any], name: str) -> dict[str, Any]:
    """The cell with a grade id."""
    return next(c for c in notebook["cells"]
                if c["metadata"].get("nbgrader", {}).get("grade_id") == name)  # fmt: skip


def plain(source: str, kind: str = "code") -> dict[str, Any]:
    """A cell that a student adds."""
    made: dict[str, Any] = {"cell_type": kind, "source": source, "metadata": {}}
    if kind == "code":
        made |= {"outputs": [], "execution_count": None}
    return made
