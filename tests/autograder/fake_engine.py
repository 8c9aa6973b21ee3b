"""Stands in for the engine where tests are about everything around it: no process, no sandbox."""

from __future__ import annotations

import ast
import contextlib
import io
import sys
import threading
from pathlib import Path
from typing import Any

from autograder.engine_client import EngineDied
from autograder.feedback import feedback_request
from autograder.job import grade_request

LOCK = threading.Lock()


def stream(name: str, text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


class Notebook:
    """Runs cells with exec, one notebook at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.count = 0

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        """Execute a request as the engine does, roughly."""
        self.count += 1
        with LOCK:
            return self._run(request)

    def _run(self, request: dict[str, Any]) -> dict[str, Any]:
        space: dict[str, Any] = {}
        cells, executed = [], []
        kept = {n: m for n, m in sys.modules.copy().items() if n.split(".")[0] == "nnlib"}
        for name in kept:
            del sys.modules[name]
        sys.path.insert(0, str(self.root))
        try:
            number = 0
            for index, cell in enumerate(request["cells"]):
                if cell["cell_type"] != "code":
                    continue
                number += 1
                cells.append({"outputs": run_cell(cell["source"], space, number),
                              "execution_count": number})  # fmt: skip
                executed.append(index)
        finally:
            sys.path.remove(str(self.root))
            for name in [n for n in sys.modules.copy() if n.split(".")[0] == "nnlib"]:
                del sys.modules[name]
            sys.modules.update(kept)
        return {"executed": executed, "incidents": [], "why_not": "it has no code", "cells": cells}


class Router(io.StringIO):
    """Takes what one thread prints; what other threads print goes where it went before."""

    def __init__(self, before: Any) -> None:
        super().__init__()
        self.before, self.owner = before, threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() == self.owner:
            return super().write(text)
        return int(self.before.write(text))

    def flush(self) -> None:
        self.before.flush()


def run_cell(source: str, space: dict[str, Any], number: int) -> list[dict[str, Any]]:
    out, err = Router(sys.stdout), Router(sys.stderr)
    last: list[dict[str, Any]] = []
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            tree = ast.parse(source)
            tail = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, "cell", "exec"), space)
            if isinstance(tail, ast.Expr):
                value = eval(compile(ast.Expression(tail.value), "cell", "eval"), space)
                if isinstance(value, dict) and "mime" in value:
                    last = [{"output_type": "display_data", "metadata": {}, "data": value["mime"]}]
                elif value is not None:
                    last = [{"output_type": "execute_result", "metadata": {},
                             "execution_count": number, "data": {"text/plain": repr(value)}}]
        except Exception as error:
            last = [{"output_type": "error", "ename": type(error).__name__, "evalue": str(error),
                     "traceback": [f"{type(error).__name__}: {error}"]}]
    texts = [("stdout", out.getvalue()), ("stderr", err.getvalue())]
    return [stream(name, text) for name, text in texts if text] + last


class FakeEngine:
    """An engine client that answers in this process.

    `die_on` makes it die on submissions whose cells contain that text, `dies` so many times.
    """

    def __init__(self, root: Path, die_on: str = "", dies: int = 10**9) -> None:
        self.execute = Notebook(root)
        self.die_on, self.dies = die_on, dies
        self.deaths = 0
        self.killed = False
        self.requests: list[str] = []

    def request(self, message: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
        if self.killed:
            raise EngineDied("the grader's process was killed")
        self.requests.append(message["do"])
        if message["do"] == "feedback":
            return feedback_request(message)
        return grade_request(message, self._execute)

    def _execute(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.die_on and any(self.die_on in c["source"] for c in request["cells"]):
            self.deaths += 1
            if self.deaths <= self.dies:
                raise EngineDied("the grader's process died (signal 9)")
        return self.execute(request)

    def kill(self) -> None:
        self.killed = True

    def close(self) -> None:
        pass
