"""Writes scanned rooms exactly as ScanNet v2 lies on disk.

``OUT/scans/<scene>/``: ``<scene>_vh_clean_2.ply`` (vertices, colours, faces), ``_vh_clean_2.labels.ply`` (NYU40 id of
every vertex), ``.aggregation.json`` (instances as groups of segments), ``_vh_clean_2.0.010000.segs.json`` (segment
of every vertex), ``.txt`` (axis alignment), and the frames as ScanNet's SensReader exports them: ``color/0.jpg``,
``depth/0.png`` (16 bit, millimetres), ``pose/0.txt``, ``intrinsic/*.txt``.
``OUT/scannetv2-labels.combined.tsv`` and ``OUT/meta_data/scannetv2_{train,val}.txt`` complete it.
"""
import json
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import numpy as np
from PIL import Image

from ...files import write_atomic
from ...label_spaces import get_label_space
from ..render import Caster
from ..shapes import rotation_z, translation
from .frames import Frame, Intrinsics, shoot, stations, walk
from .layout import KINDS, furnish
from .presets import PRESETS, VERSION, Preset
from .scan import Scan, scan_room
from .variants import Variant

LABEL_TABLE = 'scannetv2-labels.combined.tsv'
# Raw category -> (NYU40 id, NYU40 class). Ids of the 200-class benchmark come from its label space.
NYU40: Dict[str, Tuple[int, str]] = {
    'wall': (1, 'wall'), 'floor': (2, 'floor'), 'cabinet': (3, 'cabinet'), 'wardrobe': (3, 'cabinet'),
    'bed': (4, 'bed'), 'chair': (5, 'chair'), 'office chair': (5, 'chair'), 'armchair': (6, 'sofa'),
    'couch': (6, 'sofa'), 'table': (7, 'table'), 'coffee table': (7, 'table'), 'door': (8, 'door'),
    'window': (9, 'window'), 'bookshelf': (10, 'bookshelf'), 'picture': (11, 'picture'),
    'kitchen counter': (12, 'counter'), 'desk': (14, 'desk'), 'curtain': (16, 'curtain'), 'pillow': (18, 'pillow'),
    'refrigerator': (24, 'refridgerator'), 'shower curtain': (28, 'shower curtain'), 'box': (29, 'box'),
    'nightstand': (32, 'night stand'), 'toilet': (33, 'toilet'), 'sink': (34, 'sink'), 'lamp': (35, 'lamp'),
    'bathtub': (36, 'bathtub'), 'trash can': (39, 'otherfurniture'), 'ottoman': (39, 'otherfurniture'),
    'monitor': (40, 'otherprop')}


def scan_names(preset: Preset) -> Tuple[List[str], List[str]]:
    """Names of the train and val scans; val follows train, as one sequence of rooms."""
    names = [f'scene{index:04d}_00' for index in range(preset.train + preset.val)]
    return names[:preset.train], names[preset.train:]


def draw(rng: np.random.Generator, folder: Path, index: int, preset: Preset) -> None:
    """Draw scan ``index`` into ``folder``: a home, seen by a hand-held RGB-D camera."""
    name = f'scene{index:04d}_00'
    room = furnish(rng, KINDS[index % len(KINDS)])
    caster = Caster(room.parts)
    rounds = stations(rng, room, caster, preset.frames)
    scan = scan_room(rng, room, caster, [pose for points in rounds for pose in points], preset.spacing)
    # The sensor's world frame is not aligned with the walls: turn and shift everything, and store the way back.
    to_sensor = translation(*rng.uniform(0.5, 3.0, 2), rng.uniform(-0.1, 0.1)) @ rotation_z(rng.uniform(-np.pi, np.pi))
    camera = Intrinsics(preset.width, preset.height, preset.width * 0.87)
    frames = []
    for pose in walk(rng, rounds, caster):
        frame = shoot(rng, caster, pose, camera)
        frames.append(Frame(frame.colour, frame.depth, to_sensor @ frame.pose))
    scan.xyz = scan.xyz @ to_sensor[:3, :3].T + to_sensor[:3, 3]
    write_scan(folder, name, scan, [item.category for item in room.items], np.linalg.inv(to_sensor))
    write_frames(folder, name, frames, camera)


def finish(root: Path, preset: Preset) -> None:
    """Write the label table and the lists of both splits."""
    write_label_table(root)
    write_lists(root, *scan_names(preset))


def write_label_table(root: Path) -> None:
    """Write the table of raw categories, with the columns of ScanNet's that its converters read."""
    space = get_label_space('ScanNet200')
    raw_of = {index: raw for raw, index in space.raw_pairs}
    rows = ['\t'.join(('id', 'raw_category', 'category', 'nyu40id', 'nyu40class'))]
    for category, (nyu40, name) in sorted(NYU40.items()):
        rows.append('\t'.join((str(raw_of[space.index(category)]), category, category, str(nyu40), name)))
    write_atomic(root / LABEL_TABLE, ('\n'.join(rows) + '\n').encode())


def write_lists(root: Path, train: Sequence[str], val: Sequence[str]) -> None:
    """Write the scan lists of both splits."""
    for split, names in (('train', train), ('val', val)):
        write_atomic(root / 'meta_data' / f'scannetv2_{split}.txt', ''.join(f'{name}\n' for name in names).encode())


def write_scan(folder: Path, name: str, scan: Scan, categories: List[str], axis_align: np.ndarray) -> None:
    """Write mesh, labels, instances and segments of one scan.

    Args:
        folder: the scan's folder, which must exist.
        name: for instance ``scene0000_00``.
        scan: vertices in the frame they are to be stored in.
        categories: raw category of every item that ``scan.item`` names.
        axis_align: (4, 4) from that frame to the gravity- and wall-aligned one.
    """
    mesh = f'{name}_vh_clean_2'
    nyu40 = np.array([NYU40[category][0] for category in categories])[scan.item]
    space = get_label_space('ScanNet20')
    colours = np.array([*space.palette, (0, 0, 0)], np.uint8)[space.map_raw(nyu40)]
    _write_ply(folder / f'{mesh}.ply', scan.xyz, scan.rgb, scan.faces)
    _write_ply(folder / f'{mesh}.labels.ply', scan.xyz, colours, scan.faces, nyu40)
    (folder / f'{mesh}.0.010000.segs.json').write_text(json.dumps(dict(
        params=dict(kThresh='0.01', segMinVerts='20'), sceneId=name, segIndices=scan.segment.tolist())))
    groups = []
    for item, category in enumerate(categories):
        segments = np.unique(scan.segment[scan.item == item])
        if len(segments):
            groups.append(dict(id=len(groups), objectId=len(groups), segments=segments.tolist(), label=category))
    (folder / f'{name}.aggregation.json').write_text(json.dumps(dict(
        sceneId=f'scannet.{name}', appId='Aggregator.v2', segGroups=groups,
        segmentsFile=f'scannet.{mesh}.0.010000.segs.json')))
    numbers = ' '.join(f'{value:.6f}' for value in axis_align.reshape(-1))
    (folder / f'{name}.txt').write_text(f'axisAlignment = {numbers}\nsceneType = Room\n')


def write_frames(folder: Path, name: str, frames: Sequence[Frame], camera: Intrinsics) -> None:
    """Write RGB-D frames in the layout of ScanNet's SensReader export; colour and depth share one camera."""
    for part in ('color', 'depth', 'pose', 'intrinsic'):
        (folder / part).mkdir(exist_ok=True)
    for sensor in ('color', 'depth'):
        _write_matrix(folder / 'intrinsic' / f'intrinsic_{sensor}.txt', camera.matrix)
        _write_matrix(folder / 'intrinsic' / f'extrinsic_{sensor}.txt', np.eye(4))
    for index, frame in enumerate(frames):
        Image.fromarray(frame.colour).save(folder / 'color' / f'{index}.jpg', quality=92)
        Image.fromarray(frame.depth).save(folder / 'depth' / f'{index}.png')
        _write_matrix(folder / 'pose' / f'{index}.txt', frame.pose)


def _write_matrix(path: Path, matrix: np.ndarray) -> None:
    path.write_text('\n'.join(' '.join(f'{value:.6f}' for value in row) for row in matrix) + '\n')


def _write_ply(path: Path, xyz: np.ndarray, rgb: np.ndarray, faces: np.ndarray, label: np.ndarray = None) -> None:
    from plyfile import PlyData, PlyElement
    fields = [('x', 'f4'), ('y', 'f4'), ('z', 'f4'), ('red', 'u1'), ('green', 'u1'), ('blue', 'u1'), ('alpha', 'u1')]
    if label is not None:
        fields.append(('label', 'u2'))
    vertex = np.empty(len(xyz), fields)
    for axis, key in enumerate('xyz'):
        vertex[key] = xyz[:, axis]
    for channel, key in enumerate(('red', 'green', 'blue')):
        vertex[key] = rgb[:, channel]
    vertex['alpha'] = 255
    if label is not None:
        vertex['label'] = label
    face = np.empty(len(faces), [('vertex_indices', 'i4', (3,))])
    face['vertex_indices'] = faces
    PlyData([PlyElement.describe(vertex, 'vertex'), PlyElement.describe(face, 'face')]).write(str(path))


VARIANT = Variant(
    mark='rooms', version=VERSION, presets=PRESETS, draw=draw, finish=finish,
    folders=lambda preset: [f'scans/{name}' for split in scan_names(preset) for name in split])
