# Predicts scans without labels with a joint model: every .ply, .npy or .bin below PRETRAIN3D_SCANS (x, y, z in metres,
# z up, r, g, b in 0 ... 255, normals if there are any), as if from the data set PRETRAIN3D_DOMAIN, in its classes.
#   PRETRAIN3D_SCANS=my/scans PRETRAIN3D_DOMAIN=ScanNet python tools/test.py THIS CHECKPOINT
# Files go to PRETRAIN3D_PREDICTIONS. For ScanNet's benchmark, whose meshes have their normals from their faces:
#   --cfg-options test_evaluator.form=txt test_dataloader.dataset.suffixes="['_vh_clean_2.ply']"
# and form=ply for clouds in the colours of their classes. Add --tta for voting (test.py).
_base_ = ['../spunet_8xb3-120k_indoor.py']
domain = '{{$PRETRAIN3D_DOMAIN:ScanNet}}'
test_pipeline = [
    dict(type='LoadScan'),
    dict(type='FillNormals', policy='estimate'),
    dict(type='CenterShift'), dict(type='NormalizePointsColor', color_mean=None),
    dict(type='PackPretrain3DInputs', keys=['points'], domain=domain),
]
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ScanFolderDataset',
        data_root='{{$PRETRAIN3D_SCANS:data/scans}}',
        # The model says which domains it has where it does not have this one.
        label_space=_base_.spaces.get(domain, 'ScanNet20'),
        pipeline=test_pipeline))
test_evaluator = dict(
    _delete_=True, type='DumpSegmentation', out_dir='{{$PRETRAIN3D_PREDICTIONS:work_dirs/predictions}}')
tta_model = dict(type='FragmentVoting', vector_columns=[6, 7, 8])
tta_pipeline = test_pipeline
