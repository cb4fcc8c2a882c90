# Naive joint training: batch norms and their statistics are those of all data sets, each has a classifier.
_base_ = ['spunet_8xb3-decoupled-120k_indoor.py']
model = dict(backbone=dict(adapter='none'))
