"""Augmentation of colours, all in 0 ... 255 and before ``NormalizePointsColor``."""
from typing import Optional

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmdet3d.registry import TRANSFORMS

from ..point_index import sample_name
from .columns import attribute, set_attribute


class _ColorTransform(BaseTransform):
    """Applies :meth:`recolor` with probability ``prob``."""

    def __init__(self, prob: float) -> None:
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Recolour the points; an empty cloud stays.

        Raises:
            ValueError: The points have no colour.
        """
        points = results['points']
        if np.random.rand() >= self.prob or not len(points):
            return results
        color = attribute(points, 'color')
        if color is None:
            raise ValueError(f'{sample_name(results)}: {type(self).__name__} needs colours, and the points name no '
                             'color columns: load them (use_color=True or NamePointColumns)')
        set_attribute(points, 'color', self.recolor(color))
        return results

    def recolor(self, color: torch.Tensor) -> torch.Tensor:
        """New colours (N, 3) for ``color`` (N, 3)."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f'{type(self).__name__}({", ".join(f"{key}={value}" for key, value in vars(self).items())})'


@TRANSFORMS.register_module()
class ChromaticAutoContrast(_ColorTransform):
    """Stretch each channel to 0 ... 255 and blend with the colours as they were.

    c becomes (1 - b) c + b (c - lo) 255 / (hi - lo). A channel of one value stays.

    Required Keys:

    - points (BasePoints): with a ``color`` attribute, 0 ... 255

    Modified Keys:

    - points (BasePoints): colours

    Args:
        prob (float): Defaults to 0.2.
        blend (float, optional): b. Defaults to None: drawn from [0, 1).
    """

    def __init__(self, prob: float = 0.2, blend: Optional[float] = None) -> None:
        super().__init__(prob)
        self.blend = blend

    def recolor(self, color: torch.Tensor) -> torch.Tensor:
        """Stretch and blend."""
        blend = np.random.rand() if self.blend is None else self.blend
        low, high = color.amin(0), color.amax(0)
        stretched = (color - low) * (255. / (high - low).clamp(min=1e-6))
        return torch.where(high > low, (1 - blend) * color + blend * stretched, color)


@TRANSFORMS.register_module()
class ChromaticTranslation(_ColorTransform):
    """Add one random colour to all points, clipped to 0 ... 255.

    Required Keys:

    - points (BasePoints): with a ``color`` attribute, 0 ... 255

    Modified Keys:

    - points (BasePoints): colours

    Args:
        prob (float): Defaults to 0.95.
        ratio (float): The shift of each channel is drawn from ±255 ratio. Defaults to 0.05.
    """

    def __init__(self, prob: float = 0.95, ratio: float = 0.05) -> None:
        super().__init__(prob)
        self.ratio = ratio

    def recolor(self, color: torch.Tensor) -> torch.Tensor:
        """Shift."""
        shift = (np.random.rand(3) - 0.5) * 2 * 255 * self.ratio
        return (color + torch.from_numpy(shift).float()).clamp(0, 255)


@TRANSFORMS.register_module()
class ChromaticJitter(_ColorTransform):
    """Add normal noise to every point's colour, clipped to 0 ... 255.

    Required Keys:

    - points (BasePoints): with a ``color`` attribute, 0 ... 255

    Modified Keys:

    - points (BasePoints): colours

    Args:
        prob (float): Defaults to 0.95.
        std (float): Deviation as a share of 255. Defaults to 0.05.
    """

    def __init__(self, prob: float = 0.95, std: float = 0.05) -> None:
        super().__init__(prob)
        self.std = std

    def recolor(self, color: torch.Tensor) -> torch.Tensor:
        """Add noise."""
        noise = np.random.standard_normal(tuple(color.shape)) * (255 * self.std)
        return (color + torch.from_numpy(noise).float()).clamp(0, 255)
