"""The card says what the folder knows: licences that were inherited, stages, numbers; no more."""

from __future__ import annotations

import json

import pytest
from huggingface_hub import metadata_load

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.card import CardFacts, card_text, read_reports, write_card
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.provenance import (
    Credit,
    Provenance,
    inherited_licence,
    public_name,
    read_provenance,
    stated_licence,
)

TEACHER = Credit("lotus-d", "jingheya/lotus-d@" + 40 * "a", "Apache-2.0", "teacher")
START = Credit("SDXS-512-0.9", "sdxs-512-0.9", "openrail++", "origin")
STAGE = {
    "command": "python -m training.stage1",
    "name": "one",
    "recipe": {
        "run": {"steps": 4000, "batch_size": 128, "seed": 42},
        "optimizer": {"learning_rate": 3e-5},
        "data": {"size": [576, 768]},
    },
}
HYPERSIM = Credit("Hypersim", "https://example.org", "cc-by-sa-3.0", "data", "90% of the images")


@pytest.fixture
def folder(tmp_path):
    model = DepthModel.from_preset("tiny", seed=0, name="student")
    model.provenance = Provenance().extended(STAGE, (TEACHER, START, HYPERSIM))
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def facts(**changes) -> CardFacts:
    return CardFacts(**{"parameters": {"unet": 7_250_000}, "digest": "abc", **changes})


@pytest.mark.parametrize(
    ("licences", "expected", "reason"),
    [
        ((), "apache-2.0", "permits"),
        (("apache-2.0", "MIT"), "apache-2.0", "permits"),
        (("apache-2.0", "openrail++"), "openrail++", "Inherited from n1"),
        (("openrail++", "cc-by-nc-4.0"), "cc-by-nc-4.0", "Inherited from n1"),
        (("CC-BY-NC-4.0", "cc-by-nc-4.0"), "cc-by-nc-4.0", "n0 .* n1"),
        (("cc-by-nc-4.0", "cc-by-nc-sa-4.0"), "", "different ways"),
        (("apache-2.0", ""), "", "licence of n1 is not known"),
    ],
)
def test_the_most_restrictive_licence_is_inherited(licences, expected, reason):
    credits = tuple(Credit(f"n{i}", "", licence) for i, licence in enumerate(licences))
    licence, why = inherited_licence(Provenance(credits=credits))
    assert licence == expected
    assert __import__("re").search(reason, why)


def test_data_does_not_decide_and_a_stated_licence_does():
    data = Credit("d", "", "cc-by-nc-sa-3.0", "data")
    assert inherited_licence(Provenance(credits=(data,)))[0] == "apache-2.0"
    restricted = Credit("n", "", "cc-by-nc-4.0")
    assert inherited_licence(Provenance("openrail++", (restricted,)))[0] == "openrail++"


def test_the_history_survives_saving_and_loading(folder):
    loaded = DepthModel.from_pretrained(folder).provenance
    assert loaded == Provenance((""), (TEACHER, START, HYPERSIM), (STAGE,))
    again = loaded.extended({"command": "stage2"}, (HYPERSIM,))
    assert again.credits == loaded.credits and len(again.stages) == 2


def test_a_damaged_history_is_named(folder):
    (folder / "training.json").write_text('{"credits": [{"colour": "red"}]}')
    with pytest.raises(ModelError, match=r"training\.json is not a history"):
        read_provenance(folder)
    (folder / "training.json").write_text('{"credits": [{"name": "x", "role": "king"}]}')
    with pytest.raises(ModelError, match="role is one of"):
        read_provenance(folder)


def test_paths_of_this_machine_do_not_leave_it(tmp_path):
    assert public_name(str(tmp_path / "models" / "lotus")) == "lotus"
    assert public_name("jingheya/lotus@abc") == "jingheya/lotus@abc"
    assert public_name("random:tiny") == "random:tiny"


def test_front_matter_is_what_the_hub_reads(folder):
    write_card(folder, facts())
    metadata = metadata_load(folder / "README.md")
    assert metadata["license"] == "openrail++" == stated_licence(folder)
    assert metadata["pipeline_tag"] == "depth-estimation"
    assert metadata["library_name"] == "depth_distill_ros"
    assert metadata["base_model"] == ["jingheya/lotus-d"]
    assert metadata["datasets"] == ["hypersim"]
    assert {"depth-estimation", "ros2"} <= set(metadata["tags"])


def test_teachers_data_stages_and_parts_are_listed(folder):
    text = card_text(folder, facts(parameters={"unet": 7_250_000, "head": 250_000}))
    assert "| teacher | lotus-d | jingheya/lotus-d@" in text and "| Apache-2.0 |" in text
    assert "| Hypersim | https://example.org | cc-by-sa-3.0 | 90% of the images |" in text
    assert "Inherited from SDXS-512-0.9 (openrail++)" in text
    assert "steps 4000, batch_size 128, seed 42, learning_rate 3e-05, size 576×768" in text
    assert "| unet | 7.25 |" in text and "| total | 7.50 |" in text and "`abc`" in text
    assert "Not measured yet" in text and "scale and a shift" in text


def test_non_commercial_teachers_are_said_loudly(folder):
    model = DepthModel.from_pretrained(folder)
    teacher = Credit("Depth Anything V2-L", "", "cc-by-nc-4.0", "teacher")
    model.provenance = Provenance(credits=(teacher,))
    model.save_pretrained(folder)
    assert "license: cc-by-nc-4.0" in card_text(folder, facts())
    assert "Not for commercial use" in card_text(folder, facts())
    overridden = card_text(folder, facts(licence="apache-2.0"))
    assert "license: apache-2.0" in overridden
    assert "**Depth Anything V2-L may not be used commercially**" in overridden


def test_metrics_of_reports_of_several_forms(folder, tmp_path):
    errors = {"abs_rel": 0.0614, "delta1": 0.9571}
    old = {"benchmarks": [{
        "split": "rooms", "checkpoint": "abc", "images": 5, "alignment": "affine in disparity",
        "means": {"all": {"errors": {"model": errors, "constant": {"abs_rel": 9.0}}}},
    }]}  # fmt: skip
    new = {"benchmark": "nyuv2", "n": 654, "checkpoint": "other", "alignment": "disparity",
           "means": errors}  # fmt: skip
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, content in zip(paths, (old, new), strict=True):
        path.write_text(json.dumps(content))
    text = card_text(folder, facts(reports=read_reports(paths)))
    assert "| rooms | 5 | 0.061 | 0.957 | affine in disparity |" in text
    assert "| nyuv2 (checkpoint `other`) | 654 | 0.061 | 0.957 | disparity |" in text
    paths[0].write_text('{"benchmarks": []}')
    with pytest.raises(ModelError, match="holds no benchmark"):
        read_reports(paths)


def test_notes_are_kept_and_hand_written_cards_are_not_lost(folder):
    path = write_card(folder, facts())
    path.write_text(path.read_text().replace("What is written", "Mind the glass. What is written"))
    write_card(folder, facts(digest="def"))
    assert "Mind the glass." in path.read_text() and "`def`" in path.read_text()
    path.write_text("---\nlicense: mit\n---\n\n# By hand\n")
    with pytest.raises(ModelError, match="not written by this command"):
        write_card(folder, facts())
    assert path.read_text().endswith("# By hand\n")


def test_no_licence_no_card(folder):
    (folder / "training.json").unlink()
    with pytest.raises(ModelError, match="does not say what it learned from.*--licence"):
        card_text(folder, facts())
    with pytest.raises(ModelError, match="not that of a whole model"):
        card_text(folder / "unet", facts())
