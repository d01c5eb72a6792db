"""The paper's table, as data and with a measured row."""

from __future__ import annotations

from depth_distill_ros.evaluation.protocols.published import (
    Cell,
    as_markdown,
    as_text,
    footnotes,
    load_published,
    paper_rows,
)

MEASURED = {"nyuv2": Cell(0.0704, 0.9512), "kitti": Cell(0.1, 0.9, partial=True)}


def test_the_table_is_complete_and_holds_the_papers_rows():
    table = load_published()
    rows = {row[0]: row[3:] for group in table["groups"] for row in group["rows"]}
    assert table["columns"] == ["eth3d", "diode", "kitti", "nyuv2", "scannet"]
    assert len(rows) == 15 and all(len(row) == 10 for row in rows.values())
    # Table 1 of the paper, last two rows
    assert rows["D²epth"] == [5.5, 97.4, 22.6, 74.1, 7.8, 93.7, 5.1, 97.1, 5.3, 96.7]
    assert rows["D³epth"] == [6.7, 95.6, 22.7, 73.2, 9.5, 90.6, 7.0, 95.1, 7.7, 93.8]
    assert all(0 < value < 100 for row in rows.values() for value in row)


def test_the_measured_row_has_percent_in_the_papers_columns():
    header, *_, own = paper_rows("mine", MEASURED, 332_270_000)
    assert own[:3] == ["mine (measured)", "–", "332M"]
    cells = dict(zip(header[3::2], zip(own[3::2], own[4::2])))
    assert cells["NYUv2 AbsRel"] == ("7.0", "95.1")
    assert cells["KITTI AbsRel"] == ("10.0†", "90.0†")
    assert cells["ETH3D AbsRel"] == ("–", "–")
    assert paper_rows("mine", MEASURED)[-1][2] == "–"


def test_partial_numbers_have_a_note():
    assert any("not comparable" in note for note in footnotes(MEASURED))
    assert not any("†" in note for note in footnotes({"nyuv2": MEASURED["nyuv2"]}))
    assert "Table 1" in footnotes({})[0]


def test_text_and_markdown_hold_every_row():
    rows, notes = paper_rows("mine", MEASURED), footnotes(MEASURED)
    text = as_text(rows, notes).splitlines()
    assert len(text) == len(rows) + len(notes) and len({len(line) for line in text[:-3]}) == 1
    markdown = as_markdown(rows, notes)
    table = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(table) == len(rows) + 1 and {line.count("|") for line in table} == {14}
