"""Trees of trunk, branches and leaf cards: many species-like kinds drawn at random."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from training.scenes import mesh
from training.scenes.mesh import VERTEX_SIZE, Material
from training.scenes.palette import Palette
from training.scenes.parametric.shapes import tube

# Offsets of the six corners of a leaf card, in half sizes along its two edges.
_CARD = 2 * mesh.UNIT_QUAD.astype(np.float32) - 1


@dataclass(frozen=True)
class TreeKind:
    """What the trees of one kind share; lengths are fractions of a tree's height.

    `bare_trunk` is the height of the lowest branch, `spread` the length of a long branch, `taper`
    how much shorter branches get towards the top (1: conifer), `cards` the number of leaf cards,
    `card` their half size, `scatter` their distance from the branches as a share of the spread.
    """

    leaf: int
    bark: Material
    bare_trunk: float
    spread: float
    branches: int
    taper: float
    cards: int
    card: float
    scatter: float
    tint: tuple[float, float, float]


def random_kind(palette: Palette) -> TreeKind:
    """Draw a kind of tree; one in fourteen is bare, one in four tapers like a conifer."""
    rng = palette.rng
    conifer = rng.random() < 0.25
    return TreeKind(
        leaf=palette.layer("leaf"),
        bark=palette.surface("bark", low=0.5, high=1.5, gloss=0.02),
        bare_trunk=rng.uniform(0.05, 0.15) if conifer else rng.uniform(0.15, 0.45),
        spread=rng.uniform(0.14, 0.26) if conifer else rng.uniform(0.16, 0.42),
        branches=int(rng.integers(10, 20) if conifer else rng.integers(6, 16)),
        taper=rng.uniform(0.75, 0.95) if conifer else rng.uniform(0.2, 0.5),
        cards=0 if rng.random() < 0.07 else int(rng.integers(110, 420)),
        card=rng.uniform(0.05, 0.115),
        scatter=rng.uniform(0.12, 0.3),
        tint=tuple(float(t) for t in rng.uniform(0.7, 1.35) * rng.uniform(0.88, 1.12, 3)),
    )


def sparser(kind: TreeKind, factor: float = 0.35) -> TreeKind:
    """The same kind with fewer, larger cards, for trees far away."""
    cards = int(kind.cards * factor)
    return replace(
        kind, cards=cards, card=kind.card * factor**-0.4, branches=max(3, kind.branches // 2)
    )


def tree(kind: TreeKind, height: float, rng: np.random.Generator) -> np.ndarray:
    """One tree `height` metres tall, vertex rows (n, 13), rooted a little below y = 0."""
    radius = 0.018 * height + 0.04
    lean = rng.normal(0, 0.03, 2) * height
    top = np.array([lean[0], 0.85 * height, lean[1]])
    fork = top * (kind.bare_trunk / 0.85)
    parts = [
        tube((0, -0.3, 0), fork, radius * 1.15, kind.bark, radius * 0.85),
        tube(fork, top, radius * 0.85, kind.bark, radius * 0.15, segments=6),
    ]
    anchors = [top]
    for index in range(kind.branches):
        along = (index + rng.random()) / kind.branches
        start = fork + (top - fork) * along
        angle = index * 2.4 + rng.uniform(-0.5, 0.5)
        reach = height * kind.spread * rng.uniform(0.6, 1.0) * (1 - kind.taper * along)
        rise = rng.uniform(-0.15, 0.2) if kind.taper > 0.6 else rng.uniform(0.1, 0.6)
        end = start + reach * np.array([math.cos(angle), rise, math.sin(angle)])
        parts.append(tube(start, end, radius * 0.35, kind.bark, 0.012, segments=4))
        anchors += [start + (end - start) * f for f in (0.45, 0.75, 1.0)]
    if kind.cards:
        parts.append(_leaf_cards(kind, height, np.array(anchors), rng))
    return np.concatenate(parts).astype(np.float32)


def _leaf_cards(
    kind: TreeKind, height: float, anchors: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Randomly turned cards about the anchors, lit as if they lay on the crown's hull."""
    count = kind.cards
    centre = anchors[rng.integers(len(anchors), size=count)]
    centre = centre + rng.normal(0, 1, (count, 3)) * kind.scatter * kind.spread * height
    edge_u = _unit(rng.normal(0, 1, (count, 3)))
    edge_v = _unit(np.cross(edge_u, rng.normal(0, 1, (count, 3))))
    size = rng.uniform(0.6, 1.1, count) * kind.card * height
    middle = np.array([0, (kind.bare_trunk + 1) / 2 * height, 0])
    normal = _unit(_unit(centre - middle) * 0.8 + rng.normal(0, 0.25, (count, 3)))
    # Leaves inside and below the crown get less light than the ambient term knows.
    shade = np.clip(rng.uniform(0.7, 1.2, count) * (0.78 + 0.32 * normal[:, 1]), 0.3, 1.4)
    rows = np.zeros((count, 6, VERTEX_SIZE), np.float32)
    for corner, (a, b) in enumerate(_CARD):
        rows[:, corner, :3] = centre + (a * edge_u + b * edge_v) * size[:, None]
        rows[:, corner, 6:8] = (a + 1) / 2, (b + 1) / 2
    rows[:, :, 3:6] = normal[:, None]
    rows[:, :, 8] = kind.leaf
    rows[:, :, 9:12] = (np.array(kind.tint) * shade[:, None])[:, None]
    return rows.reshape(-1, VERTEX_SIZE)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


class Grove:
    """A few ready trees of a few kinds, to be planted again and again at any size and turn."""

    def __init__(self, palette: Palette, kinds: int, each: int = 2, far: bool = False) -> None:
        rng = palette.rng
        self.trees: list[list[np.ndarray]] = []
        self.kinds: list[TreeKind] = []
        for _ in range(kinds):
            kind = random_kind(palette)
            if far:
                kind = sparser(kind)
            self.kinds.append(kind)
            self.trees.append([tree(kind, 6.0, rng) for _ in range(each)])

    def planted(self, rng: np.random.Generator, position, height: float, kind: int) -> np.ndarray:
        """A tree `height` metres tall at `position`, of the kind with this number."""
        rows = self.trees[kind][int(rng.integers(len(self.trees[kind])))]
        wide = height / 6.0
        slim = wide * rng.uniform(0.85, 1.15)
        tint = rng.uniform(0.85, 1.12)
        planted = mesh.transformed(
            rows, position, rng.uniform(0, 2 * math.pi), (slim, wide, slim), tint
        )
        planted[:, 3:6] = _unit(planted[:, 3:6])
        return planted
