"""PointNet++ under the contrast of two views, and its way into VoteNet."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from scene_context_batches import two_views

from mmdet3d.registry import MODELS
from pretrain3d.contrastive_scene_contexts import ContrastiveSceneContexts
from pretrain3d.engine.weights import load_weights

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
SMALL = dict(type='SparsePointNet2', in_channels=4, with_height=True, num_sampled=256, num_points=(128, 64, 32, 16),
             radius=(0.4, 0.8, 1.2, 1.6), num_samples=(16, 16, 8, 8),
             sa_channels=((16, 16), (16, 32), (32, 32), (32, 32)), fp_channels=((32, 32), (32, 32), (32, 16), (16, 16)))


def test_it_learns_on_two_views_of_unequal_clouds():
    init_default_scope('mmdet3d')
    torch.manual_seed(0)
    model = ContrastiveSceneContexts(
        backbone=SMALL,
        head=dict(in_channels=16, out_channels=16, samples_per_scene=128,
                  loss=dict(type='SceneContextLoss', preset='p8', temperature=0.1)),
        data_preprocessor=dict(type='Pretrain3DDataPreprocessor', voxel_size=0.02, feature_dims=[0, 1, 2]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    batch, curve, retrieved = two_views(sizes=(300, 180)), [], []  # more and fewer points than asked for
    for _ in range(30):
        optimizer.zero_grad()
        total, log = model.parse_losses(model(**model.data_preprocessor(batch, training=True), mode='loss'))
        total.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
        curve.append(total.item())
        retrieved.append(log['contrast.retrieval'])
    assert curve[-1] < 0.8 * curve[0]
    assert sum(retrieved[-5:]) > 2 * sum(retrieved[:5])


@pytest.mark.parametrize('pretraining, detection', [
    ('pointnet2_1xb4-p8-rooms_scannet-pairs', CONFIGS / 'scannet' / 'votenet_1xb8-rooms_scannet.py'),
    ('pointnet2_8xb4-p8-15k_scannet-pairs', 'mmdet3d::votenet/votenet_8xb8_scannet-3d.py')])
def test_all_of_votenets_backbone_is_pretrained(pretraining, detection, tmp_path):
    init_default_scope('mmdet3d')
    source = Config.fromfile(str(CONFIGS / 'contrastive_scene_contexts' / f'{pretraining}.py'))
    if isinstance(detection, str):
        from mmengine.hub import get_config
        target = get_config(detection)
    else:
        target = Config.fromfile(str(detection))
    pretext, votenet = MODELS.build(source.model), MODELS.build(target.model)
    generator = torch.Generator().manual_seed(1)
    for tensor in pretext.backbone.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + .5)
    torch.save(dict(state_dict=pretext.state_dict()), tmp_path / 'pretrained.pth')
    report = load_weights(votenet, str(tmp_path / 'pretrained.pth'), 'backbone', 'backbone', min_matched=1)
    assert report.fraction == 1 and not report.missing
    assert {key.split('.')[1] for key in report.unexpected} == {'2', '3'}, 'but for the way up to the points'
    loaded = pretext.backbone.state_dict()
    for key, tensor in votenet.backbone.state_dict().items():
        assert torch.equal(loaded[key], tensor), key
    for key in ('num_points', 'num_samples'):
        ours, theirs = source.model.backbone[key], target.model.backbone[key]
        assert tuple(ours) == tuple(theirs), key
    assert source.model.backbone.in_channels == target.model.backbone.in_channels
    pretext.backbone.eval(), votenet.backbone.eval()
    for ours, theirs in zip(pretext.backbone.SA_modules, votenet.backbone.SA_modules):
        assert [g.max_radius for g in ours.groupers] == [g.max_radius for g in theirs.groupers]
