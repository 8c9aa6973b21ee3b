"""How fast nnlib's NumPy track is, beside PyTorch on the CPU and other NumPy libraries.

Prints one table. Each ratio comes from one run in which nnlib and one other library take turns, in
one process, with the same number of threads, in float32; it is the median over the rounds of our
time divided by theirs, so that a busy moment of the machine meets both alike. Two at a time, since
a third library would clear the processor's caches between them. Writes
``benchmarks/results/nnlib-cpu.json`` and ``nnlib-cpu.md``; runs with other numbers of threads
stay in these files.

    python benchmarks/nnlib.py --threads 2 --peers /tmp/peers
"""

import argparse
import gc
import json
import os
import statistics
import sys
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each row")
    parser.add_argument("--rows", help="only rows that contain this text; writes no file")
    parser.add_argument("--peers", help="folder with NumPy peers, if not installed")
    parser.add_argument("--output", type=Path, default=RESULTS / "nnlib-cpu.json")
    return parser.parse_args()


def prepare(threads: int, peers: str | None) -> None:
    """Fix the number of threads before any library starts its own."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    # This file is called nnlib, too: its folder must not stand in front of the library.
    sys.path[0] = str(ROOT)
    if peers:
        sys.path.append(peers)
    import torch

    torch.set_num_threads(threads)


def measure_row(row: Any, peers: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Time one row and put it in plain numbers."""
    from benchmarks import measure
    from benchmarks.peers import steps_for
    from benchmarks.steps import Kit

    gc.collect()
    ours = row.ours(Kit("numpy"))
    times = measure.interleave({"ours": ours, "torch": row.torch("cpu")}, seconds=seconds)
    median = {name: statistics.median(values) for name, values in times.items()}
    ratios = {"torch": measure.ratio(times["ours"], times["torch"])}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peers' own
        for name, step in steps_for(row.name, peers).items():
            try:
                step()
            except Exception as error:  # whatever it cannot do
                print(f"  {name} cannot do this row: {type(error).__name__}: {error}"[:120])
                continue
            both = measure.interleave({"ours": ours, name: step}, seconds=seconds / 2)
            ratios[name] = measure.ratio(both["ours"], both[name])
            median[name] = statistics.median(both[name])
    return {
        "row": row.name, "target": row.target, "ms": median, "least_ms": {
            name: min(values) for name, values in times.items()},
        "ratio": ratios, "rounds": len(times["ours"]), "flops": row.flops, "bytes": row.bytes,
        "reached": ratios["torch"] <= row.target,
        "faster_than_peers": all(r < 1 for name, r in ratios.items() if name != "torch"),
    }


def floors(result: dict[str, Any], limits: dict[str, float]) -> str:
    """Say how far a row is from what the machine can do."""
    products = 1e3 * result["flops"] / (1e9 * limits["gemm_gflops"])
    memory = 1e3 * result["bytes"] / (1e9 * limits["copy_gb_per_s"])
    best = result["least_ms"]["ours"]
    return (f"{result['row']}: missed by {result['ratio']['torch'] / result['target']:.2f}x. "
            f"Its matrix products take {products:.2f} ms at this machine's best rate, moving its "
            f"arrays once {memory:.2f} ms; nnlib's best time is {best:.2f} ms, PyTorch's "
            f"{result['least_ms']['torch']:.2f} ms.")


def table(run: dict[str, Any]) -> list[str]:
    """Write a run as a Markdown table."""
    peers = sorted({name for row in run["rows"] for name in row["ratio"]} - {"torch"})
    head = ["row", "nnlib, ms", "PyTorch, ms", "ratio", "target", "",
            *(f"ratio to {name}" for name in peers)]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    for row in run["rows"]:
        cells = [row["row"], f"{row['ms']['ours']:.3f}", f"{row['ms']['torch']:.3f}",
                 f"{row['ratio']['torch']:.2f}", f"{row['target']:g}",
                 "reached" if row["reached"] else "missed"]
        cells += [f"{row['ratio'][name]:.2f}" if name in row["ratio"] else "–" for name in peers]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def describe(run: dict[str, Any]) -> list[str]:
    """Write everything about a run but its table."""
    m, limits = run["machine"], run["ceilings"]
    peers = ", ".join(f"{k} {v}" for k, v in run["peers"].items()) or "none"
    lines = [
        f"{m['processor']}, {m['cores']} cores, {run['threads']} threads; Python {m['python']}, "
        f"NumPy {m['numpy']}, PyTorch {m['torch']}; peers: {peers}"
        + (f"; not installed: {', '.join(run['missing'])}" if run["missing"] else "") + ".",
        f"Load before the run: {m['load']}. Measured ceilings: matrix product "
        f"{limits['gemm_gflops']:.0f} GFLOP/s, copy in memory {limits['copy_gb_per_s']:.1f} GB/s, "
        f"in the cache {limits['cached_copy_gb_per_s']:.0f} GB/s, smallest NumPy call "
        f"{limits['smallest_call_us']:.2f} microseconds.",
    ]
    missed = [floors(row, limits) for row in run["rows"] if not row["reached"]]
    slower = [f"{row['row']}: slower than a NumPy peer." for row in run["rows"]
              if not row["faster_than_peers"]]
    return lines + missed + slower


def save(run: dict[str, Any], path: Path) -> None:
    """Replace the run with this number of threads, keep the others."""
    runs = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else {}
    runs[str(run["threads"])] = run
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"runs": runs}, indent=1) + "\n", encoding="utf-8")
    parts = ["# nnlib against PyTorch and NumPy peers, on the CPU", "",
             "Made by `python benchmarks/nnlib.py`. Times are medians, in float32.", ""]
    for threads in sorted(runs, key=int):
        parts += [f"## Threads: {threads}", "", *table(runs[threads]), ""]
        parts += [line + "\n" for line in describe(runs[threads])]
    path.with_suffix(".md").write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


def main() -> None:
    """Measure, print, write."""
    wanted = arguments()
    prepare(wanted.threads, wanted.peers)
    from benchmarks import measure
    from benchmarks.peers import available
    from benchmarks.steps import ROWS

    peers, missing = available()
    run: dict[str, Any] = {
        "threads": wanted.threads, "machine": measure.machine(), "ceilings": measure.ceilings(),
        "peers": {name: measure.version(name) or module.__version__
                  for name, module in peers.items()},
        "missing": missing, "rows": [],
    }
    for row in ROWS:
        if wanted.rows is None or wanted.rows in row.name:
            run["rows"].append(measure_row(row, peers, wanted.seconds))
            result = run["rows"][-1]
            print(f"{row.name:52} {result['ratio']['torch']:6.2f} (target {row.target:g})",
                  flush=True)
    print("\n".join(["", *table(run), "", *describe(run)]))
    if wanted.rows is None:
        save(run, wanted.output)


if __name__ == "__main__":
    main()
