"""Accuracy of a model on sequences of frames and on shards of rendered images.

Protocol (`metrics.py`): affine alignment in disparity per image, valid depth 0.1-80 m, mean over
the images of a sequence, then over sequences. Beside the model stand two priors that look at no
pixel: a constant, and a vertical ramp (lower in the image is nearer). A model that does not beat
the ramp has learned nothing that the camera's usual attitude does not say.

Sequences with a stereo disparity of unknown scale have a row and a mean of their own: depth is
1/disparity with a median of 1, so their RMSE is in medians and not in metres.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.frames import find_sequences, load_sequence
from depth_distill_ros.evaluation.metrics import (
    DepthErrors,
    align_to_depth,
    depth_errors,
    mean_errors,
    valid_depth,
)

DEPTH_RANGE = (0.1, 80.0)
MIN_PIXELS = 200
"""Images with fewer valid pixels are left out: their fit would say little."""

ALIGNMENT = "affine in disparity, per image"
SETTINGS = ("indoor", "outdoor", "stereo", "all")
"""Kinds of rows that have a mean; `all` are those in metres."""

Predictor = Callable[[np.ndarray], np.ndarray]
"""uint8 RGB (H, W, 3) to relative disparity (H, W), NaN where invalid."""


def with_invalid(depth_map: Any) -> np.ndarray:
    """The disparity of a `DepthMap`, float32 (H, W), with NaN where it is invalid."""
    return np.where(depth_map.valid, depth_map.disparity, np.float32(np.nan))


def constant_prior(rgb: np.ndarray) -> np.ndarray:
    """The same disparity everywhere; aligned, the harmonic mean depth."""
    return np.zeros(rgb.shape[:2], np.float32)


def ramp_prior(rgb: np.ndarray) -> np.ndarray:
    """Disparity that grows linearly from the top row to the bottom row."""
    height, width = rgb.shape[:2]
    return np.repeat(np.linspace(0, 1, height, dtype=np.float32)[:, None], width, axis=1)


PRIORS: dict[str, Predictor] = {"constant": constant_prior, "ramp": ramp_prior}


@dataclass(frozen=True)
class Sample:
    """One image to score: `group` is its row in the table, `setting` its mean."""

    group: str
    setting: str
    rgb: np.ndarray
    depth: np.ndarray


@dataclass(frozen=True)
class Row:
    """Mean errors of one sequence or kind of scene.

    Attributes:
        n: images scored.
        coverage: share of the measured pixels that the model gave a value for; the rest are not
            scored.
        errors: by predictor.
    """

    name: str
    setting: str
    n: int
    coverage: float
    errors: dict[str, DepthErrors]


@dataclass
class Benchmark:
    """Where the samples of a split come from, and what was left out of it."""

    split: str
    samples: Iterable[Sample]
    left_out: list[str] = field(default_factory=list)


def is_outdoor(name: str) -> bool:
    """Folders that start with `out_` or contain `kitti`; kinds that start with `outdoor`."""
    return name.startswith(("out_", "outdoor")) or "kitti" in name


def setting_of(name: str) -> str:
    """ "outdoor" or "indoor", by the name of a folder or kind of scene."""
    return "outdoor" if is_outdoor(name) else "indoor"


def frames_benchmark(folder: str | Path) -> Benchmark:
    """The sequences at or below a folder. Raises DataError where none has measured depth."""
    sequences = [load_sequence(path) for path in find_sequences(folder)]
    benchmark = Benchmark(split=str(folder), samples=())
    scored = []
    for sequence in sequences:
        if not any(sequence.depth_files):
            benchmark.left_out.append(f"{sequence.name} (no depth)")
        else:
            scored.append(sequence)
    if not scored:
        raise DataError(f"no sequence in {folder} has depth to compare with")

    def samples() -> Iterator[Sample]:
        for sequence in scored:
            setting = "stereo" if sequence.relative else setting_of(sequence.name)
            for index, frame in enumerate(sequence):
                depth = sequence.relative_depth(index) if sequence.relative else frame.depth
                if depth is not None:
                    yield Sample(sequence.name, setting, frame.rgb, depth)

    benchmark.samples = samples()
    return benchmark


def shards_benchmark(folder: str | Path) -> Benchmark:
    """Rendered shards `shard-*-{rgb,depth}.npy` with `-info.json`; a row a kind of scene.

    Sky, stored as depth 0, is not scored: it has no finite depth. Raises DataError where the
    folder holds no shards or a shard is incomplete.
    """
    folder = Path(folder)
    stems = sorted(path.name[: -len("-rgb.npy")] for path in folder.glob("shard-*-rgb.npy"))
    if not stems:
        raise DataError(f"{folder} holds no shards (shard-00000-rgb.npy, …)")

    def samples() -> Iterator[Sample]:
        for rgb, depth, kind in sorted(_read_shards(folder, stems), key=lambda item: item[2]):
            yield Sample(kind, setting_of(kind), np.array(rgb), np.asarray(depth, np.float32))

    return Benchmark(split=f"{folder} (rendered)", samples=samples())


def _read_shards(folder: Path, stems: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    for stem in stems:
        try:
            rgb = np.load(folder / f"{stem}-rgb.npy", mmap_mode="r", allow_pickle=False)
            depth = np.load(folder / f"{stem}-depth.npy", mmap_mode="r", allow_pickle=False)
            images = json.loads((folder / f"{stem}-info.json").read_text(encoding="utf-8"))
            kinds = [str(image["kind"]).split("/")[0] for image in images]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder / stem} is not a complete shard: {error}") from error
        if not len(rgb) == len(depth) == len(kinds):
            raise DataError(
                f"{folder / stem} has {len(rgb)} images, {len(depth)} depth maps and "
                f"{len(kinds)} descriptions: render the shard again"
            )
        yield from zip(rgb, depth, kinds, strict=True)


def score(samples: Iterable[Sample], predictors: dict[str, Predictor]) -> Iterator[Row]:
    """A row for each run of samples of one group, as soon as the group is done.

    The first predictor is the model: its invalid pixels are left out for all, so that every
    column of a row is about the same pixels.
    """
    group: Sample | None = None
    scored: list[tuple[float, dict[str, DepthErrors]]] = []
    for sample in samples:
        if group is not None and sample.group != group.group and scored:
            yield _row(group, scored)
            scored = []
        group = sample
        result = score_image(sample.rgb, sample.depth, predictors)
        if result is not None:
            scored.append(result)
    if group is not None and scored:
        yield _row(group, scored)


def score_image(
    rgb: np.ndarray, depth: np.ndarray, predictors: dict[str, Predictor]
) -> tuple[float, dict[str, DepthErrors]] | None:
    """Coverage and errors of one image; None where too few pixels are measured or predicted."""
    measured = valid_depth(depth, DEPTH_RANGE)
    if np.count_nonzero(measured) < MIN_PIXELS:
        return None
    maps = {name: predict(rgb) for name, predict in predictors.items()}
    mask = measured & np.isfinite(next(iter(maps.values())))
    if np.count_nonzero(mask) < MIN_PIXELS:
        return None
    truth = depth[mask].astype(np.float64)
    errors = {
        name: depth_errors(align_to_depth(disparity[mask], truth, "disparity", DEPTH_RANGE), truth)
        for name, disparity in maps.items()
    }
    return float(np.count_nonzero(mask) / np.count_nonzero(measured)), errors


def _row(sample: Sample, scored: list[tuple[float, dict[str, DepthErrors]]]) -> Row:
    return Row(
        name=sample.group,
        setting=sample.setting,
        n=len(scored),
        coverage=float(np.mean([coverage for coverage, _ in scored])),
        errors={name: mean_errors([errors[name] for _, errors in scored]) for name in scored[0][1]},
    )


def means(rows: list[Row]) -> list[Row]:
    """The means over the rows of each of `SETTINGS` that there are; `n` counts rows.

    Raises DataError without rows.
    """
    if not rows:
        raise DataError(f"no image has {MIN_PIXELS} pixels with measured depth in range")
    result = []
    for setting in SETTINGS:
        chosen = [row for row in rows if in_mean(row.setting, setting)]
        if chosen:
            errors = {
                name: mean_errors([row.errors[name] for row in chosen]) for name in rows[0].errors
            }
            coverage = float(np.mean([row.coverage for row in chosen]))
            result.append(Row(f"mean {setting}", setting, len(chosen), coverage, errors))
    return result


def in_mean(setting: str, mean: str) -> bool:
    """Whether a row of a setting counts in a mean of `SETTINGS`."""
    return setting != "stereo" if mean == "all" else setting == mean


def checkpoint_digest(folder: Path) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of a model folder's weights."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:12]


def benchmark_report(benchmark: Benchmark, rows: list[Row], model: str, checkpoint: str) -> dict:
    """What `d3epth evaluate --output` writes about one split."""
    return {
        "split": benchmark.split,
        "model": model,
        "checkpoint": checkpoint,
        "alignment": ALIGNMENT,
        "depth_range": list(DEPTH_RANGE),
        "n": sum(row.n for row in rows),
        "images": sum(row.n for row in rows),
        "left_out": benchmark.left_out,
        "rows": [asdict(row) for row in rows],
        "means": {row.setting: asdict(row) for row in means(rows)},
    }
