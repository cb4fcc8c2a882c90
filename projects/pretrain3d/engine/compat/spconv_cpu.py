"""spconv 2 on CPU: every sparse layer of any model runs its Native algorithm when its input is not on a GPU.

The choice is made per call and by the device of the input, so it holds for models built anywhere: without a GPU, and
moved to CPU on a machine that has one. Weights have one layout for all algorithms. Inputs on CUDA are not touched.
"""
import functools
from typing import Callable

import torch


def _native_on_cpu(run: Callable) -> Callable:
    """Wrap a layer's method so that it runs with ``algo=Native`` for input off the GPU."""
    from spconv.core import ConvAlgo
    from spconv.pytorch import SparseConvTensor

    @functools.wraps(run)
    def by_device(self, *args, **kwargs):
        sparse = kwargs.get('input')
        if sparse is None:
            sparse = next(arg for arg in args if isinstance(arg, SparseConvTensor))
        if sparse.features.is_cuda or self.algo == ConvAlgo.Native:
            return run(self, *args, **kwargs)
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
    for module in (cppcore, ops, table, utils):
        module.get_current_stream = _stream_or_zero
