# SpUNet on colours alone, as the encoders see that are pre-trained on RGB-D frames, which have no normals.
_base_ = ['./spunet_1xb12-800e_scannet20.py']
model = dict(data_preprocessor=dict(feature_dims=[3, 4, 5]), backbone=dict(in_channels=3))
