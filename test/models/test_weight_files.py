"""What differs is listed so that one can act on it; files that could run code stay closed."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.weight_files import (
    check_fit,
    differences,
    load_folder,
    load_tensors,
    shapes_of,
)


def test_tensors_that_fit_have_no_differences():
    shapes = shapes_of({"a": torch.zeros(2, 3), "b": torch.zeros(())})
    assert shapes == {"a": (2, 3), "b": ()}
    assert differences(shapes, shapes) == ""
    check_fit(shapes, shapes, "these")


def test_ten_of_each_kind_are_listed_and_the_rest_counted():
    expected = {f"layer{i:02d}": (2,) for i in range(13)} | {"same": (1,), "turned": (2, 3)}
    stored = {f"other{i}": (2,) for i in range(3)} | {"same": (1,), "turned": (3, 2)}
    found = differences(expected, stored)
    listed = ", ".join(f"layer{i:02d}" for i in range(10))
    assert found == (
        f"13 missing ({listed} and 3 more); 3 unknown (other0, other1, other2); "
        "1 of another shape (turned: (3, 2) stored, (2, 3) expected)"
    )
    with pytest.raises(ModelError, match="^the weights of x do not fit: 13 missing"):
        check_fit(expected, stored, "the weights of x do not fit")


def test_a_shard_outside_the_folder_is_not_followed(tmp_path):
    folder = tmp_path / "unet"
    folder.mkdir()
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    index = folder / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../other.safetensors"}}))
    with pytest.raises(ModelError, match="points outside its folder"):
        load_folder(folder)
    index.write_text(json.dumps({"weight_map": {"a": "absent.safetensors"}}))
    with pytest.raises(ModelError, match="absent.safetensors is not a readable"):
        load_folder(folder)
    index.write_text(json.dumps({"weight_map": ["a"]}))
    with pytest.raises(ModelError, match="no weight_map"):
        load_folder(folder)


def test_an_empty_folder_and_a_pickle_by_name(tmp_path):
    with pytest.raises(ModelError, match="the model lacks"):
        load_folder(tmp_path)
    with pytest.raises(ModelError, match="is a pickle"):
        load_tensors(tmp_path / "weights.bin")
