"""The scores of a predictor on a benchmark, image by image."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from depth_distill_ros.errors import DataError, ImageError
from depth_distill_ros.evaluation.images import write_image
from depth_distill_ros.evaluation.metrics import DepthErrors, mean_errors
from depth_distill_ros.evaluation.protocols.cases import best_and_worst, draw_cases
from depth_distill_ros.evaluation.protocols.dataset import BenchmarkImages, resize_to_edge
from depth_distill_ros.evaluation.protocols.definition import Definition
from depth_distill_ros.evaluation.protocols.predictors import Predictor
from depth_distill_ros.evaluation.protocols.results import Results
from depth_distill_ros.evaluation.protocols.scoring import ImageScore, score_image


@dataclass
class Measurement:
    """The scores of one benchmark; `failed` is what could not be scored and why."""

    images: BenchmarkImages
    predictor: Predictor
    scores: list[ImageScore] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def definition(self) -> Definition:
        return self.images.definition

    @property
    def partial(self) -> bool:
        """Whether this is not the benchmark: images lack, or are not its own."""
        return len(self.scores) != self.definition.n

    @property
    def mean(self) -> DepthErrors:
        """The mean over images of each error."""
        return mean_errors([score.errors for score in self.scores])

    @property
    def coverage(self) -> float:
        """The mean share of valid pixels that the model gave a value for."""
        return float(np.mean([score.coverage for score in self.scores]))


def measure(
    images: BenchmarkImages,
    predictor: Predictor,
    folder: Path | None = None,
    allow_partial: bool = False,
) -> Measurement:
    """Scores every image, those of an interrupted run excepted; shows progress on stderr.

    folder: gets images.csv and the pictures. allow_partial: what cannot be scored is left out and
    noted, otherwise it ends the measurement with a DataError.
    """
    definition = images.definition
    results = None if folder is None else Results(folder, identity(images, predictor))
    measurement = Measurement(images, predictor)
    known = {} if results is None else results.scores
    for name, index in _progress(images):
        try:
            score = known.get(name) or _score(images, index, predictor)
        except (DataError, ImageError) as error:
            if not allow_partial:
                raise
            measurement.failed.append(str(error))
            continue
        if results is not None and name not in known:
            results.add(score)
        measurement.scores.append(score)
    if not measurement.scores:
        raise DataError(f"no image could be scored, first: {measurement.failed[0]}")
    if folder is not None:
        for kind, scores in best_and_worst(measurement.scores).items():
            title = (
                f"{definition.title}: {kind} of {len(measurement.scores)} images of {definition.n} "
                f"by AbsRel; {predictor.name}, checkpoint {predictor.checkpoint}, fit in "
                f"{predictor.space}, {predictor.resolution}"
            )
            picture = draw_cases(scores, images, predictor, predictor.space, title)
            write_image(folder / f"{kind}.png", picture)
    return measurement


def _score(images: BenchmarkImages, index: int, predictor: Predictor) -> ImageScore:
    image, definition = images[index], images.definition
    if not image.valid.any():
        raise DataError(f"{image.name}: no pixel has valid depth")
    rgb = resize_to_edge(image.rgb, definition.input_long_edge)
    prediction = np.asarray(predictor(rgb, image.name))
    space = predictor.space
    return score_image(image.name, prediction, image.depth, image.valid, definition, space)


def _progress(images: BenchmarkImages) -> Iterator[tuple[str, int]]:
    from tqdm import tqdm

    # In a log that nobody watches, a line now and then.
    interval = 0.5 if sys.stderr.isatty() else 60.0
    numbered = [(name, index) for index, name in enumerate(images.names)]
    title = images.definition.title
    yield from tqdm(numbered, desc=title, unit="image", mininterval=interval, dynamic_ncols=True)


def identity(images: BenchmarkImages, predictor: Predictor) -> dict[str, object]:
    """What two measurements must share for one to go on where the other stopped."""
    definition = images.definition
    digest = hashlib.sha256(repr((definition, images.pairs.pairs)).encode()).hexdigest()[:12]
    return {
        "benchmark": definition.name,
        "definition": digest,
        "images": len(images),
        "model": predictor.name,
        "checkpoint": predictor.checkpoint,
        "alignment": predictor.space,
        "resolution": predictor.resolution,
    }
