"""Lotus-D's published folder as a model: same numbers as its parts give, or a refusal that says why."""

from __future__ import annotations

import json
import math
import shutil

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from pipeline_folders import write_lotus

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.prompt import empty_prompt_embedding

PUBLISHED = "jingheya/lotus-depth-d-v2-0-disparity"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return write_lotus(tmp_path_factory.mktemp("hub") / "lotus-depth-d-v2-0-disparity")


@pytest.fixture
def copy(pipeline, tmp_path):
    """A copy to damage, in a folder whose name says what it predicts."""
    return shutil.copytree(pipeline, tmp_path / pipeline.name)


def test_the_empty_prompt_is_start_and_end_token_through_the_text_encoder(pipeline):
    from transformers import CLIPTextModel

    encoder = CLIPTextModel.from_pretrained(pipeline / "text_encoder").eval()
    with torch.no_grad():
        expected = encoder(torch.tensor([[0, 1]])).last_hidden_state
        padded = encoder(torch.tensor([[0, 1, 1, 1]])).last_hidden_state
    embedding = empty_prompt_embedding(pipeline)
    assert embedding.shape == (1, 2, 16) and embedding.dtype == torch.float32
    assert torch.equal(embedding, expected)
    assert embedding.shape != padded.shape


def test_the_model_computes_what_the_pipeline_defines(pipeline):
    model = DepthModel.from_pretrained(pipeline)
    unet = UNet2DConditionModel.from_pretrained(pipeline / "unet").eval()
    vae = AutoencoderKL.from_pretrained(pipeline / "vae").eval()
    images = torch.rand(2, 3, 32, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    token = [math.sin(1), math.sin(0), math.cos(1), math.cos(0)]
    with torch.inference_mode():
        latents = vae.encode(images).latent_dist.mode() * 0.18215
        predicted = unet(
            latents,
            timestep=999,
            encoder_hidden_states=empty_prompt_embedding(pipeline).expand(2, -1, -1),
            class_labels=torch.tensor([token, token]),
        ).sample
        expected = vae.decode(predicted / 0.18215).sample.mean(dim=1, keepdim=True)
        assert torch.allclose(model(images), expected, atol=1e-5)
    assert model.config.value_space == "disparity" and model.config.timestep == 999
    assert model.provenance.credits[0].licence == "apache-2.0"
    assert not model.training and not model.unet.training


def test_conversion_to_our_folder_keeps_every_number(pipeline, tmp_path):
    model = DepthModel.from_pretrained(pipeline)
    model.save_pretrained(tmp_path / "converted")
    converted = DepthModel.from_pretrained(tmp_path / "converted")
    assert converted.config == model.config and converted.provenance == model.provenance
    before, after = model.state_dict(), converted.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_shards_and_half_precision_files_are_read(copy):
    whole = DepthModel.from_pretrained(copy).state_dict()
    unet = UNet2DConditionModel.from_pretrained(copy / "unet")
    shutil.rmtree(copy / "unet")
    unet.save_pretrained(copy / "unet", max_shard_size="100KB")
    assert len(list((copy / "unet").glob("*.safetensors"))) > 1
    vae = AutoencoderKL.from_pretrained(copy / "vae").half()
    (copy / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    vae.save_pretrained(copy / "vae", variant="fp16")
    read = DepthModel.from_pretrained(copy).state_dict()
    for name, tensor in whole.items():
        exact = not name.startswith("autoencoder.")
        assert torch.allclose(
            read[name], tensor, rtol=0 if exact else 1e-3, atol=1e-4 * (not exact)
        )


def test_attention_in_the_names_of_old_files(copy):
    from safetensors.torch import load_file, save_file

    weights = copy / "vae" / "diffusion_pytorch_model.safetensors"
    expected = DepthModel.from_pretrained(copy).autoencoder.state_dict()
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    old = {}
    for name, tensor in load_file(weights).items():
        for new, before in names.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{before}.")
        old[name] = tensor
    assert sum("proj_attn" in name for name in old) == 4
    save_file(old, weights)
    read = DepthModel.from_pretrained(copy).autoencoder.state_dict()
    assert all(torch.equal(read[name], expected[name]) for name in expected)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer"])
def test_a_missing_part_is_named(copy, part):
    shutil.rmtree(copy / part)
    with pytest.raises(ModelError, match=f"has no {part}/"):
        DepthModel.from_pretrained(copy)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
    ],
)
def test_pickles_are_refused_unread(copy, part, name):
    (copy / part / f"{name}.safetensors").unlink()
    pickled = {"text_encoder": "pytorch_model"}.get(part, name)
    (copy / part / f"{pickled}.bin").write_bytes(b"not opened")
    with pytest.raises(ModelError, match=f"{part} holds its weights as pickles only.*safetensors"):
        DepthModel.from_pretrained(copy)


def test_weights_of_another_network_list_what_differs(copy):
    write_lotus(copy / "other", block_out_channels=(24, 32), cross_attention_dim=16)
    weights = "unet/diffusion_pytorch_model.safetensors"
    shutil.copy(copy / "other" / weights, copy / weights)
    with pytest.raises(ModelError) as refusal:
        DepthModel.from_pretrained(copy)
    text = str(refusal.value)
    assert "class_embedding.linear_1.bias: (96,) stored, (64,) expected" in text
    assert "of another shape" in text and "more)" in text and "\n" not in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"in_channels": 8}, "in_channels is 8, not 4"),
        (
            {"class_embed_type": None, "projection_class_embeddings_input_dim": None},
            "class_embed_type is None, not projection",
        ),
    ],
)
def test_other_unets_are_not_lotus_d(tmp_path, changes, message):
    folder = write_lotus(tmp_path / "lotus-depth-d-v2-0-disparity", **changes)
    with pytest.raises(ModelError, match=f"is not Lotus-D.*{message}"):
        DepthModel.from_pretrained(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("jingheya/lotus-depth-d-v1-0", "predicts depth"),
        ("jingheya/lotus-normal-d-v1-0", "predicts surface normals"),
        ("", "does not say whether it predicts disparity or depth"),
        ("output/checkpoint", "does not say whether it predicts disparity or depth"),
    ],
)
def test_the_value_space_must_be_known_and_disparity(copy, name, message):
    folder = copy.rename(copy.parent / "teacher")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "_name_or_path": name}))
    with pytest.raises(ModelError, match=message):
        DepthModel.from_pretrained(folder)


def test_a_name_stored_by_diffusers_or_the_users_word_tell_the_value_space(copy):
    folder = copy.rename(copy.parent / "teacher")
    assert DepthModel.from_pretrained(folder, "disparity").config.value_space == "disparity"
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "_name_or_path": PUBLISHED}))
    assert DepthModel.from_pretrained(folder).config.value_space == "disparity"


def test_without_transformers_the_remedy_is_named(pipeline, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ModelError, match=r"pip install 'depth_distill_ros\[train\]'"):
        empty_prompt_embedding(pipeline)


def test_the_true_configuration_in_shapes():
    """Stable Diffusion 2's configuration with the task token, as Lotus-D publishes it."""
    from transformers import CLIPTextConfig, CLIPTextModel

    from depth_distill_ros.models.unet import build_unet

    published = {
        "sample_size": 96,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": [320, 640, 1280, 1280],
        "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        "layers_per_block": 2,
        "attention_head_dim": [5, 10, 20, 20],
        "use_linear_projection": True,
        "cross_attention_dim": 1024,
        "class_embed_type": "projection",
        "projection_class_embeddings_input_dim": 4,
    }
    text = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=23,
        num_attention_heads=16,
        hidden_act="gelu",
    )
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(published)
        preset = build_unet("lotus-d")
        prompt = CLIPTextModel(text)(torch.zeros(1, 2, dtype=torch.long)).last_hidden_state
        latents = torch.zeros(1, 4, 72, 96)
        predicted = unet(
            latents, 999, encoder_hidden_states=prompt, class_labels=torch.zeros(1, 4)
        ).sample
    shapes = {name: tensor.shape for name, tensor in unet.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in preset.state_dict().items()}
    assert sum(p.numel() for p in unet.parameters()) == pytest.approx(867.56e6, abs=6e3)
    assert prompt.shape == (1, 2, 1024) and predicted.shape == (1, 4, 72, 96)
