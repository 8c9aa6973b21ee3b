"""Experiment tracking: what was run, with which settings, and what came out.

A `Recorder` writes to plain files that anything can read. The same calls can go to TensorBoard and
to Weights & Biases as well; their packages are imported only when they are used.
"""

from nnlib.tracking.reader import Runs, read_runs
from nnlib.tracking.recorder import Recorder
from nnlib.tracking.sinks import Sink, TensorBoard, WeightsAndBiases

__all__ = ["Recorder", "Runs", "Sink", "TensorBoard", "WeightsAndBiases", "read_runs"]
