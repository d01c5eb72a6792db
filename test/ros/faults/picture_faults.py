"""A scenario of compressed images that are damaged on their way."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator

import cv2
import numpy as np
from node_graph import SIZE, Figures, NodeGraph, jpeg, set_stamp
from ros_graph import ros_camera_info

HUGE = 65_500
"""Width and height that a damaged JPEG header states: 13 GB of pixels."""


def picture() -> np.ndarray:
    """A smooth picture, uint8 (480, 640, 3), as cameras take them."""
    small = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    return cv2.resize(small, SIZE, interpolation=cv2.INTER_CUBIC)


def damaged(data: bytes) -> Iterator[bytes]:
    """What may be left of a JPEG; all can be told from a good one."""
    for share in (0.02, 0.3, 0.7, 0.99):
        yield data[: round(share * len(data))]
    for start in (0.3, 0.6):  # a lost packet, while the end arrives
        cut = round(start * len(data))
        yield data[:cut] + data[cut + len(data) // 4 :]
    yield b""
    yield b"not a picture at all" * 50
    yield data[:2] + bytes(len(data) - 4) + data[-2:]
    frame = data.index(b"\xff\xc0") + 5  # height and width of the frame header
    size = HUGE.to_bytes(2, "big")
    yield data[:frame] + size + size + data[frame + 4 :]
    yield data[:frame] + bytes(4) + data[frame + 4 :]
    png = cv2.imencode(".png", picture())[1].tobytes()
    yield png[: len(png) // 2]
    yield png[:3000] + bytes([png[3000] ^ 255]) + png[3001:]


def flipped(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """JPEG files with a few wrong bytes anywhere: some cannot be told from good ones."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        values = bytearray(data)
        for at in rng.integers(2, len(values), 5):
            values[at] = rng.integers(256)
        yield bytes(values)


def corrupt_jpeg(graph: NodeGraph, flips: int = 40) -> Figures:
    """Truncated and corrupt files, each followed by a good one; notes: how many must be refused."""
    good, info = jpeg(picture()), ros_camera_info(*SIZE)
    data = bytes(good.data)

    def answered() -> int:
        return graph.answered(set_stamp(good, graph.next_stamp()), info)

    for _ in range(5):
        answered()
    surely_bad = list(damaged(data))
    with graph.figures("corrupt and truncated JPEG and PNG") as figures:
        for content in [*surely_bad, *flipped(data, flips, seed=0)]:
            bad = set_stamp(jpeg(picture()), graph.next_stamp())
            bad.data = array("B", content)
            graph.send(bad, info)
            time.sleep(0.02)  # a good one at once would take its place
            figures.sent += 1 + answered()
    figures.notes = {"surely bad": len(surely_bad)}
    return figures
