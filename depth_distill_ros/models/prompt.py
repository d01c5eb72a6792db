"""The empty prompt's embedding, computed once with a pipeline's own tokenizer and text encoder.

Lotus tokenises "" without padding, which leaves the start and the end token: (1, 2, 1024) for
Stable Diffusion 2. transformers is imported when it is needed (extras ``train`` and ``peers``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.weight_files import load_folder

_TEXT_ENCODER, _TOKENIZER = "text_encoder", "tokenizer"


@torch.no_grad()
def empty_prompt_embedding(pipeline: Path) -> torch.Tensor:
    """Float32 (1, 2, C): the text encoder's last hidden states for "", without padding.

    Args:
        pipeline: a diffusers pipeline's folder with ``tokenizer/`` and ``text_encoder/``.

    Raises:
        ModelError: transformers is not installed, or either part cannot be read.
    """
    try:
        from transformers import CLIPTextModel, CLIPTokenizer
    except ImportError as error:
        raise ModelError(
            "the text encoder of a diffusers pipeline needs transformers: "
            "pip install 'depth_distill_ros[train]'"
        ) from error
    # Says in our words that the weights are missing or pickles, before transformers looks for them.
    load_folder(_part(pipeline, _TEXT_ENCODER), stem="model")
    encoder = _read(CLIPTextModel, pipeline, _TEXT_ENCODER, use_safetensors=True)
    tokenizer = _read(CLIPTokenizer, pipeline, _TOKENIZER)
    tokens = tokenizer("", padding="do_not_pad", return_tensors="pt").input_ids
    if tokens.shape != (1, 2):
        raise ModelError(
            f"the tokenizer of {pipeline} makes {tokens.shape[-1]} tokens of an empty prompt: "
            "start and end were expected, is this a CLIP tokenizer?"
        )
    return encoder.float().eval()(tokens)[0].clone()


def _part(pipeline: Path, part: str) -> Path:
    folder = pipeline / part
    if not folder.is_dir():
        raise ModelError(f"the pipeline {pipeline} has no {part}/: fetch all of it")
    return folder


def _read(cls: Any, pipeline: Path, part: str, **options: Any) -> Any:
    folder = _part(pipeline, part)
    try:
        return cls.from_pretrained(folder, local_files_only=True, **options)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        cause = " ".join(str(error).split())
        raise ModelError(f"{folder} cannot be read as a {cls.__name__}: {cause}") from error
