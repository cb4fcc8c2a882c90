"""``numpy.long`` on numpy 1.24 to 1.26: mmdet3d 1.4.0's ``ObjectSample`` uses it and numpy 2 has it again."""
import warnings

import numpy as np


def mend() -> None:
    """Give numpy the name with numpy 2's meaning, the C ``long``, where it is missing."""
    with warnings.catch_warnings():  # asking numpy 1.2x for a removed name warns before it raises
        warnings.simplefilter('ignore')
        if not hasattr(np, 'long'):
            np.long = np.dtype('l').type
