"""The CSV of a measurement: exact, and whole after any interruption."""

from __future__ import annotations

import csv

import pytest

from depth_distill_ros.errors import ConfigError, DataError
from depth_distill_ros.evaluation.metrics import DepthErrors
from depth_distill_ros.evaluation.protocols.results import Results, columns_of
from depth_distill_ros.evaluation.protocols.scoring import ImageScore

ABOUT = {"model": "m", "checkpoint": "abc", "images": 3}


def score(image: str, value: float) -> ImageScore:
    errors = DepthErrors(value, 2 * value, 3 * value, 0.1, 0.2, 1 / 3)
    return ImageScore(image, 7, 0.5, -value, value / 3, errors)


def test_scores_come_back_with_all_their_digits(tmp_path):
    results = Results(tmp_path / "new", ABOUT)
    scores = {name: score(name, 1 / (3 + i)) for i, name in enumerate(["a.png", "b, c.png"])}
    for item in scores.values():
        results.add(item)
    assert Results(tmp_path / "new", ABOUT).scores == scores
    with open(tmp_path / "new" / "images.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == columns_of(DepthErrors) and rows[1]["image"] == "b, c.png"
    assert float(rows[0]["abs_rel"]) == 1 / 3


def test_half_a_line_is_dropped(tmp_path):
    results = Results(tmp_path, ABOUT)
    for name in ("a", "b"):
        results.add(score(name, 0.1))
    text = results.path.read_text()
    for cut in range(len(text.splitlines(keepends=True)[2])):
        results.path.write_text(text[: len(text) - 1 - cut])
        resumed = Results(tmp_path, ABOUT)
        assert list(resumed.scores) == ["a"]
        resumed.add(score("b", 0.1))
        assert resumed.path.read_text() == text


def test_another_measurement_is_not_mixed_in(tmp_path):
    Results(tmp_path, ABOUT).add(score("a", 0.1))
    with pytest.raises(ConfigError, match="checkpoint 'abc', now 'def'.*another --output"):
        Results(tmp_path, ABOUT | {"checkpoint": "def"})


def test_damaged_files_are_refused(tmp_path):
    Results(tmp_path, ABOUT).add(score("a", 0.1))
    path = tmp_path / "images.csv"
    path.write_text(path.read_text().replace("0.1", "x"))
    with pytest.raises(DataError, match="no score"):
        Results(tmp_path, ABOUT)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(DataError, match="run.json"):
        Results(tmp_path, ABOUT)
