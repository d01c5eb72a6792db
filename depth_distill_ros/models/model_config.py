"""``config.json`` of a model folder: what a checkpoint carries so that nobody has to guess."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models import hub

FORMAT = "depth_distill_ros.DepthModel"
_CHOICES = {
    "decoder": ("autoencoder", "head"),
    "prior_input": ("features", "latents"),
    "start": ("image", "noise"),
}


@dataclass(frozen=True)
class DepthModelConfig:
    """What a checkpoint must carry so that nobody has to guess how to use it.

    Attributes:
        decoder: "autoencoder" (the frozen decoder, mean of three channels) or "head" (DPT).
        prior: whether the UNet's input begins with the latents of a data-driven prior.
        prior_input: what the UNet sees of the prior: "features", its disparity and features folded
            to the latents' size, or "latents", its map through the autoencoder (ApDepth, 3.2).
        timestep: the one step; 999 is the papers' T = 1000. Not of video UNets.
        image_encoder: whether a video UNet's cross-attention sees an embedding of each image.
        start: what a video UNet sees in the place of noise: "image", the image's latents, or
            "noise" itself (one-step video depth, sections 3.2.2 and 3.2.1).
        frames: of a video that a video UNet is meant to see at once.
        overlap: frames that two neighbouring windows of a video share.
        value_space: what the output is proportional to; "disparity" (1 / depth).
        normalisation: how targets were brought to [-1, 1].
        resolution: (height, width) whose area inputs are resized to; the aspect is kept.
        teachers: names and licences of the networks that this one learned from.
    """

    name: str
    decoder: str = "autoencoder"
    prior: bool = False
    prior_input: str = "features"
    timestep: int = 999
    image_encoder: bool = False
    start: str = "image"
    frames: int = 1
    overlap: int = 0
    value_space: str = "disparity"
    normalisation: str = "quantiles 2 % and 98 % to -1 and 1"
    resolution: tuple[int, int] = (576, 768)
    teachers: tuple[str, ...] = ()

    def __post_init__(self):
        for field, known in _CHOICES.items():
            if (value := getattr(self, field)) not in known:
                raise ModelError(f"{field} must be '{known[0]}' or '{known[1]}', not '{value}'")
        if not 0 <= self.overlap < self.frames:
            raise ModelError(
                f"windows of {self.frames} frames cannot share {self.overlap}: "
                "overlap must be less than frames"
            )
        if self.value_space != "disparity":
            raise ModelError(
                f"the model predicts '{self.value_space}': this version reads disparity only"
            )


def read_config(folder: Path) -> DepthModelConfig:
    """The configuration in a model folder.

    Raises:
        ModelError: there is none, it is damaged, or it is that of a part.
    """
    fields = hub.read_json(folder / "config.json")
    if fields.pop("_class_name", None) != FORMAT:
        raise ModelError(
            f"{folder}/config.json does not describe a {FORMAT}: is this the folder of a whole "
            "model, or of one of its parts?"
        )
    for key in ("resolution", "teachers"):
        if key in fields:
            fields[key] = tuple(fields[key])
    try:
        return DepthModelConfig(**fields)
    except TypeError as error:
        raise ModelError(f"{folder}/config.json: {error}") from error


def plain_card(config: DepthModelConfig) -> str:
    """A short README.md, until `d3epth models card` writes a whole one."""
    teachers = ", ".join(config.teachers) or "none"
    return (
        f"# {config.name}\n\nAffine-invariant disparity in one step, for `depth_distill_ros`.\n\n"
        f"Learned from: {teachers}.\n"
    )
