"""The attentions of a UNet whose prompt is constant, with fewer and smaller matrices, same results."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class SelfAttention(nn.Module):
    """Attention of tokens (B, N, C) to each other; one matrix gives queries, keys and values.

    Args:
        attention: diffusers' attention, whose weights are copied.
    """

    @torch.no_grad()
    def __init__(self, attention: nn.Module):
        super().__init__()
        self.heads = attention.heads
        projections = (attention.to_q, attention.to_k, attention.to_v)
        biases = [projection.bias for projection in projections if projection.bias is not None]
        self.inward = linear(
            torch.cat([projection.weight for projection in projections]),
            torch.cat(biases) if biases else None,
        )
        self.out = linear(attention.to_out[0].weight, attention.to_out[0].bias)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        parts = self.inward(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        return self.out(mixed.transpose(1, 2).flatten(2))


class PromptAttention(nn.Module):
    """Cross-attention of tokens (B, N, C) to T constant ones, as two small linear layers.

    The scores of a head are linear in the token: T numbers, of which only the differences to the
    last one matter. The output is linear in their softmax. Two tokens, those of the empty prompt,
    have one difference, and softmax is its sigmoid.

    Args:
        attention: diffusers' attention, whose weights are used.
        prompt: (1, T, D), the constant tokens.

    Attributes:
        constant: (C,), the output where it is the same for all tokens, because there is one constant
            token or their keys are alike; else None.
    """

    @torch.no_grad()
    def __init__(self, attention: nn.Module, prompt: torch.Tensor):
        super().__init__()
        self.heads = attention.heads
        if prompt.shape[1] == 1:  # twice the same token: no difference to attend to
            prompt = prompt.expand(-1, 2, -1)
        query, key, value, out = (
            _in_double(layer)
            for layer in (attention.to_q, attention.to_k, attention.to_v, attention.to_out[0])
        )
        keys, values = (
            F.linear(prompt[0].double(), *layer).unflatten(1, (self.heads, -1))
            for layer in (key, value)
        )
        keys = (keys[:-1] - keys[-1:]) * keys.shape[-1] ** -0.5
        score = torch.einsum("thd,hdc->htc", keys, query[0].unflatten(0, (self.heads, -1)))
        offset = torch.einsum("thd,hd->ht", keys, query[1].unflatten(0, (self.heads, -1)))
        mixed = torch.einsum("thd,chd->cht", values, out[0].unflatten(1, (self.heads, -1)))
        shift = out[1] + mixed[..., -1].sum(1)
        mixed = mixed[..., :-1] - mixed[..., -1:]
        self.score = linear(score.flatten(0, 1), offset.flatten(), prompt.dtype)
        self.out = linear(mixed.flatten(1), shift, prompt.dtype)
        self.constant = None if score.any() else self._mix(self.score.bias)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._mix(self.score(tokens))

    def _mix(self, scores: torch.Tensor) -> torch.Tensor:
        if scores.shape[-1] == self.heads:
            return self.out(scores.sigmoid())
        scores = F.pad(scores.unflatten(-1, (self.heads, -1)), (0, 1))
        return self.out(scores.softmax(-1)[..., :-1].flatten(-2))


def linear(
    weight: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype | None = None
) -> nn.Linear:
    """A layer with copies of a weight (outputs, inputs) and a bias (outputs,) or none."""
    layer = nn.utils.skip_init(  # which leaves the random generator alone
        nn.Linear,
        weight.shape[1],
        weight.shape[0],
        bias=bias is not None,
        device=weight.device,
        dtype=dtype or weight.dtype,
    )
    layer.requires_grad_(False).weight.copy_(weight)
    if bias is not None:
        layer.bias.copy_(bias)
    return layer


def _in_double(layer: nn.Linear) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias in double precision: products of matrices then keep float32's digits."""
    weight = layer.weight.detach().double()
    if layer.bias is None:
        return weight, weight.new_zeros(len(weight))
    return weight, layer.bias.detach().double()
