"""The zygote: its start, its end, what it hides, and that it leaks nothing."""

# ruff: noqa: F401, F811 (fixtures are found by name)

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from autograder import sandbox
from autograder.sandbox import Exit, SandboxError, Zygote
from autograder.sandbox_view import ABSENT, placed, prefixes
from tests.autograder.sandboxed import (
    LINUX_ROOT,
    PROBE,
    ROOT,
    Make,
    Probe,
    Raised,
    below_zygote,
    eventually,
    make_zygote,
    processes_below,
    runs,
    sandbox_library,
    zygote,
)

pytestmark = pytest.mark.skipif(
    not LINUX_ROOT and bool(sandbox.available()), reason=f"no sandbox: {sandbox.available()}"
)


def test_a_dead_zygote_is_noticed(make_zygote: Make) -> None:
    with make_zygote() as zygote, zygote.spawn({}) as child:
        assert zygote.alive
        (pid,) = processes_below(zygote._process.pid) - below_zygote(zygote)
        os.kill(pid, signal.SIGKILL)
        assert child.wait(5) == Exit("lost", "killed: its sandbox ended")
        with pytest.raises(SandboxError, match=r"The sandbox has ended\. Bubblewrap ended with"):
            zygote.spawn({})
        assert not zygote.alive


def test_a_closed_zygote_spawns_nothing(make_zygote: Make) -> None:
    zygote = make_zygote()
    zygote.close()
    zygote.close()
    with pytest.raises(SandboxError, match=r"has ended\. It was closed\."):
        zygote.spawn({})


def test_a_preload_that_fails_is_named(make_zygote: Make) -> None:
    with pytest.raises(SandboxError, match="No module named 'no_such_module'"):
        make_zygote(preload=["no_such_module"])


def test_a_hidden_package_can_not_be_preloaded(make_zygote: Make) -> None:
    with pytest.raises(SandboxError, match="No module named 'numpy'"):
        make_zygote(preload=["numpy"], hidden=["numpy"])


def test_threads_in_the_zygote_are_refused(make_zygote: Make, sandbox_library: Path) -> None:
    source = "import threading, time\nthreading.Thread(target=time.sleep, args=[9]).start()\n"
    (sandbox_library / "threaded.py").write_text(source, encoding="utf-8")
    with pytest.raises(SandboxError, match="1 threads run after importing threaded"):
        make_zygote(preload=["threaded"])


def test_the_installed_course_is_hidden(make_zygote: Make) -> None:
    with make_zygote() as zygote, zygote.spawn({}) as child:
        for name in ("nnlib", "autograder"):
            with pytest.raises(Raised, match=f"No module named '{name}'"):
                Probe(child)(f"import {name}")
        found = Probe(child)(
            "result = [p for folder in sys.path if os.path.isdir(folder) "
            "for p in os.listdir(folder) if 'nncourse' in p and "
            "(os.path.isdir(folder + '/' + p) and os.listdir(folder + '/' + p) or "
            f"os.path.isfile(folder + '/' + p) and {str(ROOT)!r} in open(folder + '/' + p).read())]"
        )
        assert found == []


def test_a_hidden_package_has_no_other_name(make_zygote: Make) -> None:
    with make_zygote(hidden=["tabulate"]) as zygote, zygote.spawn({}) as child:
        code = """
            found = []
            for start in PLACES:
                for folder, names, files in os.walk(start):
                    if os.path.basename(folder) in ("site-packages", "dist-packages"):
                        for name in names + files:
                            if "tabulate" in name:
                                path = folder + "/" + name
                                inner = path + "/__init__.py"
                                path = inner if os.path.exists(inner) else path
                                size = len(os.listdir(path)) if os.path.isdir(path) \\
                                    else os.path.getsize(path)
                                found.append([path, size])
                        names.clear()
                    names[:] = [n for n in names if n in NEEDED or n.startswith("python")]
            result = found
            """
        start = [str(placed(path)) for path in (*prefixes(), Path("/usr"))]
        needed = ["lib", "lib64", "local", "site-packages", "dist-packages"]
        code = code.replace("PLACES", repr(start)).replace("NEEDED", repr(needed))
        found = Probe(child)(code)
    assert len(found) >= 2  # the package and what describes it
    assert {size for _, size in found} <= {0, len(ABSENT)}


def test_spawning_leaks_nothing(zygote: Zygote) -> None:
    (pid,) = processes_below(zygote._process.pid) - below_zygote(zygote)

    def held() -> tuple[int, int, int]:
        mounts = Path("/proc", str(pid), "mounts").read_text("utf-8").count("\n")
        return len(os.listdir("/proc/self/fd")), len(os.listdir(f"/proc/{pid}/fd")), mounts

    def all_below() -> int:
        """Zombies too."""
        return subprocess.run(
            ["ps", "--ppid", str(pid), "-o", "pid="], capture_output=True, text=True, check=False
        ).stdout.count("\n")

    assert eventually(lambda: all_below() == 0)
    before = held()
    for _ in range(200):
        zygote.spawn({"x": b"1"}).close()
    assert eventually(lambda: all_below() == 0)
    assert held() == before


PARENT = """
import sys, time, threading
from pathlib import Path
from autograder.bounds import Bounds
from autograder.sandbox_view import ABSENT, placed, prefixes
from autograder.sandbox import Zygote
kept = []
def start():
    zygote = Zygote(library=Path(sys.argv[1]), bounds=Bounds(), entry="probe:serve")
    child = zygote.spawn({})
    child.socket.sendall(b'"os.fork(); os.fork(); os.kill(os.getpid(), signal.SIGSTOP)"\\n')
    kept.extend([zygote, child])
    if sys.argv[2] == "thread":
        print(flush=True)
        time.sleep(60)
if sys.argv[2] == "thread":
    threading.Thread(target=start, daemon=True).start()
else:
    start()
    print(flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("where", ["main", "thread"])
def test_everything_dies_with_the_grader(sandbox_library: Path, where: str) -> None:
    command = [sys.executable, "-c", PARENT, str(sandbox_library), where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as grader:
        assert grader.stdout is not None
        assert grader.stdout.readline() == b"\n"
        time.sleep(0.1)
        family = processes_below(grader.pid)
        assert len(family) >= 5  # bubblewrap, zygote, guard, process 1, worker
        grader.kill()
    assert eventually(lambda: not any(map(runs, family)))


def test_a_zygote_outlives_the_thread_that_started_it(make_zygote: Make) -> None:
    made: list[Zygote] = []
    thread = threading.Thread(target=lambda: made.append(make_zygote()))
    thread.start()
    thread.join()
    time.sleep(0.1)
    with made[0] as zygote, zygote.spawn({}) as child:
        assert Probe(child)("result = 1") == 1


USER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from autograder.bounds import Bounds
from autograder.sandbox_view import ABSENT, placed, prefixes
from autograder.sandbox import Zygote, available
reason = available()
if reason: print(json.dumps(reason)); sys.exit()
with Zygote(library=Path(sys.argv[2]), bounds=Bounds(processes=9), entry="probe:serve") as zygote:
    with zygote.spawn({}) as child:
        child.socket.sendall(json.dumps(sys.argv[3]).encode() + b"\\n")
        print(child.socket.makefile("r").readline())
"""


def test_an_ordinary_user_can_grade(tmp_path_factory: pytest.TempPathFactory) -> None:
    python = "/usr/bin/python3"  # the environment's own may lie in root's home
    version = [python, "-c", "import sys; print(sys.version_info >= (3, 11))"]
    if os.geteuid() != 0:
        pytest.skip("every other test shows it")
    if not os.path.exists(python) or b"True" not in subprocess.check_output(version):
        pytest.skip("no Python that every user can run")
    folder = tempfile.mkdtemp()
    try:
        os.chmod(folder, 0o755)
        shutil.copytree(ROOT / "autograder", f"{folder}/course/autograder")
        os.mkdir(f"{folder}/library")
        Path(folder, "library", "probe.py").write_text(PROBE, encoding="utf-8")
        attack = (
            "result = [fork_until_refused(30), os.getuid(), os.listdir('/proc'), "
            "[p for p in ('/', '/etc', '/dev', '/library', '/cache', '/usr', '/confine') "
            "if os.access(p, os.W_OK)]]"
        )
        done = subprocess.run(
            [python, "-B", "-c", USER, f"{folder}/course", f"{folder}/library", attack],
            user=4242, group=4242, extra_groups=[], capture_output=True, text=True, check=False,
            cwd="/", env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
    finally:
        shutil.rmtree(folder)
    answer = json.loads(done.stdout or "null")
    if isinstance(answer, str):
        pytest.skip(answer)
    assert answer == {"result": [8, 1000, [], []]}, done.stderr
