"""The language-guided head beside the plain one, which projects every row to the 512 values of its words.

Takes ten seconds to start, because a registered module imports mmdet3d."""
from __future__ import annotations

import os
import sys
from typing import Any, Tuple

os.environ.setdefault('OMP_WAIT_POLICY', 'passive')

import harness  # noqa: E402
import torch  # noqa: E402

import pretrain3d  # noqa: E402

pretrain3d.register_all()

from pretrain3d.heads import LanguageGuidedHead  # noqa: E402

VOXELS, CHANNELS = 100_000, 96
Pass = Tuple[torch.Tensor, ...]


def setup(device: str, tiny: bool) -> Tuple[Tuple[Any, ...], str]:
    """A head of SpUNet's 96 channels with ScanNet's words (a stand-in for CLIP's, as long), features and labels."""
    torch.manual_seed(0)
    head = LanguageGuidedHead(CHANNELS, dict(ScanNet='ScanNet20'), 'hashed-ngrams').to(device)
    rows = 100 if tiny else VOXELS
    features = torch.randn(rows, CHANNELS, device=device).relu().requires_grad_()
    labels = torch.randint(0, 20, (rows,), device=device)
    return (head, features, labels), f'{rows:,} rows of {CHANNELS} channels, 20 classes, forward and backward'


def train(head: LanguageGuidedHead, logits: torch.Tensor, features: torch.Tensor, labels: torch.Tensor) -> Pass:
    """Logits, and the gradients of features and projection."""
    loss = torch.nn.functional.cross_entropy(logits, labels)
    return (logits.detach(), *torch.autograd.grad(loss, [features, head.projection.weight, head.projection.bias]))


def ours(head: LanguageGuidedHead, features: torch.Tensor, labels: torch.Tensor) -> Pass:
    """The head's own logits."""
    return train(head, head.logits(features, 'ScanNet'), features, labels)


def baseline(head: LanguageGuidedHead, features: torch.Tensor, labels: torch.Tensor) -> Pass:
    """Project, normalise, compare with the words."""
    unit = torch.nn.functional.normalize(head.projection(features), dim=1)
    return train(head, head.logit_scale * unit @ head.text_ScanNet.T, features, labels)


def check(mine: Pass, theirs: Pass) -> None:
    """They differ by rounding and by the eps of the norm."""
    for name, own, plain in zip(('logits', 'features', 'weight', 'bias'), mine, theirs):
        error = (own - plain).norm() / plain.norm()
        assert error < 1e-4, f'{name} differ by {error:.1e}'


if __name__ == '__main__':
    sys.exit(harness.main(ours, baseline, check, setup, 'LanguageGuidedHead', __file__))
