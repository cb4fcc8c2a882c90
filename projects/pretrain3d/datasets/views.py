"""Several views of one sample."""
import copy
from typing import Dict, List

import numpy as np
from mmcv.transforms import BaseTransform, Compose

from mmdet3d.registry import TRANSFORMS

WORLD_KEY = 'xyz_world'


@TRANSFORMS.register_module()
class MakeViews(BaseTransform):
    """Run one pipeline per view on copies of the sample, as contrastive and masked methods need.

    The sample itself stays as it was; ``PackPretrain3DInputs`` packs what it finds under ``views``. With
    ``AddPointIndex`` before this transform, all views number the same original points, so a point's partner in the
    other view is the one with the same number.

    Added Keys:

    - views (dict[str, dict]): results of every view

    Args:
        views (dict[str, list[dict]]): Name of the view -> its pipeline.
    """

    def __init__(self, views: Dict[str, List[dict]]) -> None:
        if 'points' in views:
            raise ValueError("a view cannot be called 'points': that is the name of the sample's own points")
        # Built here, because Compose looks into mmcv's registry where no default scope is set.
        self.views = {name: Compose([TRANSFORMS.build(step) if isinstance(step, dict) else step for step in pipeline])
                      for name, pipeline in views.items()}

    def transform(self, results: dict) -> dict:
        """Make the views; ``None`` (draw another sample) if one of the pipelines gives up."""
        shared = results.pop('dataset', None)  # a whole dataset is not to be copied
        made = {}
        for name, pipeline in self.views.items():
            made[name] = pipeline(copy.deepcopy(results))
            if made[name] is None:
                return None
        if shared is not None:
            results['dataset'] = shared
        results['views'] = made
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(views={self.views})'


@TRANSFORMS.register_module()
class KeepWorldCoordinates(BaseTransform):
    """Remember where the points are now; place it beside ``AddPointIndex``, before anything that moves points.

    Required Keys:

    - points (BasePoints)

    Added Keys:

    - xyz_world (np.ndarray): (n, 3) float32
    """

    def transform(self, results: dict) -> dict:
        """Copy the coordinates."""
        results[WORLD_KEY] = results['points'].tensor[:, :3].numpy().astype(np.float32, copy=True)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
