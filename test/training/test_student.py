"""A student from published weights: the start equals the source, and nothing is filled in silently."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from pipeline_folders import write_lotus, write_sdxs
from safetensors.torch import save_file

from depth_distill_ros.errors import ConfigError, ModelError
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.unet import UNET_PRESETS, task_token
from training.latents import load_autoencoder, student_autoencoder
from training.student import open_source, student_unet


def text_to_image_unet(**changes) -> UNet2DConditionModel:
    """The tiny preset's network as a text-to-image model has it: without a task token."""
    config = {k: v for k, v in UNET_PRESETS["tiny"].items() if "class" not in k}
    torch.manual_seed(3)
    return UNet2DConditionModel(**{"in_channels": 4, "out_channels": 4, **config, **changes}).eval()


@pytest.fixture(scope="module")
def unet():
    return text_to_image_unet()


@pytest.fixture(scope="module")
def sdxs(unet, tmp_path_factory):
    return write_sdxs(tmp_path_factory.mktemp("hub") / "sdxs-512-0.9", unet)


def original_names(unet: UNet2DConditionModel) -> dict[str, torch.Tensor]:
    """The tensors under the names that Stable Diffusion's own code (LDM) gives them."""
    inner = {
        "norm1": "in_layers.0",
        "conv1": "in_layers.2",
        "time_emb_proj": "emb_layers.1",
        "norm2": "out_layers.0",
        "conv2": "out_layers.3",
        "conv_shortcut": "skip_connection",
    }
    outer = {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
    }
    # One layer a block: three places on the way down (input, layer, down-sampling), two layers on
    # the way up, the second with the up-sampling behind its attention.
    for block in range(3):
        down, up = 2 * block + 1, 2 * block
        outer[f"down_blocks.{block}.downsamplers.0.conv"] = f"input_blocks.{down + 1}.0.op"
        outer[f"up_blocks.{block}.upsamplers.0.conv"] = f"output_blocks.{up + 1}.2.conv"
        outer[f"down_blocks.{block}.attentions.0"] = f"input_blocks.{down}.1"
        for short, long in inner.items():
            outer[f"down_blocks.{block}.resnets.0.{short}"] = f"input_blocks.{down}.0.{long}"
        for layer in range(2):
            outer[f"up_blocks.{block}.attentions.{layer}"] = f"output_blocks.{up + layer}.1"
            for short, long in inner.items():
                old = f"output_blocks.{up + layer}.0.{long}"
                outer[f"up_blocks.{block}.resnets.{layer}.{short}"] = old
    renamed = {}
    for name, tensor in unet.state_dict().items():
        (prefix,) = [p for p in outer if name.startswith(f"{p}.")]
        renamed[f"model.diffusion_model.{outer[prefix]}{name.removeprefix(prefix)}"] = tensor
    return renamed


def predictions(unet, latents, task=None):
    prompt = torch.zeros(len(latents), 2, 64)
    labels = task_token(task, len(latents)) if task else None
    with torch.inference_mode():
        return unet(latents, 999, encoder_hidden_states=prompt, class_labels=labels).sample


@pytest.fixture
def latents():
    return torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_start_equals_the_source_for_both_tasks(unet, sdxs, latents, capsys):
    student = student_unet("tiny", 4, open_source(str(sdxs), "tiny")).eval()
    expected = predictions(unet, latents)
    for task in ("depth", "reconstruction"):
        assert torch.equal(predictions(student, latents, task), expected)
    printed = capsys.readouterr().out
    assert "of sdxs-512-0.9; made here: class_embedding (last layer zero)" in printed


def test_the_task_token_learns_from_the_first_step(sdxs, latents):
    student = student_unet("tiny", 4, open_source(str(sdxs), "tiny"))
    prompt, token = torch.zeros(2, 2, 64), task_token("depth", 2)
    student(latents, 999, encoder_hidden_states=prompt, class_labels=token).sample.sum().backward()
    assert student.class_embedding.linear_2.weight.grad.abs().sum() > 0


def test_new_weights_depend_on_the_seed_alone(sdxs):
    source = open_source(str(sdxs), "tiny")
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(student_unet("tiny", 4, source).class_embedding.linear_1.weight)
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


def test_as_many_new_channels_are_copies_halved(unet, sdxs, latents):
    student = student_unet("tiny", 8, open_source(str(sdxs), "tiny")).eval()
    twice = torch.cat([latents, latents], dim=1)
    difference = predictions(student, twice, "depth") - predictions(unet, latents)
    assert difference.abs().max() < 1e-5


def test_other_new_channels_start_at_zero_and_stand_before_the_images(unet, sdxs, latents):
    student = student_unet("tiny", 52, open_source(str(sdxs), "tiny")).eval()
    with_prior = torch.cat([torch.randn(2, 48, 8, 8), latents], dim=1)
    difference = predictions(student, with_prior, "depth") - predictions(unet, latents)
    assert difference.abs().max() < 1e-5


@pytest.mark.parametrize("prefix", ["model.diffusion_model.", ""])
def test_the_original_checkpoint_gives_the_same_network(unet, sdxs, prefix, tmp_path):
    names = original_names(unet)
    assert "model.diffusion_model.input_blocks.1.0.emb_layers.1.weight" in names
    tensors = {prefix + k.removeprefix("model.diffusion_model."): v for k, v in names.items()}
    if prefix:
        tensors["first_stage_model.encoder.conv_in.weight"] = torch.zeros(1)
    save_file(tensors, tmp_path / "sdxs.safetensors")
    states = []
    for weights in (tmp_path / "sdxs.safetensors", sdxs):
        torch.manual_seed(0)
        source = open_source(str(weights), "tiny")
        states.append(student_unet("tiny", 4, source).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


def test_a_single_file_in_diffusers_names(unet, sdxs, tmp_path):
    save_file(unet.state_dict(), tmp_path / "unet.safetensors")
    student = student_unet("tiny", 4, open_source(str(tmp_path / "unet.safetensors"), "tiny"))
    assert torch.equal(student.conv_out.weight, unet.conv_out.weight)


def test_an_original_checkpoint_with_other_layers_lists_them(unet, tmp_path):
    tensors = original_names(unet)
    missing = "model.diffusion_model.input_blocks.3.0.in_layers.2.weight"
    del tensors[missing]
    tensors["model.diffusion_model.extra.weight"] = torch.zeros(2)
    tensors["model.diffusion_model.out.2.bias"] = torch.zeros(5)
    save_file(tensors, tmp_path / "sdxs.safetensors")
    source = open_source(str(tmp_path / "sdxs.safetensors"), "tiny")
    with pytest.raises(ModelError) as refusal:
        student_unet("tiny", 4, source)
    text = str(refusal.value)
    assert "1 missing (down_blocks.1.resnets.0.conv1.weight)" in text
    assert "1 unknown (model.diffusion_model.extra.weight)" in text
    assert "conv_out.bias: (5,) stored, (4,) expected" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention_head_dim": (6, 6, 12)}, r"attention_head_dim is \[6, 6, 12\], not \[3, 6, 12"),
        ({"only_cross_attention": False}, "only_cross_attention is False"),
        ({"mid_block_type": "UNetMidBlock2DCrossAttn"}, "mid_block_type is UNetMidBlock2DCross"),
    ],
)
def test_another_architecture_is_named_even_where_shapes_agree(changes, message, tmp_path):
    folder = write_sdxs(tmp_path / "other", text_to_image_unet(**changes))
    with pytest.raises(ModelError, match=f"not the architecture of preset tiny: {message}"):
        open_source(str(folder), "tiny")


@pytest.mark.parametrize("suffix", [".ckpt", ".bin", ".pt"])
def test_pickled_checkpoints_are_refused_unread(tmp_path, suffix):
    path = tmp_path / f"sdxs{suffix}"
    path.write_bytes(b"not opened")
    with pytest.raises(ModelError, match="is a pickle.*safetensors"):
        open_source(str(path), "tiny")


def test_a_file_of_something_else_and_an_absent_one(tmp_path):
    save_file({"lora.weight": torch.zeros(1)}, tmp_path / "lora.safetensors")
    with pytest.raises(ModelError, match=r"holds no UNet.*'lora.weight'"):
        open_source(str(tmp_path / "lora.safetensors"), "tiny")
    with pytest.raises(ModelError, match="there is no file"):
        open_source(str(tmp_path / "absent.safetensors"), "tiny")
    with pytest.raises(ModelError, match="lacks its revision"):
        open_source("IDKiro/sdxs-512-0.9", "tiny")
    assert open_source("", "tiny") is None


def test_autoencoders_by_name(sdxs, tmp_path):
    teacher = DepthModel.from_preset("tiny-teacher", seed=0)
    assert student_autoencoder("teacher", teacher, sdxs) is teacher.autoencoder
    assert student_autoencoder("kl", teacher, None) is teacher.autoencoder
    assert isinstance(student_autoencoder("tiny", teacher, sdxs), AutoencoderTiny)
    with pytest.raises(ConfigError, match="no AutoencoderTiny in them.*random:taesd"):
        student_autoencoder("tiny", teacher, None)
    AutoencoderKL(latent_channels=8).save_pretrained(tmp_path / "wide")
    with pytest.raises(ConfigError, match="8 channels, the teacher's of 4"):
        student_autoencoder(str(tmp_path / "wide"), teacher, None)


def test_autoencoders_are_found_in_pipelines_and_models(sdxs, tmp_path):
    assert isinstance(load_autoencoder(str(sdxs)), AutoencoderTiny)
    lotus = write_lotus(tmp_path / "lotus-depth-d-v2-0-disparity")
    DepthModel.from_pretrained(lotus).save_pretrained(tmp_path / "model")
    for folder in (lotus, tmp_path / "model", lotus / "vae"):
        autoencoder = load_autoencoder(str(folder))
        assert isinstance(autoencoder, AutoencoderKL)
        assert autoencoder.config.block_out_channels[0] == 8
