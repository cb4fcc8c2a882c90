# PointContrast with PointInfoNCE on the same pairs: one softmax over the keys of all scenes of a GPU, 1024 matches a
# scene (PointContrast: 4096 for 4 scenes). Its own run fed constants instead of colours and lowered the rate faster.
_base_ = ['./srunet_8xb4-p8-60k_scannet-pairs.py']
model = dict(head=dict(samples_per_scene=1024, loss=dict(_delete_=True, type='PointInfoNCELoss', temperature=0.4)))
