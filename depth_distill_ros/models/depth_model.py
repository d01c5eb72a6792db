"""The depth model: autoencoder, optional prior, one-step UNet, decoder; composed, saved, loaded.

A model is a folder in diffusers style::

    config.json                  what the parts are and in which space they predict
    unet/  autoencoder/          diffusers folders (config.json, safetensors)
    prior/  head/  image_encoder/   where the configuration names them
    prompt.safetensors           the embedding of the empty prompt, (1, tokens, channels)
    training.json                what it learned from and how, where that is known
    README.md                    model card

Student and teacher are the same class: D²epth is this model with the full-size UNet.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models import autoencoder as ae
from depth_distill_ros.models import hub
from depth_distill_ros.models.components import build_component, load_component, save_component
from depth_distill_ros.models.dpt_head import DPTHead, Memory, half_size_guide, head_taps
from depth_distill_ros.models.edm import SIGMA_MAX
from depth_distill_ros.models.feature_taps import FeatureTaps
from depth_distill_ros.models.image_stem import ImageStem
from depth_distill_ros.models.model_config import (
    FORMAT,
    DepthModelConfig,
    plain_card,
    read_config,
)
from depth_distill_ros.models.pipelines import is_pipeline, load_lotus
from depth_distill_ros.models.presets import build_parts, find_preset
from depth_distill_ros.models.prior import DepthPrior, prior_input
from depth_distill_ros.models.provenance import FILE as PROVENANCE_FILE
from depth_distill_ros.models.provenance import Provenance, read_provenance
from depth_distill_ros.models.temporal import Past, clip_ages
from depth_distill_ros.models.unet import latent_multiple, task_token
from depth_distill_ros.models.video_unet import denoise, is_video
from depth_distill_ros.models.weight_files import load_tensors


class DepthModel(nn.Module):
    """One-step monocular depth: image in [-1, 1] to affine-invariant disparity in about [-1, 1]."""

    def __init__(
        self,
        config: DepthModelConfig,
        unet: nn.Module,
        autoencoder: nn.Module,
        prior: DepthPrior | None = None,
        head: DPTHead | None = None,
        prompt: torch.Tensor | None = None,
        provenance: Provenance | None = None,
        image_encoder: nn.Module | None = None,
    ):
        super().__init__()
        self.config = config
        self.provenance = provenance or Provenance()
        self.unet = unet
        self.autoencoder = autoencoder
        self.prior = prior
        self.head = head
        self.image_encoder = image_encoder
        if prompt is None:
            prompt = torch.zeros(1, 2, unet.config.cross_attention_dim)
        self.register_buffer("prompt", prompt)
        self._check()

    def _check(self) -> None:
        latents = self.autoencoder.config.latent_channels
        expected = latents * (2 if is_video(self.unet) else 1)
        expected += prior_channels(self.config, self.autoencoder, self.prior)
        actual = self.unet.config.in_channels
        for part in ("prior", "image_encoder"):
            if getattr(self.config, part) != (getattr(self, part) is not None):
                raise ModelError(
                    f"config.json and the folder disagree about whether there is a {part}"
                )
        if (self.config.decoder == "head") and self.head is None:
            raise ModelError("config.json names a head as the decoder but there is none")
        if isinstance(self.autoencoder, ImageStem):
            if self.config.decoder == "autoencoder" or self.config.prior_input == "latents":
                raise ModelError(
                    "an image stem encodes images and decodes nothing: it needs a head, and a prior "
                    "that is read by its features"
                )
        width = self.unet.config.cross_attention_dim
        if self.prompt.shape[-1] != width:
            raise ModelError(
                f"the prompt's embedding has {self.prompt.shape[-1]} channels, the UNet's "
                f"cross-attention takes {width}: compute it with the UNet's own text encoder"
            )
        if actual != expected:
            raise ModelError(
                f"the UNet takes {actual} channels, the autoencoder and prior give {expected}: "
                "these parts do not belong together"
            )

    @property
    def multiple(self) -> int:
        """Pixels that the sides of the input must be multiples of."""
        return ae.DOWNSAMPLING * max(4, latent_multiple(self.unet))

    def encode(
        self, images: torch.Tensor, generator: ae.Generators | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The UNet's input, and the head's guide.

        Args:
            images: (B, 3, H, W) in [-1, 1], sides multiples of ``multiple``.
            generator: draws the latents from the posterior instead of taking its mean; one for
                all images or a list of one an image.

        Returns:
            ``[z_prior, z_rgb]`` (B, C, H/8, W/8), or ``z_rgb`` alone without a prior; and the
            guide (B, 4, H/2, W/2) or None without a head.
        """
        latents = ae.encode(self.autoencoder, images, generator)
        disparity = None
        if self.prior is not None:
            prior_latents, disparity = self.prior_latents(images)
            latents = torch.cat([prior_latents.to(latents.dtype), latents], dim=1)
        if self.head is None or self.head.config.guide_channels == 0:
            return latents, None
        return latents, half_size_guide(images, disparity)

    def prior_latents(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the UNet sees of the prior (B, C, H/8, W/8), and the prior's disparity of mean 0 and
        deviation 1 (B, 1, h, w), of images (B, 3, H, W) in [-1, 1]."""
        encode = functools.partial(ae.encode, self.autoencoder)
        return prior_input(self.prior, self.config.prior_input, images, encode)

    def context(self, images: torch.Tensor) -> torch.Tensor | None:
        """An embedding of each image (B, 1, C) for a video UNet's cross-attention; None where the
        model has no image encoder and its prompt stands for all images."""
        return None if self.image_encoder is None else self.image_encoder(images)

    def predict_latents(
        self,
        latents: torch.Tensor,
        tasks: Sequence[str] = ("depth",),
        timestep: int | torch.Tensor | None = None,
        context: torch.Tensor | None = None,
        frames: int = 1,
    ) -> torch.Tensor:
        """One UNet step.

        Args:
            latents: the UNet's input, (B, C, h, w), of ``encode``.
            tasks: what to predict of each; several are stacked in one pass (Lotus). A video UNet
                knows depth alone.
            timestep: one for all, or (B,); the model's own by default. Not of video UNets.
            context: of ``context``.
            frames: of these images are one clip, for a video UNet.

        Returns:
            Predicted latents (len(tasks) · B, 4, h, w), task by task.
        """
        if is_video(self.unet):
            return self.one_step(latents, frames, context)
        batch = latents.shape[0]
        tokens = torch.cat([task_token(task, batch, latents.device) for task in tasks])
        return self.unet(
            latents.repeat(len(tasks), 1, 1, 1),
            self.config.timestep if timestep is None else timestep,
            encoder_hidden_states=self.prompt.to(latents.dtype).expand(tokens.shape[0], -1, -1),
            class_labels=tokens.to(latents.dtype),
        ).sample

    def one_step(
        self,
        latents: torch.Tensor,
        frames: int,
        context: torch.Tensor | None = None,
        start: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """A video UNet's clean latents at σ_max (one-step video depth, section 3.2).

        Args:
            latents: (B, C, h, w), of ``encode``: B / frames clips.
            frames: of a clip.
            context: of ``context``.
            start: (B, 4, h, w), the network's first input, of unit variance; by default what the
                configuration says: the image's latents, or noise, the same for every clip.

        Returns:
            (B, 4, h, w).
        """
        if start is None:
            start = self._image_latents(latents)
            if self.config.start == "noise":
                draw = torch.Generator().manual_seed(0)
                noise = torch.randn(frames, *start.shape[1:], generator=draw).to(start)
                start = noise.repeat(len(start) // frames, 1, 1, 1)
        clean = denoise(
            self.unet,
            start.unflatten(0, (-1, frames)) * math.hypot(SIGMA_MAX, 1),
            SIGMA_MAX,
            self.video_condition(latents).unflatten(0, (-1, frames)),
            self.clip_context(context, len(latents) // frames),
        )
        return clean.flatten(0, 1)

    def _image_latents(self, latents: torch.Tensor) -> torch.Tensor:
        return latents[:, -self.autoencoder.config.latent_channels :]

    def video_condition(self, latents: torch.Tensor) -> torch.Tensor:
        """What a video UNet sees beside its noisy input: ``encode``'s output, (B, C, h, w), whose
        image latents are unscaled there, as in Stable Video Diffusion."""
        image = self._image_latents(latents) / self.autoencoder.config.scaling_factor
        return torch.cat([latents[:, : -image.shape[1]], image], dim=1)

    def clip_context(self, context: torch.Tensor | None, clips: int) -> torch.Tensor:
        """What a video UNet's cross-attention sees: the given embeddings, or the prompt a clip."""
        return self.prompt.expand(clips, -1, -1) if context is None else context

    def decode(self, latents: torch.Tensor, frames: int = 1) -> torch.Tensor:
        """Disparity (B, 1, H, W) of predicted latents, by the autoencoder's decoder; ``frames`` of
        them are one clip."""
        return ae.decode_map(self.autoencoder, latents, frames)

    def forward(self, images: torch.Tensor, frames: int = 1) -> torch.Tensor:
        """Disparity, affine-invariant, about [-1, 1], larger is nearer.

        Args:
            images: (B, 3, H, W) in [-1, 1], sides multiples of ``multiple``.
            frames: of these images are one clip, for a video UNet, which sees them at once.

        Returns:
            (B, 1, H, W) from the autoencoder's decoder, (B, 1, H/2, W/2) from the head.
        """
        latents, guide = self.encode(images)
        return self.disparity_from(latents, guide, self.context(images), frames)

    def disparity_from(
        self,
        latents: torch.Tensor,
        guide: torch.Tensor | None,
        context: torch.Tensor | None = None,
        frames: int = 1,
    ) -> torch.Tensor:
        """``forward`` from the output of ``encode``: what a training step differentiates."""
        if self.config.decoder == "autoencoder":
            predicted = self.predict_latents(latents, context=context, frames=frames)
            return self.decode(predicted, frames)
        return self.head(self.features_from(latents, context, frames), guide)

    def features_from(
        self, latents: torch.Tensor, context: torch.Tensor | None = None, frames: int = 1
    ) -> list[torch.Tensor]:
        """What the head reads of the UNet's one step, coarse to fine; see ``predict_latents``."""
        names = head_taps(self.unet)
        with FeatureTaps(self.unet, names) as taps:
            self.predict_latents(latents, context=context, frames=frames)
            return [taps[name] for name in names]

    @property
    def temporal_window(self) -> int:
        """Frames of a stream that the head sees at once, the newest among them; 0: it cannot."""
        if self.config.decoder != "head":
            return 0
        return self.head.config.temporal_window

    def forward_clip(
        self,
        images: torch.Tensor,
        stamps: torch.Tensor,
        starts: torch.Tensor | None = None,
        joint: bool = False,
    ) -> torch.Tensor:
        """Disparity (B, T, 1, H/2, W/2) of clips, at once; frame by frame ``step`` gives the same.

        Args:
            images: (B, T, 3, H, W) in [-1, 1], sides multiples of ``multiple``.
            stamps: (B, T) seconds, not decreasing; float64 for absolute times.
            starts: bool (B, T), True where another scene begins.
            joint: let a video UNet, too, see all frames at once: no longer what ``step`` gives.
        """
        pixels = images.flatten(0, 1)
        latents, guide = self.encode(pixels)
        frames = images.shape[1] if joint else 1
        features = self.features_from(latents, self.context(pixels), frames)
        past = Past.of_ages(clip_ages(stamps, self.temporal_window, starts))
        maps, _ = self.head.forward_frames(features, guide, past)
        return maps.unflatten(0, images.shape[:2])

    def step(
        self, images: torch.Tensor, ages: torch.Tensor, memory: Memory
    ) -> tuple[torch.Tensor, Memory]:
        """The next frame of each of B streams. A function of its arguments alone.

        Args:
            images: (B, 3, H, W) in [-1, 1], sides multiples of ``multiple``.
            ages: (B, M) seconds since each remembered frame, in any order; inf where none is.
            memory: of M frames, see ``new_memory``.

        Returns:
            Disparity (B, 1, H/2, W/2), and the frame's entry: tensors like the memory's with one
            frame, to be put in the place of the oldest one there.
        """
        latents, guide = self.encode(images)
        past = Past.of_ages(F.pad(ages, (0, 1))[:, None])  # itself last, at age 0
        features = self.features_from(latents, self.context(images))
        return self.head.forward_frames(features, guide, past, memory)

    def new_memory(self, batch: int, height: int, width: int, window: int | None = None) -> Memory:
        """An empty memory for images of (height, width): window - 1 frames of zeros."""
        window = window or self.temporal_window
        return self.head.new_memory(batch, height, width, window - 1)

    @classmethod
    def from_preset(
        cls, preset: str, seed: int | None = None, empty_unet: bool = False, **changes
    ) -> DepthModel:
        """A randomly initialised model of a named preset.

        Args:
            preset: a key of ``presets.PRESETS``.
            seed: of the initialisation; None leaves the global generator alone.
            empty_unet: leave the UNet on the meta device, for what needs the other parts alone.
            changes: fields of ``DepthModelConfig`` to set.

        Raises:
            ModelError: the preset does not exist.
        """
        recipe = find_preset(preset)
        with torch.random.fork_rng(enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            parts = build_parts(recipe, empty_unet)
        config = DepthModelConfig(
            name=changes.pop("name", preset),
            decoder="autoencoder" if recipe.head_width is None else "head",
            prior=recipe.prior,
            resolution=recipe.resolution,
            frames=recipe.frames,
            overlap=recipe.overlap,
        )
        return cls(dataclasses.replace(config, **changes), **parts)

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path | None = None,
        value_space: str | None = None,
        empty_unet: bool = False,
    ) -> DepthModel:
        """Load a model in evaluation mode, float32, on the CPU.

        Args:
            name_or_folder: a bundled model's name, a folder, or ``owner/name@<commit>`` on the
                Hub; a folder of this package or Lotus-D's published diffusers pipeline.
            value_space: what a pipeline predicts, where its name does not say so.
            empty_unet: leave the UNet on the meta device, for what needs the other parts alone.

        Raises:
            ModelError: the name resolves to nothing, a file is missing, or weights and
                configuration do not match; the message lists what differs.
        """
        folder = hub.resolve(name_or_folder)
        if is_pipeline(folder):
            return cls._from_lotus(folder, str(name_or_folder), value_space, empty_unet)
        config = read_config(folder)
        names = [name for name in _part_names(config) if name != "unet" or not empty_unet]
        parts = {name: load_component(folder / name, name) for name in names}
        if empty_unet:
            parts["unet"] = build_component(folder / "unet", "unet", empty=True)
        prompt_file = folder / "prompt.safetensors"
        prompt = load_tensors(prompt_file)["prompt"].float() if prompt_file.exists() else None
        return cls(config, **parts, prompt=prompt, provenance=read_provenance(folder)).eval()

    @classmethod
    def _from_lotus(
        cls, folder: Path, source: str, value_space: str | None, empty_unet: bool
    ) -> DepthModel:
        parts = load_lotus(folder, source, value_space, empty_unet)
        config = DepthModelConfig(name="lotus-d", value_space=parts.value_space)
        return cls(
            config,
            parts.unet,
            parts.autoencoder,
            prompt=parts.prompt,
            provenance=parts.provenance,
        ).eval()

    def save_pretrained(
        self, folder: str | Path, dtype: torch.dtype | None = None, card: str | None = None
    ) -> None:
        """Write the folder, whole or not at all; an earlier model there is replaced.

        Args:
            folder: where to; its parents are made.
            dtype: of the stored weights (``torch.float16`` halves the size); None keeps them.
            card: text of README.md; a short one is written when None.
        """
        folder = Path(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".saving-") as scratch:
            staged = Path(scratch) / "model"
            staged.mkdir()
            for part in _part_names(self.config):
                save_component(getattr(self, part), staged / part, dtype)
            prompt = self.prompt.detach().cpu().contiguous()
            save_file({"prompt": prompt.to(dtype or prompt.dtype)}, staged / "prompt.safetensors")
            fields = {"_class_name": FORMAT, **dataclasses.asdict(self.config)}
            (staged / "config.json").write_text(json.dumps(fields, indent=2) + "\n")
            if self.provenance != Provenance():
                history = json.dumps(self.provenance.to_json(), indent=2)
                (staged / PROVENANCE_FILE).write_text(history + "\n")
            (staged / "README.md").write_text(card or plain_card(self.config))
            if folder.exists():
                folder.rename(Path(scratch) / "replaced")
            staged.rename(folder)


def prior_channels(
    config: DepthModelConfig, autoencoder: nn.Module, prior: nn.Module | None
) -> int:
    """How many of the UNet's input channels are a prior's."""
    if prior is None:
        return 0
    if config.prior_input == "latents":
        return autoencoder.config.latent_channels
    return prior.latent_channels


def _part_names(config: DepthModelConfig) -> tuple[str, ...]:
    names = ["unet", "autoencoder"]
    if config.prior:
        names.append("prior")
    if config.decoder == "head":
        names.append("head")
    if config.image_encoder:
        names.append("image_encoder")
    return tuple(names)
