"""MNIST, Fashion-MNIST and CIFAR-10: fetched once, checked, kept, and read without pickle."""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnlib.data._checks import check_dtype
from nnlib.data.dataset import Dataset
from nnlib.data.download import (
    MIRROR_VARIABLE,
    RemoteFile,
    data_directory,
    fetch_files,
    with_checksums,
)
from nnlib.data.idx import FormatError, read_idx
from nnlib.errors import check_choice

Root = str | os.PathLike[str] | None


class _Source(NamedTuple):
    """Where a data set is published, and what its publisher says about it."""

    name: str
    folder: str
    base_url: str
    files: tuple[RemoteFile, ...]
    class_names: tuple[str, ...]
    description: str


_DIGITS = tuple(str(digit) for digit in range(10))

_MNIST = _Source(
    "MNIST",
    "mnist",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    (
        RemoteFile("train-images-idx3-ubyte.gz", "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        RemoteFile("train-labels-idx1-ubyte.gz", "md5:d53e105ee54ea40749a09fcbcd1e9432"),
        RemoteFile("t10k-images-idx3-ubyte.gz", "md5:9fb629c4189551a2d022fa330f9573f3"),
        RemoteFile("t10k-labels-idx1-ubyte.gz", "md5:ec29112dd5afa0611ce80d1b7f02629c"),
    ),
    _DIGITS,
    "Handwritten digits of 500 people, 28 x 28 pixels, centred, light ink on a dark ground: 60,000 "
    "for training and 10,000 from other people for testing.",
)

_FASHION = _Source(
    "Fashion-MNIST",
    "fashion-mnist",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    (
        RemoteFile("train-images-idx3-ubyte.gz", "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        RemoteFile("train-labels-idx1-ubyte.gz", "md5:25c81989df183df01b3e8a0aad5dffbe"),
        RemoteFile("t10k-images-idx3-ubyte.gz", "md5:bef4ecab320f06d8554ea6380940ec79"),
        RemoteFile("t10k-labels-idx1-ubyte.gz", "md5:bb300cfdad3c16e7a12a480ee83cd310"),
    ),
    (
        "T-shirt/top", "trouser", "pullover", "dress", "coat",
        "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
    "Photographs of clothes from a shop's catalogue, 28 x 28 pixels in grey: 60,000 for training "
    "and 10,000 for testing.",
)

_CIFAR = _Source(
    "CIFAR-10",
    "cifar-10",
    "https://www.cs.toronto.edu/~kriz/",
    # The binary version: the one "for Python" is a pickle, which may run any code.
    (RemoteFile("cifar-10-binary.tar.gz", "md5:c32a1d4ab5d03f1284b67883e8d87530"),),
    (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ),
    "Colour photographs of animals and vehicles, 32 x 32 pixels: 50,000 for training and 10,000 "
    "for testing.",
)
_CIFAR_SHAPE = (3, 32, 32)


def load_mnist(
    *,
    split: str = "train",
    root: Root = None,
    download: bool = True,
    base_url: str | None = None,
    checksums: Mapping[str, str] | None = None,
    dtype: DTypeLike = np.float32,
    progress: bool = True,
) -> Dataset:
    """Handwritten digits, 28 x 28 pixels: 60,000 examples for training, 10,000 for testing.

    Fetched once (10 MB), checked, and kept on disk.

    Parameters
    ----------
    split : {"train", "test"}
    root : path, optional
        Folder of the data sets; the files are in its subfolder ``mnist``. By default what the
        environment variable NNLIB_DATA says, else the platform's folder for caches: see
        `data_directory`.
    download : bool
        False fetches nothing and raises if a file is missing.
    base_url : str, optional
        Folder on a server that has the files. By default the subfolder ``mnist`` of the mirror in
        the environment variable NNLIB_DATA_URL, else the publisher's.
    checksums : mapping of str to str, optional
        ``{"file name": "sha256:..."}`` in place of the publisher's, for a mirror with other files.
    dtype : {numpy.float32, numpy.float64, numpy.uint8}
        Floats lie in [0, 1]; uint8 keeps the 0 to 255 of the files, in a quarter of the memory.
    progress : bool
        Show a progress bar while fetching.

    Returns
    -------
    Dataset
        x (n, 1, 28, 28), y (n,) int64.

    Raises
    ------
    DownloadError
        If a file is missing and can't be fetched; the message says what to do.
    FormatError
        If a file is not what it should be.
    DtypeError, ValueError
        If an argument has the wrong type or range.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
    recognition", 1998.

    Examples
    --------
    >>> try:
    ...     load_mnist(root="no such folder", download=False)
    ... except OSError as error:
    ...     print(error)  # doctest: +ELLIPSIS
    load_mnist: these files must be fetched once from ...
    """
    return _load_idx_set(
        "load_mnist", _MNIST, split, root, download, base_url, checksums, dtype, progress
    )


def load_fashion_mnist(
    *,
    split: str = "train",
    root: Root = None,
    download: bool = True,
    base_url: str | None = None,
    checksums: Mapping[str, str] | None = None,
    dtype: DTypeLike = np.float32,
    progress: bool = True,
) -> Dataset:
    """Clothes in ten classes, 28 x 28 pixels: the size of MNIST, and harder.

    Fetched once (31 MB), checked, and kept on disk.

    Parameters
    ----------
    split, root, download, base_url, checksums, dtype, progress
        As in `load_mnist`; the subfolder is ``fashion-mnist``.

    Returns
    -------
    Dataset
        x (n, 1, 28, 28), y (n,) int64; n is 60,000 or 10,000.

    Raises
    ------
    DownloadError, FormatError, DtypeError, ValueError
        As in `load_mnist`.

    References
    ----------
    H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking
    machine learning algorithms", 2017.

    Examples
    --------
    >>> try:
    ...     load_fashion_mnist(root="no such folder", download=False)
    ... except OSError as error:
    ...     print(error)  # doctest: +ELLIPSIS
    load_fashion_mnist: these files must be fetched once from ...
    """
    return _load_idx_set(
        "load_fashion_mnist", _FASHION, split, root, download, base_url, checksums, dtype, progress
    )


def load_cifar10(
    *,
    split: str = "train",
    root: Root = None,
    download: bool = True,
    base_url: str | None = None,
    checksums: Mapping[str, str] | None = None,
    dtype: DTypeLike = np.float32,
    progress: bool = True,
) -> Dataset:
    """Colour photographs in ten classes, 32 x 32 pixels: 50,000 for training, 10,000 for testing.

    Fetched once (170 MB), checked, and kept on disk.

    Parameters
    ----------
    split, root, download, base_url, checksums, dtype, progress
        As in `load_mnist`; the subfolder is ``cifar-10``. The training part takes 614 MB as
        float32 and 154 MB as uint8.

    Returns
    -------
    Dataset
        x (n, 3, 32, 32) with red, green and blue along axis 1, y (n,) int64.

    Raises
    ------
    DownloadError, FormatError, DtypeError, ValueError
        As in `load_mnist`.

    References
    ----------
    A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.

    Examples
    --------
    >>> try:
    ...     load_cifar10(root="no such folder", download=False)
    ... except OSError as error:
    ...     print(error)  # doctest: +ELLIPSIS
    load_cifar10: these files must be fetched once from ...
    """
    caller = "load_cifar10"
    check_choice(caller, "split", split, ("train", "test"))
    kind = check_dtype(caller, dtype, ("float32", "float64", "uint8"))
    files = with_checksums(caller, _CIFAR.files, checksums)
    (archive,) = _fetch(caller, _CIFAR, files, root, base_url, download, progress)
    names = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}
    batches = names[split]
    parts = _read_members(caller, archive, batches)
    row = 1 + int(np.prod(_CIFAR_SHAPE))
    for name in batches:
        if not parts[name] or len(parts[name]) % row:
            raise FormatError(
                f"{caller}: {name} in {archive} must hold rows of {row} bytes, got "
                f"{len(parts[name])} bytes. Delete the archive and fetch it again."
            )
    records = np.concatenate([np.frombuffer(parts[n], np.uint8).reshape(-1, row) for n in batches])
    images = records[:, 1:].reshape(-1, *_CIFAR_SHAPE)
    return _dataset(caller, _CIFAR, split, images, records[:, 0], kind)


def _load_idx_set(
    caller: str,
    source: _Source,
    split: str,
    root: Root,
    download: bool,
    base_url: str | None,
    checksums: Mapping[str, str] | None,
    dtype: DTypeLike,
    progress: bool,
) -> Dataset:
    check_choice(caller, "split", split, ("train", "test"))
    kind = check_dtype(caller, dtype, ("float32", "float64", "uint8"))
    files = with_checksums(caller, source.files, checksums)
    pair = files[:2] if split == "train" else files[2:]
    paths = _fetch(caller, source, pair, root, base_url, download, progress)
    images, labels = (read_idx(path) for path in paths)
    for array, axes, path in ((images, 3, paths[0]), (labels, 1, paths[1])):
        if array.dtype != np.uint8 or array.ndim != axes:
            raise FormatError(
                f"{caller}: {path} must hold bytes with {axes} {'axes' if axes > 1 else 'axis'}, "
                f"got {array.dtype} with shape {array.shape}. Is it the right file?"
            )
    if len(images) != len(labels):
        raise FormatError(
            f"{caller}: {paths[0].name} and {paths[1].name} must hold as many images as labels, "
            f"got {len(images)} and {len(labels)}. Are both files from one source?"
        )
    return _dataset(caller, source, split, images[:, None], labels, kind)


def _fetch(
    caller: str,
    source: _Source,
    files: list[RemoteFile],
    root: Root,
    base_url: str | None,
    download: bool,
    progress: bool,
) -> list[Path]:
    mirror = os.environ.get(MIRROR_VARIABLE)
    if base_url is None:
        base_url = f"{mirror.rstrip('/')}/{source.folder}" if mirror else source.base_url
    folder = data_directory(root) / source.folder
    return fetch_files(
        caller, files, folder, base_url=base_url, download=download, progress=progress
    )


def _read_members(caller: str, archive: Path, names: list[str]) -> dict[str, bytes]:
    """Return the content of some files of a .tar.gz, by base name; nothing is unpacked on disk."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r|gz") as tar:
            for member in tar:
                name = Path(member.name).name
                stream = tar.extractfile(member) if name in names and member.isfile() else None
                if stream is not None:
                    found[name] = stream.read()
                if len(found) == len(names):
                    break
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise FormatError(
            f"{caller}: {archive} must be a whole .tar.gz archive, but {error}. "
            "Delete it and fetch it again."
        ) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise FormatError(
            f"{caller}: {archive} must hold {', '.join(names)}, but {', '.join(missing)} is "
            "missing. The binary version of CIFAR-10 is the one that has them."
        )
    return found


def _dataset(
    caller: str,
    source: _Source,
    split: str,
    pixels: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    kind: np.dtype[Any],
) -> Dataset:
    if labels.size and labels.max() >= len(source.class_names):
        raise FormatError(
            f"{caller}: labels must lie from 0 to {len(source.class_names) - 1}, got "
            f"{labels.max()}. Is it the right file?"
        )
    x = np.array(pixels, dtype=kind, order="C")
    if kind != np.uint8:
        x /= 255
    name = f"{source.name} {split}"
    y = labels.astype(np.int64)
    return Dataset(name, x, y, (), source.class_names, source.description, x)
