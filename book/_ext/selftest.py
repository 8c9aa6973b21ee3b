"""The ``{self-test}`` directive: multiple-choice questions that explain the chosen answer.

The body is a YAML list of questions::

    ```{self-test}
    - question: What is the gradient of $y = x^2$ at $x = 3$?
      options:
        - {text: "$6$", correct: true, why: "$2x$ at $x = 3$."}
        - {text: "$9$", why: That is the value, not the gradient.}
    ```

Text may hold any MyST markup. Add ``shuffle: false`` to a question whose options have an order.
The page reads well without JavaScript: each answer's explanation is folded under it.
``book/_static/selftest.js`` turns the lists into radio buttons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)


class SelfTestError(ValueError):
    """A self-test body that breaks the format, with the line (from 0) it breaks at."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Option:
    """One answer to choose."""

    text: str
    why: str
    correct: bool
    line: int


@dataclass(frozen=True)
class Question:
    """One question and its answers."""

    text: str
    options: tuple[Option, ...]
    shuffle: bool
    line: int


def _mapping(node: yaml.Node, allowed: set[str], what: str) -> dict[str, yaml.Node]:
    """Return a YAML mapping as a dict of nodes, refusing unknown and repeated keys."""
    line = node.start_mark.line
    if not isinstance(node, yaml.MappingNode):
        raise SelfTestError(f"{what} must be a mapping with the keys {sorted(allowed)}", line)
    result: dict[str, yaml.Node] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key not in allowed:
            raise SelfTestError(
                f"{what} has the unknown key {key!r}; known are {sorted(allowed)}",
                key_node.start_mark.line,
            )
        if key in result:
            raise SelfTestError(f"{what} has {key!r} twice", key_node.start_mark.line)
        result[key] = value_node
    return result


def _text(fields: dict[str, yaml.Node], key: str, what: str, line: int) -> str:
    node = fields.get(key)
    if node is None:
        raise SelfTestError(f"{what} needs {key!r}", line)
    if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
        raise SelfTestError(
            f"{what}: {key!r} must be text (quote it if it starts with a special character)",
            node.start_mark.line,
        )
    return str(node.value).strip()


def _flag(fields: dict[str, yaml.Node], key: str, default: bool, what: str) -> bool:
    node = fields.get(key)
    if node is None:
        return default
    value = node.value if isinstance(node, yaml.ScalarNode) else None
    if value not in ("true", "false"):
        raise SelfTestError(f"{what}: {key!r} must be true or false", node.start_mark.line)
    return bool(value == "true")


def parse_self_test(body: str) -> list[Question]:
    r"""Parse the YAML body of a self-test.

    Parameters
    ----------
    body : str
        The directive's content.

    Returns
    -------
    list of Question
        In the order of the body.

    Raises
    ------
    SelfTestError
        With a message for the author and the line, counted from 0, of the fault.

    Examples
    --------
    >>> text = "- question: Q\n  options: [{text: a, correct: true, why: x}, {text: b, why: y}]"
    >>> [option.correct for option in parse_self_test(text)[0].options]
    [True, False]
    """
    try:
        root = yaml.compose(body, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        hint = "; quote text that holds ': ' or starts with a special character"
        raise SelfTestError(
            f"the body is not valid YAML: {error.problem}{hint}", mark.line if mark else 0
        ) from error
    if not isinstance(root, yaml.SequenceNode) or not root.value:
        raise SelfTestError("the body must be a list of questions", 0)
    questions = []
    for index, node in enumerate(root.value, start=1):
        what = f"question {index}"
        line = node.start_mark.line
        fields = _mapping(node, {"question", "options", "shuffle"}, what)
        text = _text(fields, "question", what, line)
        listed = fields.get("options")
        if not isinstance(listed, yaml.SequenceNode) or len(listed.value) < 2:
            raise SelfTestError(f"{what} needs 'options', a list of at least two", line)
        options = []
        for number, option_node in enumerate(listed.value, start=1):
            label = f"{what}, option {number}"
            at = option_node.start_mark.line
            parts = _mapping(option_node, {"text", "correct", "why"}, label)
            options.append(
                Option(
                    text=_text(parts, "text", label, at),
                    why=_text(parts, "why", label, at),
                    correct=_flag(parts, "correct", False, label),
                    line=at,
                )
            )
        right = sum(option.correct for option in options)
        if right == 0 or right == len(options):
            raise SelfTestError(f"{what} needs at least one correct and one wrong option", line)
        questions.append(Question(text, tuple(options), _flag(fields, "shuffle", True, what), line))
    return questions


class self_test(nodes.General, nodes.Element):  # noqa: N801 - docutils names nodes this way
    """All questions of one self-test."""


class self_test_question(nodes.General, nodes.Element):  # noqa: N801
    """One question: a prompt, then its options."""


class self_test_prompt(nodes.General, nodes.Element):  # noqa: N801
    """The question's text."""


class self_test_option(nodes.General, nodes.Element):  # noqa: N801
    """One option: its text, then its explanation."""


class self_test_text(nodes.General, nodes.Element):  # noqa: N801
    """The option's text."""


class self_test_why(nodes.General, nodes.Element):  # noqa: N801
    """Why the option is right or wrong."""


class SelfTest(SphinxDirective):
    """Render a YAML list of questions as a self-test."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Parse the body; a fault becomes a Sphinx warning that names file and line."""
        try:
            questions = parse_self_test("\n".join(self.content))
        except SelfTestError as error:
            # MyST counts the body from the directive's own line.
            line = self.lineno + self.content_offset + error.line + 1
            logger.warning("self-test: %s", error, location=(self.env.docname, line))
            return []
        serial = self.env.new_serialno("self-test")
        root = self_test(ids=[f"self-test-{serial + 1}"])
        self.set_source_info(root)
        for index, question in enumerate(questions, start=1):
            block = self_test_question(
                name=f"self-test-{serial + 1}-{index}", shuffle=question.shuffle, number=index
            )
            block += self._parsed(self_test_prompt(), question.text, question.line)
            for option in question.options:
                item = self_test_option(correct=option.correct)
                item += self._parsed(self_test_text(), option.text, option.line)
                verdict = "Correct." if option.correct else "Not quite."
                item += self._parsed(self_test_why(), f"**{verdict}** {option.why}", option.line)
                block += item
            root += block
        return [root]

    def _parsed(self, parent: nodes.Element, text: str, line: int) -> nodes.Element:
        self.state.nested_parse(
            _string_list(text, self.get_source_info()[0]), self.content_offset + line, parent
        )
        return parent


def _string_list(text: str, source: str) -> Any:
    from docutils.statemachine import StringList

    return StringList(text.splitlines(), source=source)


def _open_test(self: Any, node: nodes.Element) -> None:
    self.body.append(
        f'<section class="nn-selftest" id="{node["ids"][0]}" aria-label="Self-test">\n'
        '<p class="nn-selftest-title">Self-test</p>\n'
    )


def _open_question(self: Any, node: nodes.Element) -> None:
    shuffle = "true" if node["shuffle"] else "false"
    self.body.append(
        f'<div class="nn-question" data-name="{node["name"]}" data-shuffle="{shuffle}">\n'
    )


def _open_option(self: Any, node: nodes.Element) -> None:
    correct = "true" if node["correct"] else "false"
    self.body.append(f'<div class="nn-option" data-correct="{correct}">\n')


def _open_why(self: Any, node: nodes.Element) -> None:
    self.body.append('<details class="nn-why"><summary>Is it this one?</summary>\n<div>')


def _opens(css_class: str) -> Any:
    def visit(self: Any, node: nodes.Element) -> None:
        self.body.append(f'<div class="{css_class}">')

    return visit


def _closes(tag: str) -> Any:
    def depart(self: Any, node: nodes.Element) -> None:
        self.body.append(f"{tag}\n")

    return depart


def _pass(self: Any, node: nodes.Element) -> None:
    """Text-only builders write the children and nothing around them."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    plain: dict[str, Any] = dict.fromkeys(("latex", "text", "man", "texinfo"), (_pass, _pass))
    html = {
        self_test: (_open_test, _closes("</section>")),
        self_test_question: (_open_question, _closes("</div>")),
        self_test_prompt: (_opens("nn-prompt"), _closes("</div>")),
        self_test_option: (_open_option, _closes("</div>")),
        self_test_text: (_opens("nn-option-text"), _closes("</div>")),
        self_test_why: (_open_why, _closes("</div></details>")),
    }
    for node, visitors in html.items():
        app.add_node(node, html=visitors, **plain)
    app.add_directive("self-test", SelfTest)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
