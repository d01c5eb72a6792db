"""A moving camera through one scene, written as a sequence of frames with depth and poses.

The layout is that of the evaluation's sequences: ``rgb/000000.png``, ``depth/000000.npz`` (key
``depth``, float32 metres, 0 = no surface), ``intrinsics.json`` and ``poses.txt`` (TUM: t tx ty tz
qx qy qz qw, optical frame to world).
"""

from __future__ import annotations

import io
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from depth_distill_ros.errors import DataError
from training.scenes.assets import Tier, load_assets
from training.scenes.camera import is_useful
from training.scenes.catalogue import build_scene, mixture
from training.scenes.files import replace_file
from training.scenes.frame import Frame, intrinsics_of, shoot
from training.scenes.photograph import auto_exposure, random_look
from training.scenes.renderer import Renderer
from training.scenes.scene import CameraPose, Scene
from training.scenes.trajectory import camera_path

MAX_SCENES, STARTS = 20, 16
SEARCH_SIZE = (160, 120)
SUPERSAMPLING = 2


def render_sequence(
    folder: str | Path,
    frames: int,
    size: tuple[int, int] = (640, 480),
    seed: int = 0,
    kind: str = "indoor",
    tier: Tier = "procedural",
    rate: float = 30.0,
    progress: bool = True,
) -> None:
    """Render ``frames`` frames at ``rate`` Hz into ``folder`` (width, height = ``size``).

    Raises DataError where the folder holds something that is no rendered sequence, or for a kind
    or tier that does not exist.
    """
    if frames < 1 or not rate > 0:
        raise DataError("a sequence needs at least one frame and a positive rate")
    mixture((kind,))
    folder = _fresh_folder(Path(folder))
    assets = load_assets(tier)
    renderer = Renderer(assets, size, SUPERSAMPLING)
    scene, path = find_path(assets, renderer, kind, seed, frames, rate)
    from tqdm import tqdm

    shots = shoot_path(renderer, path, seed)
    lines = ["# timestamp tx ty tz qx qy qz qw (camera-to-world, optical frame)\n"]
    for i, frame in enumerate(tqdm(shots, total=frames, unit="frame", disable=not progress)):
        code = cv2.imencode(".png", frame.rgb[..., ::-1])[1].tobytes()
        replace_file(folder / "rgb" / f"{i:06d}.png", lambda file, code=code: file.write(code))
        packed = io.BytesIO()
        np.savez_compressed(packed, depth=frame.depth)
        depth_path = folder / "depth" / f"{i:06d}.npz"
        replace_file(depth_path, lambda file, data=packed: file.write(data.getvalue()))
        numbers = [i / rate, *frame.pose[:3, 3], *quaternion(frame.pose[:3, :3])]
        lines.append(f"{numbers[0]:.6f} " + " ".join(f"{n:.9f}" for n in numbers[1:]) + "\n")
    k = intrinsics_of(path[0].tan_half_fov_x, size)
    about = {
        "width": k.width, "height": k.height, "fx": k.fx, "fy": k.fy, "cx": k.cx, "cy": k.cy,
        "depth_unit_m": 1.0, "depth_format": "npz_depth", "frames": frames,
        "source": "rendered by training.scenes", "kind": scene.kind, "seed": scene.seed,
        "tier": tier, "licence": assets.licences, "poses": "exact; world has y up",
    }  # fmt: skip
    text = json.dumps(about, indent=1).encode()
    (folder / "poses.txt").write_text("".join(lines), encoding="utf-8")
    replace_file(folder / "intrinsics.json", lambda file: file.write(text))


def find_path(
    assets,
    renderer: Renderer,
    kind: str,
    seed: int,
    frames: int,
    rate: float,
    starts: int = STARTS,
) -> tuple[Scene, list[CameraPose]]:
    """The first scene, from ``seed`` on, through which a camera finds a free and useful way.

    It is loaded in the renderer. ``starts`` cameras are tried in each scene. Raises DataError if
    none of many scenes has such a way.
    """
    for scene_seed in range(seed, seed + MAX_SCENES):
        scene = build_scene(assets, kind, scene_seed)
        renderer.load(scene)
        rng = np.random.default_rng([scene_seed, 2])
        if path := path_in(scene, renderer, frames, rate, rng, starts):
            return scene, path
    raise DataError(
        f"no free camera path of {frames} frames in {MAX_SCENES} scenes of kind '{kind}': "
        "try another seed or fewer frames"
    )


def path_in(
    scene: Scene,
    renderer: Renderer,
    frames: int,
    rate: float,
    rng: np.random.Generator,
    starts: int = STARTS,
) -> list[CameraPose] | None:
    """A free and useful way of a camera through the loaded scene, or None."""
    with renderer.at_size(SEARCH_SIZE, 1):
        for start in _good_starts(scene, renderer, rng, starts):
            path = camera_path(scene, start, frames, rate, rng)
            if path and all(
                is_useful(renderer.render(pose)[1], scene.near_limit) for pose in path[::5]
            ):
                return path
    return None


def _good_starts(
    scene: Scene, renderer: Renderer, rng: np.random.Generator, count: int
) -> list[CameraPose]:
    """Of ``count`` cameras those that see much at many distances, the best first."""
    found = []
    for _ in range(count):
        pose = scene.sample_camera(rng)
        depth = renderer.render(pose)[1]
        if is_useful(depth, 3 * scene.near_limit, min_visible=0.5):
            found.append((_richness(depth), pose))
    return [pose for _, pose in sorted(found, key=lambda entry: -entry[0])]


def _richness(depth: np.ndarray) -> float:
    """Spread of log depth times the share of pixels at a depth edge: many things, near and far."""
    logs = np.log(np.where(depth > 0, depth, 100.0))
    edges = float((np.abs(np.diff(logs, axis=1)) > 0.05).mean())
    return float(logs[depth > 0].std()) * edges


def shoot_path(renderer: Renderer, path: list[CameraPose], seed: int) -> Iterator[Frame]:
    """Photograph the loaded scene along a path with one camera, its exposure following slowly."""
    rng = np.random.default_rng([seed, 3])
    look, exposure = random_look(rng, jpeg=False), None
    for pose in path:
        radiance, depth = renderer.render(pose)
        target = math.log(auto_exposure(radiance, look.key))
        exposure = target if exposure is None else 0.9 * exposure + 0.1 * target
        yield shoot(radiance, depth, pose, look, rng, math.exp(exposure))


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """Unit quaternion (x, y, z, w) of a rotation (3, 3), w ≥ 0.

    The eigenvector of the largest eigenvalue of Bar-Itzhack's matrix: exact for every angle.
    """
    m = np.asarray(rotation, np.float64)
    k = np.empty((4, 4))
    k[:3, :3] = m + m.T - np.trace(m) * np.eye(3)
    k[:3, 3] = k[3, :3] = (m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1])
    k[3, 3] = np.trace(m)
    q = np.linalg.eigh(k)[1][:, -1]
    return q if q[3] >= 0 else -q


def _fresh_folder(folder: Path) -> Path:
    """Empty an earlier rendered sequence, but never anything else."""
    if folder.exists() and any(folder.iterdir()):
        about = folder / "intrinsics.json"
        ours = about.is_file() and "training.scenes" in about.read_text(encoding="utf-8")
        unfinished = {p.name for p in folder.iterdir()} <= {"rgb", "depth"}
        if not (ours or unfinished):
            raise DataError(f"{folder} is not empty and holds no rendered sequence: choose another")
        for name in ("rgb", "depth"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in ("intrinsics.json", "poses.txt"):
            (folder / name).unlink(missing_ok=True)
    for name in ("rgb", "depth"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return folder
