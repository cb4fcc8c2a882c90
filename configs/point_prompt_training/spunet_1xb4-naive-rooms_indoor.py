# The small recipe of naive joint training: batch norms of all data sets together, a classifier for each. With
# PRETRAIN3D_DOMAINS=ScanNet=1 it trains on one data set alone, for the same number of its batches.
_base_ = ['spunet_1xb4-decoupled-rooms_indoor.py']
model = dict(backbone=dict(adapter='none'))
