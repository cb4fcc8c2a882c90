# What every run of ours adds to mmdet3d's runtime. mmdet3d's own train.py and test.py run it.
_base_ = ['mmdet3d::_base_/default_runtime.py']

custom_imports = dict(imports=['pretrain3d'])

# A fixed seed: two runs of one config draw the same samples.
randomness = dict(seed=0)

# The hooks of mmdet3d's runtime with a line every 50 steps that tells the time left, and the last checkpoint kept: it is
# what gets reported, and where a killed run goes on exactly (docs/resume.md). The one before it is there in case a disk
# damages the last. A sample that cannot be read ends the run with its file's name (on_bad_sample='skip' trains without
# it), a NaN or infinite loss gives no update (docs/robustness.md).
default_hooks = dict(
    bad_samples=dict(type='BadSampleHook', on_bad_sample='raise'),
    finite_loss=dict(type='FiniteLossHook', max_in_a_row=10),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    checkpoint=dict(type='ResumableCheckpointHook', interval=1, max_keep_ckpts=2))

# Bad input and config keys that nobody reads stop a run before it starts. A config with hooks of its own repeats these
# two: lists are replaced, not merged.
custom_hooks = [dict(type='ConfigCheckHook'), dict(type='InputCheckHook')]

# `tensorboard --logdir work_dirs` shows the curves; scalars.json beside them holds the same numbers.
visualizer = dict(
    type='Det3DLocalVisualizer',
    name='visualizer',
    vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])
