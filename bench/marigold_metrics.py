"""Marigold's evaluation, computed from its definitions alone, against ours on the same arrays.

    python bench/marigold_metrics.py    # compare, print the largest differences
    python bench/marigold_metrics.py --output test/evaluation/protocols/marigold_numbers.json

The second call also stores the numbers, which the tests compare with.

What is computed here shares no code with the package: files are decoded, cut and masked by the few
lines below, the fit is the solution of the design matrix [p, 1], every metric is its formula. The
definitions are those of Ke et al. (Marigold, CVPR 2024, section 4.1) with the constants of its
public evaluation: least squares per image over valid pixels, in depth, or in disparity where the
prediction is positive; clipping; mean over the pixels of an image, then over images. All float64.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from miniature import PREDICTED, SPACES, write_benchmarks, write_predictions

TOLERANCE = 1e-6
METRICS = ("abs_rel", "rmse", "log10", "delta1", "delta2", "delta3")
INFINITY = float("inf")


def png(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float64)


def nyuv2(root: Path, image: str) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Depth, valid, and the ends of the clipping."""
    folder, name = (root / image).parent, (root / image).name
    depth = (png(folder / f"{name.replace('rgb', 'depth')}.png") / 1000).astype(np.float32)
    valid = np.zeros(depth.shape, bool)
    for row in range(45, 471):
        for column in range(41, 601):
            valid[row, column] = np.float32(0.001) < depth[row, column] < np.float32(10)
    return depth, valid, 0.001, 10.0


def kitti(root: Path, image: str) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Depth cut to 352x1216 at the bottom and the middle; valid within the crop of Eigen."""
    drive, frame = Path(image).parts[1], Path(image).name
    stored = png(root / drive / "proj_depth/groundtruth/image_02" / f"{frame}.png") / 256
    top, left = stored.shape[0] - 352, int((stored.shape[1] - 1216) / 2)
    depth = stored[top : top + 352, left : left + 1216].astype(np.float32)
    inside = np.zeros(depth.shape, bool)
    inside[
        int(0.3324324 * 352) : int(0.91351351 * 352), int(0.0359477 * 1216) : int(0.96405229 * 1216)
    ] = True
    return depth, inside & (depth > np.float32(1e-5)) & (depth < 80), 1e-5, 80.0


def eth3d(root: Path, image: str) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Raw float32 in the shape of the image; infinite is not measured."""
    _, scene, *_, name = Path(image).parts
    shape = cv2.imread(str(root / f"{image}.JPG")).shape[:2]
    path = f"depth/{scene}_dslr_depth/{scene}/ground_truth_depth/dslr_images/{name}.JPG"
    depth = np.fromfile(root / path, np.float32).reshape(shape)
    depth[depth == INFINITY] = 0
    return depth, depth > np.float32(1e-5), 1e-5, INFINITY


def scannet(root: Path, image: str) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Depth in millimetres, valid from 1 mm to 10 m."""
    scene, _, frame = Path(image).parts
    depth = (png(root / scene / "depth" / f"{frame}.png") / 1000).astype(np.float32)
    return depth, (depth > np.float32(0.001)) & (depth < 10), 0.001, 10.0


def diode(root: Path, image: str) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Valid is the mask of the data set; predictions are clipped to 0.6-350 m."""
    depth = np.load(root / f"{image}_depth.npy")[:, :, 0]
    return depth, np.load(root / f"{image}_depth_mask.npy") == 1, 0.6, 350.0


READERS = {"nyuv2": nyuv2, "kitti": kitti, "eth3d": eth3d, "scannet": scannet, "diode": diode}


def fit_columns(benchmark: str, shape: tuple[int, int]) -> list[int]:
    """The columns of the fit. Only ETH3D samples: as nearest-neighbour resizing to a long edge of
    1024, which Marigold's code applies to the width alone."""
    if benchmark != "eth3d" or max(shape) <= 1024:
        return list(range(shape[1]))
    factor = 1024 / max(shape)
    columns = []
    for target in range(math.floor(shape[1] * factor)):
        columns.append(min(math.floor(target / factor), shape[1] - 1))
    return columns


def image_errors(benchmark: str, root: Path, image: str, prediction: np.ndarray, space: str):
    """The metrics of one image, by name."""
    depth, valid, low, high = READERS[benchmark](root, image)
    depth, prediction = depth.astype(np.float64), prediction.astype(np.float64)
    columns = fit_columns(benchmark, depth.shape)
    fit_valid = valid[:, columns]
    if space == "disparity":
        fit_valid = fit_valid & (prediction[:, columns] > 0)
    x, y = prediction[:, columns][fit_valid], depth[:, columns][fit_valid]
    if space == "disparity":
        y = 1 / y
    design = np.stack([x, np.ones_like(x)], axis=1)
    scale, shift = np.linalg.lstsq(design, y, rcond=None)[0]
    aligned = prediction * scale + shift
    if space == "disparity":
        aligned = 1 / np.clip(aligned, 1e-3, None)
    aligned = np.clip(np.clip(aligned, low, high), 1e-6, None)
    a, d = aligned[valid], depth[valid]
    ratio = np.maximum(a / d, d / a)
    return {
        "abs_rel": (np.abs(a - d) / d).sum() / d.size,
        "rmse": math.sqrt(((a - d) ** 2).sum() / d.size),
        "log10": np.abs(np.log10(a) - np.log10(d)).sum() / d.size,
        "delta1": (ratio < 1.25).sum() / d.size,
        "delta2": (ratio < 1.25**2).sum() / d.size,
        "delta3": (ratio < 1.25**3).sum() / d.size,
    }


def from_definitions(root: Path, predictions: Path) -> dict:
    """Numbers by benchmark and space: those of each image, and their means."""
    numbers = {}
    for benchmark, images in PREDICTED.items():
        numbers[benchmark] = {}
        for space in SPACES:
            by_image = {}
            for image, *_ in images:
                prediction = np.load(predictions / space / benchmark / f"{image}.npy")
                errors = image_errors(benchmark, root / benchmark, image, prediction, space)
                by_image[image] = {name: float(errors[name]) for name in METRICS}
            mean = {
                name: sum(errors[name] for errors in by_image.values()) / len(by_image)
                for name in METRICS
            }
            numbers[benchmark][space] = {"images": by_image, "mean": mean}
    return numbers


def from_package(root: Path, predictions: Path, benchmark: str, space: str) -> dict:
    """The same by `depth_distill_ros`: errors by image without its suffix."""
    from depth_distill_ros.evaluation.protocols.dataset import open_benchmark
    from depth_distill_ros.evaluation.protocols.definition import load_definition
    from depth_distill_ros.evaluation.protocols.measurement import measure
    from depth_distill_ros.evaluation.protocols.predictors import SavedPredictions

    images = open_benchmark(load_definition(benchmark), root)
    predictor = SavedPredictions(predictions / space / benchmark, space, images.names)
    scores = measure(images, predictor).scores
    return {score.image.rsplit(".", 1)[0]: vars(score.errors) for score in scores}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, metavar="FILE", help="store them as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, predictions = Path(folder, "data"), Path(folder, "predictions")
        write_benchmarks(root)
        write_predictions(predictions)
        numbers = from_definitions(root, predictions)
        worst = 0.0
        for benchmark, by_space in numbers.items():
            for space, expected in by_space.items():
                ours = from_package(root, predictions, benchmark, space)
                differences = [
                    abs(ours[image][name] - value)
                    for image, errors in expected["images"].items()
                    for name, value in errors.items()
                ]
                worst = max(worst, *differences)
                mean = expected["mean"]
                print(
                    f"{benchmark:8} {space:9} n {len(ours)}  AbsRel {mean['abs_rel']:.6f}  "
                    f"δ1 {mean['delta1']:.6f}  largest difference {max(differences):.1e}"
                )
    if options.output is not None:
        options.output.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
        print(f"written: {options.output}")
    print(f"largest difference {worst:.1e}, allowed {TOLERANCE:.0e}")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
