"""Parametric cars, vans and pick-ups in real paint colours; they face +z."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.scenes import mesh
from training.scenes.mesh import Material
from training.scenes.parametric.shapes import Kit, cleaned, linear, surface

# sRGB of common car paints, and roughly how often each is seen on European roads.
PAINTS: tuple[tuple[tuple[float, float, float], float], ...] = (
    ((0.92, 0.92, 0.91), 0.22),  # white
    ((0.05, 0.05, 0.06), 0.19),  # black
    ((0.36, 0.37, 0.39), 0.17),  # grey
    ((0.66, 0.67, 0.69), 0.13),  # silver
    ((0.09, 0.16, 0.36), 0.07),  # dark blue
    ((0.16, 0.33, 0.60), 0.04),  # blue
    ((0.58, 0.06, 0.07), 0.06),  # red
    ((0.33, 0.05, 0.07), 0.02),  # burgundy
    ((0.45, 0.38, 0.29), 0.03),  # beige, bronze
    ((0.26, 0.19, 0.14), 0.02),  # brown
    ((0.12, 0.22, 0.16), 0.02),  # dark green
    ((0.78, 0.62, 0.12), 0.01),  # yellow
    ((0.75, 0.33, 0.08), 0.02),  # orange
)


@dataclass(frozen=True)
class Body:
    """One body style: ranges in metres, then stations as fractions of the length from the front.

    `cabin` is (windscreen foot, roof front, roof rear, rear window's foot); `bonnet` and `boot` are
    heights of the deck before and behind it, as fractions of the total height.
    """

    length: tuple[float, float]
    width: tuple[float, float]
    height: tuple[float, float]
    cabin: tuple[float, float, float, float]
    bonnet: float
    boot: float
    clearance: float = 0.2
    glazed_rear: bool = True


CARS = (
    Body(
        (3.5, 4.3), (1.64, 1.80), (1.42, 1.55), (0.24, 0.43, 0.85, 0.965), 0.62, 0.60
    ),  # hatchback
    Body((4.3, 5.0), (1.74, 1.90), (1.40, 1.50), (0.27, 0.44, 0.70, 0.86), 0.61, 0.66),  # saloon
    Body((4.4, 4.9), (1.76, 1.88), (1.43, 1.53), (0.26, 0.42, 0.89, 0.975), 0.61, 0.62),  # estate
    Body((4.2, 4.9), (1.80, 1.98), (1.60, 1.82), (0.25, 0.41, 0.87, 0.97), 0.62, 0.60, 0.26),  # SUV
    Body(
        (4.1, 4.6), (1.76, 1.90), (1.26, 1.36), (0.32, 0.48, 0.68, 0.90), 0.63, 0.68, 0.16
    ),  # coupé
    Body(
        (4.4, 4.8), (1.76, 1.88), (1.62, 1.80), (0.16, 0.38, 0.90, 0.975), 0.58, 0.56
    ),  # people carrier
)
VANS = (
    Body((4.3, 4.8), (1.78, 1.86), (1.78, 1.9), (0.20, 0.36, 0.975, 0.99), 0.60, 0.55, 0.22, False),
    Body((4.9, 6.2), (1.95, 2.08), (1.95, 2.7), (0.13, 0.25, 0.985, 0.995), 0.52, 0.5, 0.24, False),
    Body(
        (4.9, 5.3), (1.90, 2.00), (1.9, 2.0), (0.13, 0.27, 0.975, 0.99), 0.55, 0.5, 0.22
    ),  # minibus
)
PICKUP = Body((5.0, 5.5), (1.80, 1.95), (1.75, 1.88), (0.27, 0.39, 0.58, 0.61), 0.61, 0.58, 0.3)


def car_paint(rng: np.random.Generator) -> tuple[float, float, float]:
    """A linear albedo drawn from :data:`PAINTS`, with a little variation."""
    weights = np.array([w for _, w in PAINTS])
    base = np.array(PAINTS[rng.choice(len(PAINTS), p=weights / weights.sum())][0])
    return linear(np.clip(base * rng.uniform(0.85, 1.12) + rng.normal(0, 0.012, 3), 0.02, 0.96))


def car(kit: Kit) -> None:
    _vehicle(kit, kit.pick(CARS))


def van(kit: Kit) -> None:
    _vehicle(kit, kit.pick(VANS))


def pickup(kit: Kit) -> None:
    _vehicle(kit, PICKUP)


def _vehicle(kit: Kit, body: Body) -> None:
    length, width, height = (kit.between(*r) for r in (body.length, body.width, body.height))
    paint = Material(colour=car_paint(kit.rng), gloss=kit.between(0.5, 0.9))
    if body in VANS and kit.chance(0.55):
        paint = Material(colour=linear((0.9, 0.9, 0.9)), gloss=0.5)
    _shell(kit, body, length, width, height, paint)
    radius = min(0.36, kit.between(0.19, 0.22) * height)
    for z in (0.315 * length, -0.285 * length):
        wheel_pair(kit, width, radius, z)
    _details(kit, length, width, height, body, paint)


def _shell(
    kit: Kit, body: Body, length: float, width: float, height: float, paint: Material
) -> None:
    """The body as cross-sections lofted from front to rear."""
    foot, front, rear, tail = (f + kit.between(-0.008, 0.008) for f in body.cabin)
    belt_front, belt_rear = body.bonnet * height, max(body.boot, body.bonnet) * height
    nose, stern = kit.between(0.72, 0.85), kit.between(0.85, 0.98)
    pillar = front + (rear - front) * kit.between(0.42, 0.5)
    # Rows: fraction of the length, width factor, height of the belt line, height of the top.
    stations = [
        (0.0, 0.82, belt_front * nose * 0.9, 0.0),
        (0.02, 0.93, belt_front * nose, 0.0),
        (0.10, 0.99, belt_front * (0.6 * nose + 0.4), 0.0),
        (foot, 1.0, belt_front, 0.0),
        (front, 1.0, belt_front, height),
        (pillar - 0.012, 1.0, 0.5 * (belt_front + belt_rear), height * 1.01),
        (pillar + 0.012, 1.0, 0.5 * (belt_front + belt_rear), height * 1.01),
        (rear, 1.0, belt_rear, height * 0.985),
        (tail, 0.98, belt_rear, 0.0),
        (max(tail + 0.01, 0.985), 0.96, belt_rear * stern, 0.0),
        (1.0, 0.88, belt_rear * stern * 0.95, 0.0),
    ]
    inset = kit.between(0.10, 0.17)
    half, low = width / 2, body.clearance
    sections = []
    for fraction, wide, belt, top in stations:
        w, roof = half * wide, max(top, belt + 0.03)
        roof_half = w * (1 - inset) if top else w * 0.86
        right = [
            (w * 0.93, low), (w, low + 0.35 * (belt - low)), (w * 0.97, belt), (roof_half, roof - 0.02),
            (roof_half * 0.82, roof + 0.02),
        ]  # fmt: skip
        z = length * (0.5 - fraction)
        outline = [*right, *((-x, y) for x, y in reversed(right))]
        sections.append([(x, y, z) for x, y in outline])
    points, glass = np.array(sections), kit.glass()
    glass_cells = {(4, 2), (6, 2), (3, 4), (3, 3)}  # (segment, strip): side panes and windscreen
    if body.glazed_rear:
        glass_cells |= {(7, 4), (7, 3)}
    else:
        glass_cells -= {(6, 2)}
    sill = kit.plain(saturation=(0, 0.1), value=(0.03, 0.2)) if kit.chance(0.4) else paint
    for segment in range(len(points) - 1):
        for strip in range(points.shape[1] - 1):
            mirrored = min(strip, points.shape[1] - 2 - strip)
            is_glass = (segment, mirrored) in glass_cells
            material = glass if is_glass else sill if mirrored == 0 else paint
            kit.add(_facet(points[segment : segment + 2, strip : strip + 2], material))
    for section in (points[0], points[-1]):
        kit.add(_fan(section, paint))


def _facet(corners: np.ndarray, material: Material) -> np.ndarray:
    """One cell of the loft: smooth enough in the small, with its own normal."""
    return surface(corners, material, smooth=False)


def _fan(outline: np.ndarray, material: Material) -> np.ndarray:
    """A convex outline (n, 3) filled with triangles."""
    corners = [c for k in range(1, len(outline) - 1) for c in (outline[0], *outline[k : k + 2])]
    zeros = np.zeros((len(corners), 3))
    return cleaned(mesh.vertices(np.array(corners), zeros, zeros[:, :2], material), flat=True)


def wheel_pair(kit: Kit, width: float, radius: float, z: float, tyre_width: float = 0.2) -> None:
    """Two wheels in their dark arches; they stand on y = 0."""
    rubber = Material(colour=(0.012, 0.012, 0.013), gloss=0.1)
    rim = kit.plain(saturation=(0, 0.05), value=(0.15, 0.75), gloss=0.8)
    for side in (-1, 1):
        outer = side * (width / 2 + 0.004)
        inner = outer - side * tyre_width
        kit.rod(
            (inner, radius + 0.01, z),
            (outer - side * 0.015, radius + 0.01, z),
            radius * 1.17,
            rubber,
        )
        kit.rod((inner, radius, z), (outer, radius, z), radius, rubber)
        kit.rod((inner, radius, z), (outer + side * 0.004, radius, z), radius * 0.62, rim)
        kit.rod((inner, radius, z), (outer + side * 0.006, radius, z), radius * 0.14, rubber)


def _details(
    kit: Kit, length: float, width: float, height: float, body: Body, paint: Material
) -> None:
    """Lamps, plates, mirrors, bumpers and door handles."""
    belt = body.bonnet * height
    lamp = Material(colour=(0.75, 0.78, 0.8), gloss=0.9)
    red = Material(colour=linear((0.6, 0.04, 0.05)), gloss=0.7)
    dark = Material(colour=(0.015, 0.015, 0.017), gloss=0.2)
    plate = Material(colour=linear((0.9, 0.9, 0.85)), gloss=0.2)
    rear_height = kit.between(0.3, 0.4) if body in VANS else 0.14
    for side in (-1, 1):
        kit.block((0.3, 0.13, 0.08), (side * width * 0.33, belt * 0.66, length / 2 - 0.05), lamp)
        kit.block(
            (0.22, rear_height, 0.06), (side * width * 0.36, belt * 0.72, -length / 2 + 0.02), red
        )
        mirror_z = length * (0.5 - body.cabin[0] - 0.05)
        kit.ball((0.16, 0.14, 0.1), (side * (width / 2 + 0.06), belt + 0.02, mirror_z), paint, 0.5)
        handle_z = length * (0.5 - 0.5 * (body.cabin[1] + body.cabin[2]))
        kit.block((0.03, 0.03, 0.16), (side * width * 0.492, belt - 0.1, handle_z), dark)
    kit.block((width * 0.45, 0.16, 0.04), (0, belt * 0.55, length / 2 - 0.01), dark)
    for z in (length / 2 + 0.015, -length / 2 - 0.005):
        kit.block((0.5, 0.11, 0.02), (0, 0.42, z), plate)
        kit.block((width * 0.9, 0.16, 0.06), (0, body.clearance, z * 0.985), dark)
    if body is PICKUP:
        bed = (width * 0.84, 0.02, length * 0.35)
        kit.block(bed, (0, belt + 0.05, -length * 0.31), dark)
