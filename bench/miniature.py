"""Miniatures of the five benchmarks, in the layouts that Marigold distributes, with predictions.

Two images or so each, made from a seed: the same numbers on every machine. The depth holds what the
protocol has rules for: invalid pixels, depth at and beyond both ends of the range, masks that
disagree with the depth, predictions at and below zero.

    write_benchmarks(root)              # root/nyuv2/test/…, root/kitti/…, as on Marigold's server
    write_predictions(root, folder)     # folder/{disparity,depth}/<benchmark>/<image>.npy
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

SPACES = ("disparity", "depth")


def write_benchmarks(root: Path) -> None:
    """Writes the five miniatures below a folder."""
    write_nyuv2(root / "nyuv2")
    write_kitti(root / "kitti")
    write_eth3d(root / "eth3d")
    write_scannet(root / "scannet")
    write_diode(root / "diode")


def room(seed: int, height: int, width: int, low: float, high: float) -> np.ndarray:
    """Metres, float64 (height, width): a slanted floor with boxes, from below low to above high."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    depth = low + (high - low) * (1 - rows / height) ** 2 * (0.7 + 0.3 * columns / width)
    for _ in range(6):
        top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
        box = slice(top, top + height // 4), slice(left, left + width // 5)
        depth[box] = rng.uniform(low, high)
    depth *= 1 + 0.02 * rng.standard_normal(depth.shape)
    depth[:4, :40] = 0.5 * low
    depth[4:8, :40] = 1.1 * high
    depth[8:12, :40] = high
    return np.maximum(depth, 0)


def holes(seed: int, shape: tuple[int, int], share: float) -> np.ndarray:
    """bool (H, W): pixels that were not measured."""
    return np.random.default_rng(seed).random(shape) < share


def write_nyuv2(root: Path) -> None:
    """test/<scene>/rgb_0001.png, depth_0001.png (millimetres), filled_0001.png (not to be read)."""
    for scene, number, seed in (("kitchen_0004", 1, 1), ("office_0005", 9, 2)):
        depth = room(seed, 480, 640, 0.6, 10.0)
        depth[holes(seed + 50, depth.shape, 0.1)] = 0
        folder = root / "test" / scene
        _write_image(folder / f"rgb_{number:04d}.png", depth)
        _write_png(folder / f"depth_{number:04d}.png", depth * 1000)
        _write_png(folder / f"filled_{number:04d}.png", np.full(depth.shape, 1234.0))


def write_kitti(root: Path) -> None:
    """Raw images by date and drive, sparse depth by drive; the third image has no depth."""
    sizes = {"0000000069": (375, 1242), "0000000054": (376, 1241), "0000000042": (370, 1224)}
    drive = "2011_09_26_drive_0002_sync"
    for seed, (frame, size) in enumerate(sizes.items(), 11):
        depth = room(seed, *size, 3.0, 80.0)
        depth[holes(seed + 50, size, 0.8)] = 0
        _write_image(root / "2011_09_26" / drive / "image_02/data" / f"{frame}.png", depth)
        if frame != "0000000042":
            folder = root / drive / "proj_depth/groundtruth/image_02"
            _write_png(folder / f"{frame}.png", depth * 256)


def write_eth3d(root: Path) -> None:
    """Raw float32 without a header, called .JPG like its image; not measured is infinite."""
    for scene, name, seed in (("office", "DSC_0219", 21), ("meadow", "DSC_6535", 22)):
        depth = room(seed, 800, 1203, 0.8, 25.0)
        depth[holes(seed + 50, depth.shape, 0.3)] = np.inf
        _write_image(root / "rgb" / scene / "images/dslr_images" / f"{name}.JPG", depth)
        folder = root / "depth" / f"{scene}_dslr_depth" / scene / "ground_truth_depth/dslr_images"
        folder.mkdir(parents=True)
        depth.astype("<f4").tofile(folder / f"{name}.JPG")


def write_scannet(root: Path) -> None:
    """scene0406_02/color/000300.jpg and depth/000300.png; one colour image larger than its depth."""
    for scene, frame, seed, scale in (("scene0406_02", 300, 31, 1), ("scene0088_02", 1100, 32, 2)):
        depth = room(seed, 240, 320, 0.4, 9.0)
        depth[holes(seed + 50, depth.shape, 0.05)] = 0
        _write_image(root / scene / "color" / f"{frame:06d}.jpg", depth, scale)
        folder = root / scene / "depth"
        _write_png(folder / f"{frame:06d}.png", depth * 1000)


def write_diode(root: Path) -> None:
    """<name>.png, <name>_depth.npy (H, W, 1), <name>_depth_mask.npy (H, W), both float32."""
    places = (("indoors", "00021", 41, 8.0), ("outdoor", "00024", 42, 380.0))
    for kind, scene, seed, high in places:
        depth = room(seed, 192, 256, 0.7, high)
        mask = ~holes(seed + 50, depth.shape, 0.2)
        depth[~mask & holes(seed + 90, depth.shape, 0.5)] = 0
        folder = root / kind / f"scene_{scene}" / "scan_00189"
        name = f"{scene}_00189_{kind}_010_020"
        _write_image(folder / f"{name}.png", depth)
        np.save(folder / f"{name}_depth.npy", depth[..., None].astype(np.float32))
        np.save(folder / f"{name}_depth_mask.npy", mask.astype(np.float32))


# image below its benchmark, seed, size of the depth that is scored, range of the prediction
PREDICTED = {
    "nyuv2": (
        ("test/kitchen_0004/rgb_0001", 1, (480, 640), 0.6, 10.0),
        ("test/office_0005/rgb_0009", 2, (480, 640), 0.6, 10.0),
    ),
    "kitti": tuple(
        (
            f"2011_09_26/2011_09_26_drive_0002_sync/image_02/data/{frame}",
            seed,
            (352, 1216),
            3.0,
            80.0,
        )
        for frame, seed in (("0000000069", 11), ("0000000054", 12))
    ),
    "eth3d": (
        ("rgb/office/images/dslr_images/DSC_0219", 21, (800, 1203), 0.8, 25.0),
        ("rgb/meadow/images/dslr_images/DSC_6535", 22, (800, 1203), 0.8, 25.0),
    ),
    "scannet": (
        ("scene0406_02/color/000300", 31, (240, 320), 0.4, 9.0),
        ("scene0088_02/color/001100", 32, (240, 320), 0.4, 9.0),
    ),
    "diode": (
        ("indoors/scene_00021/scan_00189/00021_00189_indoors_010_020", 41, (192, 256), 0.7, 8.0),
        ("outdoor/scene_00024/scan_00189/00024_00189_outdoor_010_020", 42, (192, 256), 0.7, 380.0),
    ),
}


def write_predictions(folder: Path) -> None:
    """Relative disparity in [0, 1] with zeros, and relative depth, of every image with depth.

    They resemble the scene, so that the errors are of the usual size, and differ from it by noise
    and a bend that no scale and shift takes away.
    """
    for benchmark, images in PREDICTED.items():
        for image, seed, size, low, high in images:
            rng = np.random.default_rng(seed + 500)
            depth = np.clip(room(seed, *size, low, high), low, high)
            near = (1 / depth) ** 0.85 * (1 + 0.05 * rng.standard_normal(size))
            near = (near - np.quantile(near, 0.01)) / (np.quantile(near, 0.98) - near.min())
            far = depth**0.9 * (1 + 0.08 * rng.standard_normal(size)) / high
            for space, values in zip(SPACES, (np.clip(near, 0, 1), far)):
                path = folder / space / benchmark / f"{image}.npy"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.save(path, values.astype(np.float32))


def _write_image(path: Path, depth: np.ndarray, scale: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.nan_to_num(255 * np.exp(-0.05 * depth), posinf=0).astype(np.uint8)
    image = np.stack([grey, grey // 2, 255 - grey], axis=-1)
    cv2.imwrite(str(path), np.repeat(np.repeat(image, scale, 0), scale, 1))


def _write_png(path: Path, stored: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.round(stored).astype(np.uint16))
