"""Six 1600 x 900 images of a keyframe at training size: JPEGs decoded at a fraction of their size by
``LoadCameraImages``, beside mmdet3d's ``LoadMultiViewImageFromFiles`` and bilinear resizing.

``CAMERA_SIZE=225x400`` takes another size than 224x416 (height x width), ``CAMERA_BASELINE=plain`` a baseline that
decodes and resizes one image after the other, without mmdet3d's stack of all six, and ``CAMERA_IMAGES=FOLDER`` the
first six .jpg of a folder. Without it they are those of the real keyframe, where it is, or drawn.
Both sides read files that the system has in memory. Takes ten seconds to start, because transforms import mmdet3d."""
from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Tuple

import cv2
import harness
import mmcv
import numpy as np

import pretrain3d

pretrain3d.register_all()

from mmdet3d.datasets.transforms import LoadMultiViewImageFromFiles  # noqa: E402
from pretrain3d.datasets.camera_images import LoadCameraImages  # noqa: E402
from pretrain3d.datasets.camera_setup import read_size  # noqa: E402

SIZE = tuple(int(side) for side in os.environ.get('CAMERA_SIZE', '224x416').split('x'))
PLAIN = os.environ.get('CAMERA_BASELINE', '') == 'plain'
REAL = harness.ROOT.parent / 'shared' / 'real' / 'nuscenes_frame'
FOLDER = os.environ.get('CAMERA_IMAGES', str(REAL) if REAL.is_dir() else '')
# Grey levels of 255 by which the sides may differ. Bilinear resizing of a full-size image reads a few of its pixels
# where decoding at a fraction averages all of them; one pixel of shift is 5 or more on average.
MEAN, FAR = 3., 25.


def draw(folder: Path, size: Tuple[int, int]) -> List[str]:
    """Six JPEGs with blobs, edges and noise, like a photograph in how many bytes they take (about 150 KB)."""
    paths = []
    for number in range(6):
        rng = np.random.default_rng(number)
        image = np.zeros((size[1], size[0], 3), np.float32)
        for cells, strength in ((8, 70), (40, 30), (200, 12)):
            coarse = rng.normal(0, strength, (max(2, cells * 9 // 16), cells, 3)).astype(np.float32)
            image += cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
        for _ in range(60):
            corner, extent = rng.uniform(0, 0.9, 2) * size, rng.uniform(0.02, 0.2, 2) * size
            cv2.rectangle(image, corner.astype(int).tolist(), (corner + extent).astype(int).tolist(),
                          rng.uniform(-90, 90, 3).tolist(), -1)
        paths.append(str(folder / f'camera{number}.jpg'))
        cv2.imwrite(paths[-1], np.clip(image + 128, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return paths


def setup(device: str, tiny: bool) -> Tuple[Tuple[Any, ...], str]:
    """A sample's ``images`` with the paths of six files."""
    found = sorted(str(path) for path in Path(FOLDER).glob('*.jpg'))[:6] if FOLDER and not tiny else []
    if FOLDER and not tiny and len(found) < 6:
        raise SystemExit(f'camera loading: {FOLDER} holds {len(found)} .jpg files, six are needed')
    kind = 'photographs'
    if not found:
        kind, folder = 'drawn images', Path(tempfile.mkdtemp(prefix='camera_loading'))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        found = draw(folder, (160, 90) if tiny else (1600, 900))
    images: Dict[str, dict] = {}
    for number, path in enumerate(found):
        width, height = read_size(path)
        images[f'CAM{number}'] = dict(img_path=path, width=width, height=height, cam2img=np.eye(3), lidar2cam=np.eye(4))
    size = (SIZE[0] // 10, SIZE[1] // 10) if tiny else SIZE
    return (images, size), f'six {kind} of {width} x {height} to {size[1]} x {size[0]}'


def ours(images: Dict[str, dict], size: Tuple[int, int]) -> np.ndarray:
    """Images (6, h, w, 3) uint8 BGR."""
    return np.stack(LoadCameraImages(size=size)(dict(images=images))['img'])


def baseline(images: Dict[str, dict], size: Tuple[int, int]) -> np.ndarray:
    """The same by decoding all of every image."""
    if PLAIN:
        full = (mmcv.imread(camera['img_path'], flag='unchanged') for camera in images.values())
    else:
        full = LoadMultiViewImageFromFiles(num_views=6)(dict(images=images))['img']
    return np.stack([mmcv.imresize(image, size[::-1]) for image in full])


def check(mine: np.ndarray, theirs: np.ndarray) -> None:
    """Within a few grey levels, and nearer than any shift by a pixel would be."""
    assert mine.shape == theirs.shape and mine.dtype == theirs.dtype == np.uint8, (mine.shape, theirs.shape)
    apart = np.abs(mine.astype(np.float32) - theirs)
    mean, far = float(apart.mean()), float(np.percentile(apart, 99))
    assert mean <= MEAN and far <= FAR, f'{mean:.2f} grey levels apart on average, the farthest hundredth {far:.0f}'
    near = mine[:, 1:-1, 1:-1].astype(np.float32)
    rows, columns = near.shape[1:3]
    moved = [np.abs(near - theirs[:, down:down + rows, right:right + columns]).mean()
             for down in range(3) for right in range(3) if (down, right) != (1, 1)]
    assert mean < min(moved), f'a shift by a pixel fits better, by {mean - min(moved):.2f} grey levels'


if __name__ == '__main__':
    cv2.setNumThreads(1)  # as in the workers of a data loader
    sys.exit(harness.main(ours, baseline, check, setup, 'camera loading', __file__))
