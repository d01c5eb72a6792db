"""Scenarios of a camera that fails; each returns what became of the frames."""

from __future__ import annotations

import math
import time

from node_graph import SIZE, Figures, NodeGraph, noise, set_stamp
from processes import PeerProcess
from ros_graph import ros_camera_info, ros_image

SIZES = ((640, 480), (320, 240), (1280, 720), (97, 61), (640, 480))
"""Width and height, one after the other; aspects differ and return."""


def camera_dies(graph: NodeGraph, deaths: int = 3, frames: int = 10) -> Figures:
    """The camera's process is killed and a new one begins, again and again."""
    answers = graph.seen["relative/image"].stamps
    graph.good_frames()
    with graph.figures("camera dies (SIGKILL) and returns") as figures:
        for _ in range(deaths):
            camera = PeerProcess(graph, "camera", "--rate", "15")
            try:
                before = len(answers)
                camera.until_more(frames)
                time.sleep(0.5)
                assert len(answers) > before, "the new camera is not answered"
            finally:
                camera.kill()
            figures.sent += camera.sent_or_taken + graph.good_frames(1)
        figures.sent += graph.good_frames()
    return figures


def resolution_changes(graph: NodeGraph, rounds: int = 2) -> Figures:
    """Sizes change in the stream; the first frames of each still have the old camera_info."""
    _all_sizes(graph)
    with graph.figures("resolution changes, camera_info late") as figures:
        for _ in range(rounds):
            figures.sent += _all_sizes(graph)
        figures.sent += graph.good_frames()
    return figures


def _all_sizes(graph: NodeGraph) -> int:
    sent, old = 0, ros_camera_info(*SIZES[-1])
    depth, cloud = graph.seen["relative/image"], graph.seen["relative/points"]
    for width, height in SIZES:
        image, info = ros_image(noise(width, height), "rgb8"), ros_camera_info(width, height)
        fits = abs(width * old.height - height * old.width) <= max(old.width, old.height)
        for _ in range(2):
            set_stamp(image, graph.next_stamp())
            topics = ("relative/image", "relative/points") if fits else ("relative/image",)
            sent += graph.answered(image, old, topics)
            assert (depth.last.width, depth.last.height) == (width, height)
            if not fits:
                assert cloud.last.header.stamp != image.header.stamp
        set_stamp(image, graph.next_stamp())
        sent += graph.answered(image, info, ("relative/image", "relative/points"))
        assert (cloud.last.width, cloud.last.height) == (width, height)
        old = info
    return sent


def stamps_go_backwards(graph: NodeGraph, loops: int = 4, frames: int = 10) -> Figures:
    """A bag that plays in a loop: the same stamps come again."""
    first = graph.next_stamp() - 100_000
    image, info = ros_image(noise(*SIZE), "rgb8"), ros_camera_info(*SIZE)
    graph.good_frames()
    with graph.figures("stamps go backwards (a bag in a loop)") as figures:
        for _ in range(loops):
            for seen in graph.seen.values():
                seen.stamps.clear()
            for number in range(frames):
                figures.sent += graph.answered(set_stamp(image, first + number / 10), info)
        for stamp in (0.0, 2e9, 1.5):  # no stamp at all, the year 2033, a clock since the start
            figures.sent += graph.answered(set_stamp(image, stamp), info)
        figures.sent += graph.good_frames()
    return figures


def bad_camera_infos() -> dict[str, object]:
    """By what the log must say."""
    width, height = SIZE
    kinds = {}
    for name in ("nan", "infinite", "inverted", "zero", "metres", "other aspect", "no size"):
        kinds[name] = ros_camera_info(width, height)
    kinds["nan"].k[0] = kinds["nan"].p[0] = math.nan
    kinds["infinite"].p[2] = math.inf
    kinds["inverted"].k = [1 / 100, 0.0, -3.2, 0.0, 1 / 100, -2.4, 0.0, 0.0, 1.0]
    kinds["inverted"].p = [1 / 100, 0.0, -3.2, 0.0, 0.0, 1 / 100, -2.4, 0.0, 0.0, 0.0, 1.0, 0.0]
    kinds["zero"].k, kinds["zero"].p = [0.0] * 9, [0.0] * 12
    kinds["metres"].k[0] = kinds["metres"].p[0] = 0.004
    kinds["other aspect"].width = 100
    kinds["no size"].width = kinds["no size"].height = 0
    negative = kinds["negative"] = ros_camera_info(width, height)
    negative.k[0] = negative.k[4] = negative.p[0] = negative.p[5] = -100.0
    return kinds


def bad_intrinsics(graph: NodeGraph, repeats: int = 3) -> Figures:
    """NaN, inverted and other impossible intrinsics; depth goes on, clouds come with good ones."""
    image = ros_image(noise(*SIZE), "rgb8")
    cloud = graph.seen["relative/points"]
    graph.good_frames()
    with graph.figures("NaN, inverted and other impossible intrinsics") as figures:
        for name, info in bad_camera_infos().items():
            clouds = len(cloud.stamps)
            for _ in range(repeats):
                set_stamp(image, graph.next_stamp())
                figures.sent += graph.answered(image, info, ("relative/image",))
            assert len(cloud.stamps) == clouds, f"a cloud was made with {name} intrinsics"
            figures.sent += graph.good_frames(1)
        figures.sent += graph.good_frames()
    return figures
