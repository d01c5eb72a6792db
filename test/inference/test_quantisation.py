"""Engines in int8: which layers stay in float32, which images give the ranges, how near the result is."""

from __future__ import annotations

import numpy as np
import pytest

from depth_distill_ros import cli
from depth_distill_ros.inference.choice import open_engine
from depth_distill_ros.inference.comparison import TOLERANCE, largest_error
from depth_distill_ros.inference.engine_folder import engine_cache
from depth_distill_ros.inference.quantisation import left_alone, quantise, variations
from depth_distill_ros.inference.torch_engine import TorchEngine
from depth_distill_ros.models.depth_model import DepthModel

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def convolutions() -> onnx.ModelProto:
    """Bytes (1, h, w, 3) through convolutions: from 3 to 32 channels, to 64, in groups, and to 1."""
    random = np.random.default_rng(0)
    shapes = {"first": (32, 3), "wide": (64, 32), "grouped": (64, 1), "last": (1, 64)}
    helper, nodes, weights, value = onnx.helper, [], [], "planes"
    nodes.append(helper.make_node("Cast", ["pixels"], ["real"], to=onnx.TensorProto.FLOAT))
    nodes.append(helper.make_node("Transpose", ["real"], [value], perm=[0, 3, 1, 2]))
    for name, channels in shapes.items():
        kernel = random.normal(size=(*channels, 1, 1)).astype(np.float32)
        weights.append(onnx.numpy_helper.from_array(kernel, f"{name}_weight"))
        inputs, groups = [value, f"{name}_weight"], 64 if name == "grouped" else 1
        nodes.append(helper.make_node("Conv", inputs, [f"{name}_map"], name, group=groups))
        value = f"{name}_map"
    pixels = helper.make_tensor_value_info("pixels", onnx.TensorProto.UINT8, ["b", "h", "w", 3])
    maps = helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, ["b", 1, "h", "w"])
    graph = helper.make_graph(nodes, "convolutions", [pixels], [maps], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def test_only_wide_convolutions_are_in_int8_and_the_result_is_near(tmp_path):
    model = convolutions()
    assert left_alone(model.graph) == ["first", "grouped", "last"]
    onnx.save(model, tmp_path / "plain.onnx")
    image = np.random.default_rng(1).integers(0, 256, (1, 8, 12, 3), dtype=np.uint8)
    quantise(tmp_path / "plain.onnx", [image], tmp_path / "int8.onnx")
    stored = {one.name: one for one in onnx.load(tmp_path / "int8.onnx").graph.initializer}
    types = {name: one.data_type for name, one in stored.items()}
    assert types["wide_weight_quantized"] == onnx.TensorProto.INT8
    assert types["first_weight"] == types["last_weight"] == onnx.TensorProto.FLOAT
    # 255 * 64 + 255 * 64 < 2**15: what CPUs without VNNI add in 16 bits
    wide = onnx.numpy_helper.to_array(stored["wide_weight_quantized"])
    assert 60 < np.abs(wide.astype(int)).max() <= 64
    plain, int8 = (
        onnxruntime.InferenceSession(tmp_path / name).run(None, {"pixels": image})[0]
        for name in ("plain.onnx", "int8.onnx")
    )
    assert 0 < np.abs(int8 - plain).mean() < 0.02 * np.abs(plain).max()


def test_variations_of_an_image():
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    same, mirrored, darker, brighter, *quarters = variations(image)
    np.testing.assert_array_equal(same, image)
    np.testing.assert_array_equal(mirrored[:, 0], image[:, -1])
    assert darker[3, 5, 2] == 35 and brighter[0, 0, 0] == 128
    assert [quarter.shape for quarter in quarters] == [(2, 3, 3)] * 4
    np.testing.assert_array_equal(np.block([[[quarters[0]], [quarters[1]]],
                                            [[quarters[2]], [quarters[3]]]]), image)  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["d3epth-tiny-stream"], "d3epth-tiny-stream has a memory: use fp32"),
        (["--provider", "cuda"], "use fp16 for cuda"),
    ],
)
def test_what_int8_is_not_for(capsys, arguments, words):
    assert cli.main(["export", *arguments, "--precision", "int8"]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_the_bundled_model_in_int8(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("D3EPTH_CACHE", str(tmp_path))
    for precision in ("fp32", "int8"):
        assert cli.main(["export", "d3epth-tiny", "--precision", precision]) == 0
    assert "2e-02 is allowed" in capsys.readouterr().out
    engine, _ = open_engine("d3epth-tiny", "cpu", "auto", "float32")
    assert engine.facts.precision == "int8", "the faster one, where both are there"
    assert 0 < engine.facts.accepted["mean_relative_error"] < TOLERANCE["int8"]
    assert len(list(engine_cache().iterdir())) == 2
    # An image that gave no range, of another aspect; and a network of other weights
    coarse = np.random.default_rng(0).integers(0, 256, (6, 12, 3), dtype=np.uint8)
    image = np.kron(coarse, np.ones((60, 60, 1), np.uint8))
    model = DepthModel.from_pretrained("d3epth-tiny")
    same = TorchEngine(model, "cpu")
    assert largest_error(engine, same, [image], of=np.mean) < TOLERANCE["int8"]
    model.unet.conv_in.weight.data *= 1.5
    other = TorchEngine(model, "cpu")
    assert largest_error(engine, other, [image], of=np.mean) > TOLERANCE["int8"]
