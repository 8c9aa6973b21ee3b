"""nbgrader's configuration of this course.

Stock ``nbgrader generate_assignment``, ``autograde``, ``generate_feedback``, ``validate`` and the
formgrader find this file when they run from the repository's root; ``nncourse`` reads it too.
"""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
if importlib.util.find_spec("autograder") is None:
    sys.path.insert(0, str(ROOT))

from autograder import (  # noqa: E402
    execute,
    feedback,
    nbgrader_bridge,
    release,
    sanitize,
    sanitize_html,
    stubs,
)

c = get_config()  # type: ignore[name-defined]  # noqa: F821

c.CourseDirectory.course_id = "nncourse"
c.CourseDirectory.root = str(ROOT)
c.CourseDirectory.source_directory = "source"
c.CourseDirectory.release_directory = "exercises"

# The secret that hidden cases are drawn from never stands here: it comes from the environment
# variable NNCOURSE_SECRET or from the git-ignored file .course_secret.

# solutions -> exercises: the same bytes from `nncourse release` and `nbgrader generate_assignment`.
c.GenerateAssignment.preprocessors = stubs.RELEASE_PREPROCESSORS
c.GenerateAssignment.post_convert_hook = release.after_generate_assignment
c.ClearSolutions.code_stub = {"python": stubs.STUB}

# submitted -> autograded
c.Autograde.sanitize_preprocessors = sanitize.SANITIZERS
c.Autograde.autograde_preprocessors = execute.PREPROCESSORS
c.ConfinedExecute.course_root = str(ROOT)
c.ConfinedExecute.cell_seconds = 30
# The two tracks are written apart: a NumPy notebook finds no PyTorch.
c.ConfinedExecute.hidden_packages = {"*_numpy": ["torch"]}

# autograded -> formgrader and feedback: what students write in Markdown is shown without its HTML
c.HTMLExporter.filters = sanitize_html.filters()
c.GenerateFeedback.exporter_class = feedback.FeedbackExporter
c.GenerateFeedback.post_convert_hook = feedback.after_generate_feedback

nbgrader_bridge.find_own_programs()
release.prepare_for_nbgrader(str(ROOT))
