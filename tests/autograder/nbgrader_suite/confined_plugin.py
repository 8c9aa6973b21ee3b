"""A pytest plugin that lets nbgrader's own tests grade with `ConfinedExecute`.

Those tests write an ``nbgrader_config.py`` into a fresh folder; the two settings beside the one
line are what stock notebooks need that look into their own kernel and folder.
"""

from pathlib import Path

import pytest

CONFIG = """
from autograder import execute
c.Autograde.autograde_preprocessors = execute.PREPROCESSORS
c.ConfinedExecute.isolation = "shared"
c.ConfinedExecute.keep_files = True
"""


@pytest.fixture(autouse=True)
def confined(request: pytest.FixtureRequest) -> None:
    """Append the executor to the configuration of a test that has one."""
    if "temp_cwd" in request.fixturenames:
        request.getfixturevalue("temp_cwd")
        path = Path("nbgrader_config.py")
        path.write_text(path.read_text(encoding="utf-8") + CONFIG, encoding="utf-8")
