"""spconv 2 on CPU: every sparse layer of any model runs its Native algorithm when its input is not on a GPU.

The choice is made per call and by the device of the input, so it holds for models built anywhere: without a GPU, and
moved to CPU on a machine that has one. Weights have one layout for all algorithms. Inputs on CUDA are not touched.
Average pooling is the one layer that stays CUDA only; its own assertion says so.
"""
import functools
from typing import Callable

import torch
from torch import Tensor


def _native_on_cpu(run: Callable) -> Callable:
    """Wrap a layer's method so that it runs with ``algo=Native`` for input off the GPU."""
    from spconv.core import ConvAlgo
    from spconv.pytorch import SparseConvTensor

    @functools.wraps(run)
    def by_device(self, *args, **kwargs):
        sparse = kwargs.get('input')
        if sparse is None:
            sparse = next(arg for arg in args if isinstance(arg, SparseConvTensor))
        if sparse.features.is_cuda:
            return run(self, *args, **kwargs)
        # Its kernels read indices as rows whatever their strides; those of torch.nonzero() lie in columns.
        sparse.indices = sparse.indices.contiguous()
        built, self.algo = self.algo, ConvAlgo.Native
        try:
            return run(self, *args, **kwargs)
        finally:
            self.algo = built

    by_device.by_device = True
    return by_device


def _bias_outside_kernel(conv_forward: Callable) -> Callable:
    """Wrap ``_conv_forward``: at inference spconv adds the bias inside a kernel that the CPU does not have.

    Its training branch adds the bias afterwards and differs in nothing else for the Native algorithm.
    """

    @functools.wraps(conv_forward)
    def with_bias(self, training, input, *args, **kwargs):
        plain = self.act_type.value == 0  # no fused activation
        return conv_forward(self, training or (plain and not input.features.is_cuda), input, *args, **kwargs)

    return with_bias


def _max_over_pairs(on_cuda: Callable) -> Callable:
    """Wrap ``ops.indice_maxpool``: the Native kernel starts from 0 and so loses negative maxima, the others do not."""

    @functools.wraps(on_cuda)
    def by_device(features: Tensor, indice_pairs: Tensor, indice_pair_num: Tensor, num_activate_out: int) -> Tensor:
        if features.is_cuda:
            return on_cuda(features, indice_pairs, indice_pair_num, num_activate_out)
        used = torch.arange(indice_pairs.shape[-1]) < indice_pair_num[:, None]
        source, target = (rows[used].long() for rows in indice_pairs)
        target = target[:, None].expand(-1, features.shape[1])
        pooled = features.new_zeros(num_activate_out, features.shape[1])
        return pooled.scatter_reduce_(0, target, features.detach()[source], 'amax', include_self=False)

    return by_device


def _stream_or_zero() -> int:
    """Return the current CUDA stream, 0 (which CPU kernels ignore) on a machine without CUDA."""
    return torch.cuda.current_stream().cuda_stream if torch.cuda.is_available() else 0


def mend() -> None:
    """Wrap convolution and max pooling of spconv 2, and its stream getter, once."""
    try:
        from spconv.pytorch import conv, cppcore, hash as table, ops, pool, utils
    except ImportError:  # no spconv at all, or spconv-triton, which has no CPU kernels
        return
    base = getattr(conv, 'SparseConvolutionBase', None) or conv.SparseConvolution
    if not hasattr(ops, 'get_current_stream') or hasattr(base._conv_forward, 'by_device'):
        return
    base._conv_forward = _native_on_cpu(_bias_outside_kernel(base._conv_forward))
    pool.SparseMaxPool.forward = _native_on_cpu(pool.SparseMaxPool.forward)
    ops.indice_maxpool = _max_over_pairs(ops.indice_maxpool)
    for module in (cppcore, ops, table, utils):
        module.get_current_stream = _stream_or_zero
