"""Each defence of the split, switched off: then a certain attack succeeds, and only then.

Run in this process, where a defence can be replaced. What the kernel defends is in test_sandbox.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections.abc import Callable
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from attack import FORGE, LIE, PEER
from page_dangers import dangers

from autograder import (
    channel,
    engine,
    own_limits,
    peer,
    proxies,
    roles,
    sandbox,
    sanitize_html,
    split,
    student_side,
    verdicts,
    wire,
)
from autograder import lent as lent_module
from autograder.bounds import Bounds

pytestmark = [
    pytest.mark.xdist_group("hostile"),
    pytest.mark.skipif(bool(sandbox.available()), reason="confinement isn't available here"),
]

BOUNDS = Bounds(cell_seconds=4, call_seconds=2, notebook_seconds=40, output_bytes=50_000)
Off = Callable[[pytest.MonkeyPatch], None]


def cell(source: str, name: str = "", points: float = 0, tags: tuple[str, ...] = ()
         ) -> dict[str, Any]:  # fmt: skip
    meta: dict[str, Any] = {"tags": list(tags)} if tags else {}
    if name:
        meta["nbgrader"] = {"grade_id": name, "grade": bool(points), "locked": True,
                            "solution": False, "task": False, "schema_version": 3,
                            "points": points}  # fmt: skip
    return {"cell_type": "code", "source": source, "metadata": meta}


def execute(*cells: dict[str, Any], **more: Any) -> dict[str, Any]:
    return engine.execute({"cells": list(cells), "bounds": BOUNDS.to_dict(), **more})


def earned(cells: list[dict[str, Any]], record: dict[str, Any]) -> float:
    """Points of the last cell, as nbgrader sees them."""
    from nbgrader.utils import determine_grade

    made = [nbformat.from_dict({**c, "outputs": k["outputs"], "execution_count": 1})
            for c, k in zip(cells, record["cells"], strict=True)]  # fmt: skip
    verdicts.enforce_verdicts(made, set(record["executed"]), record["why_not"])
    return float(determine_grade(made[-1])[0])


def succeeds(student: str, test: str, before: str = "", **more: Any) -> bool:
    """Whether a student's cell passes a test."""
    cells = [cell(before, "before")] if before else []
    cells += [cell(student), cell(test, "test", 1)]
    return earned(cells, execute(*cells, **more)) == 1


def only_when_off(patch: pytest.MonkeyPatch, off: Off, attack: Callable[[], bool]) -> None:
    """The attack fails; without the defence it succeeds."""
    assert not attack()
    with patch.context() as inner:
        off(inner)
        proxies.object_class.cache_clear()
        assert attack()
    proxies.object_class.cache_clear()


def test_comparisons_are_not_delegated(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(proxies.Remote, "__eq__",
                      lambda self, other: proxies.ask(self, "operator", "__eq__", other))

    only_when_off(monkeypatch, off, lambda: succeeds(
        LIE + "def f(x): return Lie()", "assert f(2) == 4"))


def test_operators_work_on_own_instances_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(proxies, "_must_be_own", lambda proxy, name: None)

    only_when_off(monkeypatch, off, lambda: succeeds(
        LIE + "def f(x): return Lie()", "assert f(2) * 4 == 0.0"))


def test_a_difference_to_data_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(proxies, "DIFFERENCES", ())

    student = LIE + "class Circle:\n    def __init__(self, r): self.area = Lie()"
    only_when_off(monkeypatch, off, lambda: succeeds(
        student, "assert abs(Circle(2).area - 12.566) < 1e-3"))
    honest = "class Circle:\n    def __init__(self, r): self.area = 3.14159 * r * r"
    assert succeeds(honest, "assert abs(Circle(2).area - 12.566) < 1e-3")


def test_a_result_does_not_say_what_it_contains(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setitem(proxies._ABILITY_METHODS, "__contains__",
                      lambda self, item: bool(proxies.ask(self, "contains", item)))

    only_when_off(monkeypatch, off, lambda: succeeds(
        LIE + "def primes(n): return Lie()", "assert 7 in primes(9)"))


def test_a_context_manager_swallows_no_assertion(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setitem(proxies._ABILITY_METHODS, "__exit__",
                      lambda self, *error: bool(proxies.ask(self, "exit")))

    student = "class held:\n    def __enter__(self): return self\n" \
              "    def __exit__(self, *error): return True"  # fmt: skip
    only_when_off(monkeypatch, off, lambda: succeeds(student, "with held():\n    assert 1 == 2"))


HELPER = "def close(a, b): return a == b\ndef _close(a, b): return a == b"
OWN_HELPER = "def f(x): return 0\ndef close(a, b): return True\n_close = close"


def test_locked_names_win(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(split.GraderCells, "_owned", {})

    only_when_off(monkeypatch, off, lambda: succeeds(OWN_HELPER, "assert close(f(2), 4)", HELPER))


def test_locked_names_with_an_underscore_win(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(split, "SHELL_NAMES", re.compile(r"_.*"))

    only_when_off(monkeypatch, off, lambda: succeeds(OWN_HELPER, "assert _close(f(2), 4)", HELPER))


def test_locked_names_win_without_their_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    real = roles.asked_of_student

    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(split, "asked_of_student",
                      lambda source, owned, names, locked: real(source, owned, names))

    only_when_off(monkeypatch, off, lambda: succeeds(
        OWN_HELPER, "assert close(f(2), 4)", locked_names=["close"]))


def test_builtins_win(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(roles, "builtins", SimpleNamespace())

    only_when_off(monkeypatch, off, lambda: succeeds(
        "def f(x): return 0\ndef abs(x): return 0", "assert abs(f(2) - 4) < 1"))


def test_the_instructors_imports_win(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(engine, "usual_imports", lambda cells: [])

    student = "class np: isclose = staticmethod(lambda a, b: True)\nnp = np()\ndef f(x): return 0"
    test = "assert np.isclose(f(2), 4)"
    only_when_off(monkeypatch, off, lambda: succeeds(student, test))
    assert not succeeds(student.replace("np", "nump"), test.replace("np", "nump"),
                        imports=["import numpy as nump"])  # fmt: skip


def test_only_some_modules_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        more = student_side.TRUSTED_MODULES | {"nnlib.numpy_track"}
        patch.setattr(student_side, "TRUSTED_MODULES", more)

    only_when_off(monkeypatch, off, lambda: succeeds(
        FORGE + "mine = Node({'module': 'nnlib.numpy_track'})",
        "import numpy\nassert mine.one_hot(numpy.array([1]), 2).tolist() == [[0, 1]]"))


def test_a_tag_does_not_move_a_graded_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    real = roles.role_of

    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(split, "role_of", lambda one: roles.STUDENT if roles.SETUP_TAG in
                      one["metadata"].get("tags", []) else real(one))

    cells = [cell("def score(*a, points): return float(points)\nf = None"),
             cell("score('relu_forward', f, points=3)", "test", 3, (roles.SETUP_TAG,))]
    only_when_off(monkeypatch, off, lambda: earned(cells, execute(*cells)) == 3)


def test_a_cell_that_never_ran_earns_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(verdicts, "enforce_verdicts", lambda *arguments: [])

    cells = [cell("x = 1"), cell("assert False", "test", 1)]
    record = {"cells": [{"outputs": []}] * 2, "executed": [0], "why_not": "the process ended"}
    only_when_off(monkeypatch, off, lambda: earned(cells, record) == 1)


def test_an_error_that_is_not_shown_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    from autograder.shell import CellShell

    monkeypatch.setattr(CellShell, "showtraceback", lambda self, *args, **kwargs: None)
    real = split.run_cell

    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(split, "run_cell", lambda *arguments: real(*arguments) and None)

    only_when_off(monkeypatch, off, lambda: succeeds("f = 1", "assert f == 2"))


KEPT = PEER + """
kept = []
def use(f): kept.append(f); return 1
def answer():
    try: return kept[0](3)
    except Exception as error: return repr(error)
"""


def test_what_a_cell_lends_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    real = peer.Peer.forget

    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(peer.Peer, "forget", lambda self: None if self.trusted else real(self))

    cells = [cell(KEPT), cell("assert use(lambda x: x * 77) == 1", "first", 1),
             cell("assert answer() == 231", "test", 1)]  # fmt: skip
    only_when_off(monkeypatch, off, lambda: earned(cells, execute(*cells)) == 1)


DIG = PEER + """
leaks = []
def tried(*question):
    try: return peer.ask(*question)
    except Exception as error: leaks.append(getattr(error, "remote_where", None))
def use(lent):
    form = tried("attr", "{0.__globals__}", "format")
    if form is not None: leaks.append(form(lent))
    frame = tried("attr", lent, "gi_frame")
    if frame is not None: leaks.append(str(tried("attr", frame, "f_globals")))
    try: lent(1, 2, 3, 4)
    except Exception as error: leaks.append(getattr(error, "remote_where", None))
    return 1
"""


def leaks(lent: str) -> bool:
    before = "canary_value = 7351\ndef numbers():\n    yield 1\n" \
             "def fail(*given): raise ValueError(len(given) * 0)  # canary_line\n"  # fmt: skip
    record = execute(cell(DIG), cell(before + f"assert use({lent}) == 1", "test", 1),
                     cell("print(leaks)"))  # fmt: skip
    text = str(record["cells"][2])
    return "canary" in text


def test_plain_data_is_not_asked_for_its_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(peer, "about_lent", lambda operation, arguments: True)
        patch.setattr(lent_module, "opened", lambda target, name: target)

    only_when_off(monkeypatch, off, lambda: leaks("lambda: 1"))


def test_attributes_of_lent_objects_stay_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(lent_module, "opened", lambda target, name: target)

    only_when_off(monkeypatch, off, lambda: leaks("numbers()"))


def test_names_with_an_underscore_stay_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(lent_module, "public", lambda name: name)

    student = PEER + "def use(lent):\n    try: return peer.ask('attr', lent, '_right')\n" \
                     "    except Exception: return 0"  # fmt: skip
    test = "class Case:\n    _right = 4\nassert use(Case()) == 4"
    only_when_off(monkeypatch, off, lambda: succeeds(student, test))


def test_errors_quote_no_source_of_the_graders(monkeypatch: pytest.MonkeyPatch) -> None:
    real = peer.describe_error

    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(peer, "describe_error", lambda error, quoting: real(error))

    only_when_off(monkeypatch, off, lambda: leaks("fail"))


@pytest.mark.parametrize(("limit", "value", "node"), [
    ("RANGE_LIMIT", 10**20, {"range": [0, 10**10, 1]}),
    ("INT_DIGITS", 10**9, {"int": "0x" + "1" * 300_000}),
    ("DECIMAL_EXPONENT", 10**9, {"decimal": "1e999999"}),
    ("HEADER_LIMIT", 2**30, None), ("MAX_DEPTH", 10**6, None),
])  # fmt: skip
def test_what_crosses_is_bounded(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int, node: Any
) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(channel if limit == "HEADER_LIMIT" else wire, limit, value)

    def attack() -> bool:
        try:
            if limit == "HEADER_LIMIT":
                one, other = socket.socketpair()
                with one, other:
                    one.sendall(struct.pack("<II", 2**27, 0))
                    channel.Channel(other, 10).receive(time.monotonic() + 0.1)
            elif limit == "MAX_DEPTH":
                nest: list[Any] = []
                for _ in range(150):
                    nest = [nest]
                wire.Encoder(10).encode(nest)
            else:
                wire.Decoder([]).decode(node)
        except wire.TooSlow:
            return True  # it waits for the bytes
        except wire.WireError:
            return False
        return True

    only_when_off(monkeypatch, off, attack)


def test_a_flood_of_messages_does_not_extend_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(channel, "_left", lambda deadline: 0.01)

    def attack() -> bool:
        one, other = socket.socketpair()
        with one, other:
            channel.Channel(one, 10).send({"kind": "event"}, [])
            try:
                channel.Channel(other, 10).receive(time.monotonic() - 1)
            except wire.TooSlow:
                return False
        return True

    only_when_off(monkeypatch, off, attack)


def test_arrays_are_bounded() -> None:
    student = "import numpy\ndef f(): return numpy.zeros(2**21, 'u1')"
    cells = [cell(student), cell("assert f().size == 2**21", "test", 1)]
    for size, right in ((2**20, 0), (2**22, 1)):
        bounds = {**BOUNDS.to_dict(), "array_bytes": size}
        record = engine.execute({"cells": cells, "bounds": bounds})
        assert earned(cells, record) == right


def test_restarts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(student_side, "MAX_RESTARTS", 2)

    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(student_side, "MAX_RESTARTS", 100)

    cells = [*[cell("import os; os._exit(1)")] * 4, cell("x = 1")]
    only_when_off(monkeypatch, off, lambda: 4 in execute(*cells)["executed"])


def test_output_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(student_side, "output_fits", lambda output, room: True)

    flood = PEER + "for _ in range(50):\n" \
                   "    peer.event({'output_type': 'stream', 'text': 'x' * 10_000})"  # fmt: skip
    only_when_off(monkeypatch, off,
                  lambda: len(str(execute(cell(flood))["cells"])) > 400_000)


def test_the_graders_own_computing_and_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def nothing(amount: float) -> Any:
        yield

    def computes() -> bool:
        try:
            with own_limits.computing_limit(0.1):
                end = time.process_time() + 0.5
                while time.process_time() < end:
                    pass
        except own_limits.GraderTimeoutError:
            return False
        return True

    def grows() -> bool:
        try:
            with own_limits.memory_limit(2**26):
                bytearray(2**28)
        except MemoryError:
            return False
        return True

    for name, attack in (("computing_limit", computes), ("memory_limit", grows)):
        replace = (own_limits, name, nothing)
        only_when_off(monkeypatch, lambda p, replace=replace: p.setattr(*replace), attack)


def test_half_characters_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(split, "whole_text", lambda value: value)

    def attack() -> bool:
        record = execute(cell("print('\\ud800')"))
        try:
            json.dumps(record, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return True
        return False

    only_when_off(monkeypatch, off, attack)


@pytest.mark.parametrize(("data", "name"), [
    ({"text/html": "<img src=x onerror=alert(1)>"}, "clean_html"),
    ({"text/markdown": "<script>alert(1)</script>"}, "clean_html"),
])  # fmt: skip
def test_outputs_are_sanitised(
    monkeypatch: pytest.MonkeyPatch, data: dict[str, str], name: str
) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(sanitize_html, name, lambda html: html)

    def attack() -> bool:
        output = {"output_type": "display_data", "data": data, "metadata": {}}
        cleaned = sanitize_html.clean_output(output)["data"]
        return any(dangers(text) for text in cleaned.values())

    only_when_off(monkeypatch, off, attack)


def test_deeply_nested_pages_are_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(sanitize_html, "DEEPEST", 10**9)

    page = "<div>" * 3000
    only_when_off(monkeypatch, off, lambda: "not shown" not in sanitize_html.clean_html(page))


def test_a_tensor_shows_nothing_beside_the_argument() -> None:
    pytest.importorskip("torch")
    forged = FORGE + "import torch\ndef f(x):\n    {}"
    test = "import torch\nkept = torch.arange(6.0)\nx, y = kept[:3], kept[3:]\n" \
           "assert torch.equal(f(x), y)"  # fmt: skip
    for node in ("[0, [3], [1], 3]", "[0, [3], [2], 1]", "[0, [2, 3], [3, 1], 0]"):
        line = "return Node({'tensor view': " + node + "})"
        assert not succeeds(forged.format(line), test)
    line = "return Node({'tensor view': [0, [3], [1], 0]})"
    assert succeeds(forged.format(line), test.replace("f(x), y", "f(x), x"))

