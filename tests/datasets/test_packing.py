import numpy as np
import pytest
import torch

from mmdet3d.datasets.transforms import Pack3DDetInputs
from mmdet3d.structures import LiDARInstance3DBoxes
from mmdet3d.structures.points import LiDARPoints
from pretrain3d.datasets.packing import PackPretrain3DInputs
from pretrain3d.datasets.point_index import AddPointIndex


def sample():
    return dict(points=LiDARPoints(torch.rand(6, 4), points_dim=4), gt_bboxes_3d=LiDARInstance3DBoxes(torch.rand(2, 7)),
                gt_labels_3d=np.array([0, 1]), pts_semantic_mask=np.arange(6), img=np.zeros((4, 5, 3), np.uint8),
                lidar_path='a.bin', pcd_scale_factor=1.5)


def test_what_mmdet3d_knows_is_packed_as_by_mmdet3d():
    keys = ('points', 'img', 'gt_bboxes_3d', 'gt_labels_3d', 'pts_semantic_mask')
    data = sample()
    ours = PackPretrain3DInputs(keys=keys)(dict(data))
    theirs = Pack3DDetInputs(keys=keys)(dict(data))
    assert ours['inputs'].keys() == theirs['inputs'].keys()
    assert torch.equal(ours['inputs']['points'], theirs['inputs']['points'])
    assert torch.equal(ours['inputs']['img'], theirs['inputs']['img'])
    mine, other = ours['data_samples'], theirs['data_samples']
    assert torch.equal(mine.gt_instances_3d.labels_3d, other.gt_instances_3d.labels_3d)
    assert torch.equal(mine.gt_pts_seg.pts_semantic_mask, other.gt_pts_seg.pts_semantic_mask)
    assert {key: mine.metainfo[key] for key in other.metainfo} == other.metainfo
    assert isinstance(data['points'], LiDARPoints)


def test_own_keys_pass_through_as_tensors():
    data = sample()
    own = dict(pairs=np.array([[0, 1]]), depth=np.ones(3), parts=[np.ones(2), np.zeros(1)], text='chair', thing=(1, 2),
               table=dict(a=np.ones(1)))
    inputs = PackPretrain3DInputs(keys=('points', *own))(dict(data, **own))['inputs']
    assert inputs['pairs'].dtype == torch.int64 and inputs['depth'].dtype == torch.float32
    assert [len(part) for part in inputs['parts']] == [2, 1] and isinstance(inputs['parts'][0], torch.Tensor)
    assert inputs['text'] == 'chair' and inputs['thing'] == (1, 2) and isinstance(inputs['table']['a'], torch.Tensor)
    with pytest.raises(NotImplementedError):
        Pack3DDetInputs(keys=('points', *own))(dict(data, **own))


def test_a_key_that_nobody_made_is_an_error():
    with pytest.raises(KeyError, match="a.bin.*'pears'"):
        PackPretrain3DInputs(keys=('points', 'pears'))(sample())
    with pytest.raises(KeyError, match='superpixel'):
        PackPretrain3DInputs(keys=('points', ), point_keys=('superpixel', ))(AddPointIndex()(sample()))


def test_point_arrays_need_the_index_and_the_right_length():
    pack = PackPretrain3DInputs(keys=('points', ), point_keys=('superpixel', ))
    with pytest.raises(ValueError, match='AddPointIndex into the pipeline'):
        pack(dict(sample(), superpixel=np.arange(6)))
    with pytest.raises(ValueError, match='a.bin.*5 rows.*6 points'):
        pack(dict(AddPointIndex()(sample()), superpixel=np.arange(5)))
    with pytest.raises(ValueError, match='name them in keys'):
        PackPretrain3DInputs(keys=('points', ), point_keys=('pts_semantic_mask', ))


def test_views_are_packed_with_their_own_index():
    data = AddPointIndex()(dict(sample(), superpixel=np.arange(6) * 10))
    views = {}
    for name, rows in dict(one=[3, 1], two=[5, 5, 0]).items():
        views[name] = dict(data, points=data['points'][np.array(rows)], pairs=np.array([1]), unasked=1)
    packed = PackPretrain3DInputs(keys=('points', 'views', 'pairs'), point_keys=('superpixel', ))(
        dict(data, views=views))
    made = packed['inputs']['views']
    assert made['one']['superpixel'].tolist() == [30, 10] and made['two']['superpixel'].tolist() == [50, 50, 0]
    assert made['one'].keys() == {'points', 'superpixel', 'pairs'}
    assert torch.equal(made['two']['points'], packed['inputs']['points'][[5, 5, 0]])
    assert packed['inputs']['superpixel'].tolist() == [0, 10, 20, 30, 40, 50]
    assert 'index' in data['points'].attribute_dims and 'pairs' not in packed['inputs']


def test_the_voxel_seed_is_drawn_under_the_samples_seed():
    seeds = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        seeds.append(PackPretrain3DInputs(keys=('points', ))(sample())['data_samples'].metainfo['voxel_seed'])
    assert seeds[0] == seeds[1] != seeds[2]


def test_meta_keys():
    data = dict(sample(), lidar_aug_matrix=np.eye(4))
    meta = PackPretrain3DInputs(keys=('points', ))(dict(data))['data_samples'].metainfo
    assert (meta['lidar_aug_matrix'] == np.eye(4)).all() and meta['pcd_scale_factor'] == 1.5
    assert meta['lidar_path'] == 'a.bin'
    few = PackPretrain3DInputs(keys=('points', ), meta_keys=['lidar_path'])(dict(data))['data_samples'].metainfo
    assert set(few) == {'lidar_path', 'voxel_seed'}


def test_test_time_augmentation():
    packed = PackPretrain3DInputs(keys=('points', ))([sample(), sample()])
    assert len(packed) == 2


def test_a_sample_says_its_domain():
    pack = PackPretrain3DInputs(keys=('points', ), domain='S3DIS')
    assert pack(sample())['data_samples'].metainfo['domain'] == 'S3DIS' and "'S3DIS'" in repr(pack)
    assert 'domain' not in PackPretrain3DInputs(keys=('points', ))(sample())['data_samples'].metainfo
    for wrong in ('', 3):
        with pytest.raises(ValueError, match='name of the data set'):
            PackPretrain3DInputs(keys=('points', ), domain=wrong)
