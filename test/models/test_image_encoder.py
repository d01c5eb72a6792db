"""CLIP's embeddings: from a pipeline's folder, in a model's folder, one a frame."""

import dataclasses

import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.image_encoder import ImageEncoder

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 16,
    "projection_dim": 64,
}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    torch.manual_seed(0)
    network = CLIPVisionModelWithProjection(CLIPVisionConfig(**SIZES)).eval()
    folder = tmp_path_factory.mktemp("image_encoder")
    network.save_pretrained(folder, safe_serialization=True)
    return network, folder


def test_a_pipelines_encoder(published):
    network, folder = published
    encoder = ImageEncoder.from_pipeline(folder)
    images = torch.zeros(2, 3, 32, 32)
    images[1] = 1
    with torch.no_grad():
        found = encoder(images)
        mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
        deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
        expected = network((images / 2 + 0.5 - mean) / deviation).image_embeds
    assert found.shape == (2, 1, 64)
    assert torch.allclose(found[:, 0], expected, atol=1e-5)


def test_a_folder_without_weights_is_refused(published, tmp_path):
    (tmp_path / "config.json").write_text((published[1] / "config.json").read_text())
    with pytest.raises(ModelError, match="lacks"):
        ImageEncoder.from_pipeline(tmp_path)


@torch.no_grad()
def test_it_is_part_of_a_video_model(published, tmp_path):
    plain = DepthModel.from_preset("tiny-video", seed=0).eval()
    config = dataclasses.replace(plain.config, image_encoder=True)
    encoder = ImageEncoder.from_pipeline(published[1])
    model = DepthModel(config, plain.unet, plain.autoencoder, image_encoder=encoder).eval()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert not torch.allclose(model(images, frames=2), plain(images, frames=2), atol=1e-3)
    model.save_pretrained(tmp_path / "model")
    loaded = DepthModel.from_pretrained(tmp_path / "model")
    assert torch.equal(loaded(images, frames=2), model(images, frames=2))
    with pytest.raises(ModelError, match="image_encoder"):
        DepthModel(config, plain.unet, plain.autoencoder)
