"""Teacher and students side by side, in miniature: what is built, run and counted."""

from __future__ import annotations

import pytest
import torch

from depth_distill_ros.evaluation.speed import networks
from depth_distill_ros.evaluation.speed.engines import engines, whole_engines
from depth_distill_ros.evaluation.speed.peers import _depth_anything, _dpt_large
from depth_distill_ros.evaluation.speed.side_by_side import compare
from depth_distill_ros.models.depth_model import DepthModel

TINY = ("tiny-teacher", "tiny", "tiny-fast", "tiny-small")


def quietly(line: str) -> None:
    """Takes a line about the progress."""


@pytest.mark.parametrize("preset", ["tiny", "tiny-prior"])
def test_a_stock_model_computes_what_the_model_does(preset):
    model = DepthModel.from_preset(preset, seed=0).eval()
    stock = networks.StockModel.from_preset(preset, seed=0).eval()
    images = networks.random_images("cpu", "fp32", 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(stock(images), model(images), rtol=1e-4, atol=1e-4)
        half = stock.to(torch.bfloat16)(images.bfloat16())
    assert half.dtype == torch.bfloat16 and torch.isfinite(half).all()


def test_whole_networks_shrink_from_teacher_to_small_student():
    comparison = networks.whole("cpu", "fp32", 64, presets=TINY)
    report = compare(comparison, rounds=1, seconds=0, say=quietly)
    parts = list(report["parts"].values())
    teacher, student, head, folded, fast, small = (part["gflop"] for part in parts)
    assert teacher > student and head > folded > fast > small
    assert (
        report["ratios"]["teacher_over_student"]["of"] == "teacher tiny-teacher / tiny-fast, folded"
    )
    assert len(report["ratios"]) == 5 and report["whole"]


def test_a_folded_unet_computes_what_the_stock_one_does():
    torch.manual_seed(0)
    latents = networks.random_latents("cpu", "fp32", 64)
    call, arguments, (model,) = networks.stock_unet("tiny", latents)
    unet = networks.ready(networks.folded_unet("tiny"), "cpu")
    assert unet(latents).shape == latents.shape
    assert sum(p.numel() for p in unet.parameters()) < sum(p.numel() for p in model.parameters())
    with torch.inference_mode():
        assert call(*arguments).shape == latents.shape


def test_peers_have_as_many_parameters_as_published():
    """Millions: Depth Anything V2 (table 1 of its paper: 24.8, 97.5, 335.3), DPT-Large (343)."""
    pytest.importorskip("transformers")
    millions = []
    with torch.device("meta"):
        built = [_depth_anything(size)[0] for size in "sbl"] + [_dpt_large(None)[0]]
    for network in built:
        millions.append(sum(p.numel() for p in network.parameters()) / 1e6)
    assert millions == pytest.approx([24.8, 97.5, 335.3, 343.0], abs=0.05)


@pytest.mark.slow
def test_the_engine_runs_the_same_unet():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    comparison = engines("cpu", "bf16", 64, preset="tiny")
    assert comparison.precision == "fp32"
    _, eager, engine = comparison.parts
    with torch.inference_mode():
        expected = eager.call(*eager.arguments)
    torch.testing.assert_close(torch.from_numpy(engine.call()[0]), expected, rtol=1e-3, atol=1e-4)
    parts = compare(comparison, rounds=1, seconds=0, say=quietly)["parts"]
    assert parts["folded, ONNX Runtime"]["gflop"] == parts["folded, eager"]["gflop"]


@pytest.mark.slow
def test_whole_students_in_the_engine_compute_the_same():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    comparison = whole_engines("cpu", "bf16", 64, presets=TINY[2:])
    assert comparison.precision == "fp32"
    for eager, engine in (comparison.parts[:2], comparison.parts[2:]):
        with torch.inference_mode():
            expected = eager.call(*eager.arguments)
        found = torch.from_numpy(engine.call()[0])
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    ratios = compare(comparison, rounds=1, seconds=0, say=quietly)["ratios"]
    assert ratios["student_eager_over_engine"]["of"] == "tiny-fast, eager / tiny-fast, ONNX Runtime"
    assert ratios["small_student_eager_over_engine"]["of"].startswith("tiny-small, eager")
