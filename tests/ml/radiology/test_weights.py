"""Pretrained weights: found by name, taken as they say, fetched only when asked, one sentence when not."""

from __future__ import annotations

import dataclasses
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from ml.common.artefact import open_artefact
from ml.radiology.config import FROM_SCRATCH, TrainConfig
from ml.radiology.model import build_network
from ml.radiology.train import choose_backbone
from ml.radiology.weights import WeightsError, fetch_weights, find_weights
from tests.films import train_tiny


def imagenet_like(backbone: str = "resnet10t") -> dict[str, torch.Tensor]:
    """The state of a three-channel network with a thousand classes."""
    import ml.common.torchvision_pair  # noqa: F401
    import timm  # isort: skip

    torch.manual_seed(9)
    return dict(timm.create_model(backbone).state_dict())


@pytest.fixture
def hub(request):
    """A real HTTP server that answers every path with what it is given."""
    content: bytes = request.param

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def test_a_file_is_found_by_the_networks_name(tmp_path) -> None:
    for name in ("resnet10t_tf2_x.safetensors", "resnet10tv.safetensors", "other.safetensors"):
        save_file({"x": torch.zeros(1)}, tmp_path / name)
    found = find_weights(tmp_path, "resnet10t")
    assert found is not None
    assert found.path.name == "resnet10t_tf2_x.safetensors"
    assert (dict(found.args), found.mean) == ({"pad_type": "same", "bn_eps": 1e-3}, 0.5)
    assert find_weights(tmp_path, "resnet18") is None
    assert find_weights(tmp_path / "nowhere", "resnet10t") is None
    assert find_weights(None, "resnet10t") is None


def test_training_starts_from_weights_and_says_so(request_for, tmp_path) -> None:
    save_file(imagenet_like(), tmp_path / "resnet10t.x.safetensors")
    events = []
    result = train_tiny(request_for(weights_dir=tmp_path), events.append)
    assert "from resnet10t.x.safetensors" in events[0].message
    meta = open_artefact(result.artefact_dir).meta
    assert meta["pretrained"]["file"] == "resnet10t.x.safetensors"
    assert len(meta["pretrained"]["sha256"]) == 64


def test_auto_takes_the_network_there_are_weights_for(tmp_path) -> None:
    auto = TrainConfig()
    scratch, none = choose_backbone(auto, None)
    assert (scratch.backbone, none) == (FROM_SCRATCH, None)
    assert scratch.learning_rate == pytest.approx(auto.learning_rate * auto.scratch_rate)
    save_file(imagenet_like("resnet18"), tmp_path / "resnet18.safetensors")
    chosen, weights = choose_backbone(auto, tmp_path)
    assert chosen == dataclasses.replace(auto, backbone="resnet18")
    assert weights is not None
    named = TrainConfig(backbone="efficientnet_b0")
    without, none = choose_backbone(named, tmp_path)
    assert (without.backbone, none) == ("efficientnet_b0", None)


def test_grey_weights_answer_as_three_equal_channels_did(tmp_path) -> None:
    import timm

    state = imagenet_like()
    save_file(state, tmp_path / "resnet10t.safetensors")
    network = build_network("resnet10t", 2, 64, find_weights(tmp_path, "resnet10t"), seed=0)
    original = timm.create_model("resnet10t")
    original.load_state_dict(state)
    grey = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        wanted = original.eval().forward_features(grey.expand(-1, 3, -1, -1))
        got = network.module.eval().forward_features(grey)
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


def test_weights_that_do_not_fit_are_refused(tmp_path) -> None:
    save_file(imagenet_like("resnet18"), tmp_path / "resnet10t.safetensors")
    with pytest.raises(WeightsError, match=r"resnet10t\.safetensors"):
        build_network("resnet10t", 2, 64, find_weights(tmp_path, "resnet10t"), seed=0)
    (tmp_path / "resnet10t.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="cannot be read"):
        find_weights(tmp_path, "resnet10t")


@pytest.mark.parametrize("hub", [save(imagenet_like())], indirect=True, ids=["weights"])
def test_fetched_weights_are_kept_and_found(hub, tmp_path) -> None:
    path = fetch_weights("resnet10t", tmp_path / "w", timeout_s=30, endpoint=hub)
    found = find_weights(tmp_path / "w", "resnet10t")
    assert found is not None
    assert found.path == path
    assert found.mean == pytest.approx((0.485 + 0.456 + 0.406) / 3)
    build_network("resnet10t", 2, 64, found, seed=0)


@pytest.mark.parametrize("hub", [b"<html>sign in</html>"], indirect=True, ids=["a page"])
def test_what_is_not_weights_is_not_kept(hub, tmp_path) -> None:
    with pytest.raises(WeightsError, match="not weights of resnet10t"):
        fetch_weights("resnet10t", tmp_path, timeout_s=30, endpoint=hub)
    assert list(tmp_path.iterdir()) == []


def test_offline_it_says_so_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"could not be fetched: no answer from 127\.0\.0\.1"):
        fetch_weights("resnet10t", tmp_path, timeout_s=5, endpoint="http://127.0.0.1:9")
    with pytest.raises(WeightsError, match="knows no published weights"):
        fetch_weights("nonesuch", tmp_path, timeout_s=5)
    assert list(tmp_path.iterdir()) == []
