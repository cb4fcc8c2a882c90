"""``WeightTransferHook`` in real runs."""
import copy
import re

import pytest
import torch
from test_transfer import assert_same
from weights_models import ENCODER, OneStep, centerpoint_config, runner_for

from mmdet3d.registry import MODELS
from pretrain3d.engine.weights import WeightsError, load_weights


def transfer(checkpoint, target='part', **options):
    return dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target=target, **options)


def log_of(runner):
    with open(runner.logger.handlers[-1].baseFilename) as log:
        return log.read()


def test_centerpoint_starts_from_every_kernel(pretext, checkpoint, tmp_path):
    runner = runner_for(centerpoint_config(), tmp_path, [transfer(checkpoint, 'pts_middle_encoder')])
    assert not torch.equal(runner.model.pts_middle_encoder.conv_input[0].weight, pretext.backbone.conv_input[0].weight)
    runner.train()
    assert assert_same(runner.model.pts_middle_encoder, pretext.backbone) == 21
    assert re.search(r'105 of 105 tensors \(100\.0 %, at least 95\.0 % wanted\)', log_of(runner))


@pytest.mark.parametrize('source, found', [('head', r'0 of 105 tensors \(0\.0 %'), ('backbone', r'53 of 105 ten')])
def test_too_few_stop_the_run(pretext, tmp_path, source, found):
    state = pretext.state_dict()
    weights = [key for key in state if not key.endswith('num_batches_tracked') and not key.startswith('head')]
    path = str(tmp_path / 'half.pth')
    torch.save({key: state[key] for key in weights[::2] + ['head.weight']}, path)
    runner = runner_for(centerpoint_config(), tmp_path, [dict(transfer(path, 'pts_middle_encoder'), source=source)])
    with pytest.raises(WeightsError, match=found):
        runner.train()


def test_resumed_runs_keep_their_own_weights(pretext, checkpoint, tmp_path):
    hook = transfer(checkpoint)
    first = runner_for(OneStep(ENCODER), tmp_path, [hook], iters=1)
    first.train()
    trained = copy.deepcopy(first.model.part)
    assert not torch.equal(trained.conv_input[0].weight, pretext.backbone.conv_input[0].weight)
    resumed = runner_for(OneStep(ENCODER), tmp_path, [dict(hook, checkpoint='gone.pth')], iters=1, resume=True)
    resumed.train()
    assert assert_same(resumed.model.part, trained) == 21
    assert 'weights of gone.pth are not loaded again' in log_of(resumed)


def test_checkpoint_of_a_real_run(tmp_path):
    """What a run saves (log history, schedulers, optimiser, average) is read as data, and its average by name."""
    scheduler = dict(type='OneCycleLR', eta_max=.1, total_steps=4, by_epoch=False)
    first = runner_for(OneStep(ENCODER), tmp_path, [dict(type='EMAHook', momentum=.5)], iters=2,
                       param_scheduler=[scheduler])
    first.train()
    path = str(tmp_path / 'iter_2.pth')
    average = next(hook.ema_model for hook in first.hooks if type(hook).__name__ == 'EMAHook').module.part
    for state_key, prefix, expected in ((None, 'part', average), ('ema_state_dict', 'part', first.model.part)):
        model = OneStep(ENCODER)  # mmengine saves the average as state_dict, the trained weights as ema_state_dict
        load_weights(model, path, source=prefix, target='part', state_key=state_key)
        assert_same(model.part, expected)


def test_resume_with_nothing_to_resume_from_is_a_fresh_start(pretext, checkpoint, tmp_path):
    runner = runner_for(OneStep(ENCODER), tmp_path / 'new', [transfer(checkpoint)], resume=True)
    runner.train()
    assert_same(runner.model.part, pretext.backbone)


def test_it_comes_after_load_from(pretext, checkpoint, tmp_path):
    other = OneStep(ENCODER)
    path = str(tmp_path / 'whole.pth')
    torch.save(other.state_dict(), path)
    runner = runner_for(OneStep(ENCODER), tmp_path, [transfer(checkpoint)], load_from=path)
    runner.train()
    assert_same(runner.model.part, pretext.backbone)


def test_never_in_test(tmp_path):
    model = OneStep(ENCODER)
    model.forward = lambda inputs, data_samples=None, mode='predict': [0]
    runner = runner_for(
        model, tmp_path, [transfer('gone.pth')], test_cfg=dict(), test_evaluator=dict(type='EmptyMetric'),
        test_dataloader=dict(dataset=[torch.zeros(1)], batch_size=1, num_workers=0,
                             sampler=dict(type='DefaultSampler', shuffle=False),
                             collate_fn=lambda batch: dict(inputs=batch)))
    runner.test()


def test_average_starts_from_the_same_weights(pretext, checkpoint, tmp_path):
    for order in (1, -1):
        hooks = [transfer(checkpoint), dict(type='EMAHook')][::order]
        runner = runner_for(OneStep(ENCODER), tmp_path, hooks)
        runner.train()
        average = next(hook.ema_model for hook in runner.hooks if type(hook).__name__ == 'EMAHook')
        assert_same(average.module.part, pretext.backbone)
        assert_same(average.module, runner.model)


def test_wrapped_model(pretext, checkpoint, tmp_path):
    """In a distributed run the model sits inside a wrapper; one gloo process is enough for that."""
    from mmengine.model import MMDistributedDataParallel
    torch.distributed.init_process_group('gloo', store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        runner = runner_for(OneStep(ENCODER), tmp_path, [transfer(checkpoint)])
        runner.model = MMDistributedDataParallel(OneStep(ENCODER))
        runner.call_hook('before_train')
        assert_same(runner.model.module.part, pretext.backbone)
    finally:
        torch.distributed.destroy_process_group()


def test_minkunet_with_another_name(tmp_path):
    cfg = dict(type='MinkUNetBackbone', in_channels=4, num_stages=2, base_channels=4, encoder_channels=[4, 8],
               encoder_blocks=[1, 1], decoder_channels=[8, 4], decoder_blocks=[1, 1], block_type='residual',
               sparseconv_backend='spconv')
    source, path = MODELS.build(copy.deepcopy(cfg)), str(tmp_path / 'minkunet.pth')
    torch.save(dict(state_dict=torch.nn.ModuleDict(dict(net=source)).state_dict()), path)
    hook = dict(type='WeightTransferHook', checkpoint=path, source='net', target='part')
    runner = runner_for(OneStep(cfg), tmp_path, [hook])
    runner.train()
    assert assert_same(runner.model.part, source) == sum(tensor.dim() == 5 for tensor in source.parameters()) > 10
