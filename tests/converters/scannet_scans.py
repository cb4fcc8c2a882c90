"""Scans to break, and what the ScanNet converter wrote of them."""
import pickle
import shutil
import struct
import zlib

import numpy as np
from PIL import Image

# Camera matrices as they follow each other in a .sens file's header.
CAMERAS = ('intrinsic_color', 'extrinsic_color', 'intrinsic_depth', 'extrinsic_depth')


def infos(out, split, kind='infos'):
    return pickle.loads((out / f'scannet_{kind}_{split}.pkl').read_bytes())['data_list']


def cut_json(folder):
    path = folder / f'{folder.name}.aggregation.json'
    path.write_text(path.read_text()[:-20])


def times(folder):
    """When the files below ``folder`` were written, by their names."""
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
            for path in folder.rglob('*') if path.is_file()}


def written(before, after):
    """Files that are new or were written again between two :func:`times`."""
    return {name for name, time in after.items() if before.get(name) != time}


def camera(number):
    """A matrix that tells which of :data:`CAMERAS` it is."""
    matrix = np.eye(4)
    matrix[0, 3] = number + 0.5
    return matrix


def write_sens(path, frames, codec=1, size=(36, 48), color_codec=2, shift=1000.0, count=None):
    """A .sens file, version 4, as ScanNet's SensReader documents it: frames of (pose, colour bytes, depth)."""
    matrices = b''.join(camera(number).astype('<f4').tobytes() for number in range(4))
    with open(path, 'wb') as file:
        file.write(struct.pack('<IQ', 4, 4) + b'test' + matrices + struct.pack('<2i', color_codec, codec))
        file.write(struct.pack('<4IfQ', size[1], size[0], size[1], size[0], shift,
                               len(frames) if count is None else count))
        for pose, colour, depth in frames:
            packed = zlib.compress(depth.astype('<u2').tobytes()) if codec == 1 else depth.astype('<u2').tobytes()
            file.write(np.asarray(pose, '<f4').tobytes() + struct.pack('<4Q', 0, 0, len(colour), len(packed)))
            file.write(colour + packed)


def frames_of(folder, count=3):
    """(pose, colour bytes, depth) of the first frames of an exported scan."""
    return [(np.loadtxt(folder / 'pose' / f'{index}.txt'), (folder / 'color' / f'{index}.jpg').read_bytes(),
             np.asarray(Image.open(folder / 'depth' / f'{index}.png'))) for index in range(count)]


def remove_exported(folder):
    """Take an exported scan's frames away."""
    for part in ('color', 'depth', 'pose', 'intrinsic'):
        shutil.rmtree(folder / part)
