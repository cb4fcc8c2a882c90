"""Hand-made RGB-D scans as a converter would list them."""
import pickle
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT, FOCAL = 64, 48, 100.0


def camera(focal=FOCAL, width=WIDTH, height=HEIGHT):
    matrix = np.eye(4)
    matrix[0, 0] = matrix[1, 1] = focal
    matrix[0, 2], matrix[1, 2] = (width - 1) / 2, (height - 1) / 2
    return matrix


def shifted(x=0.0, y=0.0, z=0.0):
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


def coordinates_as_colour(width=WIDTH, height=HEIGHT):
    """Image whose colour is (column, row, 7)."""
    v, u = np.mgrid[:height, :width]
    return np.stack([u, v, np.full_like(u, 7)], -1).astype(np.uint8)


def write_frame(root: Path, scan: str, index: int, pose, depth=None, image=None) -> dict:
    """Write one frame; default: a plane two metres in front of the camera, where a pixel is two centimetres wide."""
    depth = np.full((HEIGHT, WIDTH), 2000) if depth is None else depth
    folder = root / 'scans' / scan
    for kind, content in (('depth', np.asarray(depth).astype(np.uint16)),
                          ('color', coordinates_as_colour() if image is None else image)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(content).save(folder / kind / f'{index}.png')
    return dict(index=index, color_path=f'scans/{scan}/color/{index}.png',
                depth_path=f'scans/{scan}/depth/{index}.png', pose=None if pose is None else np.asarray(pose).tolist())


def scan_entry(name: str, frames, **more) -> dict:
    return {**dict(scan=name, axis_align_matrix=np.eye(4), root='', intrinsic_color=camera().tolist(),
                   intrinsic_depth=camera().tolist(), frames=frames, lost=0), **more}


def write_list(root: Path, entries, split='train') -> Path:
    path = root / f'scannet_frames_{split}.pkl'
    path.write_bytes(pickle.dumps(dict(
        metainfo=dict(dataset='scannet', content='rgbd_frames', info_version='1.1', depth_unit_m=0.001),
        data_list=list(entries))))
    return path


def plane_scan(root: Path, name='scene0000_00', shift=16) -> dict:
    """Two cameras before one plane, the second ``shift`` pixels (of 2 cm) to the right, and a third that looks at
    another plane far away."""
    poses = [shifted(), shifted(0.02 * shift), shifted(50.0)]
    return scan_entry(name, [write_frame(root, name, 25 * i, pose) for i, pose in enumerate(poses)])
