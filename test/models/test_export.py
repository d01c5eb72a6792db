"""The streaming step as an exported graph: memory goes in, the frame's entries come out."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from depth_distill_ros.models.depth_model import DepthModel

BATCH = torch.export.Dim("batch", min=1, max=8)


class Step(nn.Module):
    """A step with nothing but tensors in and out."""

    def __init__(self, model: DepthModel):
        super().__init__()
        self.model = model

    def forward(
        self, images: torch.Tensor, ages: torch.Tensor, *memory: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        disparity, entries = self.model.step(images, ages, list(memory))
        return disparity, *entries


@pytest.mark.slow
def test_an_exported_step_gives_the_same_numbers_for_any_batch(stream_model):
    step = Step(DepthModel.from_pretrained(stream_model))
    example = (torch.zeros(2, 3, 64, 96), torch.zeros(2, 3), *step.model.new_memory(2, 64, 96))
    batches = ({0: BATCH}, {0: BATCH}, tuple({0: BATCH} for _ in example[2:]))
    with torch.no_grad():
        program = torch.export.export(step, example, dynamic_shapes=batches)
    graph = program.module()
    generator = torch.Generator().manual_seed(0)
    for cameras in (1, 3):
        memory = step.model.new_memory(cameras, 64, 96)
        ages = torch.full((cameras, 3), torch.inf)
        for frame in range(5):
            images = torch.rand(cameras, 3, 64, 96, generator=generator) * 2 - 1
            with torch.inference_mode():
                expected = step(images, ages, *memory)
                found = graph(images, ages, *memory)
            for ours, exported in zip(expected, found, strict=True):
                torch.testing.assert_close(exported, ours, atol=1e-5, rtol=0)
            slot = frame % 3
            for kept, entry in zip(memory, found[1:], strict=True):
                kept[..., slot, :] = entry[..., 0, :]
            ages = ages + 0.1
            ages[:, slot] = 0.1
