"""Turns a solved notebook into what comes back from three hundred different computers."""

from __future__ import annotations

import base64
import copy
import io
import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Notebook = dict[str, Any]
Rng = random.Random

ODDITIES: tuple[Any, ...] = (
    None, True, 0, -1, 2**70, 1.5, float("nan"), float("-inf"), "", "x", "\ud800", "\0", [], [[]],
    [None], {}, {"": None}, {"a": {"b": []}}, "\u202e\u0000é😀", [1, "a", {}],
)  # fmt: skip
R_METADATA = {
    "kernelspec": {"display_name": "R", "language": "R", "name": "ir"},
    "language_info": {"name": "R", "file_extension": ".r", "mimetype": "text/x-r-source"},
}
JULIA_METADATA = {
    "kernelspec": {"display_name": "Julia 1.10", "language": "julia", "name": "julia-1.10"},
    "language_info": {"name": "julia", "file_extension": ".jl", "version": "1.10.0"},
}
OTHER_CODE = (
    "relu <- function(x) { pmax(x, 0) }\nlibrary(ggplot2)",
    "function relu(x)\n    return max.(x, 0)\nend",
    "%%R\nx <- c(1, 2, 3)", "%%bash\necho hello", "!ls", "%%javascript\nalert(1)", "%load_ext x",
    "print 'Python 2'", "def f(:\n", "\tx = 1\n  y = 2", "x = '\0'", "#" * 100_000,
    "# -*- coding: latin-1 -*-\nx = 1", "\u2028x = 1\u2029", "(" * 500, "return 1", "await x",
    "\ud800", "raise SystemExit", "get_ipython().kernel", "exit", "1/0", "input()",
    "import matplotlib.pyplot as plt\nplt.plot([1, 2])", "class A:\n  pass\nA()", "%reset -f",
    "import sys; sys.setrecursionlimit(10**9)\ndef f(): return f()\nf()", "del check", "In", "Out",
)  # fmt: skip
OUTPUTS: tuple[Any, ...] = (
    {"output_type": "stream", "name": "stdout", "text": "x" * 100_000},
    {"output_type": "stream", "name": 5, "text": {"a": 1}},
    {"output_type": "nothing"}, {"output_type": "error", "ename": None, "traceback": "x"}, {}, 7,
    {"output_type": "display_data", "data": {"text/html": "<script>alert(1)</script>"}},
    {"output_type": "execute_result", "data": {"image/png": "not base64"}, "execution_count": "3"},
    {"output_type": "execute_result", "data": {"text/plain": "4.0"}, "metadata": {},
     "execution_count": 1},
)  # fmt: skip


def code_cell(source: Any, **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [],
            "source": source} | more  # fmt: skip


def text_of(notebook: Notebook, rng: Rng) -> bytes:
    """A notebook's file, as one of several programs writes it."""
    indent = rng.choice((1, 1, None, 4))
    text = json.dumps(notebook, indent=indent, ensure_ascii=rng.random() < 0.5)
    return text.encode("utf-8", "surrogatepass")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to everything in a notebook."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else (
        enumerate(value) if isinstance(value, list) else ())  # fmt: skip
    for key, item in items:
        found += places(item, (*path, key))
    return found


def parent(notebook: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        notebook = notebook[key]
    return notebook


def nbgrader_of(notebook: Notebook, rng: Rng) -> dict[str, Any]:
    """Metadata of one of the assignment's cells."""
    cells = [c for c in notebook["cells"] if "nbgrader" in c["metadata"]]
    found: dict[str, Any] = rng.choice(cells)["metadata"]["nbgrader"]
    return found


# Each changes a notebook in place, or returns the bytes of the file


def wrong_type(nb: Notebook, rng: Rng) -> None:
    for _ in range(rng.choice((1, 1, 2, 5))):
        path = rng.choice(places(nb))
        parent(nb, path)[path[-1]] = copy.deepcopy(rng.choice(ODDITIES))


def wrong_top_level(nb: Notebook, rng: Rng) -> None:
    nb[rng.choice(list(nb))] = copy.deepcopy(rng.choice(ODDITIES))


def key_deleted(nb: Notebook, rng: Rng) -> None:
    for _ in range(rng.choice((1, 3))):
        path = rng.choice(places(nb))
        del parent(nb, path)[path[-1]]


def key_added(nb: Notebook, rng: Rng) -> None:
    for _ in range(3):
        path = rng.choice(places(nb))
        above = parent(nb, path)
        if isinstance(above, dict):
            above[rng.choice(("id", "x", "", "outputs", "attachments", "cells"))] = copy.deepcopy(
                rng.choice(ODDITIES))  # fmt: skip


def cells_deleted(nb: Notebook, rng: Rng) -> None:
    nb["cells"] = [c for c in nb["cells"] if rng.random() < 0.7]


def no_cells(nb: Notebook, rng: Rng) -> None:
    nb["cells"] = []


def cells_duplicated(nb: Notebook, rng: Rng) -> None:
    for _ in range(rng.choice((1, 5))):
        cell = copy.deepcopy(rng.choice(nb["cells"]))
        nb["cells"].insert(rng.randrange(len(nb["cells"])), cell)


def cells_reordered(nb: Notebook, rng: Rng) -> None:
    rng.shuffle(nb["cells"])


def cells_retyped(nb: Notebook, rng: Rng) -> None:
    for cell in rng.sample(nb["cells"], 3):
        cell["cell_type"] = rng.choice(("markdown", "raw", "code", "heading", "html", "", "CODE"))


def cells_of_oddities(nb: Notebook, rng: Rng) -> None:
    for _ in range(2):
        nb["cells"].insert(rng.randrange(len(nb["cells"])), copy.deepcopy(rng.choice(ODDITIES)))


def huge_source(nb: Notebook, rng: Rng) -> None:
    line = rng.choice(("# " + "x" * 998 + "\n", "x = 1\n" * 167, "y = [" + "1, " * 320 + "]\n"))
    cell = rng.choice([c for c in nb["cells"] if c["cell_type"] == rng.choice(("code", "markdown"))
                       ] or nb["cells"])  # fmt: skip
    cell["source"] = line * 1000


def many_cells(nb: Notebook, rng: Rng) -> None:
    kind = rng.choice(("code", "markdown", "empty"))
    more = [
        code_cell(f"x{n} = {n}") if kind == "code" else code_cell("") if kind == "empty" else
        {"cell_type": "markdown", "metadata": {}, "source": f"{n}"} for n in range(10_000)
    ]  # fmt: skip
    nb["cells"][-1:-1] = more


def other_kernel(nb: Notebook, rng: Rng) -> None:
    nb["metadata"] = rng.choice((
        R_METADATA, JULIA_METADATA, {"kernelspec": {}}, {"kernelspec": {"name": "gone-kernel"}},
        {"kernelspec": {"name": "python2", "language": "python"}}, {"kernelspec": "python3"},
        {"language_info": []}, {"orig_nbformat": 2},
    ))  # fmt: skip


def other_language(nb: Notebook, rng: Rng) -> None:
    nb["metadata"] = rng.choice((R_METADATA, JULIA_METADATA))
    for cell in nb["cells"]:
        if cell["cell_type"] == "code":
            cell["source"] = rng.choice(OTHER_CODE[:2])


def other_code(nb: Notebook, rng: Rng) -> None:
    solutions = [c for c in nb["cells"] if c["metadata"].get("nbgrader", {}).get("solution")]
    for cell in rng.sample(solutions, 2):
        cell["source"] = rng.choice(OTHER_CODE)
    nb["cells"].insert(2, code_cell(rng.choice(OTHER_CODE)))


def version(nb: Notebook, rng: Rng) -> None:
    nb["nbformat"], nb["nbformat_minor"] = rng.choice((
        (2, 0), (3, 0), (5, 0), (4, 0), (4, 99), (1, 0), (0, 0), (-4, 2), ("4", "5"), (4.0, 5),
        (10**30, 0), (None, None), (True, 0), (3, "x"),
    ))  # fmt: skip


def old_format(nb: Notebook, rng: Rng) -> None:
    """As IPython Notebook 2 wrote it."""
    cells = [
        {"cell_type": "code", "input": c["source"], "language": "python", "outputs": [],
         "metadata": c["metadata"], "collapsed": False, "prompt_number": 1}
        if c["cell_type"] == "code" else
        rng.choice((c, {"cell_type": "heading", "level": 1, "source": "x", "metadata": {}}))
        for c in nb["cells"]
    ]  # fmt: skip
    nb.clear()
    nb.update({
        "nbformat": rng.choice((2, 3)), "nbformat_minor": 0, "metadata": {"name": ""},
        "worksheets": [{"cells": cells, "metadata": {}}],
    })  # fmt: skip
    if rng.random() < 0.3:
        nb["worksheets"] = rng.choice((None, [], {}, [None], [{"cells": None}], [{}]))


def bad_metadata(nb: Notebook, rng: Rng) -> None:
    deep: Any = {}
    for _ in range(rng.choice((20, 400))):
        deep = {"a": [deep]}
    cell = rng.choice(nb["cells"])
    cell["metadata"] = rng.choice(([], [1], 5, "x", None, {"tags": 5}, {"tags": [1, None, "a b"]},
                                   {"nbgrader": []}, {"nbgrader": 7}, {"deep": deep}))  # fmt: skip
    if rng.random() < 0.3:
        nb["metadata"] = rng.choice(([], 5, None, "x", deep))


def bad_nbgrader(nb: Notebook, rng: Rng) -> None:
    for _ in range(rng.choice((1, 3))):
        meta = nbgrader_of(nb, rng)
        name, values = rng.choice((
            ("schema_version", (0, 1, 2, 4, 99, "3", None, [], -1)),
            ("points", ("3", -5, 1e308, float("nan"), None, [], True, "x", float("inf"))),
            ("grade", ("yes", None, 0, 1, [], "false", False, True)),
            ("locked", (0, "x", None, True, False)), ("solution", (1, "x", None, True, False)),
            ("task", (True, 1, None)), ("checksum", (5, "x", None, [])),
            ("cell_type", ("raw", 5)),
        ))  # fmt: skip
        meta[name] = rng.choice(values)


def bad_ids(nb: Notebook, rng: Rng) -> None:
    bad = ("", "a b", "../../x", "x" * 5000, "é", "\0", None, 5, [], {}, "\ud800", "a/b", "$(x)",
           "'; drop table grade; --", "<script>")  # fmt: skip
    for _ in range(3):
        rng.choice(nb["cells"])["id"] = rng.choice(bad)
    if rng.random() < 0.7:
        nbgrader_of(nb, rng)["grade_id"] = rng.choice(bad)
    same = nb["cells"][0].get("id")
    for cell in rng.sample(nb["cells"], 2):
        cell["id"] = same


def attachments(nb: Notebook, rng: Rng) -> None:
    picture = base64.b64encode(b"\x89PNG" + bytes(500)).decode()
    for cell in rng.sample(nb["cells"], 4):
        cell["attachments"] = copy.deepcopy(rng.choice((
            {"a.png": {"image/png": picture}}, {"a.png": 5}, [], {"../x": {"text/html": "<b>"}},
            {"": {}}, {"a": {"image/svg+xml": "<svg onload='x'/>"}}, {"a": None}, 7,
            {"a.png": {"image/png": [picture, 5]}},
        )))  # fmt: skip


def garbage_outputs(nb: Notebook, rng: Rng) -> None:
    for cell in nb["cells"]:
        if rng.random() < 0.6:
            cell["outputs"] = copy.deepcopy(rng.choices(OUTPUTS, k=3))
            cell["execution_count"] = rng.choice((None, "x", -3, 2**40, 1.5, []))


def raw_cells(nb: Notebook, rng: Rng) -> None:
    for cell in nb["cells"]:
        if rng.random() < 0.5:
            cell["cell_type"] = "raw"


def odd_sources(nb: Notebook, rng: Rng) -> None:
    for cell in rng.sample(nb["cells"], 3):
        cell["source"] = copy.deepcopy(rng.choice((
            None, 5, {}, ["a", 5, None], [["x"]], "\r\n\r", "\ufeffx = 1", "\x1b[31m\x07\x00", "",
            "\ud800\udc00", "x\udfff", ["x = 1\n"] * 5000, True, "e\u0301" * 9, "\u2066\u202e",
        )))  # fmt: skip


def truncated(nb: Notebook, rng: Rng) -> bytes:
    data = text_of(nb, rng)
    return data[: rng.randrange(len(data))]


def bytes_changed(nb: Notebook, rng: Rng) -> bytes:
    data = bytearray(text_of(nb, rng))
    for _ in range(rng.choice((1, 3, 30))):
        place = rng.randrange(len(data))
        if rng.random() < 0.5:
            data[place] = rng.randrange(256)
        else:
            del data[place : place + rng.randrange(20)]
    return bytes(data)


def conflict(nb: Notebook, rng: Rng) -> bytes:
    lines = json.dumps(nb, indent=1).splitlines()
    start = rng.randrange(len(lines) - 4)
    middle = ["<<<<<<< HEAD", *lines[start : start + 2], "=======", "x", ">>>>>>> branch"]
    return "\n".join(lines[:start] + middle + lines[start + 2 :]).encode()


def encoded(nb: Notebook, rng: Rng) -> bytes:
    nb["cells"][0]["source"] = "Grüße, 你好"
    text = json.dumps(nb, ensure_ascii=False, indent=1)
    how = rng.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1", "gb2312"
                      , "utf-7", "cp500"))  # fmt: skip
    return text.encode(how, "replace")


def holes(nb: Notebook, rng: Rng) -> bytes:
    data = text_of(nb, rng)
    place = rng.randrange(len(data))
    return rng.choice((
        data[:place] + bytes(rng.choice((1, 4096))) + data[place:], data[:place] + bytes(4096),
        bytes(5000), b"\xef\xbb\xbf" * 2 + data, data + bytes(100), data.replace(b"\n", b"\r"),
    ))  # fmt: skip


def surrogates(nb: Notebook, rng: Rng) -> bytes:
    for cell in rng.sample(nb["cells"], 3):
        cell["source"] = f"# {cell['source']} \ud83d"
    solutions = [c for c in nb["cells"] if c["metadata"].get("nbgrader", {}).get("solution")]
    rng.choice(solutions)["source"] = "print('\udc9f')\nraise ValueError('\ud800')"
    return json.dumps(nb).encode()


def other_file(nb: Notebook, rng: Rng) -> bytes:
    data = text_of(nb, rng)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.ipynb", data)
    return rng.choice((
        b"<!DOCTYPE html><html><body>Sign in</body></html>", packed.getvalue(), b"", b" \n", b"{}",
        b"[]", b"null", b"5", b'"x"', b"NaN", b"{" * 100_000, b"[" * 100_000, b"%PDF-1.7\n\xe2\xe3",
        b"\x1f\x8b\x08" + bytes(50), b"#!/usr/bin/env python\nprint(1)\n", data * 2, b"9" * 100_000,
        b'{"cells": []}', b'{"cells": {}}', b'{"cells": [null]}', b"\x89PNG\r\n", b"{'cells': []}",
        bytes(range(256)) * 20, b'{"cells": [], "cells": 5}',
    ))  # fmt: skip


IN_PLACE: tuple[Callable[[Notebook, Rng], None], ...] = (
    wrong_type, wrong_top_level, key_deleted, key_added, cells_deleted, no_cells, cells_duplicated,
    cells_reordered, cells_retyped, cells_of_oddities, huge_source, many_cells, other_kernel,
    other_language, other_code, version, old_format, bad_metadata, bad_nbgrader, bad_ids,
    attachments, garbage_outputs, raw_cells, odd_sources,
)  # fmt: skip
AS_BYTES: tuple[Callable[[Notebook, Rng], bytes], ...] = (
    truncated, bytes_changed, conflict, encoded, holes, surrogates, other_file,
)  # fmt: skip
OFTEN = (wrong_type, truncated, bytes_changed, bad_nbgrader, key_deleted, other_code, odd_sources)
SELDOM = (huge_source, many_cells, no_cells)


# What stands where the file or the folder should be


def named(name: str | bytes) -> Callable[[Path, str, bytes, Rng], None]:
    """Hand the file in under another name."""

    def make(folder: Path, file: str, data: bytes, rng: Rng) -> None:
        Path(os.path.join(os.fsencode(folder), os.fsencode(name)).decode("utf-8", "surrogateescape")
             ).write_bytes(data)  # fmt: skip

    return make


def a_folder(folder: Path, file: str, data: bytes, rng: Rng) -> None:
    (folder / file).mkdir()
    (folder / file / file).write_bytes(data)


def a_link(folder: Path, file: str, data: bytes, rng: Rng) -> None:
    (folder / file).symlink_to(rng.choice(("/etc/passwd", "nowhere", file, "/dev/zero", "..")))


def a_pipe(folder: Path, file: str, data: bytes, rng: Rng) -> None:
    os.mkfifo(folder / file)


def nothing(folder: Path, file: str, data: bytes, rng: Rng) -> None:
    pass


def a_file_instead(folder: Path, file: str, data: bytes, rng: Rng) -> None:
    folder.rmdir()
    folder.write_bytes(data)


def a_linked_folder(folder: Path, file: str, data: bytes, rng: Rng) -> None:
    folder.rmdir()
    folder.symlink_to(rng.choice(("/", "nowhere", "/tmp")))


def company(folder: Path, file: str, data: bytes, rng: Rng) -> None:
    (folder / file).write_bytes(data)
    for name in ("numpy.py", "nnlib.py", "x.ipynb", "conftest.py", "timestamp.txt", "__init__.py"):
        (folder / name).write_bytes(rng.choice((b"raise SystemExit", b"\xff\xfe\x00", b"")))
    (folder / "sub" / "deep").mkdir(parents=True)


PLACED: tuple[Callable[[Path, str, bytes, Rng], None], ...] = (
    a_folder, a_link, a_pipe, nothing, a_file_instead, a_linked_folder, company, a_link,
    named(b"caf\xe9.ipynb"), named("a\nb.ipynb"), named(".ipynb"), named("x" * 240 + ".ipynb"),
    named("START_HERE_NUMPY.IPYNB"), named("<script>alert(1)</script>.ipynb".replace("/", "")),
    named("start_here_numpy (1).ipynb"), named("start_here_numpy.ipynb.txt"),
)  # fmt: skip
ODD_STUDENTS: tuple[str | bytes, ...] = (
    b"caf\xe9", "new\nline", "<b>bold", "'; drop table student; --", "x" * 200, "-rf", "%s{0}",
    "née", "\u202eevil", "trailing ", "$(touch x)", "a&amp;b", "…", "*", "[a-z]", "😀",
)  # fmt: skip


def write(rng: Rng, solved: Notebook, submitted: Path, assignment: str, file: str,
          count: int) -> list[str]:  # fmt: skip
    """Write a class of damaged submissions.

    Returns
    -------
    list of str
        Names of the students' folders.
    """
    kinds = [*IN_PLACE, *AS_BYTES]
    pool = [k for k in kinds if k not in SELDOM]
    plan: list[Any] = [*PLACED, *kinds]
    plan += rng.choices([*pool, *OFTEN], k=count - len(plan))
    students = []
    for number, kind in enumerate(plan):
        nb = copy.deepcopy(solved)
        label: str | bytes = f"{number:03d}-{getattr(kind, '__name__', 'x').strip('_')}"
        if kind in PLACED:
            data = text_of(nb, rng)
        else:
            data = kind(nb, rng) or text_of(nb, rng)
            if number % 16 == 15 and number // 16 <= len(ODD_STUDENTS):
                label = ODD_STUDENTS[number // 16 - 1]
        folder = Path(os.fsdecode(os.path.join(os.fsencode(submitted), os.fsencode(label),
                                               os.fsencode(assignment))))  # fmt: skip
        folder.mkdir(parents=True)
        if kind in PLACED:
            kind(folder, file, data, rng)
        else:
            (folder / file).write_bytes(data)
        students.append(folder.parent.name)
    return students
