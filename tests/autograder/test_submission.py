"""Whatever lies in a student's folder: nothing is followed, nothing waits, all is named."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from autograder import submission
from autograder.submission import (
    UnreadableError,
    name_trouble,
    read_file,
    read_submission,
    shown,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "submitted" / "alice" / "01-double"
    path.mkdir(parents=True)
    (path / "good.ipynb").write_bytes(b"{}")
    return path


def test_plain_files_are_read(folder: Path) -> None:
    (folder / "timestamp.txt").write_bytes(b"2026-01-01")
    (folder / "numpy.py").write_bytes(b"raise SystemExit")
    (folder / ".ipynb_checkpoints").mkdir()
    found = read_submission(folder)
    assert found.files == {"good.ipynb": b"{}", "timestamp.txt": b"2026-01-01"}
    assert (found.refused, found.ignored, found.trouble) == ({}, ("numpy.py",), "")


@pytest.mark.timeout(20)
def test_odd_files_are_refused_by_kind(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.ipynb"
    secret.write_bytes(b"secret")
    (folder / "link.ipynb").symlink_to(secret)
    (folder / "dangling.ipynb").symlink_to(tmp_path / "nowhere")
    (folder / "self.ipynb").symlink_to("self.ipynb")
    (folder / "zero.ipynb").symlink_to("/dev/zero")
    (folder / "timestamp.txt").symlink_to(secret)
    (folder / "folder.ipynb").mkdir()
    os.mkfifo(folder / "pipe.ipynb")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(folder)
        try:
            server.bind("socket.ipynb")
        finally:
            os.chdir(here)
        found = read_submission(folder)
    kinds = {"link": "a link", "dangling": "a link", "self": "a link", "zero": "a link",
             "folder": "a folder", "pipe": "a pipe", "socket": "a socket"}  # fmt: skip
    for name, kind in kinds.items():
        assert f"is {kind}, not a file" in found.refused[f"{name}.ipynb"]
    assert "is a link" in found.refused["timestamp.txt"]
    assert set(found.files) == {"good.ipynb"}


def test_a_link_in_place_of_a_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    for link, target in ((tmp_path / "submitted" / "bob", folder.parent),
                         (folder.parent / "02-triple", folder)):  # fmt: skip
        link.symlink_to(target)
    for path in (tmp_path / "submitted" / "bob" / "01-double", folder.parent / "02-triple"):
        found = read_submission(path)
        assert found.files == {}
        assert "is a link: it was not followed" in found.trouble


def test_what_is_no_folder_or_not_ours_to_read_is_said(folder: Path) -> None:
    path = folder.parent / "03-file"
    path.write_bytes(b"x")
    assert "can't be read" in read_submission(path).trouble
    assert "can't be read" in read_submission(folder.parent / "nowhere").trouble


def test_sizes_and_counts_are_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "SIZE_LIMIT", 1_500_000)
    monkeypatch.setattr(submission, "TOTAL_LIMIT", 2_000_000)
    monkeypatch.setattr(submission, "COUNT_LIMIT", 4)
    with (folder / "a.ipynb").open("wb") as sparse:
        sparse.truncate(10**12)
    for name in ("b", "c", "d"):
        (folder / f"{name}.ipynb").write_bytes(b"x" * 1_200_000)
    found = read_submission(folder)
    assert "has 1000000 MB, more than 2" in found.refused["a.ipynb"]
    assert "as a whole is too large" in found.refused["c.ipynb"]
    assert "more than 4 notebooks" in found.refused["good.ipynb"]
    assert set(found.files) == {"b.ipynb"}
    with pytest.raises(UnreadableError, match="has 1000000 MB"):
        read_file(folder / "a.ipynb")


def test_names_are_shown_on_one_line(folder: Path) -> None:
    odd = os.fsdecode(b"a\nb\x1b[31m\xff.ipynb")
    (folder / odd).write_bytes(b"{}")
    (folder / ("x" * 200 + ".txt")).write_bytes(b"")
    found = read_submission(folder)
    assert odd in found.files
    assert shown(odd) == r"a\nb\x1b[31m\udcff.ipynb"
    assert len(shown(found.ignored[0])) == 80
    assert found.key == read_submission(folder).key


@pytest.mark.parametrize(
    ("name", "trouble"),
    [("alice", ""), ("Zoë Müller", ""), ("a.b-c_1@x.org", ""), ("a\nb", "can't be printed"),
     (os.fsdecode(b"caf\xe9"), "not UTF-8"), ("x" * 129, "more than 128"), (" a", "space"),
     ("a\\b", "slash"), ("\u202egpj", "can't be printed"), ("a\x00", "can't be printed")],
)  # fmt: skip
def test_names_of_students(name: str, trouble: str) -> None:
    found = name_trouble(name)
    assert (trouble in found) if trouble else (found == "")


def test_the_key_tells_submissions_apart(folder: Path) -> None:
    keys = {read_submission(folder).key}
    (folder / "good.ipynb").write_bytes(b"{} ")
    keys.add(read_submission(folder).key)
    (folder / "note.txt").write_bytes(b"")
    keys.add(read_submission(folder).key)
    (folder / "good.ipynb").rename(folder / "other.ipynb")
    keys.add(read_submission(folder).key)
    assert len(keys) == 4
