# The same on colours and normals instead of coordinates and colours.
_base_ = ['./spunet_1xb12-3000e_s3dis.py']
model = dict(data_preprocessor=dict(feature_dims=[3, 4, 5, 6, 7, 8]))
