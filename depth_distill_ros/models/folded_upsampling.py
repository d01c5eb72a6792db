"""Nearest-neighbour upsampling and the convolution behind it, as one convolution of small maps.

Of the 3x3 values of a map twice as large that a convolution sees, only 2x2 differ: which ones, and how
the nine weights add up to four, depends on whether the output's row and column are even or odd. Four
2x2 convolutions of the small map give the four kinds of output, with 4/9 of the products.
"""

from __future__ import annotations

import torch
from torch import nn

_ROWS = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
"""By even or odd output row (2), source row (2): which of the three weights fall on it."""


class UpsampledConv(nn.Module):
    """Maps (B, C, h, w), enlarged to (B, C, 2h, 2w) by nearest neighbours, through a convolution.

    Args:
        conv: of 3x3 with a border of one, whose weights are copied.
    """

    @torch.no_grad()
    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        weight = conv.weight.double()
        phases = torch.einsum("psk,qtl,oikl->pqoist", *2 * [_ROWS.to(weight)], weight)
        self.phases = nn.utils.skip_init(  # which leaves the random generator alone
            nn.Conv2d,
            conv.in_channels,
            4 * conv.out_channels,
            kernel_size=2,
            padding=1,
            device=conv.weight.device,
            dtype=conv.weight.dtype,
        )
        self.phases.weight.copy_(phases.flatten(0, 2))
        self.phases.bias.copy_(conv.bias.repeat(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (B, C', 2h, 2w)."""
        height, width = x.shape[-2:]
        # Maps of (h + 1, w + 1), whose row i sees rows i - 1 and i.
        phases = self.phases(x).unflatten(1, (2, 2, -1))
        even, odd = (
            torch.stack(
                [phases[:, p, q, :, p : p + height, q : q + width] for q in range(2)], dim=-1
            ).flatten(-2)
            for p in range(2)
        )
        return torch.stack([even, odd], dim=-2).flatten(-3, -2)
