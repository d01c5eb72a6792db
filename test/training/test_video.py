"""One-step video depth: the equations of both stages, what trains and what does not, whole models."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.inference.estimator import DepthEstimator
from depth_distill_ros.models import autoencoder as ae
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.edm import Preconditioning
from depth_distill_ros.models.video_unet import TEMPORAL_NAMES, build_video_unet
from training import video_stage1
from training.config import DataConfig, RunConfig, SpeedConfig
from training.data.batches import StepBatches
from training.data.open import open_feeds
from training.speed import apply_speed
from training.stream import StreamObjective, StreamRecipe
from training.video_models import draw_noise, load_video_model
from training.video_stage1 import VideoStage1Objective, VideoStage1Recipe
from training.video_stage2 import VideoStage2Objective, VideoStage2Recipe
from training.video_teacher import velocity

FRAMES = 3
SIGMAS = [700.0, 134.897, 15.5956, 0.67818, 0.002]
CLIP = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 16,
    "projection_dim": 64,
}


def shared(clips: Path) -> dict:
    data = DataConfig(kind="clips", folder=str(clips), size=(32, 64), frames=FRAMES)
    return {"run": RunConfig(output="unused", batch_size=2), "data": data}


def first_batch(recipe) -> dict[str, torch.Tensor]:
    return StepBatches(open_feeds(recipe.data), recipe.data, recipe.run)[0].tensors


def seeds(*numbers: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(number) for number in numbers]


@pytest.fixture(scope="module")
def parts(uneven_clips):
    """The objective of a deterministic student, and a batch of two clips."""
    recipe = VideoStage1Recipe(**shared(uneven_clips), teacher="random:tiny-video")
    return VideoStage1Objective(recipe), first_batch(recipe)


def of_unet(unet, first: torch.Tensor, latents: torch.Tensor, sigma: float) -> torch.Tensor:
    """U's answer for two clips (2, T, 4, h, w); the autoencoder's scaling factor is 1."""
    return unet(
        torch.cat([first, latents], dim=2),
        0.25 * math.log(sigma),
        encoder_hidden_states=torch.zeros(2, 2, 64),
        added_time_ids=torch.tensor([[7, 127, 0.02]] * 2),
    ).sample


@torch.no_grad()
@pytest.mark.parametrize("start", ["image", "noise"])
def test_the_losses_of_a_student_that_has_not_learnt(start, parts, uneven_clips):
    recipe = VideoStage1Recipe(**shared(uneven_clips), teacher="random:tiny-video", start=start)
    objective, batch = VideoStage1Objective(recipe).eval(), parts[1]
    teacher = objective.teacher
    latents = ae.encode(teacher.autoencoder, batch["rgb"].flatten(0, 1)).unflatten(0, (2, FRAMES))
    noise = torch.stack([torch.randn(FRAMES, 4, 4, 8, generator=g) for g in seeds(5, 6)])

    x = noise * math.hypot(700, 1)
    for sigma, following in zip(SIGMAS, [*SIGMAS[1:], 0.0], strict=True):
        size = math.hypot(sigma, 1)
        clean = x / size**2 - sigma / size * of_unet(teacher.unet, x / size, latents, sigma)
        x = x + (following - sigma) * (x - clean) / sigma
    first = latents if start == "image" else noise
    size = math.hypot(700, 1)
    student = first / size - 700 / size * of_unet(teacher.unet, first, latents, 700.0)

    found = objective(batch, seeds(5, 6), {})
    error = (student - x).numpy()
    gradient = sum(np.abs(np.diff(error, axis=axis)).sum() for axis in (3, 4)) / error.size
    assert float(found["score"]) == pytest.approx(float((error**2).mean()), rel=1e-3)
    assert float(found["gradient"]) == pytest.approx(float(gradient), rel=1e-3)
    half = 0.5 * (found["score"] + found["gradient"])
    assert found["loss"].item() == pytest.approx(half.item())


@torch.no_grad()
@pytest.mark.parametrize("start", ["image", "noise"])
def test_what_the_student_sees_in_the_place_of_noise(start, parts, uneven_clips):
    recipe = VideoStage1Recipe(**shared(uneven_clips), teacher="random:tiny-video", start=start)
    objective, batch = VideoStage1Objective(recipe), parts[1]
    seen = []
    handle = objective.model.unet.conv_in.register_forward_pre_hook(
        lambda _module, inputs: seen.append(inputs[0])
    )
    objective(batch, seeds(5, 6), {})
    handle.remove()
    latents = objective.model.encode(batch["rgb"].flatten(0, 1))[0]
    expected = latents if start == "image" else draw_noise(latents, seeds(5, 6))
    assert len(seen) == 1  # the student has layers of its own: the teacher does not pass here
    assert torch.allclose(seen[0][:, :4], expected, atol=1e-5)
    assert torch.allclose(seen[0][:, 4:], latents, atol=1e-5)


def step(objective: VideoStage1Objective, batch: dict[str, torch.Tensor]) -> dict[str, bool]:
    """A step of the optimiser; whether each parameter of the student's UNet has changed."""
    named = dict(objective.model.unet.named_parameters())
    before = {name: value.detach().clone() for name, value in named.items()}
    objective.model.prompt.normal_(generator=seeds(3)[0])  # all tokens alike teach no query
    trained = [p for p in objective.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.1)
    objective(batch, seeds(1, 2), {})["loss"].backward()
    optimizer.step()
    return {name: not torch.equal(before[name], value) for name, value in named.items()}


def test_frozen_parameters_are_those_of_time_and_stay(parts):
    objective, batch = parts
    teacher = {n: p.clone() for n, p in objective.teacher.named_parameters()}
    changed = step(objective.train(), batch)
    temporal = {name for name in changed if any(part in name for part in TEMPORAL_NAMES)}
    assert 100 < len(temporal) < len(changed) / 1.5
    assert {name for name, value in changed.items() if not value} == temporal
    now = dict(objective.teacher.named_parameters())
    assert all(torch.equal(value, now[name]) for name, value in teacher.items())
    own, theirs = (dict(m.unet.named_parameters()) for m in (objective.model, objective.teacher))
    assert {name for name in own if own[name] is theirs[name]} == temporal


def test_the_switch_trains_time_as_well(parts, uneven_clips):
    recipe = VideoStage1Recipe(
        **shared(uneven_clips), teacher="random:tiny-video", train_temporal=True
    )
    changed = step(VideoStage1Objective(recipe).train(), parts[1])
    assert all(changed.values())


def test_a_student_in_another_precision_has_layers_of_its_own(uneven_clips):
    recipe = VideoStage1Recipe(
        **shared(uneven_clips),
        teacher="random:tiny-video",
        speed=SpeedConfig(frozen_dtype="bfloat16"),
    )
    objective = VideoStage1Objective(recipe)
    theirs = {id(p) for p in objective.teacher.unet.parameters()}
    assert not any(id(p) in theirs for p in objective.model.unet.parameters())


def test_shared_layers_are_saved_as_they_came_and_no_file_is_left(uneven_clips, tmp_path):
    recipe = VideoStage1Recipe(
        **shared(uneven_clips),
        teacher="random:tiny-video",
        speed=SpeedConfig(frozen_dtype="bfloat16"),
    )
    recipe = dataclasses.replace(
        recipe, run=dataclasses.replace(recipe.run, mixed_precision="bf16")
    )
    objective = VideoStage1Objective(recipe)
    own = {name: value.clone() for name, value in objective.model.state_dict().items()}
    applied = apply_speed(objective, recipe.speed, tmp_path)
    temporal = [n for n in own if any(part in n for part in TEMPORAL_NAMES)]
    assert temporal
    lowered = objective.model.state_dict()
    assert all(lowered[name].dtype == torch.bfloat16 for name in temporal)
    applied.restore()
    for name, value in objective.model.state_dict().items():
        assert value.dtype == own[name].dtype and torch.equal(value, own[name]), name
    assert not list(tmp_path.iterdir())  # the float32 weights were in files without a name


@pytest.mark.parametrize("sigma", [0.002, 0.7, 15.0, 700.0])
def test_the_velocity_makes_the_denoiser_right(sigma):
    clean, noise = torch.randn(2, 5, generator=seeds(0)[0], dtype=torch.float64)
    factor, noisy = Preconditioning.at(sigma), clean + sigma * noise
    found = factor.skip * noisy + factor.out * velocity(clean, noise, sigma)
    assert torch.allclose(found, clean, atol=1e-8)
    weight = (sigma**2 + 1) / sigma**2
    assert weight * factor.out**2 == pytest.approx(1)


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> tuple[Path, Path]:
    """DepthCrafter and Stable Video Diffusion as they are published, tiny: a UNet, a pipeline."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    unet, pipeline = (tmp_path_factory.mktemp(name) for name in ("DepthCrafter", "svd-xt"))
    torch.manual_seed(0)
    build_video_unet("tiny-video").save_pretrained(unet)
    fields = json.loads((unet / "config.json").read_text())
    fields["_class_name"] = "DiffusersUNetSpatioTemporalConditionModelDepthCrafter"
    (unet / "config.json").write_text(json.dumps(fields))
    (unet / "README.md").write_text("---\nlicense: other-research\n---\n")
    ae.build_autoencoder("tiny-temporal").save_pretrained(pipeline / "vae")
    clip = CLIPVisionModelWithProjection(CLIPVisionConfig(**CLIP))
    clip.save_pretrained(pipeline / "image_encoder", safe_serialization=True)
    (pipeline / "model_index.json").write_text("{}")
    (pipeline / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    return unet, pipeline


@pytest.mark.slow
def test_published_folders_train_and_the_student_carries_clip(published, uneven_clips, tmp_path):
    unet, pipeline = map(str, published)
    recipe = Path(__file__).parents[2] / "config/training/debug_video_stage1.yaml"
    arguments = ["--config", str(recipe), "--run.output", str(tmp_path), "--run.steps", "2"]
    arguments += ["--data.folder", str(uneven_clips), "--data.size", "[64, 64]"]
    arguments += ["--teacher", unet, "--pipeline", pipeline, "--image_noise", "0.02"]
    arguments += ["--speed.frozen_dtype", "bfloat16", "--speed.gradient_checkpointing", "true"]
    arguments += ["--run.mixed_precision", "bf16"]
    assert video_stage1.main(arguments) == 0
    before, after = load_video_model(unet, pipeline), DepthModel.from_pretrained(tmp_path / "model")
    assert after.config.image_encoder and (after.config.frames, after.config.overlap) == (110, 25)
    assert after.config.teachers == ("DepthCrafter (other-research)",)
    names = {credit.name for credit in after.provenance.credits}
    assert {"DepthCrafter", "Stable Video Diffusion", "Rendered clips"} <= names
    old, new = before.state_dict(), after.state_dict()
    same = {key for key in old if torch.equal(old[key], new[key])}
    frozen = {key for key in old if any(part in key for part in TEMPORAL_NAMES)}
    frozen |= {key for key in old if not key.startswith("unet.")}
    assert frozen <= same and len(same) < len(old) / 1.2  # in float32, as they were


def test_a_unet_alone_needs_a_pipeline_and_images_are_refused(published, small_model):
    with pytest.raises(ConfigError, match="stable-video-diffusion"):
        load_video_model(str(published[0]))
    with pytest.raises(ConfigError, match="single images"):
        load_video_model(str(small_model))


@pytest.fixture(scope="module")
def second(uneven_clips) -> tuple[VideoStage2Objective, dict[str, torch.Tensor]]:
    recipe = VideoStage2Recipe(
        **shared(uneven_clips), model="random:tiny-video", head_width=16, window=2
    )
    return VideoStage2Objective(recipe), first_batch(recipe)


def test_stage2_has_the_papers_losses_alone(second):
    objective, batch = second
    losses = objective(batch, seeds(0, 1), objective.counts(batch))
    expected = losses["silog"] + 0.1 * losses["feature"] + 2 * losses["teacher_gradient"]
    assert losses["loss"].item() == pytest.approx(expected.item())


def test_the_teachers_disparity_is_normalised_over_a_clip(second):
    maps = torch.arange(24.0).view(2, 3, 1, 2, 2)
    maps[1] = 5 - maps[1]
    found = second[0].in_unit_range(maps)
    assert torch.allclose(found[0].flatten(), torch.arange(12) / 11)
    assert torch.allclose(found[1].flatten(), torch.arange(11, -1, -1) / 11)
    assert torch.isfinite(second[0].in_unit_range(torch.ones(1, 2, 1, 2, 2))).all()


def test_stage2_freezes_time_and_what_is_not_used(second):
    unet = second[0].model.unet
    frozen = {name for name, p in unet.named_parameters() if not p.requires_grad}
    unused = {name for name in frozen if not any(part in name for part in TEMPORAL_NAMES)}
    assert {name.split(".")[0] for name in unused} == {"conv_norm_out", "conv_out"}


def test_students_of_another_kind_are_refused(uneven_clips, video_model, tmp_path):
    model = DepthModel.from_preset("tiny-video", start="noise")
    model.save_pretrained(tmp_path / "stochastic")
    common = {**shared(uneven_clips), "head_width": 16}
    with pytest.raises(ConfigError, match="start: image"):
        VideoStage2Objective(VideoStage2Recipe(**common, model=str(tmp_path / "stochastic")))
    with pytest.raises(ConfigError, match=r"training\.stream"):
        VideoStage2Objective(VideoStage2Recipe(**common, model="random:tiny"))
    with pytest.raises(ConfigError, match=r"training\.video_stage2"):
        StreamObjective(StreamRecipe(**common, model=str(video_model)))


def test_a_model_of_stage2_streams(second, tmp_path):
    second[0].save_model(tmp_path / "model")
    estimator = DepthEstimator.from_pretrained(tmp_path / "model", device="cpu")
    assert estimator.temporal_window == 2 and estimator.frames == 8
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    stream = estimator.stream()
    assert np.isfinite(stream(image, 0.0).disparity).all()
    assert np.isfinite(stream(image, 0.1).disparity).all()
    assert np.isfinite(estimator.infer_clip([image] * 3, [0.0, 0.1, 0.2])).all()
