"""Pseudo-labels: made once, by one prior, whatever interrupts; every kind of prior."""

from __future__ import annotations

import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from depth_networks import depth_anything
from PIL import Image

from depth_distill_ros.errors import ConfigError, DataError, ModelError
from depth_distill_ros.inference.estimator import DepthEstimator
from training.config import DataConfig
from training.data.photos import INDEX, MAX_SIDE, label_path, read_label
from training.label_priors import open_prior, prior_credit
from training.pseudo_labels import PhotoConfig, main, make_labels, open_photos
from training.shares import Share

PRIOR = "prior:d3epth-tiny"


def write_predictions(photos: Path, folder: Path) -> str:
    """A map (1, 12, 16) for every photo, 0 in its first row and 1 in its last."""
    for path in photos.rglob("*.*"):
        target = (folder / path.relative_to(photos)).with_suffix(".npy")
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, np.linspace(0, 1, 12)[None, :, None] * np.ones((1, 12, 16)))
    return str(folder)


def index_of(folder: Path) -> dict:
    return json.loads((folder / INDEX).read_text())


def test_the_index_names_prior_checkpoint_and_photos(labels):
    index = index_of(labels)
    assert index["prior"] == PRIOR and len(index["checkpoint"]) == 12
    assert index["n"] == len(index["photos"]) == 5 and index["unreadable"] == []
    assert all(label_path(labels, name).is_file() for name in index["photos"])


def test_a_label_is_the_priors_disparity_at_the_photos_size(labels, photos):
    rgb = cv2.cvtColor(cv2.imread(str(photos / "a.png")), cv2.COLOR_BGR2RGB)
    disparity = cv2.resize(open_prior(PRIOR, "cpu")(rgb, "a.png"), (96, 64))
    expected = (disparity - disparity.min()) / (disparity.max() - disparity.min())
    assert read_label(label_path(labels, "a.png")) == pytest.approx(expected, abs=1e-4)


def test_photos_of_all_sizes_and_what_cannot_be_read(tmp_path, capsys):
    photos, labels = tmp_path / "photos", tmp_path / "labels"
    photos.mkdir()
    Image.new("RGB", (2048, 96), "red").save(photos / "long.png")
    Image.new("RGB", (20, 20)).save(photos / "small.png")
    (photos / "broken.jpg").write_bytes(b"no image")
    (photos / "notes.txt").write_text("not a photo")
    arguments = ["--photos", str(photos), "--prior", PRIOR, "--output", str(labels)]
    assert main(arguments) == 0
    assert "complete: all 3" in capsys.readouterr().out
    index = index_of(labels)
    assert index["photos"] == ["long.png"] and index["n"] == 1
    assert index["unreadable"] == ["broken.jpg", "small.png"]
    assert "not an image" in (labels / "broken.jpg.unreadable").read_text()
    assert read_label(labels / "long.png.png").shape == (48, MAX_SIDE)


def test_a_folder_of_another_prior_is_refused(photos, labels, tmp_path, capsys):
    arguments = ["--photos", str(photos), "--output", str(labels)]
    assert main([*arguments, "--prior", "d3epth-tiny"]) == 2
    assert "holds labels of the prior prior:d3epth-tiny" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="prior:d3epth-tiny"):
        make_labels(photos, write_predictions(photos, tmp_path), labels, progress=False)
    config = PhotoConfig(str(photos), str(labels), "d3epth-tiny")
    with pytest.raises(ConfigError, match="other prior"):
        open_photos(config, DataConfig())


def test_processes_share_the_photos_and_the_last_writes_the_index(photos, tmp_path):
    prior = write_predictions(photos, tmp_path / "maps")
    labels = tmp_path / "labels"
    first = make_labels(photos, prior, labels, Share(0, 2), progress=False)
    assert (first.made, first.missing) == (3, 2) and "photos" not in index_of(labels)
    second = make_labels(photos, prior, labels, Share(1, 2), progress=False)
    assert second.complete and index_of(labels)["n"] == 5
    kept = {path: path.stat().st_mtime_ns for path in labels.rglob("*.png")}
    assert make_labels(photos, prior, labels, progress=False).made == 0
    assert kept == {path: path.stat().st_mtime_ns for path in labels.rglob("*.png")}


@pytest.mark.slow  # the start of a real process
def test_a_run_that_was_killed_goes_on_where_it_was(launch, tmp_path):
    photos, labels = tmp_path / "photos", tmp_path / "labels"
    photos.mkdir()
    for number in range(60):
        Image.new("RGB", (96, 64), (number, 100, 200)).save(photos / f"{number:02d}.png")
    arguments = ("--photos", str(photos), "--prior", PRIOR, "--output", str(labels))
    killed = launch("training.pseudo_labels", *arguments)
    end = time.monotonic() + 60
    while len(list(labels.glob("*.png"))) < 3:
        assert time.monotonic() < end and killed.processes[0].exitcode is None, killed.text()
        time.sleep(0.005)
    killed.processes[0].kill()
    killed.wait()
    done = {path: path.stat().st_mtime_ns for path in labels.glob("*.png")}
    assert 3 <= len(done) < 60 and "photos" not in index_of(labels)
    with pytest.raises(DataError, match="not complete"):
        open_photos(PhotoConfig(str(photos), str(labels)), DataConfig())
    source = open_photos(PhotoConfig(str(photos), str(labels), PRIOR), DataConfig())
    assert len(source) == index_of(labels)["n"] == 60
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in done.items())
    assert [source[k][1].shape for k in (0, 59)] == [(64, 96)] * 2


def test_labels_that_are_complete_are_not_made_again(photos, labels):
    config = PhotoConfig(str(photos), str(labels), PRIOR)
    before = (labels / INDEX).stat().st_mtime_ns
    assert len(open_photos(config, DataConfig())) == 5
    assert (labels / INDEX).stat().st_mtime_ns == before


def test_predictions_by_relative_stem(photos, tmp_path):
    maps = write_predictions(photos, tmp_path / "maps")
    labels = tmp_path / "labels"
    make_labels(photos, maps, labels, progress=False)
    label = read_label(label_path(labels, "more/b.webp"))
    assert label.shape == (70, 90)
    assert label[0] == pytest.approx(0) and label[-1] == pytest.approx(1)
    assert index_of(labels)["prior"] == "maps"
    Path(maps, "c.npy").unlink()
    with pytest.raises(DataError, match="c.JPG has no prediction"):
        make_labels(photos, maps, tmp_path / "other", progress=False)


def test_whole_models_and_their_random_kin(photos):
    rgb = cv2.cvtColor(cv2.imread(str(photos / "a.png")), cv2.COLOR_BGR2RGB)
    expected = DepthEstimator.from_pretrained("d3epth-tiny", "cpu")(rgb).disparity
    model = open_prior("d3epth-tiny", "cpu")
    assert np.array_equal(model(rgb, "a.png"), expected) and len(model.checkpoint) == 12
    random = open_prior("prior:random:tiny-prior", "cpu")
    assert random(rgb, "a.png").ndim == 2 and random.checkpoint == "random:tiny-prior"


def test_pipelines_of_hugging_face(photos, tmp_path):
    transformers = pytest.importorskip("transformers")
    depth_anything().save_pretrained(tmp_path)
    size = {"height": 28, "width": 28}
    transformers.DPTImageProcessor(size=size).save_pretrained(tmp_path)
    prior = open_prior(f"hf:{tmp_path}", "cpu")
    rgb = cv2.imread(str(photos / "a.png"))
    disparity = prior(rgb, "a.png")
    assert disparity.shape == (64, 96) and disparity.std() > 0 and len(prior.checkpoint) == 12


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ("nowhere", "no model 'nowhere'"),
        ("prior:random:tiny", "has no prior"),
        ("hf:owner/name", "neither a folder nor owner/name@"),
    ],
)
def test_priors_that_do_not_exist(prior, message):
    with pytest.raises(ModelError, match=message):
        open_prior(prior, "cpu")


def test_mistakes_are_said(tmp_path, capsys):
    arguments = ["--photos", str(tmp_path), "--prior", PRIOR, "--output", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert "there are no photos" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="photos.labels"):
        open_photos(PhotoConfig(folder="photos"), DataConfig())


def test_the_card_names_the_prior(tmp_path):
    credit = prior_credit(PRIOR, "")
    assert (credit.name, credit.licence) == ("d3epth-tiny (its prior)", "apache-2.0")
    pinned = f"hf:depth-anything/Depth-Anything-V2-Small-hf@{'0' * 40}"
    credit = prior_credit(pinned, "apache-2.0")
    assert credit.name == "depth-anything/Depth-Anything-V2-Small-hf"
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    assert prior_credit(f"hf:{tmp_path}", "").licence == "cc-by-nc-4.0"
    assert prior_credit(f"hf:{tmp_path}", "").source == tmp_path.name
