"""What the latent-space methods share: which networks to load, and a batch in latent space."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import nn

from depth_distill_ros.errors import ConfigError, ModelError
from depth_distill_ros.models import autoencoder as ae
from depth_distill_ros.models import hub
from depth_distill_ros.models.components import load_component
from depth_distill_ros.models.depth_model import DepthModel, DepthModelConfig, prior_channels
from depth_distill_ros.models.transformers_prior import TransformersPrior
from training.data.views import Batch
from training.losses.latent import latent_mask
from training.speed import as_target
from training.student import AUTOENCODER_PATTERNS, ROOT_PATTERNS, Source, student_unet
from training.timing import span

RANDOM = "random:"
"""Prefix of a preset's name in place of weights: an untrained network, to try the machinery."""

TRANSFORMERS = "hf:"
"""Prefix of the folder or Hub id of a depth network that is transformers' and not this package's."""

_AUTOENCODER_CLASSES = {"tiny": AutoencoderTiny, "kl": AutoencoderKL}


@dataclass(frozen=True)
class LatentBatch:
    """A batch as the UNet sees it.

    Attributes:
        inputs: the UNet's input (B, C, h, w): the image latents, after the prior's if there is one.
        image: latents of the image (B, 4, h, w), the reconstruction task's target.
        depth: latents of the disparity map (B, 4, h, w), the depth task's target.
        mask: bool (B, 1, h, w), False where an invalid pixel reaches a latent.
    """

    inputs: torch.Tensor
    image: torch.Tensor
    depth: torch.Tensor
    mask: torch.Tensor


class Encoder(Protocol):
    """What makes latents of images: a ``DepthModel``, or these parts of one."""

    autoencoder: ae.Autoencoder
    prior: nn.Module | None

    def prior_latents(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...


def encode_batch(
    model: Encoder, batch: Batch, generators: Sequence[torch.Generator] | None
) -> LatentBatch:
    """Encode images and disparity maps with a model's frozen parts, in float32 tensors.

    Args:
        model: its autoencoder and prior are used.
        batch: images and disparity maps, or what ``frozen_encoding`` gave for them
            (``training.cache``).
        generators: one an image; latents are drawn from the posterior, as Lotus trains. None
            takes its mean.
    """
    with span("encode"):
        known = batch if "image" in batch else frozen_encoding(model, batch)
        return draw_inputs(model.autoencoder, known, generators)


def draw_inputs(
    autoencoder: ae.Autoencoder, known: Batch, generators: Sequence[torch.Generator] | None
) -> LatentBatch:
    """Latents of what ``frozen_encoding`` gave; the image's are drawn first."""
    drawn = None if generators is None else list(generators)
    image, depth = (
        ae.draw_latents(autoencoder, known[name].float(), drawn) for name in ("image", "depth")
    )
    prior = [known["prior"].float()] if "prior" in known else []
    return LatentBatch(torch.cat([*prior, image], dim=1), image, depth, known["mask"])


def frozen_encoding(model: Encoder, batch: Batch) -> Batch:
    """What a batch's latents are drawn from, which no training step changes.

    Returns:
        "image" and "depth": the posterior's moments (:func:`ae.moments`); "mask" of the valid
        latents; "prior": its latents, where the model has one. Floating-point tensors are float32.
    """
    with torch.inference_mode():
        maps = batch["disparity"].expand(-1, 3, -1, -1)
        known = {
            "image": ae.moments(model.autoencoder, batch["rgb"]).float(),
            "depth": ae.moments(model.autoencoder, maps).float(),
            "mask": valid_latents(batch),
        }
        if model.prior is not None:
            known["prior"] = model.prior_latents(batch["rgb"])[0].float()
    return {name: as_target(value) for name, value in known.items()}


def valid_latents(batch: Batch) -> torch.Tensor:
    """Bool (B, 1, h, w), False where an invalid pixel reaches a latent."""
    return batch["mask"] if "mask" in batch else latent_mask(batch["valid"], ae.DOWNSAMPLING)


def count_latents(batch: Batch) -> torch.Tensor:
    """How many latents of a batch have depth, a scalar."""
    return valid_latents(batch).sum()


def load_model(name: str, empty_unet: bool = False) -> DepthModel:
    """A bundled model, a folder, a pinned Hub id, or ``random:<preset>``.

    Args:
        name: of these.
        empty_unet: leave the UNet on the meta device, for what needs the other parts alone.
    """
    if name.startswith(RANDOM):
        preset = name.removeprefix(RANDOM)
        return DepthModel.from_preset(preset, seed=0, empty_unet=empty_unet)
    return DepthModel.from_pretrained(name, empty_unet=empty_unet)


def unet_digest(name: str) -> str:
    """SHA-256 of the files of a model's UNet, which need not be loaded for it.

    ``name`` is what ``load_model`` takes; a random network is known by its name.
    """
    if name.startswith(RANDOM):
        return name
    total = hashlib.sha256()
    for path in sorted((hub.resolve(name) / "unet").glob("*.safetensors")):
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                total.update(block)
    return total.hexdigest()


def load_autoencoder(name: str) -> ae.Autoencoder:
    """An autoencoder's folder, a bundled model, the folder of a model or pipeline which has one, a
    pinned Hub id of either, or ``random:<preset>``."""
    if name.startswith(RANDOM):
        torch.manual_seed(0)
        return ae.build_autoencoder(name.removeprefix(RANDOM))
    patterns = (*ROOT_PATTERNS, *AUTOENCODER_PATTERNS, "autoencoder/*")
    folder = hub.resolve(name, patterns) if _is_published(name) else Path(name)
    for part in ("autoencoder", "vae", "."):
        if (folder / part / "config.json").is_file():
            return load_component(folder / part, "autoencoder")
    return load_component(_existing(name, "autoencoder"), "autoencoder")


def student_autoencoder(choice: str, teacher: DepthModel, pipeline: Path | None) -> ae.Autoencoder:
    """The autoencoder that a student is saved with.

    Args:
        choice: "teacher", "tiny", "kl", or what ``load_autoencoder`` takes.
        teacher: whose latents the student learns.
        pipeline: of the student's starting weights: SDXS-0.9's holds the tiny autoencoder as
            ``vae`` and the full one as ``vae_large``.

    Raises:
        ConfigError: there is none of that kind, or its latents have other channels.
    """
    if choice == "teacher":
        return teacher.autoencoder
    if choice == "kl" and isinstance(teacher.autoencoder, AutoencoderKL):
        return teacher.autoencoder
    if choice in _AUTOENCODER_CLASSES:
        chosen = _pipeline_autoencoder(pipeline, choice)
    else:
        chosen = load_autoencoder(choice)
    ours, theirs = (a.config.latent_channels for a in (chosen, teacher.autoencoder))
    if ours != theirs:
        raise ConfigError(
            f"autoencoder '{choice}' has latents of {ours} channels, the teacher's of {theirs}: "
            "they do not share a latent space"
        )
    return chosen


def _pipeline_autoencoder(pipeline: Path | None, choice: str) -> ae.Autoencoder:
    wanted = _AUTOENCODER_CLASSES[choice]
    folders = sorted(pipeline.glob("vae*")) if pipeline is not None else []
    for folder in folders:
        if hub.read_json(folder / "config.json").get("_class_name") == wanted.__name__:
            return load_component(folder, "autoencoder")
    raise ConfigError(
        f"autoencoder: {choice} is looked for beside student_weights, and there is no "
        f"{wanted.__name__} in {pipeline or 'them'}: give its folder, a pinned Hub id (TAESD: "
        "madebyollin/taesd@<commit>), or random:taesd to try the machinery"
    )


def load_prior(name: str) -> nn.Module | None:
    """A data-driven prior, in evaluation mode.

    Args:
        name: a prior's folder; a bundled model, model folder or pinned Hub id, whose prior is
            taken; ``hf:`` and the folder or pinned Hub id of a Depth Anything of transformers; or
            empty for None.

    Raises:
        ModelError: there is none.
    """
    if not name:
        return None
    if name.startswith(TRANSFORMERS):
        return TransformersPrior.of_transformers(name.removeprefix(TRANSFORMERS))
    folder = hub.resolve(name) if _is_published(name) else Path(name)
    part = folder / "prior"
    return load_component(part if part.is_dir() else _existing(str(folder), "prior"), "prior")


def compose(
    name: str,
    unet_preset: str,
    autoencoder: nn.Module,
    prior: nn.Module | None,
    resolution: tuple[int, int],
    teachers: tuple[str, ...] = (),
    source: Source | None = None,
    prompt: torch.Tensor | None = None,
    prior_input: str = "features",
) -> DepthModel:
    """A model with a new UNet in front of given frozen parts.

    Args:
        name: of the model.
        unet_preset: of the UNet.
        autoencoder: frozen.
        prior: frozen, or None.
        resolution: (height, width) that it learns at.
        teachers: what its configuration says of them.
        source: of the UNet's weights; None draws them at random.
        prompt: what the UNet is told instead of a text; None are zeros.
        prior_input: see :class:`DepthModelConfig`.
    """
    config = DepthModelConfig(
        name=name,
        prior=prior is not None,
        prior_input=prior_input,
        resolution=resolution,
        teachers=teachers,
    )
    channels = autoencoder.config.latent_channels
    unet = student_unet(unet_preset, channels + prior_channels(config, autoencoder, prior), source)
    return DepthModel(config, unet, autoencoder, prior, prompt=prompt)


def _is_published(name: str) -> bool:
    return name in hub.bundled_models() or hub.is_hub_id(name)


def _existing(name: str, what: str) -> Path:
    folder = Path(name)
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"there is no {what} in '{name}': train one (python -m training.{what} --config …) "
            "or give its folder"
        )
    return folder
