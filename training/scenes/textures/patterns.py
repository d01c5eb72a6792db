"""Procedural textures with a layout: facades, pictures, wallpapers, rugs, labels and leaf cards."""

from __future__ import annotations

import cv2
import numpy as np

from training.scenes.textures.noise import SIZE, Cells, blend, colour, noise, pixel_grid, shade

_SUBPIXEL = 3  # fractional bits of the coordinates handed to OpenCV


def _random_colour(rng: np.random.Generator) -> np.ndarray:
    """Inks and dyes: half of them muted, warm hues more often than others."""
    if rng.random() < 0.5:
        return colour(rng, (0.0, 0.17), (0.0, 0.6), (0.1, 0.95))
    return colour(rng, saturation=(0.0, 0.85), value=(0.08, 0.95))


def _tuple(colour_: np.ndarray) -> tuple[float, ...]:
    return tuple(float(c) for c in colour_)


# --- facades ------------------------------------------------------------------------------------


def _facade_wall(rng: np.random.Generator) -> np.ndarray:
    base = colour(rng, (0.0, 0.16), (0.03, 0.4), (0.45, 0.92))
    if rng.random() < 0.25:
        base = colour(rng, saturation=(0.05, 0.4), value=(0.35, 0.85))
    wall = shade(base, noise(rng, 1.4), rng.uniform(0.02, 0.09))
    kind = rng.random()
    if kind < 0.35:  # bricks: about 7 cm courses on a storey of about 3 m
        rows = 2 * int(rng.integers(20, 34))
        bricks = Cells(rows, rows // 3, np.arange(rows) % 2 * 0.5)
        wall = shade(wall, bricks.values(rng), 0.08)
        wall = blend(wall, wall * rng.uniform(0.7, 1.25), bricks.gap(0.3))
    elif kind < 0.6:  # panels or rendered bands
        panels = Cells(int(rng.integers(2, 9)), int(rng.integers(1, 5)))
        wall = shade(shade(wall, panels.values(rng), 0.03), panels.gap(0.6), -0.3)
    return shade(wall, np.clip(noise(rng, 1.2, stretch=(1.0, 6.0)), 0, None), -0.05)


def _window(rng: np.random.Generator, image: np.ndarray, box: tuple[int, ...], style: dict) -> None:
    """Draw one window into `image` in place; `box` is (x0, y0, x1, y1)."""
    x0, y0, x1, y1 = box
    border = style["border"]
    image[y0 - border : y1 + border, x0 - border : x1 + border] = style["frame"]
    # The glass mirrors the sky: brighter at the top, each pane a little differently tilted.
    fall = np.linspace(rng.uniform(0.0, 0.4), 0.0, y1 - y0, dtype=np.float32)[:, None, None]
    image[y0:y1, x0:x1] = (style["glass"] + fall * np.array([0.8, 0.95, 1.1])) * rng.uniform(
        0.6, 1.3
    )
    if rng.random() < style["curtains"]:
        bottom = y0 + int((y1 - y0) * rng.uniform(0.15, 0.85))
        image[y0:bottom, x0:x1] = style["curtain"] * rng.uniform(0.7, 1.1)
    if style["mullion"]:
        middle = (x0 + x1) // 2
        image[y0:y1, middle - 1 : middle + 1] = style["frame"]
    if style["transom"]:
        level = y0 + (y1 - y0) // 3
        image[level - 1 : level + 1, x0:x1] = style["frame"]
    image[y0 : y0 + 3, x0:x1] *= 0.5  # shadow of the lintel
    image[y1 + border : y1 + border + 3, x0 - border - 2 : x1 + border + 2] = style["sill"]


def facade(rng: np.random.Generator) -> np.ndarray:
    """Two or three storeys of windows; a repeat is meant to span 5 to 8 m."""
    image = np.ascontiguousarray(_facade_wall(rng), np.float32)
    rows, columns = int(rng.integers(2, 4)), int(rng.integers(2, 5))
    curtain_wall = rng.random() < 0.12
    share = (0.9, 0.86) if curtain_wall else (rng.uniform(0.3, 0.72), rng.uniform(0.42, 0.74))
    style = {
        "frame": colour(rng, saturation=(0, 0.3), value=(0.12, 0.95)),
        "glass": colour(rng, (0.5, 0.65), (0.1, 0.4), (0.06, 0.35)),
        "curtain": colour(rng, saturation=(0, 0.3), value=(0.5, 0.9)),
        "sill": colour(rng, saturation=(0, 0.2), value=(0.35, 0.9)),
        "border": 1 if curtain_wall else int(rng.integers(2, 5)),
        "curtains": rng.uniform(0.0, 0.5),
        "mullion": rng.random() < 0.7,
        "transom": rng.random() < 0.3,
    }
    width, height = SIZE / columns, SIZE / rows
    doors = rng.random() < 0.2  # french windows down to the floor
    for row in range(rows):
        for column in range(columns):
            x0, x1 = (int(width * (column + 0.5 + s * share[0] / 2)) for s in (-1, 1))
            y0, y1 = (int(height * (row + 0.5 + s * share[1] / 2)) for s in (-1, 1))
            y1 = min(y1 + int(0.12 * height) * doors, int(height * (row + 1)) - 8)
            _window(rng, image, (max(x0, 6), max(y0, 6), min(x1, SIZE - 6), y1), style)
    if rng.random() < 0.4:  # cornice between the storeys
        for row in range(rows):
            level = int(height * row)
            image[level : level + 4] = image[level : level + 4] * rng.uniform(0.6, 1.2)
    return image


# --- pictures -----------------------------------------------------------------------------------


def _landscape(rng: np.random.Generator) -> np.ndarray:
    """Sky over layered hills, paler with distance."""
    u, v = pixel_grid()
    top, bottom = colour(rng, (0.5, 0.65), (0.1, 0.7), (0.4, 0.95)), colour(rng, value=(0.5, 1.0))
    image = blend(np.ones((SIZE, SIZE, 3), np.float32) * top, np.ones(3) * bottom, v * 1.5)
    image = blend(image, np.ones_like(image), noise(rng, 1.6, stretch=(2, 1)) * rng.uniform(0, 0.6))
    near = colour(rng, (0.05, 0.45), (0.2, 0.7), (0.1, 0.5))
    layers = int(rng.integers(2, 6))
    for k in range(layers):
        level = 0.35 + 0.5 * (k + rng.uniform(0, 0.8)) / layers
        ridge = level + 0.06 * noise(rng, 1.6)[:1] * np.ones_like(u)
        body = shade(
            near * (k + 1) / layers + bottom * (1 - (k + 1) / layers), noise(rng, 0.8), 0.15
        )
        image = blend(image, body, (v - ridge) * 60)
    return image


def _shapes(rng: np.random.Generator) -> np.ndarray:
    """Overlapping discs, bars and strokes on a ground of one colour."""
    image = np.ones((SIZE, SIZE, 3), np.float32) * _random_colour(rng)
    palette = [_random_colour(rng) for _ in range(int(rng.integers(2, 6)))]
    for _ in range(int(rng.integers(3, 40))):
        ink = _tuple(palette[rng.integers(len(palette))])
        x, y = (int(c) for c in rng.integers(-20, SIZE + 20, 2))
        size = int(rng.integers(6, 90))
        kind = rng.random()
        if kind < 0.35:
            cv2.circle(image, (x, y), size, ink, -1 if rng.random() < 0.7 else 3, cv2.LINE_AA)
        elif kind < 0.7:
            height = int(rng.integers(4, 120))
            cv2.rectangle(image, (x, y), (x + size, y + height), ink, -1)
        else:
            other = tuple(int(c) for c in rng.integers(0, SIZE, 2))
            cv2.line(image, (x, y), other, ink, int(rng.integers(1, 14)), cv2.LINE_AA)
    return shade(image, noise(rng, 1.0), rng.uniform(0.0, 0.1))


def _painterly(rng: np.random.Generator) -> np.ndarray:
    """Colour fields mixed by smooth noise."""
    image = np.ones((SIZE, SIZE, 3), np.float32) * _random_colour(rng)
    for _ in range(int(rng.integers(2, 6))):
        mask = (noise(rng, rng.uniform(1.0, 2.2)) - rng.uniform(-0.5, 1.0)) * rng.uniform(0.6, 6)
        image = blend(image, np.ones_like(image) * _random_colour(rng), mask)
    return shade(image, noise(rng, 0.6), rng.uniform(0.02, 0.12))


def text_lines(rng: np.random.Generator, image: np.ndarray, box: tuple[int, ...], ink) -> None:
    """Lines of word-like bars inside `box` (x0, y0, x1, y1), in place."""
    x0, y0, x1, y1 = box
    height = int(rng.integers(2, 9))
    for y in range(y0, y1 - height, int(height * rng.uniform(1.6, 2.6)) + 1):
        x, end = x0, x0 + (x1 - x0) * rng.uniform(0.5, 1.0)
        while x < end:
            word = int(rng.integers(height, 5 * height + 2))
            image[y : y + height, x : min(x + word, x1)] = ink
            x += word + height


def _poster(rng: np.random.Generator) -> np.ndarray:
    """A sign, page, screen or sheet with headings, text and blocks."""
    image = np.ones((SIZE, SIZE, 3), np.float32) * _random_colour(rng)
    if rng.random() < 0.5:
        image[:] = colour(rng, saturation=(0, 0.1), value=(0.8, 1.0))
    for _ in range(int(rng.integers(1, 6))):
        x0, y0 = (int(c) for c in rng.integers(4, 170, 2))
        x1, y1 = x0 + int(rng.integers(30, 240)), y0 + int(rng.integers(16, 150))
        ink = _random_colour(rng)
        if rng.random() < 0.35:
            image[y0:y1, x0:x1] = ink
        else:
            text_lines(rng, image, (x0, y0, min(x1, SIZE - 4), min(y1, SIZE - 4)), ink)
    return image


def picture(rng: np.random.Generator) -> np.ndarray:
    """A picture, poster, sign or screen: landscape, shapes, colour fields or text."""
    kinds = (_landscape, _shapes, _painterly, _poster)
    return kinds[rng.choice(4, p=[0.3, 0.25, 0.2, 0.25])](rng)


# --- wallpapers, rugs, labels -------------------------------------------------------------------


def wallpaper(rng: np.random.Generator) -> np.ndarray:
    """Stripes, checks, dots, damask-like blobs or a painting, for whatever needs some texture."""
    u, v = pixel_grid()
    base, ink = _random_colour(rng), _random_colour(rng)
    n, m = (int(k) for k in rng.integers(1, 14, 2))
    kind = int(rng.integers(6))
    if kind == 0:
        mask = np.sin(2 * np.pi * n * u) > rng.uniform(-0.7, 0.7)
    elif kind == 1:
        mask = (np.floor(u * 2 * n) + np.floor(v * 2 * n)) % 2
    elif kind == 2:
        mask = (np.hypot((u * n) % 1 - 0.5, (v * n) % 1 - 0.5) < rng.uniform(0.1, 0.4)) * 1.0
    elif kind == 3:
        pattern = (
            np.cos(2 * np.pi * n * u) + np.cos(2 * np.pi * m * v) + np.cos(2 * np.pi * n * (u + v))
        )
        mask = (pattern > rng.uniform(-0.5, 1.0)) * 1.0
    elif kind == 4:
        mask = (noise(rng, rng.uniform(0.8, 1.6)) > rng.uniform(0, 1)) * 1.0
    else:
        return shade(picture(rng), noise(rng, 1.0), 0.03)
    image = blend(
        np.ones((SIZE, SIZE, 3), np.float32) * base, np.ones(3) * ink, mask * rng.uniform(0.3, 1)
    )
    return shade(image, noise(rng, 0.8), rng.uniform(0.02, 0.1))


def rug(rng: np.random.Generator, pile: np.ndarray) -> np.ndarray:
    """A rug's borders and figures drawn over its pile (H, W, 3)."""
    u, v = pixel_grid()
    inset = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v))
    image = pile
    for _ in range(int(rng.integers(1, 5))):
        start, width = rng.uniform(0.0, 0.35), rng.uniform(0.01, 0.12)
        mask = ((inset > start) & (inset < start + width)) * rng.uniform(0.5, 1.0)
        image = blend(image, pile * 0 + _random_colour(rng), mask)
    if rng.random() < 0.6:
        n = int(rng.integers(1, 8))
        diamond = np.abs((u * n) % 1 - 0.5) + np.abs((v * n) % 1 - 0.5)
        mask = (np.abs(diamond - rng.uniform(0.1, 0.5)) < rng.uniform(0.03, 0.15)) * 0.8
        image = blend(image, pile * 0 + _random_colour(rng), mask)
    return shade(image, noise(rng, 0.2, low=20), 0.08)


def printed_label(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Tape, stamps and address labels on a box's side."""
    image = np.ascontiguousarray(image, np.float32)
    if rng.random() < 0.6:
        y, width = int(rng.integers(40, 200)), int(rng.integers(10, 34))
        image[y : y + width] *= np.array([1.1, 1.05, 0.9]) * rng.uniform(0.8, 1.15)
    for _ in range(int(rng.integers(1, 4))):
        x, y = (int(c) for c in rng.integers(8, 170, 2))
        w, h = (int(c) for c in rng.integers(24, 80, 2))
        if rng.random() < 0.5:
            image[y : y + h, x : x + w] = colour(rng, saturation=(0, 0.15), value=(0.75, 0.97))
        text_lines(rng, image, (x + 3, y + 3, x + w - 3, y + h - 3), _random_colour(rng) * 0.5)
    return image


# --- leaves -------------------------------------------------------------------------------------


def leaf_card(rng: np.random.Generator) -> np.ndarray:
    """A spray of leaves, float RGBA (SIZE, SIZE, 4); one in six is autumnal or in bloom."""
    base = colour(rng, (0.17, 0.36), (0.35, 0.75), (0.22, 0.55))
    if rng.random() < 0.16:
        base = colour(rng, (-0.05, 0.14), (0.4, 0.8), (0.5, 0.8))
    image = np.zeros((SIZE, SIZE, 4), np.float32)
    image[..., :3] = base  # also where transparent: mip levels bleed no other colour in
    size, slender = rng.uniform(6, 18), rng.uniform(1.3, 4.5)
    scale = 1 << _SUBPIXEL
    for _ in range(int(rng.integers(60, 240))):
        radius, angle = 112 * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
        centre = (
            int(scale * (128 + radius * np.cos(angle))),
            int(scale * (128 + radius * np.sin(angle))),
        )
        axes = (int(scale * size), max(scale, int(scale * size / slender)))
        ink = (*_tuple(np.clip(base * rng.uniform(0.55, 1.45), 0, 1)), 1.0)
        turn = float(rng.uniform(0, 360))
        cv2.ellipse(image, centre, axes, turn, 0, 360, ink, -1, cv2.LINE_8, _SUBPIXEL)
    return image
