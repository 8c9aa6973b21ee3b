"""Calls in both directions over one channel, with plain data and handles.

Both sides are a `Peer`. What is no plain data (a function, a class, an instance) crosses as a
handle: the other side gets a proxy that sends each use back. While one side waits for an answer it
serves the other's requests, so a function of the grader's can be an argument of a student's
function, and the other way round.
"""

from __future__ import annotations

import collections
import functools
import keyword
import sys
import time
import types
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from autograder import mirrors
from autograder.channel import Channel
from autograder.proxies import Remote, RemoteObject, make_proxy, traits_of
from autograder.wire import (
    Decoder,
    Disconnected,
    Encoder,
    TooSlow,
    WireError,
    is_plain,
)
from autograder.wire_errors import describe_error, error_class, exception_names, rebuild_error

MAX_NESTING = 40


class RemoteStopped(Exception):  # noqa: N818 - what happened, not what is wrong
    """The student's process is gone: it was stopped, or it ended itself."""


class Peer:
    """One side of the conversation.

    Parameters
    ----------
    channel : Channel
        Where messages go.
    serve : dict
        Operation name to ``function(peer, *arguments)``: what the other side may ask for.
    trusted : bool
        True on the grader's side: it shares arguments by mirror, takes back only plain data, and
        lends its objects out only while a call lasts.
    """

    def __init__(
        self, channel: Channel, serve: dict[str, Callable[..., Any]], *, trusted: bool
    ) -> None:
        self.channel = channel
        self.trusted = trusted
        self.deadline: float | None = None
        self.broken = ""
        self.on_event: Callable[[Any], None] = lambda event: None
        self.shared = mirrors.Mirrors(0 if trusted else 1)
        self._serve = serve
        self._exports: dict[int, Any] = {}
        self._export_ids: dict[int, int] = {}
        self._next = 1
        self._sequence = 0
        self._depth = 0
        # What of the other side is still in use here; while there is nothing, nothing is shared.
        self.held: weakref.WeakSet[Any] = weakref.WeakSet()
        # Arrays of the question that is being answered, and of those asked and not yet answered.
        self._given: dict[int, tuple[int, Any]] = {}
        self._sent: list[dict[int, Any]] = []
        # For gradients: results handed out with a graph, and the inputs of the calls in progress.
        self.graphs: dict[int, Any] = {}
        self.inputs: list[Any] = []

    # --- asking -----------------------------------------------------------------------------

    def ask(self, operation: str, *arguments: Any, seconds: float | None = None) -> Any:
        """Ask the other side for something and wait; serves its questions meanwhile.

        Raises
        ------
        RemoteStopped
            When the other side is gone or doesn't answer in time.
        Exception
            What the other side raised, rebuilt as the nearest built-in type.
        """
        if self.broken:
            raise RemoteStopped(self.broken)
        if self._depth >= MAX_NESTING:
            raise RecursionError("calls between the two sides are nested too deeply")
        deadline = self._deadline(seconds)
        self._sequence += 1
        number = self._sequence
        fresh = self._depth == 0 and self.trusted and not self.held
        if fresh:
            self.shared.clear()
            self.graphs.clear()
        # Nothing has been sent yet: what can't be encoded is the caller's error alone.
        header, out = self._message("ask", number, [operation, list(arguments)], fresh)
        self._sent.append(out.sources)
        self._depth += 1
        try:
            self.channel.send(header, out.buffers, deadline)
            return self._answer(number, deadline)
        except (WireError, RecursionError) as error:
            if isinstance(error, TooSlow):
                self.broken = "the process did not answer in time"
            elif isinstance(error, Disconnected):
                self.broken = "the process ended"
            else:
                raise
            raise RemoteStopped(self.broken) from None
        except Remembered as error:
            raise error.error from None
        except BaseException as error:
            # Interrupted while waiting: an answer may still come, and nobody would read it.
            self.broken = f"a call was interrupted ({type(error).__name__})"
            raise
        finally:
            self._depth -= 1
            self._sent.pop()

    def _deadline(self, seconds: float | None) -> float | None:
        mine = None if seconds is None else time.monotonic() + seconds
        limits = [limit for limit in (mine, self.deadline) if limit is not None]
        return min(limits) if limits else None

    def _answer(self, number: int, deadline: float | None) -> Any:
        while True:
            header, buffers = self.channel.receive(deadline)
            kind = _field(header, "kind")
            if kind == "event":
                self.on_event(_field(header, "body"))
                continue
            try:
                wire = self._decoder(buffers)
                self.shared.apply(_field(header, "sync"), wire)
                if kind == "ask":
                    self._serve_one(header, wire, deadline)
                    continue
                if kind not in ("reply", "error") or _field(header, "number") != number:
                    raise WireError("an answer came that nobody asked for")
                body = _field(header, "body")
                if kind == "error":
                    raise Remembered(rebuild_error(body))
                return wire.decode(body)
            except (WireError, Remembered):
                raise
            except Exception as error:
                raise WireError(f"a message is malformed: {str(error)[:200]}") from None

    # --- serving ----------------------------------------------------------------------------

    def serve_forever(self) -> None:
        """Answer until the other side is gone."""
        while True:
            header, buffers = self.channel.receive(None)
            if _field(header, "kind") != "ask":
                continue
            if header.get("fresh"):
                self.shared.clear()
                self.graphs.clear()
            wire = self._decoder(buffers)
            self.shared.apply(_field(header, "sync"), wire)
            self._serve_one(header, wire, None)

    def _serve_one(self, header: Any, wire: Decoder, deadline: float | None) -> None:
        before, self._given = self._given, wire.made
        try:
            self._serve_question(header, wire, deadline)
        finally:
            self._given = before

    def _serve_question(self, header: Any, wire: Decoder, deadline: float | None) -> None:
        number = _field(header, "number")
        if type(number) is not int:
            raise WireError("a question has no number")
        self._depth += 1
        try:
            operation, arguments = _field(header, "body")
            function = self._serve.get(operation) if isinstance(operation, str) else None
            if function is None or not isinstance(arguments, list):
                raise WireError(f"there is no operation {str(operation)[:40]!r}")
            if self.trusted and not about_lent(operation, arguments):
                raise WireError("only what was handed out can be asked about")
            if self._depth > MAX_NESTING:
                raise RecursionError("calls between the two sides are nested too deeply")
            result = function(self, *[wire.decode(item) for item in arguments])
            header, out = self._message("reply", number, result)
            self.channel.send(header, out.buffers, deadline)
        except Disconnected:
            raise
        except Exception as error:
            self._send_error(number, error, deadline)
        except BaseException as error:
            # The student's own SystemExit or KeyboardInterrupt is an answer like any other.
            if self.trusted:
                raise
            self._send_error(number, error, deadline)
        finally:
            self._depth -= 1

    def event(self, body: Any) -> None:
        """Tell the other side something that needs no answer (text that a cell printed)."""
        self.channel.send({"kind": "event", "body": body}, [], self.deadline)

    # --- messages ---------------------------------------------------------------------------

    def _message(
        self, kind: str, number: int, body: Any, fresh: bool = False
    ) -> tuple[dict[str, Any], Encoder]:
        out = self._encoder(reply=kind == "reply")
        with self.shared.all_or_nothing():
            node = [body[0], out.items(body[1])] if kind == "ask" else out.encode(body)
            sync = self.shared.updates(out, everything=kind == "reply")
        header = {"kind": kind, "number": number, "sync": sync, "body": node}
        if fresh:
            header["fresh"] = True
        return header, out

    def _send_error(self, number: int, error: BaseException, deadline: float | None) -> None:
        # Where it came from quotes a line of the source, which the grader keeps to itself.
        body = describe_error(error, quoting=not self.trusted)
        out = self._encoder(reply=True)
        try:
            sync = self.shared.updates(out, everything=True)
        except Exception:
            sync, out.buffers = [], []
        header = {"kind": "error", "number": number, "sync": sync, "body": body}
        self.channel.send(header, out.buffers, deadline)

    def _encoder(self, *, reply: bool) -> Encoder:
        out = Encoder(self.channel.array_bytes, self._encode_foreign)
        out.peer, out.reply = self, reply
        return out

    def _decoder(self, buffers: list[memoryview]) -> Decoder:
        return Decoder(buffers, self._decode_foreign, named_tuple)

    # --- what is no plain data --------------------------------------------------------------

    def _encode_foreign(self, value: Any, out: Encoder) -> Any:
        if isinstance(value, Remote):
            if object.__getattribute__(value, "_peer") is self:
                return {"yours": object.__getattribute__(value, "_handle")}
            raise WireError("an object of another notebook can't cross")
        key = self.shared.key_of(value)
        if key is not None and not (out.reply and has_history(value)):
            return {"mirror": key}
        given = self._given.get(id(value)) if out.reply and self.trusted else None
        if given is not None:
            # A function that returns its argument: the caller gets the very object back. (What
            # the grader hands over is mirrored and has been found above.)
            return {"given": given[0]}
        kind = mirrors.lasting_kind(value)
        if kind is None and self.trusted:
            kind = mirrors.PER_CALL.get(type(value))
            if kind is mirrors.ARRAY and value.dtype.kind == "O":
                kind = None
        if kind is not None:
            return self.shared.export(value, kind, out)
        if not self.trusted and isinstance(value, np.ndarray):
            return self.shared.view_node(value, out)
        torch_side = torch_extension()
        if torch_side is not None:
            node = torch_side.encode(value, out, self)
            if node is not None:
                return node
        return self._encode_handle(value)

    def _encode_handle(self, value: Any) -> Any:
        if isinstance(value, types.ModuleType):
            return {"module": value.__name__}
        if isinstance(value, BaseException):
            return {"exception": describe_error(value, quoting=not self.trusted)}
        if isinstance(value, type) and issubclass(value, BaseException):
            return {"exception type": exception_names(value)}
        if is_plain(value):
            return None
        return {"handle": [self.export(value), *traits_of(value)]}

    def export(self, value: Any) -> int:
        """Handle of an object of this side."""
        handle = self._export_ids.get(id(value))
        if handle is None:
            handle = self._next
            self._next += 1
            self._exports[handle] = value
            self._export_ids[id(value)] = handle
        return handle

    def exported(self, handle: Any) -> Any:
        """The object behind a handle of this side."""
        if type(handle) is not int or handle not in self._exports:
            raise WireError("a message names a function or object that wasn't handed out")
        return self._exports[handle]

    def _decode_foreign(self, tag: str, content: Any, wire: Decoder) -> Any:
        if tag == "mirror":
            return self.shared.get(content)
        if tag == "new":
            key, name, node = content
            kind = mirrors.KINDS.get(name)
            # What the grader mirrors per call, the student's side must not: arrays come by value.
            if kind is None or (self.trusted and not kind.lasting):
                raise WireError(f"an object of kind {str(name)[:40]!r} can't be shared")
            return self.shared.adopt(key, kind, node, wire)
        if tag == "view":
            return self.shared.read_view(content, wire)
        if tag == "given":
            if not self._sent or content not in self._sent[-1]:
                raise WireError("a message hands back an array that wasn't sent")
            return self._sent[-1][content]
        if tag == "yours":
            return self.exported(content)
        if tag == "handle":
            proxy = make_proxy(self, *content)
            if isinstance(proxy, RemoteObject):
                self.held.add(proxy)
            return proxy
        if tag == "module":
            return self.find_module(content)
        if tag == "exception":
            return rebuild_error(content)
        if tag == "exception type":
            return error_class([str(name) for name in content])
        torch_side = torch_extension()
        if torch_side is not None:
            return torch_side.decode(tag, content, wire, self)
        raise WireError(f"there is no tag {str(tag)[:40]!r}")

    def find_module(self, name: Any) -> Any:
        """A module by name; the grader's side narrows this to modules that it trusts."""
        import importlib

        return importlib.import_module(str(name))

    def forget(self) -> None:
        """End what both sides share and what this side lent out (at the end of a locked cell).

        The student's side keeps its handles: so the grader knows an object again.
        """
        self.shared.clear()
        self.graphs.clear()
        if self.trusted:
            self._exports.clear()
            self._export_ids.clear()


def about_lent(operation: str, arguments: list[Any]) -> bool:
    """Whether a question of the student's side is about something that was handed out.

    Plain data as the target would give its methods away: ``"{0.__globals__}".format(function)``.
    """
    target = arguments[0] if arguments else None
    return operation == "vjp" or (isinstance(target, dict) and list(target) == ["yours"])


class Remembered(Exception):  # noqa: N818 - a carrier
    """Carries an exception of the other side past this side's own handling."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def torch_extension() -> Any:
    """The part that knows tensors, once torch is loaded."""
    if "torch" not in sys.modules:
        return None
    from autograder import wire_torch

    return wire_torch


def has_history(value: Any) -> bool:
    """Whether a shared tensor has become the result of a computation (by work in place)."""
    return getattr(value, "grad_fn", None) is not None


def _field(header: Any, name: str) -> Any:
    if not isinstance(header, dict):
        raise WireError("a message is no object")
    if name not in header:
        raise WireError(f"a message has no {name}")
    return header[name]


@functools.lru_cache(maxsize=512)
def _tuple_class(name: str, fields: tuple[str, ...]) -> Any:
    contract = sys.modules.get("nnlib.contract")
    known = getattr(contract, name, None) if contract is not None else None
    if isinstance(known, type) and getattr(known, "_fields", None) == fields:
        return known
    good = all(f.isidentifier() and not keyword.iskeyword(f) and f[0] != "_" for f in fields)
    if not good or not name.isidentifier() or keyword.iskeyword(name) or len(name) > 60:
        return None
    if len(set(fields)) != len(fields) or any(len(f) > 60 for f in fields):
        return None
    return collections.namedtuple(name, fields)  # type: ignore[misc]


def named_tuple(name: str, fields: list[str]) -> Any:
    """The class of a named tuple: the contract's own, else one made for it; None for a tuple."""
    return _tuple_class(name, tuple(fields))
