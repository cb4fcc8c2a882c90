"""Config keys without effect are named, with what to write instead; sound configs pass."""
import os.path as osp
import re
from glob import glob

import mmdet3d
import pytest
import torch

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from pretrain3d.engine.hooks.config_check import misspelt_keys, runtime_keys, unread_keys

STOCK = osp.join(osp.dirname(mmdet3d.__file__), '.mim')
BASE = '''
data_root = 'data/'
lr = 1e-3
train_dataloader = dict(dataset=dict(data_root=data_root), batch_size=1)
val_dataloader = train_dataloader
optim_wrapper = dict(optimizer=dict(type='SGD', lr=lr))
'''


@pytest.fixture
def write(tmp_path):
    """Write a base and a child config; return the child."""

    def make(child, base=BASE, name='child.py'):
        (tmp_path / 'base.py').write_text(base)
        (tmp_path / name).write_text("_base_ = ['base.py']\n" + child)
        return Config.fromfile(tmp_path / name)

    return make


def test_sound_configs_pass(write):
    assert unread_keys(write('')) == []
    assert unread_keys(write("work_dir = 'w'\nfind_unused_parameters = True\nload_from = None\n")) == []
    assert unread_keys(write("wd = 0.1\noptim_wrapper = dict(optimizer=dict(weight_decay=wd))\n")) == []
    assert unread_keys(write("data_root = 'x/'\ntrain_dataloader = dict(dataset=dict(data_root=data_root))\n")) == []
    assert unread_keys(write('for factor in (1, 2):\n    wd = factor\noptim_wrapper = dict(a=wd)\n')) == []
    assert unread_keys(write("width = 3\n", BASE + "width = 3\nmodel = dict(width=width)\n")) == []  # repeats the base


def test_misspelt_key_is_named_with_the_nearest(write):
    assert unread_keys(write('param_schedular = []\n')) == [
        "child.py: nobody reads 'param_schedular'; did you mean 'param_scheduler'?"]
    assert unread_keys(write('', BASE + 'foo = 3\n')) == [
        "base.py: nobody reads 'foo'; remove it, or use it in an expression of the config"]


def test_intermediate_variable_set_again(write):
    """mmengine ignores it: the base has built its data loaders from the old value by then."""
    cfg = write("data_root = 'mine/'\n")
    assert cfg.data_root == 'mine/' and cfg.train_dataloader.dataset.data_root == 'data/'
    problem, = unread_keys(cfg)
    assert re.search(r"child.py: setting 'data_root' changes nothing, because base.py .* train_dataloader, "
                     r'val_dataloader; override it inside these instead, e.g. train_dataloader=dict', problem)


@pytest.mark.parametrize('use', ['_base_.data_root', "'{{_base_.data_root}}'", '{{_base_.data_root}}'])
def test_variables_read_through_base(write, use):
    assert unread_keys(write(f'load_from = {use}\n', "data_root = 'data/'\n")) == []


def test_three_levels(write, tmp_path):
    write("data_root = 'mine/'\n", name='middle.py')
    (tmp_path / 'top.py').write_text("_base_ = ['middle.py']\nwork_dir = _base_.data_root\n")
    assert unread_keys(Config.fromfile(tmp_path / 'top.py')) == []  # the middle's value is read by its heir
    (tmp_path / 'top.py').write_text("_base_ = ['middle.py']\n")
    assert 'middle.py: setting' in unread_keys(Config.fromfile(tmp_path / 'top.py'))[0]


def test_keys_from_the_command_line(write):
    cfg = write('')
    cfg.merge_from_dict({'optim_wrapper.optimizer.lr': 1., 'work_dir': 'x', 'sync_bn': 'torch'})
    assert unread_keys(cfg) == []
    cfg.merge_from_dict({'lr': 1., 'optim_wraper.optimizer.lr': 2.})
    problems = '\n'.join(unread_keys(cfg))
    assert re.search(r"--cfg-options: setting 'lr' changes nothing, because base.py .* optim_wrapper; override it "
                     r'inside this', problems)
    assert "--cfg-options: nobody reads 'optim_wraper'; did you mean 'optim_wrapper'?" in problems
    assert len(unread_keys(cfg, allow=['lr'])) == 1


def test_files_of_packages_are_taken_as_they_are(tmp_path):
    """mmdet3d's nuScenes base defines `eval_pipeline` and `class_names`; a child may not misuse the second."""
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = ['mmdet3d::_base_/datasets/nus-3d.py']\n")
    assert unread_keys(Config.fromfile(path)) == []
    path.write_text("_base_ = ['mmdet3d::_base_/datasets/nus-3d.py']\nclass_names = ['car']\n")
    assert "setting 'class_names' changes nothing" in unread_keys(Config.fromfile(path))[0]


def test_stock_configs_pass():
    paths = [path for path in sorted(glob(osp.join(STOCK, 'configs', '*', '*.py'))) if 'mvfcos3d' not in path]
    assert len(paths) > 130
    for path in paths[::18]:
        assert unread_keys(Config.fromfile(path)) == [], path


def test_dumped_yaml_and_memory_configs(write, tmp_path):
    cfg = write("model = dict(type='A')\nwork_dir = 'w'\nload_from = None\n")
    cfg.dump(tmp_path / 'dumped.py')
    assert unread_keys(Config.fromfile(tmp_path / 'dumped.py')) == []
    (tmp_path / 'a.yaml').write_text('work_dir: w\nmodle: {type: A}\n')
    assert "nobody reads 'modle'; did you mean 'model'?" in unread_keys(Config.fromfile(tmp_path / 'a.yaml'))[0]
    assert unread_keys(Config(dict(anything=1))) == []


def test_every_key_that_the_stack_reads_is_known():
    """mmengine's runners and mmdet3d's two tools are searched for what they read from `cfg`."""
    import mmengine.runner
    folder = osp.dirname(mmengine.runner.__file__)
    files = [osp.join(folder, 'runner.py'), osp.join(folder, '_flexible_runner.py')] + [
        osp.join(STOCK, 'tools', name) for name in ('train.py', 'test.py')]
    read = set()
    for path in files:
        with open(path) as source:
            text = source.read()
        read |= set(re.findall(r"""\bcfg(?:\.get\(\s*|\[)['"](\w+)['"]""", text))
        if osp.basename(path) in ('train.py', 'test.py'):
            read |= set(re.findall(r"'(\w+)' (?:not )?in cfg\b", text)) | set(re.findall(r'\bcfg\.(\w+) =', text))
    # keys of nested configs that the runners also call `cfg`
    nested = {'base_batch_size', 'cudnn_benchmark', 'dist_cfg', 'enable', 'mp_cfg', 'resource_limit', 'scope', 'type'}
    assert {'model', 'auto_scale_lr', 'compile', 'tta_model', 'runner_type', 'sync_bn'} <= read
    assert read - nested <= runtime_keys(), read - nested - runtime_keys()


class Nothing(BaseModel):
    """A model for a run that never starts."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, data_samples=None, mode='loss'):
        return {}


def test_hook_stops_the_run(write, tmp_path):
    cfg = write('data_roots = 1\n')
    runner = Runner(
        model=Nothing(), work_dir=str(tmp_path), cfg=cfg, default_scope='mmdet3d',
        train_cfg=dict(by_epoch=True, max_epochs=1),
        train_dataloader=dict(dataset=[torch.zeros(1)], batch_size=1, sampler=dict(type='DefaultSampler')),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1.)), custom_hooks=[dict(type='ConfigCheckHook')])
    with pytest.raises(ValueError, match="nobody reads 'data_roots'"):
        runner.train()


def test_unknown_argument_is_named_when_built():
    init_default_scope('mmdet3d')
    with pytest.raises(TypeError, match="'in_chanels'"):
        MODELS.build(dict(type='SparseEncoder', in_chanels=5, sparse_shape=[9, 9, 9]))


FREE = """
model = dict(test_cfg=dict(pts=dict(score_threshold=0.1, nms_pre=4)))
train_cfg = dict(max_epochs=3)
train_dataloader = dict(dataset=dict(data_prefix=dict(pts='points', img='')))
"""


def test_misspelt_keys_of_free_form_dicts(write):
    assert misspelt_keys(write('', FREE)) == []
    child = write("model = dict(test_cfg=dict(pts=dict(score_thresh=3, nms_post=2)))\n"
                  "train_dataloader = dict(dataset=dict(data_prefix=dict(ptss='abc', sweeps='s')))\n", FREE)
    assert misspelt_keys(child) == [
        "model.test_cfg.pts.score_thresh: nobody reads 'score_thresh'; did you mean 'score_threshold'?",
        "train_dataloader.dataset.data_prefix.ptss: nobody reads 'ptss'; did you mean 'pts'?"]
    assert misspelt_keys(child, allow=['ptss', 'score_thresh']) == []
    # Replaced as a whole, or a runner's own arguments: classes that check.
    assert misspelt_keys(write("train_cfg = dict(max_epoch=2)\n", FREE)) == []


def test_misspelt_option_of_the_command_line(write):
    cfg = write('', FREE)
    cfg.merge_from_dict({'model.test_cfg.pts.nms_pres': 3})
    assert misspelt_keys(cfg) == ["model.test_cfg.pts.nms_pres: nobody reads 'nms_pres'; did you mean 'nms_pre'?"]
