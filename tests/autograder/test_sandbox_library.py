"""The library for student code: what it holds, and above all what it doesn't."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import nnlib.contract
from autograder import sandbox_library
from autograder.sandbox_library import build_library, named_tuples

ROOT = Path(__file__).parents[2]

FORBIDDEN = (
    "mistakes", "numpy_track", "torch_track", "cases", "registry.py", "case.py", "oracle",
    "judges", "drivers", "diagnose", "answers", "compare", "solutions", "exercises", "gradebook",
    "secret", "engine", "execute", "sandbox", "record", "job.py", "sampling", "training",
)  # fmt: skip


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_library(ROOT, tmp_path_factory.mktemp("libraries"))


def run(library: Path, code: str) -> str:
    """Run code where only the library and the installed packages can be imported."""
    # An editable install of the course would be found too.
    course_hidden = "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f)]"
    clean = f"import sys; {course_hidden}; {code}"
    done = subprocess.run(
        [sys.executable, "-P", "-B", "-c", clean],
        env={"PYTHONPATH": str(library)},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_library_holds_nothing_that_knows_an_answer(library: Path) -> None:
    names = [str(path.relative_to(library)) for path in library.rglob("*")]
    assert "nnlib/contract/caches.py" in names
    # The book's prose is data of the language chapters; its files are named after chapters.
    code = [name for name in names if not name.startswith("nnlib/data/book_text/")]
    assert not [name for name in code if any(word in name for word in FORBIDDEN)]
    assert {path.name for path in library.iterdir()} == {"autograder", "nnlib"}
    assert {path.name for path in (library / "nnlib").iterdir()} == {
        "__init__.py", "checks", "contract", "data", "errors.py", "py.typed", "viz",
    }  # fmt: skip
    assert [path.name for path in (library / "nnlib" / "checks").iterdir()] == ["__init__.py"]
    assert not [path for path in library.rglob("*") if path.is_symlink()]


def test_no_file_of_the_library_names_the_machine(library: Path) -> None:
    for path in library.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert str(ROOT) not in text, path


def initial(package: Path) -> str:
    path = package / "__init__.py"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def imported(path: Path, package: str) -> set[str]:
    """Modules of one package that a file imports, at its top or in functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == package}


@pytest.mark.parametrize("package", ["autograder", "nnlib"])
def test_what_the_library_imports_is_in_it(library: Path, package: str) -> None:
    for path in library.rglob("*.py"):
        for name in imported(path, package):
            place = library / name.replace(".", "/")
            parent = place.parent
            assert (
                place.with_suffix(".py").exists()
                or place.is_dir()
                or parent.with_suffix(".py").exists()  # a name in a module
                or place.name in initial(parent)  # a name in a package
            ), f"{path.relative_to(library)} imports {name}"


def test_every_part_can_be_imported(library: Path) -> None:
    modules = [
        ".".join(path.relative_to(library).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(library.rglob("*.py"))
    ]
    assert "nnlib.data" in modules
    code = f"import importlib, json; [importlib.import_module(m) for m in {modules!r}]; " + (
        "print(json.dumps([m.__file__ for n, m in sys.modules.items() "
        "if n.split('.')[0] in ('nnlib', 'autograder')]))"
    )
    files = json.loads(run(library, code))
    assert len(files) == len(modules)
    assert all(Path(file).is_relative_to(library) for file in files)


def test_the_package_imports_nothing_else(library: Path) -> None:
    for package in ("autograder", "nnlib"):
        tree = ast.parse(initial(library / package))
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]


def test_the_contract_s_types_are_there(library: Path) -> None:
    expected = sorted(
        name
        for name in nnlib.contract.__all__
        if issubclass(type(getattr(nnlib.contract, name)), type)
        and getattr(nnlib.contract, name).__module__.startswith("nnlib.contract.caches")
    )
    assert len(expected) > 40
    code = "import json, nnlib.contract as c; print(json.dumps(c.__all__))"
    found = json.loads(run(library, code))
    assert found == expected
    run(library, "from nnlib.contract import LinearGrads; assert LinearGrads(1, 2, 3).dw == 2")


def test_only_public_named_tuples_count() -> None:
    source = "class B(NamedTuple): x: int\nclass _P(NamedTuple): x: int\nclass C: pass\nArray = 1\n"
    assert named_tuples(source) == ["B"]


@pytest.mark.parametrize("name", ["check", "score", "grade", "check_all"])
def test_checks_only_say_where_they_run(library: Path, name: str) -> None:
    code = f"from nnlib.checks import {name}; print({name}('relu_forward', abs, points=3))"
    said, result = run(library, code).splitlines()
    assert said.startswith(f"{name} runs in the grader")
    assert result == "None"


def test_data_and_figures_work(library: Path) -> None:
    code = (
        "from nnlib import data, viz; import numpy as np; "
        "x = data.make_moons(np.random.default_rng(0), 20); "
        "assert 'What can a single neuron decide' in data.book_text(); "
        "assert viz.COLORS['w']"
    )
    run(library, code)


def test_a_library_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_library(ROOT, tmp_path)
    inode = first.stat().st_ino
    assert build_library(ROOT, tmp_path) == first
    assert first.stat().st_ino == inode
    assert [path.name for path in tmp_path.iterdir()] == [first.name]
    assert first.stat().st_mode & 0o777 == 0o755
    assert (first / "nnlib" / "errors.py").stat().st_mode & 0o777 == 0o644
    monkeypatch.setattr(sandbox_library, "CHECKS", "# other\n")
    second = build_library(ROOT, tmp_path)
    assert second != first
    assert (second / "nnlib" / "checks" / "__init__.py").read_text("utf-8") == "# other\n"


def test_another_course_needs_no_nnlib(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "autograder").symlink_to(ROOT / "autograder")
    library = build_library(tmp_path / "site", tmp_path / "libraries")
    assert [path.name for path in library.iterdir()] == ["autograder"]
