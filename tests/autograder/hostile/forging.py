"""Attacks that speak the protocol themselves: forged messages, values and handles."""

from __future__ import annotations

import json
from typing import Any

from attack import FORGE, PEER, STOCK, TORCH, Attack

DEEP: Any = 1
for _ in range(300):
    DEEP = [DEEP]

NODES: dict[str, Any] = {
    "a tag that isn't there": {"pickle": "x"},
    "two tags": {"int": "1", "tuple": []},
    "a handle of the grader's": {"yours": 1},
    "a negative handle": {"yours": -1},
    "another's object": {"mirror": 0},
    "a module that runs programs": {"module": "subprocess"},
    "a module that ends the process": {"module": "unittest.__main__"},
    "the references": {"module": "nnlib.numpy_track"},
    "an exception class": {"exception type": ["SystemExit", "BaseException"]},
    "a deep nest": DEEP,
    "an array without bytes": {"array": ["<f8", [10**9], 0]},
    "a negative shape": {"array": ["<f8", [-1], 0]},
    "an object dtype": {"array": ["|O", [1], 0]},
    "a huge empty shape": {"array": ["<f8", [0, 10**18], 0]},
    "a dtype of fields": {"dtype": "f8,f8"},
    "nan as a size": {"size": ["nan"]},
    "a fraction as text": {"fraction": ["1e999999999", None]},
    "a decimal number": {"decimal": "1e999999999"},
    "a long range": {"range": [0, 10**15, 1]},
    "a long integer": {"int": "0x" + "f" * 300_000},
    "a named tuple of one name": {"named": ["N", ["fi", "\ufb01"], [1, 2]]},
    "names of Python's own": {"named": ["__class__", ["__eq__", "__dict__"], [1, 2]]},
    "colliding keys": {"dict": [[k * (2**61 - 1), 0] for k in range(700)]},
    "unhashable keys": {"dict": [[{"dict": []}, 1]]},
    "an own key": {"new": [0, "generator", ["0x1", "0x1", 0, 0]]},
    "the grader's kind": {"new": [1, "ndarray", {"array": ["<f8", [0], 0]}]},
    "a view out of range": {"view": [0, [8], 10**9, {"array": ["<f8", [1], 0]}]},
    "a handle with wrong parts": {"handle": ["x", "object", "y", [["z"]]]},
    "a proxy that can do all": {"handle": [10**6, "object", "ndarray", [
        "__len__", "__iter__", "__getitem__", "__contains__", "__call__", "__eq__"]]},
    "half a character": "\ud800",
}  # fmt: skip

TENSOR_NODES: dict[str, Any] = {
    "a meta tensor": {"tensor": ["float32", {"meta": [10**15]}]},
    "a negative size": {"tensor": ["float32", {"meta": [-5]}]},
    "a view of nothing": {"tensor view": [0, [10**6], [1], 0]},
    "a view before its start": {"tensor view": [0, [1], [1], -1]},
    "a graph that isn't there": {"attached": [10**6, ["float32", {"array": ["<f4", [], 0]}]]},
    "a module of names": {"remote module": [1, 1, "M", [True, [[".".join("abc" * 12), 1]], []]]},
    "a class of torch.nn": {"nn class": "Module"},
}


def forged(name: str, node: Any, kind: str) -> Attack:
    """Return a node from every function that is graded."""
    text = f"import json\nbad = Node(json.loads({json.dumps(node)!r}))\n"
    if kind == TORCH:
        text += "def predict_classes(model, x): return bad\nclass SquaredReLU:\n" \
                "    @staticmethod\n    def apply(x): return bad\n"  # fmt: skip
    elif kind == STOCK:
        text += "def normalise(x): return bad\ndef primes(n): return bad\n"
    else:
        text += "from nnlib.contract import LinearGrads\ndef linear_backward(dy, cache):\n" \
                "    return LinearGrads(bad, bad, bad)\ndef standardize(a, b): return bad\n" \
                "answer_gradient_check_step = bad\n"  # fmt: skip
    return Attack(f"{kind}: {name}", f"returns {name} in the place of a result", kind,
                  code=FORGE + text)  # fmt: skip


RAW = PEER + """
def say(**message): peer.channel.send(message, [])
"""
BACKDOOR = PEER + """
leaks = []
def tried(*question):
    try:
        found = peer.ask(*question)
        leaks.append(repr(found))
        return found
    except BaseException as error:
        leaks.append(repr(error) + repr(getattr(error, "remote_where", "")))
def dig(lent):
    for text in ("{0.__globals__}", "{0.__class__.__mro__}", "{0}"):
        form = tried("attr", text, "format")
        if form: leaks.append(form(lent))
    for name in ("__globals__", "__code__", "__closure__", "__class__", "__self__", "gi_frame",
                 "f_globals", "func", "args", "keywords", "tofile", "figure", "__init__"):
        tried("attr", lent, name)
    try: leaks.append(repr(lent("wrong", "arguments", 1, 2, 3)))
    except BaseException as error:
        leaks.append(repr(error) + repr(getattr(error, "remote_where", "")))
"""

ATTACKS = [
    *(forged(name, node, "numpy") for name, node in NODES.items()),
    *(forged(name, node, STOCK) for name, node in list(NODES.items())[::4]),
    *(forged(name, node, TORCH) for name, node in TENSOR_NODES.items()),
    Attack("early-replies", "answers all questions before they are asked", code=RAW + """
for number in range(200):
    say(kind="reply", number=number, sync=[], body=3.0)"""),
    Attack("verdict-events", "sends the verdicts of graded cells as events", STOCK, code=RAW + """
def normalise(x):
    for kind in ("execute_result", "error", "clear", "status"):
        say(kind="event", body={"output_type": kind, "data": {"text/plain": "2.0"}})
    return x
primes = normalise"""),
    Attack("nonsense-messages", "sends messages without parts, and of wrong types", code=RAW + """
for message in ([], {}, {"kind": "ask"}, {"kind": "reply", "number": {}}, {"kind": "event"}):
    peer.channel.send(message, [])"""),
    Attack("giant-header", "announces a message of 4 GB", code=PEER + """
import struct
peer.channel.sock.sendall(struct.pack("<II", 2**32 - 1, 2**32 - 1) + b"x" * 1000)"""),
    Attack("forged-updates", "updates objects of the grader's under all keys", code=PEER + """
from autograder.mirrors import Mirrors
def updates(self, out, *, everything):
    return [[key, {"array": ["<f8", [1], out.add(b"\\0" * 8)]}] for key in range(50)]
Mirrors.updates = updates"""),
    Attack("raising-names", "raises a strange error where names are asked for", STOCK, code="""
import autograder.worker as worker
def names(peer, asked): raise NotADirectoryError("x")
worker.OPERATIONS["names"] = worker.OPERATIONS["forget"] = names"""),
    Attack("names-of-others", "hands over values for names that nobody asked for", STOCK, code="""
import autograder.worker as worker
def names(peer, asked):
    everything = {n: (lambda *a, **k: True) for n in ("np", "_close", "abs", "isinstance", "all",
                  "assert_allclose", "print", "__builtins__", "__name__")}
    space = peer.student.shell.user_ns
    return tuple({**{n: space[n] for n in asked if n in space}, **everything}.items())
worker.OPERATIONS["names"] = names"""),
    Attack("statuses", "says that failing cells were fine, with values", code="""
import autograder.worker as worker
worker.OPERATIONS["cell"] = lambda peer, source, seconds: {"score": 1000}"""),
    Attack("backdoor-numpy", "digs in the functions that a task lends", code=BACKDOOR + """
right = mlp_backward
def mlp_backward(dlogits, cache, *, linear_backward, relu_backward):
    dig(linear_backward); dig(relu_backward)
    return right(dlogits, cache, linear_backward=linear_backward, relu_backward=relu_backward)
""", end="print(leaks)\nimport pathlib\nprint([len(text) for text in leaks])"),
    Attack("backdoor-stock", "digs in a lambda that a test lends", STOCK, code=BACKDOOR + """
def apply_twice(f, x):
    dig(f)
    return f(f(x))""", end="print(leaks)"),
    Attack("backdoor-torch", "digs in a module that a test lends", TORCH, code=BACKDOOR + """
right = predict_classes
def predict_classes(model, x):
    dig(model._remote)
    for name in ("load_state_dict", "compile", "apply", "register_forward_hook", "weight"):
        tried("attr", model._remote, name)
    return right(model, x)""", end="print(leaks)"),
    Attack("handles-kept", "asks for handles after they were taken back", STOCK, code=PEER + """
kept = []
def apply_twice(f, x):
    kept.append(f)
    return f(f(x))
def primes(n):
    found = []
    for one in kept:
        try: found.append(one(n))
        except Exception: pass
    for number in range(40):
        try: found.append(peer.ask("call", type(kept[0])(peer, number, "f"), (n,), ()))
        except Exception: pass
    return found"""),
    Attack("patched-protocol", "replaces the classes of the protocol in its own process", code="""
import autograder.wire, autograder.peer, autograder.mirrors, autograder.shell, autograder.proxies
autograder.wire.encode_plain = lambda value, out: 3.0
autograder.proxies.Remote.__eq__ = lambda self, other: True
autograder.mirrors.Mirrors.updates = lambda self, out, everything: []
autograder.shell.Collector.show = lambda self, output: None
autograder.peer.describe_error = lambda error: {"names": ["Exception"], "text": 3}"""),
]  # fmt: skip
