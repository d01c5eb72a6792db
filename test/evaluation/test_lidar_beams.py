"""The lasers of a projected scan are told apart without doubt: the split of bench/scale_reference."""

from __future__ import annotations

import numpy as np

from bench.lidar_beams import LOWER, UPPER, beam_numbers, elevation
from depth_distill_ros.evaluation.frames import load_sequence
from depth_distill_ros.geometry.camera import unproject


def test_every_laser_of_the_scanner_has_an_elevation_of_its_own(shared_data):
    sequence = load_sequence(shared_data / "seq_kitti_lidar_street")
    clouds = [unproject(f.depth, f.intrinsics)[f.depth > 0] for f in sequence]
    beams = beam_numbers(clouds)
    assert [len(numbers) for numbers in beams] == [len(cloud) for cloud in clouds]
    points, numbers = np.concatenate(clouds), np.concatenate(beams)
    # all 32 lasers of the upper block, and those of the lower that the image shows
    count = numbers.max() + 1
    assert count == 32 + 15
    ends = []
    for beam in range(count):
        rays = elevation(points[numbers == beam], LOWER if beam < 15 else UPPER)
        assert len(rays) > 2000
        ends.append((rays.min(), rays.max()))
    upper = np.array(ends[15:])
    # a gap of a pixel (0.08 degrees) between neighbours for all but the odd point
    spacing = np.diff(upper.mean(axis=1))
    assert (spacing > 0.2).all() and (spacing < 0.5).all()
    gaps = [
        low[0] - high[1]
        for block in (ends[:15], ends[15:])
        for high, low in zip(block, block[1:], strict=False)
    ]
    assert min(gaps) > 0.0
