"""Modules between the two sides: their parameters on both, their forward where they were made.

The grader's plain torch.nn modules are rebuilt on the student's side, so that hooks and
``isinstance`` work there; a module of the student's never runs on the grader's side.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from autograder.mirrors import Kind
from autograder.proxies import _get, object_class
from autograder.wire import Decoder, Encoder, WireError
from autograder.wire_torch import BUFFER, call


class RemoteModule(nn.Module):
    """A module of the other side: its parameters and buffers are here, its forward is there."""

    def __init__(self, peer: Any, handle: int, name: str) -> None:
        super().__init__()
        object.__setattr__(self, "_remote", object_class(frozenset())(peer, handle, name))
        object.__setattr__(self, "_shown", name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module where it lives."""
        remote = object.__getattribute__(self, "_remote")
        return call(_get(remote, "_peer"), remote, args, kwargs, self)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("_"):
                raise
            remote = object.__getattribute__(self, "_remote")
            return _get(remote, "_peer").ask("attr", remote, name)

    def __getitem__(self, key: Any) -> Any:
        remote = object.__getattribute__(self, "_remote")
        return _get(remote, "_peer").ask("item", remote, key)

    def __len__(self) -> int:
        remote = object.__getattribute__(self, "_remote")
        return int(_get(remote, "_peer").ask("len", remote))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__ or name in MODULE_INTERNALS or isinstance(value, nn.Module) or (
            name in self._parameters or name in self._buffers or name in self._modules
        ):  # fmt: skip
            super().__setattr__(name, value)
            return
        remote = object.__getattribute__(self, "_remote")
        _get(remote, "_peer").ask("setattr", remote, name, value)

    def __bool__(self) -> bool:
        return True

    def _get_name(self) -> str:
        return str(object.__getattribute__(self, "_shown"))


def _structure(module: nn.Module) -> list[Any]:
    """What of a module can change besides the numbers: which tensors it holds, its mode."""
    return [
        [(name, bool(part.training)) for name, part in module.named_modules()],
        [(name, value) for name, value in module.named_parameters(remove_duplicate=False)],
        [(name, value) for name, value in module.named_buffers(remove_duplicate=False)],
        _hooks(module),
    ]


def _hooks(module: nn.Module) -> list[tuple[str, int, int, int]]:
    """How many hooks each part has, where it has any."""
    counts = [
        (name, len(part._forward_hooks), len(part._forward_pre_hooks), len(part._backward_hooks))
        for name, part in module.named_modules()
    ]
    return [count for count in counts if any(count[1:])]


def _structure_changed(module: nn.Module, state: Any) -> bool:
    now = _structure(module)
    if now[0] != state[0] or now[3] != state[3]:
        return True
    return any(
        len(a) != len(b) or any(x[0] != y[0] or x[1] is not y[1] for x, y in zip(a, b, strict=True))
        for a, b in zip(now[1:3], state[1:3], strict=True)
    )


def _encode_structure(module: nn.Module, out: Encoder) -> Any:
    modes, parameters, buffers, hooks = _structure(module)
    temporary = [
        f"{prefix}.{name}" if prefix else name
        for prefix, part in module.named_modules()
        for name in part._non_persistent_buffers_set
    ]
    return [
        [list(mode) for mode in modes],
        [[name, out.encode(value)] for name, value in parameters],
        [[name, _encode_buffer(value, out), name in temporary] for name, value in buffers],
        [list(count) for count in hooks],
    ]


def _encode_buffer(value: Tensor, out: Encoder) -> Any:
    key = out.peer.shared.key_of(value)
    return {"mirror": key} if key is not None else out.peer.shared.export(value, BUFFER, out)


def _owner_of(module: nn.Module, dotted: str) -> tuple[nn.Module, str]:
    """The (sub)module that holds a name; made where it is missing."""
    parts = str(dotted)[:500].split(".")
    if len(parts) > 30:
        raise WireError("a parameter's name has more than 30 parts")
    for part in parts[:-1]:
        inner = module._modules.get(part)
        if inner is None:
            inner = nn.Module()
            module._modules[part] = inner
        module = inner
    return module, parts[-1]


def _apply_structure(module: nn.Module, node: Any, wire: Decoder) -> None:
    modes, parameters, buffers, hooks = node
    for name, content in parameters:
        value = wire.decode(content)
        owner, last = _owner_of(module, name)
        if isinstance(value, nn.Parameter) and owner._parameters.get(last) is not value:
            # Not register_parameter: its look for a clash would ask the other side.
            owner._parameters[last] = value
    for name, content, temporary in buffers:
        value = wire.decode(content)
        owner, last = _owner_of(module, name)
        if isinstance(value, Tensor) and owner._buffers.get(last) is not value:
            owner._buffers[last] = value
            if temporary:
                owner._non_persistent_buffers_set.add(last)
    flags = {str(name): bool(flag) for name, flag in modes}
    if flags.get("", module.training) != module.training:
        module.train(flags[""])
    for name, part in module.named_modules():
        part.training = flags.get(name, part.training)
    if not isinstance(module, RemoteModule):
        _show_hooks(module, hooks)


_SHOWN: WeakKeyDictionary[nn.Module, list[Any]] = WeakKeyDictionary()


def _show_hooks(module: nn.Module, hooks: Any) -> None:
    """Stand-ins for hooks that the other side left in its copy: who looks finds them here, too."""
    for handle in _SHOWN.pop(module, []):
        handle.remove()
    parts = dict(module.named_modules())
    handles = []
    for name, after, before, backward in hooks:
        part = parts.get(str(name))
        if part is not None and max(after, before, backward) <= 1000:
            handles += [part.register_forward_hook(_nothing) for _ in range(after)]
            handles += [part.register_forward_pre_hook(_nothing) for _ in range(before)]
            handles += [part.register_full_backward_hook(_nothing) for _ in range(backward)]
    if handles:
        _SHOWN[module] = handles


def _nothing(*arguments: Any) -> None:
    """A hook that changes nothing."""


MODULE = Kind(
    "module", True,
    encode=_encode_structure, create=lambda node, wire: None, state=_structure,
    changed=_structure_changed,
    update=lambda module, out, state: _encode_structure(module, out), apply=_apply_structure,
)  # fmt: skip


MODULE_INTERNALS = frozenset(vars(nn.Module()))
PLAIN_ATTRIBUTES = (bool, int, float, str, tuple, list, type(None))


def is_standard(module: nn.Module) -> bool:
    """A module of torch.nn itself that nobody watches: it can be built on the other side."""
    return (
        type(module).__module__.startswith("torch.nn.modules.")
        and not module._forward_pre_hooks
        and not module._forward_hooks
        and not isinstance(module, nn.RNNBase)
        and getattr(nn, type(module).__name__, None) is type(module)
    )


def encode_module(module: nn.Module, out: Encoder, peer: Any) -> Any:
    """Node of a module: itself if it is the other side's, its structure otherwise."""
    if isinstance(module, RemoteModule):
        remote = object.__getattribute__(module, "_remote")
        if _get(remote, "_peer") is peer:
            return {"yours": _get(remote, "_handle")}
    key = peer.shared.new_key()
    peer.shared.register(key, module, MODULE)
    if peer.trusted and all(map(is_standard, module.modules())):
        node: Any = {"built module": [key, _blueprint(module, out), _encode_structure(module, out)]}
    else:
        node = {"remote module": [key, peer.export(module), type(module).__name__,
                                  _encode_structure(module, out)]}  # fmt: skip
    peer.shared.note(module)
    return node


def _blueprint(module: nn.Module, out: Encoder) -> Any:
    """Class and plain attributes of a standard module and of its children."""
    attributes = [
        [name, out.encode(tuple(value) if isinstance(value, list) else value)]
        for name, value in vars(module).items()
        if name not in MODULE_INTERNALS and isinstance(value, PLAIN_ATTRIBUTES)
    ]
    children = [[name, _blueprint(child, out)] for name, child in module.named_children()]
    slots = [*module._parameters.items(), *module._buffers.items()]
    absent = [name for name, value in slots if value is None]
    return [type(module).__name__, attributes, children, absent]


def _build(blueprint: Any, wire: Decoder) -> nn.Module:
    name, attributes, children, absent = blueprint
    cls = getattr(nn, name)
    module: nn.Module = cls.__new__(cls)
    nn.Module.__init__(module)
    for key, value in attributes:
        vars(module)[key] = wire.decode(value)
    for key in absent:
        module.register_parameter(key, None)
    for key, child in children:
        module.add_module(key, _build(child, wire))
    return module


def decode_module(tag: str, content: Any, wire: Decoder, peer: Any) -> nn.Module:
    """The module of a node, with the parameters that both sides share."""
    if tag == "remote module":
        key, handle, name, structure = content
        module: nn.Module = RemoteModule(peer, int(handle), str(name)[:100])
    else:
        key, blueprint, structure = content
        module = _build(blueprint, wire)
    _apply_structure(module, structure, wire)
    if type(key) is not int or key % 2 == (0 if peer.trusted else 1):
        raise WireError("a message shares an object under a key that isn't its own")
    peer.shared.register(key, module, MODULE)
    peer.shared.note(module)
    peer.held.add(module)
    return module
