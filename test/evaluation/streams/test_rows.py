"""Means over frames, clips and kinds, and how columns compare, by hand."""

from __future__ import annotations

import json

import pytest

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.streams.measure import Tally
from depth_distill_ros.evaluation.streams.report import About, change_line, head, report, tables
from depth_distill_ros.evaluation.streams.rows import Change, changes, collect

NAMES = ("per frame", "streaming", "moving average", "per frame of other")


def tally(per_frame: list[float], streaming: list[float], tae: bool = True) -> Tally:
    found = Tally(frames=len(per_frame))
    for column, values in zip(NAMES, (per_frame, streaming, per_frame, streaming), strict=True):
        for value in values:
            found.add(column, "abs_rel.image", value)
            found.add(column, "delta1.image", 1 - value)
        for value in values[1:] if tae else ():
            found.add(column, "tae.depth_any_video", value)
            found.add("measured", "tae.depth_any_video", 0.001)
    return found


@pytest.fixture
def rows(make_take):
    """A kitchen of 3 frames and one of 1, and a street of 2 without poses, whose objects move."""
    takes = [
        (make_take([], group="indoor", moving=False), tally([0.2, 0.4, 0.6], [0.1, 0.2, 0.3])),
        (make_take([], group="outdoor", moving=True), tally([0.1, 0.3], [0.2, 0.4], tae=False)),
        (make_take([], group="indoor", moving=True), tally([0.8], [0.2])),
    ]
    measured = iter([each for _, each in takes])
    return collect((take for take, _ in takes), lambda take: next(measured))


def test_rows_are_means_of_frames_and_means_of_rows_weigh_each_row_alike(rows):
    indoor, outdoor = rows.groups
    assert (indoor.name, indoor.setting, outdoor.setting) == ("indoor", "indoor", "outdoor")
    assert indoor.n["abs_rel.image"] == 4 and indoor.n["tae.depth_any_video"] == 2
    assert indoor.errors["per frame"]["abs_rel.image"] == pytest.approx(2.0 / 4)
    assert indoor.errors["per frame"]["tae.depth_any_video"] == pytest.approx(0.5)
    assert "tae.depth_any_video" not in outdoor.errors["per frame"]
    moving, static = rows.motion
    assert (moving.name, static.name) == ("moving objects", "static objects")
    assert moving.errors["streaming"]["abs_rel.image"] == pytest.approx((0.2 + 0.4 + 0.2) / 3)
    assert static.errors["streaming"]["abs_rel.image"] == pytest.approx(0.2)

    assert [row.name for row in rows.means] == ["mean indoor", "mean outdoor", "mean all"]
    mean = rows.means[-1]
    assert mean.errors["per frame"]["abs_rel.image"] == pytest.approx((0.5 + 0.2) / 2)
    assert mean.n == {"abs_rel.image": 2, "delta1.image": 2, "tae.depth_any_video": 1}
    assert mean.errors["measured"]["tae.depth_any_video"] == pytest.approx(0.001)


def test_nothing_to_score_says_why(make_take):
    empty = Tally(left_out=["2 frame(s) of take"])
    with pytest.raises(DataError, match=r"3 frames with depth in a row.*2 frame\(s\) of take"):
        collect([make_take([])], lambda take: empty)


def test_changes_are_relative_and_do_not_tell_of_delta(rows):
    found = {(each.row, each.column, each.base): each.changes for each in changes(rows, NAMES)}
    pairs = [
        ("streaming", "per frame"), ("moving average", "per frame"),
        ("streaming", "moving average"), ("streaming", "per frame of other"),
    ]  # fmt: skip
    assert list(found) == [(row, *pair) for row in ("mean all", "moving objects") for pair in pairs]
    mean = found["mean all", "streaming", "per frame"]
    assert mean == {  # 0.2 and 0.3 against 0.5 and 0.2; 0.25 against 0.5
        "abs_rel.image": pytest.approx(0.25 / 0.35 - 1), "tae.depth_any_video": pytest.approx(-0.5)
    }  # fmt: skip
    assert set(found["mean all", "moving average", "per frame"].values()) == {0.0}
    without = changes(rows, ("per frame", "moving average"))
    assert {(each.column, each.base) for each in without} == {("moving average", "per frame")}


def test_a_change_in_words():
    line = change_line(Change("mean all", "streaming", "per frame", {"tae.depth_any_video": -0.34}))
    assert line == "mean all, streaming against per frame: TAE depth_any_video -34.0 %"


def test_tables_name_what_they_are_about_and_show_the_floor(rows):
    models = (("ours", "0123456789ab"), ("other", "ba9876543210"))
    about = About("clips", models, NAMES, ("depth", "tae"), window=8)
    above = head(about)
    for expected in ("split clips", "ours · checkpoint 0123456789ab", "compared with other", "8"):
        assert expected in above
    by_image, _, by_tae, _ = tables(rows, about)
    title, header, indoor, outdoor, *_, mean = by_image.splitlines()
    assert "AbsRel / δ1" in title and "one fit an image" in title
    assert header.split("  ")[-1] == "per frame of other"
    assert indoor.split()[:5] == ["indoor", "4", "0.500", "/", "0.500"]
    assert mean.split()[:4] == ["mean", "all", "2", "0.350"]
    title, header, indoor, outdoor, *_ = by_tae.splitlines()
    assert "TAE depth_any_video" in title and "one fit a clip" in title
    assert header.endswith("floor") and indoor.split()[1:3] == ["2", "50.00"]
    assert indoor.endswith("0.10") and outdoor.split() == ["outdoor", "0", *"–––––"]

    content = report(rows, changes(rows, NAMES), about)
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["checkpoint"] == "0123456789ab" and content["window"] == 8


def test_more_is_better_is_said_where_it_is_so(make_take):
    found = Tally(frames=3)
    for column, value in zip(NAMES, (0.2, 0.25, 0.1, 0.2), strict=True):
        found.add(column, "boundary_f1", value)
    kept = collect([make_take([])], lambda take: found)
    change = next(each for each in changes(kept, NAMES) if each.column == "streaming")
    assert change_line(change).endswith("boundary F1 (higher is better) +25.0 %")
    about = About("clips", (("ours", "0123456789ab"),), NAMES, ("boundary",), window=8)
    (table,) = tables(kept, about)
    assert table.startswith("boundary F1, higher is better · affine in disparity, one fit an image")
    assert table.splitlines()[2].split() == ["in_room", "1", "0.200", "0.250", "0.100", "0.200"]


def test_a_row_without_any_error_is_dashes_and_has_no_change(make_take):
    kept = collect([make_take([])], lambda take: Tally(frames=3))
    assert not changes(kept, NAMES)
    about = About("clips", (("ours", "0123456789ab"),), NAMES, ("boundary",), window=8)
    (table,) = tables(kept, about)
    assert table.splitlines()[2].split() == ["in_room", "0", *"––––"]
