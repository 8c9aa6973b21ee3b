"""Attacks that take all there is: time, memory, processes, disk, messages."""

from __future__ import annotations

from attack import NUMPY, PEER, STOCK, TORCH, Attack

STUBBORN = """
import signal, os
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
"""


def cell(name: str, tries: str, code: str, says: str = "", kind: str = NUMPY) -> Attack:
    """Something that a cell does."""
    return Attack(name, tries, kind, code=code, says=says)


def function(name: str, tries: str, body: str, kind: str = STOCK, says: str = "") -> Attack:
    """Something that graded functions do."""
    lines = "\n    ".join(body.strip().splitlines())
    code = f"def normalise(*given):\n    {lines}\nprimes = normalise\n"
    if kind == NUMPY:
        code = code.replace("normalise", "standardize").replace("primes", "linear_backward")
    return Attack(name, tries, kind, code=code, says=says)


ATTACKS = [
    cell("loop", "never ends", "while True: pass", "endless loop"),
    cell("loop-bare-except", "catches its own interruption", """
while True:
    try:
        while True: pass
    except: pass""", "endless loop"),
    cell("loop-in-c", "computes one number for hours", "x = 7 ** (7 ** 12)", "timeout"),
    cell("loop-in-re", "matches a pattern that takes for ever",
         'import re; re.fullmatch("(a+)+b", "a" * 60)', "timeout"),
    cell("loop-stubborn", "ignores every signal and never ends", STUBBORN + "while True: pass",
         "timeout"),
    function("call-loop", "never returns", "while True: pass"),
    function("call-stubborn", "never returns and can't be interrupted",
             STUBBORN + "while True: pass"),
    function("call-sleep", "sleeps in every call", "import time; time.sleep(600)", NUMPY),
    cell("memory", "takes all memory", "x = [bytearray(2**24) for _ in range(10**6)]"),
    cell("memory-processes", "takes memory in many processes", """
import os, time
for _ in range(12):
    if os.fork() == 0:
        x = bytearray(2**27); time.sleep(3); os._exit(0)
time.sleep(1)"""),
    cell("memory-files", "fills temporary file systems and shared memory", """
import mmap, os
for place in ("/dev/shm/x", "/tmp/x", "x"):
    try:
        with open(place, "wb") as f:
            for _ in range(4000): f.write(bytes(2**20))
    except OSError: pass
maps = []
try:
    while len(maps) < 100: maps.append(mmap.mmap(-1, 2**27)); maps[-1][::4096] = bytes(2**15)
except (OSError, MemoryError): pass"""),
    cell("fork-bomb", "forks for ever", """
import os
while True:
    try: os.fork()
    except OSError: pass"""),
    cell("threads", "starts threads for ever", """
import threading, time
try:
    while True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
except RuntimeError: pass"""),
    cell("descriptors", "opens files for ever", """
import os
try:
    while True: os.open("/dev/null", 0)
except OSError: pass"""),
    cell("disk", "makes files for ever", """
try:
    for k in range(10**6): open(f"file{k}", "w").write("x")
except OSError: pass"""),
    cell("text-flood", "prints without end", "while True: print('x' * 100000)"),
    cell("display-flood", "displays without end", """
from IPython.display import HTML, display
while True: display(HTML("<p>" + "x" * 10000))"""),
    cell("traceback-flood", "raises errors of megabytes", """
class Long(Exception):
    def __str__(self): return "x" * 10**7
def deep(n): raise Long if n == 0 else deep(n - 1)
try: deep(900)
except Long as error: raise Long from error"""),
    cell("event-flood", "sends events without end, faster than they are read", PEER + STUBBORN
         + """
import os, json, struct
text = json.dumps([{"kind": "event", "body": {"output_type": "stream", "text": "x"}}, []]).encode()
data = (struct.pack("<II", len(text), 0) + text) * 2000
while True: peer.channel.sock.sendall(data)""", "timeout"),
    cell("drip", "sends one byte at a time", PEER + STUBBORN + """
import struct, time
peer.channel.sock.sendall(struct.pack("<II", 10**7, 0))
while True: peer.channel.sock.sendall(b" "); time.sleep(0.05)""", "timeout"),
    cell("exit", "ends its process", "import os; os._exit(0)", "process"),
    cell("exit-handlers", "sleeps when its process ends", """
import atexit, time, threading
atexit.register(time.sleep, 600)
threading.Thread(target=time.sleep, args=(600,)).start()"""),
    cell("signals", "signals its parent, its group, everything", """
import os, signal
for pid in (os.getppid(), 0 if False else 1, 2, 3):
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT):
        try: os.kill(pid, number)
        except OSError: pass
os.kill(-1, signal.SIGKILL)"""),
    cell("stop", "stops itself", "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
         "timeout"),
    cell("limits", "raises its own limits", """
import resource, os
for name in dir(resource):
    if name.startswith("RLIMIT_"):
        try: resource.setrlimit(getattr(resource, name), (resource.RLIM_INFINITY,) * 2)
        except (OSError, ValueError): pass
x = [bytearray(2**24) for _ in range(10**6)]"""),
    cell("recursion", "recurs without end, in C too", """
import sys
sys.setrecursionlimit(10**9)
class Deep:
    def __repr__(self): return repr(self)
repr(Deep())"""),
    cell("dies-again", "dies in every cell and call", """
import os
def relu_forward(x): os._exit(3)
standardize = linear_backward = mlp_backward = relu_forward"""),
    function("huge", "returns more than may cross",
             "import numpy; return numpy.zeros(10**9, 'i1')"),
    function("cyclic", "returns a list that holds itself", "x = []; x.append(x); return x"),
    function("million", "returns millions of items", "return [{} for _ in range(800_000)]"),
    function("deep", "returns a deep nest", "x = []\nfor _ in range(10**5): x = [x]\nreturn x"),
    function("generator", "returns numbers for ever", "import itertools; return itertools.count()"),
    function("large-generator", "returns large arrays for ever", """
import numpy
def made():
    x = numpy.zeros(6_000_000)
    while True: yield x
return made()"""),
    function("length", "says that it has 10**12 items", """
class Long:
    def __len__(self): return 10**12
    def __getitem__(self, k): return k
return Long()"""),
    function("long-number", "returns a number with millions of digits",
             "return 1 << 900_000"),
    function("names", "returns thousands of kinds of named tuples", """
import collections
return [collections.namedtuple(f"N{k}", f"a{k}")(0) for k in range(4_000)]"""),
    Attack("ping-pong", "calls back and forth without end", STOCK, code="""
def apply_twice(f, x):
    while True: f(x)
class Again:
    def __init__(self, f): self.f = f
    def __mul__(self, other): return self.f(self)
def square(x): return x * x
def primes(n): return 3"""),
    Attack("mutual", "recurs between the two sides", STOCK, code="""
def apply_twice(f, x):
    class Ten:
        def __mul__(self, other): return f(self)
        __rmul__ = __mul__
    return f(Ten())"""),
    Attack("asking", "asks the grader for ever", STOCK, code=PEER + """
def apply_twice(f, x):
    import signal
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    while True:
        try: f(1)
        except Exception: pass"""),
    Attack("gradients", "asks for gradients for ever", TORCH, code=PEER + """
def predict_classes(model, x):
    while True:
        try: peer.ask("vjp", 0, (), x, False)
        except Exception: pass"""),
]  # fmt: skip
