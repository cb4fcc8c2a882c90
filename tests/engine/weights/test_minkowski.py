"""MinkowskiEngine kernels and names against a direct evaluation of what that library computes.

The reference walks every output voxel and every offset: ``out[u] = sum_i x[u + offset_i] @ W_i``. Its offsets are
counted out by an odometer (hypercube) and by the closed formula of the hybrid region's index.
"""
import importlib.util
import itertools
from pathlib import Path

import pytest
import torch
from spconv.pytorch import SparseConv3d, SparseConvTensor, SparseInverseConv3d, SubMConv3d
from weights_models import randomise

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS
from pretrain3d.engine.weights import WeightsError, convert_checkpoint, load_weights
from pretrain3d.engine.weights.minkowski import (convert_kernel, convert_minkowski_key, hybrid_offsets,
                                                 hypercube_offsets)

LAYERS = {'34C': (2, 3, 4, 6, 2, 2, 2, 2), '18A': (2, 2, 2, 2, 2, 2, 2, 2)}
PLANES = {'34C': (32, 64, 128, 256, 256, 128, 96, 96), '18A': (32, 64, 128, 256, 128, 128, 96, 96)}


def odometer(size):
    """The region iterator: the first axis moves until it passes its bound, then it is reset and the next one moves."""
    low, high = (-(size // 2), size // 2) if size % 2 else (0, size - 1)
    point, found = [low] * 3, []
    while True:
        found.append(tuple(point))
        for axis in range(3):
            point[axis] += 1
            if point[axis] <= high:
                break
            point[axis] = low
        else:
            return found


def hybrid_index(x, y, z):
    """Place of an offset in the list of a hybrid region of size 3."""
    place = 0
    for step, start, factor in ((x, 1, 0), (y, 3, 2), (z, 9, 2)):
        if step:
            place = start + factor * place + (step > 0)
    return place


def by_hybrid_index():
    return sorted(itertools.product((-1, 0, 1), repeat=3), key=lambda offset: hybrid_index(*offset))


def test_orders_of_offsets():
    assert hypercube_offsets(3) == odometer(3) and hypercube_offsets(2) == odometer(2)
    assert hypercube_offsets(5) == odometer(5)
    assert sorted(hybrid_index(*offset) for offset in hybrid_offsets()) == list(range(27))
    assert hybrid_offsets() == by_hybrid_index() != hypercube_offsets(3)
    assert hybrid_offsets()[:4] == [(0, 0, 0), (-1, 0, 0), (1, 0, 0), (0, -1, 0)]


def look_up(inputs, outputs, kernel, offsets, step=1, transposed=False):
    """The definition, row by row. ``inputs``: voxel -> (C_in,); ``outputs``: voxels in the same units."""
    result = {}
    for voxel in outputs:
        total = kernel.new_zeros(kernel.shape[2])
        for matrix, offset in zip(kernel, offsets):
            sign = -1 if transposed else 1
            source = tuple(v + sign * step * o for v, o in zip(voxel, offset))
            if source in inputs:
                total = total + inputs[source] @ matrix
        result[voxel] = total
    return result


def as_sparse(voxels, features, extent=8):
    coors = torch.tensor([(0, *voxel) for voxel in voxels]).int()
    return SparseConvTensor(features, coors, [extent] * 3, 1)


@pytest.mark.parametrize('region', ['hypercube', 'hybrid'])
def test_one_hot_voxels_through_every_offset_of_a_3_cube(region):
    generator = torch.Generator().manual_seed(0)
    offsets = odometer(3) if region == 'hypercube' else by_hybrid_index()
    ours = hypercube_offsets(3) if region == 'hypercube' else hybrid_offsets()
    kernel = torch.randn(27, 2, 5, generator=generator)
    conv = SubMConv3d(2, 5, 3, padding=1, bias=False)
    conv.weight.data = convert_kernel(kernel, ours)
    for place, offset in enumerate(offsets):
        voxels = [(4, 4, 4)] if offset == (0, 0, 0) else [(4, 4, 4), tuple(4 + o for o in offset)]
        features = torch.zeros(len(voxels), 2)
        features[-1, place % 2] = 1  # one active channel of one voxel
        expected = look_up(dict(zip(voxels, features)), voxels, kernel, offsets)
        torch.testing.assert_close(conv(as_sparse(voxels, features)).features, torch.stack(list(expected.values())))
        assert torch.equal(expected[4, 4, 4], kernel[place, place % 2])


@pytest.mark.parametrize('corner', list(itertools.product((0, 1), repeat=3)))
def test_one_hot_voxels_through_strided_and_transposed_2_cubes(corner):
    generator = torch.Generator().manual_seed(1)
    down, up = torch.randn(8, 2, 3, generator=generator), torch.randn(8, 3, 4, generator=generator)
    first = SparseConv3d(2, 3, 2, 2, bias=False, indice_key='down')
    second = SparseInverseConv3d(3, 4, 2, bias=False, indice_key='down')
    first.weight.data = convert_kernel(down, hypercube_offsets(2))
    second.weight.data = convert_kernel(up, hypercube_offsets(2))
    fine = tuple(4 + c for c in corner)
    middle = first(as_sparse([fine], torch.tensor([[0., 1.]])))
    assert middle.indices.tolist() == [[0, 2, 2, 2]]
    expected = look_up({fine: torch.tensor([0., 1.])}, [(4, 4, 4)], down, odometer(2))
    torch.testing.assert_close(middle.features[0], expected[4, 4, 4])
    back = look_up(expected, [fine], up, odometer(2), transposed=True)
    torch.testing.assert_close(second(middle).features[0], back[fine])


class Minkowski:
    """A Res16UNet evaluated voxel by voxel, made to hold the state dict that the library would save."""

    def __init__(self, depth, in_channels=3, out_channels=4):
        self.generator, self.state = torch.Generator().manual_seed(2), {}
        layers, planes = LAYERS[depth], PLANES[depth]
        self.layers = layers
        self._conv('conv0p1s1', 27, in_channels, 32)
        self._norm('bn0', 32)
        width = 32
        for level in range(1, 5):
            self._conv(f'conv{level}p{2**(level - 1)}s2', 8, width, width)
            self._norm(f'bn{level}', width)
            width = self._stage(level, width, planes[level - 1])
        for level, skip in zip(range(4, 8), (planes[2], planes[1], planes[0], 32)):
            self._conv(f'convtr{level}p{2**(8 - level)}s2', 8, width, planes[level])
            self._norm(f'bntr{level}', planes[level])
            width = self._stage(level + 1, planes[level] + skip, planes[level])
        self._conv('final', 0, width, out_channels)
        self.state['final.bias'] = torch.randn(1, out_channels, generator=self.generator)

    def _stage(self, number, width, out):
        for block in range(self.layers[number - 1]):
            name = f'block{number}.{block}'
            for part, channels in (('1', width), ('2', out)):
                self._conv(f'{name}.conv{part}', 27, channels, out)
                self._norm(f'{name}.norm{part}', out)
            if width != out:
                self._conv(f'{name}.downsample.0', 0, width, out)
                self._norm(f'{name}.downsample.1', out)
            width = out
        return width

    def _conv(self, name, volume, inputs, outputs):
        shape = (volume, inputs, outputs) if volume else (inputs, outputs)
        scale = (2 / (inputs * min(volume or 1, 6)))**.5  # few neighbours are there
        self.state[f'{name}.kernel'] = torch.randn(shape, generator=self.generator) * scale

    def _norm(self, name, channels):
        for key, low in (('weight', .5), ('bias', -.5), ('running_mean', -.5), ('running_var', .5)):
            self.state[f'{name}.bn.{key}'] = torch.rand(channels, generator=self.generator) + low
        self.state[f'{name}.bn.num_batches_tracked'] = torch.tensor(7)

    def norm(self, name, grid):
        mean, var, weight, bias = (self.state[f'{name}.bn.{key}']
                                   for key in ('running_mean', 'running_var', 'weight', 'bias'))
        return {voxel: (row - mean) / (var + 1e-5)**.5 * weight + bias for voxel, row in grid.items()}

    def relu(self, grid):
        return {voxel: row.relu() for voxel, row in grid.items()}

    def blocks(self, number, grid, step):
        for block in range(self.layers[number - 1]):
            name, short = f'block{number}.{block}', grid
            for part in '12':
                kernel = self.state[f'{name}.conv{part}.kernel']
                grid = self.norm(f'{name}.norm{part}', look_up(grid, list(grid), kernel, by_hybrid_index(), step))
                grid = self.relu(grid) if part == '1' else grid
            if f'{name}.downsample.0.kernel' in self.state:
                matrix = self.state[f'{name}.downsample.0.kernel']
                short = self.norm(f'{name}.downsample.1', {v: row @ matrix for v, row in short.items()})
            grid = self.relu({voxel: row + short[voxel] for voxel, row in grid.items()})
        return grid

    def __call__(self, grid):
        """Voxel -> (3,), to voxel -> (out_channels,); voxels keep their coordinates at every stride."""
        grid = self.relu(self.norm('bn0', look_up(grid, list(grid), self.state['conv0p1s1.kernel'], odometer(3))))
        skips = []
        for level in range(1, 5):
            skips.append(grid)
            step, kernel = 2**(level - 1), self.state[f'conv{level}p{2**(level - 1)}s2.kernel']
            coarse = list(dict.fromkeys(tuple(v // (2 * step) * 2 * step for v in voxel) for voxel in grid))
            grid = self.relu(self.norm(f'bn{level}', look_up(grid, coarse, kernel, odometer(2), step)))
            grid = self.blocks(level, grid, 2 * step)
        for level in range(4, 8):
            step, skip = 2**(7 - level), skips.pop()
            kernel = self.state[f'convtr{level}p{2 * step}s2.kernel']
            grid = look_up(grid, list(skip), kernel, odometer(2), step, transposed=True)
            grid = self.relu(self.norm(f'bntr{level}', grid))
            grid = self.blocks(level + 1, {v: torch.cat([row, skip[v]]) for v, row in grid.items()}, step)
        return {v: row @ self.state['final.kernel'] + self.state['final.bias'][0] for v, row in grid.items()}


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Checkpoints of both depths as the released trainers write them, one of them from a wrapped model."""
    folder, made = tmp_path_factory.mktemp('minkowski'), {}
    for depth, prefix in (('34C', ''), ('18A', 'module.')):
        network, path = Minkowski(depth), str(folder / f'{depth}.pth')
        state = {prefix + key: tensor for key, tensor in network.state.items()}
        torch.save(dict(curr_iter=60000, state_dict=state, optimizer=dict(state={}), scheduler=dict(last_epoch=60)),
                   path)
        made[depth] = network, path
    return made


@pytest.mark.parametrize('depth', ['34C', '18A'])
def test_whole_networks_agree_voxel_by_voxel(files, depth):
    network, path = files[depth]
    ours = randomise(MODELS.build(dict(type='SRUNet', in_channels=3, out_channels=4, depth=depth)), 1).eval()
    report = load_weights(ours, path, mapping='minkowski_srunet', min_matched=1)
    assert report.fraction == 1 and not report.unexpected and report.layout == '2'
    generator = torch.Generator().manual_seed(3)
    chosen = torch.randperm(125, generator=generator)[:24]
    voxels = [(int(c) // 25 + 1, int(c) // 5 % 5, int(c) % 5 + 2) for c in chosen]  # a tight cluster: many neighbours
    features = torch.randn(24, 3, generator=generator)
    sparse = dict(voxels=features, coors=torch.tensor([(0, *voxel) for voxel in voxels]).int(), batch_size=1,
                  spatial_shape=[6, 5, 7])
    with torch.no_grad():
        expected = network(dict(zip(voxels, features)))
        found = ours(sparse)
    scale = found.abs().mean()
    assert found.std(0).min() > 1e-2 * scale  # it says something about each voxel
    torch.testing.assert_close(found / scale, torch.stack([expected[voxel] for voxel in voxels]) / scale,
                               atol=1e-4, rtol=1e-4)


def test_into_a_model_without_an_output_layer_and_through_a_file(files, tmp_path):
    _, path = files['18A']
    ours = MODELS.build(dict(type='SRUNet', in_channels=3, depth='18A'))
    report = load_weights(ours, path, mapping='minkowski_srunet', min_matched=1)
    assert report.unexpected == ['final.weight', 'final.bias']
    convert_checkpoint(path, str(tmp_path / 'ours.pth'), target='backbone', mapping='minkowski_srunet')
    again = torch.nn.ModuleDict(dict(backbone=MODELS.build(dict(type='SRUNet', in_channels=3, depth='18A'))))
    state = torch.load(str(tmp_path / 'ours.pth'))['state_dict']
    missing = again.load_state_dict(state, strict=False)  # mmdet3d's loaders: the layout is recorded in the file
    assert missing.unexpected_keys == ['backbone.final.weight', 'backbone.final.bias'] and not missing.missing_keys
    for key, tensor in ours.state_dict().items():
        assert torch.equal(again.backbone.state_dict()[key], tensor), key


def test_names():
    assert convert_minkowski_key('module.encoder.conv2p2s2.kernel') == 'down.1.conv.weight'
    assert convert_minkowski_key('convtr7p2s2.kernel') == 'up.0.conv.weight'
    assert convert_minkowski_key('bntr4.bn.running_var') == 'up.3.norm.running_var'
    assert convert_minkowski_key('block4.5.norm2.bn.bias') == 'enc.3.5.norm2.bias'
    assert convert_minkowski_key('offset.0.kernel') == 'offset.0.kernel'
    assert convert_minkowski_key('bn5.bn.weight') == 'bn5.bn.weight'


def test_other_checkpoints_are_refused_by_name(files, tmp_path, capsys):
    ours = MODELS.build(dict(type='SRUNet', in_channels=3, depth='18A'))
    with pytest.raises(WeightsError, match='too few weights matched'):
        load_weights(ours, files['34C'][1], mapping='minkowski_srunet')
    state = dict(files['18A'][0].state)
    for change, match in ((dict(conv0p1s1=torch.zeros(26, 3, 32)), 'conv0p1s1.kernel .26, 3, 32. is no cubic kernel'),
                          ({'block1.0.conv1': torch.zeros(8, 32, 32)}, 'is no cubic kernel'),
                          ({'encoder.conv0p1s1': torch.zeros(27, 3, 32)}, 'another tensor')):
        torch.save({**state, **{f'{name}.kernel': tensor for name, tensor in change.items()}}, tmp_path / 'bad.pth')
        with pytest.raises(WeightsError, match=match):
            load_weights(ours, str(tmp_path / 'bad.pth'), mapping='minkowski_srunet')
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / 'bad.pth')
    spec = importlib.util.spec_from_file_location(
        'convert_weights_tool', Path(__file__).parents[3] / 'tools' / 'convert_weights.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.main([str(tmp_path / 'bad.pth'), str(tmp_path / 'out.pth'), '--mapping', 'minkowski_srunet']) == 1
    assert 'no MinkowskiEngine Res16UNet' in capsys.readouterr().err and not (tmp_path / 'out.pth').exists()
