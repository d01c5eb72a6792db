"""What can be measured: own models, saved predictions, adapters, pipelines of Hugging Face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from depth_distill_ros.errors import ConfigError, DataError, ModelError
from depth_distill_ros.evaluation.protocols.predictors import (
    OwnModel,
    SavedPredictions,
    load_adapter,
)
from depth_distill_ros.evaluation.protocols.selection import PredictorOptions, predictor_maker
from depth_distill_ros.models.presets import preset_parameters

RGB = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def estimator():
    from depth_distill_ros.inference.estimator import DepthEstimator
    from depth_distill_ros.models.depth_model import DepthModel

    return DepthEstimator.of_model(
        DepthModel.from_preset("tiny", seed=0, name="random-tiny"), "cpu"
    )


def test_the_network_sees_the_benchmarks_size_unless_told_otherwise(estimator):
    by_benchmark, own = (OwnModel(estimator, "abc", choice) for choice in (False, True))
    assert by_benchmark.resolution == "network at the input's size"
    assert own.resolution == "network at 192x256 in area"
    assert (own.name, own.checkpoint, own.space) == ("random-tiny", "abc", "disparity")
    assert own.parameters == sum(preset_parameters("tiny").values())
    np.testing.assert_array_equal(own(RGB, "a"), estimator(RGB).disparity)
    expected = estimator(RGB, (60, 80)).disparity
    np.testing.assert_array_equal(by_benchmark(RGB, "a"), expected)
    assert expected.shape == (60, 80)
    assert np.abs(expected - estimator(RGB).disparity).max() > 1e-3


def test_invalid_pixels_of_a_model_are_nan(estimator):
    class Blind:
        name, resolution, parameters = "blind", (8, 8), 0

        def __call__(self, rgb, resolution=None):
            whole = estimator(rgb, resolution)
            return replace(whole, valid=np.arange(80) < 40 + np.zeros((60, 1)))

    prediction = OwnModel(Blind(), "abc")(RGB, "a")
    assert np.isnan(prediction[:, 40:]).all() and np.isfinite(prediction[:, :40]).all()


def test_saved_predictions_are_found_by_path_and_by_marigolds_names(tmp_path):
    images = ["test/a/rgb_0001.png", "test/b/rgb_0002.png", "test/b/000000.jpg", "c/000000.jpg"]
    (tmp_path / "test" / "a").mkdir(parents=True)
    (tmp_path / "test" / "b").mkdir()
    np.save(tmp_path / "test/a/rgb_0001.npy", np.full((2, 3), 1.0))
    np.save(tmp_path / "test/b/pred_0002.npy", np.full((1, 2, 3), 2.0))
    np.save(tmp_path / "000000.npy", np.full((2, 3), 3.0))
    saved = SavedPredictions(tmp_path, "depth", images)
    assert saved.space == "depth"
    assert saved(RGB, images[0]).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert saved(RGB, images[1]).shape == (2, 3)
    with pytest.raises(DataError, match="expected .*c/000000.npy"):
        saved(RGB, images[3])  # two images have that stem: the file could be either's
    assert SavedPredictions(tmp_path, "depth", images[2:3])(RGB, images[2])[0, 0] == 3


def test_saved_predictions_that_changed_are_another_checkpoint(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    before = SavedPredictions(tmp_path, "depth", ["a.png"]).checkpoint
    assert SavedPredictions(tmp_path, "depth", ["a.png"]).checkpoint == before
    np.save(tmp_path / "a.npy", np.zeros((2, 3)))
    assert SavedPredictions(tmp_path, "depth", ["a.png"]).checkpoint != before
    (tmp_path / "a.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match="not a .npy file"):
        SavedPredictions(tmp_path, "depth", ["a.png"])(RGB, "a.png")
    with pytest.raises(ConfigError, match="no folder"):
        SavedPredictions(tmp_path / "absent", "depth", ["a.png"])


ADAPTER = """
import numpy as np

class Ramp:
    name = "ramp"
    checkpoint = "v1"
    space = "disparity"
    resolution = "no network"
    parameters = None

    def __init__(self, device):
        self.device = device

    def __call__(self, rgb, image):
        return np.linspace(0, 1, rgb.shape[0])[:, None] + np.zeros(rgb.shape[:2])
"""


@pytest.fixture
def adapter(tmp_path):
    def write(text=ADAPTER):
        (tmp_path / "my_model.py").write_text(text, encoding="utf-8")
        return f"{tmp_path / 'my_model.py'}:Ramp"

    return write


def test_the_documented_adapter_is_loaded(adapter):
    ramp = load_adapter(adapter(), "cpu")
    assert (ramp.name, ramp.device) == ("ramp", "cpu")
    assert ramp(RGB, "a").shape == (60, 80)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('space = "disparity"', 'space = "height"', "disparity or depth"),
        ('checkpoint = "v1"', "", "lacks checkpoint"),
        ("parameters = None", "", "lacks parameters"),
        ("__call__", "predict", "lacks a call"),
        ("class Ramp", "class Slope", "defines no Ramp"),
    ],
)
def test_an_adapter_without_what_is_needed_is_refused(adapter, before, after, message):
    with pytest.raises(ConfigError, match=message):
        load_adapter(adapter(ADAPTER.replace(before, after)), "cpu")


def test_an_absent_adapter_is_refused(tmp_path):
    for reference in ("ramp", f"{tmp_path / 'absent.py'}:Ramp", str(tmp_path)):
        with pytest.raises(ConfigError, match="no predictor"):
            load_adapter(reference, "cpu")


def test_contradictions_are_refused(adapter):
    with pytest.raises(ConfigError, match="one of --model"):
        PredictorOptions(model="a", predictions=Path("b"), align="depth")
    for undeclared in ({"predictions": Path("b")}, {"predictor": "hf:b"}):
        with pytest.raises(ConfigError, match="--align"):
            PredictorOptions(**undeclared)
    with pytest.raises(ConfigError, match="--resolution model"):
        PredictorOptions(predictor="hf:b", align="depth", own_resolution=True)
    make = predictor_maker(PredictorOptions(predictor=adapter(), align="depth"))
    with pytest.raises(ConfigError, match="ramp predicts disparity"):
        make(None)


def test_a_model_is_loaded_once_for_all_benchmarks(adapter):
    make = predictor_maker(PredictorOptions(predictor=adapter()))
    assert make(None) is make(None)


@pytest.fixture(scope="module")
def pipeline_folder(tmp_path_factory) -> Path:
    """A Depth Anything with random weights and hardly any, as transformers saves it."""
    transformers = pytest.importorskip("transformers", reason="the extra 'peers' is not installed")
    import torch

    folder = tmp_path_factory.mktemp("peers") / "tiny-depth-anything"
    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = transformers.Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        patch_size=14,
        image_size=42,
        out_features=stages,
        apply_layernorm=True,
        reshape_hidden_states=False,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=14,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8] * 4,
        fusion_hidden_size=8,
        head_hidden_size=8,
    )
    torch.manual_seed(0)
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    size = {"height": 42, "width": 42}
    processor = transformers.DPTImageProcessor(
        size=size, keep_aspect_ratio=True, ensure_multiple_of=14
    )
    processor.save_pretrained(folder)
    return folder


def test_a_pipeline_of_hugging_face_predicts_at_the_images_size(pipeline_folder):
    options = PredictorOptions(predictor=f"hf:{pipeline_folder}", align="disparity", device="cpu")
    peer = predictor_maker(options)(None)
    assert peer.name == "tiny-depth-anything" and peer.space == "disparity"
    assert len(peer.checkpoint) == 12 and peer.resolution == "pipeline at 42x42"
    assert 1e4 < peer.parameters < 1e5
    prediction = peer(RGB, "a")
    assert prediction.shape == (60, 80) and prediction.dtype == np.float32
    assert np.isfinite(prediction).all() and prediction.std() > 0
    np.testing.assert_array_equal(peer(RGB, "b"), prediction)


def test_what_is_no_pipeline_is_refused(tmp_path):
    pytest.importorskip("transformers", reason="the extra 'peers' is not installed")
    from depth_distill_ros.evaluation.protocols.peers import HuggingFacePipeline

    for unpinned in ("owner/name", "owner/name@main", str(tmp_path / "absent")):
        with pytest.raises(ModelError, match="40-digit commit"):
            HuggingFacePipeline(unpinned, "disparity")
    with pytest.raises(ModelError, match="safetensors"):
        HuggingFacePipeline(str(tmp_path), "disparity", "cpu")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="no depth-estimation pipeline"):
        HuggingFacePipeline(str(tmp_path), "disparity", "cpu")
