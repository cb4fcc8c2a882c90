# ScanNet200: the same scans and augmentation, 200 classes.
_base_ = ['./scannet20_seg.py']
prefix = dict(pts_semantic_mask='semantic_mask_200')
train_dataloader = dict(dataset=dict(type='ScanNet200Dataset', data_prefix=prefix))
val_dataloader = dict(dataset=dict(type='ScanNet200Dataset', data_prefix=prefix))
test_dataloader = dict(dataset=dict(type='ScanNet200Dataset', data_prefix=prefix))
