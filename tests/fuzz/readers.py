"""What is fuzzed: every reader of files with a whole sample of what it reads."""
import json

import numpy as np
import torch

import mmdet3d.datasets  # noqa: F401
from mmdet3d.registry import DATASETS
from pretrain3d.contrastive_scene_contexts.pair_dataset import FramePairDataset
from pretrain3d.contrastive_scene_contexts.pair_transforms import LoadFramePair
from pretrain3d.converters.batch import SceneError
from pretrain3d.converters.pairs.build import build_pairs
from pretrain3d.converters.pairs.scene import PairOptions
from pretrain3d.converters.pairs.storage import read_frame, read_table
from pretrain3d.converters.s3dis.convert import convert_room as convert_office
from pretrain3d.converters.s3dis.reading import read_angles
from pretrain3d.converters.scannet.convert import convert_cloud, read_list
from pretrain3d.converters.scannet.frames import frame_records
from pretrain3d.converters.scannet.reading import read_label_table, read_scan
from pretrain3d.converters.scannet.sens import export_sens
from pretrain3d.converters.structured3d.convert import read_room
from pretrain3d.converters.structured3d.source import open_source
from pretrain3d.converters.waymo.convert import SOURCES, convert_segment
from pretrain3d.datasets.bad_samples import Policy, guard
from pretrain3d.datasets.info_check import check_info_file, naming
from pretrain3d.datasets.loading import LoadAnnotationsChecked, LoadPointsChecked
from pretrain3d.datasets.scannet_lists import read_box_list, read_point_list, read_scene_list
from pretrain3d.engine.hooks.checkpoint_files import newest_whole
from pretrain3d.engine.weights.convert import convert_checkpoint
from pretrain3d.engine.weights.errors import WeightsError
from pretrain3d.engine.weights.reading import read_state
from pretrain3d.label_spaces.text_bank import TextBank
from pretrain3d.pictures.offices import ConvertedOffices
from pretrain3d.pictures.scans import Converted

from subjects import JSON, NPZ, PARQUET, PICKLE, TORCH, Subject, finite
from whole_files import (OFFICE, POINTS, ROOM, SCAN, SEGMENT, cloud, write_checkpoints, write_converted,
                         write_converted_office, write_infos, write_label_lists, write_labels, write_office,
                         write_pairs, write_points, write_rgbd, write_scan, write_text_bank, write_video, write_views,
                         write_waymo, write_zip)


def read_points(folder):
    loaded = LoadPointsChecked(coord_type='DEPTH', load_dim=6, use_dim=list(range(6)))(
        dict(lidar_points=dict(lidar_path=str(folder / 'cloud.bin'))))
    finite(loaded['points'].tensor)
    assert len(loaded['points'])


def read_labels(folder):
    loaded = LoadAnnotationsChecked(with_bbox_3d=False, with_label_3d=False, with_mask_3d=True, with_seg_3d=True)(dict(
        points=cloud(), pts_semantic_mask_path=str(folder / 'semantic.bin'),
        pts_instance_mask_path=str(folder / 'instance.bin'), seg_label_mapping=np.arange(21), eval_ann_info={}))
    assert loaded['pts_semantic_mask'].shape == loaded['pts_instance_mask'].shape == (POINTS,)
    assert 0 <= loaded['pts_semantic_mask'].min() <= loaded['pts_semantic_mask'].max() < 21


def read_infos(folder):
    """As a run reads them: the hook's check, mmdet3d's own dataset, the guard."""
    path = str(folder / 'infos.pkl')
    check_info_file(path, label_names=['car', 'truck'], prefixes=dict(pts=str(folder)), modality=['lidar'])
    with naming('NuScenesDataset', path):
        dataset = DATASETS.build(dict(
            type='NuScenesDataset', data_root=str(folder), ann_file='infos.pkl', data_prefix=dict(pts='', img=''),
            metainfo=dict(classes=['car', 'truck']), box_type_3d='LiDAR', filter_empty_gt=False, pipeline=[
                dict(type='LoadPointsFromFile', coord_type='LIDAR', load_dim=5, use_dim=4),
                dict(type='LoadAnnotations3D', with_bbox_3d=True, with_label_3d=True),
                dict(type='Pack3DDetInputs', keys=['points', 'gt_bboxes_3d', 'gt_labels_3d'])]))
    guard(dataset, Policy('raise', 0, str(folder / 'bad')))
    for index in range(len(dataset)):
        found = dataset[index]['data_samples'].gt_instances_3d
        finite(found.bboxes_3d.tensor)
        assert len(found.bboxes_3d) == len(found.labels_3d)


def read_pair_list(folder):
    dataset = FramePairDataset('frame_pairs_train.pkl', str(folder), pipeline=[LoadFramePair(with_table=True)],
                               min_overlap=0.3)
    guard(dataset, Policy('raise', 0, str(folder / 'bad')))
    for index in range(len(dataset)):
        sample = dataset[index]
        sizes = [len(one['xyz']) for one in sample['frame_clouds'].values()]
        assert sample['frame_matches'].min(initial=0) >= 0 and (sample['frame_matches'] < sizes).all()


def read_npz(folder):
    for name in ('0', '25'):
        xyz, rgb, pose = read_frame(str(folder / f'{name}.npz'))
        finite(xyz, pose)
        assert xyz.shape == rgb.shape and xyz.dtype == np.float32 and rgb.dtype == np.uint8 and pose.shape == (4, 4)


def read_matches(folder):
    found = read_table(str(folder / 'matches.bin'), dict(offset=0, queries=POINTS, matches=POINTS))
    assert found.shape == (POINTS, 2) and found.dtype == np.int64 and found.min() >= 0


def read_rgbd(folder):
    build_pairs(folder, folder / 'out', options=PairOptions(min_points=10, grid=0.05, tables='all'), quiet=True)
    FramePairDataset('frame_pairs_train.pkl', str(folder / 'out'))


SCAN_FILES = ['scannetv2-labels.combined.tsv', *(f'scans/{SCAN}/{SCAN}{end}' for end in (
    '_vh_clean_2.ply', '.txt', '_vh_clean_2.0.010000.segs.json', '.aggregation.json'))]
SCAN_TREES = SCAN_FILES[3:]


def read_one_scan(folder):
    table = read_label_table(folder / SCAN_FILES[0])
    scan = read_scan(folder / 'scans' / SCAN, table)
    finite(scan.xyz, scan.normal, scan.axis_align)
    assert len(scan.xyz) == len(scan.rgb) == len(scan.nyu40) == len(scan.instance) == len(scan.raw200)
    convert_cloud(SCAN, folder, folder / 'out', table, True)
    points = np.fromfile(folder / 'out' / 'points' / f'{SCAN}.bin', np.float32)
    finite(points)


def read_office(folder):
    angles = dict(Area_1=read_angles(folder / 'Area_1' / 'Area_1_alignmentAngle.txt'))
    convert_office(f'Area_1/{OFFICE}', folder, folder / 'out', angles)
    points = np.fromfile(folder / 'out' / 'points_normals' / f'Area_1_{OFFICE}.bin', np.float32).reshape(-1, 9)
    label = np.fromfile(folder / 'out' / 'semantic_mask' / f'Area_1_{OFFICE}.bin', np.int64)
    finite(points)
    assert len(points) == len(label) and 0 <= points[:, 3:6].min() and points[:, 3:6].max() <= 255


def read_converted_office(folder):
    source = ConvertedOffices(folder / 'out')
    for name in source.names:
        scan = source.read(name)
        finite(scan.xyz)
        assert len(scan.xyz) == len(scan.rgb) == len(scan.label)


def read_converted(folder):
    source = Converted(folder / 'out')
    for name in source.names:
        scan = source.read(name)
        finite(scan.xyz, scan.axis_align)
        assert len(scan.xyz) == len(scan.rgb) and (scan.label is None or len(scan.label) == len(scan.xyz))


VIEWS = [f'{ROOM}/{place}' for place in (
    'perspective/full/0/camera_pose.txt', 'panorama/camera_xyz.txt',
    *(f'{view}/{name}.png' for view in ('perspective/full/0', 'panorama/full')
      for name in ('rgb_rawlight', 'depth', 'semantic', 'instance')))]


def read_views(folder):
    """A damaged file costs its view and is named; the other view stays."""
    open_source.cache_clear()
    for room in open_source(folder).rooms:
        cloud, notes = read_room(room, folder)
        finite(cloud.xyz, cloud.normal)
        assert len(cloud.xyz) == len(cloud.rgb) == len(cloud.nyu40) == len(cloud.instance) > 0
        assert 0 <= cloud.nyu40.min() <= cloud.nyu40.max() <= 40 and cloud.instance.min() >= 0
        assert notes['views'] + len(notes['lost']) >= 1


def read_segment(folder, lidars='top'):
    """Frames that a damaged file costs are named with it; the others are whole."""
    found = convert_segment(f'training/{SEGMENT}', folder, lidars=lidars)
    assert all(str(folder) in why for _, why in found['bad']), 'no file is named'
    assert len(found['entries']) + len(found['bad']) <= 6
    for entry in found['entries']:
        points = np.fromfile(folder / entry['lidar_points']['lidar_path'], np.float32).reshape(-1, 5)
        labels = np.fromfile(folder / entry['pts_semantic_mask_path'], np.uint8)
        finite(points, entry['ego2global'])
        assert len(points) == len(labels) == entry['num_points'] > 0 and labels.max() <= 22
        assert 0 < entry['num_top_points'] <= len(points) and not labels[entry['num_top_points']:].any()


def read_all_lidars(folder):
    read_segment(folder, 'all')


def read_video(folder):
    faults = export_sens(folder / f'{SCAN}.sens', folder / 'frames', 1)
    found = frame_records(folder / 'frames', 1, folder, faults)
    for frame in found['frames'] if found else ():
        finite(frame['pose'])


def write_exported(folder):
    write_video(folder)
    read_video(folder)


EXPORTED = [f'frames/{name}' for name in ('color/0.jpg', 'depth/0.png', 'pose/0.txt', 'intrinsic/intrinsic_depth.txt')]


def read_exported(folder):
    found = frame_records(folder / 'frames', 1, folder)
    finite(found['intrinsic_depth'], *(frame['pose'] for frame in found['frames']))
    assert len(found['frames']) >= 2 and found['lost'] == 3 - len(found['frames'])


def read_label_list(name):
    def read(folder):
        for reader in (read_point_list, read_box_list):
            for scan, rows in reader(folder / name).items():
                assert isinstance(scan, str) and rows.dtype == np.int64 and rows.ndim == 1 and (rows >= 0).all()
    return read


def read_scenes(folder):
    for name in read_scene_list(folder / 'scenes.txt') + read_list(folder / 'scenes.txt'):
        assert name.isprintable()


def read_text_bank(folder):
    bank = TextBank.load(folder / 'bank.npz')
    finite(bank.embeddings)
    assert bank.embeddings.dtype == np.float32 and len(bank.texts) == len(bank.embeddings)
    assert all(isinstance(text, str) for text in bank.texts) and bank.rows(bank.texts[:1]).shape[0] == 1
    json.dumps(bank.source)


def read_checkpoint(name):
    def read(folder):
        tensors, metadata = read_state(str(folder / name))
        assert all(isinstance(tensor, torch.Tensor) for tensor in tensors.values()) and isinstance(metadata, dict)
        assert all(isinstance(key, str) for key in tensors)
        convert_checkpoint(str(folder / name), str(folder / 'out.pth'), 'backbone', 'encoder', spconv_layout='2')
        assert read_state(str(folder / 'out.pth'))[0]
    return read


def read_newest(folder):
    found, wrong = newest_whole(folder, folder, 'iter_{}.pth')
    assert found is not None and found.name in ('iter_9.pth', 'iter_8.pth')
    assert found.name == 'iter_9.pth' or wrong, 'passed over without a word'


SUBJECTS = [
    Subject('point file', write_points, ['cloud.bin'], read_points),
    Subject('label files', write_labels, ['semantic.bin', 'instance.bin'], read_labels),
    Subject('info file', write_infos, ['infos.pkl'], read_infos, **PICKLE),
    Subject('stock point file', write_infos, ['1.bin'], read_infos),
    Subject('pair list', write_pairs, ['frame_pairs_train.pkl'], read_pair_list, **PICKLE),
    Subject('pair files', write_pairs, ['0.npz', 'matches.bin'], read_pair_list),
    Subject('frame file', write_pairs, ['0.npz', '25.npz'], read_npz, **NPZ),
    Subject('match table', write_pairs, ['matches.bin'], read_matches),
    Subject('frame list', write_rgbd, ['scannet_frames_train.pkl'], read_rgbd, **PICKLE),
    Subject('frame pictures', write_rgbd, [f'scans/{SCAN}/{kind}/{index}.png' for kind in ('color', 'depth')
                                           for index in (0, 25)], read_rgbd),
    Subject('scan', write_scan, SCAN_FILES, read_one_scan),
    Subject('scan annotations', write_scan, SCAN_TREES, read_one_scan, **JSON),
    Subject('converted scan', write_converted, ['out/scannet_infos_train.pkl'], read_converted, **PICKLE),
    Subject('converted files', write_converted,
            [f'out/{kind}/{SCAN}.bin' for kind in ('points_normals', 'semantic_mask')], read_converted),
    Subject('rendered views', write_views, VIEWS, read_views),
    Subject('rendered views in a zip', write_zip, ['views.zip'], read_views),
    Subject('office', write_office, [*(f'Area_1/{OFFICE}/Annotations/{name}.txt' for name in ('wall_1', 'chair_1')),
                                     'Area_1/Area_1_alignmentAngle.txt'], read_office),
    Subject('converted office', write_converted_office, ['out/s3dis_infos_Area_1.pkl'], read_converted_office,
            **PICKLE),
    Subject('converted office files', write_converted_office,
            [f'out/{kind}/Area_1_{OFFICE}.bin' for kind in ('points_normals', 'semantic_mask')], read_converted_office),
    Subject('Waymo segment', write_waymo, [f'training/{tag}/{SEGMENT}.parquet' for tag in SOURCES], read_segment,
            **PARQUET),
    Subject('Waymo segment, all LiDARs', write_waymo,
            [f'training/{tag}/{SEGMENT}.parquet' for tag in ('lidar', 'lidar_calibration')], read_all_lidars,
            **PARQUET),
    Subject('.sens', write_video, [f'{SCAN}.sens'], read_video),
    Subject('exported frames', write_exported, EXPORTED, read_exported),
    Subject('label list .json', write_label_lists, ['list.json'], read_label_list('list.json'), **JSON),
    Subject('label list .npz', write_label_lists, ['list.npz'], read_label_list('list.npz'), **NPZ),
    Subject('label list of torch', write_label_lists, ['points20'], read_label_list('points20'), **TORCH),
    Subject('label list of old torch', write_label_lists, ['old20'], read_label_list('old20')),
    Subject('scene list', write_label_lists, ['scenes.txt'], read_scenes),
    Subject('text bank', write_text_bank, ['bank.npz'], read_text_bank, **NPZ),
    Subject('checkpoint', write_checkpoints, ['iter_9.pth'], read_checkpoint('iter_9.pth'), **TORCH),
    Subject('plain checkpoint', write_checkpoints, ['plain.pth'], read_checkpoint('plain.pth'), **TORCH),
    Subject('checkpoint of old torch', write_checkpoints, ['old.pth'], read_checkpoint('old.pth')),
    Subject('last checkpoint', write_checkpoints, ['iter_9.pth', 'last_checkpoint'], read_newest),
]
# What a reader may raise, with the file's name in the message.
CLEAR = (ValueError, FileNotFoundError, SceneError, WeightsError)
