"""How long a student waits for a verdict: `check` on a right and on a wrong answer.

Prints one row an exercise (median of several calls, in milliseconds) and the slowest of all.
A wrong answer costs more, because its results are compared with every known mistake's.

    python benchmarks/checks.py
"""

import contextlib
import io
import statistics
import time
from collections.abc import Callable
from functools import partial

from nnlib.checks import check
from nnlib.checks.diagnose import candidate
from nnlib.checks.tracks import reference
from nnlib.contract import find, operations
from nnlib.mistakes import for_exercise

REPEATS = 5


def milliseconds(run: Callable[[], object]) -> float:
    """Median wall time of ``run`` after one call that warms caches and imports up."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            run()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[1:])


def main() -> None:
    """Measure every exercise that has known mistakes, in both tracks."""
    print(f"{'exercise':<32} {'track':<6} {'right, ms':>10} {'wrong, ms':>10}")
    slowest = 0.0
    for operation in operations():
        for track in operation.tracks:
            mistakes = for_exercise(operation.name, track)
            if not mistakes:
                continue
            right = getattr(reference(track), operation.name)
            wrong = candidate(mistakes[-1], find(operation.name), track)
            times = [milliseconds(partial(check, operation.name, implementation, track=track))
                     for implementation in (right, wrong)]
            slowest = max(slowest, *times)
            print(f"{operation.name:<32} {track:<6} {times[0]:>10.1f} {times[1]:>10.1f}")
    print(f"slowest: {slowest:.0f} ms")


if __name__ == "__main__":
    main()
