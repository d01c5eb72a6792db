"""Scenarios of a metric reference that is wrong, missing, or out of order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from node_graph import SIZE, Figures, NodeGraph, noise, set_stamp, stamp_of
from ros_graph import ros_camera_info, ros_image

PARAMETERS = ("scale.mode:=reference", "reference.type:=image", "depth.edge_mask:=false")
TOPICS = ("relative/image", "depth/image", "depth/scale")
SCALE, SHIFT = 1.5, 0.25
"""In 1/m: what makes metres of the disparity of the small model, whose depth means nothing."""
OUTLIERS = 0.6


@dataclass
class Scene:
    """A picture, and the depth in metres that a perfect reference would measure."""

    image: object
    info: object
    depth: np.ndarray

    @classmethod
    def of(cls, graph: NodeGraph) -> Scene:
        """Asks the node for its disparity, and makes metres of it."""
        image, info = ros_image(noise(*SIZE), "rgb8"), ros_camera_info(*SIZE)
        graph.answered(set_stamp(image, graph.next_stamp()), info, ("relative/image",))
        return cls(image, info, 1 / (SCALE * floats(graph.seen["relative/image"].last) + SHIFT))

    def reference(self, stamp: float, outliers: float, seed: int = 0) -> object:
        """A depth image of which a share is anywhere from 0.3 to 20 m."""
        rng = np.random.default_rng(seed)
        measured = self.depth.copy()
        wrong = rng.random(measured.shape) < outliers
        measured[wrong] = rng.uniform(0.3, 20.0, int(wrong.sum())).astype(np.float32)
        return set_stamp(ros_image(measured, "32FC1"), stamp)

    def error(self, message: object) -> float:
        """Mean relative error of a depth image (AbsRel)."""
        return float(np.nanmean(np.abs(floats(message) - self.depth) / self.depth))


def floats(message: object) -> np.ndarray:
    """The values of a 32FC1 image, float32 (H, W)."""
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


def scale_of(graph: NodeGraph) -> dict[str, str]:
    """The last message on depth/scale, by name."""
    return {pair.key: pair.value for pair in graph.seen["depth/scale"].last.status[0].values}


def _measured(graph: NodeGraph, scene: Scene, stamp: float, seed: int, topics=TOPICS) -> int:
    """Sends a reference with outliers and its image; how many images it took."""
    references = {"reference/image": scene.reference(stamp, OUTLIERS, seed)}
    image = set_stamp(scene.image, stamp)
    return graph.answered(image, scene.info, topics, references=references)


def outliers(graph: NodeGraph, frames: int = 20) -> Figures:
    """60 % of each reference image are wrong; notes: the largest AbsRel and the scales' range."""
    scene = Scene.of(graph)
    with graph.figures("reference depth with 60 % outliers") as figures:
        errors, scales = [], []
        for number in range(frames):
            figures.sent += _measured(graph, scene, graph.next_stamp(), number)
            errors.append(scene.error(graph.seen["depth/image"].last))
            scales.append(float(scale_of(graph)["scale"]))
    figures.notes = {"AbsRel": max(errors), "scale": (min(scales), max(scales))}
    return figures


def missing(graph: NodeGraph, seconds: int = 60) -> Figures:
    """No reference for a minute, by the stamps; notes: seconds with metric depth, AbsRel after."""
    scene = Scene.of(graph)
    metric = graph.seen["depth/image"]
    with graph.figures("no reference for a minute") as figures:
        figures.sent += _measured(graph, scene, graph.next_stamp(), 0)
        held, statuses = 0, []
        for _ in range(seconds):
            set_stamp(scene.image, stamp := graph.next_stamp())
            topics = ("relative/image", "depth/scale")
            figures.sent += graph.answered(scene.image, scene.info, topics)
            statuses.append(scale_of(graph)["status"])
            held += stamp in metric.stamps[-5:]
        figures.sent += _measured(graph, scene, graph.next_stamp(), 1)
    figures.notes = {
        "held s": held,
        "statuses": list(dict.fromkeys(statuses)),
        "AbsRel after": scene.error(metric.last),
    }
    return figures


def loops(graph: NodeGraph, times: int = 3, frames: int = 8) -> Figures:
    """A bag with references in a loop; notes: the largest AbsRel and the scales' range."""
    scene, first = Scene.of(graph), graph.next_stamp() - 500_000
    with graph.figures("a bag with its reference in a loop") as figures:
        errors, scales = [], []
        for turn in range(times):
            for seen in graph.seen.values():
                seen.stamps.clear()
            for number in range(frames):
                stamp = first + number / 10
                figures.sent += _measured(graph, scene, stamp, 100 * turn + number)
                assert stamp_of(graph.seen["depth/image"].last) == stamp_of(scene.image)
                errors.append(scene.error(graph.seen["depth/image"].last))
                scales.append(float(scale_of(graph)["scale"]))
    figures.notes = {"AbsRel": max(errors), "scale": (min(scales), max(scales))}
    return figures
