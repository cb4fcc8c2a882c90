"""Stand-in for ``mmcv._ext``: one torch, torchvision or numba implementation per extension function."""


def __getattr__(name: str):
    if name.startswith('__'):
        raise AttributeError(name)

    def missing(*args, **kwargs):
        raise NotImplementedError(f'{name} needs compiled mmcv')

    return missing
