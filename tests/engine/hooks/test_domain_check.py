from types import SimpleNamespace

import pytest
from mmengine.model import BaseTTAModel
from torch import nn
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
        num_classes=dict(ScanNet=20, S3DIS=13), domain=None, head=SPACES, wrap=lambda model: model):
    head = DecoupledHead(4, head)
    model = SimpleNamespace(decode_head=head, domain=domain,
                            data_preprocessor=Pretrain3DDataPreprocessor(voxel_size=1., num_classes=num_classes))
    loader = DataLoader(ConcatDataset(list(datasets)))
    loop = SimpleNamespace(dataloader=loader, evaluator=SimpleNamespace(metrics=[DomainMeanIoUMetric(metric)]))
    DomainCheckHook().before_run(SimpleNamespace(model=wrap(model), _train_loop=None, _val_loop=loop, _test_loop=None))


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


def test_a_model_inside_test_time_augmentation_is_looked_at():
    """As test.py --tta wraps it."""
    class Voting(BaseTTAModel):
        def __init__(self, model):
            nn.Module.__init__(self)
            self.__dict__['module'] = model

        def merge_preds(self, data_samples_list):
            return data_samples_list

    run(wrap=Voting)
    with pytest.raises(DomainClassesError, match="did you mean 'ScanNet'"):
        run(datasets=[Data('Scannet')], wrap=Voting)


class Model(nn.Module):
    """What the hook reads of a segmentor, with weights."""
    domain = None

    def __init__(self):
        super().__init__()
        self.decode_head = DecoupledHead(4, SPACES)


def load(state, *domains, training=False):
    loader = DataLoader(ConcatDataset([Data(domain) for domain in domains]))
    loop = SimpleNamespace(dataloader=loader)
    DomainCheckHook().after_load_checkpoint(
        SimpleNamespace(model=Model(), _train_loop=loop if training else dict(), _val_loop=None, _test_loop=loop),
        state)


def test_a_test_of_a_domain_that_the_checkpoint_has_not():
    state = {f'module.{key}': value for key, value in Model().state_dict().items() if 'S3DIS' not in key}
    load(Model().state_dict(), 'ScanNet', 'S3DIS')
    load(dict(state_dict=state), 'ScanNet')
    load(state, 'S3DIS', training=True)  # begins anew
    with pytest.raises(DomainClassesError, match=r'of the domain S3DIS \(no decode_head.classifiers.S3DIS.weight\).*it '
                                                 r'has ScanNet$'):
        load(dict(state_dict=state), 'ScanNet', 'S3DIS')


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
