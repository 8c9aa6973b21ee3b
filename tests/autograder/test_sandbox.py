"""A child of the sandbox: what it finds, how it ends, how it is ended."""

# ruff: noqa: F401, F811 (fixtures are found by name)

from __future__ import annotations

import hashlib
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from autograder import sandbox
from autograder.bounds import MEBI
from autograder.confine import child as inside
from autograder.sandbox import Exit, Zygote
from autograder.sandbox_view import View, environment
from tests.autograder.sandboxed import (
    LINUX_ROOT,
    ROOT,
    Make,
    Probe,
    alone,
    make_zygote,
    probe,
    processes_below,
    sandbox_library,
    zygote,
)

pytestmark = pytest.mark.skipif(
    not LINUX_ROOT and bool(sandbox.available()), reason=f"no sandbox: {sandbox.available()}"
)


def test_a_child_finds_its_files_and_nothing_else(zygote: Zygote) -> None:
    with zygote.spawn({"data.csv": b"1,2", "pictures/a.png": b"\x89"}) as child:
        ask = Probe(child)
        assert ask("result = sorted(os.listdir())") == ["data.csv", "pictures"]
        assert ask("result = open('pictures/a.png', 'rb').read().hex()") == "89"
        for folder in ("/tmp", "/dev/shm", "/proc"):
            assert ask(f"result = os.listdir({folder!r})") == []
        assert ask("result = os.getcwd()") == inside.WORK
        assert ask("result = [os.getuid(), os.getgid()]") == [1000, 1000]
        assert ask("result = sys.path[0]") == "/library"


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "", "a//b", "./a", "a\0b"])
def test_a_file_outside_the_working_directory_is_refused(zygote: Zygote, name: str) -> None:
    with pytest.raises(ValueError, match="must be relative"):
        zygote.spawn({name: b""})


def test_large_files_arrive_whole(zygote: Zygote) -> None:
    content = os.urandom(MEBI) * 12  # more than the child may write itself
    with zygote.spawn({"large": content, "after": b"x"}) as child:
        code = "import hashlib; result = hashlib.sha256(open('large', 'rb').read()).hexdigest()"
        assert Probe(child)(code) == hashlib.sha256(content).hexdigest()
        assert Probe(child)("result = open('after').read()") == "x"


def test_the_environment_is_made_up(probe: Probe) -> None:
    found = probe("result = dict(os.environ)")
    assert found["HOME"] == "/student"
    assert found["PYTHONHASHSEED"] == "0"
    assert found["OMP_NUM_THREADS"] == "1"
    assert set(found) <= {*environment(), "PWD"}


def test_only_the_private_folders_can_be_written(zygote: Zygote, sandbox_library: Path) -> None:
    view = View(sandbox_library)
    view.close()
    arguments = view.arguments
    shown = {
        arguments[i + 2] for i, word in enumerate(arguments) if word in ("--ro-bind", "--dev-bind")
    }
    made = {
        arguments[i + 1] for i, word in enumerate(arguments) if word in ("--dir", "--tmpfs")
    }
    places = sorted((shown | made) - set(inside.PRIVATE))
    assert "/usr" in places
    assert "/library" in places
    with zygote.spawn({}) as child:
        code = f"""
            result = [place for place in {places!r} + ["/"]
                      if os.path.exists(place) and not place.startswith("/dev/")
                      and not os.statvfs(place).f_flag & os.ST_RDONLY]
            """
        assert Probe(child)(code) == []
        for folder in inside.PRIVATE:
            flags = Probe(child)(f"result = os.statvfs({folder!r}).f_flag")
            assert flags & os.ST_NOSUID
            assert flags & os.ST_NODEV


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow", "/etc/hostname", "/root/.bashrc", "/var", "/run", "/home/" + "user",
        "/sys", "/boot", "/dev/sda", "/dev/vda", "/dev/tty", "/dev/ptmx", "/dev/zero", "/dev/mem",
        str(ROOT / "nnlib"), str(ROOT / "solutions"), str(ROOT / "gradebook.db"),
        str(ROOT / ".course_secret"), str(ROOT / "nbgrader_config.py"), str(ROOT / ".git"),
    ],
)  # fmt: skip
def test_the_machine_is_out_of_sight(probe: Probe, path: str) -> None:
    assert probe(f"result = os.path.lexists({path!r})") is False


def test_a_covered_folder_is_empty(make_zygote: Make) -> None:
    with make_zygote(covered=[Path("/usr/share")]) as zygote, zygote.spawn({}) as child:
        assert Probe(child)("result = os.listdir('/usr/share')") == []


def test_privileges_are_gone(make_zygote: Make) -> None:
    # Only without its cover does /proc tell.
    with make_zygote("proc") as zygote, zygote.spawn({}) as child:
        status = Probe(child)("result = open('/proc/self/status').read()")
        score = Probe(child)("result = open('/proc/self/oom_score_adj').read()")
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[name], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"
    assert score.strip() == "1000"


# Ends


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        ("os._exit(3)", "exited", "ended by itself with status 3"),
        ("ctypes.string_at(0)", "signal", "killed by signal 11 (segmentation fault)"),
        ("os.abort()", "signal", "killed by signal 6 (aborted)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal", "killed by signal 9 (killed)"),
        ("connection.close(); stream = None; os._exit(0)", "exited",
         "ended by itself with status 0"),
        ("sys.setrecursionlimit(10**8)\n"
         "class A:\n"
         "    def __repr__(self): return repr(self)\n"
         "repr(A())", "signal", "killed by signal 11 (segmentation fault)"),
    ],
)  # fmt: skip
def test_an_end_is_told(zygote: Zygote, code: str, kind: str, text: str) -> None:
    with zygote.spawn({}) as child:
        Probe(child).send(code)
        assert child.wait(5) == Exit(kind, text, int(re.sub(r"\D", "", text)))
    with zygote.spawn({}) as after:  # the zygote took no harm
        assert Probe(after)("result = 1") == 1


def test_the_end_of_the_connection_ends_the_child(zygote: Zygote) -> None:
    child = zygote.spawn({})
    child.socket.close()
    end = child.wait(5)
    assert end is not None
    assert end.text == "ended by itself with status 0"
    child.close()


HARD_TO_KILL = {
    "stopped": "os.kill(os.getpid(), signal.SIGSTOP)",
    "its group stopped": "os.kill(0, signal.SIGSTOP)",
    "busy": "while True: pass",
    "deaf": "for n in set(signal.Signals) - {9, 19}:\n"
    "    signal.signal(n, signal.SIG_IGN)\n"
    "time.sleep(60)",
    "many": "fork_until_refused(60)\nos.kill(-1, signal.SIGSTOP)\ntime.sleep(60)",
    "daemon": "if os.fork() == 0:\n"
    "    if os.fork() == 0:\n"
    "        while True: time.sleep(1)\n"
    "    os._exit(0)\n"
    "time.sleep(60)",
    "holding back": "import atexit; atexit.register(time.sleep, 60)\n"
    "try: time.sleep(60)\n"
    "finally: time.sleep(60)",
}


@pytest.mark.parametrize("name", HARD_TO_KILL)
def test_kill_ends_everything(zygote: Zygote, name: str) -> None:
    assert alone(zygote)
    with zygote.spawn({}) as child:
        Probe(child).send(HARD_TO_KILL[name])
        time.sleep(0.15)
        began = time.monotonic()
        child.kill()
        assert child.wait(5) == Exit("stopped", "killed: stopped by the grader")
        assert time.monotonic() - began < 1
        assert alone(zygote)
        child.kill()
        assert child.wait() == Exit("stopped", "killed: stopped by the grader")


def test_what_outlives_the_worker_dies_with_it(zygote: Zygote) -> None:
    with zygote.spawn({}) as child:
        Probe(child).send("fork_until_refused(5); os._exit(0)")
        end = child.wait(5)
        assert end is not None
        assert end.kind == "exited"
        assert alone(zygote)


def test_a_forgotten_child_dies(zygote: Zygote) -> None:
    child = zygote.spawn({})
    assert len(processes_below(zygote._process.pid)) > 1
    del child
    assert alone(zygote)


def test_process_1_takes_no_signals(probe: Probe) -> None:
    assert probe("result = os.getppid()") == 1
    for number in signal.Signals:
        probe(f"os.kill(1, {number.value})")
    time.sleep(0.1)
    assert probe("result = 1") == 1
    assert probe.child.wait(0) is None
    probe.child.kill()
    assert probe.child.wait(5) == Exit("stopped", "killed: stopped by the grader")


def test_wait_without_an_end(probe: Probe) -> None:
    assert probe.child.wait(0) is None
    began = time.monotonic()
    assert probe.child.wait(0.1) is None
    assert 0.1 <= time.monotonic() - began < 1


def test_threads_may_wait_and_kill(zygote: Zygote) -> None:
    with zygote.spawn({}) as child:
        ends: list[Exit | None] = []
        waiting = [threading.Thread(target=lambda: ends.append(child.wait(5))) for _ in range(3)]
        for thread in waiting:
            thread.start()
        child.kill()
        for thread in waiting:
            thread.join()
        assert ends == [Exit("stopped", "killed: stopped by the grader")] * 3
