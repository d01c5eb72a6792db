"""The scores of a predictor on a benchmark, image by image."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np

from depth_distill_ros.errors import DataError, ImageError
from depth_distill_ros.evaluation.images import write_image
from depth_distill_ros.evaluation.metrics import mean_errors
from depth_distill_ros.evaluation.protocols.cases import best_and_worst, draw_cases
from depth_distill_ros.evaluation.protocols.clips import score_clip
from depth_distill_ros.evaluation.protocols.dataset import BenchmarkImages, resize_to_edge
from depth_distill_ros.evaluation.protocols.definition import Definition
from depth_distill_ros.evaluation.protocols.pairing import clip_of
from depth_distill_ros.evaluation.protocols.predictors import Predictor
from depth_distill_ros.evaluation.protocols.results import Results
from depth_distill_ros.evaluation.protocols.scoring import ImageScore, score_image
from depth_distill_ros.evaluation.protocols.tasks import TASKS, Errors
from depth_distill_ros.evaluation.protocols.unaligned import score_matte, score_points

PICTURED = ("depth", "boundary")
"""Tasks whose best and worst images are drawn."""


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
        return self.count != self.definition.n

    @property
    def count(self) -> int:
        """How many were scored of what the definition counts: images, or pairs of points."""
        if self.definition.task == "points":
            return sum(score.pixels for score in self.scores)
        return len(self.scores)

    @property
    def mean(self) -> Errors:
        """The mean of each error: over images; over frames, then clips; over pairs of points."""
        errors = [score.errors for score in self.scores]
        if self.definition.task == "points":
            return mean_errors(errors, [score.pixels for score in self.scores])
        if self.definition.task == "video":
            clips = groupby(self.scores, key=lambda score: clip_of(score.image))
            return mean_errors([mean_errors([each.errors for each in clip]) for _, clip in clips])
        return mean_errors(errors)

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
    kind = TASKS[definition.task]
    results = None if folder is None else Results(folder, identity(images, predictor), kind)
    measurement = Measurement(images, predictor)
    known = {} if results is None else dict(results.scores)
    for unit in _progress(images):
        names = [images.names[index] for index in unit]
        try:
            whole = all(name in known for name in names)
            scores = [known[name] for name in names] if whole else _score(images, unit, predictor)
        except (DataError, ImageError) as error:
            if not allow_partial:
                raise
            measurement.failed.append(str(error))
            continue
        if results is not None:
            for score in scores:
                if score.image not in known:
                    results.add(score)
        measurement.scores += scores
    if not measurement.scores:
        raise DataError(f"no image could be scored, first: {measurement.failed[0]}")
    if folder is not None and definition.task in PICTURED:
        _draw(measurement, folder)
    return measurement


def _draw(measurement: Measurement, folder: Path) -> None:
    definition, predictor = measurement.definition, measurement.predictor
    for kind, scores in best_and_worst(measurement.scores).items():
        title = (
            f"{definition.title}: {kind} of {len(measurement.scores)} images of {definition.n} "
            f"by AbsRel; {predictor.name}, checkpoint {predictor.checkpoint}, fit in "
            f"{predictor.space}, {predictor.resolution}"
        )
        picture = draw_cases(scores, measurement.images, predictor, predictor.space, title)
        write_image(folder / f"{kind}.png", picture)


def _score(images: BenchmarkImages, unit: list[int], predictor: Predictor) -> list[ImageScore]:
    """The scores of an image, or of the frames of a clip."""
    definition, space = images.definition, predictor.space
    if definition.task == "video":
        return score_clip(images, unit, predictor)
    (index,) = unit
    name = images.names[index]
    if definition.task in PICTURED:
        image = images[index]
        if not image.valid.any():
            raise DataError(f"{name}: no pixel has valid depth")
        prediction = _predict(predictor, image.rgb, name, definition)
        depth, valid, known = image.depth, image.valid, image.known
        return [score_image(name, prediction, depth, valid, definition, space, known)]
    rgb = images.rgb(index)
    prediction = _predict(predictor, rgb, name, definition)
    if definition.task == "matte":
        return [score_matte(name, prediction, images.matte(index), space)]
    return [score_points(name, prediction, rgb.shape[:2], images.points(index), space)]


def _predict(
    predictor: Predictor, rgb: np.ndarray, name: str, definition: Definition
) -> np.ndarray:
    return np.asarray(predictor(resize_to_edge(rgb, definition.input_long_edge), name))


def _progress(images: BenchmarkImages) -> Iterator[list[int]]:
    from tqdm import tqdm

    # In a log that nobody watches, a line now and then.
    interval = 0.5 if sys.stderr.isatty() else 60.0
    title = images.definition.title
    unit = "clip" if images.definition.task == "video" else "image"
    yield from tqdm(images.units, desc=title, unit=unit, mininterval=interval, dynamic_ncols=True)


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
