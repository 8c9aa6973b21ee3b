"""The ``{assignment-card}`` directive: what to do, its points, and the notebooks to download.

::

    ```{assignment-card}
    :slug: 05-backprop
    :minutes: 120

    You write the backward pass of a multilayer perceptron.
    ```

Tasks and points are read from the released notebooks' nbgrader metadata, so the card cannot
disagree with what is graded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

TRACKS = {"numpy": "NumPy", "torch": "PyTorch"}


@dataclass(frozen=True)
class Notebook:
    """What the card says about one released notebook."""

    path: Path
    track: str
    points: float
    graded: int


def read_notebook(path: Path) -> Notebook:
    """Read points and the number of graded cells from a released notebook.

    Parameters
    ----------
    path : Path
        An ``.ipynb`` file; its name ends in ``_numpy`` or ``_torch``.

    Returns
    -------
    Notebook

    Raises
    ------
    ValueError
        When the file is no notebook.
    """
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        graded = [
            cell["metadata"]["nbgrader"]
            for cell in cells
            if cell["metadata"].get("nbgrader", {}).get("grade")
        ]
        points = float(sum(cell["points"] for cell in graded))
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path.name} is not a released notebook: {error!r}") from error
    return Notebook(path, path.stem.rsplit("_", 1)[-1], points, len(graded))


def plural(count: float, word: str) -> str:
    """Return ``1 point``, ``2 points``, ``2.5 points``.

    >>> plural(1.0, "point"), plural(2.5, "point")
    ('1 point', '2.5 points')
    """
    return f"{count:g} {word}" + ("" if count == 1 else "s")


class AssignmentCard(SphinxDirective):
    """Render the card of one assignment."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        "slug": directives.unchanged_required,
        "minutes": directives.positive_int,
        # "torch" where an assignment exists in one track only.
        "tracks": lambda text: [directives.choice(name, TRACKS) for name in (text or "").split()],
    }

    def run(self) -> list[nodes.Node]:
        """Build the card as an admonition with download links."""
        missing = [name for name in ("slug", "minutes") if name not in self.options]
        if missing:
            self._warn(f"needs the option {' and '.join(missing)}")
            return []
        slug = self.options["slug"]
        folder = Path(self.env.srcdir) / "exercises" / slug
        paths = sorted(folder.glob("*.ipynb")) if folder.is_dir() else []
        notebooks = []
        for track in self.options.get("tracks", TRACKS):
            found = [path for path in paths if path.stem.endswith(f"_{track}")]
            if not found:
                self._warn(f"exercises/{slug} has no *_{track}.ipynb; run `nncourse release` first")
                continue
            self.env.note_dependency(str(found[0]))
            try:
                notebooks.append(read_notebook(found[0]))
            except ValueError as error:
                self._warn(str(error))
        return [self._card(slug, notebooks)] if notebooks else []

    def _warn(self, message: str) -> None:
        logger.warning("assignment-card: %s", message, location=(self.env.docname, self.lineno))

    def _card(self, slug: str, notebooks: list[Notebook]) -> nodes.admonition:
        card = nodes.admonition(classes=["assignment-card"])
        self.set_source_info(card)
        card += nodes.title("", f"Assignment {slug}")
        self.state.nested_parse(self.content, self.content_offset, card)
        facts = nodes.bullet_list(classes=["nn-downloads"])
        for notebook in notebooks:
            line = nodes.paragraph()
            target = f"/exercises/{slug}/{notebook.path.name}"
            link = addnodes.download_reference(
                "", "", reftarget=target, refdoc=self.env.docname, classes=["nn-download"]
            )
            link += nodes.literal("", notebook.path.name, classes=["download"])
            line += nodes.strong("", TRACKS[notebook.track] + " ")
            line += link
            line += nodes.Text(
                f" {plural(notebook.graded, 'graded task')}, {plural(notebook.points, 'point')}"
            )
            facts += nodes.list_item("", line)
        card += facts
        first = notebooks[0].path.name
        minutes = self.options["minutes"]
        steps = [
            f"About {minutes} minutes a track. Each notebook stands alone: start with either."
            if len(notebooks) > 1 else f"About {minutes} minutes.",
            "",
            "```console",
            f"$ jupyter lab exercises/{slug}/{first}",
            f"$ nncourse check exercises/{slug}/{first}",
            "```",
            "",
            "The first command opens the notebook from a checkout of the course; a downloaded copy"
            " works from any folder. The second shows every verdict at once.",
        ]
        source = self.get_source_info()[0]
        self.state.nested_parse(StringList(steps, source=source), self.content_offset, card)
        return card


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.add_directive("assignment-card", AssignmentCard)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
