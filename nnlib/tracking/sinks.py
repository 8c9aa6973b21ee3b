"""Where a run can go besides its own files. Nothing foreign is imported before it is used."""

import importlib
import os
from typing import Any, Protocol

__all__ = ["Sink", "TensorBoard", "WeightsAndBiases"]


class Sink(Protocol):
    """What a `Recorder` calls: three methods, so that your own is quickly written."""

    def start(self, name: str, settings: dict[str, Any]) -> None:
        """Begin a run."""

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Note numbers."""

    def finish(self) -> None:
        """End the run."""


def _load(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"This needs the package {package}, which is not installed. Try: "
            f'pip install {package}, or pip install "nncourse[tune]" for all of chapter 12. '
            f"Recorder writes its own files without it."
        ) from error


class TensorBoard:
    """Sends runs to TensorBoard: ``tensorboard --logdir FOLDER`` shows them.

    Parameters
    ----------
    folder : path
        Each run gets a folder in it.

    Raises
    ------
    ImportError
        If tensorboard or torch is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        _load("tensorboard", "tensorboard")
        self._writer_class = _load("torch.utils.tensorboard", "tensorboard").SummaryWriter
        self._folder = os.fspath(folder)
        self._writer: Any = None

    def start(self, name: str, settings: dict[str, Any]) -> None:
        """Begin a run; the settings become a text."""
        self._writer = self._writer_class(os.path.join(self._folder, name))
        lines = [f"    {key}: {value}" for key, value in settings.items()]
        self._writer.add_text("settings", "\n".join(lines))

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Note numbers."""
        for key, value in metrics.items():
            self._writer.add_scalar(key, value, step)

    def finish(self) -> None:
        """End the run."""
        self._writer.close()


class WeightsAndBiases:
    """Sends runs to Weights & Biases, offline unless told otherwise.

    Parameters
    ----------
    project : str
    folder : path
        Where the offline runs go. ``wandb sync FOLDER/wandb/offline-run-…`` uploads one later.
    mode : "offline", "online" or "disabled"
        "offline" needs neither an account nor a network.

    Raises
    ------
    ImportError
        If wandb is not installed.
    """

    def __init__(self, project: str, *, folder: str | os.PathLike[str],
                 mode: str = "offline") -> None:
        self._project, self._folder, self._mode = project, os.fspath(folder), mode
        if mode != "online":
            # Before the import: it reads them there. Nothing outside the folder is written.
            os.environ.setdefault("WANDB_SILENT", "true")
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
            for kind in ("CACHE", "CONFIG", "DATA"):
                os.environ.setdefault(f"WANDB_{kind}_DIR", self._folder)
        self._wandb = _load("wandb", "wandb")
        self._run: Any = None

    def start(self, name: str, settings: dict[str, Any]) -> None:
        """Begin a run."""
        self._run = self._wandb.init(
            project=self._project, name=name, config=settings, mode=self._mode,
            dir=self._folder, settings=self._wandb.Settings(silent=True, console="off"),
        )

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Note numbers."""
        self._run.log(metrics, step=step)

    def finish(self) -> None:
        """End the run."""
        self._run.finish()
