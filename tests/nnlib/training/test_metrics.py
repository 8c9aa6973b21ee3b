"""Accuracy and confusion matrix against scikit-learn's, and by hand."""

import numpy as np
import pytest
from train_helpers import Track, plain


def test_against_sklearn(track: Track) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(50, 4)), rng.integers(4, size=50)
    given = track.array(scores), track.array(labels)
    assert track.ops.accuracy(*given) == metrics.accuracy_score(labels, scores.argmax(1))
    counts = plain(track.ops.confusion_matrix(*given, num_classes=4))
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, metrics.confusion_matrix(labels, scores.argmax(1)))


@pytest.mark.parametrize("integer", ["int8", "int32", "int64", "uint8"])
def test_labels_of_any_integer_type(track: Track, integer: str) -> None:
    labels = np.array([0, 200 if integer == "uint8" else 100, 2, 2]).astype(integer)
    scores = np.eye(201)[[0, int(labels[1]), 2, 1]]
    given = track.array(scores), track.array(labels)
    assert track.ops.accuracy(*given) == 0.75
    counts = plain(track.ops.confusion_matrix(*given, num_classes=201))
    assert (counts[2, 2], counts[2, 1], counts.sum()) == (1, 1, 4)


def test_shapes_are_refused(track: Track) -> None:
    labels = track.array(np.zeros(3, int))
    with pytest.raises(ValueError, match=r"accuracy: predictions must have shape \(n, k\) or"):
        track.ops.accuracy(track.array(np.zeros((3, 0))), labels)
    with pytest.raises(ValueError, match=r"got \(3, 2, 2\)"):
        track.ops.accuracy(track.array(np.zeros((3, 2, 2))), labels)
    with pytest.raises(TypeError, match="predictions must be an array, got list"):
        track.ops.accuracy([0, 1, 2], labels)
