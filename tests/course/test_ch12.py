"""Chapter 12: what it claims and no cell checks; a training that is really killed; tracking."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import jupytext
import numpy as np
import pytest

import nnlib.numpy_track as nn
from nnlib import tracking
from nnlib.checks import grade
from nnlib.contract import operations, questions
from nnlib.errors import DtypeError
from nnlib.mistakes import for_exercise
from nnlib.numpy_track.layers import Linear
from nnlib.sampling import Choice, LogUniform
from nnlib.tuning_problem import SPACE, BudgetSpent, Meter, TuningProblem

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "12-tuning.md").read_text(encoding="utf-8")
NOTEBOOKS = sorted((ROOT / "solutions" / "12-tuning").glob("*.md"))
LABELS = ("log", "best", "halving", "hyper", "kfold", "optimism")
EXERCISES = {
    "numpy": ("kfold_indices", "cross_validate", "grid_search", "random_search",
              "successive_halving", "checkpoint_to_bytes", "checkpoint_from_bytes"),
    "torch": ("log_uniform", "fold_loaders", "select_and_report", "ResumableTraining",
              "hypergradient"),
}


def every_hint() -> list[str]:
    hints = [hint for q in questions(chapter="12-tuning") for hint in q.why.values()]
    for track, names in EXERCISES.items():
        hints += [mistake.hint for name in names for mistake in for_exercise(name, track)]
    return hints


# ---------------------------------------------------------------- the page holds together


def test_equations_are_numbered_as_code_and_notebooks_cite_them() -> None:
    assert tuple(re.findall(r":label: eq-12-([\w-]+)", PAGE)) == LABELS
    number = {name: str(k) for k, name in enumerate(LABELS, start=1)}
    tasks = {path.stem: path.read_text(encoding="utf-8").split("\n## ") for path in NOTEBOOKS}
    for stem, task, name in [("tuning_numpy", "1. Folds", "kfold"),
                             ("tuning_numpy", "4. Random", "best"),
                             ("tuning_numpy", "5. Successive", "halving"),
                             ("tuning_torch", "1. Draws", "log"),
                             ("tuning_torch", "5. The gradient", "hyper")]:
        (text,) = [t for t in tasks[stem] if t.startswith(task)]
        assert re.findall(r"\(12\.(\d+)\)", text) == [number[name]], task
    for k, name in re.findall(r"# equation \(12\.(\d)\)|eq-12-(\w+)", PAGE):
        assert not k or int(k) <= len(LABELS)
        assert not name or name in LABELS


def test_sections_that_notebooks_and_hints_name_exist() -> None:
    headings = set(re.findall(r"^#{2,3} (.+)$", PAGE, flags=re.MULTILINE))
    headings |= {name.strip(".") for name in re.findall(r"\*\*([^*]+)\*\*", PAGE)}
    headings |= {"Stratified folds"}
    texts = [*every_hint(), *(p.read_text(encoding="utf-8") for p in NOTEBOOKS)]
    named = {name for text in texts for name in re.findall(r'[Ss]ection "([^"]+)"', text)}
    assert len(named) > 8
    assert named <= headings, named - headings


def test_every_anchor_is_a_label_of_the_page() -> None:
    labels = set(re.findall(r"^\(([\w-]+)\)=$", PAGE, flags=re.MULTILINE))
    wanted = {entry.anchor for entry in operations(chapter="12-tuning")}
    wanted |= {entry.anchor for entry in questions(chapter="12-tuning")}
    for track, names in EXERCISES.items():
        wanted |= {mistake.anchor for name in names for mistake in for_exercise(name, track)}
    assert wanted <= labels, wanted - labels


def test_every_section_has_a_label_and_the_page_keeps_its_limits() -> None:
    lines, fence = PAGE.splitlines(), False
    for before, line in zip(["", *lines], lines, strict=False):
        fence ^= line.startswith("```")
        if re.match(r"#{1,3} ", line) and not fence:
            assert re.fullmatch(r"\([\w-]+\)=", before), line
    notebook = jupytext.reads(PAGE, fmt="md:myst")
    cells = [cell.source.splitlines() for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) <= 25
    assert max(map(len, cells)) <= 15
    assert max(len(line) for cell in cells for line in cell) <= 100
    prose = " ".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    assert len(re.findall(r"[A-Za-z]{2,}", prose)) <= 3600  # markup included; 3,000 words of text


def test_enough_mistakes_and_alternatives_for_each_function() -> None:
    source = (ROOT / "solutions" / "12-tuning" / "alternatives.py").read_text(encoding="utf-8")
    for track, names in EXERCISES.items():
        for name in names:
            assert len(for_exercise(name, track)) >= 4, name
            mark = f"{name}__torch__" if track == "torch" else f"{name}__"
            assert len(re.findall(rf"^(?:def|class) {mark}", source, flags=re.MULTILINE)) >= 2, name


# ---------------------------------------------------------------- what the text says


def test_cost_of_halving() -> None:
    for n, b, f in [(8, 2, 2), (16, 1, 2), (27, 1, 3)]:
        result = nn.successive_halving({"u": LogUniform(0.1, 1.0)}, lambda s, budget: s["u"],
                                       candidates=n, min_budget=b, factor=f,
                                       rng=np.random.default_rng(0))
        rounds = 1 + round(np.log(n) / np.log(f))
        assert sum(trial.budget or 0 for trial in result.trials) == rounds * n * b
    assert grade("halving_epochs", 80).passed


def test_the_promise_of_random_search() -> None:
    assert round(100 * (1 - 0.9**24)) == 92
    assert "with 92 % probability" in PAGE


def test_the_best_of_a_hundred() -> None:
    draws = np.random.default_rng(0).normal(size=(20_000, 100))
    best = draws.max(axis=1).mean()
    assert round(best, 1) == 2.5
    assert round(float(np.sqrt(2 * np.log(100))), 1) == 3.0
    assert round(80 + 4 * best) == 90


def test_hypergradient_is_the_derivative_of_the_training() -> None:
    problem = TuningProblem(3, epochs=4)
    settings = {name: kind(0.4) for name, kind in SPACE.items()}
    value, slopes = problem.hypergradient(settings)
    assert np.isclose(value, problem.train(settings)["validation_loss"])
    for name, slope in slopes.items():
        near = [problem.train({**settings, name: settings[name] * np.exp(h)})["validation_loss"]
                for h in (1e-5, -1e-5)]
        assert np.isclose(slope, (near[0] - near[1]) / 2e-5, rtol=1e-4, atol=1e-6), name


def test_the_meter_counts_every_epoch() -> None:
    meter = Meter(TuningProblem(0, epochs=2), budget=7)
    settings = {name: kind(0.5) for name, kind in SPACE.items()}
    meter(settings, 1)
    assert np.isnan(meter.best(7))
    score = meter(settings)
    assert np.isnan(meter.best(2))
    assert (meter.spent, meter.best(3), len(meter.log)) == (3, score, 1)
    meter.pay(4)
    with pytest.raises(BudgetSpent):
        meter(settings, 1)
    assert meter.spent == 7


def test_a_range_can_be_called() -> None:
    assert LogUniform(0.01, 1.0)(0.5) == LogUniform(0.01, 1.0).at(0.5)
    assert Choice(["a", "b"])(0.7) == "b"


# ---------------------------------------------------------------- killed and resumed


def program() -> str:
    (cell,) = [c.source for c in jupytext.reads(PAGE, fmt="md:myst").cells
               if c.source.startswith("program = '''")]
    found: dict[str, str] = {}
    exec(cell, found)
    return found["program"]


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_training_resumes_bit_for_bit(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(program(), encoding="utf-8")

    def start(path: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "train.py", path, "150"], cwd=tmp_path,
                                env=os.environ | {"PYTHONPATH": str(ROOT)})

    kills, last = 0, -1
    while kills < 2:  # twice: the second time it has resumed already
        with start("killed.npz") as victim:
            while victim.poll() is None:
                path = tmp_path / "killed.npz"
                step = nn.load_checkpoint(path).step if path.exists() else -1
                if step > last:
                    victim.send_signal(signal.SIGKILL)
                    break
                time.sleep(0.002)
            assert victim.wait(60) == -signal.SIGKILL
        last, kills = nn.load_checkpoint(tmp_path / "killed.npz").step, kills + 1
    assert 0 < last < 2400
    for name in ("killed.npz", "calm.npz"):
        with start(name) as run:
            assert run.wait(120) == 0
    a, b = (nn.load_checkpoint(tmp_path / name) for name in ("killed.npz", "calm.npz"))
    assert a.step == b.step == 2400
    for one, other in [(a.params, b.params), (a.state["m"], b.state["m"]),
                       (a.state["v"], b.state["v"])]:
        assert one["w"].tobytes() == other["w"].tobytes()
    assert a.rng.bit_generator.state == b.rng.bit_generator.state


# ---------------------------------------------------------------- tracking


def test_runs_are_recorded_and_read_back(tmp_path: Path) -> None:
    for k, rate in enumerate((0.1, 0.01)):
        with tracking.Recorder(tmp_path, name=f"run {k}", settings={"rate": rate}) as run:
            for step in range(3):
                run.log({"loss": rate / (step + 1), "odd": float("nan")}, step=step)
    runs = tracking.read_runs(tmp_path)
    assert runs.table(["rate", "loss"], sort_by="loss").splitlines() == [
        "run    rate      loss", "run 1  0.01  0.003333", "run 0   0.1   0.03333"]
    assert runs[0].series("loss")[0] == [0, 1, 2]
    assert np.isnan(runs[0].value("odd"))
    lines = (tmp_path / "run 0" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1, 2]
    ax = runs.plot("loss")
    assert [len(line.get_xdata()) for line in ax.get_lines()] == [3, 3]
    ax.figure.clear()


def test_a_recorder_is_a_callback_of_fit(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 8, 3))
    with tracking.Recorder(tmp_path, name="fit", settings={}) as run:
        history = nn.fit(Linear(3, 3, rng=np.random.default_rng(0)), x, y, loss=nn.mse, epochs=3,
                         rng=np.random.default_rng(1), callbacks=[run])
    (recorded,) = tracking.read_runs(tmp_path)
    assert recorded.series("loss")[1] == history["loss"]


def test_what_a_recorder_refuses(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="plain name for a folder"):
        tracking.Recorder(tmp_path, name="../away", settings={})
    with pytest.raises(DtypeError, match="must be plain data"):
        tracking.Recorder(tmp_path, name="a", settings={"f": len})
    with tracking.Recorder(tmp_path, name="a", settings={}) as run:
        run.log({"loss": 1.0}, step=0)
    with pytest.raises(FileExistsError, match="already"):
        tracking.Recorder(tmp_path, name="a", settings={})
    with tracking.Recorder(tmp_path, name="a", settings={}, resume=True) as run:
        run.log({"loss": 0.5}, step=1)
    assert tracking.read_runs(tmp_path)[0].series("loss") == ([0, 1], [1.0, 0.5])


def test_a_line_that_was_cut_is_skipped(tmp_path: Path) -> None:
    with tracking.Recorder(tmp_path, name="a", settings={}) as run:
        run.log({"loss": 1.0}, step=0)
    with (tmp_path / "a" / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 1, "lo')
    assert tracking.read_runs(tmp_path)[0].series("loss") == ([0], [1.0])


def test_sinks_get_everything(tmp_path: Path) -> None:
    seen: list[object] = []
    sink = SimpleNamespace(start=lambda *a: seen.append(a), log=lambda *a: seen.append(a),
                           finish=lambda: seen.append("end"))
    with tracking.Recorder(tmp_path, name="a", settings={"rate": 1}, also=[sink]) as run:
        run.log({"loss": 1}, step=4)
        run.finish()
    assert seen == [("a", {"rate": 1}), ({"loss": 1.0}, 4), "end"]


@pytest.mark.parametrize(("module", "make"), [
    ("wandb", lambda folder: tracking.WeightsAndBiases("p", folder=folder)),
    ("tensorboard", lambda folder: tracking.TensorBoard(folder)),
])
def test_a_missing_package_is_named(module: str, make: object, tmp_path: Path,
                                    monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [key for key in sys.modules if key.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pip install {module}"):
        make(tmp_path)  # type: ignore[operator]


FOREIGN = """
import sys
from nnlib import tracking
assert not {"wandb", "tensorboard", "torch"} & sys.modules.keys()
folder = sys.argv[1]
also = [tracking.TensorBoard(folder + "/tb"), tracking.WeightsAndBiases("course", folder=folder)]
with tracking.Recorder(folder + "/runs", name="one", settings={"rate": 0.1}, also=also) as run:
    for step in range(4):
        run.log({"my_loss": 1 / (step + 1)}, step=step)
"""


def test_the_same_run_goes_to_tensorboard_and_offline_to_wandb(tmp_path: Path) -> None:
    """In a process of its own: wandb keeps a service that outlives the run."""
    pytest.importorskip("wandb")
    pytest.importorskip("tensorboard")
    home = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    done = subprocess.run([sys.executable, "-c", FOREIGN, str(tmp_path)], timeout=120, check=False,
                          capture_output=True, text=True, cwd=tmp_path,
                          env=home | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path / "home")})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (offline,) = tmp_path.rglob("run-*.wandb")
    assert b"my_loss" in offline.read_bytes()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tb" / "one")).Reload()
    assert [round(e.value, 3) for e in events.Scalars("my_loss")] == [1.0, 0.5, 0.333, 0.25]
