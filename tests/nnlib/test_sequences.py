"""Embeddings, recurrent cells, whole sequences and attention in both tracks against PyTorch."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from test_oracle import BACKWARD, FORWARD, LAYOUTS, TRACKS, assert_close, plain, read_only, to

from nnlib.errors import DtypeError, ShapeError

DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])
BOTH = pytest.mark.parametrize("track", TRACKS)


def draw(seed: int, dtype: str, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def leaf(a: np.ndarray) -> torch.Tensor:
    return torch.tensor(a.copy(), requires_grad=True)


def assert_grads(grads: Any, leaves: list[torch.Tensor]) -> None:
    assert len(grads) == len(leaves)
    for grad, one in zip(grads, leaves, strict=True):
        assert_close(grad, one.grad, BACKWARD)


# --- embedding ------------------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 4), (0,), (0, 3), (1,), ()])
@BOTH
def test_embedding(track: str, shape: tuple[int, ...], dtype: str) -> None:
    ops = TRACKS[track]
    rng = np.random.default_rng(3)
    ids = np.asarray(rng.integers(5, size=shape))
    w, dy = draw(4, dtype, (5, 6), (*shape, 6))
    y, cache = ops.embedding_forward(to(track, ids), to(track, read_only(w)))
    dw = ops.embedding_backward(to(track, dy), cache)
    tw = leaf(w)
    want = F.embedding(torch.tensor(ids), tw)
    want.backward(torch.tensor(dy))
    assert_close(y, want, FORWARD)
    assert_close(dw, tw.grad, BACKWARD)
    # A copy: whoever changes the output does not change the weights.
    if y.shape[0:1] != (0,):
        y[...] = 0
        assert w.any()


@BOTH
@pytest.mark.parametrize("integer", ["int8", "int16", "int32", "int64", "uint8", "uint16"])
def test_a_repeated_id_gets_every_gradient(track: str, integer: str) -> None:
    ops = TRACKS[track]
    ids = np.full((200, 40), 99, integer)  # 99 * 300 fits into no 8 or 16 bits
    ids[0, 0] = 0
    _, cache = ops.embedding_forward(to(track, ids), to(track, np.zeros((100, 300))))
    dw = plain(ops.embedding_backward(to(track, np.ones((200, 40, 300))), cache))
    assert set(dw[99].tolist()) == {7999.0}
    assert set(dw[0].tolist()) == {1.0}
    assert not dw[1:99].any()


@BOTH
def test_embedding_reads_any_layout(track: str) -> None:
    ops, ids = TRACKS[track], np.random.default_rng(0).integers(4, size=(6, 5))
    w, dy = draw(5, "float64", (4, 3), (6, 5, 3))
    args = to(track, ids[::-1, ::-1]), to(track, np.ascontiguousarray(w.T).T)
    y, cache = ops.embedding_forward(*args)
    np.testing.assert_array_equal(plain(y), w[ids[::-1, ::-1]])
    dw = ops.embedding_backward(to(track, np.ascontiguousarray(dy[::-1])[::-1]), cache)
    want = np.zeros_like(w)
    np.add.at(want, ids[::-1, ::-1], dy)
    np.testing.assert_allclose(plain(dw), want, rtol=1e-12)


@BOTH
def test_embedding_refuses_bad_input(track: str) -> None:
    ops, w = TRACKS[track], to(track, np.zeros((5, 2)))

    def forward(ids: Any, w: Any = w) -> Any:
        return ops.embedding_forward(ids, w)

    name = "embedding_forward: "
    for bad in ([0, 5], [-1, 2]):
        with pytest.raises(ValueError, match=f"{name}ids must lie from 0 to 4, got (5|-1). w has"):
            forward(to(track, np.array(bad)))
    with pytest.raises(DtypeError, match=f"{name}ids must hold integers, got float64"):
        forward(to(track, np.zeros(2)))
    with pytest.raises(DtypeError, match=f"{name}ids must be an array, got list"):
        forward([0, 1])
    with pytest.raises(ShapeError, match=rf"{name}w must have shape \(v, d\), got \(3,\)"):
        forward(to(track, np.array([0])), to(track, np.zeros(3)))
    with pytest.raises(DtypeError, match=f"{name}w must hold floats, got int64"):
        forward(to(track, np.array([0])), to(track, np.zeros((3, 2), np.int64)))
    if track == "torch":
        with pytest.raises(ValueError, match=f"{name}ids and w must be on one device, got cpu and"):
            forward(torch.tensor([0]), torch.zeros(3, 2, device="meta"))
    _, cache = forward(to(track, np.array([[0], [1]])))
    with pytest.raises(ShapeError, match=r"embedding_backward: dy must have shape \(2, 1, 2\)"):
        ops.embedding_backward(to(track, np.zeros((2, 2))), cache)


# --- recurrent cells ------------------------------------------------------------------------------

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
CELLS = {"rnn": torch.nn.RNNCell, "lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell}
MODULES = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


def arguments(
    kind: str, n: int, d: int, k: int, dtype: str, t: int | None = None, scale: float = 1.0
) -> list[np.ndarray]:
    """x, states, weights, biases in the order of the functions."""
    g = GATES[kind] * k
    x = (n, d) if t is None else (n, t, d)
    states, biases = (2 if kind == "lstm" else 1), (2 if kind == "gru" else 1)
    drawn = draw(k + n, dtype, x, *[(n, k)] * states, (d, g), (k, g), *[(g,)] * biases)
    return [np.asarray(scale, dtype) * drawn[0], *drawn[1:]]


def with_torch(
    kind: str, args: list[np.ndarray], dys: tuple[np.ndarray, ...], *, whole: bool
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Outputs and gradients of PyTorch's cell or module, in our order and orientation."""
    states = 2 if kind == "lstm" else 1
    x, *rest = map(leaf, args)
    h, (w_xh, w_hh, *biases) = rest[:states], rest[states:]
    d, k = args[0].shape[-1], args[1].shape[1]
    make = (MODULES if whole else CELLS)[kind]
    module = make(d, k, dtype=x.dtype, **({"batch_first": True} if whole else {}))
    suffix = "_l0" if whole else ""
    values = {"weight_ih": w_xh.T, "weight_hh": w_hh.T, "bias_ih": biases[0],
              "bias_hh": biases[1] if kind == "gru" else torch.zeros_like(biases[0])}
    first = [state[None] for state in h] if whole else h
    given = tuple(first) if kind == "lstm" else first[0]
    result = torch.func.functional_call(
        module, {name + suffix: value for name, value in values.items()}, (x, given))
    if whole:
        y, last = result
        outputs = [y, last[1][0]] if kind == "lstm" else [y]
    else:
        outputs = list(result) if kind == "lstm" else [result]
    torch.autograd.backward(outputs, [torch.tensor(dy.copy()) for dy in dys])
    return outputs, [x, *h, w_xh, w_hh, *biases]


def with_track(
    track: str, kind: str, args: list[np.ndarray], dys: tuple[np.ndarray, ...], *, whole: bool
) -> tuple[list[Any], Any]:
    ops, part = TRACKS[track], "" if whole else "_cell"
    result, cache = getattr(ops, f"{kind}{part}_forward")(*(to(track, a) for a in args))
    given = tuple(to(track, dy) for dy in dys)
    grads = getattr(ops, f"{kind}{part}_backward")(given if kind == "lstm" else given[0], cache)
    return list(result) if kind == "lstm" else [result], grads


def compare_with_torch(
    track: str, kind: str, args: list[np.ndarray], dys: tuple[np.ndarray, ...], *, whole: bool
) -> None:
    outputs, grads = with_track(track, kind, [read_only(a) for a in args], dys, whole=whole)
    want, leaves = with_torch(kind, args, dys, whole=whole)
    for got, right in zip(outputs, want, strict=True):
        assert_close(got, right, FORWARD)
    assert_grads(grads, leaves)


@DTYPES
@pytest.mark.parametrize("sizes", [(4, 3, 2), (3, 3, 3), (1, 5, 4), (6, 1, 1), (0, 3, 2)], ids=str)
@pytest.mark.parametrize("kind", GATES)
@BOTH
def test_cell(track: str, kind: str, sizes: tuple[int, int, int], dtype: str) -> None:
    args = arguments(kind, *sizes, dtype)
    dys = tuple(draw(9, dtype, *[args[1].shape] * (2 if kind == "lstm" else 1)))
    if sizes[0] == 0:  # PyTorch's cells refuse an empty batch
        outputs, grads = with_track(track, kind, args, dys, whole=False)
        assert tuple(outputs[0].shape) == (0, 2)
        assert [tuple(g.shape) for g in grads] == [a.shape for a in args]
        assert not any(plain(g).any() for g in grads)
        return
    compare_with_torch(track, kind, args, dys, whole=False)


@pytest.mark.parametrize("kind", GATES)
@BOTH
def test_cell_of_large_values_saturates(track: str, kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for dtype in ("float64", "float32"):
            args = arguments(kind, 5, 3, 2, dtype, scale=1e4)
            dys = tuple(draw(9, dtype, *[(5, 2)] * (2 if kind == "lstm" else 1)))
            compare_with_torch(track, kind, args, dys, whole=False)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", GATES)
@BOTH
def test_cell_reads_any_layout(track: str, kind: str, layout: str) -> None:
    args = arguments(kind, 4, 3, 2, "float64")
    dys = tuple(draw(9, "float64", *[(4, 2)] * (2 if kind == "lstm" else 1)))
    outputs, grads = with_track(
        track, kind, [LAYOUTS[layout](a) if a.ndim == 2 else a for a in args], dys, whole=False)
    want, leaves = with_torch(kind, args, dys, whole=False)
    assert_close(outputs[0], want[0], FORWARD)
    assert_grads(grads, leaves)


@DTYPES
@pytest.mark.parametrize("sizes", [(4, 3, 2, 5), (2, 2, 2, 2), (1, 3, 2, 1), (3, 1, 1, 7)], ids=str)
@pytest.mark.parametrize("kind", GATES)
@BOTH
def test_whole_sequence(
    track: str, kind: str, sizes: tuple[int, int, int, int], dtype: str
) -> None:
    n, d, k, t = sizes
    args = arguments(kind, n, d, k, dtype, t)
    shapes = [(n, t, k), (n, k)] if kind == "lstm" else [(n, t, k)]
    compare_with_torch(track, kind, args, tuple(draw(8, dtype, *shapes)), whole=True)


@pytest.mark.parametrize("kind", GATES)
@BOTH
def test_bad_states_and_weights_are_refused(track: str, kind: str) -> None:
    ops, gates = TRACKS[track], GATES[kind]
    args = arguments(kind, 4, 3, 2, "float64")
    states = 2 if kind == "lstm" else 1
    name = f"{kind}_cell_forward"

    def forward(place: int, value: np.ndarray) -> None:
        changed = [*args[:place], value, *args[place + 1:]]
        getattr(ops, name)(*(to(track, a) for a in changed))

    x, h, w_xh, w_hh, b = 0, 1, states + 1, states + 2, states + 3
    width = 2 * gates
    block = "k" if gates == 1 else f"{gates}k"
    for place, value, match in (
        (x, args[0].T.copy(), r"x must have shape \(n, 3\), got \(3, 4\). Rows are examples"),
        (h, args[h][:1].copy(), r"h must have shape \(4, 2\), got \(1, 2\). One state for each"),
        (w_xh, args[w_xh].T.copy(), rf"w_xh must have shape \(d, {width}\)"),
        (w_hh, args[w_hh][0].copy(), rf"w_hh must have shape \(k, {block}\), got"),
        (w_hh, np.zeros((2, width + 1)), rf"w_hh must have shape \(2, {width}\)"),
        (b, args[b][:1].copy(), rf"b\w* must have shape \({width},\), got \(1,\)"),
    ):
        with pytest.raises(ShapeError, match=f"{name}: {match}"):
            forward(place, value)
    with pytest.raises(DtypeError, match=f"{name}: x must hold floats, got int64"):
        forward(x, np.ones((4, 3), np.int64))
    with pytest.raises(DtypeError, match=f"{name}: x and h must have one dtype"):
        forward(h, args[h].astype("float32"))


@BOTH
def test_an_lstm_wants_two_gradients(track: str) -> None:
    ops = TRACKS[track]
    args = arguments("lstm", 4, 3, 2, "float64")
    (h, c), cache = ops.lstm_cell_forward(*(to(track, a) for a in args))
    with pytest.raises(DtypeError, match=r"lstm_cell_backward: .* must be a pair \(dh, dc\), got"):
        ops.lstm_cell_backward(h, cache)
    with pytest.raises(ShapeError, match=r"lstm_cell_backward: dc must have shape \(4, 2\)"):
        ops.lstm_cell_backward((h, c[:1]), cache)


@pytest.mark.parametrize("kind", GATES)
@BOTH
def test_bad_sequences_are_refused(track: str, kind: str) -> None:
    ops, name = TRACKS[track], f"{kind}_forward"
    args = [to(track, a) for a in arguments(kind, 4, 3, 2, "float64", t=5)]
    forward = getattr(ops, name)
    with pytest.raises(ShapeError, match=rf"{name}: x must have shape \(n, t, 3\), got \(4, 3\)"):
        forward(args[0][:, 0], *args[1:])
    with pytest.raises(ShapeError, match=f"{name}: x must have at least one time step, got shape"):
        forward(args[0][:, :0], *args[1:])
    with pytest.raises(ShapeError, match=rf"{name}: x must have shape \(n, t, 3\), got \(4, 5, 2"):
        forward(args[0][:, :, :2], *args[1:])
    with pytest.raises(ShapeError, match=rf"{name}: h must have shape \(4, 2\), got \(3, 2\)"):
        forward(args[0], args[1][:3], *args[2:])
    with pytest.raises(ShapeError, match=rf"{name}: b\w* must have shape \(.*,\), got \(1,\)"):
        forward(*args[:-1], args[-1][:1])
    y, cache = forward(*args)
    y, c_last = y if kind == "lstm" else (y, None)
    short = y[:, 1:] if c_last is None else (y[:, 1:], c_last)
    with pytest.raises(ShapeError, match=rf"{kind}_backward: dy must have shape \(4, 5, 2\)"):
        getattr(ops, f"{kind}_backward")(short, cache)
    if c_last is not None:
        with pytest.raises(ShapeError, match=r"lstm_backward: dc must have shape \(4, 2\)"):
            ops.lstm_backward((y, c_last[:1]), cache)
        with pytest.raises(DtypeError, match="lstm_backward: the gradient must be a pair"):
            ops.lstm_backward(y, cache)


# --- attention ------------------------------------------------------------------------------------

# Leading axes, then t, s, d, d_v.
ATTENTION = {"one head": ((), 5, 5, 4, 4), "batch": ((3,), 4, 4, 2, 2),
             "batch and heads": ((2, 3), 4, 4, 8, 8), "other length": ((2,), 3, 6, 4, 4),
             "longer queries": ((2,), 6, 3, 4, 4), "other values": ((2,), 3, 3, 4, 7),
             "one position": ((2,), 1, 1, 3, 3), "no examples": ((0,), 3, 3, 2, 2),
             "no queries": ((2,), 0, 3, 2, 2), "one feature": ((2,), 3, 3, 1, 1)}


def attention_arrays(shape: tuple, dtype: str, scale: float = 1.0) -> list[np.ndarray]:
    leading, t, s, d, d_v = shape
    q, k, v, dy = draw(21, dtype, (*leading, t, d), (*leading, s, d), (*leading, s, d_v),
                       (*leading, t, d_v))
    return [np.asarray(scale, dtype) * q, k, v, dy]


def torch_attention(
    arrays: list[np.ndarray], causal: bool
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    q, k, v = map(leaf, arrays[:3])
    y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    y.backward(torch.tensor(arrays[3].copy()))
    return y, [q, k, v]


@DTYPES
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", ATTENTION.values(), ids=ATTENTION)
@BOTH
def test_attention(track: str, shape: tuple, causal: bool, dtype: str) -> None:
    arrays = attention_arrays(shape, dtype)
    ops = TRACKS[track]
    y, cache = ops.attention_forward(*(to(track, read_only(a)) for a in arrays[:3]), causal=causal)
    grads = ops.attention_backward(to(track, arrays[3]), cache)
    want, leaves = torch_attention(arrays, causal)
    assert_close(y, want, FORWARD)
    assert_grads(grads, leaves)
    weights = plain(cache.weights)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    if causal:
        assert not np.triu(weights, 1).any()


@pytest.mark.parametrize("causal", [False, True])
@BOTH
def test_attention_with_large_scores(track: str, causal: bool) -> None:
    ops = TRACKS[track]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arrays = attention_arrays(((2,), 5, 5, 4, 3), "float64", scale=1e4)
        y, cache = ops.attention_forward(*(to(track, a) for a in arrays[:3]), causal=causal)
        want, leaves = torch_attention(arrays, causal)
        assert_close(y, want, FORWARD)
        assert_grads(ops.attention_backward(to(track, arrays[3]), cache), leaves)
        single = [a.astype("float32") * np.float32(1e3) for a in arrays]
        y, cache = ops.attention_forward(*(to(track, a) for a in single[:3]), causal=causal)
        assert np.isfinite(plain(y)).all()


@pytest.mark.parametrize("layout", ["reversed", "heads"])
@BOTH
def test_attention_reads_any_layout(track: str, layout: str) -> None:
    arrays = attention_arrays(((2, 3), 4, 4, 8, 8), "float64")
    want, leaves = torch_attention(arrays, True)
    if layout == "reversed":
        views = [np.ascontiguousarray(a[:, :, ::-1, ::-1])[:, :, ::-1, ::-1] for a in arrays]
    else:  # heads cut out of (n, t, h, d) without a copy
        views = [np.ascontiguousarray(a.swapaxes(1, 2)).swapaxes(1, 2) for a in arrays]
    q, k, v, dy = (to(track, a) for a in views)
    y, cache = TRACKS[track].attention_forward(q, k, v, causal=True)
    assert_close(y, want, FORWARD)
    assert_grads(TRACKS[track].attention_backward(dy, cache), leaves)


@BOTH
def test_the_future_does_not_reach_the_past(track: str) -> None:
    ops = TRACKS[track]
    q, k, v, _ = attention_arrays(((2,), 5, 5, 4, 3), "float64")
    y, _ = ops.attention_forward(*(to(track, a) for a in (q, k, v)), causal=True)
    k[:, 3:], v[:, 3:] = 7.0, -7.0
    after, _ = ops.attention_forward(*(to(track, a) for a in (q, k, v)), causal=True)
    np.testing.assert_array_equal(plain(after)[:, :3], plain(y)[:, :3])
    assert (plain(after)[:, 3:] != plain(y)[:, 3:]).all()


@BOTH
def test_attention_refuses_bad_input(track: str) -> None:
    ops = TRACKS[track]
    q, k, v, dy = (to(track, a) for a in attention_arrays(((2,), 5, 5, 4, 3), "float64"))
    name = "attention_forward: "
    for bad, error, match in (
        ((q[0, 0], k, v), ShapeError, "q must have at least 2 axes, got shape"),
        ((q, k[:, :, :3], v), ShapeError, r"k must have shape \(2, s, 4\), got \(2, 5, 3\)"),
        ((q, k[0], v), ShapeError, r"k must have shape \(2, s, 4\), got \(5, 4\)"),
        ((q, k[:1], v), ShapeError, r"k must have shape \(2, s, 4\), got \(1, 5, 4\)"),
        ((q, k, v[:, :4]), ShapeError, r"v must have shape \(2, 5, d_v\), got \(2, 4, 3\)"),
        ((q, k[:, :0], v[:, :0]), ShapeError, "k must have at least one position and one feature"),
        ((q[..., :0], k[..., :0], v), ShapeError, "k must have at least one position and one"),
        ((q, k, to(track, np.ones((2, 5, 3), "float32"))), DtypeError, "q and v must have one"),
        ((q, k, to(track, np.ones((2, 5, 3), "int64"))), DtypeError, "v must hold floats, got"),
    ):
        with pytest.raises(error, match=name + match):
            ops.attention_forward(*bad)
    with pytest.raises(DtypeError, match=f"{name}causal must be True or False, got 'yes'"):
        ops.attention_forward(q, k, v, causal="yes")
    _, cache = ops.attention_forward(q, k, v)
    with pytest.raises(ShapeError, match=r"attention_backward: dy must have shape \(2, 5, 3\)"):
        ops.attention_backward(dy[:, :4], cache)


# --- the PyTorch track under autograd -------------------------------------------------------------


def test_autograd_can_walk_the_forwards_of_the_torch_track() -> None:
    """Nothing that a gradient needs is overwritten, so both ways to the gradients agree."""
    ops = TRACKS["torch"]
    q, k, v, dy = attention_arrays(((2,), 4, 4, 3, 3), "float64")
    x, gamma, beta = draw(5, "float64", (4, 3), (3,), (3,))
    zero, one = torch.zeros(3).double(), torch.ones(3).double()
    for forward, backward, arrays, upstream in (
        (lambda *a: ops.attention_forward(*a, causal=True), ops.attention_backward,
         [q, k, v], dy),
        (ops.layer_norm_forward, ops.layer_norm_backward, [x, gamma, beta], x + 1),
        (lambda *a: ops.batch_norm_forward(*a, zero, one, training=True),
         ops.batch_norm_backward, [x, gamma, beta], x * x),
        (ops.rnn_forward, ops.rnn_backward, arguments("rnn", 2, 3, 2, "float64", t=3),
         draw(1, "float64", (2, 3, 2))[0]),
        (ops.gru_forward, ops.gru_backward, arguments("gru", 2, 3, 2, "float64", t=3),
         draw(1, "float64", (2, 3, 2))[0]),
    ):
        leaves = [leaf(a) for a in arrays]
        y, *_, cache = forward(*leaves)
        y.backward(torch.tensor(upstream))
        with torch.no_grad():
            assert_grads(backward(torch.tensor(upstream), cache), leaves)
