"""Off-screen renderer: one scene at a time, linear radiance and exact planar depth of any view.

Runs on any EGL driver: Mesa's llvmpipe on a CPU (packages libegl1, libgl1, libgl1-mesa-dri), or a GPU.
Images of one driver are reproducible to the byte. On a CPU a process uses one core.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import cv2
import numpy as np

from depth_distill_ros.errors import DataError
from training.scenes import shaders
from training.scenes.matrices import facing, orthographic, perspective, view_matrix
from training.scenes.scene import CameraPose, Scene

if TYPE_CHECKING:
    import moderngl

    from training.scenes.assets import Assets

NEAR, FAR = 0.03, 500.0
MAX_FILL_LIGHTS = 8
LAMP_TAN = 3.2  # half opening of the lamp's shadow map: nearly the whole lower hemisphere


def create_context() -> moderngl.Context:
    """An OpenGL context without a window. Raises DataError where EGL is missing."""
    try:
        import moderngl
    except ImportError as error:
        raise DataError(
            "rendering scenes needs the package moderngl: pip install 'depth-distill-ros[train]'"
        ) from error
    os.environ.setdefault("LP_NUM_THREADS", "1")  # llvmpipe would start a thread a core
    try:
        return moderngl.create_context(standalone=True, backend="egl")
    except Exception as error:  # moderngl passes the loader's own exception types through
        raise DataError(
            f"no OpenGL context through EGL ({error}); on Debian or Ubuntu install it with: "
            "apt-get install libegl1 libgl1 libgl1-mesa-dri"
        ) from error


def _bytes(matrix) -> bytes:
    return np.ascontiguousarray(np.asarray(matrix).T, np.float32).tobytes()


def _in_its_context(method: Callable) -> Callable:
    """A method of a renderer that works however many renderers a process has."""

    @functools.wraps(method)
    def wrapped(self, *args, **kwargs):
        with self.ctx:
            return method(self, *args, **kwargs)

    return wrapped


class Renderer:
    """Renders scenes of one set of assets.

    ``size`` is (width, height) of the images. They are drawn ``supersampling`` times as
    large; colour is averaged, depth is the sample nearest to the pixel's centre, never a mix of two
    surfaces.
    """

    def __init__(self, assets: Assets, size=(256, 192), supersampling=1.5, shadow_size=1024):
        self.ctx = ctx = create_context()
        self._textures = self._upload_textures(assets.textures)
        self._skies = [
            ctx.texture((s.shape[1], s.shape[0]), 3, s.astype("f2").tobytes(), dtype="f2")
            for s in assets.skies
        ]
        for sky in self._skies:
            sky.repeat_y = False
        self._no_sky = ctx.texture((1, 1), 3, bytes(6), dtype="f2")
        self._geometry = ctx.program(shaders.GEOMETRY_VERTEX, shaders.GEOMETRY_FRAGMENT)
        self._shadow = ctx.program(shaders.SHADOW_VERTEX, shaders.SHADOW_FRAGMENT)
        self._light = ctx.program(shaders.SCREEN_VERTEX, shaders.LIGHTING_FRAGMENT)
        corners = np.array([-1, -1, 1, -1, -1, 1, 1, 1], np.float32)
        self._screen = ctx.vertex_array(
            self._light, [(ctx.buffer(corners.tobytes()), "2f", "corner")]
        )
        self._shadow_maps = [ctx.depth_texture((shadow_size, shadow_size)) for _ in range(2)]
        for shadow_map in self._shadow_maps:
            shadow_map.compare_func = ""
            shadow_map.repeat_x = shadow_map.repeat_y = False
        self._shadow_targets = [ctx.framebuffer([], m) for m in self._shadow_maps]
        for i, name in enumerate(
            ("albedo_map", "normal_map", "depth_map", "sun_map", "lamp_map", "panorama")
        ):
            self._light[name] = i
        self._scene_objects: list = []
        self._moving_objects: list = []
        self._target_objects: list = []
        self.scene: Scene | None = None
        self.resize(size, supersampling)

    def _upload_textures(self, layers: np.ndarray):
        """All texture layers as one mip-mapped array, in pieces to spare memory."""
        import moderngl

        count, height, width = layers.shape[:3]
        array = self.ctx.texture_array((width, height, count), 4)
        for start in range(0, count, 64):
            part = np.ascontiguousarray(layers[start : start + 64])
            array.write(part.tobytes(), viewport=(0, 0, start, width, height, len(part)))
        array.build_mipmaps()
        array.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        return array

    @_in_its_context
    def resize(self, size: tuple[int, int], supersampling: float = 1.5) -> None:
        """Change the size (width, height) of the images in pixels."""
        import moderngl

        for item in self._target_objects:
            item.release()
        self.size, self.supersampling = size, supersampling
        self.buffer_size = big = tuple(round(side * supersampling) for side in size)
        ctx, nearest = self.ctx, (moderngl.NEAREST, moderngl.NEAREST)
        self._maps = [ctx.texture(big, 4, dtype="f2") for _ in range(2)]
        self._maps.append(ctx.texture(big, 1, dtype="f4"))
        for target in self._maps:
            target.filter = nearest
            target.repeat_x = target.repeat_y = False
        depth_buffer = ctx.depth_renderbuffer(big)
        self._geometry_target = ctx.framebuffer(self._maps, depth_buffer)
        self._image = ctx.texture(big, 3, dtype="f2")
        self._image_target = ctx.framebuffer([self._image])
        self._target_objects = [self._geometry_target, self._image_target, depth_buffer]
        self._target_objects += [*self._maps, self._image]
        self._sample_x, self._sample_y = (
            np.rint((np.arange(n) + 0.5) * (m / n) - 0.5).astype(int)
            for n, m in zip(size, big, strict=True)
        )

    @contextmanager
    def at_size(self, size: tuple[int, int], supersampling: float) -> Iterator[None]:
        """Render at another size for a while."""
        before = self.size, self.supersampling
        self.resize(size, supersampling)
        try:
            yield
        finally:
            self.resize(*before)

    @_in_its_context
    def load(self, scene: Scene) -> None:
        """Take over a scene: upload its triangles and draw its shadow maps."""
        for item in (*self._scene_objects, *self._moving_objects):
            item.release()
        self.scene = scene
        self._scene_objects, self._moving_objects = self._upload(scene.vertices), []
        self._still_shadows: dict[int, bytes] = {}
        self._set_lights(scene)
        self._set_sky(scene)

    def _upload(self, rows: np.ndarray) -> list:
        """Vertex rows (n, 13) as triangles to see, as casters of shadows, and their buffer."""
        buffer = self.ctx.buffer(np.ascontiguousarray(rows, np.float32).tobytes())
        triangles = self.ctx.vertex_array(
            self._geometry,
            [(buffer, "3f 3f 2f 1f 4f", "position", "normal", "uv", "layer", "surface")],
        )
        casters = self.ctx.vertex_array(
            self._shadow, [(buffer, "3f 12x 2f 1f 16x", "position", "uv", "layer")]
        )
        return [triangles, casters, buffer]

    def _move(self, rows: np.ndarray | None) -> None:
        """Take over what moves, as it is now: its triangles, and its shadows over the still ones."""
        had_any = bool(self._moving_objects)
        for item in self._moving_objects:
            item.release()
        self._moving_objects = [] if rows is None else self._upload(rows)
        if not (had_any or self._moving_objects):
            return
        for which, clip in self._shadow_clips.items():
            shadow_map = self._shadow_maps[which]
            if which not in self._still_shadows:
                self._still_shadows[which] = shadow_map.read()
            shadow_map.write(self._still_shadows[which])
            if self._moving_objects:
                self._cast_shadows(self._moving_objects[1], which, clip)

    def _cast_shadows(self, casters, which: int, clip_from_world: np.ndarray) -> None:
        import moderngl

        self.ctx.enable_only(moderngl.DEPTH_TEST)
        self._shadow_targets[which].use()
        self._textures.use(0)
        self._shadow["textures"] = 0
        self._shadow["clip_from_world"].write(_bytes(clip_from_world))
        casters.render()

    def _set_lights(self, scene: Scene) -> None:
        light, program = scene.lighting, self._light
        sun, lamp = np.asarray(light.sun_radiance, float), np.asarray(light.lamp_power, float)
        direction = np.asarray(light.sun_direction, float) / np.linalg.norm(light.sun_direction)
        centre, half = light.sun_box
        sun_clip = orthographic(half, 0.1, half * 5) @ view_matrix(
            facing(-direction), np.asarray(centre) + direction * half * 2
        )
        lamp_clip = perspective(LAMP_TAN, LAMP_TAN, 0.15, 20) @ view_matrix(
            facing((0, -1, 0.001)), light.lamp_position
        )
        program["has_sun"], program["has_lamp"] = bool(sun.any()), bool(lamp.any())
        clips = ((0, sun, sun_clip), (1, lamp, lamp_clip))
        self._shadow_clips = {which: clip for which, power, clip in clips if power.any()}
        for which, clip in self._shadow_clips.items():
            self._shadow_targets[which].clear()
            self._cast_shadows(self._scene_objects[1], which, clip)
        program["sun_clip"].write(_bytes(sun_clip))
        program["lamp_clip"].write(_bytes(lamp_clip))
        texel = 2 / self._shadow_maps[0].size[0]
        program["shadow_offset"] = (1.2 * half * texel, 2.0 * LAMP_TAN * texel / math.pi)
        program["sun_direction"], program["sun_radiance"] = tuple(direction), tuple(sun)
        program["lamp_position"] = tuple(map(float, light.lamp_position))
        program["lamp_power"] = tuple(lamp)
        program["ambient"].write(np.asarray(light.ambient, np.float32).tobytes())
        program["occlusion_radius"] = float(light.ao_radius)
        fill = np.zeros((2, MAX_FILL_LIGHTS, 3), np.float32)
        lights = light.fill_lights[:MAX_FILL_LIGHTS]
        for i, (position, power) in enumerate(lights):
            fill[0, i], fill[1, i] = position, power
        program["fill_count"] = len(lights)
        program["fill_position"].write(fill[0].tobytes())
        program["fill_power"].write(fill[1].tobytes())

    def _set_sky(self, scene: Scene) -> None:
        sky, program = scene.sky, self._light
        self._sky = self._no_sky if sky.panorama is None else self._skies[sky.panorama]
        program["has_panorama"] = sky.panorama is not None
        program["noise_seed"] = (float(scene.seed % 97), float(scene.seed % 53))
        program["sky_gain"], program["sky_rotation"] = float(sky.gain), float(sky.rotation)
        program["clouds"], program["fog_density"] = float(sky.clouds), float(sky.fog_density)
        for name in ("zenith", "horizon", "fog_colour"):
            program[name] = tuple(float(c) for c in getattr(sky, name))

    @_in_its_context
    def render(
        self, pose: CameraPose, moving: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Radiance float32 (H, W, 3), linear, and planar z float32 (H, W) in metres, 0 = sky.

        The pinhole has square pixels, its principal point in the middle of the image. ``moving``
        are vertex rows (n, 13) that stand in the scene for this view only.
        """
        import moderngl

        width, height = self.buffer_size
        tan_x = pose.tan_half_fov_x
        tan_y = tan_x * self.size[1] / self.size[0]
        view = view_matrix(pose.rotation, pose.eye)
        eye = tuple(map(float, pose.eye))
        self._move(moving)
        self._geometry_target.use()
        self._geometry_target.clear(0, 0, 0, 0)
        self.ctx.enable_only(moderngl.DEPTH_TEST)
        self._textures.use(0)
        self._geometry["textures"] = 0
        self._geometry["clip_from_world"].write(_bytes(perspective(tan_x, tan_y, NEAR, FAR) @ view))
        self._geometry["view_from_world"].write(_bytes(view))
        self._geometry["eye"] = eye
        for triangles, *_ in filter(None, (self._scene_objects, self._moving_objects)):
            triangles.render()
        self._image_target.use()
        self.ctx.disable(moderngl.DEPTH_TEST)
        for i, texture in enumerate((*self._maps, *self._shadow_maps, self._sky)):
            texture.use(i)
        self._light["world_from_view"].write(_bytes(pose.rotation))
        self._light["eye"], self._light["tan_half_fov"] = eye, (float(tan_x), float(tan_y))
        self._screen.render(moderngl.TRIANGLE_STRIP)
        rgb = np.frombuffer(self._image_target.read(components=3, dtype="f2", alignment=1), "f2")
        rgb = rgb.reshape(height, width, 3)[::-1].astype(np.float32)
        z = self._geometry_target.read(components=1, attachment=2, dtype="f4")
        z = np.frombuffer(z, np.float32).reshape(height, width)[::-1]
        if self.buffer_size != self.size:
            rgb = cv2.resize(rgb, self.size, interpolation=cv2.INTER_AREA)
            z = z[self._sample_y[:, None], self._sample_x]
        return np.ascontiguousarray(rgb), np.ascontiguousarray(z)
