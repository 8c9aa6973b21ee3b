"""Fetching, against a server on this machine that behaves and misbehaves."""

from __future__ import annotations

import io
import re
import socket
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest

from nnlib import data
from nnlib.data import download, progress
from tests.nnlib.data.served import IMAGES, LABELS, digits, load, serve, sums


def test_folder_and_mirror_from_the_environment(server, tmp_path, monkeypatch):
    files, _, labels = digits()
    serve(server, files, "/sets/mnist")
    monkeypatch.setenv("NNLIB_DATA", str(tmp_path / "kept"))
    monkeypatch.setenv("NNLIB_DATA_URL", f"{server.url}/sets/")
    loaded = data.load_mnist(checksums=sums(files), progress=False)
    assert np.array_equal(loaded.y, labels)
    assert (tmp_path / "kept" / "mnist" / IMAGES).is_file()


def test_data_directory_follows_the_platform(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(download.sys, "platform", "linux")
    assert data.data_directory() == tmp_path / "nnlib"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert data.data_directory() == Path.home() / ".cache" / "nnlib"
    monkeypatch.setattr(download.sys, "platform", "darwin")
    assert data.data_directory() == Path.home() / "Library" / "Caches" / "nnlib"
    monkeypatch.setattr(download.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert data.data_directory() == tmp_path / "local" / "nnlib"
    monkeypatch.delenv("LOCALAPPDATA")
    assert data.data_directory() == Path.home() / "AppData" / "Local" / "nnlib"
    assert data.data_directory("~/x") == Path.home() / "x"


# ---------------------------------------------------------------------- broken off and resumed


def test_a_broken_transfer_goes_on_where_it_stopped(server, tmp_path):
    files, images, _ = digits(40)
    serve(server, files)
    server.cuts = [1000, 2000]
    loaded = load(server, tmp_path, files, dtype=np.uint8)
    assert np.array_equal(loaded.x[:, 0], images)
    ranges = [wanted for path, wanted in server.requests if path.endswith(IMAGES)]
    assert ranges == [None, "bytes=1000-", "bytes=3000-"]


def test_a_server_without_ranges_starts_again_from_the_first_byte(server, tmp_path):
    files, images, _ = digits(40)
    serve(server, files)
    server.ranges, server.cuts = False, [1000]
    loaded = load(server, tmp_path, files, dtype=np.uint8)
    assert np.array_equal(loaded.x[:, 0], images)
    assert server.requests[1][1] == "bytes=1000-"
    assert len(server.requests) == 3


def test_a_later_call_goes_on_too(server, tmp_path):
    files, images, _ = digits(40)
    serve(server, files)
    server.cuts = [1500] + [0] * 20
    with pytest.raises(data.DownloadError, match=r"ended after 1500 of \d+ bytes, 4 times"):
        load(server, tmp_path, files)
    part = tmp_path / "mnist" / f"{IMAGES}.part"
    assert part.read_bytes() == files[IMAGES][:1500]
    assert not (tmp_path / "mnist" / IMAGES).exists()
    server.cuts, server.requests = [], []
    assert np.array_equal(load(server, tmp_path, files, dtype=np.uint8).x[:, 0], images)
    assert server.requests[0][1] == "bytes=1500-"
    assert not part.exists()


def test_progress_resets_the_count_of_failures(server, tmp_path):
    files, images, _ = digits(40)
    serve(server, files)
    server.cuts = [500] * 12  # three times as many breaks as attempts are allowed in a row
    assert np.array_equal(load(server, tmp_path, files, dtype=np.uint8).x[:, 0], images)
    assert len(server.requests) == 14


@pytest.mark.parametrize(
    ("part", "requests"),
    [
        (lambda body: b"x" * 100, 2),  # of another version of the file
        (lambda body: body, 1),  # complete, but killed before it was renamed
        (lambda body: body + b"more", 2),
    ],
)
def test_what_lies_there_is_checked(server, tmp_path, part, requests):
    files, images, _ = digits(40)
    serve(server, files)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / f"{IMAGES}.part").write_bytes(part(files[IMAGES]))
    assert np.array_equal(load(server, tmp_path, files, dtype=np.uint8).x[:, 0], images)
    assert len([path for path, _ in server.requests if path.endswith(IMAGES)]) == requests


def test_a_wrong_range_is_not_appended(server, tmp_path):
    files, images, _ = digits(40)
    serve(server, files)
    server.cuts, server.content_range = [1000], "bytes 7-9/10"
    assert np.array_equal(load(server, tmp_path, files, dtype=np.uint8).x[:, 0], images)
    assert [wanted for _, wanted in server.requests][:3] == [None, "bytes=1000-", None]


def test_without_a_length_the_checksum_alone_decides(server, tmp_path):
    files, images, _ = digits()
    serve(server, files)
    server.with_length = False
    assert np.array_equal(load(server, tmp_path, files, dtype=np.uint8).x[:, 0], images)


@pytest.mark.parametrize("way", ["chunked", "resets"])
def test_other_ways_to_break_off(server, tmp_path, way):
    files, images, _ = digits(40)
    serve(server, files)
    setattr(server, way, True)
    server.cuts = [1000, 2000]
    assert np.array_equal(load(server, tmp_path, files, dtype=np.uint8).x[:, 0], images)
    assert len(server.requests) == 4


def test_no_server_keeps_us_for_ever(server, tmp_path):
    files, _, _ = digits(40)
    serve(server, files)
    # Every request brings something, and every second one must throw it away.
    server.cuts, server.content_range = [1000] * 100, "bytes 7-9/10"
    with pytest.raises(data.DownloadError, match="4 times in a row"):
        load(server, tmp_path, files)
    assert len(server.requests) < 10


def test_without_locks(server, tmp_path, monkeypatch):
    monkeypatch.setitem(download.sys.modules, "fcntl", None)
    files, images, _ = digits()
    serve(server, files)
    assert np.array_equal(load(server, tmp_path, files, dtype=np.uint8).x[:, 0], images)
    assert not (tmp_path / "mnist" / ".lock").exists()


def test_two_at_once_fetch_once(server, tmp_path):
    pytest.importorskip("fcntl")
    files, _, _ = digits(40)
    serve(server, files)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(load(server, tmp_path, files)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len(server.requests) == 2


# ------------------------------------------------------------------------------ corrupt and wrong


def test_a_corrupt_file_is_refused_and_not_kept(server, tmp_path):
    files, _, _ = digits()
    damaged = bytearray(files[IMAGES])
    damaged[100] ^= 1
    serve(server, files | {IMAGES: bytes(damaged)})
    expected = sums(files)[IMAGES]
    found = sums({IMAGES: bytes(damaged)})[IMAGES]
    with pytest.raises(data.DownloadError) as caught:
        load(server, tmp_path, files)
    text = str(caught.value)
    assert text.startswith(f"load_mnist: {IMAGES} must have the checksum {expected}, but ")
    assert found in text
    assert "base_url= or NNLIB_DATA_URL" in text
    assert [p.name for p in (tmp_path / "mnist").iterdir()] in ([], [".lock"])


def test_a_login_page_is_named_as_one(server, tmp_path):
    files, _, _ = digits()
    serve(server, files | {IMAGES: b"<!doctype html><title>Welcome to the station</title>"})
    with pytest.raises(data.DownloadError, match="begin like a web page: does your network ask"):
        load(server, tmp_path, files)


def test_a_damaged_file_on_disk_is_fetched_again(server, tmp_path):
    files, images, _ = digits()
    serve(server, files)
    load(server, tmp_path, files)
    kept = tmp_path / "mnist" / IMAGES
    kept.write_bytes(kept.read_bytes()[:-20])
    with pytest.raises(data.DownloadError, match=r"there is a damaged one"):
        load(server, tmp_path, files, download=False)
    assert np.array_equal(load(server, tmp_path, files, dtype=np.uint8).x[:, 0], images)
    assert len(server.requests) == 3


# ----------------------------------------------------------------------- servers that do not help


def test_offline_says_what_to_do(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(data.DownloadError) as caught:
        data.load_mnist(root=tmp_path, base_url=url, progress=False)
    text = str(caught.value)
    assert text.startswith(f"load_mnist: these files must be fetched once from {url}/, but ")
    assert "refused" in text
    for part in (
        IMAGES, LABELS, "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873", str(tmp_path / "mnist"),
        "root=", "NNLIB_DATA;", "base_url=", "NNLIB_DATA_URL", "make_glyphs()",
    ):  # fmt: skip
        assert part in text
    assert isinstance(caught.value, OSError)


def test_files_put_there_by_hand_are_taken(tmp_path):
    files, images, _ = digits()
    (tmp_path / "mnist").mkdir()
    for name, body in files.items():
        (tmp_path / "mnist" / name).write_bytes(body)
    loaded = data.load_mnist(
        root=tmp_path, checksums=sums(files), dtype=np.uint8, base_url="http://127.0.0.1:9"
    )
    assert np.array_equal(loaded.x[:, 0], images)


def test_download_false_lists_what_is_missing_and_asks_nobody(server, tmp_path):
    files, _, _ = digits()
    serve(server, files)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / LABELS).write_bytes(files[LABELS])
    with pytest.raises(data.DownloadError, match="download=False forbids") as caught:
        load(server, tmp_path, files, download=False)
    assert IMAGES in str(caught.value)
    assert LABELS not in str(caught.value)
    assert server.requests == []


def test_404_is_final_and_503_is_not(server, tmp_path):
    files, images, _ = digits()
    with pytest.raises(data.DownloadError, match="the server answered 404 Not Found"):
        load(server, tmp_path, files)
    assert len(server.requests) == 1
    serve(server, files)
    server.statuses = [503, 429, 500]
    assert np.array_equal(load(server, tmp_path, files, dtype=np.uint8).x[:, 0], images)
    server.statuses = [503] * 9
    with pytest.raises(data.DownloadError, match=r"answered 503 .*, 4 times in a row"):
        load(server, tmp_path / "other", files)


def test_a_server_that_hangs_up_at_once(tmp_path):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def hang_up():
            for _ in range(4):
                listening.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(data.DownloadError, match="4 times in a row"):
            data.load_mnist(root=tmp_path, base_url=url, progress=False)
        thread.join()


def test_silence_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_TIMEOUT", 0.05)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(data.DownloadError, match="timed out, 4 times in a row"):
            data.load_mnist(root=tmp_path, base_url=url, progress=False)


def test_a_folder_that_cannot_be_written(server, tmp_path):
    files, _, _ = digits()
    serve(server, files)
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(data.DownloadError, match=r"must be a folder that can be written to"):
        load(server, tmp_path / "file", files)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "validation"}, r"split must be 'train' or 'test', got 'validation'"),
        ({"base_url": "ftp://x"}, r"base_url must begin with http:// or https://, got 'ftp://x'"),
        ({"base_url": "/some/folder"}, r"base_url must .*For files on a disk, pass the folder"),
        ({"checksums": {"a": "md5:0"}}, r"checksums must name files of the data set, got 'a'"),
        ({"checksums": {IMAGES: "md5:0"}}, r"checksums must look like 'sha256:'.*got 'md5:0'"),
        ({"checksums": {IMAGES: "crc:" + 32 * "0"}}, r"checksums must look like"),
    ],
)
def test_bad_options(tmp_path, options, message):
    for loader in (data.load_mnist, data.load_fashion_mnist):
        with pytest.raises(ValueError, match=f"{loader.__name__}: {message}"):
            loader(root=tmp_path, **options)
    if "checksums" not in options:
        with pytest.raises(ValueError, match=f"load_cifar10: {message}"):
            data.load_cifar10(root=tmp_path, **options)


# -------------------------------------------------------------------------------------- progress


def test_plain_progress_is_told_in_lines(server, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(progress.sys.modules, "tqdm", None)
    monkeypatch.setattr(download, "_CHUNK", 1000)
    files, _, _ = digits(40)
    serve(server, files)
    data.load_mnist(root=tmp_path, base_url=server.url, checksums=sums(files))
    told = capsys.readouterr()
    assert told.err == "", "a graded cell that writes there scores 0"
    lines = told.out.splitlines()
    shares = [int(re.fullmatch(rf"{IMAGES}: (\d+) % of 31\.\d kB", line)[1]) for line in lines[:5]]
    assert all(low <= share < low + 4 for low, share in zip((20, 40, 60, 80), shares, strict=False))
    assert shares[4] == 100
    assert lines[5:] == [f"{LABELS}: 100 % of 0.1 kB"]
    data.load_mnist(root=tmp_path, base_url=server.url, checksums=sums(files))
    assert capsys.readouterr() == ("", "")


def test_plain_progress_on_a_terminal_draws_one_line(monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS", 0.0)
    stream = io.StringIO()
    stream.isatty = lambda: True
    with progress.PlainBar("a.gz", 2_000_000, 500_000, stream) as bar:
        bar.update(500_000)
        bar.update(1_000_000)
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "a.gz: 50 % of 2.0 MB [###############...............]" in text
    assert f"100 % of 2.0 MB [{'#' * 30}]" in text.split("\r")[-1]
    with progress.PlainBar("b", None, 0, stream) as bar:
        bar.update(300_000)
    assert "b: 0.3 MB" in stream.getvalue()


def test_tqdm_is_used_where_there_is_one(server, tmp_path, monkeypatch):
    seen = []

    class Fake:
        def __init__(self, **options):
            self.options, self.count = options, options["initial"]
            seen.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self, count):
            self.count += count

    monkeypatch.setitem(progress.sys.modules, "tqdm", types.SimpleNamespace(tqdm=Fake))
    files, _, _ = digits(40)
    serve(server, files)
    server.cuts = [1000]
    data.load_mnist(root=tmp_path, base_url=server.url, checksums=sums(files))
    assert [bar.options["desc"] for bar in seen] == [IMAGES, IMAGES, LABELS]
    assert [bar.options["initial"] for bar in seen] == [0, 1000, 0]
    assert [bar.count for bar in seen[1:]] == [bar.options["total"] for bar in seen[1:]]
    assert seen[0].options["file"] is sys.stdout
    assert seen[0].options["total"] == seen[1].options["total"] == len(files[IMAGES])
