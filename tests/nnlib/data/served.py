"""Small files in the place of the published ones, and a server that can misbehave with them."""

from __future__ import annotations

import gzip
import hashlib
import io
import socket
import struct
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from nnlib import data


class Server:
    """Serves `files`; the other fields say how badly."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.cuts: list[int] = []  # bytes to send before hanging up, one for each request
        self.statuses: list[int] = []  # answers to give first
        self.content_range: str | None = None
        self.with_length = True
        self.chunked = False  # and each cut is a chunk that ends early
        self.resets = False  # each cut is a reset instead of an orderly end
        self.requests: list[tuple[str, str | None]] = []

        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.httpd.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.httpd.server_address[1]}"

    def close(self):
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join()

    def answer(self, handler):
        wanted = handler.headers.get("Range")
        self.requests.append((handler.path, wanted))
        body = self.files.get(handler.path)
        if self.statuses:
            return handler.send_error(self.statuses.pop(0))
        if body is None:
            return handler.send_error(404)
        start = int(wanted[len("bytes=") : -1]) if wanted and self.ranges else 0
        if start >= len(body) > 0 and start:
            return handler.send_error(416)
        handler.send_response(206 if start else 200)
        if start:
            standard = f"bytes {start}-{len(body) - 1}/{len(body)}"
            handler.send_header("Content-Range", self.content_range or standard)
        body = body[start:]
        if self.chunked and self.cuts:
            handler.send_header("Transfer-Encoding", "chunked")
        elif self.with_length:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if not self.cuts:
            handler.wfile.write(body)
            return None
        cut = self.cuts.pop(0)
        if self.chunked:
            handler.wfile.write(f"{cut:x}\r\n".encode() + body[:cut] + b"\r\nffff\r\nthe end")
            return None
        handler.wfile.write(body[:cut])
        if self.resets:
            handler.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            handler.connection.close()
        return None


IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


def idx(array, code=8, big=">u1"):
    head = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(big).tobytes()


def sums(files):
    return {name: f"sha256:{hashlib.sha256(body).hexdigest()}" for name, body in files.items()}


def digits(n=6, seed=0, split="train"):
    """Small files in the place of MNIST's: (name -> bytes, images, labels)."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, n, dtype=np.uint8)
    stem = "train" if split == "train" else "t10k"
    files = {
        f"{stem}-images-idx3-ubyte.gz": gzip.compress(idx(images)),
        f"{stem}-labels-idx1-ubyte.gz": gzip.compress(idx(labels)),
    }
    return files, images, labels


def serve(server, files, folder=""):
    server.files = {f"{folder}/{name}": body for name, body in files.items()}


def load(server, root, files, **options):
    return data.load_mnist(
        root=root, base_url=server.url, checksums=sums(files), progress=False, **options
    )


def photos(n=4, seed=0):
    """A small archive in the place of CIFAR-10's: (bytes, batches as (labels, images))."""
    rng = np.random.default_rng(seed)
    names = [f"data_batch_{i}.bin" for i in (3, 1, 2, 5, 4)] + ["test_batch.bin"]
    batches = {
        name: (rng.integers(0, 10, n, dtype=np.uint8), rng.integers(0, 256, (n, 3, 32, 32)))
        for name in names
    }
    members = {"batches.meta.txt": b"airplane\n"}
    for name, (labels, images) in batches.items():
        rows = np.hstack([labels[:, None], images.reshape(n, -1).astype(np.uint8)])
        members[name] = rows.tobytes()
    return archive(members), batches


def archive(members, folder="cifar-10-batches-bin"):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, body in members.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return stream.getvalue()


def load_photos(server, root, body, **options):
    name = "cifar-10-binary.tar.gz"
    server.files = {f"/{name}": body}
    return data.load_cifar10(
        root=root, base_url=server.url, checksums=sums({name: body}), progress=False, **options
    )
