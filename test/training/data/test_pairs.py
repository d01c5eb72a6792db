"""Half a batch is synthetic, half real; labels on disk; photos are cropped, never stretched."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from depth_distill_ros.errors import DataError, ImageError
from training.config import DataConfig, RunConfig
from training.data.batches import StepBatches, batch_loader
from training.data.pairs import Pairs, aspect_view, photos_of
from training.data.photos import INDEX, Photos, label_path, read_label, write_label
from training.data.shards import Shards

RUN = RunConfig(output="unused", steps=6, batch_size=4, seed=3)
DATA = DataConfig(size=(32, 64), crop_min=0.6)


@pytest.fixture
def pairs(shards, photos, labels) -> Pairs:
    return Pairs(Shards(shards), Photos(photos, labels))


def test_a_batch_is_half_synthetic_and_half_real(pairs, shards):
    batch = StepBatches(pairs, DATA, RUN)[0].tensors
    plain = StepBatches(Shards(shards), DATA, RUN)[0].tensors
    assert all(torch.equal(batch[key], plain[key]) for key in plain), "as without photos"
    real = photos_of(batch)
    known = {key for key in plain if key != "inverse_depth"}  # no photo has depth in metres
    assert set(batch) == {*plain, *(f"photo_{key}" for key in known)}
    assert {key: value.shape for key, value in real.items()} == {
        key: plain[key].shape for key in known
    }
    assert real["rgb"].abs().max() <= 1 and real["disparity"].abs().max() <= 1
    assert real["valid"].all()


def test_pairs_are_a_function_of_seed_and_place(pairs):
    whole, parts = (StepBatches(pairs, DATA, replace(RUN, micro_batch=m)) for m in (4, 1))
    again = torch.cat([parts[4 + k].tensors["photo_rgb"] for k in range(4)])
    assert torch.equal(whole[1].tensors["photo_rgb"], again)
    other = StepBatches(pairs, DATA, replace(RUN, seed=4))[1].tensors["photo_rgb"]
    assert not torch.equal(other, again)
    revived = StepBatches(pickle.loads(pickle.dumps(pairs)), DATA, RUN)
    assert torch.equal(revived[1].tensors["photo_rgb"], again)


@pytest.mark.slow
def test_pairs_of_loader_processes_are_the_same(pairs):
    batches = StepBatches(pairs, DATA, RUN)
    loaded = next(iter(batch_loader(batches, start=2, workers=1))).tensors
    assert all(torch.equal(value, loaded[key]) for key, value in batches[2].tensors.items())


class Grey:
    """Photos in memory: number k is of the grey 10 · k, and may not be readable."""

    def __init__(self, count: int, broken: tuple[int, ...] = ()):
        self._count, self._broken = count, broken

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        return str(index)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if index in self._broken:
            raise DataError("gone")
        ramp = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
        return np.full((64, 64, 3), 10 * index, np.uint8), ramp


def drawn(shards, photos, steps: int = 6) -> list[int]:
    batches = StepBatches(Pairs(Shards(shards), photos), DATA, replace(RUN, steps=steps))
    greys = torch.cat([batches[step].tensors["photo_rgb"][:, 0, 0, 0] for step in range(steps)])
    return [round(float(grey + 1) * 12.75) for grey in greys]


def test_every_photo_is_drawn_and_the_next_is_taken_for_one_that_is_gone(shards):
    numbers = drawn(shards, Grey(5))
    assert set(numbers) == set(range(5))
    expected = [3 if number == 2 else number for number in numbers]
    assert drawn(shards, Grey(5, broken=(2,))) == expected
    with pytest.raises(DataError, match="gone"):
        drawn(shards, Grey(3, broken=(0, 1, 2)))


def test_depth_that_is_gone_is_skipped_as_without_photos(shards, photos, labels):
    class Broken(Shards):
        def __getitem__(self, index):
            if index < 23:
                raise DataError("gone")
            return super().__getitem__(index)

    source = Pairs(Broken(shards), Photos(photos, labels))
    skipped = StepBatches(source, DATA, RUN)[0].skipped
    assert skipped and {skip.instead for skip in skipped} == {source.name(23)}


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 9))
def test_the_largest_part_of_the_right_aspect(height, width, seed):
    rows, columns = aspect_view(height, width, (32, 64), np.random.default_rng(seed))
    assert 0 <= rows.start < rows.stop <= height and 0 <= columns.start < columns.stop <= width
    high, wide = rows.stop - rows.start, columns.stop - columns.start
    assert high == height or wide == width
    assert abs(wide - 2 * high) <= 2  # within a pixel's rounding


def test_unknown_pixels_of_a_label_are_invalid_and_finite(shards):
    class Holed(Grey):
        def __getitem__(self, index):
            rgb, label = super().__getitem__(index)
            label[:, :32] = np.nan
            return rgb, label

    batch = photos_of(StepBatches(Pairs(Shards(shards), Holed(3)), DATA, RUN)[0].tensors)
    assert batch["disparity"].isfinite().all()
    assert 0 < batch["valid"].float().mean() < 1


@pytest.mark.parametrize("scale", [1e-6, 1.0, 3e4])
def test_labels_keep_a_map_up_to_scale_and_shift(tmp_path, scale):
    disparity = np.random.default_rng(0).normal(0, 1, (24, 40))
    disparity[3, 4:9] = np.nan
    path = tmp_path / "deep" / "photo.jpg.png"
    write_label(path, scale * disparity - 5)
    low, high = np.nanmin(disparity), np.nanmax(disparity)
    found = read_label(path)
    assert np.array_equal(np.isnan(found), np.isnan(disparity))
    error = np.nanmax(np.abs(found - (disparity - low) / (high - low)))
    assert error < 0.51 / 65534 + 1e-7


def test_flat_and_empty_labels(tmp_path):
    for value, expected in ((7.0, 0.0), (np.nan, np.nan)):
        write_label(tmp_path / "x.png", np.full((4, 4), value))
        assert np.array_equal(
            read_label(tmp_path / "x.png"), np.full((4, 4), expected), equal_nan=True
        )


def test_damaged_labels_are_refused(tmp_path, shards):
    path = tmp_path / "x.png"
    write_label(path, np.random.default_rng(0).random((64, 64)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError):
        read_label(path)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    with pytest.raises(ImageError, match="16 bits"):
        read_label(path)


def test_a_photo_has_the_size_of_its_label_and_what_is_gone_is_said(photos, labels, tmp_path):
    source = Photos(photos, labels)
    names = [source.name(k) for k in range(len(source))]
    assert names == sorted(["a.png", "b.jpg", "c.JPG", "more/a.png", "more/b.webp"])
    rgb, label = source[names.index("more/b.webp")]
    assert rgb.shape == (70, 90, 3) and label.shape == (70, 90) and rgb.dtype == np.uint8
    (tmp_path / INDEX).write_text((labels / INDEX).read_text())
    for k, name in enumerate(names[1:], start=1):
        write_label(label_path(tmp_path, name), np.random.default_rng(0).random((35, 45)))
        assert Photos(photos, tmp_path)[k][0].shape == (35, 45, 3)
    with pytest.raises(DataError, match="no file"):
        Photos(photos, tmp_path)[0]


def test_labels_that_are_not_complete_are_refused(photos, tmp_path):
    for content in (None, {"prior": "x", "checkpoint": "y"}):
        if content:
            (tmp_path / INDEX).write_text(json.dumps(content))
        with pytest.raises(DataError, match="training.pseudo_labels --photos"):
            Photos(photos, tmp_path)
    (tmp_path / INDEX).write_text("{")
    with pytest.raises(DataError, match="Remove it"):
        Photos(photos, tmp_path)
