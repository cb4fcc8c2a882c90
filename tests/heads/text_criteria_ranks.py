"""What ``test_text_criteria.py`` runs on every rank: heads whose ranks have rows of other domains."""
import torch
from torch.nn.parallel import DistributedDataParallel

import pretrain3d  # noqa: F401
from pretrain3d.heads import LanguageGuidedHead

SPACES = dict(ScanNet='ScanNet20', S3DIS='S3DIS13', Structured3D='Structured3D25')
CRITERIA = ('InfoNCE', 'L2', dict(type='Discriminative', norm_weight=0.1),
            dict(type='TextContrastive', num_negatives=None, negative=1.2))
# Rows of each rank by domain, as slices of the whole batch. Nobody has Structured3D; in the last case rank 1 nothing.
DEALS = (dict(ScanNet=(slice(0, 9), slice(9, 20)), S3DIS=(slice(0, 0), slice(0, 12))),
         dict(ScanNet=(slice(0, 20), slice(20, 20)), S3DIS=(slice(0, 12), slice(12, 12))))


def whole():
    """Domain -> features and labels, some unlabelled."""
    generator = torch.Generator().manual_seed(3)
    return {domain: (torch.randn(count, 8, generator=generator, dtype=torch.float64),
                     torch.randint(0, classes + 1, (count,), generator=generator))
            for domain, count, classes in (('ScanNet', 20, 20), ('S3DIS', 12, 13))}


class Wrapped(torch.nn.Module):
    """A head whose forward is its loss."""

    def __init__(self, criterion):
        super().__init__()
        torch.manual_seed(0)
        self.head = LanguageGuidedHead(8, SPACES, 'hashed-ngrams', criterion=criterion, logit_scale=5.).double()

    def forward(self, parts):
        """Sum of the losses."""
        return sum(self.head.loss_by_domain(parts).values())


def losses_and_gradients(model, parts):
    """Of two steps: distributed training misses parameters in the second."""
    for _ in range(2):
        model.zero_grad()
        loss = model(parts)
        loss.backward()
    return dict(loss=loss.detach(), **{name.replace('module.', ''): value.grad.clone()
                                       for name, value in model.named_parameters()})


def on_rank(rank, world_size):
    """One result for each deal and criterion."""
    torch.set_num_threads(1)
    results = []
    for deal in DEALS:
        parts = {domain: tuple(values[deal[domain][rank]] for values in pair) for domain, pair in whole().items()}
        parts = {domain: pair for domain, pair in parts.items() if len(pair[1])}
        results += [losses_and_gradients(DistributedDataParallel(Wrapped(criterion)), parts) for criterion in CRITERIA]
    return results
