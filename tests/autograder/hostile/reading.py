"""Attacks that look for what they must not see, and that write where they must not."""

from __future__ import annotations

from typing import Any

from attack import NUMPY, STOCK, TORCH, Attack

MARK = "hostile-mark-c41b"
"""Part of the name and content of everything that attacks write."""

LOOK = """
import os, sys, glob
found = []
def look(*paths):
    for path in paths:
        for name in glob.glob(path, recursive=True)[:400]:
            try: found.append(name + open(name, "rb").read(20000).decode("utf-8", "replace"))
            except Exception as error: found.append(repr(error))
"""
SHOW = "print(len(found)); print(found)"


def look(name: str, tries: str, code: str, kind: str = NUMPY) -> Attack:
    """Look around and print everything."""
    return Attack(name, tries, kind, code=LOOK + code, end=SHOW)


def write(name: str, tries: str, code: str, kind: str = NUMPY) -> Attack:
    """Write somewhere."""
    return Attack(name, tries, kind, code=f"MARK = {MARK!r}\n" + code)


def strange_names(notebook: dict[str, Any]) -> None:
    """Names that lead out of a folder, wherever a notebook can hold one."""
    for number, cell in enumerate(notebook["cells"]):
        cell["metadata"]["name"] = "../../../tmp/" + MARK
        cell["metadata"]["path"] = f"/tmp/{MARK}"
        cell["metadata"]["tags"] = ["../" + MARK, f"x{number}"]
        cell["attachments"] = {f"../../{MARK}.png": {"image/png": "aGk="}}
    notebook["metadata"] |= {"name": f"../{MARK}", "path": f"/tmp/{MARK}"}


READING = [
    look("sources", "reads the course, its tests and the gradebook", """
look("/work/**/*.py", "/root/**", "/home/**", "/srv/**", "/mnt/**", "/opt/**/*.db", "/tmp/**",
     "/var/**/*.db", os.environ.get("COURSE", "") + "/**", "../**", "../../../../**/*.db")"""),
    look("library", "reads what the sandbox shows of the course", """
look("/library/**/*.py", "/confine/**/*.py", "/cache/**")
found = [text for text in found if "canary" in text]"""),
    look("references", "imports the references, the cases, the mistakes, the answers", """
for name in ("nnlib.numpy_track", "nnlib.torch_track", "nnlib.mistakes", "nnlib.contract.cases",
             "nnlib.contract.registry", "nnlib.checks.run", "nnlib.checks.answers",
             "autograder.split", "autograder.engine", "autograder.verdicts", "autograder.lent"):
    try:
        module = __import__(name, fromlist=["x"])
        found.append(open(module.__file__).read())
    except Exception as error: found.append(repr(error))"""),
    look("environment", "prints the environment, its own and others'", """
found += [dict(os.environ), os.environb, sys.flags, sys.argv, sys.orig_argv, sys.path]
look("/proc/**/environ", "/proc/*/cmdline", "/proc/*/mem", "/proc/*/maps", "/proc/*/fd/*")"""),
    look("frames", "walks frames, objects, history and modules", """
import gc, inspect
frame = sys._getframe()
while frame:
    found += [frame.f_code.co_filename, list(frame.f_locals), list(frame.f_globals)]
    frame = frame.f_back
for thing in gc.get_objects():
    if isinstance(thing, (dict, bytes, str)) and len(thing) < 2000:
        text = str(thing)
        if "canary" in text or "secret" in text.lower(): found.append(text)
found += [get_ipython().history_manager.input_hist_raw, In, sorted(sys.modules)]"""),
    look("descriptors", "reads and writes every inherited descriptor", """
import socket
for number in range(256):
    try:
        found.append((number, os.fstat(number).st_mode, os.readlink(f"/proc/self/fd/{number}")))
    except OSError: pass
    if number > 3:
        try: found.append(os.pread(number, 1000, 0))
        except OSError: pass"""),
    look("memory", "reads the memory of other processes", """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for pid in (1, os.getppid(), *range(2, 60)):
    found.append((pid, libc.ptrace(16, pid, 0, 0), ctypes.get_errno()))
    look(f"/proc/{pid}/mem", f"/proc/{pid}/root/**")
buffer = ctypes.create_string_buffer(4096)
class Vector(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
one = Vector(ctypes.cast(buffer, ctypes.c_void_p), 4096)
for pid in range(1, 60):
    found.append(libc.process_vm_readv(pid, ctypes.byref(one), 1, ctypes.byref(one), 1, 0))"""),
    look("neighbours", "looks for what another submission left", """
look("/tmp/**", "/dev/shm/**", "/home/**", "/var/tmp/**", "/run/**", "/cache/**")
import multiprocessing.shared_memory as shared
for name in ("canary", "psm_0"):
    try: found.append(shared.SharedMemory(name).buf)
    except Exception as error: found.append(repr(error))"""),
    look("network", "asks the network and the services of the machine", """
import socket, urllib.request
for place in (("127.0.0.1", 22), ("169.254.169.254", 80), ("1.1.1.1", 53)):
    try: found.append(socket.create_connection(place, 0.2).recv(100))
    except OSError as error: found.append(repr(error))
for name in ("/run/docker.sock", "/run/dbus/system_bus_socket", "\\0canary", "/tmp/.X11-unix/X0"):
    try:
        unix = socket.socket(socket.AF_UNIX); unix.connect(name); found.append(unix.recv(10))
    except OSError as error: found.append(repr(error))
for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
    try: found.append(socket.socket(socket.AF_INET, kind))
    except OSError as error: found.append(repr(error))
try: found.append(urllib.request.urlopen("http://localhost", timeout=0.2).read())
except Exception as error: found.append(repr(error))"""),
    look("numbers", "keeps the hidden inputs that its functions got, to find right results in them",
         """
import gc
right_mlp = mlp_backward
def mlp_backward(dlogits, cache, **parts):
    for thing in gc.get_objects():
        if type(thing).__name__ in ("Trial", "Result", "Report", "Case", "Question"):
            found.append(vars(thing))
    return right_mlp(dlogits, cache, **parts)"""),
    look("torch-references", "imports PyTorch's references", """
for name in ("nnlib.torch_track", "nnlib.checks.torch_drivers"):
    try: found.append(open(__import__(name, fromlist=["x"]).__file__).read())
    except Exception as error: found.append(repr(error))
look("/work/**/torch_track/*.py", "/library/nnlib/**/*.py")
found = [text for text in found if "torch_track" in text or "canary" in text]""", TORCH),
]

WRITING = [
    write("files", "writes to the gradebook, the course, home, startup files and libraries", """
import os, sys, sysconfig, pathlib, glob
places = ["/", "/tmp", "/dev/shm", "/var/tmp", "/home", "/root", "/work", "/work/main", "/library",
          "/library/nnlib", "/confine", "/cache", "/etc", "/usr/lib", os.path.expanduser("~"),
          os.path.expanduser("~/.ipython/profile_default/startup"), "/proc", "/sys", "/run",
          os.path.expanduser("~/.jupyter"), *sys.path, *sysconfig.get_paths().values(),
          "../..", "../../../../tmp"]
done = []
for place in places:
    for name in (MARK + ".py", MARK + ".pth", "sitecustomize.py"):
        try:
            os.makedirs(place, exist_ok=True)
            pathlib.Path(place, name).write_text("raise SystemExit # " + MARK)
            done.append(place)
        except Exception: pass
for name in glob.glob("/**/*.db", recursive=True)[:50] + glob.glob("/library/**/*.py")[:50]:
    for act in (os.unlink, lambda name: open(name, "w"), lambda name: os.chmod(name, 0o777)):
        try: act(name); done.append(name)
        except Exception: pass
print(done)"""),
    write("links", "makes links to the host's files in its folder", """
import os
for place in ("/etc/shadow", "/root", "/work/main", "/proc/1/root", "../../.."):
    for make in (os.symlink, os.link):
        try: make(place, MARK + str(len(os.listdir("."))))
        except OSError: pass
os.mkfifo(MARK + "-pipe")"""),
    write("mounts", "mounts, changes its root, makes namespaces and devices", """
import ctypes, os
libc = ctypes.CDLL(None)
for call in (lambda: libc.mount(b"none", b"/proc", b"proc", 0, None),
             lambda: libc.umount2(b"/proc", 2),
             lambda: libc.unshare(0x10000000), lambda: os.mknod("disk", 0o60666, os.makedev(8, 0)),
             lambda: os.chroot("/"), lambda: os.setuid(0), lambda: libc.umount2(b"/tmp", 2),
             lambda: libc.keyctl(0, -3, 1), lambda: os.sethostname(MARK.encode())
             if hasattr(os, "sethostname") else libc.sethostname(MARK.encode(), 5)):
    try: call()
    except Exception: pass"""),
    write("through-a-figure", "saves a figure that a test lends, on the grader's side", """
def apply_twice(f, x):
    for name in ("tofile", "savefig", "dump", "write_text"):
        try: getattr(f, name)("/tmp/" + MARK)
        except Exception: pass
    return f(f(x))""", STOCK),
    write("through-an-array", "writes an argument to a file on the grader's side", """
import gc
from autograder.peer import Peer
def normalise(x):
    peer = next(o for o in gc.get_objects() if isinstance(o, Peer))
    try: peer.ask("call", peer.ask("attr", x, "tofile"), ("/tmp/" + MARK,), ())
    except Exception: pass
    return x""", STOCK),
    Attack("paths", "gives cells, files and attachments names that lead out of the folder", STOCK,
           edit=strange_names, less=False),
    write("later-submissions", "leaves modules and files for the next submission", """
import os, sys, pathlib, threading, subprocess
for place in ("/tmp", "/dev/shm", os.path.expanduser("~"), "."):
    pathlib.Path(place, "numpy.py").write_text("raise SystemExit")
pathlib.Path(os.path.expanduser("~/.pythonrc.py")).write_text("raise SystemExit")
if os.fork() == 0:
    os.setsid()
    import time
    while True: time.sleep(1)
subprocess.Popen(["sleep", "600"], start_new_session=True)"""),
]
