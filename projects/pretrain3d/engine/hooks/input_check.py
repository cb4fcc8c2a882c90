"""A hook that looks at a run's data before the run does."""
import contextlib
import functools
import os
import os.path as osp
import weakref
from typing import Any, Iterator, Optional, Sequence, Set

import numpy as np
from mmengine.fileio.handlers import file_handlers
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner import FlexibleRunner, Runner
from torch.utils.data import DataLoader

from mmdet3d.datasets import Det3DDataset, Seg3DDataset
from mmdet3d.registry import DATASETS, HOOKS
from pretrain3d.datasets import Pretrain3DDataPreprocessor
from pretrain3d.datasets.info_check import (InfoFileError, check_class_names, check_info_file, naming, require_files,
                                             sample_files)

# Hooks whose run has not begun yet; they see every data loader config before its dataset is built.
_waiting: 'weakref.WeakSet[InputCheckHook]' = weakref.WeakSet()


def _watch(runner_type: type) -> None:
    """Show the configs of data loaders to waiting hooks; without one, nothing changes."""
    build = runner_type.build_dataloader
    if hasattr(build, '_shown_to_hooks'):
        return

    @functools.wraps(build)
    def show_and_build(dataloader, *args, **kwargs):
        for hook in list(_waiting):
            hook.check_config(dataloader)
        with contextlib.ExitStack() as stack:
            if _waiting and isinstance(dataloader, dict) and isinstance(dataloader.get('dataset'), dict):
                configs = list(leaf_configs(dataloader['dataset']))
                if len(configs) == 1 and configs[0].get('ann_file'):
                    stack.enter_context(naming(str(configs[0].get('type')), configs[0]['ann_file']))
            return build(dataloader, *args, **kwargs)

    show_and_build._shown_to_hooks = True
    runner_type.build_dataloader = staticmethod(show_and_build)


@HOOKS.register_module()
class InputCheckHook(Hook):
    """Check the datasets of a run, stock mmdet3d ones too, so that bad input is a clear error before training.

    Of every dataset the run uses, found through wrappers:

    - when its data loader is built: class names asked for are known, and the info file is of format 1.1, holds data
      only, and has boxes of the 1.x convention (``datasets.info_check``). This cannot wait for ``before_run``: mmengine
      has built the datasets by then, having run whatever code a pickle carries;
    - before the run: the files that its pipeline loads exist;
    - before every step: some point is left of the batch, unless the model takes batches without.

    Args:
        num_samples (int, optional): Of how many samples, evenly spaced, the files are looked for; 0 for none.
            Defaults to None: of all.
    """

    priority = 'VERY_HIGH'

    def __init__(self, num_samples: Optional[int] = None) -> None:
        self.num_samples = num_samples
        self._checked: Set[tuple] = set()
        for runner_type in (Runner, FlexibleRunner):
            _watch(runner_type)
        _waiting.add(self)

    def check_config(self, dataloader: Any) -> None:
        """Check the dataset configs of a data loader config.

        Raises:
            InfoFileError: What is wrong, with the file and the mend.
        """
        if not isinstance(dataloader, dict) or not isinstance(dataloader.get('dataset'), dict):
            return
        for config in leaf_configs(dataloader['dataset']):
            kind = config.get('type')
            kind = DATASETS.get(kind) if isinstance(kind, str) else kind
            if not isinstance(kind, type) or not issubclass(kind, (Det3DDataset, Seg3DDataset)):
                continue
            known = kind.METAINFO.get('classes')
            classes = (config.get('metainfo') or {}).get('classes')
            if classes is not None and not isinstance(classes, str) and known:
                check_class_names(classes, known, f'{kind.__name__}, metainfo.classes')
            path = config.get('ann_file') or ''
            if config.get('data_root') and not osp.isabs(path):
                path = osp.join(config['data_root'], path)
            if config.get('ann_file') and osp.splitext(path)[1][1:] not in file_handlers:
                raise InfoFileError(f'{kind.__name__}: ann_file {path} is no info file, which would end in .pkl: check '
                                    'ann_file')
            if path.endswith(('.pkl', '.pickle')) and '://' not in path and is_local(config.get('backend_args')):
                # Infos of segmentation sets list the classes of detection, or none.
                self._check_once(path, known if issubclass(kind, Det3DDataset) else None)

    def _check_once(self, path: str, label_names: Optional[Sequence[str]]) -> None:
        """Check an info file; the same file is read once per run."""
        key = osp.abspath(path), os.stat(path).st_mtime_ns if osp.exists(path) else None
        if key not in self._checked:
            check_info_file(path, label_names=label_names)
            self._checked.add(key)

    def before_run(self, runner: Any) -> None:
        """Look for the files of every dataset that this run has built."""
        _waiting.discard(self)
        for name in ('_train_loop', '_val_loop', '_test_loop'):
            loader = getattr(getattr(runner, name, None), 'dataloader', None)
            if isinstance(loader, DataLoader):
                for dataset in leaf_datasets(loader.dataset):
                    self.check_files(dataset)

    def check_files(self, dataset: Any) -> None:
        """Check that the files exist which a dataset's pipeline loads.

        Raises:
            InfoFileError: Some are missing.
        """
        if not isinstance(dataset, (Det3DDataset, Seg3DDataset)) or not is_local(dataset.backend_args):
            return
        kinds = loaded_kinds(dataset)
        count = len(dataset) if self.num_samples is None else min(self.num_samples, len(dataset))
        if not kinds or not count:
            return
        places = np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist()
        total = require_files(f'{type(dataset).__name__} with {dataset.ann_file}', (
            path for i in places for path in sample_files(dataset.get_data_info(i), {}, kinds)))
        MMLogger.get_current_instance().info(f'{dataset.ann_file}: {count} samples, {total} files are there')

    def _before_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, mode: str = 'train') -> None:
        """Name the samples of a batch that holds no point at all, where the model would not expect it.

        mmdet3d's voxel encoders meet one with an ``IndexError``; models on our own data preprocessor take it.

        Raises:
            ValueError: Names the files and where the points may have gone.
        """
        inputs = data_batch.get('inputs') if isinstance(data_batch, dict) else None
        clouds = inputs.get('points') if isinstance(inputs, dict) else None
        if not clouds or any(len(cloud) for cloud in clouds):
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if isinstance(model.data_preprocessor, Pretrain3DDataPreprocessor):
            return
        files = [str(sample.metainfo.get('lidar_path', f'sample {i} of the batch'))
                 for i, sample in enumerate(data_batch.get('data_samples') or ())]
        raise ValueError(f'no point is left of {", ".join(files)}: check the units (metres) and the frame of the '
                         "points, and point_cloud_range of the pipeline's filters")


def is_local(backend_args: Optional[dict]) -> bool:
    """Whether files are read from disk."""
    return backend_args is None or backend_args.get('backend') in (None, 'local', 'disk')


def loaded_kinds(dataset: Any) -> Set[str]:
    """What a dataset's pipeline loads: of 'lidar', 'camera', 'masks'."""
    kinds = set()
    modality = dataset.modality or {}
    for transform in dataset.pipeline.transforms:
        name = type(transform).__name__
        if name.startswith('Load') and 'Points' in name and modality.get('use_lidar'):
            kinds.add('lidar')
        if name.startswith('Load') and 'Image' in name and modality.get('use_camera'):
            kinds.add('camera')
        if getattr(transform, 'with_seg_3d', False) or getattr(transform, 'with_mask_3d', False):
            kinds.add('masks')
    return kinds


def leaf_configs(config: dict) -> Iterator[dict]:
    """Dataset configs inside wrappers (ConcatDataset, RepeatDataset, CBGSDataset)."""
    inner = config.get('datasets') or ([config['dataset']] if isinstance(config.get('dataset'), dict) else None)
    if inner is None:
        yield config
        return
    for one in inner:
        if isinstance(one, dict):
            yield from leaf_configs(one)


def leaf_datasets(dataset: Any) -> Iterator[Any]:
    """Datasets inside wrappers."""
    names = vars(dataset)
    inner = names.get('datasets') or [names[name] for name in ('dataset', '_dataset') if name in names]
    if not inner:
        yield dataset
        return
    for one in inner:
        yield from leaf_datasets(one)
