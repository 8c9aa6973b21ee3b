"""The PyTorch track on a GPU, and the way there tried out on the CPU."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import nnlib.torch_track
from nnlib.checks.conformance import conformance, families
from nnlib.checks.devices import PLAIN, device_faults
from nnlib.checks.run import draw_cases
from nnlib.contract import Operation, find, operations

ROOT = Path(__file__).resolve().parents[2]
EVERY = [op for op in operations(track="torch") if op.kind != "value"]
FAMILIES = [name for name, members in families().items()
            if any("torch" in op.tracks for op in members)]
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def label(value: object) -> str:
    return value.name if isinstance(value, Operation) else str(value)


@pytest.fixture
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


# --- on a GPU -------------------------------------------------------------------------------------


@pytest.mark.gpu
@needs_cuda
@pytest.mark.usefixtures("full_precision")
@pytest.mark.parametrize("operation", EVERY, ids=label)
def test_every_contract_case_on_cuda(operation: Operation) -> None:
    cases, faults = device_faults(operation, "cuda")
    assert cases
    assert not faults


@pytest.mark.gpu
@needs_cuda
@pytest.mark.usefixtures("full_precision")
@pytest.mark.parametrize("name", FAMILIES)
def test_float32_and_float64_are_close_to_the_oracle_on_cuda(name: str) -> None:
    for row in conformance(tracks=["torch"], device="cuda", only=[name]):
        assert row.passes, row


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("name", FAMILIES)
def test_bfloat16_autocast_is_within_its_bounds_on_cuda(name: str) -> None:
    for row in conformance(tracks=["torch"], dtypes=["float32"], device="cuda", autocast=True,
                           only=[name]):
        assert row.passes, row


# --- the same code with device="cpu" --------------------------------------------------------------


@pytest.mark.parametrize("operation", EVERY, ids=label)
def test_every_contract_case_through_the_device_code(operation: Operation) -> None:
    cases, faults = device_faults(operation, "cpu")
    assert cases == len(draw_cases(operation))
    assert not faults


@pytest.mark.parametrize("name", FAMILIES)
def test_bfloat16_autocast_is_within_its_bounds(name: str) -> None:
    for row in conformance(tracks=["torch"], dtypes=["float32"], autocast=True, only=[name]):
        assert row.passes, row


#: Without a tensor among their arguments they can't know a device, or move fixed numbers to it.
WITHOUT_DEVICE = {"zeros", "xor_forward"}


@pytest.mark.parametrize("operation", [
    op for op in EVERY if op.kind == "function" and op.name not in WITHOUT_DEVICE
    and all(case.drive in PLAIN for case in draw_cases(op))], ids=label)
def test_no_tensor_is_made_on_the_default_device(operation: Operation) -> None:
    # Whatever is made without naming the device of the inputs has no data here.
    with torch.device("meta"):
        _, faults = device_faults(operation, "cpu")
    assert not faults


def test_a_function_that_forgets_the_device_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = nnlib.torch_track.linear_forward

    def forgetful(x: Any, w: Any, b: Any) -> Any:
        y, cache = right(x, w, b)
        return y * torch.ones(y.shape, dtype=y.dtype), cache

    operation = find("linear_forward")
    assert isinstance(operation, Operation)
    monkeypatch.setattr(nnlib.torch_track, "linear_forward", forgetful)
    assert not device_faults(operation, "cpu")[1]
    with torch.device("meta"), pytest.raises(RuntimeError, match="linear_forward"):
        device_faults(operation, "cpu")


def test_a_fault_on_the_device_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    operation = find("relu_forward")
    assert isinstance(operation, Operation)
    right, calls = nnlib.torch_track.relu_forward, []

    def wrong_every_second_time(x: Any) -> Any:  # expected first, then on the device
        calls.append(x)
        y, cache = right(x)
        return (y + 1 if len(calls) % 2 == 0 else y), cache

    monkeypatch.setattr(nnlib.torch_track, "relu_forward", wrong_every_second_time)
    _, faults = device_faults(operation, "cpu")
    assert any("numbers differ" in fault for fault in faults)


def test_training_under_autocast_learns() -> None:
    from nnlib.torch_track.model import mlp

    ops, rng = nnlib.torch_track, torch.Generator().manual_seed(0)
    model = mlp(rng, (4, 16, 3), dtype=torch.float32)
    x = torch.randn(64, 4, generator=rng)
    labels = x[:, :3].argmax(1)
    losses = []
    for _ in range(40):
        with torch.autocast("cpu", torch.bfloat16):
            loss, dlogits = ops.softmax_cross_entropy(model(x), labels)
            model.backward(dlogits)
        grads = {name: g.float() for name, g in model.grads.items()}
        model.params, _ = ops.sgd_update(model.params, grads, {}, learning_rate=0.5)
        losses.append(float(loss))
    assert all(p.dtype == torch.float32 for p in model.params.values())
    assert losses[-1] < 0.5 * losses[0]


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def gpu_command(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.gpu")


def test_the_command_runs_on_the_cpu_when_asked(
    gpu_command: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results" / "try.json"
    assert gpu_command.main(["--device", "cpu", "--output", str(path), "--seconds", "0",
                             "--only", "linear", "softmax"]) == 0
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["device"] == "CPU"
    assert report["tf32"] is False
    assert report["machine"]["torch"] == torch.__version__
    assert {(r["operation"], r["dtype"], r["autocast"]) for r in report["conformance"]} == {
        (name, dtype, autocast) for name in ("linear", "softmax")
        for dtype, autocast in (("float64", False), ("float32", False), ("float32", True))}
    assert "0 out of bounds" in capsys.readouterr().out


def test_the_command_fails_where_a_row_is_out_of_bounds(
    gpu_command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = nnlib.torch_track.linear_backward
    monkeypatch.setattr(nnlib.torch_track, "linear_backward",
                        lambda dy, cache: right(dy, cache)._replace(dw=2 * right(dy, cache).dw))
    assert gpu_command.main(["--device", "cpu", "--output", str(tmp_path / "x.json"),
                             "--seconds", "0", "--only", "linear"]) == 1


def test_results_are_named_after_the_device(
    gpu_command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A GPU of this name, with the CPU behind it: only the tensors stay where they can be.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA Fake-100 (8 GB)")
    monkeypatch.setattr(gpu_command, "ROOT", tmp_path)
    seen = []
    for name, result in (("conformance_rows", []), ("contract_faults", (0, {})), ("timings", [])):
        monkeypatch.setattr(gpu_command, name,
                            lambda device, *rest, result=result: seen.append(device) or result)
    assert gpu_command.main([]) == 0
    path = tmp_path / "benchmarks" / "results" / "gpu-nvidia-fake-100-8-gb.json"
    assert json.loads(path.read_text(encoding="utf-8"))["device"] == "NVIDIA Fake-100 (8 GB)"
    assert seen == ["cuda"] * 3


def test_without_a_gpu_the_command_says_so(
    gpu_command: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_command.main([]) == 2
    assert "No CUDA device here: nothing was run" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        gpu_command.arguments(["--device", "cpu"])
    assert stop.value.code != 0
    assert "--output" in capsys.readouterr().err


def test_every_timed_step_runs_on_the_torch_track(gpu_command: Any) -> None:
    from benchmarks.steps import ROWS, Kit

    assert len(ROWS) == 9
    for row in ROWS:
        if "1024" not in row.name:
            row.ours(Kit("torch"))()
            row.ours(Kit("numpy"))()
            row.torch("cpu")()
    assert "benchmarks.nnlib" not in sys.modules
