"""Checks of an info file before a run reads it: what it is, which convention its boxes have, which files it names."""
import difflib
import math
import os
import os.path as osp
from contextlib import contextmanager
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

import numpy as np

from pretrain3d.plain_pickle import PlainPickleError, load_plain

# Longer than wide whatever the data set; anything else tells nothing about the convention.
ELONGATED = ('car', 'truck', 'bus', 'trailer', 'vehicle', 'construction_vehicle', 'van', 'tram', 'bicycle',
             'motorcycle', 'cyclist')
MIN_BOXES = 3
# Methods in which datasets read their list.
_READING = {'load_data_list', 'filter_data', 'parse_data_info', 'parse_ann_info'}


class InfoFileError(ValueError):
    """An info file that cannot be used; the message names the file and the mend."""


def load_plain_pickle(path: str) -> Any:
    """Load a pickle of builtins and numpy data without running code from it.

    Raises:
        InfoFileError: The file is missing, no pickle, truncated, or refers to anything else.
    """
    if not osp.isfile(path):
        raise InfoFileError(f'info file {path} does not exist: check data_root and ann_file, or make it with '
                            'mmdet3d\'s tools/create_data.py (ScanNet: tools/data/scannet.py)')
    try:
        return load_plain(path)
    except PlainPickleError as error:
        mend = 'Make it again from the data set' if error.refused else 'Copy or make it again'
        raise InfoFileError(f'info file {error}. {mend}') from error


@contextmanager
def naming(kind: str, path: str) -> Iterator[None]:
    """Let an error of a dataset's reading of its info file, which mmdet3d does not check, name that file.

    Raises:
        InfoFileError: In place of an error that comes out of the reading of the list and does not name it.
    """
    try:
        yield
    except Exception as error:
        trace, names = error.__traceback__, set()
        while trace is not None:
            names.add(trace.tb_frame.f_code.co_name)
            trace = trace.tb_next
        if str(path) in str(error) or not names & _READING or isinstance(error, MemoryError):
            raise
        raise InfoFileError(f'{kind} cannot be made of info file {path} ({type(error).__name__}: {error}): the file is '
                            'damaged, or of another data set') from error


def check_class_names(names: Sequence[str], known: Sequence[str], where: str) -> None:
    """Raise if a name is not one of the known ones.

    Raises:
        InfoFileError: Names the unknown class, where it was given, and the nearest known one.
    """
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.4)
            hint = f'did you mean {near[0]!r}? ' if near else ''
            raise InfoFileError(f'{where}: unknown class {name!r}; {hint}known are {", ".join(map(str, known))}')


def check_info_file(path: str,
                    classes: Optional[Sequence[str]] = None,
                    label_names: Optional[Sequence[str]] = None,
                    prefixes: Optional[Dict[str, str]] = None,
                    modality: Sequence[str] = ('lidar', )) -> dict:
    """Check an info file of mmdet3d's v1.1 format.

    Args:
        path (str): The ``.pkl``.
        classes (sequence[str], optional): Classes asked of it; each must be among its own, where it lists them.
        label_names (sequence[str], optional): Names of its labels, used only if it lists none itself.
        prefixes (dict[str, str], optional): As a dataset's joined ``data_prefix``; where given, every file that
            ``modality`` needs must exist.
        modality (sequence[str]): Of 'lidar', 'camera', 'masks': whose files to look for.

    Returns:
        dict: The content.

    Raises:
        InfoFileError: What is wrong, with the file and the mend.
    """
    infos = load_plain_pickle(path)
    if isinstance(infos, list) or (isinstance(infos, dict) and 'infos' in infos):
        raise InfoFileError(f"info file {path} has the format of before mmdet3d 1.1 (a list, or a dict with 'infos'): "
                            "convert it with mmdet3d's tools/dataset_converters/update_infos_to_v2.py, or make it "
                            'again with tools/create_data.py')
    if not isinstance(infos, dict) or not isinstance(infos.get('data_list'), list) or 'metainfo' not in infos:
        raise InfoFileError(
            f"info file {path} is no mmdet3d info file: it must hold 'metainfo' and the list 'data_list'")
    wrong = wrong_place(infos)
    if wrong:
        raise InfoFileError(f'info file {path} is damaged in {wrong}: make it again')
    own = class_names(infos['metainfo'])
    if classes is not None and own:
        check_class_names(classes, own, f'classes asked of info file {path}')
    check_instances(path, infos)
    wrong, seen = count_wide_boxes(infos['data_list'], own or list(label_names or ()))
    if seen >= MIN_BOXES and wrong > seen / 2:
        raise InfoFileError(f'info file {path} has boxes of the convention before mmdet3d 1.0 (width first): {wrong} '
                            f'of {seen} cars, trucks and the like are wider than long. Make it again with mmdet3d 1.x '
                            'tools/create_data.py; do not only swap the sizes, the yaw differs as well')
    if prefixes is not None:
        require_files(f'info file {path}', (file for sample in infos['data_list']
                                            for file in sample_files(sample, prefixes, set(modality))))
    return infos


def wrong_place(infos: dict) -> Optional[str]:
    """Where the content is not of the types that mmdet3d's info files have; ``None``: nowhere."""
    meta = infos['metainfo']
    names = _given(meta, 'categories', ()) if isinstance(meta, dict) else None
    numbers = list(names.values()) if isinstance(names, dict) else []
    if not isinstance(names, (dict, list, tuple)) or not all(isinstance(name, str) for name in names) or not all(
            isinstance(number, int) for number in numbers):
        return 'metainfo'
    for place, sample in enumerate(infos['data_list']):
        where = f'data_list[{place}]'
        if not isinstance(sample, dict):
            return where
        instances = _given(sample, 'instances', ())
        if not isinstance(instances, (list, tuple)):
            return f"{where}['instances']"
        for number, instance in enumerate(instances):
            if not isinstance(instance, dict) or not isinstance(instance.get('bbox_label_3d', -1), (int, np.integer)):
                return f'{where}, instance {number}'
        for key in ('lidar_points', 'images'):
            if not isinstance(_given(sample, key, {}), dict):
                return f'{where}[{key!r}]'
        paths = [(sample.get('lidar_points') or {}).get('lidar_path', ''), sample.get('pts_semantic_mask_path', ''),
                 sample.get('pts_instance_mask_path', '')]
        for image in (sample.get('images') or {}).values():
            paths.append(image.get('img_path') or '' if isinstance(image, dict) else None)
        if not all(isinstance(path, str) and '\0' not in path for path in paths):
            return f'the paths of {where}'
    return None


def _given(held: dict, key: str, default: Any) -> Any:
    """The value of ``key``, the default for None; no truth is asked of it, which arrays do not tell."""
    value = held.get(key)
    return default if value is None else value


def check_instances(path: str, infos: dict) -> None:
    """Raise for a box that is not finite, or whose label is none of the categories that the file lists.

    Raises:
        InfoFileError: Names the file and the place of the first such box.
    """
    categories = infos['metainfo'].get('categories')
    labels = set(categories.values()) if isinstance(categories, dict) else None
    for place, sample in enumerate(infos['data_list']):
        for number, instance in enumerate(sample.get('instances') or ()):
            label, box = instance.get('bbox_label_3d', -1), instance.get('bbox_3d')
            if labels is not None and label >= 0 and label not in labels:
                raise InfoFileError(f'info file {path}: data_list[{place}], instance {number} has bbox_label_3d '
                                    f'{label}, which is none of its categories {categories}: make it again')
            if box is not None and not is_box(box):
                raise InfoFileError(f'info file {path}: data_list[{place}], instance {number} has the box {box}: '
                                    'leave the instance out, or make the file again')


def is_box(box: Any) -> bool:
    """Whether ``box`` is a row of finite numbers."""
    try:
        return len(box) >= 6 and math.isfinite(sum(box))
    except (TypeError, ValueError, OverflowError):
        return False


def class_names(metainfo: dict) -> List[str]:
    """Class names that an info file lists itself, in the order of its labels; empty where it lists none."""
    categories = metainfo.get('categories')
    if isinstance(categories, dict):
        return [name for name, _ in sorted(categories.items(), key=lambda item: item[1])]
    return list(categories or metainfo.get('classes') or metainfo.get('CLASSES') or ())


def count_wide_boxes(data_list: Sequence[dict], names: Sequence[str]) -> Tuple[int, int]:
    """Boxes of elongated classes that are wider than long, and all boxes of these classes."""
    labels = [i for i, name in enumerate(names) if str(name).lower() in ELONGATED]
    boxes = [instance for sample in data_list for instance in sample.get('instances') or ()
             if instance.get('bbox_label_3d', -1) in labels and len(instance.get('bbox_3d', ())) >= 6]
    if not boxes:
        return 0, 0
    sizes = np.array([instance['bbox_3d'][3:5] for instance in boxes], dtype=np.float64)
    return int((sizes[:, 0] < sizes[:, 1]).sum()), len(boxes)


def sample_files(sample: dict, prefixes: Dict[str, str], modality: Set[str]) -> List[str]:
    """Files that one sample needs, joined as mmdet3d's datasets join them."""
    files = []
    if 'lidar' in modality and sample.get('lidar_points', {}).get('lidar_path'):
        files.append(osp.join(prefixes.get('pts', ''), sample['lidar_points']['lidar_path']))
    if 'camera' in modality:
        for name, image in (sample.get('images') or {}).items():
            if image.get('img_path'):
                files.append(osp.join(prefixes.get(name, prefixes.get('img', '')), image['img_path']))
    if 'masks' in modality:
        for kind in ('pts_semantic_mask', 'pts_instance_mask'):
            if sample.get(f'{kind}_path'):
                files.append(osp.join(prefixes.get(kind, ''), sample[f'{kind}_path']))
    return files


def find_missing(files: Iterable[str]) -> Tuple[List[str], int]:
    """Files that do not exist, and how many were looked for; every folder is listed once, for slow network disks."""
    listed: Dict[str, Set[str]] = {}
    missing, total = [], 0
    for file in files:
        if '://' in file:
            continue  # remote storage: told when it is loaded
        folder, name = osp.split(file)
        if folder not in listed:
            listed[folder] = set(os.listdir(folder or '.')) if osp.isdir(folder or '.') else set()
        total += 1
        if name not in listed[folder]:
            missing.append(file)
    return missing, total


def require_files(owner: str, files: Iterable[str]) -> int:
    """Raise if a file is missing; return how many were looked for.

    Raises:
        InfoFileError: Names the owner and the first missing file.
    """
    missing, total = find_missing(files)
    if missing:
        raise InfoFileError(f'{owner} names {total} files of which {len(missing)} are missing, the first is '
                            f'{missing[0]}: check data_root and data_prefix, or complete the download')
    return total
