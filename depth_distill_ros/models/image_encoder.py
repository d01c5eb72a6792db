"""What a video UNet's cross-attention sees: CLIP's embedding, as in Stable Video Diffusion.

DepthCrafter takes one of every frame (hidden size 1280, projected to 1024). transformers is imported
when such a network is built (extras ``train`` and ``peers``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.hub import read_json
from depth_distill_ros.models.weight_files import check_fit, load_folder, shapes_of

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class ImageEncoder(ModelMixin, ConfigMixin):
    """Images to embeddings of CLIP's vision transformer, projected.

    Args:
        vision: fields of transformers' ``CLIPVisionConfig``.

    Raises:
        ModelError: transformers is not installed.
    """

    @register_to_config
    def __init__(self, vision: dict[str, Any]):
        super().__init__()
        try:
            from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
        except ImportError as error:
            raise ModelError(
                "a model with an image encoder needs transformers: "
                "pip install 'depth_distill_ros[peers]'"
            ) from error
        self.clip = CLIPVisionModelWithProjection(CLIPVisionConfig(**vision))

    @classmethod
    def from_pipeline(cls, folder: Path) -> ImageEncoder:
        """That of Stable Video Diffusion's pipeline: its folder ``image_encoder``.

        Raises:
            ModelError: a file is missing or damaged, or weights and configuration do not match.
        """
        fields = read_json(folder / "config.json")
        encoder = cls({k: v for k, v in fields.items() if k not in _NOT_OF_THE_NETWORK})
        tensors = load_folder(folder, stem="model")
        # Older releases stored these, which the configuration says as well.
        tensors = {k: v for k, v in tensors.items() if not k.endswith("position_ids")}
        own = encoder.clip.state_dict()
        check_fit(shapes_of(own), shapes_of(tensors), f"{folder} is no CLIP vision network")
        encoder.clip.load_state_dict(tensors)
        return encoder.float().eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, 1, C) of images (B, 3, H, W) in [-1, 1], of any size and aspect."""
        side = self.clip.config.image_size
        small = F.interpolate(
            images.float(), (side, side), mode="bicubic", antialias=True, align_corners=False
        )
        mean, deviation = (small.new_tensor(v)[:, None, None] for v in (_MEAN, _DEVIATION))
        pixels = ((small / 2 + 0.5).clamp(0, 1) - mean) / deviation
        return self.clip(pixels.to(images.dtype)).image_embeds[:, None]


_NOT_OF_THE_NETWORK = (
    "_name_or_path",
    "architectures",
    "torch_dtype",
    "dtype",
    "transformers_version",
)
