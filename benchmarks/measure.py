"""Timing fairly: functions take turns in one process, and the machine's own limits are measured."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

import numpy as np

Step = Callable[[], object]


def interleave(
    steps: Mapping[str, Step], *, seconds: float = 4.0, least: int = 7, wait: Step | None = None
) -> dict[str, list[float]]:
    """Time every step in turn, A B C A B C …, and return the milliseconds of each call.

    Whatever slows the machine down for a while then meets all of them alike. Each turn of a step
    repeats it until a few milliseconds have passed. ``wait`` waits for a GPU to finish.
    """
    wait = wait or (lambda: None)
    repeats = {}
    for name, step in steps.items():
        for _ in range(3):
            step()
        wait()
        start = time.perf_counter()
        step()
        wait()
        repeats[name] = max(1, min(50, int(4e-3 / (time.perf_counter() - start + 1e-9))))
    times: dict[str, list[float]] = {name: [] for name in steps}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(times.values()))) < least:
        for name, step in steps.items():
            wait()
            start = time.perf_counter()
            for _ in range(repeats[name]):
                step()
            wait()
            times[name].append(1e3 * (time.perf_counter() - start) / repeats[name])
    return times


def ratio(ours: list[float], others: list[float]) -> float:
    """Return the median over the rounds of ours divided by theirs."""
    return statistics.median(a / b for a, b in zip(ours, others, strict=True))


def machine() -> dict[str, Any]:
    """Name processor, cores and versions."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
        model = names[0] if names else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "load": [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": version("torch"),
        "system": platform.system(),
    }


def version(package: str) -> str | None:
    """Return the version of a package, or None where it is missing."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def ceilings() -> dict[str, float]:
    """Measure what this machine can do at best: products (GFLOP/s) and copying (GB/s)."""
    n, rng = 1024, np.random.default_rng(0)
    a = rng.normal(size=(n, n)).astype(np.float32)
    product, large = np.empty_like(a), np.ones(32_000_000, np.float32)
    target = np.empty_like(large)
    small, small_target = np.ones(16_384, np.float32), np.empty(16_384, np.float32)
    times = interleave({
        "gemm": lambda: np.matmul(a, a, out=product),
        "copy": lambda: np.copyto(target, large),
        "cached": lambda: np.copyto(small_target, small),
        "call": lambda: np.add(small[:1], small[:1], out=small_target[:1]),
    }, seconds=1.0)
    best = {name: min(values) / 1e3 for name, values in times.items()}
    return {
        "gemm_gflops": 2 * n**3 / best["gemm"] / 1e9,
        "copy_gb_per_s": 2 * large.nbytes / best["copy"] / 1e9,
        "cached_copy_gb_per_s": 2 * small.nbytes / best["cached"] / 1e9,
        "smallest_call_us": best["call"] * 1e6,
    }
