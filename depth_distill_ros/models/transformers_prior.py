"""Depth Anything, as Hugging Face's transformers has it, as a model's prior (ApDepth, section 3.2).

The network is kept whole, with its own configuration; only its disparity map is used. transformers is imported when such a prior is built (extras ``train`` and ``peers``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models import hub
from depth_distill_ros.models.weight_files import load_folder

PATTERNS = ("config.json", "preprocessor_config.json", "model*.safetensors*", "README.md")
"""Files of a depth network on the Hub."""

_TYPE = "depth_anything"
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class TransformersPrior(ModelMixin, ConfigMixin):
    """Image to affine-invariant disparity by Depth Anything, or a network of its architecture.

    Args:
        network_config: its configuration as its authors published it (``model_type``, …).
        size: the short side of the images that it was trained with, in pixels.
        mean: of the images, in [0, 1], channel by channel.
        std: standard deviations of them.

    Raises:
        ModelError: transformers is not installed; the network predicts something else than
            relative disparity, or cannot be built.
    """

    @register_to_config
    def __init__(
        self,
        network_config: dict[str, Any],
        size: int = 518,
        mean: tuple[float, ...] = _IMAGENET_MEAN,
        std: tuple[float, ...] = _IMAGENET_STD,
    ):
        super().__init__()
        self.network = _build(dict(network_config))

    @classmethod
    def of_transformers(cls, name_or_folder: str) -> TransformersPrior:
        """The prior of a network in transformers' own layout, float32, in evaluation mode.

        Args:
            name_or_folder: a folder with ``config.json`` and safetensors, or
                ``owner/name@<40-digit commit>`` on the Hugging Face Hub.

        Raises:
            ModelError: a file is missing, damaged or a pickle, weights and configuration do not
                fit, or as the class does.
        """
        folder = hub.resolve(name_or_folder, PATTERNS)
        fields = hub.read_json(folder / "config.json")
        prior = cls(network_config=fields, **_processing(folder))
        load_folder(folder, stem="model")  # says in our words that there are none, or pickles
        try:
            loaded, found = _auto("AutoModelForDepthEstimation").from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
        except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
            raise ModelError(f"{folder} cannot be read: {' '.join(str(error).split())}") from error
        if missing := sorted(found["missing_keys"]):
            raise ModelError(f"{folder} lacks {len(missing)} tensors, {missing[0]} among them")
        prior.network.load_state_dict(loaded.state_dict())
        return prior.float().eval()

    @property
    def latent_channels(self) -> int:
        """There are none: raises ModelError."""
        raise ModelError(
            f"{_TYPE} gives a map and no features: as a prior it goes through the autoencoder "
            "(prior_input: latents, training.apdepth)"
        )

    def disparity_map(self, images: torch.Tensor) -> torch.Tensor:
        """Disparity of images (B, 3, H, W) in [-1, 1]: (B, 1, h, w), larger is nearer, of any scale;
        the short side of the map is about ``size``, whatever the image's."""
        return self(images)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """As ``disparity_map``."""
        pixels = F.interpolate(
            images.float(),
            self._size_for(*images.shape[-2:]),
            mode="bicubic",
            align_corners=False,
            antialias=True,
        )
        mean, std = (
            pixels.new_tensor(values).view(1, 3, 1, 1)
            for values in (self.config.mean, self.config.std)
        )
        pixels = ((pixels + 1) / 2 - mean) / std
        return self.network(pixels.to(self.dtype)).predicted_depth[:, None]

    def _size_for(self, height: int, width: int) -> tuple[int, int]:
        """Multiples of the patch size with the image's aspect; the short side is ``size``."""
        patch = self.network.config.patch_size
        scale = self.config.size / min(height, width)
        return tuple(max(1, round(side * scale / patch)) * patch for side in (height, width))


def _build(fields: dict[str, Any]) -> nn.Module:
    kind = fields.pop("model_type", None)
    if kind != _TYPE or fields.get("depth_estimation_type") == "metric":
        raise ModelError(
            "a prior must predict relative disparity at any size: transformers' networks of type "
            f"{_TYPE} do, but for their metric versions; this is '{kind}'"
        )
    try:
        config = _auto("AutoConfig").for_model(kind, **fields)
        return _auto("AutoModelForDepthEstimation").from_config(config)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ModelError(f"the prior's {kind} network cannot be built: {error}") from error


def _processing(folder: Path) -> dict[str, Any]:
    """Size and normalisation that the authors' image processor states; Depth Anything's by default."""
    path = folder / "preprocessor_config.json"
    stated = hub.read_json(path) if path.is_file() else {}
    size = stated.get("size", {})
    found = {
        "size": min(size.values()) if isinstance(size, dict) and size else None,
        "mean": stated.get("image_mean"),
        "std": stated.get("image_std"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _auto(name: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ModelError(
            "the model's prior is a network of transformers: pip install 'depth_distill_ros[peers]'"
        ) from error
    return getattr(transformers, name)
