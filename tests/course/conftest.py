"""Fixtures that the course's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium, or a visible skip."""
    pytest.importorskip("websocket", reason="websocket-client is not installed")
    from tests.course.browser import find_chromium, open_browser

    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium or Chrome on this machine")
    with open_browser(executable) as page:
        page.set_page(width=900)
        yield page
