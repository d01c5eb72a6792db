"""Pseudo-labels of photos: ``python -m training.pseudo_labels --photos DIR --prior NAME --output DIR``.

A data-driven prior's disparity of every image below a folder, made once for all trainings that learn
from it (FiffDepth, section 3.3). Labels are written one by one, so a run that was stopped goes on
where it was; ``accelerate launch`` shares the photos out over processes, --part over machines.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from depth_distill_ros.errors import ConfigError, DataError, ImageError, UserError, refuse
from depth_distill_ros.evaluation.frames import IMAGE_SUFFIXES
from depth_distill_ros.evaluation.images import read_rgb, write_image
from depth_distill_ros.inference.resizing import resize_image
from depth_distill_ros.models.provenance import public_name
from training.config import DataConfig
from training.data.photos import (
    MAX_SIDE,
    Photos,
    label_path,
    read_index,
    write_index,
    write_label,
)
from training.data.shards import Shards
from training.label_priors import LabelPrior, open_prior
from training.processes import process_state
from training.scenes.files import replace_file
from training.shares import Job, Outcome, Share, report, run_share, split


@dataclass(frozen=True)
class PhotoConfig:
    """Photos to learn from without depth, and who labels them.

    Attributes:
        folder: of images, at any depth.
        labels: folder of their pseudo-labels; made by ``prior`` where they are missing.
        prior: ``hf:`` and a folder or pinned Hub id of a Hugging Face pipeline, ``prior:`` and a
            model of this package that has one, a folder of predictions, or a model of this package
            (:func:`training.label_priors.open_prior`). FiffDepth takes Depth Anything V2-L
            (section 4.1), whose licence is non-commercial; V2-S is Apache-2.0.
        prior_licence: what the trained model's card says of the prior; empty takes what the prior
            says itself.
        render: images to render into ``folder`` when it holds none: a stand-in for photos, so that
            a recipe runs on any machine. Their depth is thrown away, but they are of the same world
            as rendered scenes with depth: what real photos would teach, they do not. 0 never does.
        render_seed: of those images; it must differ from ``data.render_seed``.
    """

    folder: str = ""
    labels: str = ""
    prior: str = ""
    prior_licence: str = ""
    render: int = 0
    render_seed: int = 1


def open_photos(config: PhotoConfig, data: DataConfig) -> Photos:
    """The photos of a recipe; labels that are missing are made first, by the main process.

    Raises:
        ConfigError: folder or labels are not named, or the labels are another prior's.
        DataError: there are no photos.
    """
    if not (config.folder and config.labels):
        raise ConfigError(
            "photos.folder and photos.labels name the photos and where their pseudo-labels go: "
            "give both"
        )
    folder, labels = Path(config.folder), Path(config.labels)
    with process_state().main_process_first():
        if config.render and not folder.is_dir():
            render_photos(folder, config.render, config.render_seed, data)
        index = read_index(labels)
        if config.prior and ("photos" not in index or index["prior"] != _public(config.prior)):
            make_labels(folder, config.prior, labels)
    return Photos(folder, labels)


def make_labels(
    photos: Path, prior: str, labels: Path, share: Share | None = None, progress: bool = True
) -> Outcome:
    """Label one process' share of the photos; labels that are there are kept.

    A photo that cannot be read gets no label but a file ``<photo>.unreadable`` that says why; it is
    tried again once that file is removed.

    Args:
        photos: folder of images, at any depth.
        prior: see :func:`training.label_priors.open_prior`.
        labels: where to.
        share: which photos are this process'; None is all of them.
        progress: show a bar.

    Raises:
        ConfigError: the folder holds another prior's labels.
        DataError: there are no photos, or the prior has no answer to one.
        ModelError: there is no such prior.
    """
    names = find_photos(photos)
    device = process_state().device
    model = open_prior(prior, str(device) if device.type == "cuda" else "cpu")
    identity = {"prior": _public(prior), "checkpoint": model.checkpoint}
    _claim(labels, identity)

    def work(todo: list[Job], tick: Callable[[int], object]) -> None:
        for job in todo:
            _label(photos, names[job.first], labels, model)
            tick(1)

    def is_done(job: Job) -> bool:
        path = label_path(labels, names[job.first])
        return path.is_file() or _marker(path).is_file()

    jobs = split(len(names), 1)
    outcome = run_share(jobs, is_done, work, share or Share(), progress, unit="photo")
    if outcome.complete:
        parts: dict[bool, list[str]] = {True: [], False: []}
        for name in names:
            parts[label_path(labels, name).is_file()].append(name)
        counted = {"n": len(parts[True]), "photos": parts[True], "unreadable": parts[False]}
        write_index(labels, identity | counted)
    return outcome


def _label(photos: Path, name: str, labels: Path, model: LabelPrior) -> None:
    """The label of one photo, at its size, or the file that says why it has none."""
    path = label_path(labels, name)
    try:
        rgb = read_rgb(photos / name)
        shrink = min(1.0, MAX_SIDE / max(rgb.shape[:2]))
        rgb = resize_image(rgb, tuple(max(1, round(shrink * side)) for side in rgb.shape[:2]))
        disparity = model(rgb, name)
    except ImageError as error:
        path.parent.mkdir(parents=True, exist_ok=True)
        reason = str(error).encode()
        replace_file(_marker(path), lambda file: file.write(reason))
        return
    size = (rgb.shape[1], rgb.shape[0])
    write_label(path, cv2.resize(disparity, size, interpolation=cv2.INTER_LINEAR))


def _marker(label: Path) -> Path:
    return label.with_suffix(".unreadable")


def find_photos(folder: Path) -> list[str]:
    """Paths of all images below a folder, relative to it, in order; DataError where there are none."""
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )
    if not names:
        raise DataError(f"there are no photos in {folder} ({', '.join(IMAGE_SUFFIXES)})")
    return names


def render_photos(folder: Path, count: int, seed: int, data: DataConfig) -> None:
    """Render images into a new folder, whole or not at all: scenes without their depth.

    Args:
        folder: where to.
        count: of images.
        seed: of the scenes.
        data: size, tier and kinds.
    """
    from training.scenes.dataset import render_dataset

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".photos-") as scratch:
        shards, images = Path(scratch) / "shards", Path(scratch) / "images"
        size = (data.size[1], data.size[0])
        render_dataset(shards, count, size, seed, data.tier, workers=1, kinds=data.kinds)
        images.mkdir()
        for number, (rgb, _) in enumerate(Shards(shards)[k] for k in range(count)):
            write_image(images / f"{number:06d}.png", rgb)
        try:
            images.rename(folder)
        except OSError:
            if not folder.is_dir():  # another training beside this one has rendered the same
                raise


def _public(prior: str) -> str:
    """A prior's name without folders of this machine."""
    kind, colon, name = prior.rpartition(":")
    return kind + colon + public_name(name)


def _claim(labels: Path, identity: dict[str, str]) -> None:
    """Mark a folder as one prior's, or check that it is."""
    index = read_index(labels)
    if not index:
        write_index(labels, identity)
        return
    different = [key for key, value in identity.items() if index.get(key) != value]
    if different:
        raise ConfigError(
            f"{labels} holds labels of the prior {index.get('prior')}, checkpoint "
            f"{index.get('checkpoint') or 'unknown'} (other {' and '.join(different)}): give "
            "another folder, or remove that one"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.pseudo_labels``."""
    parser = argparse.ArgumentParser(
        prog="python -m training.pseudo_labels",
        description="A data-driven model's disparity of every photo in a folder, made once.",
        epilog="A run that was stopped goes on where it was.",
    )
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR", help="of images")
    parser.add_argument(
        "--prior",
        required=True,
        metavar="NAME",
        help="hf:FOLDER or hf:owner/name@COMMIT, prior:MODEL, a folder of .npy, or a model",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="of the labels")
    parser.add_argument("--part", default="", metavar="I/N", help="the I-th of N machines' part")
    options = parser.parse_args(arguments)
    try:
        share = Share.from_environment(options.part)
        outcome = make_labels(options.photos, options.prior, options.output, share)
    except UserError as error:
        return refuse(error)
    report(outcome, share, str(options.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
