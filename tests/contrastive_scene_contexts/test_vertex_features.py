"""Features at vertices: the encoder's own, in evaluation mode, of every vertex's voxel."""
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from pretrain3d.contrastive_scene_contexts.vertex_features import VertexFeatures, recipe_steps
from pretrain3d.datasets.sparse_batch import build_sparse_batch

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
PRETRAINING = 'contrastive_scene_contexts/spunet_1xb4-p8-rooms_scannet-pairs.py'
SEGMENTOR = 'scannet/spunet_1xb4-rooms_scannet20.py'


def recipe(name):
    return Config.fromfile(str(CONFIGS / name), import_custom_modules=False)


@pytest.mark.parametrize('name, columns', [
    (PRETRAINING, 6), (SEGMENTOR, 9), ('scannet/spunet_1xb12-600e_scannet200.py', 9),
    ('contrastive_scene_contexts/srunet18a_8xb4-p8-60k_scannet-crops.py', 6)])
def test_steps_of_a_recipe(name, columns):
    """Loaded, coloured as in the recipe, packed; nothing that drops, moves by chance, or needs labels."""
    steps = recipe_steps(recipe(name))
    assert steps[0]['type'] == 'LoadPointsChecked' and steps[0]['load_dim'] == columns
    middle = {step['type'] for step in steps[1:-1]} - {'CenterOnMean', 'CenterShift'}
    assert middle == {'NamePointColumns', 'NormalizePointsColor'}
    assert steps[-1] == dict(type='PackPretrain3DInputs', keys=['points'])


@pytest.mark.parametrize('name', [PRETRAINING, SEGMENTOR])
def test_features_are_those_of_the_vertices_voxels(drawn_scannet, name):
    cfg = recipe(name)
    torch.manual_seed(0)
    features = VertexFeatures(cfg, drawn_scannet.converted)
    backbone = features.model.backbone
    for module in backbone.modules():  # statistics that the batch's own would not give
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    file = sorted(path.name for path in (drawn_scannet.converted / 'points').iterdir())[0]
    points = np.fromfile(drawn_scannet.converted / 'points' / file, np.float32).reshape(-1, 6)
    found = features(file)
    assert found.shape == (len(points), 24) and found.dtype == np.float32 and np.isfinite(found).all()
    assert np.array_equal(found, features(file))

    xyz = torch.from_numpy(points[:, :3])
    if name == PRETRAINING:  # its views stand on their mean
        xyz = (xyz.double() - xyz.double().mean(0)).float()
    cloud = torch.cat([xyz, torch.from_numpy(points[:, 3:] / 255)], 1)
    size = cfg.model.data_preprocessor.voxel_size
    sparse = build_sparse_batch([cloud], (size, ) * 3, feature_dims=[3, 4, 5])
    with torch.no_grad():
        voxels = backbone.eval()(sparse).numpy()
    cell = np.floor(xyz.numpy() / np.float32(size)).astype(int)
    cell -= cell.min(0)
    row = {tuple(coor): place for place, coor in enumerate(sparse['coors'][:, 1:].tolist())}
    wanted = voxels[[row[tuple(one)] for one in cell.tolist()]]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    norms = np.linalg.norm(found, axis=1)
    assert norms.std() > 0.01 * norms.mean()  # not normalised


def test_models_and_ranges_that_do_not_fit(drawn_scannet):
    votenet = recipe('scannet/votenet_1xb8-rooms_scannet.py')
    with pytest.raises(ValueError, match='VoteNet, has no sparse encoder'):
        VertexFeatures(votenet, drawn_scannet.converted)
    cfg = recipe(SEGMENTOR)
    cfg.model.data_preprocessor.point_cloud_range = [0, 0, 0, 1, 1, 1]
    file = sorted(path.name for path in (drawn_scannet.converted / 'points').iterdir())[0]
    with pytest.raises(ValueError, match=f'{file}: .* vertices are outside point_cloud_range'):
        VertexFeatures(cfg, drawn_scannet.converted)(file)
