"""Temporal heads: clips at once and frame by frame, what a frame sees, what it does not."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from depth_distill_ros.models.components import load_component, save_component
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.dpt_head import DPTHead
from depth_distill_ros.models.temporal import Past, TemporalModule, clip_ages

HEIGHT, WIDTH = 32, 48
SHAPES = ((12, 2, 3), (8, 4, 6), (4, 4, 6))
"""Features of a 32x48 image, coarse to fine."""

TODAY = 1.7e9


def make_head(window: int, seed: int = 0, outward: float = 0.3) -> DPTHead:
    """A head as if trained: what its modules add is not zero."""
    torch.manual_seed(seed)
    head = DPTHead((12, 8, 4), width=16, guide_channels=1, temporal_window=window)
    for module in head.temporal:
        torch.nn.init.normal_(module.feed.net[-1].weight, std=outward)
        torch.nn.init.normal_(module.outward.weight, std=outward)
        torch.nn.init.normal_(module.outward.bias, std=outward)
        for attention in module.attentions:
            torch.nn.init.normal_(attention.age.weight)
    return head.eval()


def make_clip(batch: int, frames: int, seed: int = 0) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Features and guides, (B, T, ...)."""
    generator = torch.Generator().manual_seed(seed)
    features = [torch.randn(batch, frames, *shape, generator=generator) for shape in SHAPES]
    return features, torch.randn(batch, frames, 1, HEIGHT // 2, WIDTH // 2, generator=generator)


def at_once(head, features, guide, stamps, starts=None) -> torch.Tensor:
    """(B, T, 1, h, w) of a clip."""
    past = Past.of_ages(clip_ages(stamps, head.config.temporal_window, starts))
    flat = [feature.flatten(0, 1) for feature in features]
    with torch.inference_mode():
        maps, _ = head.forward_frames(flat, guide.flatten(0, 1), past)
    return maps.unflatten(0, stamps.shape)


def frame_by_frame(head, features, guide, stamps, starts=None, slots=None) -> torch.Tensor:
    """The same with a memory, whose slots are overwritten in turn, or in the order of ``slots``."""
    batch, frames = stamps.shape
    room = head.config.temporal_window - 1
    slots = slots or list(range(room))
    memory = head.new_memory(batch, HEIGHT, WIDTH, room)
    remembered = torch.full((batch, room), -torch.inf, dtype=torch.float64)
    maps = []
    for time in range(frames):
        if starts is not None:
            remembered[starts[:, time]] = -torch.inf
        ages = (stamps[:, time, None] - remembered).float()
        past = Past.of_ages(torch.nn.functional.pad(ages, (0, 1))[:, None])
        now = [feature[:, time] for feature in features]
        with torch.inference_mode():
            depth, entries = head.forward_frames(now, guide[:, time], past, memory)
        maps.append(depth)
        if room:
            slot = slots[time % room]
            remembered[:, slot] = stamps[:, time]
            for kept, entry in zip(memory, entries, strict=True):
                kept[..., slot, :] = entry[..., 0, :]
    return torch.stack(maps, 1)


def largest(difference: torch.Tensor) -> float:
    return difference.abs().max().item()


def test_who_is_in_sight_and_for_how_long():
    stamps = torch.tensor([[0.0, 0.1, 0.4, 0.5]], dtype=torch.float64) + TODAY
    starts = torch.tensor([[False, False, False, True]])
    inf = torch.inf
    expected = [[0, inf, inf, inf], [0.1, 0, inf, inf], [inf, 0.3, 0, inf], [inf, inf, inf, 0]]
    ages = clip_ages(stamps, window=2, starts=starts)
    torch.testing.assert_close(ages, torch.tensor([expected]), atol=1e-6, rtol=0)
    past = Past.of_ages(ages)
    assert past.exists.tolist() == [[False, True, True, False]]
    assert past.visible[0, 2].tolist() == [False, True, True, False]
    assert past.decay[0, 0, 0].tolist() == [1, 1, 1, 1]
    half = torch.exp(torch.tensor(-3.0))  # 10/s for 0.3 s
    torch.testing.assert_close(past.decay[0, 2, 1, 1], half, atol=1e-5, rtol=0)


@pytest.mark.parametrize("window", [1, 2, 4, 16])
def test_a_clip_at_once_is_the_clip_frame_by_frame(window):
    head = make_head(window)
    features, guide = make_clip(batch=3, frames=9)
    rate = torch.rand(3, 9, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    stamps = TODAY + (0.02 + rate.round(decimals=1)).cumsum(1)  # some frames were dropped
    starts = torch.zeros(3, 9, dtype=torch.bool)
    starts[1, 4] = starts[2, 1] = starts[2, 7] = True
    clip = at_once(head, features, guide, stamps, starts)
    assert largest(clip - frame_by_frame(head, features, guide, stamps, starts)) < 1e-4
    if window > 2:
        slots = list(reversed(range(window - 1)))
        again = frame_by_frame(head, features, guide, stamps, starts, slots)
        assert largest(clip - again) < 1e-4
    assert window == 1 or largest(clip - at_once(head, features, guide, stamps)) > 1e-2


def test_streams_of_a_batch_do_not_see_each_other():
    head = make_head(window=4)
    features, guide = make_clip(batch=2, frames=5)
    stamps = torch.tensor([[0.0, 0.1, 0.2, 0.3, 0.4], [5.0, 5.5, 6.5, 6.6, 9.0]]).double()
    both = frame_by_frame(head, features, guide, stamps)
    for row in range(2):
        part = [feature[row : row + 1] for feature in features]
        alone = frame_by_frame(head, part, guide[row : row + 1], stamps[row : row + 1])
        assert largest(both[row] - alone[0]) < 1e-4


@settings(max_examples=15)
@given(changed=st.integers(0, 7), window=st.integers(1, 5))
def test_a_change_reaches_no_earlier_frame(changed, window):
    head = make_head(window)
    features, guide = make_clip(batch=1, frames=8)
    stamps = torch.arange(8, dtype=torch.float64)[None] / 10
    before = at_once(head, features, guide, stamps)
    for feature in features:
        feature[:, changed] += 1
    difference = (at_once(head, features, guide, stamps) - before).abs().amax((0, 2, 3, 4))
    assert (difference[:changed] == 0).all() and difference[changed] > 0
    later = difference[changed + 1 :]
    assert (later[:1] > 0).all() if window > 1 else (later == 0).all()


def test_a_module_sees_its_window_and_nothing_older():
    torch.manual_seed(0)
    module = TemporalModule(channels=8, heads=2).eval()
    torch.nn.init.normal_(module.outward.weight)
    maps = torch.randn(6, 8, 2, 3)
    changed = maps.clone()
    changed[1] += torch.randn(8, 2, 3)
    one = module.attentions[:1]
    module.attentions = one  # one attention: what a frame saw is not handed on
    past = Past.of_ages(clip_ages(torch.arange(6.0)[None] / 10, window=3))
    with torch.inference_mode():
        difference = (module(changed, past)[0] - module(maps, past)[0]).abs().amax((1, 2, 3))
    assert (difference > 0).tolist() == [False, True, True, True, False, False]


def test_what_is_in_an_empty_slot_does_not_matter():
    head = make_head(window=4)
    features, guide = make_clip(batch=1, frames=1)
    now = [feature[:, 0] for feature in features]
    memory = [torch.randn_like(m) for m in head.new_memory(1, HEIGHT, WIDTH, 3)]
    ages = torch.tensor([[[torch.inf, 0.1, -0.2, 0.0]]])
    other = [m.clone() for m in memory]
    for kept in other:
        kept[..., 0, :] = 7.0
        kept[..., 2, :] = -7.0
    past = Past.of_ages(ages)
    with torch.inference_mode():
        first, _ = head.forward_frames(now, guide[:, 0], past, memory)
        second, _ = head.forward_frames(now, guide[:, 0], past, other)
        alone = head(now, guide[:, 0])
    assert torch.equal(first, second) and not torch.equal(first, alone)


def test_ages_matter_and_not_the_clock():
    head = make_head(window=4)
    features, guide = make_clip(batch=1, frames=4)
    stamps = torch.arange(4, dtype=torch.float64)[None] / 10
    clip = at_once(head, features, guide, stamps)
    assert largest(clip - at_once(head, features, guide, stamps + TODAY)) < 1e-4
    assert largest(clip - at_once(head, features, guide, 2 * stamps)) > 1e-4


@pytest.mark.parametrize("room", [None, 0, 3])
def test_with_an_empty_memory_it_is_the_single_image_head(room):
    head = make_head(window=4)
    features, guide = make_clip(batch=2, frames=1)
    now = [feature[:, 0] for feature in features]
    memory = None if room is None else head.new_memory(2, HEIGHT, WIDTH, room)
    ages = torch.nn.functional.pad(torch.full((2, 1, room or 0), torch.inf), (0, 1))
    with torch.inference_mode():
        maps, entries = head.forward_frames(now, guide[:, 0], Past.of_ages(ages), memory)
        assert torch.equal(maps, head(now, guide[:, 0]))
    shapes = [m.shape for m in head.new_memory(2, HEIGHT, WIDTH, 1)]
    assert [entry.shape for entry in entries] == shapes


def test_new_modules_change_nothing():
    torch.manual_seed(0)
    head = DPTHead((12, 8, 4), width=16, guide_channels=1, temporal_window=4).eval()
    features, guide = make_clip(batch=1, frames=5)
    stamps = torch.arange(5, dtype=torch.float64)[None] / 10
    single = head([feature[0] for feature in features], guide[0])
    assert torch.equal(at_once(head, features, guide, stamps)[0], single)


def test_gradients_reach_all_parameters_and_are_right():
    head = make_head(window=4).double().train()
    features, guide = make_clip(batch=1, frames=3)
    flat = [feature[0].double() for feature in features]
    stamps = torch.tensor([[0.0, 0.03, 0.2]], dtype=torch.float64)
    past = Past.of_ages(clip_ages(stamps, 4).double())

    def loss() -> torch.Tensor:
        return head.forward_frames(flat, guide[0].double(), past)[0].square().mean()

    loss().backward()
    for name, parameter in head.temporal.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, name
    weight = head.temporal[1].attentions[1].age.weight
    with torch.no_grad():
        values = []
        for step in (1e-5, -1e-5):
            weight[0, 0] += step
            values.append(loss())
            weight[0, 0] -= step
    slope = (values[0] - values[1]) / 2e-5
    torch.testing.assert_close(weight.grad[0, 0], slope, rtol=1e-5, atol=1e-9)


def test_a_temporal_head_is_saved_and_loaded(stream_model, tmp_path):
    model = DepthModel.from_pretrained(stream_model)
    fields = json.loads((stream_model / "head" / "config.json").read_text())
    assert fields["temporal_window"] == model.temporal_window == 4
    model.save_pretrained(tmp_path / "again")
    loaded = DepthModel.from_pretrained(tmp_path / "again")
    images = torch.rand(1, 3, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    stamps = torch.tensor([[0.0, 0.1, 0.2]], dtype=torch.float64)
    with torch.inference_mode():
        clip = model.forward_clip(images, stamps)
        assert torch.equal(loaded.forward_clip(images, stamps), clip)
        assert largest(model(images[:, 0]) - clip[:, 0]) < 1e-4
        assert largest(model(images[:, 2]) - clip[:, 2]) > 1e-3


def test_a_model_steps_through_what_it_sees_at_once(stream_model):
    model = DepthModel.from_pretrained(stream_model)
    images = torch.rand(2, 3, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    stamps = TODAY + torch.tensor([[0.0, 0.1, 0.2], [0.0, 0.3, 0.4]], dtype=torch.float64)
    memory = model.new_memory(2, 64, 96)
    remembered = torch.full((2, 3), -torch.inf, dtype=torch.float64)
    with torch.inference_mode():
        clip = model.forward_clip(images, stamps)
        for time in range(3):
            ages = (stamps[:, time, None] - remembered).float()
            maps, entries = model.step(images[:, time], ages, memory)
            assert largest(maps - clip[:, time]) < 1e-4
            for kept, entry in zip(memory, entries, strict=True):
                kept[..., time, :] = entry[..., 0, :]
            remembered[:, time] = stamps[:, time]


def test_a_head_saved_before_there_were_temporal_ones(tmp_path):
    torch.manual_seed(0)
    head = DPTHead((12, 8, 4), width=8).eval()
    save_component(head, tmp_path)
    fields = json.loads((tmp_path / "config.json").read_text())
    for name in ("temporal_window", "temporal_heads"):
        del fields[name]
    (tmp_path / "config.json").write_text(json.dumps(fields))
    loaded = load_component(tmp_path, "head")
    features, _ = make_clip(batch=1, frames=1)
    now = [feature[:, 0] for feature in features]
    assert loaded.config.temporal_window == 0 and len(loaded.temporal) == 0
    assert torch.equal(loaded(now), head(now))
    assert DepthModel.from_preset("tiny-prior", seed=0).temporal_window == 0
