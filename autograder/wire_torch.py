"""Tensors, gradients and modules between the two sides.

Numbers cross as data; the graph behind them stays where it was built. A tensor that a call returned
keeps, on the caller's side, a backward that asks the other side for the vector-Jacobian product. So
``y = f(x); y.backward(dy); x.grad`` works although f ran in another process, with the gradient
that f's own code gives.

Leaf tensors that require gradients, parameters and modules exist on both sides and are kept equal:
their numbers, ``.grad`` and ``requires_grad``, whoever changes them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autograder import mirrors
from autograder.mirrors import Kind
from autograder.proxies import dict_items
from autograder.wire import Decoder, Encoder, WireError, encode_array, raw, read_array

DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
    torch.int16, torch.int8, torch.uint8, torch.bool, torch.complex64, torch.complex128,
)}  # fmt: skip


# --- tensors ------------------------------------------------------------------------------------

def encode_numbers(value: Tensor, out: Encoder) -> Any:
    """The numbers of a tensor: ``[dtype, array node]``."""
    name = str(value.dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise WireError(f"a tensor of dtype {value.dtype} can't cross")
    if value.device.type == "meta":
        return [name, {"meta": [int(count) for count in value.shape]}]
    plain = value.detach().to("cpu").resolve_conj().resolve_neg().contiguous()
    if value.dtype is torch.bfloat16:
        plain = plain.view(torch.int16)
    node = encode_array(plain.numpy(), out)
    out.sources[node["array"][2]] = value
    return [name, node]


def read_numbers(node: Any, wire: Decoder) -> Tensor:
    """A fresh tensor from `encode_numbers`."""
    name, array = node
    if name not in DTYPES:
        raise WireError(f"there is no tensor dtype {str(name)[:40]!r}")
    if "meta" in array:
        return torch.empty(array["meta"], dtype=DTYPES[name], device="meta")
    found = torch.from_numpy(read_array(array["array"], wire))
    if DTYPES[name] is torch.bfloat16:
        found = found.view(torch.bfloat16)
    if found.dtype is not DTYPES[name]:
        raise WireError("a tensor's numbers don't have its dtype")
    wire.made[id(found)] = (array["array"][2], found)
    return found


def _bytes(value: Tensor) -> bytes:
    if value.device.type == "meta":
        return b""
    plain = value.detach().to("cpu").contiguous()
    return bytes(raw(plain.reshape(-1).view(torch.uint8).numpy())) if plain.numel() else b""


def _tensor_state(value: Tensor) -> Any:
    return tuple(value.shape), str(value.dtype), _bytes(value)


def _apply_numbers(value: Tensor, node: Any, wire: Decoder) -> None:
    _set_numbers(value, read_numbers(node, wire))


def _set_numbers(value: Tensor, new: Tensor) -> None:
    if new.shape == value.shape and new.dtype == value.dtype:
        # Through .data: a graph that was built before stays usable, as it was over there.
        value.data.copy_(new)
    else:
        value.data = new


BUFFER = Kind(
    "buffer", True,
    encode=encode_numbers, create=read_numbers, state=_tensor_state,
    changed=lambda value, state: _tensor_state(value) != state,
    update=lambda value, out, state: encode_numbers(value, out), apply=_apply_numbers,
)  # fmt: skip


# --- leaves: tensors that collect gradients -------------------------------------------------------

def _records(value: Tensor) -> bool:
    """Whether a leaf collects gradients; work in place can make it a result instead."""
    return bool(value.requires_grad and value.is_leaf)


def _leaf_state(value: Tensor) -> Any:
    grad = value.grad if value.is_leaf else None
    return (_tensor_state(value), _records(value),
            None if grad is None else _tensor_state(grad))  # fmt: skip


def _encode_leaf(value: Tensor, out: Encoder) -> Any:
    grad = encode_numbers(value.grad, out) if value.is_leaf and value.grad is not None else None
    return [isinstance(value, nn.Parameter), encode_numbers(value, out), _records(value), grad]


def _create_leaf(node: Any, wire: Decoder) -> Tensor:
    is_parameter, numbers, records, grad = node
    value = read_numbers(numbers, wire)
    if is_parameter:
        value = nn.Parameter(value, requires_grad=bool(records))
    elif records:
        value.requires_grad_(True)
    if grad is not None:
        value.grad = read_numbers(grad, wire)
    return value


def _update_leaf(value: Tensor, out: Encoder, state: Any) -> Any:
    numbers, _, grad = state
    now = _leaf_state(value)
    return [
        encode_numbers(value, out) if now[0] != numbers else None,
        _records(value),
        None if now[2] == grad else (
            encode_numbers(value.grad, out) if value.grad is not None else []),
    ]  # fmt: skip


def _apply_leaf(value: Tensor, node: Any, wire: Decoder) -> None:
    numbers, records, grad = node
    with torch.no_grad():
        if numbers is not None:
            _set_numbers(value, read_numbers(numbers, wire))
        if value.is_leaf and bool(records) != value.requires_grad:
            value.requires_grad_(bool(records))
        if grad is not None and value.is_leaf:
            value.grad = read_numbers(grad, wire) if grad else None


LEAF = Kind(
    "leaf", True,
    encode=_encode_leaf, create=_create_leaf, state=_leaf_state,
    changed=lambda value, state: _leaf_state(value) != state,
    update=_update_leaf, apply=_apply_leaf,
)  # fmt: skip


#: The same for an ordinary argument, which a function may ask to record gradients.
TENSOR = Kind(
    "tensor", False,
    encode=_encode_leaf, create=_create_leaf, state=_leaf_state,
    changed=lambda value, state: _leaf_state(value) != state,
    update=_update_leaf, apply=_apply_leaf,
)  # fmt: skip


def _encode_stem(value: Tensor, out: Encoder) -> Any:
    return [False, encode_numbers(value, out), True, None]


#: A tensor with a history: the other side gets a leaf, which ends the graph there.
STEM = Kind(
    "stem", True,
    encode=_encode_stem, create=_create_leaf, state=lambda value: None,
    changed=lambda value, state: False, update=lambda value, out, state: None,
    apply=lambda value, node, wire: None,
)  # fmt: skip


# --- random generators ----------------------------------------------------------------------------

def _encode_generator(rng: torch.Generator, out: Encoder) -> Any:
    return encode_array(rng.get_state().numpy(), out)


def _apply_generator(rng: torch.Generator, node: Any, wire: Decoder) -> None:
    state = read_array(node["array"], wire)
    if state.dtype != np.uint8 or state.shape != tuple(rng.get_state().shape):
        raise WireError("the state of a random generator is malformed")
    try:
        rng.set_state(torch.from_numpy(state))
    except RuntimeError:
        raise WireError("the state of a random generator is malformed") from None


def _create_generator(node: Any, wire: Decoder) -> torch.Generator:
    rng = torch.Generator()
    _apply_generator(rng, node, wire)
    return rng


GENERATOR = Kind(
    "torch generator", True,
    encode=_encode_generator, create=_create_generator,
    state=lambda rng: _bytes(rng.get_state()),
    changed=lambda rng, state: _bytes(rng.get_state()) != state,
    update=lambda rng, out, state: _encode_generator(rng, out), apply=_apply_generator,
)  # fmt: skip


# --- gradients through a call ---------------------------------------------------------------------

class Token:
    """Something to hold."""


class RemoteBackward(torch.autograd.Function):
    """Gives results of the other side a backward that asks there."""

    @staticmethod
    def forward(ctx: Any, peer: Any, number: int, keys: Any, numbers: Tensor, anchor: Tensor,
                *inputs: Tensor) -> Any:  # fmt: skip
        """Hand out the numbers that came."""
        ctx.peer, ctx.number, ctx.keys = peer, number, keys
        # As long as this node of a graph lives, the other side must keep its part.
        ctx.token = Token()
        peer.held.add(ctx.token)
        ctx.save_for_backward(*inputs)
        return numbers.clone()

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:  # type: ignore[override]
        """Ask the other side for the product with the upstream gradient."""
        # With create_graph, gradients get a graph of their own, which lies over there as well.
        again = torch.is_grad_enabled()
        ctx.peer.inputs.append([*ctx.saved_tensors, dy] if again else [])
        try:
            found = ctx.peer.ask("vjp", ctx.number, tuple(ctx.keys),
                                 dy if again else dy.detach(), again)  # fmt: skip
        finally:
            ctx.peer.inputs.pop()
        if not isinstance(found, tuple) or len(found) != len(ctx.keys):
            raise WireError("an answer to a gradient has the wrong length")
        grads = tuple(g if isinstance(g, Tensor) else None for g in found)
        return (None, None, None, None, None, *grads)


def call(peer: Any, proxy: Any, args: tuple[Any, ...], kwargs: dict[str, Any],
         module: Any = None) -> Any:  # fmt: skip
    """Call across, with a graph that continues on the other side."""
    tensors = [value for value in args if isinstance(value, Tensor)]
    if any(map(torch._C._functorch.is_functorch_wrapped_tensor, tensors)):
        from autograder import wire_transforms

        return wire_transforms.call(peer, proxy, args, kwargs)
    found: dict[int, Tensor] = {}
    if torch.is_grad_enabled():
        _collect((args, kwargs, module), found, 0)
    peer.inputs.append(list(found.values()))
    try:
        return peer.ask("call", proxy, args, dict_items(kwargs), torch.is_grad_enabled())
    finally:
        peer.inputs.pop()


def _attach(peer: Any, number: int, numbers: Tensor) -> Tensor:
    """A result with a backward that asks the other side, towards the inputs of the call."""
    inputs = peer.inputs[-1] if peer.inputs else []
    known = [(value, peer.shared.key_of(value)) for value in inputs if value.requires_grad]
    known = [(value, key) for value, key in known if key is not None]
    # The anchor keeps a graph where no input records gradients but parameters over there do.
    anchor = torch.zeros((), requires_grad=True)
    with torch.enable_grad():
        made = RemoteBackward.apply(
            peer, number, [key for _, key in known], numbers, anchor, *[v for v, _ in known]
        )
    return made  # type: ignore[no-any-return]


def _collect(value: Any, found: dict[int, Tensor], depth: int) -> None:
    """Tensors that record gradients, wherever they are in the arguments."""
    if isinstance(value, Tensor):
        if value.requires_grad:
            found[id(value)] = value
    elif isinstance(value, nn.Module):
        for parameter in value.parameters():
            _collect(parameter, found, depth)
    elif depth < 10 and isinstance(value, dict):
        for item in value.values():
            _collect(item, found, depth + 1)
    elif depth < 10 and isinstance(value, list | tuple):
        for item in value:
            _collect(item, found, depth + 1)


def serve_call(peer: Any, target: Any, args: Any, kwargs: Any, records: bool) -> Any:
    """Run a call of the other side under its gradient mode."""
    with torch.set_grad_enabled(bool(records)):
        return target(*args, **kwargs)


def serve_vjp(peer: Any, number: Any, keys: Any, dy: Any, again: Any = False) -> Any:
    """The vector-Jacobian product of a result that this side handed out."""
    output = peer.graphs.get(number)
    if output is None:
        raise WireError("a gradient is asked of a result that wasn't handed out")
    inputs = [peer.shared.get(key) for key in keys]
    before = [value.grad if value.is_leaf else None for value in inputs]
    with torch.enable_grad():
        if again or not all(value.is_leaf for value in inputs):
            found = torch.autograd.grad(output, inputs, dy, retain_graph=True, allow_unused=True,
                                        create_graph=bool(again))  # fmt: skip
            return tuple(found)
        # backward, not grad: leaves that only this side knows collect their gradients too.
        for value in inputs:
            value.grad = None
        try:
            torch.autograd.backward(output, dy, retain_graph=True)
            return tuple(None if v.grad is None else v.grad.clone() for v in inputs)
        finally:
            for value, old in zip(inputs, before, strict=True):
                value.grad = old


for _kind in (TENSOR, BUFFER, LEAF, STEM, GENERATOR):
    mirrors.KINDS[_kind.name] = _kind


# --- where peer.py comes in -----------------------------------------------------------------------

def encode(value: Any, out: Encoder, peer: Any) -> Any:
    """Node of a tensor, module, generator or dtype; None for anything else."""
    if isinstance(value, Tensor):
        return _encode_tensor(value, out, peer)
    if isinstance(value, nn.Module):
        from autograder import wire_modules

        return wire_modules.encode_module(value, out, peer)
    if isinstance(value, torch.Generator):
        return peer.shared.export(value, GENERATOR, out)
    if isinstance(value, torch.Size):
        return {"size": [int(count) for count in value]}
    if isinstance(value, torch.dtype):
        return {"torch dtype": str(value).removeprefix("torch.")}
    if isinstance(value, torch.device):
        return {"device": str(value)}
    if peer.trusted and isinstance(value, type):
        name = str(value.__name__)  # type: ignore[union-attr]
        if getattr(nn, name, None) is value:
            return {"nn class": name}
    return None


def _encode_tensor(value: Tensor, out: Encoder, peer: Any) -> Any:
    if value.layout is not torch.strided:
        raise WireError("a sparse tensor can't cross: return a dense one")
    if value.requires_grad and not value.is_leaf:
        if out.reply:
            number = len(peer.graphs)
            peer.graphs[number] = value
            return {"attached": [number, encode_numbers(value, out)]}
        return peer.shared.export(value, STEM, out)
    if value.requires_grad or isinstance(value, nn.Parameter) or value.grad is not None:
        return peer.shared.export(value, LEAF, out)
    if peer.trusted:
        return peer.shared.export(value, TENSOR, out)
    view = _view_of_shared(value, out, peer)
    return view if view is not None else {"tensor": encode_numbers(value, out)}


def _view_of_shared(value: Tensor, out: Encoder, peer: Any) -> Any:
    """A node for a tensor that lies in the memory of an argument; None for one that doesn't."""
    if not value.numel() or value.device.type == "meta":
        return None
    place = value.untyped_storage().data_ptr()
    for key, base in peer.shared.objects(mirrors.ARRAY):
        first, last = np.lib.array_utils.byte_bounds(base)
        start = value.data_ptr()
        if first <= start < last and value.dtype is not torch.bfloat16:
            size = value.element_size()
            return {"tensor of array": [key, list(value.shape), [n * size for n in value.stride()],
                                        start - first, encode_numbers(value, out)]}  # fmt: skip
    for key, other in peer.shared.objects(TENSOR):
        shared = other.numel() and other.untyped_storage().data_ptr() == place
        if shared and other.dtype is value.dtype:
            offset = value.storage_offset() - other.storage_offset()
            return {"tensor view": [key, list(value.shape), list(value.stride()), offset]}
    return None


def decode(tag: str, content: Any, wire: Decoder, peer: Any) -> Any:
    """Value of a node that `encode` made."""
    if tag == "tensor":
        return read_numbers(content, wire)
    if tag == "attached":
        number, numbers = content
        return _attach(peer, int(number), read_numbers(numbers, wire))
    if tag == "tensor of array":
        key, shape, strides, place, numbers = content
        base, data = peer.shared.get(key), read_numbers(numbers, wire)
        if not isinstance(base, np.ndarray) or not base.flags.c_contiguous:
            return data
        plain = data.numpy()
        if list(plain.shape) != list(shape):
            raise WireError("a view doesn't fit its tensor")
        # ndarray checks that offset, strides and shape stay within the buffer.
        return torch.from_numpy(np.ndarray(plain.shape, plain.dtype, base, int(place), strides))
    if tag == "tensor view":
        key, shape, stride, offset = content
        base = peer.shared.get(key)
        shape, stride, offset = [int(n) for n in shape], [int(n) for n in stride], int(offset)
        if not isinstance(base, Tensor) or not base.is_contiguous() or len(shape) != len(stride):
            raise WireError("a view doesn't fit its tensor")
        last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
        # Within the argument, which can itself be a view of something larger.
        if min(*shape, *stride, offset, 0) < 0 or 0 in shape or last >= base.numel():
            raise WireError("a view doesn't fit its tensor")
        return base.as_strided(shape, stride, base.storage_offset() + offset)
    if tag == "size":
        return torch.Size([int(count) for count in content])
    if tag == "torch dtype":
        return DTYPES[content]
    if tag == "device":
        return torch.device(str(content)[:20])
    if tag == "remote module" or (tag == "built module" and not peer.trusted):
        from autograder import wire_modules

        return wire_modules.decode_module(tag, content, wire, peer)
    if tag == "nn class" and not peer.trusted:
        return getattr(nn, content)
    raise WireError(f"there is no tag {str(tag)[:40]!r}")
