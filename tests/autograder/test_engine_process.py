"""The engine's life: it starts, answers, dies, and is started again."""

import os
import signal
from pathlib import Path

import pytest

from autograder.engine_client import Engine, EngineDied
from autograder.errors import CourseError


def test_an_engine_answers_and_ends() -> None:
    with Engine() as engine:
        assert engine.request({"do": "ping"}) == {"pong": True}
        process = engine._process
        assert process is not None
    assert process.poll() is not None


def test_another_engine_takes_the_place_of_a_dead_one() -> None:
    with Engine() as engine:
        engine.request({"do": "ping"})
        assert engine._process is not None
        first = engine._process.pid
        os.kill(first, signal.SIGKILL)
        engine._process.wait()
        assert engine.request({"do": "ping"}) == {"pong": True}
        assert engine._process.pid != first


def test_a_request_that_takes_too_long_costs_the_engine() -> None:
    cells = [{"cell_type": "code", "source": "import time\ntime.sleep(60)", "metadata": {}}]
    with Engine() as engine:
        engine.request({"do": "ping"})
        with pytest.raises(EngineDied, match="no answer in 1 s"):
            engine.request({"do": "execute", "cells": cells}, 1)
        assert engine.request({"do": "ping"}) == {"pong": True}


def test_an_unknown_request_is_an_error_and_no_end() -> None:
    with Engine() as engine:
        with pytest.raises(EngineDied, match="KeyError"):
            engine.request({"do": "dance"})
        assert engine.request({"do": "ping"}) == {"pong": True}


def test_an_engine_that_can_not_start_ends_the_run_with_the_reason(tmp_path: Path) -> None:
    """A broken installation must stop the grading, not score a class 0."""
    package = tmp_path / "autograder"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "engine.py").write_text("import no_such_package", encoding="utf-8")
    with Engine(path=str(tmp_path)) as engine, pytest.raises(CourseError, match="no_such_package"):
        engine.request({"do": "ping"})
