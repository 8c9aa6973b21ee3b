"""Known mistakes, one file a chapter. `for_exercise` looks them up."""

import importlib
import pkgutil

from nnlib.mistakes.registry import MISTAKES, Mistake, mistake, source_as

__all__ = ["MISTAKES", "Mistake", "for_exercise", "mistake", "source_as"]

_loaded: set[str] = set()


def for_exercise(name: str, track: str = "numpy") -> list[Mistake]:
    """Return the known mistakes of an exercise in a track, in the order of the file.

    Files whose name ends in ``_torch`` are imported only for the PyTorch track, so that the
    NumPy track never needs torch.
    """
    for module in pkgutil.iter_modules(__path__):
        wanted = module.name.startswith("ch") and (
            track == "torch" or not module.name.endswith("_torch"))
        if wanted and module.name not in _loaded:
            importlib.import_module(f"{__name__}.{module.name}")
            _loaded.add(module.name)
    return [entry for entry in MISTAKES.get(name, []) if track in entry.tracks]
