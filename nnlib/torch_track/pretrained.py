"""Networks that others have trained: through torchvision or timm, with a message where neither can.

Nothing here is imported until it is asked for.
"""

import importlib
from types import ModuleType
from typing import Any, NamedTuple

from torch import nn

from nnlib.errors import check_choice

__all__ = ["Pretrained", "PretrainedError", "load_pretrained"]

LIBRARIES = ("torchvision", "timm")


class PretrainedError(RuntimeError):
    """The network can't be had here; the message says why, and what to do."""


class Pretrained(NamedTuple):
    """A network with pre-trained weights, in evaluation mode, and what its inputs must be.

    Attributes
    ----------
    model : nn.Module
    mean, std : tuples of three floats
        For `preprocess`: statistics of the images it was trained on, RGB from 0 to 1.
    size : int
        Height and width that it expects.
    source : str
        Which weights these are, and from which library.
    """

    model: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    source: str


def load_pretrained(name: str = "resnet18", *, library: str | None = None) -> Pretrained:
    """Load a network with weights trained on ImageNet.

    Parameters
    ----------
    name : str
        As the library calls it: ``"resnet18"``, ``"vgg16"``, ``"inception_v3"``.
    library : "torchvision", "timm" or None
        None takes the first that is installed.

    Returns
    -------
    Pretrained
        The library keeps the file of weights, so that the next call needs no network.

    Raises
    ------
    PretrainedError
        If no library is installed, it doesn't know the name, or the weights can't be fetched.
    ValueError
        If ``library`` is none of the two.

    References
    ----------
    Chapter 15, "Transfer".
    """
    if library is not None:
        check_choice("load_pretrained", "library", library, LIBRARIES)
    wanted = LIBRARIES if library is None else (library,)
    for candidate in wanted:
        found = _imported(candidate)
        if found is not None:
            return (_from_torchvision if candidate == "torchvision" else _from_timm)(found, name)
    raise PretrainedError(
        f"load_pretrained: {' or '.join(wanted)} must be installed to load {name!r}, got neither. "
        f"`pip install {wanted[0]}` brings it; the weights are fetched at the first call."
        .replace("got neither", "got neither" if len(wanted) > 1 else "and it isn't"))


def _imported(library: str) -> ModuleType | None:
    try:
        module = importlib.import_module(library)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != library:
            raise  # the library is there, but something that it needs is not
        return None
    return importlib.import_module("torchvision.models") if library == "torchvision" else module


def _from_torchvision(models: Any, name: str) -> Pretrained:
    try:
        weights = models.get_model_weights(name).DEFAULT
    except (ValueError, KeyError) as error:
        raise _unknown("torchvision", name) from error
    model = models.get_model(name, weights=None)
    try:
        state = weights.get_state_dict(progress=False, check_hash=True)
    except OSError as error:
        raise _unreachable("torchvision", name, weights.url, error) from error
    model.load_state_dict(state)
    inputs = weights.transforms()
    return Pretrained(model.eval(), tuple(inputs.mean), tuple(inputs.std),
                      int(inputs.crop_size[0]), f"{name}, {weights} of torchvision")


def _from_timm(timm: Any, name: str) -> Pretrained:
    if not timm.is_model(name):
        raise _unknown("timm", name)
    try:
        model = timm.create_model(name, pretrained=True)
    except (OSError, RuntimeError) as error:
        raise _unreachable("timm", name, "its hub", error) from error
    config = model.pretrained_cfg
    return Pretrained(model.eval(), tuple(config["mean"]), tuple(config["std"]),
                      int(config["input_size"][-1]), f"{name} of timm")


def _unknown(library: str, name: str) -> PretrainedError:
    lister = "torchvision.models.list_models()" if library == "torchvision" else (
        "timm.list_models(pretrained=True)")
    return PretrainedError(f"load_pretrained: name must be a network of {library} with weights, "
                           f"got {name!r}. {lister} lists them.")


def _unreachable(library: str, name: str, where: str, error: Exception) -> PretrainedError:
    return PretrainedError(
        f"load_pretrained: the weights of {name!r} must be fetched once from {where}, got "
        f"{type(error).__name__}: {str(error)[:200]}. With a network, try again; without one, copy "
        f"the file into the folder where {library} keeps its weights (torch.hub.get_dir()).")
