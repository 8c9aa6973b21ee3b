"""The PyTorch track on a GPU: is it right there, and how fast, beside PyTorch's own layers.

Runs every contract case, the conformance table (float64, float32 with TF32 off, bfloat16 autocast)
and the steps of `benchmarks/nnlib.py`; writes ``benchmarks/results/gpu-<device>.json``.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --device cpu --output /tmp/gpu-path-on-cpu.json
"""

import argparse
import json
import re
import statistics
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--output", type=Path, help="needed with --device cpu")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each timed row")
    parser.add_argument("--only", nargs="+", help="conformance of these operations only")
    found = parser.parse_args(argv)
    if found.device == "cpu" and found.output is None:
        parser.error("--device cpu needs --output: results of a CPU are no results of a GPU.")
    return found


def device_name(device: str) -> str:
    """What the device calls itself: "NVIDIA H100 80GB HBM3"."""
    import torch

    return "CPU" if device == "cpu" else str(torch.cuda.get_device_name(device))


def file_name(name: str) -> str:
    """Turn the name of a device into that of its results.

    >>> file_name("NVIDIA A100-SXM4-80GB")
    'gpu-nvidia-a100-sxm4-80gb.json'
    """
    return f"gpu-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}.json"


def conformance_rows(device: str, only: list[str] | None = None) -> list[dict[str, Any]]:
    """Compute the contract table on the device, in full precision and under autocast."""
    from nnlib.checks.conformance import conformance

    exact = conformance(tracks=["torch"], device=device, only=only)
    mixed = conformance(tracks=["torch"], dtypes=["float32"], device=device, autocast=True,
                        only=only)
    return [{**asdict(row), "autocast": rows is mixed, "passes": row.passes}
            for rows in (exact, mixed) for row in rows]


def contract_faults(device: str) -> tuple[int, dict[str, list[str]]]:
    """Run every contract case of the PyTorch track on the device."""
    from nnlib.checks.devices import device_faults
    from nnlib.contract import operations

    total, faults = 0, {}
    for operation in operations(track="torch"):
        if operation.kind != "value":
            cases, found = device_faults(operation, device)
            total += cases
            faults |= {operation.name: found} if found else {}
    return total, faults


def timings(device: str, seconds: float) -> list[dict[str, Any]]:
    """Time nnlib's PyTorch track against idiomatic PyTorch, in turn."""
    import torch

    from benchmarks import measure
    from benchmarks.steps import ROWS, Kit

    wait = torch.cuda.synchronize if device != "cpu" else None
    rows = []
    for row in ROWS:
        times = measure.interleave(
            {"ours": row.ours(Kit("torch", device)), "torch": row.torch(device)},
            seconds=seconds, wait=wait,
        )
        rows.append({
            "row": row.name, "ms": {k: statistics.median(v) for k, v in times.items()},
            "ratio": measure.ratio(times["ours"], times["torch"]),
        })
        print(f"{row.name:52} {rows[-1]['ms']['ours']:9.3f} ms {rows[-1]['ms']['torch']:9.3f} ms "
              f"{rows[-1]['ratio']:6.2f}", flush=True)
    return rows


def main(argv: list[str] | None = None) -> int:
    """Check, time, write; returns the exit status."""
    wanted = arguments(argv)
    import torch

    from benchmarks import measure

    if wanted.device != "cpu" and not torch.cuda.is_available():
        print("No CUDA device here: nothing was run. On a machine with a GPU this command checks "
              "and times the PyTorch track there; --device cpu --output FILE tries it out.")
        return 2
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    name = device_name(wanted.device)
    cases, faults = contract_faults(wanted.device) if wanted.only is None else (0, {})
    print(f"{name}: {cases} contract cases, {len(faults)} operations with faults")
    for operation, found in faults.items():
        print(f"  {operation}: {'; '.join(found)}")
    rows = conformance_rows(wanted.device, wanted.only)
    for row in rows:
        if not row["passes"]:
            print(f"  {row['operation']}, {row['dtype']}, autocast {row['autocast']}: "
                  f"{row['forward']:.1e}, {row['backward']}, bounds {row['bounds']}")
    print(f"conformance: {len(rows)} rows, {sum(not row['passes'] for row in rows)} out of bounds")
    report = {
        "device": name, "cuda": torch.version.cuda, "machine": measure.machine(),
        "tf32": False, "contract": {"cases": cases, "faults": faults}, "conformance": rows,
        "timings": timings(wanted.device, wanted.seconds) if wanted.seconds else [],
    }
    path = wanted.output or ROOT / "benchmarks" / "results" / file_name(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"written: {path}")
    return 1 if faults or not all(row["passes"] for row in rows) else 0


if __name__ == "__main__":
    # The folder of this file holds another nnlib: the benchmark of that name.
    sys.path[0] = str(ROOT)
    sys.exit(main())
