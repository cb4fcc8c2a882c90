"""Images: rays, patterns, a sun with shadows, light of the sky, haze."""
from dataclasses import dataclass

import numpy as np

from .caster import Caster
from .patterns import look_at, noise
from .rays import camera_rays
from .rig import Sensor
from .surfaces import Palette

_CHUNK = 1 << 19  # rays at a time: bounds the memory of a full image


@dataclass(frozen=True)
class Weather:
    """The light of a scene.

    Attributes:
        name: in a word. sun: (3,) unit vector towards it. sunlight: (3,) its linear light.
        above, around: (3,) linear light of the sky overhead and at the horizon.
        ambient: of the sky's light on things. clouds: share of the sky. haze: metres after which things fade.
        exposure: of the camera. seed: of the clouds.
    """
    name: str
    sun: np.ndarray
    sunlight: np.ndarray
    above: np.ndarray
    around: np.ndarray
    ambient: float
    clouds: float
    haze: float
    exposure: float
    seed: int


# Name -> degrees of the sun's height, its strength and colour, the sky above and around, ambient, clouds, haze,
# exposure.
_KINDS = dict(
    clear=((38, 62), 2.6, (1.0, 0.95, 0.86), (0.17, 0.36, 0.80), (0.76, 0.85, 0.95), 0.68, (0.2, 0.35), 1000, 1.0),
    cloudy=((32, 60), 2.2, (1.0, 0.96, 0.9), (0.24, 0.42, 0.76), (0.80, 0.86, 0.92), 0.8, (0.45, 0.6), 800, 1.0),
    overcast=((40, 60), 0.35, (1.0, 0.98, 0.95), (0.62, 0.66, 0.71), (0.86, 0.88, 0.9), 1.15, (0.75, 0.9), 420, 1.1),
    late=((13, 22), 2.1, (1.0, 0.74, 0.48), (0.22, 0.34, 0.62), (0.98, 0.80, 0.62), 0.55, (0.3, 0.5), 700, 1.25))


def draw_weather(rng: np.random.Generator) -> Weather:
    """From a clear noon to an overcast day and a late afternoon."""
    name = str(rng.choice(['clear', 'clear', 'cloudy', 'cloudy', 'overcast', 'late']))
    degrees, strength, colour, above, around, ambient, clouds, haze, exposure = _KINDS[name]
    azimuth, height = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(*degrees))
    sun = np.array([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)])
    light, above, around = (np.array(values, np.float32) for values in (colour, above, around))
    return Weather(name, sun, light * np.float32(strength * rng.uniform(0.9, 1.1)), above, around,
                   ambient * rng.uniform(0.92, 1.08), rng.uniform(*clouds), haze * rng.uniform(0.8, 1.3),
                   exposure * rng.uniform(0.93, 1.07), int(rng.integers(1 << 30)))


def sky(weather: Weather, directions: np.ndarray, octaves: int = 3) -> np.ndarray:
    """(N, 3) linear light of the sky seen along unit ``directions``; clouds of so many ``octaves``."""
    up = np.clip(directions[:, 2], 0, 1)[:, None]
    light = weather.around + (weather.above - weather.around) * np.sqrt(up)
    flat = directions[:, :2] * np.float32(1.3) / np.maximum(directions[:, 2:], np.float32(0.04))
    cover = np.zeros(len(directions), np.float32)
    for octave, (size, weight) in enumerate(((1.0, 0.5), (2.3, 0.3), (5.1, 0.2))[:octaves]):
        cover += np.float32(weight) * noise(flat[:, 0] * np.float32(size), flat[:, 1] * np.float32(size),
                                            weather.seed + octave)
    if octaves < 3:
        cover /= np.float32((0.5, 0.8)[octaves - 1])
    cover = np.clip((cover - np.float32(0.78 - 0.5 * weather.clouds)) * 5, 0, 1)[:, None] * np.clip(up * 9, 0, 1)
    glare = np.clip(directions @ weather.sun.astype(np.float32), 0, 1)[:, None]
    cloud = np.float32(0.62) * weather.around + np.float32(0.4)
    return light + (cloud - light) * cover * np.float32(0.9) + np.float32(0.2) * weather.sunlight * glare ** 40


def _lit(caster: Caster, weather: Weather, spots: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """(H,) cosine towards the sun, 0 in the shadow, of ``spots`` (H, 3)."""
    facing = normal @ weather.sun.astype(np.float32)
    towards = np.flatnonzero(facing > 0.01)
    sunlight = np.zeros(len(spots), np.float32)
    shadow = caster.blocked(spots[towards], weather.sun)
    sunlight[towards] = np.where(shadow, 0, facing[towards])
    return sunlight


def shade(caster: Caster, palette: Palette, weather: Weather, origin: np.ndarray, directions: np.ndarray,
          spread: float) -> np.ndarray:
    """(N, 3) linear light along rays; ``spread`` is the angle in radians between neighbouring rays."""
    hits = caster.cast(origin, directions)
    light = np.empty((len(directions), 3), np.float32)
    empty = np.flatnonzero(~np.isfinite(hits.distance))
    light[empty] = sky(weather, directions[empty])
    if not len(hits.ray):
        return light
    rays, distance, normal = directions[hits.ray], hits.distance[hits.ray], hits.normal
    grazing = np.clip(-np.einsum('ij,ij->i', normal, rays), np.float32(0.06), 1)
    blur = distance * np.float32(spread) / np.sqrt(grazing)
    look = look_at(palette, hits.surface, hits.uv, hits.triangle, blur)
    # Shadow rays start a little above the surface; global coordinates are float32 with steps of up to 0.06 mm.
    spots = np.float32(origin) + rays * distance[:, None] + normal * (np.float32(0.01) + distance * 1e-4)[:, None]
    sunlight = _lit(caster, weather, spots, normal)
    up = normal[:, 2:]
    tint = weather.above + weather.around
    around = tint * (3 / tint.sum()) * (np.float32(0.62) + np.float32(0.38) * up) \
        + np.float32([0.20, 0.18, 0.16]) * (np.float32(0.5) - np.float32(0.5) * up)
    colour = around * np.float32(weather.ambient)
    colour += sunlight[:, None] * weather.sunlight
    colour *= look.colour
    shiny = np.flatnonzero(look.shine > 0.01)
    mirrored = rays[shiny] + 2 * grazing[shiny, None] * normal[shiny]
    fresnel = look.shine[shiny] * (np.float32(0.25) + np.float32(0.75) * (1 - grazing[shiny]) ** 3)
    mirror = np.where(mirrored[:, 2:] > 0, sky(weather, mirrored, 1), np.float32([0.16, 0.16, 0.16]))
    colour[shiny] += fresnel[:, None] * (np.float32(0.9) * mirror - np.float32(0.5) * colour[shiny])
    glowing = np.flatnonzero(look.glow)
    colour[glowing] += look.glow[glowing, None] * look.colour[glowing] * 3
    veil = np.float32(0.85) * (1 - np.exp(distance * np.float32(-1 / weather.haze)))[:, None]
    colour += (weather.around * np.float32(0.95) - colour) * veil
    light[hits.ray] = colour
    return light


def expose(light: np.ndarray, exposure: float) -> np.ndarray:
    """sRGB in [0, 1] of linear light: a soft shoulder, then the display's curve."""
    bright = light * np.float32(exposure)
    return np.clip(bright * (1 + bright / 9) / (1 + 0.75 * bright), 0, 1) ** np.float32(1 / 2.2)


def photograph(caster: Caster, palette: Palette, weather: Weather, pose: np.ndarray, sensor: Sensor, width: int,
               height: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    """(height, width, 3) uint8 seen from ``pose`` (4, 4), camera to global."""
    rays = camera_rays(sensor.intrinsic, width, height, samples)
    spread = 1 / (sensor.intrinsic[0, 0] * samples)
    light = np.empty((len(rays), 3), np.float32)
    for start in range(0, len(rays), _CHUNK):
        chunk = (rays[start:start + _CHUNK] @ pose[:3, :3].T).astype(np.float32)
        chunk /= np.sqrt(np.einsum('ij,ij->i', chunk, chunk))[:, None]
        light[start:start + _CHUNK] = shade(caster, palette, weather, pose[:3, 3], chunk, spread)
    image = expose(light, weather.exposure)
    image = image.reshape(height, width, samples * samples, 3).mean(2)
    grain = rng.standard_normal((height, width, 1), np.float32) * np.float32(1.2)
    return np.clip(image * 255 + grain + 0.5, 0, 255).astype(np.uint8)
