# Tests a joint model of ../spunet_8xb3-120k_indoor.py on all its data sets with augmentation and fragments:
#   python tools/test.py configs/point_prompt_training/benchmarks/spunet_8xb3-120k-voting_indoor.py CHECKPOINT
# A hook and not --tta, which knows one pipeline for one data set. The thirteen of ScanNet for all.
_base_ = ['../spunet_8xb3-120k_indoor.py']
voting = dict(type='FragmentVoting', augmentations='indoor', vector_columns=[6, 7, 8])
custom_hooks = _base_.custom_hooks + [dict(type='PrepareTTAHook', tta_cfg=voting)]
