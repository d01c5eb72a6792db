"""Reads Wavefront OBJ models with MTL materials into vertex rows of the scene format.

Covers what furniture catalogues use: polygons, negative indices, missing normals or texture
coordinates, ``Kd``, ``Ks``, ``d``/``Tr`` and ``map_Kd``. Mostly transparent faces are left out,
because a depth image has one value a pixel.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from training.scenes.mesh import VERTEX_SIZE
from training.scenes.textures.noise import SIZE

MAX_FACES = 45_000
MAX_BYTES = 6_000_000
MIN_OPACITY = 0.5

ReadFile = Callable[
    [str], bytes
]  # a path relative to the model's folder → contents; KeyError if absent


@dataclass
class ObjMaterial:
    """A material of an MTL file: linear albedo, gloss, opacity, name of the texture image."""

    colour: tuple[float, float, float] = (0.7, 0.7, 0.7)
    gloss: float = 0.05
    opacity: float = 1.0
    texture: str | None = None


@dataclass
class ObjModel:
    """Vertex rows whose layer column counts into `textures` (RGBA uint8, 256 × 256)."""

    rows: np.ndarray
    textures: list[np.ndarray] = field(default_factory=list)


@dataclass
class _Obj:
    positions: list[list[float]] = field(default_factory=list)
    uvs: list[list[float]] = field(default_factory=list)
    normals: list[list[float]] = field(default_factory=list)
    corners: list[tuple[int, int, int]] = field(default_factory=list)  # three a triangle
    materials: list[str] = field(default_factory=list)  # one a triangle
    libraries: list[str] = field(default_factory=list)


def parse_mtl(text: str) -> dict[str, ObjMaterial]:
    """Materials by name; lines that cannot be read are skipped, as viewers do."""
    materials: dict[str, ObjMaterial] = {}
    current = ObjMaterial()
    for line in text.splitlines():
        words = line.split(None, 1)
        if len(words) < 2:
            continue
        key, value = words[0], words[1].strip()
        try:
            if key == "newmtl":
                current = materials.setdefault(value, ObjMaterial())
            elif key == "Kd":
                current.colour = tuple(
                    min(max(float(v), 0.0), 1.0) ** 2.2 for v in value.split()[:3]
                )
            elif key == "Ks":
                current.gloss = min(max(float(value.split()[0]), 0.0), 0.95)
            elif key == "d":
                current.opacity = float(value.split()[-1])
            elif key == "Tr":
                current.opacity = 1.0 - float(value.split()[-1])
            elif key == "map_Kd":
                current.texture = value.replace("\\", "/").split("/")[-1]
        except ValueError:
            continue
    return materials


def _parse_obj(text: str) -> _Obj:
    obj, material = _Obj(), ""
    pools = {"v": (obj.positions, 3), "vt": (obj.uvs, 2), "vn": (obj.normals, 3)}
    for line in text.splitlines():
        key, _, rest = line.partition(" ")
        if key in pools:
            pool, width = pools[key]
            pool.append([float(v) for v in rest.split()[:width]])
        elif key == "f":
            polygon = [_corner(word, obj) for word in rest.split()]
            for k in range(1, len(polygon) - 1):
                obj.corners += (polygon[0], polygon[k], polygon[k + 1])
                obj.materials.append(material)
        elif key == "usemtl":
            material = rest.strip()
        elif key == "mtllib":
            obj.libraries.append(rest.strip())
    return obj


def _corner(word: str, obj: _Obj) -> tuple[int, int, int]:
    """(position, uv, normal) indices from 0, −1 where absent; negative OBJ indices count back."""
    fields = (word + "//").split("/")
    pools = (obj.positions, obj.uvs, obj.normals)
    result = []
    for text, pool in zip(fields, pools):
        number = int(text) if text else 0
        result.append(number - 1 if number > 0 else len(pool) + number if number < 0 else -1)
    return tuple(result)


def load_texture(data: bytes) -> np.ndarray:
    """An image file as RGBA uint8 (256, 256, 4)."""
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("RGBA").resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def convert_obj(
    name: str, read: ReadFile, size: tuple[float, float, float], rotation: np.ndarray | None = None
) -> ObjModel | None:
    """Read a model and scale it to `size` (width, height, depth) metres, standing on the origin.

    Args:
        name: the OBJ's name, as `read` takes it.
        read: returns a file's bytes by its name relative to the OBJ's folder, else KeyError.
        size: extent after `rotation` (3, 3), which turns the model upright.

    Returns:
        The model, or None when it is empty, too large or wholly transparent.
    """
    data = read(name)
    if len(data) > MAX_BYTES:
        return None
    obj = _parse_obj(data.decode("latin-1"))
    if not obj.corners or len(obj.materials) > MAX_FACES:
        return None
    materials: dict[str, ObjMaterial] = {}
    for library in obj.libraries:
        try:
            materials.update(parse_mtl(read(library).decode("latin-1")))
        except KeyError:
            continue
    rows = _geometry(obj, size, np.eye(3) if rotation is None else rotation)
    return _dressed(rows, obj, materials, read)


def _geometry(obj: _Obj, size: tuple[float, float, float], rotation: np.ndarray) -> np.ndarray:
    corner = np.array(obj.corners, np.int64)
    position = np.array(obj.positions, np.float32)[corner[:, 0]] @ rotation.T
    triangle = position.reshape(-1, 3, 3)
    face = np.cross(triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0])
    normal = np.repeat(face, 3, 0)
    if obj.normals:
        given = np.array(obj.normals, np.float32)[np.clip(corner[:, 2], 0, len(obj.normals) - 1)]
        given = given @ rotation.T
        use = (corner[:, 2] >= 0) & (np.linalg.norm(given, axis=1) > 1e-6)
        normal = np.where(use[:, None], given, normal)
    low, high = position.min(0), position.max(0)
    scale = np.array(size) / np.maximum(high - low, 1e-6)
    base = (low + high) / 2 * (1, 0, 1) + low * (0, 1, 0)
    rows = np.zeros((len(corner), VERTEX_SIZE), np.float32)
    rows[:, :3] = (position - base) * scale
    normal = normal / (np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12) / scale
    rows[:, 3:6] = normal / (np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12)
    if obj.uvs:
        uv = np.array(obj.uvs, np.float32)[np.clip(corner[:, 1], 0, len(obj.uvs) - 1)]
        # OBJ counts v upwards from the image's bottom row, the scene format downwards from its top.
        rows[:, 6:8] = np.where(corner[:, 1:2] >= 0, uv * (1, -1) + (0, 1), 0)
    return rows


def _dressed(
    rows: np.ndarray, obj: _Obj, materials: dict[str, ObjMaterial], read: ReadFile
) -> ObjModel | None:
    """Give the rows their materials; drop transparent and degenerate triangles."""
    used = list(dict.fromkeys(obj.materials))
    textures: list[np.ndarray] = []
    table = np.zeros((len(used), 5), np.float32)  # layer, colour, gloss
    opacity = np.ones(len(used))
    for index, name in enumerate(used):
        material = materials.get(name, ObjMaterial())
        opacity[index] = material.opacity
        table[index] = (-1, *material.colour, material.gloss)
        if material.texture:
            try:
                image = load_texture(read(material.texture))
            except (KeyError, OSError, ValueError):
                continue
            table[index] = (len(textures), 1, 1, 1, material.gloss)
            textures.append(image)
    which = np.array([used.index(name) for name in obj.materials])
    rows[:, 8:13] = np.repeat(table[which], 3, 0)
    triangles = rows.reshape(-1, 3, VERTEX_SIZE)
    unit = np.linalg.norm(triangles[..., 3:6], axis=-1).min(1) > 0.5
    finite = np.isfinite(triangles).all((1, 2))
    triangles = triangles[(opacity[which] > MIN_OPACITY) & unit & finite]
    if len(triangles) < 4:
        return None
    return ObjModel(triangles.reshape(-1, VERTEX_SIZE), textures)
