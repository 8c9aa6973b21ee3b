"""What grading needs to know about an assignment, as plain data that can go to any machine."""

from __future__ import annotations

import ast
import base64
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.course import Course, hash_package, hash_text, package_version
from autograder.executed import BESIDE_LIMIT, code_hash
from autograder.intake import Expected, expected_notebooks
from autograder.notebooks import read_notebook
from autograder.restore import Template, templates_of

# What decides about a result beside the execution: the rest of the way from bytes to scores.
GRADERS = (
    "executed.py", "intake.py", "job.py", "notebooks.py", "plan.py", "restore.py", "result.py",
    "sanitize_html.py", "sanitize_svg.py", "submission.py", "verdicts.py",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """One assignment, ready to be graded anywhere.

    Attributes
    ----------
    assignment : str
        Its name.
    templates : tuple of Template
        Its notebooks as released.
    expected : tuple of Expected
        What identifies each notebook of the course.
    files : mapping
        The instructor's files beside the notebooks: name -> content.
    bounds : dict
        Limits, see `autograder.bounds.Bounds`.
    isolation : {"split", "shared"}
        How locked cells meet the student's code.
    own : mapping
        By notebook: packages that are hidden from it, and names that its solutions define.
    secret : str
        What hidden cases are drawn from.
    trust : bool
        Whether to run without confinement where there is none.
    code : str
        Hash of the code that executes; a machine with other code must not grade.
    version : str
        Hash of the code that does the rest.
    cleanup : tuple of dict
        nbgrader's preprocessors between execution and scores: class and settings.
    """

    assignment: str
    templates: tuple[Template, ...]
    expected: tuple[Expected, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    bounds: Mapping[str, Any] = field(default_factory=dict)
    isolation: str = "split"
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    secret: str = ""
    trust: bool = False
    code: str = ""
    version: str = ""
    cleanup: tuple[Mapping[str, Any], ...] = ()

    @functools.cached_property
    def key(self) -> str:
        """Hash of all that decides about a result, other than the submission."""
        own = [e.to_dict() for e in self.expected if e.assignment == self.assignment]
        return hash_text(json.dumps({**self.to_dict(), "expected": own}, sort_keys=True))

    @functools.cached_property
    def environment(self) -> str:
        """Hash of what an execution depends on beside the notebook, see `executed`."""
        return hash_text(self.code, self.secret)

    @functools.cached_property
    def beside(self) -> str:
        """Hash of the files beside the notebook."""
        return hash_text(json.dumps(_encode(self.files), sort_keys=True))

    def settings(self, notebook: str) -> dict[str, Any]:
        """How a notebook is executed."""
        return {
            "bounds": dict(self.bounds), "isolation": self.isolation, "trust": self.trust,
            **self.own.get(notebook, {}),
        }  # fmt: skip

    @property
    def max_score(self) -> float:
        """Most that the assignment earns."""
        return sum(template.max_score for template in self.templates)

    def order(self) -> dict[str, tuple[str, ...]]:
        """Graded ids of each notebook in the order in which they stand there."""
        return {e.name: e.graded for e in self.expected if e.assignment == self.assignment}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "assignment": self.assignment,
            "templates": [t.to_dict() for t in self.templates],
            "expected": [e.to_dict() for e in self.expected],
            "files": _encode(self.files),
            "bounds": dict(self.bounds), "isolation": self.isolation,
            "own": {name: dict(values) for name, values in self.own.items()},
            "secret": self.secret, "trust": self.trust, "code": self.code, "version": self.version,
            "cleanup": [dict(item) for item in self.cleanup],
        }  # fmt: skip

    @functools.cached_property
    def text(self) -> str:
        """The plan as JSON."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Plan:
        """Rebuild from `to_dict`."""
        return cls(**{
            **data,
            "templates": tuple(Template.from_dict(t) for t in data["templates"]),
            "expected": tuple(Expected.from_dict(e) for e in data["expected"]),
            "files": _decode(data["files"]),
            "cleanup": tuple(data["cleanup"]),
        })  # fmt: skip


@functools.lru_cache(maxsize=4)
def parse_plan(text: str) -> Plan:
    """A plan from its JSON; kept, because all jobs of an assignment carry the same."""
    return Plan.from_dict(json.loads(text))


def _encode(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(files[name]).decode("ascii") for name in sorted(files)}


def _decode(files: Mapping[str, str]) -> dict[str, bytes]:
    return {name: base64.b64decode(text) for name, text in files.items()}


def cleanup_of(config: Any) -> tuple[dict[str, Any], ...]:
    """Nbgrader's enabled preprocessors between execution and scores, with their settings.

    Parameters
    ----------
    config : traitlets.config.Config
        The course's nbgrader configuration.
    """
    from nbgrader.converters import Autograde
    from nbgrader.preprocessors import (
        AssignLatePenalties,
        CheckCellMetadata,
        Execute,
        SaveAutoGrades,
    )

    apart = (Execute, SaveAutoGrades, AssignLatePenalties, CheckCellMetadata)
    chain = config.get("Autograde", {}).get("autograde_preprocessors")
    found = []
    for kind in chain or Autograde.autograde_preprocessors.default():
        if issubclass(kind, apart) or kind.__module__.startswith("autograder."):
            continue
        preprocessor = kind(config=config)
        if preprocessor.enabled:
            found.append({
                "class": f"{kind.__module__}:{kind.__qualname__}",
                "settings": _settings(preprocessor),
            })  # fmt: skip
    return tuple(found)


def _settings(configurable: Any) -> dict[str, str]:
    """An object's configured values, as literals; what isn't a literal stays at its default."""
    literals: dict[str, str] = {}
    for name in configurable.trait_names(config=True):
        text = repr(getattr(configurable, name))
        try:
            ast.literal_eval(text)
        except (ValueError, SyntaxError):
            continue
        literals[name] = text
    return dict(sorted(literals.items()))


def make_plan(course: Course, assignment: str, book: Any, *, trust: bool = False) -> Plan:
    """Collect what grading an assignment needs.

    Parameters
    ----------
    course : Course
        The course.
    assignment : str
        A released assignment.
    book : nbgrader.api.Gradebook
        The gradebook, open.
    trust : bool
        Whether to run without confinement where there is none.
    """
    from autograder.nbgrader_bridge import load_config
    from autograder.settings import for_assignment

    config = load_config(course)
    bounds, isolation = for_assignment(course, assignment, config)
    templates = templates_of(book, assignment)
    own = {
        t.notebook: own_settings(config, t, course.source / assignment / f"{t.notebook}.ipynb")
        for t in templates
    }
    return Plan(
        assignment,
        tuple(templates),
        tuple(expected_notebooks(course)),
        files_beside(course, assignment),
        bounds.to_dict(), isolation, own, course.secret(), trust,
        code_hash(course), graders_hash(course), cleanup_of(config),
    )  # fmt: skip


def own_settings(config: Any, template: Template, source: Path) -> dict[str, Any]:
    """What differs from notebook to notebook of an assignment, as `ConfinedExecute` has it.

    Parameters
    ----------
    config : traitlets.config.Config
        The course's nbgrader configuration.
    template : Template
        The notebook.
    source : Path
        The instructor notebook.
    """
    from nbformat import NotebookNode

    from autograder.execute import hidden_for, require_python
    from autograder.roles import instructors_parts

    require_python(NotebookNode(metadata={"kernelspec": template.kernelspec or {}}))
    patterns = config.get("ConfinedExecute", {}).get("hidden_packages", {})
    if source.is_file():
        cells = read_notebook(source)["cells"]
    else:  # as released: only the solutions' own names are missing
        cells = [{"cell_type": c.cell_type, "source": c.source,
                  "metadata": {"nbgrader": c.metadata()}} for c in template.cells]  # fmt: skip
    return {"hidden": hidden_for(patterns, template.notebook), **instructors_parts(cells)}


def graders_hash(course: Course) -> str:
    """Hash of the code, other than what executes, that decides about a result."""
    names = ("nbgrader", "nbconvert", "nbformat", "nh3")
    return hash_text(
        hash_package("autograder", course, GRADERS), *(package_version(name) for name in names)
    )


def files_beside(course: Course, assignment: str) -> dict[str, bytes]:
    """The instructor's files that an assignment's notebooks find in their folder."""
    folder = course.source / assignment
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".ipynb" and path.stat().st_size < BESIDE_LIMIT
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }  # fmt: skip
