# Few scans, from scratch, with the settings of the released by_scenes.sh: one GPU, 5 k steps of 6 scans at 0.8.
# --cfg-options train_dataloader.dataset.limit_scenes=0.01 (0.05, 0.1, 0.2, or the path of an official list)
_base_ = ['./srunet_8xb6-scannet-scratch_scannet20.py']
train_cfg = dict(max_iters=5000, val_interval=5000)
optim_wrapper = dict(optimizer=dict(lr=0.8))
param_scheduler = [dict(type='PolyLR', power=0.9, end=5000, by_epoch=False)]
