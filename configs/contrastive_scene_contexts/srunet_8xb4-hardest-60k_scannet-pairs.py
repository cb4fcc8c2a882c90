# PointContrast with its hardest-contrastive loss: 1024 matches and 256 candidates a scene. Known to be unstable.
_base_ = ['./srunet_8xb4-p8-60k_scannet-pairs.py']
model = dict(
    head=dict(samples_per_scene=1024, distinct_queries=False, loss=dict(_delete_=True, type='HardestContrastiveLoss')))
