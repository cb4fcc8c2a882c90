"""Whole files of every kind that is fuzzed, small ones."""
import io
import json
import pickle
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pretrain3d.converters.pairs.storage import append_table, write_frame
from pretrain3d.converters.s3dis.convert import convert as convert_offices
from pretrain3d.converters.scannet.convert import convert_splits
from pretrain3d.label_spaces.text_bank import stand_in_bank

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'converters'))
from pair_scenes import plane_scan, write_list  # noqa: E402
from scannet_scans import write_sens  # noqa: E402
from waymo_segments import SEGMENTS, draw_segment, write_segment  # noqa: E402

SCAN = 'scene0000_00'
OFFICE = 'office_1'
SEGMENT = SEGMENTS['training'][0]
POINTS = 24
ROOM = 'Structured3D/scene_00000/2D_rendering/7'


def cloud(columns=6):
    return np.random.default_rng(0).random((POINTS, columns), np.float32)


def write_points(folder):
    cloud().tofile(folder / 'cloud.bin')


def write_labels(folder):
    for kind in ('semantic', 'instance'):
        (np.arange(POINTS) % 21).astype(np.int64).tofile(folder / f'{kind}.bin')


def write_infos(folder):
    box = dict(bbox_label_3d=0, bbox_label=0, bbox_3d=[5., 0, 0, 4, 2, 1.5, 0.3], velocity=[0., 0.],
               bbox_3d_isvalid=True, num_lidar_pts=9)
    for i in range(3):
        cloud(5).tofile(folder / f'{i}.bin')
    (folder / 'infos.pkl').write_bytes(pickle.dumps(dict(
        metainfo=dict(categories=dict(car=0, truck=1), dataset='nuscenes', info_version='1.1'),
        data_list=[dict(sample_idx=i, token=str(i), images={}, instances=[box, box],
                        lidar_points=dict(lidar_path=f'{i}.bin', num_pts_feats=5)) for i in range(3)])))


def write_pairs(folder):
    pair = dict(scan=SCAN, frames=[0, 25], view0_path='0.npz', view1_path='25.npz', num_points=[POINTS, POINTS],
                overlap=0.5, shares=[0.5, 0.4], table=dict(path='matches.bin'))
    for name in ('0', '25'):
        write_frame(folder / f'{name}.npz', cloud(3), np.zeros((POINTS, 3)), np.eye(4),
                    'float16' if name == '25' else 'float32')
    with open(folder / 'matches.bin', 'wb') as file:
        pair['table'].update(append_table(file, np.ones(POINTS, np.int32), np.arange(POINTS)))
    (folder / 'frame_pairs_train.pkl').write_bytes(pickle.dumps(dict(
        metainfo=dict(dataset='scannet', content='frame_pairs', info_version='1.0', split='train', min_overlap=0.3),
        data_list=[pair, pair])))


def write_rgbd(folder):
    write_list(folder, [plane_scan(folder)])


def write_scan(folder):
    (folder / 'meta_data').mkdir()
    (folder / 'meta_data' / 'scannetv2_train.txt').write_text(f'{SCAN}\n')
    (folder / 'scannetv2-labels.combined.tsv').write_text(
        'id\traw_category\tcategory\tnyu40id\n1\twall\twall\t1\n2\tchair\tchair\t5\n')
    scan = folder / 'scans' / SCAN
    scan.mkdir(parents=True)
    xyz = cloud(3)
    head = ('ply\nformat binary_little_endian 1.0\nelement vertex 24\nproperty float x\nproperty float y\nproperty '
            'float z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\nelement face 2\nproperty list '
            'uchar int vertex_indices\nend_header\n')
    vertices = b''.join(point.astype('<f4').tobytes() + bytes([1, 2, 3]) for point in xyz)
    faces = b''.join(bytes([3]) + np.array(face, '<i4').tobytes() for face in ([0, 1, 2], [2, 3, 4]))
    (scan / f'{SCAN}_vh_clean_2.ply').write_bytes(head.encode() + vertices + faces)
    (scan / f'{SCAN}.txt').write_text('axisAlignment = ' + ' '.join(map(str, np.eye(4).reshape(-1))) + '\nx = 1\n')
    (scan / f'{SCAN}_vh_clean_2.0.010000.segs.json').write_text(json.dumps(dict(
        segIndices=[i // 8 for i in range(24)])))
    (scan / f'{SCAN}.aggregation.json').write_text(json.dumps(dict(segGroups=[
        dict(id=0, label='wall', segments=[0]), dict(id=1, label='chair', segments=[1])])))


def write_office(folder):
    """A room of S3DIS, as it lies on disk and converted."""
    room = folder / 'Area_1' / OFFICE
    (room / 'Annotations').mkdir(parents=True)
    for name, shift in (('wall_1', 0.0), ('chair_1', 1.0)):
        lines = ['%.3f %.3f %.3f %d %d %d' % (*(point[:3] + shift), *(point[3:] * 255)) for point in cloud()]
        (room / 'Annotations' / f'{name}.txt').write_text('\n'.join(lines) + '\n')
    (folder / 'Area_1' / 'Area_1_alignmentAngle.txt').write_text(f'## angles ##\n{OFFICE} 90\n')


def write_converted_office(folder):
    write_office(folder)
    assert not convert_offices(folder, folder / 'out', ['Area_1'], quiet=True)


def write_converted(folder):
    write_scan(folder)
    outcome = convert_splits(folder, folder / 'out', ['train'], quiet=True)
    assert not outcome.failed and not outcome.skipped


def picture(array, palette=None):
    buffer = io.BytesIO()
    image = Image.fromarray(array)
    if palette:
        image.putpalette(palette)
    image.save(buffer, 'png')
    return buffer.getvalue()


def write_views(folder):
    """A room of Structured3D with one perspective view and a panorama."""
    rng = np.random.default_rng(0)
    cameras = {'panorama/camera_xyz.txt': '100 200 1500', 'perspective/full/0/camera_pose.txt':
               '100 200 1500 1 0 0 0 0 1 0.698132 0.440000 1'}
    for camera, numbers in cameras.items():
        place = folder / ROOM / camera
        pictures = place.parent / 'full' if 'xyz' in camera else place.parent
        pictures.mkdir(parents=True)
        place.write_text(numbers)
        ids = rng.integers(1, 3, (18, 32)).astype(np.uint8)
        for name, content in dict(
                rgb_rawlight=picture(rng.integers(0, 255, (18, 32, 3)).astype(np.uint8)),
                depth=picture(np.full((18, 32), 2000, np.uint16)), instance=picture(ids.astype(np.uint16)),
                semantic=picture(ids, [0, 0, 0, 174, 199, 232, 152, 223, 138])).items():
            (pictures / f'{name}.png').write_bytes(content)


def write_zip(folder):
    write_views(folder)
    with zipfile.ZipFile(folder / 'views.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / 'Structured3D').rglob('*.*')):
            archive.write(path, path.relative_to(folder))
    shutil.rmtree(folder / 'Structured3D')


def write_waymo(folder):
    """A segment of Waymo: six frames of 5 x 12 pixels, two with labels."""
    write_segment(folder, 'training', SEGMENT, draw_segment(0))


def write_video(folder):
    depth = np.full((36, 48), 2000, np.uint16)
    write_sens(folder / f'{SCAN}.sens', [(np.eye(4), b'\xff\xd8abc\xff\xd9', depth)] * 3)


def label_lists():
    return dict(scene0000_00=[0, 3, 5], scene0000_01=[1])


def write_label_lists(folder):
    (folder / 'list.json').write_text(json.dumps(label_lists()))
    np.savez(folder / 'list.npz', **{name: np.array(rows) for name, rows in label_lists().items()})
    torch.save({name: np.array(rows) for name, rows in label_lists().items()}, folder / 'points20')
    torch.save(label_lists(), folder / 'old20', _use_new_zipfile_serialization=False)
    (folder / 'scenes.txt').write_text('scene0000_00\nscene0000_01\n')


def write_text_bank(folder):
    stand_in_bank(['wall', 'floor', 'a chair'], channels=8).save(folder / 'bank.npz')


def state():
    return {'backbone.conv.weight': torch.ones(3, 3, 3, 2, 4), 'backbone.norm.weight': torch.ones(4), 'head.bias':
            torch.zeros(2)}


def checkpoint():
    from mmengine.logging import HistoryBuffer
    return dict(meta=dict(epoch=3, iter=9, seed=0, experiment_name='x'), state_dict=state(), message_hub=dict(
        log_scalars=dict(loss=HistoryBuffer([1.], [1])), runtime_info=dict(a={1, 2}, b=np.float32(2))))


def saved(tree, **options):
    buffer = io.BytesIO()
    torch.save(tree, buffer, **options)
    return buffer.getvalue()


def write_checkpoints(folder):
    (folder / 'iter_9.pth').write_bytes(saved(checkpoint()))
    (folder / 'iter_8.pth').write_bytes(saved(checkpoint()))
    (folder / 'plain.pth').write_bytes(saved(state()))
    (folder / 'old.pth').write_bytes(saved(state(), _use_new_zipfile_serialization=False))
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_9.pth'))
