# The same at 2 cm on colours and normals, the input of encoders that were pre-trained on several data sets; of a room
# 60 % of the points are kept, as when S3DIS is one of them.
_base_ = ['./spunet_1xb12-3000e_s3dis.py']
model = dict(data_preprocessor=dict(voxel_size=0.02, feature_dims=[3, 4, 5, 6, 7, 8]))
train_dataloader = dict(
    dataset=dict(
        pipeline=_base_.train_pipeline[:-5] + [
            dict(type='GridSamplePoints', voxel_size=0.02),
            dict(type='SphereCrop', fraction=0.6),
            dict(type='CenterShift', axes='xy', step=0.02),
        ] + _base_.pack_steps))
