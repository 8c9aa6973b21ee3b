"""The table of a model against numbers counted by hand."""

from typing import Any

import pytest
from test_layers_backward import TRACKS, dtype_of, generator

from nnlib.errors import DtypeError, ShapeError
from nnlib.layer import Layer


def lenet(track: str, dtype: str = "float64", channels: tuple[int, int] = (6, 16)) -> Any:
    layers, rng, kind = TRACKS[track].layers, generator(track), dtype_of(track, dtype)
    first, second = channels
    return layers.Sequential(
        layers.Conv2d(1, first, 5, padding=2, rng=rng, dtype=kind), layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Conv2d(first, second, 5, rng=rng, dtype=kind), layers.ReLU(), layers.MaxPool2d(2),
        layers.Flatten(),
        layers.Linear(second * 25, 120, rng=rng, dtype=kind), layers.ReLU(),
        layers.Linear(120, 84, rng=rng, dtype=kind), layers.ReLU(),
        layers.Linear(84, 10, rng=rng, dtype=kind),
    )


# Weights and biases; outputs x channels x kernel, and rows x columns.
LENET = """\
layer         output shape    parameters  multiply-adds
-------------------------------------------------------
input         (n, 1, 28, 28)
0 Conv2d      (n, 6, 28, 28)         156        117,600
1 ReLU        (n, 6, 28, 28)           0              0
2 MaxPool2d   (n, 6, 14, 14)           0              0
3 Conv2d      (n, 16, 10, 10)      2,416        240,000
4 ReLU        (n, 16, 10, 10)          0              0
5 MaxPool2d   (n, 16, 5, 5)            0              0
6 Flatten     (n, 400)                 0              0
7 Linear      (n, 120)            48,120         48,000
8 ReLU        (n, 120)                 0              0
9 Linear      (n, 84)             10,164         10,080
10 ReLU       (n, 84)                  0              0
11 Linear     (n, 10)                850            840
-------------------------------------------------------
total                             61,706        416,520"""


def squeeze(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if not line.startswith("--")]


@pytest.mark.parametrize("track", TRACKS)
def test_lenet_by_hand(track: str) -> None:
    model = lenet(track)
    table = model.summary((1, 28, 28))
    assert squeeze(table) == squeeze(LENET)
    assert table == model.summary([1, 28, 28])
    assert model.output_shape((1, 28, 28)) == (10,)
    assert model.multiply_adds((1, 28, 28)) == 416_520
    lines = table.splitlines()
    assert {len(line) for line in lines if line[0] == "-"} == {max(map(len, lines))}
    assert not any(line.endswith(" ") for line in lines)


@pytest.mark.parametrize("track", TRACKS)
def test_nested_models_show_their_parts(track: str) -> None:
    layers, rng = TRACKS[track].layers, generator(track)
    block = layers.Residual(
        layers.Sequential(layers.Conv2d(3, 8, 3, stride=2, padding=1, bias=False, rng=rng),
                          layers.BatchNorm(8)),
        layers.Conv2d(3, 8, 1, stride=2, rng=rng))
    table = layers.Sequential(block, layers.GlobalAvgPool2d()).summary((3, 9, 8))
    assert squeeze(table)[1:] == [
        "input (n, 3, 9, 8)",
        "0 Residual (n, 8, 5, 4)",
        "0.body Sequential (n, 8, 5, 4)",
        "0.body.0 Conv2d (n, 8, 5, 4) 216 4,320",  # 8 * 3 * 9; 20 * 216
        "0.body.1 BatchNorm (n, 8, 5, 4) 16 0",
        "0.shortcut Conv2d (n, 8, 5, 4) 32 480",  # 8 * 3 + 8; 20 * 24
        "1 GlobalAvgPool2d (n, 8) 0 0",
        "total 264 4,800",
    ]
    assert "\n  0.body Sequential" in table
    assert "\n    0.body.0 Conv2d" in table


@pytest.mark.parametrize("track", TRACKS)
def test_sequences_by_hand(track: str) -> None:
    layers, rng = TRACKS[track].layers, generator(track)
    model = layers.Sequential(
        layers.Embedding(50, 8, rng=rng), layers.LSTM(8, 16, rng=rng), layers.GRU(16, 8, rng=rng),
        layers.RNN(8, 8, rng=rng), layers.Attention(8, 2, rng=rng),
        layers.Residual(layers.Sequential(layers.LayerNorm(8), layers.Linear(8, 8, rng=rng))),
        layers.LSTM(8, 4, return_sequences=False, rng=rng))
    rows = [line.split(")") for line in squeeze(model.summary((10,)))]
    assert [" ".join(row[1].split()) for row in rows if len(row) > 1 and row[1]] == [
        "400 0",
        "1,600 15,360",  # (8 + 16 + 1) * 64; 10 * 24 * 64
        "624 5,760",  # (16 + 8 + 1 + 1) * 24; 10 * 24 * 24
        "136 1,280",  # (8 + 8 + 1) * 8; 10 * 16 * 8
        "288 4,160",  # 4 * (64 + 8); 4 * 10 * 64 + 2 * 100 * 8
        "16 0", "72 640",  # 10 * 64
        "208 1,920",  # (8 + 4 + 1) * 16; 10 * 12 * 16
    ]
    assert model.output_shape((10,)) == (4,)


@pytest.mark.parametrize("track", TRACKS)
def test_a_layer_alone_has_a_table(track: str) -> None:
    layer = TRACKS[track].layers.Linear(3, 2, rng=generator(track))
    assert squeeze(layer.summary((3,)))[1:] == ["input (n, 3)", "Linear (n, 2) 8 6", "total 8 6"]


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "image of another size": (
        (1, 32, 32), ShapeError,
        r"Sequential.summary: layer 7, Linear: one example must have shape \(..., 400\), got "
        r"\(576,\)"),
    "channels": ((3, 28, 28), ShapeError,
                 r"layer 0, Conv2d: one example must have shape \(1, h, w\), got \(3, 28, 28\)"),
    "too small": ((1, 6, 6), ShapeError,
                  r"layer 3, Conv2d: the kernel must fit into the padded input"),
    "with the batch": ((5, 1, 28, 28), ShapeError, r"must have shape \(1, h, w\), got \(5, 1,"),
    "a number": (784, DtypeError,
                 r"Sequential.summary: input_shape must be a tuple, the shape of one example "
                 r"without the batch axis, got 784. For example \(784,\)"),
    "no pixel": ((1, 0, 28), ValueError, "each of input_shape must be an integer >= 1, got 0"),
    "text": ("28", DtypeError, "input_shape must be a tuple"),
}


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_named_with_its_place(name: str, track: str) -> None:
    shape, error, match = WRONG[name]
    with pytest.raises(error, match=match):
        lenet(track).summary(shape)


@pytest.mark.parametrize("track", TRACKS)
def test_hints_and_nested_places(track: str) -> None:
    layers, rng = TRACKS[track].layers, generator(track)
    with pytest.raises(ShapeError, match=r"got \(2, 2\). Does a Flatten belong in front\?"):
        layers.Linear(4, 2, rng=rng).output_shape((2, 2))
    block = layers.Residual(layers.Sequential(layers.Linear(4, 2, rng=rng)))
    with pytest.raises(ShapeError, match=r"Residual.output_shape: body and shortcut must give the "
                                         r"same shape, got \(2,\) and \(4,\)"):
        block.output_shape((4,))
    with pytest.raises(ShapeError, match=r"multiply_adds: body: layer 0, Linear: one example"):
        block.multiply_adds((3,))
    for layer, shape in ((layers.BatchNorm(3), (4,)), (layers.LayerNorm(3), (4,)),
                         (layers.MaxPool2d(2), (4,)), (layers.GlobalAvgPool2d(), (4,)),
                         (layers.RNN(3, 2, rng=rng), (3,)), (layers.Attention(4, rng=rng), (4,))):
        with pytest.raises(ShapeError, match=rf"{type(layer).__name__}.output_shape: one example"):
            layer.output_shape(shape)


def test_a_layer_of_your_own_may_tell_its_shape() -> None:
    class Half(Layer):
        def _output_shape(self, caller: str, shape: tuple[int, ...]) -> tuple[int, ...]:
            return (shape[0] // 2,)

    assert Half().output_shape((8,)) == (4,)
    assert Half().multiply_adds((8,)) == 0
