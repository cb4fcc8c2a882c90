"""Test-time augmentation by voting over fragments, in bounded memory."""
from typing import Any, Dict, List, Optional, Sequence, Union

import torch
from mmengine.model import BaseTTAModel
from torch import Tensor, nn

from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample, PointData
from mmdet3d.structures.det3d_data_sample import SampleList
from pretrain3d.ops.fragments import PRESETS, Augmentation, vote
from pretrain3d.ops.grid import world_to_voxel
from pretrain3d.ops.voxelize import unique_voxels, vote_labels


@MODELS.register_module()
class FragmentVoting(BaseTTAModel):
    """Test a segmentor on every point itself, under several augmentations, and let their softmax scores vote.

    For ``tools/test.py --tta``, with the ordinary test pipeline::

        tta_model = dict(type='FragmentVoting', vector_columns=[6, 7, 8])
        tta_pipeline = test_pipeline

    or, where the data set has parts with pipelines of their own, for every test of a recipe::

        custom_hooks = [dict(type='PrepareTTAHook', tta_cfg=dict(type='FragmentVoting', vector_columns=[6, 7, 8]))]

    mmdet3d's ``Seg3DTTAModel`` behind ``TestTimeAug`` gets all augmented clouds from the data loader at once and keeps
    the logits of all until they are merged, so memory grows with the number of augmentations, and it has no fragments.
    Here augmentations and fragments are made on the model's device, one after the other (``ops/fragments.py``).

    Predictions are those of ``VoxelSegmentor``: ``pts_semantic_mask`` (n,), ``num_classes`` for a point that the
    network never saw, and for scores on voxels ``voxel_semantic_mask``, the majority of the points of each voxel of the
    cloud as it came, and ``point2voxel``.

    Args:
        module: the segmentor, whose ``predict`` gives the logits of every point: ``VoxelSegmentor`` and
            ``DomainSegmentor``, whatever their ``keep_logits``, or one of mmdet3d's. ``--tta`` and the hook fill it in.
        augmentations: 'indoor' (rotations by 0, 90, 180, 270 degrees x scales 1, 0.95, 1.05, and a flip of both axes),
            's3dis' (five scales x flip), 'none', or a list of ``dict(angle=degrees, scale=factor, flip='x'|'y'|'xy')``.
        vector_columns: columns of the points that hold a direction and turn along, the normals; None: there are none.
        fragments_per_batch: how many fragments go through the network at once; memory grows with it, results do not
            change.
        voxel_size: metres, one number or three; None: that of the segmentor's ``Pretrain3DDataPreprocessor``.
        data_preprocessor: mmengine's.
    """

    def __init__(self, module: Union[Dict, nn.Module], augmentations: Union[str, Sequence[Dict]] = 'indoor',
                 vector_columns: Optional[Sequence[int]] = None, fragments_per_batch: int = 1,
                 voxel_size: Union[float, Sequence[float], None] = None,
                 data_preprocessor: Optional[Dict] = None) -> None:
        super().__init__(module, data_preprocessor)
        preprocessor = self.module.data_preprocessor
        self.voxel_size = voxel_size or getattr(preprocessor, 'voxel_size', None)
        if self.voxel_size is None:
            raise ValueError('FragmentVoting does not know the size of the voxels: set voxel_size in the '
                             'Pretrain3DDataPreprocessor of the model, or of FragmentVoting')
        if hasattr(self.module, 'keep_logits'):
            self.module.keep_logits = True  # of a fragment; those of whole scans are not kept
        if fragments_per_batch < 1:
            raise ValueError(f'fragments_per_batch of FragmentVoting must be at least 1, got {fragments_per_batch}')
        if vector_columns is not None and len(vector_columns) != 3:
            raise ValueError(f'vector_columns of FragmentVoting must be three columns, got {list(vector_columns)}')
        self.augmentations = _augmentations(augmentations)
        self.vector_columns = vector_columns
        self.fragments_per_batch = fragments_per_batch
        self.point_cloud_range = getattr(preprocessor, 'point_cloud_range', None)

    @torch.no_grad()
    def test_step(self, data: Dict[str, Any]) -> SampleList:
        """Predict the samples of a batch of the data loader, one sample after the other."""
        inputs = data['inputs']
        if not isinstance(inputs, dict) or any(isinstance(cloud, (list, tuple)) for cloud in inputs.get('points', ())):
            raise ValueError('FragmentVoting makes the augmentations itself: set tta_pipeline = test_pipeline, without '
                             'TestTimeAug')
        others = sorted(set(inputs) - {'points'})
        if others:
            raise ValueError(f'FragmentVoting can augment points, but inputs also hold {others}: pack the points alone')
        samples = self.module.data_preprocessor.cast_data(data['data_samples'])
        for cloud, sample in zip(inputs['points'], samples):
            self._predict_sample(self.module.data_preprocessor.cast_data(cloud), sample)
        return samples

    def merge_preds(self, data_samples_list: Any) -> SampleList:
        """Never called: what mmengine would merge here is never kept."""
        raise NotImplementedError('FragmentVoting sums scores as they come; call test_step')

    def _predict_sample(self, cloud: Tensor, sample: Det3DDataSample) -> None:
        """Write ``pred_pts_seg`` of one sample."""
        origin = 0. if self.point_cloud_range is None else list(self.point_cloud_range[:3])
        scores = vote(cloud, lambda clouds: self._scores(clouds, sample), self.voxel_size, self.augmentations, origin,
                      self.fragments_per_batch, self.vector_columns)
        if scores is None:
            empty = torch.zeros(0, dtype=torch.int64, device=cloud.device)
            sample.pred_pts_seg = PointData(pts_semantic_mask=empty, voxel_semantic_mask=empty, point2voxel=empty)
            return
        num_classes = scores.shape[1]
        best, classes = scores.max(1)
        classes[best <= 0] = num_classes
        cells = world_to_voxel(cloud[:, :3], self.voxel_size, origin)
        rows = torch.full_like(classes, -1)
        inside = self._inside(cells)
        voxels, rows[inside], _ = unique_voxels(cells[inside])
        sample.pred_pts_seg = PointData(
            pts_semantic_mask=classes, point2voxel=rows,
            voxel_semantic_mask=vote_labels(classes[inside], rows[inside], len(voxels), num_classes, num_classes))

    def _inside(self, cells: Tensor) -> Tensor:
        """Which points (n,) of the cloud as it came belong to a voxel."""
        if self.point_cloud_range is None:
            return cells.new_ones(len(cells), dtype=torch.bool)
        size = torch.tensor(self.voxel_size, dtype=torch.float64).expand(3)
        low, high = torch.tensor(self.point_cloud_range, dtype=torch.float64).view(2, 3)
        extent = ((high - low) / size).round().int().to(cells.device)
        return ((cells >= 0) & (cells < extent)).all(1)

    def _scores(self, clouds: List[Tensor], sample: Det3DDataSample) -> List[Tensor]:
        """Softmax (m, K) of every point of some fragments of a sample, zeros where the network saw nothing."""
        # Of the sample's own data only what says whose it is: labels would not fit the fragment's points.
        copies = [Det3DDataSample(metainfo=sample.metainfo) for _ in clouds]
        scores = []
        for found in self.module.test_step(dict(inputs=dict(points=clouds), data_samples=copies)):
            if 'pts_seg_logits' not in found:
                raise KeyError(f'{type(self.module).__name__} predicts no pts_seg_logits, which FragmentVoting sums')
            softmax = found.pts_seg_logits.pts_seg_logits.float().softmax(0).T
            if 'point2voxel' in found.pred_pts_seg:
                softmax = softmax * (found.pred_pts_seg.point2voxel >= 0)[:, None]
            scores.append(softmax)
        return scores


def _augmentations(given: Union[str, Sequence[Dict]]) -> Sequence[Augmentation]:
    """The augmentations of a preset or a list of dicts."""
    if isinstance(given, str):
        if given not in PRESETS:
            raise ValueError(f'augmentations of FragmentVoting must be among {sorted(PRESETS)} or a list, got '
                             f'{given!r}')
        return PRESETS[given]
    if not given:
        raise ValueError("FragmentVoting needs at least one augmentation; 'none' leaves the cloud as it is")
    return tuple(Augmentation(**each) for each in given)
