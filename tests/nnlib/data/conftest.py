"""A server on this machine for the tests of downloads."""

from __future__ import annotations

import pytest

from nnlib.data import download
from tests.nnlib.data.served import Server


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """No pause between attempts, no proxy, and nobody's own settings."""
    monkeypatch.setattr(download, "_PAUSE", 0.0)
    for name in ("NNLIB_DATA", "NNLIB_DATA_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")
