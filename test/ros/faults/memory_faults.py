"""A scenario of memory that runs out: a limit on the running node, below what it needs."""

from __future__ import annotations

import re
import resource
import time
from pathlib import Path

from node_graph import Figures, NodeGraph, noise, set_stamp
from ros_graph import ros_camera_info, ros_image

RESOLUTION = (256, 384)
"""Of the model: its inference takes some 35 MiB besides what the node holds."""

ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""Freed memory goes back at once, so that what a limit leaves does not depend on the past."""

STEPS_MIB = (200, 40, 28, 20, 16, 13, 10, 8, 6)
"""What the node may take besides what it holds. With none at all rclpy itself crashes at times."""


def data_size(pid: int) -> int:
    """Bytes of a process that the limit RLIMIT_DATA counts."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmData:\s+(\d+) kB", status)[1]) << 10


def out_of_memory(graph: NodeGraph) -> Figures:
    """Memory gets scarcer from frame to frame until nothing is answered, then there is enough.

    Notes: MiB left at the first frame without an answer, and to what the node reduced its work.
    """
    image, info = ros_image(noise(160, 120), "rgb8"), ros_camera_info(160, 120)
    pid, unlimited = graph.process.pid, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    answers = graph.seen["relative/image"].stamps
    graph.good_frames()
    unanswered, reductions = None, []
    with graph.figures("out of memory in inference") as figures:
        try:
            for mebibytes in STEPS_MIB:
                limit = (data_size(pid) + (mebibytes << 20), resource.RLIM_INFINITY)
                resource.prlimit(pid, resource.RLIMIT_DATA, limit)
                stamp = graph.next_stamp()
                graph.send(set_stamp(image, stamp), info)
                figures.sent += 1
                deadline = time.monotonic() + 3.0
                while stamp not in answers[-2:] and time.monotonic() < deadline:
                    time.sleep(0.01)
                reductions.append(graph.values("model").get("reduced to", ""))
                if stamp not in answers[-2:]:
                    unanswered = mebibytes
                    break
        finally:
            resource.prlimit(pid, resource.RLIMIT_DATA, unlimited)
        figures.sent += graph.good_frames()
    figures.notes = {
        "unanswered at MiB": unanswered,
        "reduced to": [words.split()[0] for words in dict.fromkeys(reductions) if words],
    }
    return figures
