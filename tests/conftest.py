"""Settings for the whole suite."""

import os

from hypothesis import settings

# Examples differ from run to run on a developer's machine, where a new failure is welcome, and are
# the same in every CI run, where it would blame an unrelated change. No deadline:
# these machines are shared, and the first call of a function may compile or import.
settings.register_profile("explore", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "explore")
