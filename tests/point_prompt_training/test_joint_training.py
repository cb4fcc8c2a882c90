"""The small joint recipe on drawn data: ranks train and score like one process; a killed run goes on."""
import signal
import sys
from pathlib import Path

import joint_ranks
import pytest
import torch
from mmengine.config import Config
from ranks import run_ranks

sys.path.append(str(Path(__file__).resolve().parents[1] / 'engine' / 'hooks'))
from resumable_runs import die_after, train  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
RECIPE = str(ROOT / 'configs' / 'point_prompt_training' / 'spunet_1xb4-rooms_indoor.py')


@pytest.fixture
def environment(drawn_scannet, drawn_s3dis, monkeypatch):
    """ScanNet twice as often as S3DIS."""
    variables = dict(PRETRAIN3D_SCANNET=str(drawn_scannet.converted), PRETRAIN3D_S3DIS=str(drawn_s3dis.converted),
                     PRETRAIN3D_DOMAINS='ScanNet=2,S3DIS=1', PRETRAIN3D_STEPS='6', PRETRAIN3D_TEXT_BANK='hashed-ngrams')
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.mark.parametrize('ranks', [2, 4])
def test_ranks_train_and_score_like_half_as_many(ranks, tmp_path, environment):
    """One domain a step, or several: on a rank, and where a rank has none of one. Two as one, four as two."""
    found = run_ranks(f'{joint_ranks.__file__}:then_halves', ranks, tmp_path, config=RECIPE, environment=environment,
                      steps=3)
    for place, mode in enumerate(joint_ranks.MODES):
        fewer = [rank['half'] for rank in found[place * ranks // 2:(place + 1) * ranks // 2]]
        more, domains = [rank['all'][mode] for rank in found], []
        for step in range(3):
            dealt = [sorted((draw, name) for rank in part for draw, name in zip(rank['draws'][step],
                                                                                rank['domains'][step]))
                     for part in (fewer, more)]
            assert dealt[0] == dealt[1] and len(dealt[0]) == ranks
            domains.append({name for _, name in dealt[0]})
        assert {len(names) for names in domains} == {1} if mode == 'single' else max(map(len, domains)) == 2
        assert set.union(*domains) == {'ScanNet', 'S3DIS'}
        for rank in more + fewer:
            assert rank['losses'] == pytest.approx(fewer[0]['losses'], rel=1e-9)
            assert rank['scores'] == fewer[0]['scores']
        assert {'ScanNet/miou/vertex', 'S3DIS/miou/voxel', 'mean/miou/vertex'} <= set(fewer[0]['scores'])
        assert len(set(fewer[0]['losses'])) == 3


def test_a_killed_run_goes_on(tmp_path, environment):
    def recipe(name):
        cfg = Config.fromfile(RECIPE)
        cfg.merge_from_dict({
            'work_dir': str(tmp_path / name), 'train_cfg.val_interval': 3, 'model.data_preprocessor.mix3d_prob': 0.6,
            'model.data_preprocessor.voxel_size': 0.2, 'default_hooks.checkpoint.interval': 2,
            'visualizer': dict(_delete_=True, type='Visualizer', name=name, vis_backends=[])})
        return cfg

    whole, run = recipe('whole'), recipe('run')
    for cfg, killed in ((whole, ()), (run, (3, 5))):
        for iteration in killed:
            assert train(cfg, '--resume', prepare=die_after(iteration)) == -signal.SIGKILL, log(cfg)
        assert train(cfg, '--resume') == 0, log(cfg)
    one, two = (torch.load(Path(cfg.work_dir) / 'iter_6.pth', map_location='cpu') for cfg in (whole, run))
    assert one['state_dict'].keys() == two['state_dict'].keys()
    assert all(torch.equal(value, two['state_dict'][key]) for key, value in one['state_dict'].items())
    assert one['exact_resume']['sampler']['plan']['ratios'] == dict(ScanNet=2, S3DIS=1)
    assert 'not as it would have' not in log(run)


def log(cfg):
    return (Path(cfg.work_dir) / 'output.log').read_text()[-3000:]
