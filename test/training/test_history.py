"""Stage 1 from published folders to a model whose card can be written: two real steps a stage."""

from __future__ import annotations

import json

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from pipeline_folders import write_lotus, write_sdxs

from depth_distill_ros.cli import main as d3epth
from depth_distill_ros.errors import ConfigError, ModelError
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.unet import UNET_PRESETS, build_unet
from training import stage1, stage2
from training.config import DataConfig, FeedConfig
from training.history import data_credits
from training.losses.feature import block_pairs

SMALL = {"block_out_channels": (16, 32, 48), "attention_head_dim": (2, 4, 6), "norm_num_groups": 8}
STUDENT = {**UNET_PRESETS["tiny"], **SMALL, "cross_attention_dim": 16}
TEACHER = {
    **UNET_PRESETS["tiny-teacher"],
    "block_out_channels": (16, 32, 48, 48),
    "attention_head_dim": (2, 4, 6, 6),
    "norm_num_groups": 8,
    "cross_attention_dim": 16,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The teacher's and the student's folders, as they are downloaded."""
    models = tmp_path_factory.mktemp("models")
    lotus = write_lotus(models / "lotus-depth-d-v2-0-disparity", **TEACHER)
    plain = {name: value for name, value in STUDENT.items() if "class" not in name}
    torch.manual_seed(1)
    unet = UNet2DConditionModel(in_channels=4, out_channels=4, **plain)
    return lotus, write_sdxs(models / "sdxs-512-0.9", unet)


@pytest.fixture
def trained(published, shards, tmp_path, monkeypatch):
    """Runs stage 1 for two steps and returns the folder of its model."""
    monkeypatch.setitem(UNET_PRESETS, "small", STUDENT)
    lotus, sdxs = published

    def train(name: str, *overrides: str):
        places = ["--run.output", str(tmp_path / name), "--data.folder", str(shards)]
        shape = ["--run.steps", "2", "--run.batch_size", "2", "--data.size", "[64, 64]"]
        student = ["--student", "small", "--student_weights", str(sdxs)]
        arguments = [*places, *shape, *student, "--teacher", str(lotus), *overrides]
        assert stage1.main(arguments) == 0
        return tmp_path / name / "model"

    return train


def test_from_published_folders_to_a_card(trained, published, shards, tmp_path, capsys):
    one = trained("one", "--autoencoder", "tiny")
    student = DepthModel.from_pretrained(one)
    teacher = DepthModel.from_pretrained(published[0])
    assert isinstance(student.autoencoder, AutoencoderTiny)
    assert torch.equal(student.prompt, teacher.prompt) and student.prompt.abs().sum() > 0
    start = UNet2DConditionModel.from_pretrained(published[1] / "unet")
    moved = (student.unet.conv_out.weight - start.conv_out.weight).abs().max()
    assert 0 < moved < 1e-3  # two steps from the published weights

    overrides = ["--run.output", str(tmp_path / "two"), "--data.folder", str(shards)]
    overrides += ["--run.steps", "2", "--run.batch_size", "2", "--data.size", "[64, 64]"]
    assert stage2.main([*overrides, "--model", str(one)]) == 0
    two = tmp_path / "two" / "model"
    history = json.loads((two / "training.json").read_text())
    assert [stage["command"] for stage in history["stages"]] == [
        "python -m training.stage1",
        "python -m training.stage2",
    ]
    roles = {credit["name"]: (credit["role"], credit["licence"]) for credit in history["credits"]}
    assert roles == {
        "lotus-d": ("teacher", "apache-2.0"),
        "SDXS-512-0.9": ("origin", "openrail++"),
        "Rendered scenes": ("data", ""),
    }
    assert str(tmp_path) not in (two / "training.json").read_text()
    assert history["stages"][0]["recipe"]["teacher"] == "lotus-depth-d-v2-0-disparity"

    assert d3epth(["models", "card", str(two)]) == 0
    card = (two / "README.md").read_text()
    assert "license: openrail++" in card and "lotus-depth-d-v2-0-disparity" in card
    assert capsys.readouterr().out.strip().endswith("README.md")


def test_the_autoencoder_and_the_latents_are_chosen_by_name(trained):
    kept = DepthModel.from_pretrained(trained("kept", "--autoencoder", "kl", "--text", "zeros"))
    assert isinstance(kept.autoencoder, AutoencoderKL)
    assert not kept.prompt.any()
    tiny = ("--run.steps", "1", "--autoencoder", "tiny", "--latents")
    theirs, ours = (
        DepthModel.from_pretrained(trained(latents, *tiny, latents)).unet.state_dict()
        for latents in ("teacher", "student")
    )
    assert any(not torch.equal(theirs[name], ours[name]) for name in theirs)


def test_lotus_d_is_converted_once_and_stage_2_starts_from_it(published, shards, tmp_path, capsys):
    converted = tmp_path / "lotus-d"
    assert d3epth(["models", "import", str(published[0]), str(converted), "--name", "d2"]) == 0
    assert DepthModel.from_pretrained(converted).config.name == "d2"
    assert d3epth(["models", "import", str(published[0]), str(converted)]) == 2
    assert "exists" in capsys.readouterr().err
    models = []
    for source in (published[0], converted):
        output = tmp_path / f"from-{source.name}-{len(models)}"
        places = ["--run.output", str(output), "--data.folder", str(shards)]
        shape = ["--run.steps", "1", "--run.batch_size", "1", "--data.size", "[64, 64]"]
        assert stage2.main([*places, *shape, "--model", str(source)]) == 0
        models.append(DepthModel.from_pretrained(output / "model").state_dict())
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


@pytest.mark.parametrize("size", [(576, 768), (352, 1216), (256, 256)])
def test_the_pairs_of_the_full_size_networks_match_at_the_papers_sizes(size):
    with torch.device("meta"):
        student, teacher = build_unet("sdxs09"), build_unet("lotus-d")
    stage1.check_shapes(student, teacher, block_pairs("full"), size)
    with pytest.raises(ConfigError, match="d2"):
        stage1.check_shapes(student, teacher, (("d2", "d2"),), size)


def test_other_widths_of_text_are_refused(published):
    model = DepthModel.from_preset("tiny", seed=0)
    prompt = DepthModel.from_pretrained(published[0]).prompt
    with pytest.raises(ModelError, match="16 channels.*cross-attention takes 64"):
        DepthModel(model.config, model.unet, model.autoencoder, prompt=prompt)


def test_the_papers_mixture_in_words():
    mix = (
        FeedConfig("hypersim", "data/hypersim", share=0.9),
        FeedConfig("virtual_kitti", "data/vkitti", share=0.1),
    )
    hypersim, kitti = data_credits(DataConfig(mix=mix))
    assert (hypersim.name, hypersim.note) == ("Hypersim", "90% of the images")
    assert (kitti.licence, kitti.note) == ("cc-by-nc-sa-3.0", "10% of the images")
    assert data_credits(DataConfig(kind="stream", folder="absent"))[0].name == "Prepared data set"
