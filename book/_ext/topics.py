"""The ``{topics-table}`` directive: which section teaches which topic of the curriculum.

The data are ``book/topics.yml``: for every chapter its topics, each with the labels of the sections
that teach it. The words of a link are the heading of the section that the label stands in, read
from the chapter, so they follow when a heading changes. ``tests/course/test_topics.py`` checks the
data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

LABEL = re.compile(r"\(([a-z0-9-]+)\)=\s*")
HEADING = re.compile(r"#{1,6}\s+(.*\S)\s*")
FENCE = re.compile(r"\s*(`{3,}|~{3,}|:{3,})")
KINDS = ("taught", "experiment", "built", "mistakes")


@dataclass(frozen=True)
class Topic:
    """One topic, what kind of thing the curriculum asks for, and where it is taught."""

    name: str
    kind: str
    labels: tuple[str, ...]


class _Strict(yaml.SafeLoader):
    """YAML without repeated keys, of which the plain loader would keep the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a dict, refusing a key that comes twice."""
        keys = [key.value for key, _ in node.value]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"line {node.start_mark.line + 1}: twice in one list: {twice}")
        return super().construct_mapping(node, deep)


def read_topics(path: Path) -> dict[str, list[Topic]]:
    """Read the topics of every chapter, in the order of the file.

    Raises
    ------
    ValueError
        When an entry lacks something or says too much.
    """
    loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=_Strict)
    chapters: dict[str, list[Topic]] = {}
    for slug, kinds in loaded.items():
        chapters[slug] = []
        for kind, topics in kinds.items():
            if kind not in KINDS:
                raise ValueError(f"{slug}: unknown kind {kind!r}; known are {KINDS}")
            for name, labels in topics.items():
                listed = (labels,) if isinstance(labels, str) else tuple(labels or ())
                if not listed:
                    raise ValueError(f"{slug}: {name!r} has no label")
                chapters[slug].append(Topic(str(name), kind, listed))
    return chapters


def section_titles(text: str) -> dict[str, str]:
    r"""Return the heading that each label of a page stands at, or else stands under.

    >>> section_titles("(a)=\n(b)=\n# One\n\nText.\n\n(c)=\n**Bold.** More.\n")
    {'a': 'One', 'b': 'One', 'c': 'One'}
    """
    titles: dict[str, str] = {}
    waiting: list[str] = []
    heading, fence = "", ""
    for line in text.splitlines():
        opened = FENCE.match(line)
        if fence:
            fence = "" if opened and line.strip() == fence else fence
            continue
        if opened and not line.startswith(":"):
            fence = opened[1]
        label, title = LABEL.fullmatch(line), HEADING.fullmatch(line)
        if label:
            waiting.append(label[1])
        elif line.strip():
            heading = title[1] if title else heading
            titles |= dict.fromkeys(waiting, heading)
            waiting = []
    return titles | dict.fromkeys(waiting, heading)


class TopicsTable(SphinxDirective):
    """Render ``topics.yml``, which lies beside the page, as one table for each chapter."""

    def run(self) -> list[nodes.Node]:
        """Write the tables as MyST and let it parse them, so that every link is checked."""
        folder = Path(self.get_source_info()[0]).parent
        self.env.note_dependency(str(folder / "topics.yml"))
        lines: list[str] = []
        for slug, topics in read_topics(folder / "topics.yml").items():
            chapter = folder / f"{slug}.md"
            self.env.note_dependency(str(chapter))
            titles = section_titles(chapter.read_text(encoding="utf-8"))
            lines += [f"**Chapter {int(slug[:2])}, {{doc}}`{slug}`**", ""]
            lines += ["| topic | section |", "|---|---|"]
            for topic in topics:
                links = ", ".join(
                    f"{{ref}}`{titles.get(label, label)} <{label}>`" for label in topic.labels
                )
                mark = "" if topic.kind == "taught" else f"*{topic.kind.removesuffix('s')}:* "
                lines.append(f"| {mark}{topic.name} | {links} |")
            lines.append("")
        parent = nodes.container(classes=["nn-topics"])
        source = self.get_source_info()[0]
        self.state.nested_parse(StringList(lines, source=source), self.content_offset, parent)
        return [parent]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.add_directive("topics-table", TopicsTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
