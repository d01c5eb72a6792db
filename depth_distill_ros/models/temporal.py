"""Temporal modules of a DPT head: each position looks at its own past, and never ahead.

The module is that of Video Depth Anything (2025) and of one-step video depth's decoder
distillation (section 3.3): GroupNorm, linear, two self-attentions over time at each position,
GEGLU, a linear layer that starts at zero, added to its input. Two things differ, because a camera
delivers frames one by one and loses some:

- attention is causal, over a window of past frames, in training as in use;
- time is the age of a frame in seconds, a bias on the attention (one a head), and not a position in
  the clip. So keys and values of a past frame never change, and what is remembered of it may be
  kept in any order.

What a module adds is what time has changed: an attention adds what the past says beyond the frame
itself, and the last layer sees the tokens' difference to what they were before. A frame without any
past passes unchanged: with an empty memory the head is a single-image head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers.models.attention import FeedForward
from torch import nn

DECAYS = (30.0, 10.0, 3.0, 1.0)
"""Rates, in 1/s, of the decaying exponentials that a frame's age is described by."""

ATTENTIONS = 2
ENTRIES = 2 * ATTENTIONS
"""What a module remembers of a frame: keys and values of each attention."""


@dataclass(frozen=True)
class Past:
    """Which frames each frame may look at, and how long ago they were: T frames, S in sight.

    Attributes:
        visible: bool (B, T, S).
        decay: (B, T, S, len(DECAYS)), exp(-rate · age).
        exists: bool (B, T), whether a frame sees any but itself.
    """

    visible: torch.Tensor
    decay: torch.Tensor
    exists: torch.Tensor

    @classmethod
    def of_ages(cls, ages: torch.Tensor) -> Past:
        """From ages (B, T, S) in seconds; negative and infinite ones are out of sight."""
        visible = (ages >= 0) & torch.isfinite(ages)
        rates = ages.new_tensor(DECAYS)
        decay = torch.exp(-rates * torch.where(visible, ages, 0.0)[..., None])
        return cls(visible, decay, visible.sum(-1) > 1)


def clip_ages(
    stamps: torch.Tensor, window: int, starts: torch.Tensor | None = None
) -> torch.Tensor:
    """Ages (B, T, T) of the frames of clips as each frame sees them; infinite where it does not.

    Args:
        stamps: (B, T) seconds, not decreasing, float64 for absolute times.
        window: how many frames a frame sees, itself among them.
        starts: bool (B, T), True where another scene begins, which sees nothing before it.
    """
    ages = (stamps[:, :, None] - stamps[:, None, :]).float()
    place = torch.arange(stamps.shape[1], device=stamps.device)
    behind = place[:, None] - place[None, :]
    visible = ((behind >= 0) & (behind < window)).expand_as(ages)
    if starts is not None:
        scene = starts.long().cumsum(1)
        visible = visible & (scene[:, :, None] == scene[:, None, :])
    return torch.where(visible, ages, torch.inf)


class _TemporalAttention(nn.Module):
    """Self-attention over time at each position, over remembered frames and the given ones."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_kv = nn.Linear(channels, 2 * channels, bias=False)
        self.out = nn.Linear(channels, channels)
        self.age = nn.Linear(len(DECAYS), heads, bias=False)
        # At first the mean of the past less the present: what a still camera's noise asks for.
        nn.init.eye_(self.to_kv.weight.data[channels:])
        _start_as_identity(self.out)

    def forward(
        self, x: torch.Tensor, past: Past, memory: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the past adds to tokens x (B, P, T, C), and their keys and values.

        ``memory`` (B, 2, P, heads, M, d) comes before the T frames in ``past``; the second result
        has that shape with T in place of M.
        """
        tokens = self.norm(x)
        query = self._split(self.to_q(tokens))
        own = torch.stack([self._split(half) for half in self.to_kv(tokens).chunk(2, -1)], 1)
        seen = [own] if memory is None else [memory.to(own.dtype), own]
        bias = self.age(past.decay.to(tokens.dtype)).permute(0, 3, 1, 2)  # (B, heads, T, S)
        bias = bias.masked_fill(~past.visible[:, None], -torch.inf)[:, None]
        beyond = _attend(query, seen, bias) - own[:, 1]
        return self.out(beyond.transpose(2, 3).flatten(3)), own

    def _split(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, P, T, C) to (B, P, heads, T, d)."""
        return tokens.unflatten(-1, (self.heads, -1)).transpose(2, 3)


def _start_as_identity(layer: nn.Linear) -> None:
    nn.init.eye_(layer.weight)
    nn.init.zeros_(layer.bias)


def _attend(query: torch.Tensor, seen: Sequence[torch.Tensor], bias: torch.Tensor) -> torch.Tensor:
    """softmax(q·k / √d + bias) · v, (B, P, heads, T, d).

    Args:
        query: (B, P, heads, T, d).
        seen: keys and values of the frames in sight, in lots (B, 2, P, heads, S_i, d). They are
            not joined: that would copy the whole memory for the sake of one frame.
        bias: (B, 1, heads, T, S), S the sum of S_i.
    """
    query = query * query.shape[-1] ** -0.5
    scores = torch.cat([_scores(query, lot[:, 0]) for lot in seen], dim=-1)
    weights = torch.softmax(scores + bias, dim=-1).split([lot.shape[4] for lot in seen], dim=-1)
    return sum(_mix(part, lot[:, 1]) for part, lot in zip(weights, seen, strict=True))


# One frame against its past is a handful of numbers at each of thousands of positions, for which
# sums of products are faster than as many tiny matrix products, and read a memory where it lies.


def _scores(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Dot products (B, P, heads, T, S) of vectors (B, P, heads, T or S, d)."""
    if query.shape[3] == 1:
        return (query * key).sum(-1)[..., None, :]
    return query @ key.transpose(-1, -2)


def _mix(weights: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Sums (B, P, heads, T, d) of vectors (B, P, heads, S, d), weighted (B, P, heads, T, S)."""
    if weights.shape[3] == 1:
        return (weights.transpose(-1, -2) * value).sum(-2, keepdim=True)
    return weights @ value


class TemporalModule(nn.Module):
    """Maps (B·T, C, h, w) of T frames each, changed by what came before them.

    Args:
        channels: C, a multiple of ``heads``.
        heads: of the attentions.
    """

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.norm = nn.GroupNorm(min(32, channels // 4), channels)
        self.inward = nn.Linear(channels, channels)
        self.attentions = nn.ModuleList(
            _TemporalAttention(channels, heads) for _ in range(ATTENTIONS)
        )
        self.feed_norm = nn.LayerNorm(channels)
        self.feed = FeedForward(channels, activation_fn="geglu")
        self.outward = nn.Linear(channels, channels)
        _start_as_identity(self.inward)
        for layer in (self.feed.net[-1], self.outward):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, x: torch.Tensor, past: Past, memory: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The maps, and what is to be remembered of their frames.

        Args:
            x: (B·T, C, h, w), the T frames of a clip one after the other.
            past: (B, T, M + T) frames in sight, the remembered ones first.
            memory: (B, ENTRIES, h·w, heads, M, C / heads); None remembers nothing (M = 0).

        Returns:
            (B·T, C, h, w), and (B, ENTRIES, h·w, heads, T, C / heads).
        """
        batch, frames = past.exists.shape
        height, width = x.shape[-2:]
        tokens = self.norm(x).flatten(2).unflatten(0, (batch, frames)).permute(0, 3, 1, 2)
        tokens = before = self.inward(tokens)
        entries = []
        for index, attention in enumerate(self.attentions):
            known = None if memory is None else memory[:, 2 * index : 2 * index + 2]
            change, own = attention(tokens, past, known)
            tokens = tokens + change
            entries.append(own)
        tokens = tokens + self.feed(self.feed_norm(tokens))
        change = self.outward(tokens - before) * past.exists[:, None, :, None].to(tokens.dtype)
        change = change.permute(0, 2, 3, 1).flatten(0, 1).unflatten(-1, (height, width))
        return x + change, torch.cat(entries, dim=1)
