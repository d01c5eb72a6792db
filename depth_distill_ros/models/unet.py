"""UNet presets as named recipes, built on diffusers, and the task token.

The student and the teacher are stock ``UNet2DConditionModel`` networks: a preset is nothing but
its configuration, so weights in diffusers format load without conversion. Sources: SDXS-512-0.9
(student), Stable Diffusion 2, with Lotus' task token (teacher) or without (``sd2``). ``small`` is
the student with 0.4 of its channels, for embedded GPUs. ``tiny*`` are this package's own sizes, with
the same block structure, so that the feature pairs of D³epth Table 3 match in shape; of the small
ones the channels do not.
"""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel
from torch import nn

from depth_distill_ros.errors import ConfigError

TASKS = ("depth", "reconstruction")
_TASK_TOKEN = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 4}
_STUDENT_BLOCKS = {
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3,
    "mid_block_type": None,
    "up_block_types": ("CrossAttnUpBlock2D",) * 3,
    "only_cross_attention": (True, False, False),
    "use_linear_projection": True,
}
_TEACHER_BLOCKS = {"layers_per_block": 2, "use_linear_projection": True}

UNET_PRESETS: dict[str, dict] = {
    "sdxs09": {
        **_STUDENT_BLOCKS,
        **_TASK_TOKEN,
        "block_out_channels": (320, 640, 1280),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 1024,
    },
    "small": {
        **_STUDENT_BLOCKS,
        **_TASK_TOKEN,
        "block_out_channels": (128, 256, 512),
        "attention_head_dim": (2, 4, 8),
        "cross_attention_dim": 1024,
    },
    "lotus-d": {
        **_TEACHER_BLOCKS,
        **_TASK_TOKEN,
        "block_out_channels": (320, 640, 1280, 1280),
        "attention_head_dim": (5, 10, 20, 20),
        "cross_attention_dim": 1024,
    },
    "sd2": {
        **_TEACHER_BLOCKS,
        "block_out_channels": (320, 640, 1280, 1280),
        "attention_head_dim": (5, 10, 20, 20),
        "cross_attention_dim": 1024,
    },
    "tiny": {
        **_STUDENT_BLOCKS,
        **_TASK_TOKEN,
        "block_out_channels": (48, 96, 192),
        "attention_head_dim": (3, 6, 12),
        "cross_attention_dim": 64,
        "norm_num_groups": 16,
    },
    "tiny-small": {
        **_STUDENT_BLOCKS,
        **_TASK_TOKEN,
        "block_out_channels": (20, 40, 80),
        "attention_head_dim": (1, 2, 4),
        "cross_attention_dim": 64,
        "norm_num_groups": 10,
    },
    "tiny-teacher": {
        **_TEACHER_BLOCKS,
        **_TASK_TOKEN,
        "block_out_channels": (48, 96, 192, 192),
        "attention_head_dim": (3, 6, 12, 12),
        "cross_attention_dim": 64,
        "norm_num_groups": 16,
    },
}
"""Constructor arguments by preset. ``attention_head_dim`` counts heads, as in diffusers' SD2 files."""


def build_unet(preset: str, in_channels: int = 4, out_channels: int = 4) -> UNet2DConditionModel:
    """A randomly initialised UNet of a named preset.

    Args:
        preset: a key of ``UNET_PRESETS``.
        in_channels: channels of the input latents: 4 for the image alone, more with a depth prior
            in front of it (ApDepth, section 3.2).
        out_channels: channels of the predicted latents.

    Raises:
        ConfigError: the preset does not exist.
    """
    if preset not in UNET_PRESETS:
        raise ConfigError(
            f"there is no UNet preset '{preset}': choose one of {', '.join(UNET_PRESETS)}"
        )
    config = UNET_PRESETS[preset]
    return UNet2DConditionModel(in_channels=in_channels, out_channels=out_channels, **config)


def task_token(task: str, batch: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Lotus' task token: ``concat(sin e, cos e)`` with e = [1, 0] for depth, [0, 1] for image.

    Returns:
        Float tensor (batch, 4), the ``class_labels`` of the UNet.

    Raises:
        ConfigError: the task is not one of ``TASKS``.
    """
    if task not in TASKS:
        raise ConfigError(f"there is no task '{task}': choose one of {', '.join(TASKS)}")
    one_hot = torch.tensor([float(task == name) for name in TASKS], device=device)
    return torch.cat([one_hot.sin(), one_hot.cos()]).expand(batch, -1)


def latent_multiple(unet: nn.Module) -> int:
    """The number that the sides of the latents must be multiples of, from the down-samplings."""
    return 2 ** (len(unet.config.block_out_channels) - 1)
