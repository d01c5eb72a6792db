"""Exported engines: the same numbers as PyTorch's, and when they are taken and refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth_distill_ros import cli
from depth_distill_ros.cli_export import PICTURES
from depth_distill_ros.errors import ConfigError
from depth_distill_ros.inference.choice import open_engine
from depth_distill_ros.inference.comparison import TOLERANCE, largest_error
from depth_distill_ros.inference.engine_folder import (
    FACTS,
    REMEMBER,
    STEP,
    engine_cache,
    read_facts,
    write_facts,
)
from depth_distill_ros.inference.engines import EngineError
from depth_distill_ros.inference.estimator import DepthEstimator
from depth_distill_ros.inference.onnx_engine import OnnxEngine
from depth_distill_ros.inference.onnx_streams import DeviceStreams
from depth_distill_ros.inference.torch_engine import TorchEngine
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.hub import DEFAULT_MODEL

MODEL = "d3epth-tiny-stream"
SIZES = [(480, 640), (640, 360), (352, 1216)]


@pytest.fixture
def cache(exported, monkeypatch) -> Path:
    monkeypatch.setenv("D3EPTH_CACHE", str(exported))
    return exported


@pytest.fixture
def own_cache(exported, tmp_path, monkeypatch) -> Path:
    """A copy of the engine's folder, alone in a cache of its own."""
    monkeypatch.setenv("D3EPTH_CACHE", str(tmp_path))
    shutil.copytree(exported / "engines", tmp_path / "engines")
    (folder,) = engine_cache().iterdir()
    return folder


@pytest.fixture(scope="module")
def by_torch() -> DepthEstimator:
    return DepthEstimator.from_pretrained(MODEL, "cpu", "torch")


@pytest.fixture
def by_onnx(cache) -> DepthEstimator:
    return DepthEstimator.from_pretrained(MODEL, "cpu", "onnxruntime")


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """uint8 RGB (480, 640, 3)."""
    return [cv2.imread(str(path))[..., ::-1] for path in sorted(PICTURES.iterdir())]


@pytest.fixture(scope="module")
def frames(shared_data) -> list[np.ndarray]:
    """Real ones, consecutive."""
    paths = sorted((shared_data / "seq_redkitchen_kinect" / "rgb").iterdir())[:6]
    return [cv2.imread(str(path))[..., ::-1].copy() for path in paths]


def error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / expected.max())


@pytest.mark.parametrize("size", SIZES)
def test_images_of_three_sizes(by_torch, by_onnx, frames, size):
    for rgb in frames[:2]:
        rgb = cv2.resize(rgb, size[::-1])
        found, expected = by_onnx(rgb), by_torch(rgb)
        assert found.disparity.dtype == np.float32 and found.disparity.shape == size
        assert expected.disparity.std() > 0.05
        assert error(found.disparity, expected.disparity) < TOLERANCE["fp32"]


def test_the_default_in_half_precision_at_three_sizes(frames, tmp_path):
    arguments = ["export", DEFAULT_MODEL, "--precision", "fp16", "--output", str(tmp_path / "one")]
    assert cli.main(arguments) == 0
    engine = OnnxEngine(tmp_path / "one")
    reference = TorchEngine(DepthModel.from_pretrained(DEFAULT_MODEL), "cpu")
    images = [cv2.resize(rgb, size[::-1]) for rgb, size in zip(frames, SIZES, strict=False)]
    assert largest_error(engine, reference, images) < TOLERANCE["fp16"]


def test_streams_of_two_cameras_with_gaps_and_another_window(by_torch, by_onnx, frames):
    results = []
    for estimator in (by_torch, by_onnx):
        streams = [estimator.stream(), estimator.stream()]
        found = []
        for number, rgb in enumerate(frames):
            images = [rgb, np.ascontiguousarray(rgb[:, ::-1])]
            found += estimator.infer_streams(images, streams, [0.1 * number] * 2)
            if number == 3:
                streams[1].reset()
        small = estimator.stream(window=2)
        found += [small.infer(rgb, 0.05 * number) for number, rgb in enumerate(frames)]
        assert [stream.frames for stream in streams] == [6, 2] and small.frames == 1
        results.append(found)
    assert not np.allclose(results[0][0], by_torch.infer([frames[0]])[0] * 0)
    for expected, found in zip(*results, strict=True):
        assert error(found, expected) < TOLERANCE["fp32"]


def test_memory_matters_to_the_graph(by_onnx, frames):
    stream = by_onnx.stream()
    for number, rgb in enumerate(frames):
        last = stream.infer(rgb, 0.1 * number)
    assert error(last, by_onnx.infer([frames[-1]])[0]) > 0.01


def test_memory_that_stays_where_the_graph_runs(by_onnx, frames):
    """As on a GPU, with the CPU as the device."""
    onnxruntime = pytest.importorskip("onnxruntime")
    engine = by_onnx.engine
    step, remember = (engine._session(name, "cpu") for name in (STEP, REMEMBER))
    bound = DeviceStreams(step, remember, engine._new_memory, onnxruntime, ("cpu", 0))
    results = []
    for streams in (engine._streams, bound):
        engine._streams = streams
        cameras = [by_onnx.stream(window=4), by_onnx.stream(window=4)]
        found = []
        for number, rgb in enumerate(frames):
            images = [rgb, np.ascontiguousarray(rgb[:, ::-1])]
            found += by_onnx.infer_streams(images, cameras, [0.1 * number] * 2)
        results.append(found)
    for expected, found in zip(*results, strict=True):
        assert error(found, expected) < 1e-5


def test_an_engine_in_the_cache_is_taken_without_pytorch(cache):
    code = (
        "import sys, numpy as np\n"
        "from depth_distill_ros.inference.estimator import DepthEstimator\n"
        f"estimate = DepthEstimator.from_pretrained({MODEL!r}, 'cpu')\n"
        "image = np.zeros((480, 640, 3), np.uint8)\n"
        "estimate(image), estimate.stream()(image, 0.0)\n"
        "assert estimate.engine.label.startswith('onnxruntime '), estimate.engine.label\n"
        "assert 'of PyTorch when it was compared' in estimate.choice\n"
        "assert 'torch' not in sys.modules and 'diffusers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_without_one_pytorch_is_taken_and_the_reason_told(small_model, cache):
    estimator = DepthEstimator.from_pretrained(small_model, "cpu")
    assert estimator.engine.label.startswith("torch ")
    assert "no exported engine of this model" in estimator.choice
    assert DepthEstimator.from_pretrained(MODEL, "cpu", "torch").choice == "asked for"
    with pytest.raises(EngineError, match="d3epth export"):
        DepthEstimator.from_pretrained(small_model, "cpu", "onnxruntime")


def test_what_was_not_compared_under_this_runtime_is_refused(own_cache):
    facts = read_facts(own_cache)
    for changed, words in (
        ({"runtime": "1.0.0"}, "under onnxruntime 1.0.0, and this is"),
        ({"accepted": None}, "has not passed the comparison"),
        ({"provider": "cuda"}, "for this device"),
    ):
        write_facts(own_cache, dataclasses.replace(facts, **changed))
        engine, reason = open_engine(MODEL, "cpu", "auto", "float32")
        assert engine.label.startswith("torch ") and words in reason
    content = json.loads((own_cache / FACTS).read_text())
    (own_cache / FACTS).write_text(json.dumps(content | {"format": 0}))
    with pytest.raises(EngineError, match="another version of this package"):
        read_facts(own_cache)


@pytest.mark.parametrize("damaged", ["infer.onnx", "step.onnx", FACTS])
def test_what_is_damaged_says_what_to_do_and_pytorch_is_taken(own_cache, damaged):
    (own_cache / damaged).write_bytes(b"no graph")
    with pytest.raises(EngineError, match="d3epth export"):
        DepthEstimator.from_pretrained(MODEL, "cpu", "onnxruntime")
    estimator = DepthEstimator.from_pretrained(MODEL, "cpu")
    assert estimator.engine.label.startswith("torch ") and damaged in estimator.choice


def test_an_engine_of_one_size_says_so_for_others(own_cache):
    write_facts(own_cache, dataclasses.replace(read_facts(own_cache), size=(224, 288)))
    engine = OnnxEngine(own_cache)
    with pytest.raises(EngineError, match="288x224 pixels, and the images are 64x32"):
        engine.infer(np.zeros((1, 32, 64, 3), np.uint8))
    assert open_engine(MODEL, "cpu", "onnxruntime", "float32")[0].facts.size == (224, 288)
    assert open_engine(MODEL, "cpu", "auto", "float32")[0].label.startswith("torch ")


def test_of_several_engines_a_cpu_takes_the_fastest(own_cache):
    facts = read_facts(own_cache)
    for added, expected in (
        ("fp16", "fp32"),  # which a CPU computes in float32, and converts
        ("int8", "int8"),
    ):
        more = own_cache.with_name(own_cache.name.replace("fp32", added))
        shutil.copytree(own_cache, more)
        write_facts(more, dataclasses.replace(facts, precision=added))
        assert open_engine(MODEL, "cpu", "auto", "float32")[0].facts.precision == expected


def test_a_model_with_other_weights_fails_the_comparison(cache, pictures):
    (folder,) = engine_cache().iterdir()
    model = DepthModel.from_pretrained(MODEL)
    same = TorchEngine(model, "cpu")
    assert largest_error(OnnxEngine(folder), same, pictures[:1]) < TOLERANCE["fp32"]
    model.unet.conv_in.weight.data *= 1.1
    other = TorchEngine(model, "cpu")
    assert largest_error(OnnxEngine(folder), other, pictures[:1]) > TOLERANCE["fp16"]


def test_a_missing_choice_is_refused(small_model):
    with pytest.raises(ConfigError, match="there is no engine 'fast'"):
        DepthEstimator.from_pretrained(small_model, "cpu", "fast")
    with pytest.raises(ConfigError, match="there is no precision 'int4'"):
        DepthEstimator.from_pretrained(small_model, "cpu", "torch", "int4")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--size", "big"], "HEIGHTxWIDTH"),
        (["--size", "100x100"], "multiples of 32"),
        (["--frames", "nowhere"], "no folder nowhere"),
        (["no-such-model"], "there is no model 'no-such-model'"),
    ],
)
def test_the_commands_mistakes(capsys, arguments, words):
    assert cli.main(["export", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_if_missing_leaves_a_usable_engine_alone(cache, capsys):
    assert cli.main(["export", MODEL, "--if-missing"]) == 0
    assert "already" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "precision", "size"),
    [
        ("d3epth-tiny", "fp32", "dynamic"),
        ("d3epth-tiny", "fp16", "dynamic"),
        (MODEL, "fp32", "224x288"),
        (MODEL, "fp16", "dynamic"),
        (MODEL, "fp16", "224x288"),
    ],
)
def test_other_models_precisions_and_sizes(model, precision, size, tmp_path, frames):
    folder = tmp_path / "engine"
    arguments = ["export", model, "--precision", precision, "--size", size]
    assert cli.main([*arguments, "--output", str(folder)]) == 0
    engine, reference = OnnxEngine(folder), TorchEngine(DepthModel.from_pretrained(model), "cpu")
    assert largest_error(engine, reference, frames) < TOLERANCE[precision]


@pytest.mark.slow
def test_an_engine_beyond_the_tolerance_is_not_kept(small_model, tmp_path, monkeypatch, capsys):
    from depth_distill_ros.inference import export

    monkeypatch.setitem(export.TOLERANCE, "fp32", 1e-12)
    output = tmp_path / "engines" / "one"
    assert cli.main(["export", str(small_model), "--output", str(output)]) == 2
    assert "it is not used" in capsys.readouterr().err
    assert not list(output.parent.iterdir())
