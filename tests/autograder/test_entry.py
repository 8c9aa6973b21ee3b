"""Where only nnlib's own needs are installed, the command says what else to install."""

import builtins
from typing import Any

import pytest

from autograder.__main__ import main


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_click(name: str, *args: Any, **kwargs: Any) -> Any:
        if name in ("click", "autograder.cli"):
            raise ModuleNotFoundError("No module named 'click'", name="click")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_click)
    with pytest.raises(SystemExit, match=r"needs the package 'click'.*(?s:.*)nncourse\[learn\]"):
        main()
