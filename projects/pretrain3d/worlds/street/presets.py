"""Sizes of a world of streets, and its scenes."""
from dataclasses import dataclass
from typing import Dict, Tuple

# To be raised whenever the same preset and seed draw other streets than before.
VERSION = 3
KEYFRAME_GAP = 0.5  # seconds: nuScenes annotates at 2 Hz


@dataclass(frozen=True)
class StreetPreset:
    """How long scenes are and how finely they were taken.

    Attributes:
        name: of the preset.
        keyframes: per scene, :data:`KEYFRAME_GAP` apart.
        sweeps_between: LiDAR sweeps between two keyframes (nuScenes: 9).
        camera_sweeps_between: images of each camera between two keyframes (nuScenes: 5).
        image_size: (width, height) in pixels; the intrinsics scale with it.
        azimuths: LiDAR columns per turn (nuScenes: about 1084).
        samples: rays per pixel along either axis; small images need more than one to be free of flicker.
    """
    name: str
    keyframes: int
    sweeps_between: int
    camera_sweeps_between: int
    image_size: Tuple[int, int]
    azimuths: int
    samples: int

    @property
    def duration(self) -> float:
        """Seconds from the first keyframe to the last."""
        return (self.keyframes - 1) * KEYFRAME_GAP


PRESETS: Dict[str, StreetPreset] = {preset.name: preset for preset in (
    StreetPreset('tiny', keyframes=6, sweeps_between=1, camera_sweeps_between=1, image_size=(160, 90), azimuths=360,
                 samples=2),
    StreetPreset('small', keyframes=10, sweeps_between=4, camera_sweeps_between=1, image_size=(400, 225),
                 azimuths=720, samples=2),
    StreetPreset('full', keyframes=40, sweeps_between=9, camera_sweeps_between=1, image_size=(1600, 900),
                 azimuths=1084, samples=1))}

# The scenes of v1.0-mini with the split that nuscenes-devkit assigns them.
SCENES: Tuple[Tuple[str, str], ...] = (
    ('scene-0061', 'train'), ('scene-0103', 'val'), ('scene-0553', 'train'), ('scene-0655', 'train'),
    ('scene-0757', 'train'), ('scene-0796', 'train'), ('scene-0916', 'val'), ('scene-1077', 'train'),
    ('scene-1094', 'train'), ('scene-1100', 'train'))
LOCATIONS: Dict[str, str] = {
    'scene-0061': 'singapore-onenorth', 'scene-0103': 'boston-seaport', 'scene-0553': 'boston-seaport',
    'scene-0655': 'boston-seaport', 'scene-0757': 'boston-seaport', 'scene-0796': 'singapore-queenstown',
    'scene-0916': 'singapore-queenstown', 'scene-1077': 'singapore-hollandvillage',
    'scene-1094': 'singapore-hollandvillage', 'scene-1100': 'singapore-hollandvillage'}
