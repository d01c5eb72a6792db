"""GLSL of the renderer: geometry buffer, shadow maps, and one full-screen pass that lights them.

The geometry pass stores albedo and gloss, normal and emission, and planar z; the lighting pass reads
them once a pixel, so its cost does not grow with the scene.
"""

GEOMETRY_VERTEX = """
#version 330
uniform mat4 clip_from_world;
uniform mat4 view_from_world;
in vec3 position; in vec3 normal; in vec2 uv; in float layer; in vec4 surface;
out vec3 world; out vec3 world_normal; out vec2 texture_uv; out float view_depth;
flat out float texture_layer; flat out vec4 material;
void main() {
    gl_Position = clip_from_world * vec4(position, 1.0);
    world = position; world_normal = normal; texture_uv = uv;
    texture_layer = layer; material = surface;
    view_depth = -(view_from_world * vec4(position, 1.0)).z;
}
"""

# Alpha is cut, never blended: depth has one value a pixel. The bump height follows the size of a
# texture repeat, which the ratio of the world and texture derivatives gives.
GEOMETRY_FRAGMENT = """
#version 330
uniform sampler2DArray textures;
uniform vec3 eye;
in vec3 world; in vec3 world_normal; in vec2 texture_uv; in float view_depth;
flat in float texture_layer; flat in vec4 material;
layout(location=0) out vec4 albedo_gloss;
layout(location=1) out vec4 normal_emission;
layout(location=2) out float planar_depth;

vec3 bumped(vec3 n, float height, float repeat) {
    vec3 dx = dFdx(world), dy = dFdy(world);
    vec3 r1 = cross(dy, n), r2 = cross(n, dx);
    float det = dot(dx, r1);
    float scale = 0.003 * clamp(repeat, 0.02, 1.5);
    vec3 slope = sign(det) * (dFdx(height) * r1 + dFdy(height) * r2) * scale;
    return normalize(abs(det) * n - slope);
}

void main() {
    vec3 albedo = material.rgb;
    vec3 n = normalize(world_normal);
    if (dot(n, world - eye) > 0.0) n = -n;
    vec2 uv_step = dFdx(texture_uv);
    if (texture_layer >= 0.0) {
        vec4 texel = texture(textures, vec3(texture_uv, texture_layer));
        if (texel.a < 0.5) discard;
        albedo *= pow(texel.rgb, vec3(2.2));
        float repeat = length(dFdx(world)) / max(length(uv_step), 1e-6);
        if (view_depth < 25.0) n = bumped(n, dot(texel.rgb, vec3(0.333)), repeat);
    }
    float gloss = material.a;
    albedo_gloss = vec4(albedo, clamp(gloss, 0.0, 0.98));
    normal_emission = vec4(n, max(-gloss, 0.0));
    planar_depth = view_depth;
}
"""

SHADOW_VERTEX = """
#version 330
uniform mat4 clip_from_world;
in vec3 position; in vec2 uv; in float layer;
out vec2 texture_uv; flat out float texture_layer;
void main() {
    gl_Position = clip_from_world * vec4(position, 1.0);
    texture_uv = uv; texture_layer = layer;
}
"""

SHADOW_FRAGMENT = """
#version 330
uniform sampler2DArray textures;
in vec2 texture_uv; flat in float texture_layer;
void main() {
    if (texture_layer >= 0.0 && texture(textures, vec3(texture_uv, texture_layer)).a < 0.5) discard;
}
"""

SCREEN_VERTEX = """
#version 330
in vec2 corner;
out vec2 screen;
void main() { screen = corner * 0.5 + 0.5; gl_Position = vec4(corner, 0.0, 1.0); }
"""

_NOISE_AND_SKY = """
float hash(vec2 p) { return fract(sin(dot(p, vec2(127.1, 311.7))) * 43758.5453); }

float value_noise(vec2 p) {
    vec2 i = floor(p), f = fract(p);
    f = f * f * (3.0 - 2.0 * f);
    return mix(mix(hash(i), hash(i + vec2(1, 0)), f.x),
               mix(hash(i + vec2(0, 1)), hash(i + vec2(1, 1)), f.x), f.y);
}

float fractal_noise(vec2 p) {
    float amplitude = 0.5, sum = 0.0;
    for (int i = 0; i < 5; i++) {
        sum += amplitude * value_noise(p);
        p = p * 2.03 + 7.1;
        amplitude *= 0.5;
    }
    return sum;
}

vec3 sky_radiance(vec3 d) {
    if (has_panorama) {
        float turn = atan(d.z, d.x) / 6.2831853 + 0.5 + sky_rotation;
        float down = acos(clamp(d.y, -1.0, 1.0)) / 3.14159265;
        return textureLod(panorama, vec2(turn, down), 0.0).rgb * sky_gain;
    }
    vec3 colour = mix(horizon, zenith, pow(max(d.y, 0.0), 0.5));
    colour += sun_radiance * 0.12 * pow(max(dot(d, sun_direction), 0.0), 24.0);
    if (d.y > 0.01) {
        vec2 q = d.xz / (d.y + 0.12) * 1.3 + noise_seed;
        float cover = smoothstep(1.0 - clouds, 1.25 - clouds * 0.6, fractal_noise(q) + 0.18);
        vec3 white = vec3(dot(horizon, vec3(0.4))) * 1.1 * (0.75 + 0.5 * fractal_noise(q * 2.0));
        colour = mix(colour, white, cover * 0.9);
    }
    return colour;
}
"""

_SHADOW_AND_OCCLUSION = """
vec3 ambient_from(vec3 n) {
    vec3 w = n * n;
    return w.x * (n.x > 0.0 ? ambient[0] : ambient[1])
         + w.y * (n.y > 0.0 ? ambient[2] : ambient[3])
         + w.z * (n.z > 0.0 ? ambient[4] : ambient[5]);
}

float lit(sampler2D map, mat4 clip_from_world, vec3 p, float bias, float spread) {
    vec4 clip = clip_from_world * vec4(p, 1.0);
    if (clip.w <= 0.0) return 0.0;
    vec3 q = clip.xyz / clip.w * 0.5 + 0.5;
    if (any(lessThan(q.xy, vec2(0.0))) || any(greaterThan(q, vec3(1.0)))) return 1.0;
    float turn = hash(screen * 917.0 + noise_seed) * 6.28, sum = 0.0;
    for (int i = 0; i < 5; i++) {
        float a = turn + float(i) * 2.4;
        vec2 offset = vec2(cos(a), sin(a)) * sqrt(float(i) + 0.5) * spread;
        sum += texture(map, q.xy + offset).r + bias < q.z ? 0.0 : 1.0;
    }
    return sum / 5.0;
}

// Ambient occlusion: ten points over the hemisphere of n, counted where a surface hides them.
float openness(vec3 p, vec3 n) {
    const int COUNT = 10;
    float hidden = 0.0, turn = hash(screen * 733.0 + noise_seed) * 6.28;
    vec3 tx = normalize(cross(abs(n.y) < 0.9 ? vec3(0, 1, 0) : vec3(1, 0, 0), n)), ty = cross(n, tx);
    for (int i = 0; i < COUNT; i++) {
        float t = (float(i) + 0.5) / float(COUNT), a = turn + float(i) * 2.39996;
        float reach = occlusion_radius * t;
        vec3 d = (tx * cos(a) + ty * sin(a)) * sqrt(t) + n * sqrt(1.0 - t * 0.9);
        vec3 view = (p + d * reach - eye) * world_from_view;
        if (view.z > -0.01) continue;
        vec2 at = view.xy / -view.z / tan_half_fov * 0.5 + 0.5;
        if (any(lessThan(at, vec2(0.0))) || any(greaterThan(at, vec2(1.0)))) continue;
        float seen = texture(depth_map, at).r, depth = -view.z;
        if (seen > 0.0 && seen < depth - 0.02 * reach && depth - seen < occlusion_radius * 1.5)
            hidden += 1.0;
    }
    float open = 1.0 - hidden / float(COUNT) * 0.95;
    return open * open;
}
"""

LIGHTING_FRAGMENT = (
    """
#version 330
uniform sampler2D albedo_map, normal_map, depth_map, sun_map, lamp_map, panorama;
uniform mat4 sun_clip, lamp_clip;
uniform mat3 world_from_view;
uniform vec3 eye, sun_direction, sun_radiance, lamp_position, lamp_power;
uniform vec3 ambient[6], fill_position[8], fill_power[8];
uniform vec3 fog_colour, zenith, horizon;
uniform vec2 tan_half_fov, noise_seed, shadow_offset;
uniform float occlusion_radius, fog_density, sky_gain, sky_rotation, clouds;
uniform int fill_count;
uniform bool has_panorama, has_sun, has_lamp;
in vec2 screen;
out vec4 radiance;
"""
    + _NOISE_AND_SKY
    + _SHADOW_AND_OCCLUSION
    + """
void main() {
    vec3 ray = world_from_view * vec3((screen * 2.0 - 1.0) * tan_half_fov, -1.0);
    float z = texture(depth_map, screen).r;
    if (z <= 0.0) { radiance = vec4(min(sky_radiance(normalize(ray)), vec3(200.0)), 1.0); return; }
    vec4 albedo_gloss = texture(albedo_map, screen), normal_emission = texture(normal_map, screen);
    vec3 albedo = albedo_gloss.rgb, n = normalize(normal_emission.xyz);
    if (normal_emission.w > 0.0) { radiance = vec4(albedo * normal_emission.w, 1.0); return; }
    float gloss = albedo_gloss.a, power = mix(6.0, 120.0, gloss);
    vec3 p = eye + ray * z, v = -normalize(ray);
    float open = openness(p, n);
    float fresnel = 0.04 + 0.96 * pow(1.0 - max(dot(n, v), 0.0), 5.0) * gloss;
    vec3 diffuse = ambient_from(n) * open;
    vec3 specular = ambient_from(reflect(-v, n)) * (fresnel * 0.8 + gloss * 0.12) * open;
    if (has_sun) {
        float facing = dot(n, sun_direction);
        if (facing > 0.0) {
            float k = lit(sun_map, sun_clip, p + n * shadow_offset.x, 0.0006, 0.0012);
            diffuse += sun_radiance * facing * k;
            float shine = pow(max(dot(n, normalize(v + sun_direction)), 0.0), power);
            specular += sun_radiance * k * gloss * 0.5 * shine;
        }
    }
    if (has_lamp) {
        vec3 l = lamp_position - p;
        float d2 = dot(l, l);
        l *= inversesqrt(d2);
        // the map looks down: a wall lies along its rays and needs the larger offset
        float offset = shadow_offset.y * mix(4.0, 1.0, abs(n.y)) * sqrt(d2);
        float k = lit(lamp_map, lamp_clip, p + n * offset, 0.0012, 0.004);
        vec3 e = lamp_power / (d2 + 0.3) * k;
        diffuse += e * max(dot(n, l), 0.0);
        specular += e * gloss * 0.6 * pow(max(dot(n, normalize(v + l)), 0.0), power);
    }
    for (int i = 0; i < fill_count; i++) {
        vec3 l = fill_position[i] - p;
        float d2 = dot(l, l);
        l *= inversesqrt(d2);
        vec3 e = fill_power[i] / (d2 + 0.6);
        diffuse += e * max(dot(n, l) * 0.8 + 0.2, 0.0) * mix(open, 1.0, 0.3);
        specular += e * gloss * 0.4 * pow(max(dot(n, normalize(v + l)), 0.0), power * 0.6);
    }
    vec3 colour = albedo * diffuse + specular;
    if (fog_density > 0.0) colour = mix(fog_colour, colour, exp(-z * fog_density));
    radiance = vec4(min(colour, vec3(200.0)), 1.0);
}
"""
)
