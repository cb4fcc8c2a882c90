# The same with ScanNet200's classes; the paper has no such numbers.
_base_ = ['./srunet_8xb6-scannet-scratch_scannet20.py']
model = dict(data_preprocessor=dict(num_classes=200), decode_head=dict(num_classes=200))
scannet200 = dict(type='ScanNet200Dataset', data_prefix=dict(pts_semantic_mask='semantic_mask_200'))
train_dataloader = dict(dataset=scannet200)
val_dataloader = dict(dataset=scannet200)
test_dataloader = dict(dataset=scannet200)
