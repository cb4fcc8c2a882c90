# PointContrast with PointInfoNCE at the same settings.
_base_ = ['./spunet_1xb4-p8-rooms_scannet-pairs.py']
model = dict(head=dict(loss=dict(_delete_=True, type='PointInfoNCELoss', temperature=0.1)))
