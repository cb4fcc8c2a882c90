# CenterPoint on drawn streets on a CPU: 300 steps of 4 single sweeps. PRETRAIN3D_NUSCENES names the world
# (tools/make_world.py street, tools/data/nuscenes.py and nuscenes_extras.py after it). PRETRAIN3D_SCENES=12.5% trains
# on 1 of its 8 scenes, of which PRETRAIN3D_SCENE_SEED draws another.
_base_ = [
    '../_base_/models/centerpoint_street.py', '../_base_/datasets/street_det.py', '../_base_/schedules/street_det.py',
    '../_base_/default_runtime.py'
]
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(by_epoch=False, interval=_base_.max_iters))
log_processor = dict(window_size=20, by_epoch=False)
