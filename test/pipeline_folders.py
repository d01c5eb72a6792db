"""Miniature pipelines in the published layouts: Lotus-D's and SDXS-0.9's, written file by file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel

LOTUS_UNET = {
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (16, 32),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "attention_head_dim": (2, 2),
    "use_linear_projection": True,
    "cross_attention_dim": 16,
    "class_embed_type": "projection",
    "projection_class_embeddings_input_dim": 4,
}
VAE = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (8, 8, 8, 8),
    "norm_num_groups": 4,
    "latent_channels": 4,
    "scaling_factor": 0.18215,
}
START, END = "<|startoftext|>", "<|endoftext|>"


def write_lotus(folder: Path, name: str = "", **changes: Any) -> Path:
    """A Lotus-D pipeline with random weights.

    name: what diffusers would have stored as ``_name_or_path``; changes: fields of the UNet's
    configuration.
    """
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**{**LOTUS_UNET, **changes})
    unet.save_pretrained(folder / "unet")
    AutoencoderKL(**VAE).save_pretrained(folder / "vae")
    write_text_encoder(folder, unet.config.cross_attention_dim)
    parts = {
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "scheduler": ["diffusers", "DDIMScheduler"],
    }
    index = {"_class_name": "LotusDPipeline", "_diffusers_version": "0.28.0", **parts}
    if name:
        index["_name_or_path"] = name
    _write_json(folder / "model_index.json", index)
    _write_json(folder / "scheduler/scheduler_config.json", {"_class_name": "DDIMScheduler"})
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n\n# Lotus\n")
    return folder


def write_text_encoder(folder: Path, width: int) -> None:
    """``text_encoder/`` and ``tokenizer/`` of a CLIP with a vocabulary of a few letters."""
    from transformers import CLIPTextConfig, CLIPTextModel

    words = [START, END, "a", "b", "a</w>", "b</w>", "ab</w>"]
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    tokenizer = folder / "tokenizer"
    _write_json(tokenizer / "vocab.json", {word: number for number, word in enumerate(words)})
    (tokenizer / "merges.txt").write_text("#version: 0.2\na b</w>\n")
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    _write_json(tokenizer / "special_tokens_map.json", special)
    options = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **special}
    _write_json(tokenizer / "tokenizer_config.json", options)


def write_sdxs(folder: Path, unet: UNet2DConditionModel) -> Path:
    """SDXS-0.9's layout around a UNet: ``unet``, ``vae`` (tiny) and ``vae_large`` (KL)."""
    unet.save_pretrained(folder / "unet")
    AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8)
    ).save_pretrained(folder / "vae")
    AutoencoderKL(**VAE).save_pretrained(folder / "vae_large")
    _write_json(folder / "model_index.json", {"_class_name": "StableDiffusionPipeline"})
    (folder / "README.md").write_text("---\nlicense: openrail++\n---\n")
    return folder


def _write_json(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
