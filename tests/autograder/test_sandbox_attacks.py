"""For each defence an attack that fails, and succeeds when the defence is left out."""

# ruff: noqa: F401, F811 (fixtures are found by name)

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder import sandbox
from autograder.bounds import MEBI, Bounds
from autograder.confine import child as inside
from autograder.confine.order import Limits
from autograder.sandbox import Exit, Zygote
from tests.autograder.sandboxed import (
    LINUX_ROOT,
    ROOT,
    Make,
    Probe,
    Raised,
    make_zygote,
    probe,
    sandbox_library,
    zygote,
)

pytestmark = pytest.mark.skipif(
    not LINUX_ROOT and bool(sandbox.available()), reason=f"no sandbox: {sandbox.available()}"
)


COURSE_FILE = f"""
for place in ("", "/host"):
    result = os.path.exists(place + {str(ROOT / "pyproject.toml")!r})
"""

ATTACKS: dict[str, tuple[str, str, str]] = {
    # name: (defence to leave out, defences to leave out in both runs, code: result is "succeeded")
    "read the course": ("view", "", COURSE_FILE),
    "write to the library": (
        "read-only",
        "",
        "open('/library/planted', 'w').close(); os.remove('/library/planted'); result = True",
    ),
    "import a hidden package": ("hidden", "", "import tabulate; result = True"),
    "read the grader's environment": (
        "environment", "", "result = 'NNCOURSE_TEST_SECRET' in os.environ",
    ),
    "see processes": (
        "proc", "", "result = os.path.exists('/proc/1/status')",
    ),
    "read root's files": (
        "user", "", "result = open('/library/secret.txt').read() == 'for root'",
    ),
    "use an inherited descriptor": (
        "descriptors", "proc",
        "own = connection.fileno()\n"
        "result = False\n"
        "for number in range(3, 60):\n"
        "    try: os.fstat(number); result |= number != own\n"
        "    except OSError: pass",
    ),
    "fork without end": ("processes", "", "result = fork_until_refused(60) >= 60"),
    "start threads without end": (
        "processes", "",
        "event = threading.Event()\n"
        "threading.stack_size(1 << 18)\n"
        "try:\n"
        "    for number in range(60):\n"
        "        threading.Thread(target=event.wait, daemon=True).start()\n"
        "    result = True\n"
        "except RuntimeError: result = False\n"
        "finally: event.set()",
    ),
    "take much memory in one process": (
        "data", "", "bytearray(0) + mmap.mmap(-1, 1 << 30, mmap.MAP_PRIVATE)[:1]; result = True",
    ),
    "fill the disk": (
        "disk", "",
        "for number in range(6):\n"
        "    open(f'/tmp/{number}', 'wb').write(bytes(2 << 20))\n"
        "result = True",
    ),
    "create files without end": (
        "disk", "",
        f"for number in range({inside.INODES} + 10):\n"
        "    os.close(os.open(f'/tmp/{number}', os.O_CREAT))\n"
        "result = True",
    ),
    "make a huge file": (
        "file-size", "", "open('x', 'wb').truncate(1 << 30); result = True",
    ),
    "open descriptors without end": (
        "open-files", "", "kept = [os.open('/dev/null', 0) for _ in range(100)]; result = True",
    ),
    "make a namespace": (
        "seccomp", "", "result = libc.unshare(0x10000000) == 0",
    ),
    "keep memory that isn't mapped": (
        "seccomp", "", "result = os.memfd_create('x') > 0",
    ),
    "keep memory that is shared": (
        "seccomp", "", "mmap.mmap(-1, 4096); result = True",
    ),
    "start a session": ("seccomp", "", "result = os.fork() == 0 or os.wait()[1] == 0\n"
                        "if os.getpid() != pid: os.setsid(); os._exit(0)"),
    "be traced": ("seccomp", "", "result = libc.ptrace(0, 0, 0, 0) == 0"),
    "keep a key": (
        "seccomp", "", "result = system_call(248, b'user', b'name', b'x', 1, -3) > 0",
    ),
    "read process 1's memory": (
        "seccomp", "",
        "class Part(ctypes.Structure):\n"
        "    _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]\n"
        "here = ctypes.create_string_buffer(8)\n"
        "local = Part(ctypes.addressof(here), 8)\n"
        "remote = Part(id(errno), 8)\n"
        "parts = ctypes.byref(local), 1, ctypes.byref(remote), 1, 0\n"
        "result = libc.process_vm_readv(1, *parts) == 8",
    ),
    "uncover /proc": (
        "capabilities", "seccomp", "result = libc.umount2(b'/proc', 0) == 0 "
        "and os.path.exists('/proc/1/status')",
    ),
    "mount": (
        "capabilities", "seccomp", "result = libc.mount(b'x', b'/tmp', b'tmpfs', 0, None) == 0",
    ),
    "give the machine a name": (
        "capabilities", "seccomp", "socket.sethostname('mine'); result = True",
    ),
    "open an internet socket": (
        "network", "", "socket.socket(socket.AF_INET); result = True",
    ),
    "reach this machine": (
        "network", "",
        "peer = socket.socket(); peer.connect(('127.0.0.1', PORT)); result = True",
    ),
    "reach this machine, past the filter": (
        "network", "seccomp",
        "peer = socket.socket(); peer.connect(('127.0.0.1', PORT)); result = True",
    ),
    "reach a local service": (
        "network", "",
        "peer = socket.socket(socket.AF_UNIX); peer.connect('\\0' + NAME); result = True",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, Any]]:
    """A service on loopback and one in the abstract namespace of this machine."""
    name = f"nncourse-test-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as loopback, socket.socket(socket.AF_UNIX) as local:
        local.bind("\0" + name)
        local.listen(8)
        yield {"PORT": loopback.getsockname()[1], "NAME": name}


Result = bool


@pytest.fixture(scope="module")
def attack(make_zygote: Make, services: dict[str, Any]) -> Iterator[Callable[[str, str], Result]]:
    """Run code in a child with defences left out; zygotes are kept, one per set of them."""
    with contextlib.ExitStack() as stack:
        zygotes: dict[str, Zygote] = {}
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("NNCOURSE_TEST_SECRET", "hush")

        def attack(code: str, without: str) -> bool:
            if without not in zygotes:
                made = make_zygote(without, hidden=["tabulate"])
                zygotes[without] = stack.enter_context(made)
            with zygotes[without].spawn({}) as child:
                ask = Probe(child)
                ask(f"PORT, NAME, pid = {services['PORT']}, {services['NAME']!r}, os.getpid()")
                try:
                    return bool(ask(code))
                except Raised:
                    return False

        yield attack


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_fails(name: str, attack: Callable[[str, str], Result]) -> None:
    defence, missing, code = ATTACKS[name]
    if defence == "user" and os.geteuid() != 0:
        pytest.skip("an ordinary user has nothing to give up")
    assert attack(code, missing) is False
    assert attack(code, f"{missing} {defence}".strip()) is True


def test_every_defence_is_tested() -> None:
    attacked = {defence for defence, _, _ in ATTACKS.values()}
    source = Path(__file__).read_text("utf-8")
    alone = set(re.findall(r'make_zygote\("([a-z-]+)"\) as careless', source))
    assert attacked | alone == sandbox.DEFENCES


def test_a_defence_must_exist(make_zygote: Make) -> None:
    with pytest.raises(ValueError, match="no defences called netwrok"):
        make_zygote("netwrok")


def in_memory(zygote: Zygote) -> Exit | None:
    """Four processes with 80 MiB each, of 192 MiB."""
    code = """
        for number in range(3):
            if os.fork() == 0:
                block = bytearray(os.urandom(1 << 20) * 80)
                time.sleep(30)
                os._exit(0)
        block = bytearray(os.urandom(1 << 20) * 80)
        """
    with zygote.spawn({}) as child:
        Probe(child).send(code)
        return child.wait(1.5)


def test_memory_of_many_processes_is_bounded(zygote: Zygote, make_zygote: Make) -> None:
    end = in_memory(zygote)
    assert end is not None
    assert (end.kind, end.text) == ("memory", "killed: memory limit 192 MiB")
    with make_zygote("memory-watch") as careless:
        assert in_memory(careless) is None


def test_memory_in_files_and_sockets_counts(zygote: Zygote) -> None:
    bounds = Bounds(memory_bytes=16 * MEBI, file_bytes=32 * MEBI, open_files=256)
    with zygote.spawn({}, bounds) as child:
        Probe(child).send("for n in range(24): open('/dev/shm/x', 'ab').write(bytes(1 << 20))")
        end = child.wait(3)
    assert end is not None
    assert end.kind == "memory"
    with zygote.spawn({}, bounds) as child:
        Probe(child).send("kept = [socket.socketpair() for _ in range(100)]; time.sleep(9)")
        end = child.wait(3)
    assert end is not None
    assert end.kind == "memory"


def test_one_process_meets_a_memory_error_first(probe: Probe) -> None:
    with pytest.raises(Raised, match="MemoryError"):
        probe("kept = []\nwhile True: kept.append(bytearray(1 << 20))")
    probe("kept.clear()")
    assert probe("result = len(bytearray(1 << 24))") == 1 << 24


def test_a_page_is_not_counted_once_for_each_process(zygote: Zygote) -> None:
    code = """
        block = bytearray(os.urandom(1 << 20) * 60)
        for number in range(12):
            if os.fork() == 0:
                time.sleep(30)
                os._exit(0)
        time.sleep(0.5)
        """
    with zygote.spawn({}) as child:
        Probe(child)(code)
        assert child.wait(0) is None


def test_processor_time_is_bounded(
    zygote: Zygote, make_zygote: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sandbox.limits_of

    def short(bounds: Bounds) -> Limits:
        return real(bounds)._replace(processor_seconds=1)

    monkeypatch.setattr(sandbox, "limits_of", short)
    work = "while time.process_time() < 2.2: pass"
    with zygote.spawn({}) as child:
        Probe(child).send(work)
        end = child.wait(10)
    assert end is not None
    assert end.kind == "processor"
    assert end.text.startswith("killed: more than")
    with make_zygote("processor") as careless, careless.spawn({}) as child:
        assert Probe(child)(work) is None


def test_children_share_no_files(zygote: Zygote, make_zygote: Make) -> None:
    places = ["/tmp/x", "/dev/shm/x", "/student/x", "/student/work/x"]
    write = f"for place in {places!r}: open(place, 'w').write('answer')"
    read = f"result = [place for place in {places!r} if os.path.exists(place)]"
    with zygote.spawn({}) as first, zygote.spawn({}) as second:
        Probe(first)(write)
        assert Probe(first)(read) == places
        assert Probe(second)(read) == []
    with zygote.spawn({}) as third:
        assert Probe(third)(read) == []
    with make_zygote("mounts") as careless:
        with careless.spawn({}) as first:
            Probe(first)(write)
        with careless.spawn({}) as second:
            assert Probe(second)(read) == places


def survives(zygote: Zygote, attack: str) -> bool:
    """Whether a child outlives an attack by another one."""
    with zygote.spawn({}) as victim, zygote.spawn({}) as attacker:
        Probe(attacker).send(attack)
        attacker.wait(0.3)
        try:
            return bool(Probe(victim)("result = 1 + 1") == 2)
        except (EOFError, ConnectionError):
            return False


def test_signals_reach_no_other_child(zygote: Zygote, make_zygote: Make) -> None:
    everybody = "os.kill(-1, signal.SIGKILL)"
    assert survives(zygote, everybody)
    with make_zygote("pids") as careless:
        assert not survives(careless, everybody)


def test_signals_reach_no_process_group_outside(zygote: Zygote, make_zygote: Make) -> None:
    group = "os.kill(0, signal.SIGKILL)"
    assert survives(zygote, group)
    with make_zygote("session") as careless:
        assert not survives(careless, group)


def test_local_names_are_not_shared(zygote: Zygote, make_zygote: Make) -> None:
    bind = "own = socket.socket(socket.AF_UNIX); own.bind('\\0here'); own.listen()"
    connect = "socket.socket(socket.AF_UNIX).connect('\\0here'); result = True"
    with zygote.spawn({}) as first, zygote.spawn({}) as second:
        Probe(first)(bind)
        assert Probe(first)(connect) is True
        with pytest.raises(Raised, match="ConnectionRefusedError"):
            Probe(second)(connect)
    with (
        make_zygote("network") as careless,
        careless.spawn({}) as first,
        careless.spawn({}) as second,
    ):
        Probe(first)(bind)
        assert Probe(second)(connect) is True


def test_a_full_child_leaves_others_room(zygote: Zygote) -> None:
    with zygote.spawn({}) as first, zygote.spawn({}) as second:
        assert Probe(first)("result = fork_until_refused(60)") < 25
        assert Probe(second)("result = fork_until_refused(10)") == 10
