from types import SimpleNamespace

import pytest
from torch.utils.data import ConcatDataset, DataLoader

from pretrain3d.datasets import Pretrain3DDataPreprocessor
from pretrain3d.engine.hooks import DomainCheckHook
from pretrain3d.engine.hooks.domain_check import DomainClassesError
from pretrain3d.evaluation import DomainMeanIoUMetric
from pretrain3d.heads import DecoupledHead
from pretrain3d.label_spaces import get_label_space

SPACES = dict(ScanNet='ScanNet20', S3DIS='S3DIS13')


class Data(list):
    """What the hook reads of a dataset."""

    def __init__(self, domain, classes=None, **metainfo):
        super().__init__([0])
        self.ann_file = f'{domain}.pkl'
        self.pipeline = SimpleNamespace(transforms=[SimpleNamespace(domain=domain)])
        names = get_label_space(SPACES.get(domain, 'ScanNet20')).classes
        self.metainfo = dict(classes=classes or names, **metainfo)


def run(datasets=(Data('ScanNet', ignore_index=20), Data('S3DIS')), metric=SPACES,
        num_classes=dict(ScanNet=20, S3DIS=13), domain=None, head=SPACES):
    head = DecoupledHead(4, head)
    model = SimpleNamespace(decode_head=head, domain=domain,
                            data_preprocessor=Pretrain3DDataPreprocessor(voxel_size=1., num_classes=num_classes))
    loader = DataLoader(ConcatDataset(list(datasets)))
    loop = SimpleNamespace(dataloader=loader, evaluator=SimpleNamespace(metrics=[DomainMeanIoUMetric(metric)]))
    DomainCheckHook().before_run(SimpleNamespace(model=model, _train_loop=None, _val_loop=loop, _test_loop=None))


def test_what_agrees_passes():
    run()
    run(num_classes=None)
    run(datasets=[Data(None, get_label_space('S3DIS13').classes)], domain='S3DIS')  # the segmentor says it
    DomainCheckHook().before_run(SimpleNamespace(model=SimpleNamespace()))  # no head by domain


def test_sorted_classes_are_named():
    """The released S3DIS row: sorted, so that 11 of 13 labels mean another class."""
    names = sorted(get_label_space('S3DIS13').classes)
    with pytest.raises(DomainClassesError, match="val data, Data S3DIS.pkl: label 0 of S3DIS is 'ceiling'.*'beam'"):
        run(datasets=[Data('S3DIS', names)])


def test_other_disagreements():
    with pytest.raises(DomainClassesError, match="Scannet.pkl: .*did you mean 'ScanNet'.*PackPretrain3DInputs"):
        run(datasets=[Data('Scannet')])
    with pytest.raises(DomainClassesError, match='which domain is this of'):
        run(datasets=[Data(None)])
    with pytest.raises(DomainClassesError, match="ignore_index is 255.*of S3DIS, 13"):
        run(datasets=[Data('S3DIS', ignore_index=255)])
    with pytest.raises(DomainClassesError, match=r"val_evaluator knows nothing of \['S3DIS'\]"):
        run(metric=dict(ScanNet='ScanNet20'))
    with pytest.raises(DomainClassesError, match='val_evaluator: its classes of S3DIS'):
        run(metric=dict(SPACES, S3DIS='ScanNet20'))
    for number in (20, dict(ScanNet=20), dict(ScanNet=20, S3DIS=14)):
        with pytest.raises(DomainClassesError, match="num_classes of the data preprocessor.*'S3DIS': 13"):
            run(num_classes=number)
