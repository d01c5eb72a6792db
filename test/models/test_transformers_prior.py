"""A transformers network as the prior: its own numbers, kept whole in the model's folder."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from depth_networks import depth_anything, publish
from safetensors.torch import load_file, save_file

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.components import load_component, save_component
from depth_distill_ros.models.prior import DepthPrior
from depth_distill_ros.models.transformers_prior import TransformersPrior

pytest.importorskip("transformers")


@pytest.fixture
def published(tmp_path):
    network = depth_anything()
    return network, publish(network, tmp_path / "published", 56)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1


@torch.no_grad()
def test_the_map_is_the_networks_own(published, images):
    network, folder = published
    prior = TransformersPrior.of_transformers(str(folder))
    size = 56, 84  # 64 x 96 with its short side at 56: both are multiples of 14
    pixels = F.interpolate((images + 1) / 2, size, mode="bicubic", antialias=True)
    mean, std = torch.tensor([[0.5, 0.4, 0.3], [0.2, 0.25, 0.3]])[..., None, None]
    expected = network((pixels - mean) / std).predicted_depth
    found = prior.disparity_map(images)
    assert found.shape == (2, 1, *size)
    assert torch.allclose(found[:, 0], expected, rtol=1e-3, atol=1e-5 * float(expected.max()))
    assert expected.std() > 1e-3


@torch.no_grad()
def test_it_is_saved_and_loaded_whole(published, images, tmp_path):
    prior = TransformersPrior.of_transformers(str(published[-1]))
    save_component(prior, tmp_path / "prior")
    assert sorted(p.name for p in (tmp_path / "prior").iterdir()) == [
        "config.json",
        "diffusion_pytorch_model.safetensors",
    ]
    fields = json.loads((tmp_path / "prior/config.json").read_text())
    assert fields["network_config"]["model_type"] == prior.config.network_config["model_type"]
    assert fields["network_config"]["architectures"]
    loaded = load_component(tmp_path / "prior", "prior")
    assert isinstance(loaded, TransformersPrior) and not loaded.training
    assert torch.equal(loaded.disparity_map(images), prior.disparity_map(images))


def test_both_kinds_of_prior_have_one_interface(images):
    prior = DepthPrior().eval()
    with torch.no_grad():
        assert torch.equal(prior.disparity_map(images), prior(images)[0])


def test_it_has_no_features():
    prior = TransformersPrior(depth_anything().config.to_dict(), size=28)
    with pytest.raises(ModelError, match="gives a map and no features"):
        _ = prior.latent_channels


def test_half_precision_weights_answer_float32_images(images):
    prior = TransformersPrior(depth_anything().config.to_dict(), size=28).to(torch.bfloat16)
    with torch.no_grad():
        assert prior.disparity_map(images).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth_estimation_type": "metric"}, "must predict relative disparity"),
        ({"model_type": "zoedepth"}, "this is 'zoedepth'"),
        ({"model_type": None}, "this is 'None'"),
        ({"backbone_config": {"model_type": "nothing"}}, "cannot be built"),
    ],
)
def test_other_networks_are_refused(changes, message):
    with pytest.raises(ModelError, match=message):
        TransformersPrior({**depth_anything().config.to_dict(), **changes})


def test_damaged_folders_are_refused(tmp_path):
    folder = publish(depth_anything(), tmp_path / "published", 28)
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    removed = tensors.pop("head.conv3.bias")
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lacks 1 tensors, head.conv3.bias"):
        TransformersPrior.of_transformers(str(folder))
    weights.unlink()
    torch.save({"head.conv3.bias": removed}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickles only"):
        TransformersPrior.of_transformers(str(folder))
    with pytest.raises(ModelError, match="lacks its revision"):
        TransformersPrior.of_transformers("depth-anything/Depth-Anything-V2-Small-hf")
    with pytest.raises(ModelError, match="this is 'None'"):
        TransformersPrior.of_transformers("d3epth-tiny")
