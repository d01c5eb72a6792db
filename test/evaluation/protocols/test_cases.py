"""Which images are shown, and that their panels fit together."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from depth_distill_ros.evaluation.figure import BAR_WIDTH, GAP, TITLE_HEIGHT
from depth_distill_ros.evaluation.metrics import DepthErrors
from depth_distill_ros.evaluation.protocols.cases import CASES, best_and_worst, draw_cases
from depth_distill_ros.evaluation.protocols.dataset import open_benchmark
from depth_distill_ros.evaluation.protocols.definition import load_definition
from depth_distill_ros.evaluation.protocols.scoring import ImageScore


def scores(*values):
    return [
        ImageScore(str(value), 1, 1.0, 1.0, 0.0, DepthErrors(value, 0, 0, 0, 0, 0))
        for value in values
    ]


def test_the_most_extreme_come_first():
    chosen = best_and_worst(scores(5, 1, 4, 2, 3, 6))
    assert [score.image for score in chosen["best"]] == ["1", "2", "3", "4"][:CASES]
    assert [score.image for score in chosen["worst"]] == ["6", "5", "4", "3"][:CASES]
    assert len(best_and_worst(scores(1, 2))["worst"]) == 2


# Sizes whose aspect is another after rounding: of the image that the model saw, of the picture.
@pytest.mark.parametrize("size", [(1009, 1511), (301, 1003), (97, 61)])
def test_panels_of_any_size_fit_together(tmp_path, size):
    images, depths = (
        tmp_path / "a/images/dslr_images",
        tmp_path / "a/ground_truth_depth/dslr_images",
    )
    images.mkdir(parents=True)
    depths.mkdir(parents=True)
    depth = np.linspace(1, 5, size[0] * size[1], dtype="<f4").reshape(size)
    depth[0] = np.inf
    cv2.imwrite(str(images / "A.JPG"), np.full((*size, 3), 99, np.uint8))
    depth.tofile(depths / "A.JPG")
    opened = open_benchmark(load_definition("eth3d"), tmp_path)
    score = ImageScore(opened.names[0], 1, 1.0, 1.0, 0.1, DepthErrors(0.5, 0, 0, 0, 0, 0))

    def predictor(rgb, image):
        return np.ones(rgb.shape[:2])

    picture = draw_cases([score, score], opened, predictor, "disparity", "title")
    assert picture.dtype == np.uint8 and picture.shape[1] > 1600
    first, second = np.split(picture[TITLE_HEIGHT + GAP :, :-BAR_WIDTH], 2)
    np.testing.assert_array_equal(first, second)
