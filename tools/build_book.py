"""Build the book with warnings as errors, and say what is going on while it takes its time.

Runs ``jupyter-book build . --path-output . -W -n --keep-going`` and shows the lines that tell a
person something: which page executes, warnings, errors. The whole log is in _build/build.log.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [str(Path(sys.executable).with_name("jupyter-book")), "build", ".", "--path-output", ".",
           "-W", "-n", "--keep-going"]
TELLING = re.compile(r"(Executing notebook|Using cached|Executed notebook|WARNING|ERROR|Exception)")
PROBLEM = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b")
COLORS = re.compile(r"\x1b\[[0-9;]*m")


def main() -> int:
    """Build; return the exit status of Jupyter Book."""
    log = ROOT / "_build" / "build.log"
    log.parent.mkdir(exist_ok=True)
    static = log.parent / "html" / "_static"
    if static.is_file():  # an interrupted build copied the theme's logo before the folder existed
        static.unlink()
    start, started = time.monotonic(), time.time()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
    process = subprocess.Popen(COMMAND, cwd=ROOT, env=environment, text=True, encoding="utf-8",
                               errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    problems = []
    with log.open("w", encoding="utf-8") as file:
        for raw in process.stdout:
            line = COLORS.sub("", raw.rstrip()).split("\r")[-1]
            file.write(line + "\n")
            shown = line.replace(str(ROOT) + os.sep, "")
            if "IPKernelApp" in line:  # the kernels on their sockets
                continue
            if PROBLEM.search(line):
                problems.append(shown)
            if TELLING.search(line):
                print(f"  {time.monotonic() - start:5.0f} s  {shown}", flush=True)
    status = process.wait()
    seconds = time.monotonic() - start
    if status:
        print(f"The book did not build ({seconds:.0f} s). Whole log: {log.relative_to(ROOT)}; "
              "its end:", file=sys.stderr)
        print("\n".join(log.read_text(encoding="utf-8").splitlines()[-30:]), file=sys.stderr)
        for report in sorted(log.parent.glob("html/reports/**/*.err.log")):
            if report.stat().st_mtime >= started:
                print(f"\n{report.relative_to(ROOT)}:", file=sys.stderr)
                lines = report.read_text(encoding="utf-8").splitlines()
                print(*lines[-40:], sep="\n", file=sys.stderr)
        # Last, where the reader of a long log looks first.
        print("\nThe problems:", *(problems or ["none was printed"]), sep="\n  ", file=sys.stderr)
    else:
        print(f"  {seconds:5.0f} s  book: _build/html/index.html")
    return status


if __name__ == "__main__":
    sys.exit(main())
