"""Where confinement works, and what is said where it doesn't."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autograder import sandbox, sandbox_available
from autograder.sandbox_view import prefixes
from tests.autograder.sandboxed import (
    LINUX_ROOT,
)


@pytest.mark.skipif(not LINUX_ROOT, reason="an ordinary user may lack the right")
def test_confinement_works_here() -> None:
    assert sandbox.available() == ""


@pytest.fixture
def fresh() -> Iterator[Callable[[], str]]:
    sandbox.available.cache_clear()
    yield sandbox.available
    sandbox.available.cache_clear()


def test_another_system_is_refused(
    fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_available.sys, "platform", "darwin")
    assert re.search(r"can't be confined on darwin: grade on Linux", fresh())


def test_a_missing_bubblewrap_is_named(
    fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert re.search(r"bubblewrap is missing: .*apt install bubblewrap", fresh())


def test_a_failed_trial_is_explained(
    fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub = tmp_path / "bwrap"
    stub.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace'\nexit 1\n")
    stub.chmod(0o755)
    monkeypatch.setattr(sandbox_available, "BUBBLEWRAP", str(stub))
    monkeypatch.setattr(sandbox_available, "CONTAINER_MARKS", ())
    text = fresh()
    assert "No permissions to create new namespace" in text
    assert text.endswith("the kernel must allow user namespaces to users without privileges.")
    monkeypatch.setattr(sandbox_available, "SWITCHES", (("kernel/ostype", "Linux", "BSD"),))
    assert "run sudo sysctl -w kernel.ostype=BSD" in sandbox_available.available.__wrapped__()


@pytest.mark.skipif(not LINUX_ROOT, reason="only root gives up rights")
def test_an_unreadable_python_is_explained(
    fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_available, "site_folders", lambda: [Path("/proc/kmsg")])
    text = fresh()
    assert "can't read /proc/kmsg" in text
    assert f"chmod -R o+rX {sys.prefix}" in text


def test_prefixes_are_outside_of_the_system() -> None:
    found = list(prefixes())
    assert not [path for path in found if path.is_relative_to("/usr")]
    assert Path(sys.prefix) in found or Path(sys.prefix).is_relative_to("/usr")


def test_an_environment_in_a_folder_that_becomes_private_is_shown_elsewhere() -> None:
    from pathlib import Path

    from autograder.sandbox_view import placed

    assert placed(Path("/tmp/course/.venv/bin/python")) == Path(
        "/moved/tmp/course/.venv/bin/python")
    assert placed(Path("/srv/course/.venv")) == Path("/srv/course/.venv")
