# The four cells that the released scripts train in truth: above and below, nearer and farther than 50 cm.
_base_ = ['./srunet_8xb4-p8-60k_scannet-pairs.py']
model = dict(head=dict(loss=dict(preset='fast4')))
