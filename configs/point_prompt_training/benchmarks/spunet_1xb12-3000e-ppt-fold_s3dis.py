# One fold of S3DIS: tested on area PRETRAIN3D_S3DIS_AREA, trained on the other five (s3dis_six_fold.yaml runs all).
# PRETRAIN3D_CHECKPOINT must name a joint model that has not seen the area either.
# Counts of the test go to PRETRAIN3D_FOLDS/area<k>.json, from which tools/analysis/s3dis_six_fold.py reckons.
_base_ = ['spunet_1xb12-3000e-ppt_s3dis.py']
area = int('{{$PRETRAIN3D_S3DIS_AREA:5}}')
folder = '{{$PRETRAIN3D_FOLDS:work_dirs/s3dis_six_fold}}'
train_dataloader = dict(dataset=dict(areas=[k for k in range(1, 7) if k != area]))
val_dataloader = dict(dataset=dict(areas=[area]))
test_dataloader = val_dataloader
test_evaluator = dict(dump=f'{folder}/area{area}.json')
