"""The grader is graded: every known mistake fails and is named, every alternative passes.

Generic over all exercises: a new chapter is covered by adding its files.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from nnlib.checks import grade
from nnlib.checks.diagnose import candidate
from nnlib.checks.tracks import reference
from nnlib.contract import find, operations, questions
from nnlib.mistakes import Mistake, for_exercise

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted(path.name for path in (ROOT / "solutions").iterdir() if path.is_dir())


def graded_names(chapter: str, track: str) -> list[str]:
    """Names that the notebook of a chapter and track grades, in order."""
    import jupytext

    from autograder.notebooks import score_call

    names = []
    for path in sorted((ROOT / "solutions" / chapter).glob(f"*_{track}.md")):
        for cell in jupytext.read(path).cells:
            if cell.metadata.get("nn", {}).get("role") == "graded":
                names.append(score_call(cell.source).exercise)
    return names


def graded() -> list[tuple[str, str]]:
    return [(name, track) for chapter in CHAPTERS for track in ("numpy", "torch")
            for name in graded_names(chapter, track)]


GRADED = graded()
FUNCTIONS = [(n, t) for n, t in GRADED if n not in {q.name for q in questions()}]
MISTAKES = [pytest.param(mistake, track, id=f"{name}-{track}-{mistake.name}")
            for name, track in FUNCTIONS for mistake in for_exercise(name, track)]


def alternatives(chapter: str) -> ModuleType:
    path = ROOT / "solutions" / chapter / "alternatives.py"
    spec = importlib.util.spec_from_file_location(f"alternatives_{chapter[:2]}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def alternatives_of(name: str, track: str) -> list[str]:
    """Names in alternatives.py: exercise__word (NumPy) and exercise__torch__word."""
    module = alternatives(find(name).chapter)
    found = [key for key in vars(module) if key.startswith(f"{name}__")]
    is_torch = f"{name}__torch__"
    return [key for key in found if key.startswith(is_torch) == (track == "torch")]


ALTERNATIVES = [pytest.param(name, track, key, id=f"{track}-{key}")
                for name, track in FUNCTIONS for key in alternatives_of(name, track)]


def test_there_are_exercises() -> None:
    assert len(CHAPTERS) >= 3
    assert len(GRADED) >= 30
    assert len(GRADED) == len(set(GRADED)), "an exercise is graded twice"


@pytest.mark.parametrize(("name", "track"), FUNCTIONS)
def test_reference_scores_full(name: str, track: str) -> None:
    report = grade(name, getattr(reference(track), name), track=track)
    assert report.points_fraction == 1.0, str(report)


@pytest.mark.parametrize(("name", "track"), FUNCTIONS)
def test_enough_mistakes_and_alternatives(name: str, track: str) -> None:
    assert len(for_exercise(name, track)) >= 3
    assert len(alternatives_of(name, track)) >= 2


@pytest.mark.parametrize(("mistake", "track"), MISTAKES)
def test_mistake_is_caught_and_named(mistake: Mistake, track: str) -> None:
    operation = find(mistake.exercise)
    report = grade(mistake.exercise, candidate(mistake, operation, track), track=track)
    assert report.points_fraction < 1.0, "the mistake gets full points"
    assert report.mistake == mistake.name, f"diagnosed as {report.mistake}: {report}"
    assert report.hint == mistake.hint


@pytest.mark.parametrize(("mistake", "track"), MISTAKES)
def test_mistake_is_named_on_public_cases(mistake: Mistake, track: str) -> None:
    """The student meets the hint in `check`, where no hidden case helps."""
    operation = find(mistake.exercise)
    report = grade(mistake.exercise, candidate(mistake, operation, track), track=track,
                   hidden=False)
    assert report.mistake == mistake.name, str(report)


@pytest.mark.parametrize("mistake", [p.values[0] for p in MISTAKES],
                         ids=lambda m: f"{m.exercise}-{m.name}")
def test_hint_points_without_giving_the_answer(mistake: Mistake) -> None:
    assert 40 <= len(mistake.hint) <= 420
    assert mistake.hint[0].isupper() or mistake.hint[0] == "`"
    assert mistake.hint[-1] in ".?!"
    assert "TODO" not in mistake.hint
    solution = [line.strip() for line in solution_lines(mistake.exercise)]
    assert not any(line in mistake.hint for line in solution if len(line) > 24)


def solution_lines(name: str) -> list[str]:
    """Lines between the solution markers of an exercise's cells."""
    import jupytext

    lines: list[str] = []
    for path in sorted((ROOT / "solutions" / find(name).chapter).glob("*.md")):
        for cell in jupytext.read(path).cells:
            if cell.metadata.get("nn", {}).get("id") == name:
                inside = cell.source.split("### BEGIN SOLUTION")[-1].split("### END SOLUTION")[0]
                lines += inside.splitlines()
    return lines


@pytest.mark.parametrize(("name", "track", "key"), ALTERNATIVES)
def test_alternative_scores_full(name: str, track: str, key: str) -> None:
    operation = find(name)
    implementation = getattr(alternatives(operation.chapter), key)
    if operation.kind == "value":
        implementation = implementation()
    report = grade(name, implementation, track=track)
    assert report.points_fraction == 1.0, str(report)


@pytest.mark.parametrize("secret", ["spring", "autumn"])
@pytest.mark.parametrize(("name", "track"), FUNCTIONS)
def test_every_secret_grades_alike(name: str, track: str, secret: str,
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNCOURSE_SECRET", secret)
    report = grade(name, getattr(reference(track), name), track=track)
    assert report.passed, str(report)
    first = for_exercise(name, track)[0]
    wrong = grade(name, candidate(first, find(name), track), track=track)
    assert wrong.points_fraction < 1.0
    assert wrong.mistake == first.name


@pytest.mark.parametrize("question", list(questions()), ids=lambda q: q.name)
def test_question_explains_every_wrong_option(question) -> None:
    track = question.tracks[0]
    assert grade(question.name, question.answer, track=track).passed
    assert grade(question.name, None, track=track).points_fraction == 0.0
    wrong = [letter for letter in question.options if letter != question.answer]
    assert set(wrong) <= set(question.why)
    for letter in question.why:
        value = letter if question.options else float(letter)
        report = grade(question.name, value, track=track)
        assert report.points_fraction == 0.0
        assert report.hint == question.why[letter]


@pytest.mark.parametrize("operation", [find(n) for n, _ in FUNCTIONS], ids=lambda op: op.name)
def test_anchors_exist_in_the_chapter(operation) -> None:
    page = (ROOT / "book" / f"{operation.chapter}.md").read_text(encoding="utf-8")
    anchors = {operation.anchor}
    for track in operation.tracks:
        anchors |= {mistake.anchor for mistake in for_exercise(operation.name, track)}
    missing = [a for a in anchors if f"({a})=" not in page and f":label: {a}" not in page
               and f":name: {a}" not in page]
    assert not missing, f"no such section in book/{operation.chapter}.md: {missing}"


def test_no_operation_of_these_chapters_is_ungraded_by_accident() -> None:
    """Every registered exercise with mistakes is graded in some notebook."""
    names = {name for name, _ in GRADED}
    loose = {op.name for op in operations() for track in op.tracks
             if op.chapter in CHAPTERS and for_exercise(op.name, track)} - names
    assert not loose
