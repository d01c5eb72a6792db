"""What outlives a kill: lines, state, parts of a bag; and that another run is refused."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from replay_bags import START, rgb

from depth_distill_ros.errors import ConfigError, DataError
from depth_distill_ros.evaluation.bag import IMAGE, find_images, image_message, open_bag
from depth_distill_ros.evaluation.replay.journal import Journal, Lines, read_lines
from depth_distill_ros.evaluation.replay.output_bag import OutputBag
from depth_distill_ros.evaluation.replay.table import Table, write_csv

ABOUT = {"bag": {"messages": 5}, "every": 1}


def test_a_journal_goes_on_behind_the_last_commit(tmp_path):
    first = Journal(tmp_path, ABOUT)
    assert first.state == {}
    first.lines.add({"frame": 0})
    first.lines.add({"frame": 1})
    first.commit(parts=1)
    first.lines.add({"frame": 2})  # never committed
    first.lines.flush()
    with open(tmp_path / "frames.jsonl", "a") as file:
        file.write('{"fra')  # cut off in the middle of a line
    again = Journal(tmp_path, ABOUT)
    assert again.state == {"frames": 2, "parts": 1} and again.lines.count == 2
    again.lines.add({"frame": 2, "x": 0.1 + 0.2})
    assert list(again.lines) == [{"frame": 0}, {"frame": 1}, {"frame": 2, "x": 0.1 + 0.2}]


def test_another_run_is_refused_with_what_differs(tmp_path):
    Journal(tmp_path, ABOUT)
    with pytest.raises(
        ConfigError, match=r"another replay \(every was 1, is 2; model was None, is x"
    ):
        Journal(tmp_path, {**ABOUT, "every": 2, "model": "x"})
    with pytest.raises(ConfigError, match="every was 1, is None"):
        Journal(tmp_path, {"bag": {"messages": 5}})


def test_damaged_files_are_refused(tmp_path):
    journal = Journal(tmp_path, ABOUT)
    journal.lines.add({"frame": 0})
    journal.commit(parts=1)
    (tmp_path / "frames.jsonl").write_text("")
    with pytest.raises(DataError, match="fewer than 1 lines"):
        Journal(tmp_path, ABOUT)
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(DataError, match="state.json cannot be read"):
        Journal(tmp_path, ABOUT)
    (tmp_path / "bad.jsonl").write_text('{"a": 1}\nno\n')
    with pytest.raises(DataError, match="line 2 is damaged"):
        list(read_lines(tmp_path / "bad.jsonl"))


def test_numbers_that_are_none_are_a_defect(tmp_path):
    with pytest.raises(ValueError):
        Lines(tmp_path / "x.jsonl", 0).add({"frame": float("nan")})


def contents(path):
    with open_bag(path) as reader:
        return [(c.topic, time) for c, time, _ in reader.messages()], {
            c.topic: c.msgcount for c in reader.connections
        }


def written(folder, count, parts=0, start=0):
    bag = OutputBag(folder, {"/image": IMAGE, "/other": IMAGE}, parts)
    for index in range(start, start + count):
        bag.write("/image", START + index, image_message(rgb(index)))
    return bag


def test_a_bag_of_several_parts_reads_as_one(tmp_path):
    bag = written(tmp_path, 3)
    bag.close_part()
    bag.close_part()  # nothing since: no part
    bag.write("/image", START + 3, image_message(rgb(3)))
    bag.write("/other", START + 4, image_message(rgb(4)))
    bag.finish()
    assert bag.parts == 2
    assert sorted(path.name for path in bag.path.iterdir()) == [
        "bag_0.mcap", "bag_1.mcap", "metadata.yaml"
    ]  # fmt: skip
    messages, counts = contents(bag.path)
    assert messages == [("/image", START + i) for i in range(4)] + [("/other", START + 4)]
    assert counts == {"/image": 4, "/other": 1}
    assert find_images(bag.path).width == 64
    about = yaml.safe_load((bag.path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert about["message_count"] == 5 and about["duration"] == {"nanoseconds": 4}
    assert about["starting_time"] == {"nanoseconds_since_epoch": START}
    assert [one["message_count"] for one in about["files"]] == [3, 2]
    assert about["relative_file_paths"] == [one["path"] for one in about["files"]]


def test_what_lies_behind_the_last_checkpoint_is_dropped(tmp_path):
    bag = written(tmp_path, 2)
    bag.close_part()
    bag.write("/image", START + 2, image_message(rgb(2)))
    bag.close_part()  # closed, but the kill comes before the state is written
    bag.write("/image", START + 3, image_message(rgb(3)))  # and the next one is open
    again = written(tmp_path, 2, parts=1, start=2)
    again.finish()
    assert contents(again.path)[0] == [("/image", START + i) for i in range(4)]
    with open_bag(again.path) as reader:
        raw = [np.frombuffer(message[2], np.uint8) for message in reader.messages()]
    fresh = written(tmp_path / "fresh", 4)
    fresh.finish()
    with open_bag(fresh.path) as reader:
        for one, (_, _, other) in zip(raw, reader.messages(), strict=True):
            np.testing.assert_array_equal(one, np.frombuffer(other, np.uint8))


def test_a_table_has_columns_with_gaps(tmp_path):
    records = [{"frame": 0, "x": 1.0, "status": "ok", "clip": [1, 2, 3, 4, 5]},
               {"frame": 1, "status": "ok", "clip": [1, 2, 3, 4, 5]},
               {"frame": 2, "x": 3.0, "y": 5}]  # fmt: skip
    table = Table(records)
    table.put(1, {"tae.z": 0.5})
    np.testing.assert_array_equal(table.column("x"), [1, np.nan, 3])
    np.testing.assert_array_equal(table.column("y"), [np.nan, np.nan, 5])
    assert np.isnan(table.column("absent")).all()
    assert table.summary("x") == {"n": 2, "mean": 2.0, "p50": 2.0, "p95": pytest.approx(2.9)}
    assert table.summary("absent") is None
    assert table.texts["status"] == {"ok": 2}
    np.testing.assert_array_equal(table.clip.sums, [2, 4, 6, 8, 10])
    write_csv(tmp_path / "x.csv", records, table)
    assert (tmp_path / "x.csv").read_text().splitlines() == [
        "frame,x,y,tae.z,status", "0,1.0,,,ok", "1,,,0.5,ok", "2,3.0,5,,"
    ]  # fmt: skip
