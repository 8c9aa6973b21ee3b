"""Boxes in and out of a detector, its measure, the U-Net, and the loop that trains both."""

import itertools

import numpy as np
import pytest
import torch

import nnlib.torch_track as ops
from nnlib import data
from nnlib.errors import DtypeError, ShapeError
from nnlib.torch_track.detector import (
    Detections,
    GridDetector,
    average_precision,
    detect,
    detection_loss,
    encode_boxes,
)
from nnlib.torch_track.fine_tuning import draw_per_class, train_steps
from nnlib.torch_track.segmentation import UNet


def scenes(n=20):
    found = data.make_scenes(np.random.default_rng(0), n)
    return found, [torch.from_numpy(b) for b in found.boxes], [
        torch.from_numpy(k) for k in found.labels]


def perfect_output(boxes, classes):
    """What a detector would have to say."""
    numbers, labels = encode_boxes(boxes, classes, grid=8)
    raw = torch.zeros(len(boxes), 8, 8, 8)
    raw[:, 0] = torch.where(labels >= 0, 20.0, -20.0)
    raw[:, 1:5] = numbers
    raw[:, 5:] = 30 * torch.nn.functional.one_hot(labels.clamp(min=0), 3).permute(0, 3, 1, 2)
    return raw, numbers, labels


def test_decoding_undoes_encoding():
    _, boxes, classes = scenes()
    raw, numbers, labels = perfect_output(boxes, classes)
    assert detection_loss(raw, numbers, labels).item() < 1e-6
    found = detect(raw)
    assert average_precision(found, boxes, classes, threshold=0.99) > 0.95  # two in one cell
    for seen, own in zip(found, boxes, strict=True):
        assert ops.box_iou(seen.boxes, own).max(dim=1).values.min() > 0.999
        assert (seen.scores.diff() <= 0).all()


def test_each_part_of_the_loss_counts():
    _, boxes, classes = scenes()
    raw, numbers, labels = perfect_output(boxes, classes)
    for channel in (0, 1, 4, 5):
        worse = raw.clone()
        worse[:, channel] = worse[:, channel].roll(3, dims=1)
        assert detection_loss(worse, numbers, labels) > 0.01, channel
    nothing = [torch.zeros(0, 4)], [torch.zeros(0, dtype=torch.int64)]
    empty = detection_loss(raw[:1] * 0 - 20, *encode_boxes(*nothing, grid=8))
    assert torch.isfinite(empty)


def area_by_hand(hits, total):
    """Precision at each recall is the best that any later detection still has."""
    right = np.cumsum(hits)
    precision = right / np.arange(1, len(hits) + 1)
    return sum(precision[k:].max() for k, hit in enumerate(hits) if hit) / total


@pytest.mark.parametrize("hits", list(itertools.product([True, False], repeat=4)))
def test_average_precision_by_hand(hits):
    boxes = torch.tensor([[10.0 * k, 0, 10 * k + 5, 5] for k in range(5)])
    seen = torch.stack([boxes[k] if hit else boxes[k] + 100 for k, hit in enumerate(hits)])
    found = Detections(seen, torch.zeros(4, dtype=torch.int64), torch.linspace(0.9, 0.2, 4))
    value = average_precision([found], [boxes], [torch.zeros(5, dtype=torch.int64)])
    assert value == pytest.approx(area_by_hand(hits, 5))


def test_doubles_and_wrong_classes_are_errors():
    box, kind = torch.tensor([[0.0, 0, 4, 4]]), torch.tensor([1])
    double = Detections(box.repeat(2, 1), kind.repeat(2), torch.tensor([0.9, 0.8]))
    assert average_precision([double], [box], [kind]) == 1.0  # the double comes after all recall
    two = torch.cat([box, box + 10]), kind.repeat(2)
    late = Detections(torch.cat([box, box, box + 10]), kind.repeat(3),
                      torch.tensor([0.9, 0.8, 0.7]))
    assert average_precision([late], [two[0]], [two[1]]) == pytest.approx((1 + 2 / 3) / 2)
    other = Detections(box, kind - 1, torch.tensor([0.9]))
    assert average_precision([other], [box], [kind]) == 0.0


def test_suppression_in_detect_is_a_choice():
    _, boxes, classes = scenes(1)
    raw, _, _ = perfect_output(boxes, classes)
    row, column = (raw[0, 0] > 0).nonzero()[0].tolist()
    neighbour = column + 1 if column < 7 else column - 1
    raw[0, :, row, neighbour] = raw[0, :, row, column]
    raw[0, 1, row, neighbour] += column - neighbour  # the same box, said by two cells
    assert len(detect(raw, threshold=None)[0].boxes) == len(detect(raw)[0].boxes) + 1
    raw[:, 0] = -20.0
    assert detect(raw)[0].boxes.shape == (0, 4)


def test_networks_keep_their_shapes_and_bridges_matter():
    x = torch.randn(2, 1, 32, 24, generator=torch.Generator().manual_seed(0))
    assert GridDetector(1, 3)(x).shape == (2, 8, 8, 6)
    for bridges in (True, False):
        net = UNet(1, 4, bridges=bridges)
        net(x).sum().backward()
        assert all(p.grad is not None for p in net.parameters())
    sizes = [sum(p.numel() for p in UNet(1, 4, bridges=b).parameters()) for b in (True, False)]
    assert sizes[0] > sizes[1]
    with pytest.raises(ValueError, match="UNet: width must be"):
        UNet(1, 2, width=0)


def test_training_repeats_shifts_and_leaves_evaluation_mode():
    x = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    y = torch.arange(12) % 3

    def run(seed, **options):
        model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
        ops.replace_head(model, "1", 3)
        groups = [{"params": model.parameters(), "lr": 0.01}]
        trained = train_steps(model, groups, x, y, steps=5, batch_size=5, seed=seed, **options)
        assert not trained.training
        return trained[1].weight.detach()

    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))
    assert not torch.equal(run(0), run(0, shift=1))
    calls = []
    run(0, step=lambda model, optimizer, batch, labels: (
        optimizer.step(), calls.append((len(batch), len(labels)))))
    assert calls == [(5, 5), (5, 5), (5, 5), (5, 5), (5, 5)]


def test_examples_for_each_class():
    labels, rows = np.arange(100) % 10, np.arange(0, 80)
    drawn = draw_per_class(labels, rows, 3, seed=1)
    assert np.bincount(labels[drawn]).tolist() == [3] * 10
    assert set(drawn) <= set(rows)
    assert len(set(drawn)) == 30
    assert set(draw_per_class(labels, rows, 2, seed=1)) <= set(drawn)
    assert set(draw_per_class(labels, rows, 3, seed=2)) != set(drawn)


def test_the_exercises_refuse_bad_arguments():
    floats, labels = torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64)
    bytes_ = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
    rgb = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    for call, error, text in [
        (lambda: ops.preprocess(bytes_.float(), size=4, **rgb), DtypeError, "must hold bytes"),
        (lambda: ops.preprocess(bytes_.permute(0, 3, 1, 2), size=4, **rgb), ShapeError, "last"),
        (lambda: ops.preprocess(bytes_, mean=(0.5,) * 3, std=(0, 1, 1), size=4), ValueError, "std"),
        (lambda: ops.replace_head(torch.nn.Linear(2, 3), "fc", 2), ValueError, "linear layer"),
        (lambda: ops.replace_head(torch.nn.Sequential(torch.nn.ReLU()), "0", 2), ValueError,
         "There are: none"),
        (lambda: ops.discriminative_groups(torch.nn.ReLU(), learning_rate=0, factor=1), ValueError,
         "learning_rate"),
        (lambda: ops.discriminative_groups(torch.nn.ReLU(), learning_rate=1, factor=2), ValueError,
         "factor"),
        (lambda: ops.box_iou(floats[:, :3], floats), ShapeError, "boxes must have shape"),
        (lambda: ops.box_iou(labels, floats), DtypeError, "boxes must hold floats"),
        (lambda: ops.non_maximum_suppression(floats, floats[:, 0], labels), ShapeError, "iou"),
        (lambda: ops.non_maximum_suppression(floats[:, :2], floats[:, 0], labels, threshold=2.0),
         ValueError, "threshold"),
        (lambda: ops.class_iou(labels + 3, labels, classes=3), ValueError, "predicted"),
        (lambda: ops.class_iou(labels[:1], labels, classes=3), ShapeError, "same shape"),
    ]:
        with pytest.raises(error, match=text):
            call()
