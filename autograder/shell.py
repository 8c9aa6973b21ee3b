"""Run notebook cells in this process and collect what they show, as a kernel would.

Both sides use it: the student's side for the student's cells, the grader's for the locked ones.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Instance

FLUSH_CHARACTERS = 4000
FLUSH_SECONDS = 0.2


class Collector:
    """Outputs of the cell that runs, in order, bounded in size.

    Parameters
    ----------
    limit : int
        Bytes kept per cell.
    emit : callable
        Called with each output as it is known.
    """

    def __init__(self, limit: int, emit: Callable[[dict[str, Any]], None]) -> None:
        self.limit = limit
        self.emit = emit
        self.room = limit
        self._name = ""
        self._text: list[str] = []
        self._count = 0
        self._since = 0.0

    def begin(self) -> None:
        """A new cell starts."""
        self.room = self.limit
        self._text, self._count = [], 0

    def write(self, name: str, text: str) -> None:
        """Text for stdout or stderr; sent in larger pieces."""
        if self.room <= 0 or not text:
            return
        if name != self._name:
            self.flush()
            self._name = name
        if len(text) > self.room:
            text = text[: self.room] + "\n... output cut here\n"
            self.room = 0
        else:
            self.room -= len(text)
        if not self._text:
            self._since = time.monotonic()
        self._text.append(text)
        self._count += len(text)
        if self._count > FLUSH_CHARACTERS or time.monotonic() - self._since > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send the text that waits."""
        if self._text:
            text, self._text, self._count = "".join(self._text), [], 0
            self.emit({"output_type": "stream", "name": self._name, "text": text})

    def show(self, output: dict[str, Any]) -> None:
        """A display, a result or an error."""
        self.flush()
        size = len(str(output))
        if size > self.room:
            if output["output_type"] == "error":
                lines = [line[:2000] for line in output["traceback"][-5:]]
                output = {**output, "evalue": output["evalue"][:2000], "traceback": lines}
            else:
                if self.room > 0:
                    self.emit({"output_type": "stream", "name": "stdout",
                               "text": "... output cut here: it was too large\n"})  # fmt: skip
                self.room = 0
                return
        self.room -= size
        self.emit(output)


class Stream(io.TextIOBase):
    """sys.stdout or sys.stderr of a cell."""

    def __init__(self, collector: Collector, name: str) -> None:
        super().__init__()
        self._collector = collector
        self.name = f"<{name}>"
        self._name = name

    encoding = "utf-8"  # type: ignore[assignment]
    errors = "replace"  # type: ignore[assignment]

    def write(self, text: str) -> int:
        """Collect text."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._collector.write(self._name, text)
        return len(text)

    def writable(self) -> bool:
        """Always."""
        return True

    def flush(self) -> None:
        """Text is collected at once."""


class CollectingHook(DisplayHook):
    """Turns a cell's value into an execute_result."""

    def write_output_prompt(self) -> None:
        """No prompt."""

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        """Collect the value's representations."""
        shell: Any = self.shell
        shell.collector.show({
            "output_type": "execute_result", "execution_count": shell.execution_count,
            "data": dict(format_dict), "metadata": dict(md_dict or {}),
        })  # fmt: skip

    def finish_displayhook(self) -> None:
        """Nothing is printed after it."""


class CollectingPublisher(DisplayPublisher):
    """Collects displays."""

    def publish(self, data: Any, metadata: Any = None, *args: Any, **kwargs: Any) -> None:
        """Collect one display; an update shows as a new one."""
        self.shell.collector.show({
            "output_type": "display_data", "data": dict(data), "metadata": dict(metadata or {}),
        })  # fmt: skip

    def clear_output(self, wait: bool = False) -> None:
        """Tell that what was shown so far goes away."""
        self.shell.collector.flush()
        self.shell.collector.emit({"output_type": "clear"})


class CellShell(InteractiveShell):
    """An IPython shell without history, files or a terminal."""

    displayhook_class = CollectingHook
    display_pub_class = CollectingPublisher
    collector = Instance(Collector)

    def init_history(self) -> None:
        """Keep history in memory only."""
        from traitlets.config import Config

        self.config.merge(Config({"HistoryManager": {"enabled": False, "hist_file": ":memory:"}}))
        super().init_history()

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        text = str(evalue)
        self.collector.show({
            "output_type": "error", "ename": str(getattr(etype, "__name__", etype)),
            "evalue": text, "traceback": [str(line) for line in stb],
        })  # fmt: skip

    def ask_exit(self) -> None:
        """A cell can't end the shell: ``exit`` only ends the cell."""

    def enable_gui(self, gui: Any = None) -> None:
        """There is no event loop to join."""


def make_shell(collector: Collector, namespace: dict[str, Any] | None = None) -> CellShell:
    """A shell that collects; ``namespace`` becomes its user namespace."""
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor"
    config.InteractiveShell.autoindent = False
    # The completer's look-ahead is for people at a keyboard.
    config.InteractiveShell.history_load_length = 0
    CellShell.clear_instance()
    shell = CellShell.instance(config=config, collector=collector)
    if namespace is not None:
        shell.user_ns.update(namespace)
    return shell


@contextmanager
def streams(collector: Collector) -> Iterator[None]:
    """Let what is printed go to the collector."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Stream(collector, "stdout"), Stream(collector, "stderr")
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        collector.flush()


def run_cell(shell: CellShell, source: str) -> BaseException | None:
    """Run one cell; returns the exception that ended it, or None."""
    shell.collector.begin()
    with streams(shell.collector):
        result = shell.run_cell(source, store_history=True)
    shell.collector.flush()
    error: BaseException | None = result.error_before_exec or result.error_in_exec
    return error


def merge(outputs: list[dict[str, Any]], output: dict[str, Any]) -> None:
    """Add an output to a cell's list; text of one stream in a row becomes one output."""
    if output["output_type"] == "clear":
        outputs.clear()
        return
    last = outputs[-1] if outputs else None
    if (
        output["output_type"] == "stream" and last is not None
        and last["output_type"] == "stream" and last["name"] == output["name"]
    ):  # fmt: skip
        last["text"] += output["text"]
        return
    outputs.append(output)
