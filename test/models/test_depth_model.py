"""The model folder: what goes in comes out, and what does not fit is refused with a reason."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models import hub
from depth_distill_ros.models.depth_model import DepthModel

PRESETS = ["tiny", "tiny-prior"]


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture
def folder(tmp_path):
    DepthModel.from_preset("tiny", seed=0).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("preset", PRESETS)
def test_round_trip_gives_the_same_numbers(preset, images, tmp_path):
    model = DepthModel.from_preset(preset, seed=3).eval()
    model.save_pretrained(tmp_path / "model")
    loaded = DepthModel.from_pretrained(tmp_path / "model")
    assert loaded.config == model.config
    with torch.inference_mode():
        assert torch.equal(loaded(images), model(images))


def test_half_precision_round_trip_is_close_and_half_the_size(images, tmp_path):
    model = DepthModel.from_preset("tiny-prior", seed=3).eval()
    model.save_pretrained(tmp_path / "full")
    model.save_pretrained(tmp_path / "half", dtype=torch.float16)
    sizes = [
        sum(p.stat().st_size for p in (tmp_path / name).rglob("*.safetensors"))
        for name in ("full", "half")
    ]
    assert sizes[1] < 0.51 * sizes[0]
    with torch.inference_mode():
        difference = DepthModel.from_pretrained(tmp_path / "half")(images) - model(images)
    assert difference.abs().max() < 2e-2


def test_half_precision_keeps_large_running_variances(images, tmp_path):
    model = DepthModel.from_preset("tiny-prior", seed=3).eval()
    norm = model.prior.fuse[4][1]
    norm.running_var.fill_(1e6)  # half precision ends at 65504
    norm.weight.data.fill_(1e3)
    model.save_pretrained(tmp_path / "half", dtype=torch.float16)
    loaded = DepthModel.from_pretrained(tmp_path / "half")
    assert torch.equal(loaded.prior.fuse[4][1].running_var, norm.running_var)
    with torch.inference_mode():
        assert torch.allclose(loaded(images), model(images), atol=2e-2)


def test_parameters_beyond_half_precision_are_refused(tmp_path):
    model = DepthModel.from_preset("tiny", seed=3)
    model.unet.conv_in.weight.data[0, 0, 0, 0] = 1e5
    with pytest.raises(ModelError, match="conv_in.weight holds numbers beyond"):
        model.save_pretrained(tmp_path / "half", dtype=torch.float16)
    assert not (tmp_path / "half").exists()


@pytest.mark.parametrize(("preset", "share"), [("tiny", 1), ("tiny-prior", 2)])
def test_output_sizes(preset, share, images):
    model = DepthModel.from_preset(preset, seed=0).eval()
    with torch.inference_mode():
        assert model(images).shape == (1, 1, 64 // share, 96 // share)


def test_same_seed_same_model_and_the_global_generator_is_left_alone(images):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = (DepthModel.from_preset("tiny", seed=1).eval() for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    with torch.inference_mode():
        assert torch.equal(first(images), second(images))


def test_stacked_tasks_equal_single_tasks(images):
    model = DepthModel.from_preset("tiny", seed=0).eval()
    with torch.inference_mode():
        latents, _ = model.encode(images)
        both = model.predict_latents(latents, ("depth", "reconstruction"))
        depth = model.predict_latents(latents)
        image = model.predict_latents(latents, ("reconstruction",))
    assert torch.allclose(both, torch.cat([depth, image]), atol=1e-5)
    assert not torch.allclose(depth, image, atol=1e-3)


def test_saving_replaces_an_earlier_model_and_leaves_nothing_behind(folder):
    DepthModel.from_preset("tiny", seed=0, name="second").save_pretrained(folder)
    assert DepthModel.from_pretrained(folder).config.name == "second"
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize(
    "missing", ["config.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors"]
)
def test_a_missing_file_is_named(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=missing.split("/")[-1]):
        DepthModel.from_pretrained(folder)


def test_weights_of_another_architecture_list_what_differs(folder):
    other = DepthModel.from_preset("tiny-teacher", seed=0)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file(other.unet.state_dict(), weights)
    with pytest.raises(ModelError, match="unet do not fit.*unknown.*shape"):
        DepthModel.from_pretrained(folder)


def test_a_truncated_weight_file(folder):
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="not a readable safetensors"):
        DepthModel.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_class_name": "Other"}, "does not describe"),
        ({"value_space": "depth"}, "predicts 'depth'"),
        ({"decoder": "magic"}, "decoder must be"),
        ({"decoder": "head"}, "config.json"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_configuration_that_does_not_fit(folder, change, message):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModelError, match=message):
        DepthModel.from_pretrained(folder)


def test_a_configuration_that_is_not_json(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read as JSON"):
        DepthModel.from_pretrained(folder)


def test_parts_that_do_not_belong_together(tmp_path):
    plain = DepthModel.from_preset("tiny", seed=0)
    guided = DepthModel.from_preset("tiny-prior", seed=0)
    with pytest.raises(ModelError, match="do not belong together"):
        DepthModel(guided.config, plain.unet, guided.autoencoder, guided.prior, guided.head)


def test_names_resolve_to_folders_and_unpinned_ids_are_refused(folder):
    assert hub.resolve(folder) == folder
    with pytest.raises(ModelError, match="lacks its revision"):
        hub.resolve("owner/name")
    with pytest.raises(ModelError, match="lacks its revision"):
        hub.resolve("owner/name@main")
    with pytest.raises(ModelError, match="there is no model 'nothing'"):
        hub.resolve("nothing")


def test_every_stored_tensor_is_safetensors(folder):
    weights = {p.suffix for p in folder.rglob("*") if p.is_file()}
    assert weights == {".json", ".safetensors", ".md"}
    assert load_file(folder / "prompt.safetensors")["prompt"].shape == (1, 2, 64)
