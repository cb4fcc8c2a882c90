"""spconv's layers on CPU beside dense convolution and pooling: values, gradients, with default arguments."""
import pytest
import spconv.pytorch as spconv
import torch
import torch.nn.functional as F
from spconv.core import ConvAlgo
from spconv.cppconstants import CPU_ONLY_BUILD

import pretrain3d  # noqa: F401  mends spconv

SHAPE, BATCH = [9, 7, 6], 2
BUILT = ConvAlgo.Native if CPU_ONLY_BUILD else ConvAlgo.MaskImplicitGemm


def sparse(channels: int = 4, seed: int = 0, dtype=torch.float64, device='cpu'):
    """A random sparse tensor whose features want gradients."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.nonzero(torch.rand(BATCH, *SHAPE, generator=generator) < 0.3).int().contiguous()
    features = torch.randn(len(index), channels, generator=generator).to(device, dtype).requires_grad_()
    return spconv.SparseConvTensor(features, index.to(device), SHAPE, BATCH)


def dense_kernel(layer) -> torch.Tensor:
    """spconv's (out, x, y, z, in) as torch's (out, in, x, y, z)."""
    return layer.weight.permute(0, 4, 1, 2, 3)


def at_sites(dense: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Rows of a dense (B, C, x, y, z) tensor at (N, 4) indices."""
    return dense.permute(0, 2, 3, 4, 1)[tuple(index.long().T)]


def check(layer, tensor, out, expected) -> None:
    """Compare values and the gradients to the input and to every parameter, under a random weighting."""
    torch.testing.assert_close(out, expected)
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(5)).to(out)
    leaves = [tensor.features, *layer.parameters()]
    for ours, twin in zip(torch.autograd.grad((out * weight).sum(), leaves),
                          torch.autograd.grad((expected * weight).sum(), leaves)):
        assert twin.abs().sum() > 0
        torch.testing.assert_close(ours, twin)


@pytest.mark.parametrize('train', [True, False])
@pytest.mark.parametrize('bias', [True, False])
def test_submanifold(bias, train):
    layer = spconv.SubMConv3d(4, 5, 3, padding=1, bias=bias).double().train(train)
    tensor = sparse()
    dense = F.conv3d(tensor.dense(), dense_kernel(layer), layer.bias, padding=1)
    out = layer(tensor)
    check(layer, tensor, out.features, at_sites(dense, tensor.indices))
    assert layer.algo == BUILT  # what was built is what a GPU will run


@pytest.mark.parametrize('train', [True, False])
@pytest.mark.parametrize('stride, kernel, padding', [(2, 3, 1), (2, 2, 0), ([1, 2, 3], [3, 2, 3], [0, 1, 1])])
def test_strided(stride, kernel, padding, train):
    layer = spconv.SparseConv3d(4, 5, kernel, stride, padding).double().train(train)
    tensor = sparse()
    out = layer(tensor)
    dense = F.conv3d(tensor.dense(), dense_kernel(layer), layer.bias, stride, padding)
    assert list(dense.shape[2:]) == list(out.spatial_shape)
    check(layer, tensor, out.features, at_sites(dense, out.indices))
    reached = F.conv3d((tensor.dense().abs().sum(1, keepdim=True) > 0).double(), torch.ones(1, 1, *layer.kernel_size).
                       double(), None, stride, padding)
    assert len(out.indices) == int((reached > 0).sum())


@pytest.mark.parametrize('train', [True, False])
def test_transposed(train):
    layer = spconv.SparseConvTranspose3d(4, 5, 3, 2, 1).double().train(train)
    tensor = sparse()
    out = layer(tensor)
    kernel = dense_kernel(layer).transpose(0, 1)
    dense = F.conv_transpose3d(tensor.dense(), kernel, layer.bias, 2, 1)
    check(layer, tensor, out.features, at_sites(dense, out.indices))


@pytest.mark.parametrize('train', [True, False])
def test_inverse(train):
    down = spconv.SparseConv3d(4, 4, 2, 2, indice_key='pair', bias=False).double().train(train)
    up = spconv.SparseInverseConv3d(4, 5, 2, indice_key='pair').double().train(train)
    tensor = sparse()
    kept = [size // 2 * 2 for size in SHAPE]  # a last odd row has no voxel below it
    out = up(down(tensor))
    assert torch.equal(out.indices, tensor.indices)
    middle = F.conv3d(tensor.dense(), dense_kernel(down), None, 2)
    dense = F.conv_transpose3d(middle, dense_kernel(up).transpose(0, 1), up.bias, 2)
    inside = (tensor.indices[:, 1:] < torch.tensor(kept)).all(1)
    layers = torch.nn.ModuleList([down, up])
    check(layers, tensor, out.features[inside], at_sites(dense, tensor.indices[inside]))


def test_pooling_takes_negative_maxima_and_sends_gradients_to_them():
    tensor = sparse()
    tensor = tensor.replace_feature((tensor.features - 3).detach().requires_grad_())
    layer = spconv.SparseMaxPool3d(2, 2).double()
    out = layer(tensor)
    filled = torch.full((BATCH, *SHAPE, 4), -torch.inf, dtype=torch.float64)
    filled = filled.index_put(tuple(tensor.indices.long().T), tensor.features).permute(0, 4, 1, 2, 3)
    expected = at_sites(F.max_pool3d(filled, 2), out.indices)
    assert (expected < 0).any()
    check(layer, tensor, out.features, expected)


def test_pooling_pairs_with_inverse_convolution():
    layers = spconv.SparseSequential(
        spconv.SparseMaxPool3d(2, 2, indice_key='pool'), spconv.SparseInverseConv3d(4, 3, 2, indice_key='pool'))
    tensor = sparse(dtype=torch.float32)
    out = layers(tensor)
    out.features.sum().backward()
    assert out.features.shape == (len(tensor.indices), 3) and tensor.features.grad.any()


def test_indices_that_lie_in_columns_are_read_as_rows():
    rows = sparse()
    columns = spconv.SparseConvTensor(rows.features, rows.indices.T.contiguous().T, SHAPE, BATCH)
    layer = spconv.SubMConv3d(4, 5, 3).double()
    assert torch.equal(layer(columns).features, layer(rows).features)


def test_an_algorithm_chosen_by_hand_stays():
    layer = spconv.SubMConv3d(4, 5, 3, algo=ConvAlgo.Native)
    assert torch.isfinite(layer(sparse(dtype=torch.float32)).features).all()
    assert layer.algo == ConvAlgo.Native


def test_a_failing_layer_keeps_its_algorithm():
    layer = spconv.SubMConv3d(5, 5, 3)
    with pytest.raises(AssertionError, match='channel size'):
        layer(sparse(channels=4, dtype=torch.float32))
    assert layer.algo == BUILT


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_a_model_moved_from_gpu_to_cpu_gives_the_same():
    layers = spconv.SparseSequential(
        spconv.SubMConv3d(4, 8, 3), spconv.SparseConv3d(8, 8, 3, 2, 1), spconv.SparseMaxPool3d(2, 2)).cuda()
    there = layers(sparse(dtype=torch.float32, device='cuda')).dense()
    here = layers.cpu()(sparse(dtype=torch.float32)).dense()
    torch.testing.assert_close(there.cpu(), here, rtol=1e-3, atol=1e-3)
