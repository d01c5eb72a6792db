"""What decoding and streams are compared: memories are full, and modules counted."""

from __future__ import annotations

import pytest
import torch

from depth_distill_ros.evaluation.speed.side_by_side import compare
from depth_distill_ros.evaluation.speed.streams import decoding, streaming
from depth_distill_ros.models.depth_model import DepthModel


def quietly(line: str) -> None:
    """Takes a line about the progress."""


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_decoding_by_an_autoencoder_and_by_heads(precision):
    comparison = decoding(
        "cpu", precision, side=64, preset="tiny", autoencoders=("tiny",), widths=(8, 16)
    )
    report = compare(comparison, rounds=1, seconds=0, say=quietly)
    kl, narrow, wide, temporal = (part["gflop"] for part in report["parts"].values())
    assert 0 < narrow < wide < temporal < kl
    of = [report["ratios"][f"kl_decoder_over_{name}head"]["of"] for name in ("", "wide_")]
    assert of == ["autoencoder tiny / DPT head 8", "autoencoder tiny / DPT head 16"]


def test_a_stream_runs_with_a_full_memory_and_counts_its_modules(stream_model):
    model = DepthModel.from_pretrained(stream_model)
    comparison = streaming(model, "cpu", "fp32", (64, 96))
    frame = comparison.parts[1]
    assert frame.name == "3 frames remembered" and "untrained" not in comparison.title
    ages, memory = frame.arguments[1], frame.arguments[2:]
    assert torch.isfinite(ages).all() and all((kept != 0).any() for kept in memory)
    before = [kept.clone() for kept in memory]
    with torch.inference_mode():
        frame.call(*frame.arguments)
    changed = [(kept != old).any(-1).flatten(0, 3).any(0).tolist() for kept, old in
               zip(memory, before, strict=True)]  # fmt: skip
    assert changed == [[True, False, False]] * len(memory)
    report = compare(comparison, rounds=1, seconds=0, say=quietly)
    alone, remembering = report["parts"].values()
    assert 1 < remembering["gflop"] / alone["gflop"] < 1.2


@pytest.mark.parametrize("preset", ["tiny", "tiny-prior"])
def test_a_model_without_a_temporal_head_gets_one(preset):
    model = DepthModel.from_preset(preset, seed=0)
    comparison = streaming(model, "cpu", "fp32", (64, 96))
    assert comparison.title.endswith("untrained temporal head")
    assert comparison.parts[1].name == "15 frames remembered"
    with torch.inference_mode():
        comparison.parts[1].call(*comparison.parts[1].arguments)
