# PointContrast with the hardest-contrastive loss at the same settings.
_base_ = ['./spunet_1xb4-p8-rooms_scannet-pairs.py']
model = dict(head=dict(distinct_queries=False, loss=dict(_delete_=True, type='HardestContrastiveLoss')))
