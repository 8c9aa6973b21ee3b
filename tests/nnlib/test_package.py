"""Rules of the packages as a whole: what imports what, and that every example is true."""

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nnlib

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(module.name for module in pkgutil.walk_packages(nnlib.__path__, "nnlib."))
SOURCES = sorted(
    path for package in ("nnlib", "autograder") for path in (ROOT / package).rglob("*.py")
)


def loaded_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport sys; print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        encoding="utf-8",
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import nnlib",
        "import nnlib.contract",
        "import nnlib.checks",
        "import nnlib.numpy_track",
        "import nnlib.data",
        "import nnlib.viz",
        "import nnlib.mistakes",
        "from nnlib.mistakes import for_exercise; for_exercise('linear_backward')",
    ],
)
def test_light_imports(statement: str) -> None:
    heavy = {"torch", "matplotlib", "sklearn", "pytest", "autograder", "IPython"}
    assert not heavy & loaded_after(statement)


def imports_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if "nnlib" in p.parts], ids=lambda p: str(p.relative_to(ROOT))
)
def test_nnlib_stands_alone(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports_of(path)}
    assert "autograder" not in roots
    assert "pytest" not in roots


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    # A package's list of names is as long as the package is rich.
    assert len(text.splitlines()) <= (450 if path.name != "__init__.py" else 900)
    assert path.stat().st_size <= 24_000


@pytest.mark.parametrize("name", MODULES)
def test_every_example_is_true(name: str) -> None:
    module = importlib.import_module(name)
    with np.printoptions(legacy=False):
        outcome = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert outcome.failed == 0


@pytest.mark.parametrize("track", ["numpy", "torch"])
def test_public_functions_of_the_tracks_have_complete_docstrings(track: str) -> None:
    module = importlib.import_module(f"nnlib.{track}_track")
    assert len(module.__all__) > 40
    for name in module.__all__:
        function = getattr(module, name)
        text = function.__doc__ or ""
        assert text.strip(), f"{name} has no docstring"
        if (
            callable(function)
            and not isinstance(function, type)
            and name.endswith(("_forward", "_backward"))
        ):
            assert "Parameters" in text, name
            assert "Returns" in text, name


def test_each_track_has_every_operation_of_the_contract() -> None:
    from nnlib.contract import operations

    for track in ("numpy", "torch"):
        module = importlib.import_module(f"nnlib.{track}_track")
        missing = [op.name for op in operations(track=track) if not hasattr(module, op.name)]
        assert not missing, f"{track}_track lacks {missing}"
