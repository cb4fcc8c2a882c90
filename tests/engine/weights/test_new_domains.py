"""Joint weights into models with domains that they have not: sameness, the mixture's formula, a step, refusals."""
import copy
import sys
from pathlib import Path

import pytest
import torch
from weights_models import OneStep, runner_for

import pretrain3d  # noqa: F401
from pretrain3d.backbones.prompts import add_domain, convert
from pretrain3d.engine.weights import WeightsError, load_weights

sys.path.append(str(Path(__file__).parents[2] / 'backbones'))
from prompt_scenes import build, scatter_prompts, scene  # noqa: E402

OLD = ('ScanNet', 'Structured3D')


def prompted(names, seed=0, **kwargs):
    """A narrow SpUNet with differing domains, as a part of a segmentor."""
    torch.manual_seed(seed)
    backbone = scatter_prompts(convert(build('SpUNet', seed=seed), names, channels=8, **kwargs), seed)
    for key, tensor in backbone.state_dict().items():
        if '.statistics.' in key and key.endswith('num_batches_tracked'):
            tensor.fill_(5 + len(key.split('.statistics.')[1]))
    return torch.nn.ModuleDict(dict(backbone=backbone, decode_head=torch.nn.Linear(6, 2))).eval()


@pytest.fixture(params=[dict(), dict(shared_prompt=False), dict(adapter='injection'), dict(scope='decoder')],
                ids=['norm', 'own prompts', 'injection', 'decoder'])
def joint(request, tmp_path):
    """(model, its checkpoint, the options of the conversion)"""
    model = prompted(OLD, **request.param)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'joint.pth')
    return model, str(tmp_path / 'joint.pth'), request.param


def load(model, checkpoint, like='mean', **kwargs):
    return load_weights(model, checkpoint, **{
        **dict(source='backbone', target='backbone', min_matched=1., new_domains=dict(S3DIS=like)), **kwargs})


def run(model, domain):
    with torch.no_grad():
        return model.backbone(dict(scene(), domains=domain))


def test_a_named_domain_gives_the_new_one_all_that_it_is(joint):
    model, checkpoint, options = joint
    for like in OLD:
        tuned = prompted(['S3DIS'], seed=3, **options)
        report = load(tuned, checkpoint, like)
        assert report.fraction == 1 and not report.missing and not report.mismatched
        assert torch.equal(run(tuned, 'S3DIS'), run(model, like))
        other = run(model, OLD[1 - OLD.index(like)])
        assert not torch.allclose(run(tuned, 'S3DIS'), other, rtol=1e-2)
        assert f'S3DIS, made from {like}: prompts.vectors.S3DIS' in report.table()


def test_the_mean_is_of_an_equal_mixture(joint):
    """Of the prompts; of the statistics, what they would be over as many rows of each. The rest is untouched."""
    model, checkpoint, options = joint
    tuned = prompted(['S3DIS'], seed=3, **options)
    report = load(tuned, checkpoint)
    given, found = model.state_dict(), tuned.state_dict()
    made = {key for key in found if '.S3DIS' in key}
    for key in found:
        first, second = (given.get(key.replace('S3DIS', name)) for name in OLD)
        if key.endswith('running_var'):
            means = [given[key.replace('S3DIS', name).replace('running_var', 'running_mean')] for name in OLD]
            total = (first + second) / 2 + (means[0] - means[1]).square() / 4
            assert torch.allclose(found[key], total)
        elif key.endswith('num_batches_tracked') and key in made:
            assert found[key] == max(first, second) != min(first, second)
        elif key in made:
            assert torch.allclose(found[key], (first + second) / 2, atol=1e-6) and not torch.equal(first, second)
        elif key.startswith('backbone'):
            assert torch.equal(found[key], first)
    weights = [key[len('backbone.'):] for key in made if not key.endswith('num_batches_tracked')]
    assert {key for keys in report.made.values() for key in keys} == set(weights)
    row = f'new domain {len(weights):>5}  of those matched, S3DIS, made from the mean of ScanNet, Structured3D: prompts'
    assert row in report.table()
    assert not torch.equal(found['decode_head.weight'], given['decode_head.weight'])


@pytest.mark.parametrize('like', ['ScanNet', 'mean', ['Structured3D', 'ScanNet']])
def test_it_is_what_add_domain_does_to_the_model(tmp_path, like):
    """And the old domains stay beside the new one, where the model has them."""
    model = prompted(OLD)
    torch.save(model.state_dict(), tmp_path / 'joint.pth')
    tuned = prompted(['S3DIS', *OLD], seed=3)
    report = load(tuned, str(tmp_path / 'joint.pth'), like, source='', target='')
    assert report.fraction == 1 and not report.unexpected
    add_domain(model, 'S3DIS', like=like)
    wanted, found = model.state_dict(), tuned.state_dict()
    assert wanted.keys() == found.keys() and all(torch.equal(found[key], wanted[key]) for key in wanted)
    for name in ('S3DIS', *OLD):
        assert torch.equal(run(tuned, name), run(model, name))


def test_several_new_domains(tmp_path):
    torch.save(prompted(OLD).state_dict(), tmp_path / 'joint.pth')
    tuned = prompted(['S3DIS', 'Mine'], seed=3)
    report = load(tuned, str(tmp_path / 'joint.pth'), new_domains=dict(S3DIS='ScanNet', Mine='mean'))
    assert list(report.made) == ['S3DIS, made from ScanNet', 'Mine, made from the mean of ScanNet, Structured3D']
    sizes = {len(keys) for keys in report.made.values()}
    assert len(sizes) == 1 and report.fraction == 1
    assert not torch.allclose(run(tuned, 'S3DIS'), run(tuned, 'Mine'), rtol=1e-2)


def test_norms_without_statistics(tmp_path):
    """Their evaluation is by the batch as well; only the prompt is made."""
    models = []
    for names in (OLD, ['S3DIS']):
        plain = build('SpUNet')
        for module in plain.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.track_running_stats, module.num_batches_tracked = False, None
                module.running_mean = module.running_var = None
        models.append(torch.nn.ModuleDict(dict(backbone=convert(plain, names, channels=8))))
    torch.save(scatter_prompts(models[0]).state_dict(), tmp_path / 'joint.pth')
    report = load(models[1], str(tmp_path / 'joint.pth'), 'ScanNet')
    assert [keys for keys in report.made.values()] == [['prompts.vectors.S3DIS']] and report.fraction == 1
    add_domain(models[0], 'S3DIS', like='ScanNet')
    assert torch.equal(run(models[1], 'S3DIS'), run(models[0], 'S3DIS'))


def test_what_cannot_be_made_is_told_and_changes_nothing(tmp_path):
    torch.save(prompted(OLD).state_dict(), tmp_path / 'joint.pth')
    torch.save(torch.nn.ModuleDict(dict(backbone=build('SpUNet'))).state_dict(), tmp_path / 'plain.pth')
    tuned = prompted(['S3DIS'], seed=3)
    before = copy.deepcopy(tuned.state_dict())
    for wanted, options in (
            ("makes 'S3DIS' from 'ScanNte'; the checkpoint has ScanNet, Structured3D", dict(like='ScanNte')),
            ("makes 'S3DIS' from 'Waymo'", dict(like=['ScanNet', 'Waymo'])), ("from 'nothing'", dict(like=[])),
            ("names 'ScanNet', which the checkpoint has", dict(new_domains=dict(ScanNet='mean'))),
            ("names 'S3DSI', but the model has S3DIS", dict(new_domains=dict(S3DSI='mean'))),
            ('give one', dict(domain='ScanNet')), ('0 sets of domain prompts', dict(source='decode_head')),
            ("nothing of the domain S3DIS: new_domains={'S3DIS': 'mean'}", dict(new_domains=None))):
        with pytest.raises(WeightsError, match=wanted):
            load(tuned, str(tmp_path / 'joint.pth'), **options)
    with pytest.raises(WeightsError, match='0 sets of domain prompts'):
        load(tuned, str(tmp_path / 'plain.pth'))
    plain = torch.nn.ModuleDict(dict(backbone=build('SpUNet')))
    with pytest.raises(WeightsError, match='the model has no prompts'):
        load(plain, str(tmp_path / 'joint.pth'))
    assert all(torch.equal(value, before[key]) for key, value in tuned.state_dict().items())


def test_the_hook_in_a_run(tmp_path):
    """A real loop: the table in its log, the new domain's weights before the first step, and then moved by it."""
    model = prompted(OLD)
    torch.save(model.state_dict(), tmp_path / 'joint.pth')
    hook = dict(type='WeightTransferHook', checkpoint=str(tmp_path / 'joint.pth'), source='backbone', target='part',
                min_matched=1., new_domains=dict(S3DIS='mean'))
    network = dict(type='SpUNet', in_channels=3, base_channels=4, encoder_channels=[6, 8], encoder_blocks=[1, 2],
                   decoder_channels=[8, 6], decoder_blocks=[1, 1])
    part = dict(type='PromptedBackbone', backbone=network, domains=['S3DIS'], channels=8)
    weights = []
    for iters in (0, 1):
        runner = runner_for(OneStep(part), tmp_path / str(iters), [hook], iters=iters)
        runner.train()
        weights.append(runner.model.part.state_dict())
        with open(runner.logger.handlers[-1].baseFilename) as log:
            assert 'S3DIS, made from the mean of ScanNet, Structured3D' in log.read()
    start = torch.stack([model.backbone.prompts.vectors[name] for name in OLD]).mean(0)
    assert torch.equal(weights[0]['prompts.vectors.S3DIS'], start)
    assert not torch.equal(weights[1]['prompts.vectors.S3DIS'], start)
