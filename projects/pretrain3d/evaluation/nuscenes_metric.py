"""nuScenes' detection scores of a detector that may have found nothing."""
import contextlib
from typing import Any, Dict, Iterator

from mmdet3d.evaluation.metrics import NuScenesMetric
from mmdet3d.registry import METRICS


@METRICS.register_module()
class NuScenesDevkitMetric(NuScenesMetric):
    """mmdet3d's ``NuScenesMetric``, with the same arguments and scores; without a single box the scores are those of
    finding nothing, where nuscenes-devkit says "Invalid box type: None" and the training ends.

    The devkit scores whole splits; keyframes of a part are an error that says so.
    """

    def _evaluate_single(self, *args: Any, **kwargs: Any) -> Dict[str, float]:
        try:
            with _no_boxes_have_a_field_too():
                return super()._evaluate_single(*args, **kwargs)
        except AssertionError as error:
            if "doesn't match samples in predictions" not in str(error):
                raise
            raise ValueError(
                f'the tested keyframes are not those of the validation split of {self.version} in {self.data_root}, '
                f'and nuscenes-devkit scores whole splits: test without scenes, frames and indices, make '
                f'{self.ann_file} again if frames were left out of it, or use NuScenesInfoMetric, which scores from '
                'the info file alone') from error


@contextlib.contextmanager
def _no_boxes_have_a_field_too() -> Iterator[None]:
    """The devkit reads from a first box whether boxes are of detection or of tracking; without one they are neither."""
    from nuscenes.eval.common import loaders
    of_first_box = loaders._get_box_class_field

    def class_field(boxes: Any) -> str:
        return of_first_box(boxes) if any(boxes.boxes.values()) else 'detection_name'

    loaders._get_box_class_field = class_field
    try:
        yield
    finally:
        loaders._get_box_class_field = of_first_box
