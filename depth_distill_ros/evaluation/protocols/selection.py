"""Which predictor a command line asks for: a model of this package, a peer, or saved maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.benchmarks import checkpoint_digest
from depth_distill_ros.evaluation.metrics import Space
from depth_distill_ros.evaluation.protocols.dataset import BenchmarkImages
from depth_distill_ros.evaluation.protocols.predictors import (
    OwnModel,
    Predictor,
    SavedPredictions,
    load_adapter,
)
from depth_distill_ros.models import hub

HUGGING_FACE = "hf:"


@dataclass(frozen=True)
class PredictorOptions:
    """What to measure; at most one of `model`, `predictor` and `predictions`.

    Attributes:
        model: of this package, None is the default one.
        device: auto, cpu, cuda or cuda:N.
        predictor: `hf:<folder or owner/name@commit>`, or an adapter `file.py:Class`.
        predictions: a folder of .npy files, or one that holds such a folder for each benchmark.
        align: the space of `hf:` models and saved predictions, which do not say it themselves.
        own_resolution: let this package's model see its own resolution, not the benchmark's.
        engine: auto, torch or onnxruntime.
    """

    model: str | None = None
    device: str = "auto"
    predictor: str | None = None
    predictions: Path | None = None
    align: Space | None = None
    own_resolution: bool = False
    engine: str = "auto"

    def __post_init__(self):
        chosen = [self.model, self.predictor, self.predictions]
        if sum(item is not None for item in chosen) > 1:
            raise ConfigError("give one of --model, --predictor and --predictions")
        undeclared = self.predictions is not None or (self.predictor or "").startswith(HUGGING_FACE)
        if undeclared and self.align is None:
            raise ConfigError("say with --align what is predicted: disparity or depth")
        if self.own_resolution and (self.predictor or self.predictions):
            raise ConfigError("--resolution model is for --model: others decide for themselves")


def predictor_maker(options: PredictorOptions) -> Callable[[BenchmarkImages], Predictor]:
    """A function that gives the predictor for a benchmark; models are loaded once.

    It raises ModelError or ConfigError where there is no such predictor, or it predicts in another
    space than `align` says.
    """
    loaded: list[Predictor] = []

    def make(images: BenchmarkImages) -> Predictor:
        if options.predictions is not None:
            below = options.predictions / images.definition.name
            folder = below if below.is_dir() else options.predictions
            name = f"predictions in {options.predictions.name}"
            return SavedPredictions(folder, options.align, images.names, name)
        if not loaded:
            loaded.append(_checked(_load(options), options.align))
        return loaded[0]

    return make


def _load(options: PredictorOptions) -> Predictor:
    if options.predictor is None:
        folder = hub.resolve(options.model)  # a wrong name is refused before PyTorch is imported
        from depth_distill_ros.inference.estimator import DepthEstimator

        estimator = DepthEstimator.from_pretrained(options.model, options.device, options.engine)
        return OwnModel(estimator, checkpoint_digest(folder), options.own_resolution)
    if options.predictor.startswith(HUGGING_FACE):
        from depth_distill_ros.evaluation.protocols.peers import HuggingFacePipeline

        name = options.predictor[len(HUGGING_FACE) :]
        return HuggingFacePipeline(name, options.align, options.device)
    return load_adapter(options.predictor, options.device)


def _checked(predictor: Predictor, align: Space | None) -> Predictor:
    if align is not None and align != predictor.space:
        raise ConfigError(
            f"{predictor.name} predicts {predictor.space}, up to scale and shift: a fit in {align} "
            f"would measure something else. Leave out --align {align}"
        )
    return predictor
