"""What the loaders of published sets make of good files and of wrong ones."""

from __future__ import annotations

import ast
import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from nnlib import data
from nnlib.data import published
from nnlib.errors import DtypeError
from tests.nnlib.data.served import (
    IMAGES,
    LABELS,
    archive,
    digits,
    idx,
    load,
    load_photos,
    photos,
    serve,
    sums,
)


@pytest.mark.parametrize("loader", [data.load_mnist, data.load_fashion_mnist])
@pytest.mark.parametrize("split", ["train", "test"])
def test_fetches_reads_and_keeps(server, tmp_path, loader, split):
    files, images, labels = digits(split=split)
    serve(server, files)
    options = {"base_url": server.url, "checksums": sums(files), "split": split}
    options |= {"root": tmp_path, "progress": False}
    loaded = loader(**options)
    assert loaded.x.shape == (6, 1, 28, 28)
    assert loaded.x.dtype == np.float32
    assert np.array_equal(np.rint(loaded.x[:, 0] * 255), images)
    assert (loaded.x.min(), loaded.x.max()) == (0, 1)
    assert loaded.y.dtype == np.int64
    assert np.array_equal(loaded.y, labels)
    assert loaded.images is loaded.x
    assert len(loaded.class_names) == 10
    assert split in loaded.name
    assert len(server.requests) == 2
    again = loader(**options)
    assert np.array_equal(again.x, loaded.x)
    assert len(server.requests) == 2, "the second call must fetch nothing"
    folder = tmp_path / ("mnist" if loader is data.load_mnist else "fashion-mnist")
    assert sorted(p.name for p in folder.iterdir() if p.name[0] != ".") == sorted(files)


def test_uint8_keeps_the_bytes_and_float64_is_exact(server, tmp_path):
    files, images, _ = digits()
    serve(server, files)
    raw = load(server, tmp_path, files, dtype=np.uint8)
    assert raw.x.dtype == np.uint8
    assert np.array_equal(raw.x[:, 0], images)
    raw.x[:] = 0  # writable, and no other call sees it
    assert np.array_equal(load(server, tmp_path, files, dtype="float64").x[:, 0], images / 255)
    with pytest.raises(DtypeError, match="load_mnist: dtype must be float32, float64 or uint8"):
        load(server, tmp_path, files, dtype=np.int32)


def test_cifar_channels_rows_and_batches_in_order(server, tmp_path):
    body, batches = photos()
    train = load_photos(server, tmp_path, body, dtype=np.uint8)
    order = [batches[f"data_batch_{i}.bin"] for i in range(1, 6)]
    assert np.array_equal(train.x, np.concatenate([images for _, images in order]))
    assert np.array_equal(train.y, np.concatenate([labels for labels, _ in order]))
    assert train.class_names[0] == "airplane"
    test = load_photos(server, tmp_path, body, split="test")
    assert test.x.shape == (4, 3, 32, 32)
    assert np.allclose(test.x * 255, batches["test_batch.bin"][1])
    assert len(server.requests) == 1


def test_published_checksums_are_of_different_files():
    tables = (published._MNIST, published._FASHION, published._CIFAR)
    found = [file.checksum for source in tables for file in source.files]
    assert len(found) == len(set(found)) == 9
    assert all(re.fullmatch(r"md5:[0-9a-f]{32}", checksum) for checksum in found)


def test_nothing_in_the_package_unpickles():
    for path in Path(data.__file__).parent.glob("*.py"):
        names = {
            name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in [getattr(node, "module", None), *(alias.name for alias in node.names)]
        }
        assert not names & {"pickle", "shelve", "marshal", "dill"}, path


def broken(name, body):
    """Files whose checksums are right and whose content is not."""
    files, _, _ = digits()
    return files | {name: body}


GOOD = idx(np.zeros((6, 28, 28)))
WRONG = {
    "wrong magic": (IMAGES, b"\1\2\3\4" + GOOD[4:], r"must begin with two zero bytes.*01 02 03 04"),
    "empty": (IMAGES, b"", r"must begin with two zero bytes.*an empty file"),
    "unknown type": (IMAGES, b"\0\0\7\3" + GOOD[4:], r"must begin with .*00 00 07 03"),
    "no sizes": (IMAGES, GOOD[:9], r"must hold 3 sizes, but it ends after 1"),
    "too short": (IMAGES, GOOD[:-1], r"must hold 4704 bytes for shape \(6, 28, 28\).*after 4703"),
    "too long": (IMAGES, GOOD + b"x", r"must hold 4704 bytes .* but it has more"),
    "absurd sizes": (IMAGES, b"\0\0\x08\3" + b"\xff" * 12, r"must hold at most 4 GiB"),
    "truncated gzip": (IMAGES, gzip.compress(GOOD)[:-30], r"must be a whole gzip file"),
    "damaged gzip": (IMAGES, gzip.compress(GOOD)[:20] + b"\xff" * 50, r"must be a whole gzip file"),
    "labels for images": (IMAGES, idx(np.zeros(6)), r"hold bytes with 3 axes, got uint8 .*\(6,\)"),
    "floats": (IMAGES, idx(np.zeros((6, 28, 28)), 0x0D, ">f4"), r"hold bytes .* got float32"),
    "other count": (LABELS, idx(np.zeros(7)), r"as many images as labels, got 6 and 7"),
    "label 10": (LABELS, idx(np.full(6, 10)), r"labels must lie from 0 to 9, got 10"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_content_is_named(server, tmp_path, case):
    name, body, message = WRONG[case]
    files = broken(name, body)
    serve(server, files)
    with pytest.raises(data.FormatError, match=message):
        load(server, tmp_path, files)


CIFAR_ROW = bytes(3073)
WRONG_ARCHIVES = {
    "not an archive": (b"hello", r"must be a whole \.tar\.gz archive"),
    "truncated": (photos(100)[0][:200_000], r"must be a whole \.tar\.gz archive"),
    "the pickled version": (archive({"data_batch_1": CIFAR_ROW}), r"data_batch_1\.bin, .* missing"),
    "half a row": (
        archive({f"data_batch_{i}.bin": CIFAR_ROW[i // 3 :] for i in range(1, 6)}),
        r"data_batch_3\.bin in .* must hold rows of 3073 bytes, got 3072",
    ),
    "empty": (
        archive({f"data_batch_{i}.bin": b"" for i in range(1, 6)}),
        r"must hold rows of 3073 bytes, got 0 bytes",
    ),
    "label 11": (
        archive({f"data_batch_{i}.bin": b"\x0b" + CIFAR_ROW[1:] for i in range(1, 6)}),
        r"labels must lie from 0 to 9, got 11",
    ),
}


@pytest.mark.parametrize("case", WRONG_ARCHIVES)
def test_wrong_archives_are_named(server, tmp_path, case):
    body, message = WRONG_ARCHIVES[case]
    with pytest.raises(data.FormatError, match=f"load_cifar10: .*{message}"):
        load_photos(server, tmp_path, body)


def test_nothing_of_an_archive_reaches_the_disk(server, tmp_path):
    members = {f"data_batch_{i}.bin": CIFAR_ROW for i in range(1, 6)} | {"evil.txt": b"x"}
    loaded = load_photos(server, tmp_path / "sets", archive(members, folder="../../.."))
    assert loaded.x.shape == (5, 3, 32, 32)
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert written <= {"cifar-10-binary.tar.gz", ".lock"}


def test_read_idx_knows_every_type(tmp_path):
    file = tmp_path / "a.idx"
    types = {8: ">u1", 9: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
    for code, kind in types.items():
        array = np.arange(6).reshape(2, 3).astype(kind)
        file.write_bytes(idx(array, code, kind))
        found = data.read_idx(file)
        assert found.dtype == np.dtype(kind).newbyteorder("=")
        assert np.array_equal(found, array)
        found[0, 0] = 5  # the array is the caller's own
