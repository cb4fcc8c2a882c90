# PointNet++ for VoteNet (the paper's Table 14): 20,000 points a frame without colours, 15 k steps, as the name of the
# released checkpoint says (its script: 100 k). The encoder is that of mmdet3d's votenet_8xb8_scannet-3d.py, which reads
# heights beside positions; the released one reads positions alone.
_base_ = ['./srunet_8xb4-p8-60k_scannet-pairs.py']
model = dict(
    data_preprocessor=dict(feature_dims=[0, 1, 2]),
    backbone=dict(
        _delete_=True, type='SparsePointNet2', in_channels=4, with_height=True, num_sampled=20000,
        num_points=(2048, 1024, 512, 256), num_samples=(64, 32, 16, 16)),
    head=dict(in_channels=128))
train_cfg = dict(max_iters=15000)
