"""mmdet3d's ``Seg3DDataset`` fails on its own default ``metainfo=None`` and writes into the dict a caller gives it."""
import copy
import functools
import inspect


def mend() -> None:
    """Hand the constructor a copy of ``metainfo``, with all classes of the dataset where it names none."""
    from mmdet3d.datasets import Seg3DDataset
    original = Seg3DDataset.__init__
    if hasattr(original, 'copies_metainfo'):
        return
    signature = inspect.signature(original)

    @functools.wraps(original)
    def __init__(self, *args, **kwargs) -> None:
        call = signature.bind(self, *args, **kwargs)
        metainfo = copy.deepcopy(call.arguments.get('metainfo')) or {}
        metainfo.setdefault('classes', self.METAINFO['classes'])
        call.arguments['metainfo'] = metainfo
        original(*call.args, **call.kwargs)

    __init__.copies_metainfo = True
    Seg3DDataset.__init__ = __init__
