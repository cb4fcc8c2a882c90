"""Brightness, contrast, saturation and hue of a whole cloud."""
from typing import Tuple

import numpy as np
import torch

from mmdet3d.registry import TRANSFORMS

from .color import _ColorTransform

# Share of r, g, b in what the eye sees as brightness (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)


def luma(color: torch.Tensor) -> torch.Tensor:
    """Grey value (N, 1) of colours (N, 3), on their scale."""
    return (color * color.new_tensor(_LUMA)).sum(1, keepdim=True)


def shift_hue(color: torch.Tensor, shift: float) -> torch.Tensor:
    """Colours (N, 3) on any scale whose hue is turned by ``shift`` turns; largest and smallest channel stay.

    The inverse of hue, value and chroma is max(0, min(k, 4 - k, 1)) with k = (n + 6 h) mod 6 for n = 5, 3, 1.
    """
    value, chroma = color.amax(1), color.amax(1) - color.amin(1)
    r, g, b = color.unbind(1)
    step = torch.where(value == r, (g - b), torch.where(value == g, b - r, r - g)) / chroma.clamp(min=1e-12)
    sector = step + torch.where(value == r, 0., torch.where(value == g, 2., 4.))
    k = (color.new_tensor([5., 3., 1.]) + sector[:, None] + 6 * shift) % 6
    return value[:, None] - chroma[:, None] * torch.minimum(k, 4 - k).clamp(0, 1)


@TRANSFORMS.register_module()
class RandomColorJitter(_ColorTransform):
    """Change brightness, contrast, saturation and hue of all points, in a random order, clipped to 0 ... 255.

    With factors f drawn from [1 - amount, 1 + amount], at least 0: brightness is f c; contrast f c + (1 - f) times the
    mean grey value of the cloud; saturation f c + (1 - f) times the point's own grey value. Hue turns by a share of a
    full turn drawn from ±hue.

    Required Keys:

    - points (BasePoints): with a ``color`` attribute, 0 ... 255

    Modified Keys:

    - points (BasePoints): colours

    Args:
        brightness, contrast, saturation (float): Amounts, at least 0. Default to 0.4, 0.4, 0.2.
        hue (float): Largest turn, in [0, 0.5]. Defaults to 0.02.
        prob (float): Probability of each of the four on its own. Defaults to 0.8.
    """

    def __init__(self, brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.2, hue: float = 0.02,
                 prob: float = 0.8) -> None:
        super().__init__(prob=1.)
        if min(brightness, contrast, saturation, hue) < 0 or hue > 0.5 or not 0 <= prob <= 1:
            raise ValueError(f'RandomColorJitter: brightness={brightness}, contrast={contrast}, saturation={saturation}'
                             f', hue={hue}, prob={prob}; amounts must be at least 0, hue at most 0.5, prob in [0, 1]')
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue
        self.prob_each = prob

    def recolor(self, color: torch.Tensor) -> torch.Tensor:
        """Change the four, each by its own chance."""
        for step in np.random.permutation(4):
            name = ('brightness', 'contrast', 'saturation', 'hue')[step]
            # Drawn in any case: what the one draws does not depend on the other's chance.
            chance, amount = np.random.rand(), self._amount(name)
            if chance < self.prob_each:
                color = self.change(color, name, amount).clamp(0, 255)
        return color

    def _amount(self, name: str) -> float:
        """Factor, or turn of the hue."""
        low, high = self._range(name)
        return float(np.random.uniform(low, high))

    def _range(self, name: str) -> Tuple[float, float]:
        if name == 'hue':
            return -self.hue, self.hue
        amount = getattr(self, name)
        return max(0., 1 - amount), 1 + amount

    @staticmethod
    def change(color: torch.Tensor, name: str, amount: float) -> torch.Tensor:
        """Colours (N, 3) with one of the four changed, not clipped."""
        if name == 'hue':
            return shift_hue(color, amount)
        if name == 'brightness':
            return amount * color
        grey = luma(color) if name == 'saturation' else luma(color).mean()
        return amount * color + (1 - amount) * grey
