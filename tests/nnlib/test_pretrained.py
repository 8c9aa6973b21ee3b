"""Real weights, through a stand-in for a library, fetched from a server on this machine."""

import sys
import threading
import types
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from torch import nn

from nnlib.torch_track import pretrained
from nnlib.torch_track.pretrained import PretrainedError, load_pretrained


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def address(tmp_path):
    """Serve a small file of weights from this machine."""
    folder = tmp_path / "served"
    folder.mkdir()
    network = nn.Linear(3, 2)
    with torch.no_grad():
        network.weight.fill_(0.25)
        network.bias.fill_(-1.0)
    torch.save(network.state_dict(), folder / "weights.pth")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def torchvision_of(url, cache):
    """A stand-in with the part of torchvision's interface that is used."""
    class Weights:
        def __init__(self):
            self.url = url

        def __str__(self):
            return "Tiny_Weights.IMAGENET1K_V1"

        def get_state_dict(self, *, progress, check_hash):
            assert not progress
            return torch.hub.load_state_dict_from_url(
                url, model_dir=str(cache), progress=False, weights_only=True)

        def transforms(self):
            return types.SimpleNamespace(mean=[0.1, 0.2, 0.3], std=[0.4, 0.5, 0.6],
                                         crop_size=[224])

    def get_model_weights(name):
        if name != "tiny":
            raise ValueError(f"Unknown model {name}")
        return types.SimpleNamespace(DEFAULT=Weights())

    models = types.ModuleType("torchvision.models")
    models.get_model_weights = get_model_weights
    models.get_model = lambda name, weights: nn.Linear(3, 2)
    library = types.ModuleType("torchvision")
    library.models = models
    return {"torchvision": library, "torchvision.models": models}


def install(monkeypatch, modules):
    for name in ("torchvision", "torchvision.models", "timm"):
        # None in sys.modules is what "not installed" looks like to an import.
        monkeypatch.setitem(sys.modules, name, modules.get(name))


def test_weights_come_from_the_server_once(address, tmp_path, monkeypatch):
    install(monkeypatch, torchvision_of(f"{address}/weights.pth", tmp_path))
    found = load_pretrained("tiny")
    assert found.model.weight.unique().tolist() == [0.25]
    assert not found.model.training
    assert (found.mean, found.std, found.size) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), 224)
    assert "tiny" in found.source
    assert "torchvision" in found.source
    (tmp_path / "served" / "weights.pth").unlink()
    assert load_pretrained("tiny").model.bias.tolist() == [-1.0, -1.0]


def test_an_unreachable_file_is_a_message(address, tmp_path, monkeypatch):
    install(monkeypatch, torchvision_of(f"{address}/other.pth", tmp_path))
    with pytest.raises(PretrainedError, match=r"must be fetched once from http.*404.*get_dir"):
        load_pretrained("tiny")


def test_an_unknown_name_is_a_message(tmp_path, monkeypatch):
    install(monkeypatch, torchvision_of("", tmp_path))
    with pytest.raises(PretrainedError, match=r"network of torchvision.*'resnet81'.*list_models"):
        load_pretrained("resnet81")


def test_without_a_library_the_message_says_what_to_install(monkeypatch):
    install(monkeypatch, {})
    with pytest.raises(PretrainedError, match=r"torchvision or timm must be installed.*neither"):
        load_pretrained()
    with pytest.raises(PretrainedError, match=r"timm must be installed.*pip install timm"):
        load_pretrained(library="timm")
    with pytest.raises(ValueError, match="library must be"):
        load_pretrained(library="keras")


def timm_with(create_model):
    timm = types.ModuleType("timm")
    timm.is_model = lambda name: name == "tiny"
    timm.create_model = create_model
    return {"timm": timm}


def test_timm(monkeypatch):
    def create_model(name, *, pretrained):
        assert pretrained
        model = nn.Linear(3, 2)
        model.pretrained_cfg = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "input_size": (3, 240, 240)}
        return model

    install(monkeypatch, timm_with(create_model))
    found = load_pretrained("tiny")
    assert (found.mean, found.size, found.model.training) == ((0.5, 0.5, 0.5), 240, False)
    with pytest.raises(PretrainedError, match="network of timm"):
        load_pretrained("unknown")

    def without_network(name, *, pretrained):
        raise OSError("no route to host")

    install(monkeypatch, timm_with(without_network))
    with pytest.raises(PretrainedError, match="its hub, got OSError: no route to host"):
        load_pretrained("tiny")


def test_a_broken_installation_is_no_missing_one(monkeypatch):
    def broken(name):
        raise ModuleNotFoundError("No module named 'numba'", name="numba")

    monkeypatch.setattr(pretrained.importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="numba"):
        load_pretrained()
