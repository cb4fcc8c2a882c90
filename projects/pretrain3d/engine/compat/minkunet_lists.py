"""mmdet3d's ``MinkUNetBackbone`` inserts into its default channel lists, so that a second default one fails."""
import functools
import inspect


def mend() -> None:
    """Hand the constructor copies of its list arguments, defaults and the caller's alike."""
    from mmdet3d.models.backbones.minkunet_backbone import MinkUNetBackbone
    original = MinkUNetBackbone.__init__
    if hasattr(original, 'copies_lists'):
        return
    signature = inspect.signature(original)

    @functools.wraps(original)
    def __init__(self, *args, **kwargs) -> None:
        call = signature.bind(self, *args, **kwargs)
        call.apply_defaults()
        for name, value in call.arguments.items():
            if isinstance(value, (list, tuple)) and name.endswith(('_channels', '_blocks')):
                call.arguments[name] = list(value)
        original(*call.args, **call.kwargs)

    __init__.copies_lists = True
    MinkUNetBackbone.__init__ = __init__
