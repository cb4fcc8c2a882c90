"""Builds the frame pairs of converted scans and lists them in one info file per split."""
import functools
import json
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ...files import write_atomic
from ...plain_pickle import load_plain
from ..batch import SceneError, convert_scenes
from .scene import PairOptions, build_scene

INFO_VERSION = '1.0'


class Built(NamedTuple):
    """What a run made.

    Attributes:
        path: of the info file. scenes, pairs, frames: how many. num_bytes: of all files of the pairs.
        skipped_scenes: (scan, reason). skipped_frames: (scan/frame, reason). lost: frames that the conversion had
            left out already, for a pose that is not finite or a file that was missing.
    """
    path: Path
    scenes: int
    pairs: int
    frames: int
    num_bytes: int
    skipped_scenes: List[Tuple[str, str]]
    skipped_frames: List[Tuple[str, str]]
    lost: int


def find_frame_list(root: Path, split: str) -> Path:
    """The frame list ``<dataset>_frames_<split>.pkl`` that a converter wrote into ``root``.

    Raises:
        FileNotFoundError: there is none, or more than one.
    """
    found = sorted(root.glob(f'*_frames_{split}.pkl'))
    if len(found) != 1:
        there = ', '.join(path.name for path in found or sorted(root.glob('*.pkl'))) or 'no info file at all'
        raise FileNotFoundError(f'{root}: one *_frames_{split}.pkl expected, found {there}; convert the data set with '
                                'its frames (tools/data/scannet.py ... --frames 25)')
    return found[0]


def read_frame_list(path: Path) -> Tuple[Dict[str, Any], Dict[str, Dict[str, Any]]]:
    """Meta information and the scans, by name, of a frame list.

    Raises:
        SceneError: it is not one.
    """
    try:
        content = load_plain(path)
        meta, scenes = dict(content['metainfo']), {str(entry['scan']): dict(entry) for entry in content['data_list']}
        if not meta.get('content') == 'rgbd_frames':
            raise ValueError(f'it is a list of {meta.get("content", "something else")}, not of rgbd_frames')
        unit = meta.get('depth_unit_m', 0.001)
        if not isinstance(unit, (int, float)) or not 0 < unit < 1:
            raise ValueError(f'its depth_unit_m is {unit!r}')
        for entry in scenes.values():
            _check_entry(entry)
    except Exception as error:  # a damaged pickle raises nearly anything
        raise SceneError(f'{path} is no frame list ({error}); convert the data set again') from error
    return meta, scenes


def _check_entry(entry: Dict[str, Any]) -> None:
    """Raise where a scan of a frame list is not of the form that :mod:`~..scannet.infos` writes."""
    if not isinstance(entry.get('root') or '', str) or not isinstance(entry.get('frames'), list):
        raise ValueError(f'{entry["scan"]} has no root and list of frames')
    if type(entry.get('lost', 0)) is not int:
        raise ValueError(f'{entry["scan"]} has lost {entry["lost"]!r} frames')
    for frame in entry['frames']:
        if not all(isinstance(frame[key], str) and '\0' not in frame[key] for key in ('color_path', 'depth_path')):
            raise ValueError(f'a frame of {entry["scan"]} has no paths')
        if not isinstance(frame['index'], int) or frame['index'] < 0:
            raise ValueError(f'a frame of {entry["scan"]} has the index {frame["index"]!r}')


def choose_scenes(scenes: Dict[str, Any], wanted: Optional[Sequence[str]], where: str) -> List[str]:
    """Names to be built: all, or those of ``wanted``, each of which must be there."""
    if wanted is None:
        return sorted(scenes)
    missing = [name for name in wanted if name not in scenes]
    if missing:
        raise SceneError(f'{where} has no scan {missing[0]} ({len(missing)} of {len(wanted)} names are unknown): the '
                         'list belongs to another split')
    return sorted(set(wanted))


def build_pairs(root: Path, out: Path, split: str = 'train', options: PairOptions = PairOptions(), jobs: int = 1,
                names: Optional[Sequence[str]] = None, quiet: bool = False) -> Built:
    """Build the pairs of a split and write ``frame_pairs_<split>.pkl`` into ``out``.

    Args:
        root: folder of the converted data set. out: target folder, may be ``root``. split: of the frame list.
        options: thresholds and storage. jobs: processes. names: only these scans. quiet: no progress.

    Raises:
        FileNotFoundError, SceneError: nothing to build from, or no scan gave a pair.
    """
    source = find_frame_list(root, split)
    meta, scenes = read_frame_list(source)
    chosen = choose_scenes(scenes, names, source.name)
    if not chosen:
        raise SceneError(f'{source} lists no scan with frames')
    unit = meta.get('depth_unit_m', 0.001)
    task = functools.partial(build_scene, scenes=scenes, base=root, out=out, unit=unit, options=options)
    done, skipped = convert_scenes(task, chosen, jobs, quiet)
    if not done:
        raise SceneError(f'{source}: no pairs in any of {len(chosen)} scans; first: {skipped[0][0]}: {skipped[0][1]}')
    records = list(done.values())
    # Through JSON, because a pickle also tells which equal strings are one object: that must not depend on who made a
    # record, this process, another one, or an earlier run.
    data_list = json.loads(json.dumps([pair for record in records for pair in record['pairs']]))
    info = dict(
        metainfo=dict(dataset=meta.get('dataset', source.name.split('_frames_')[0]), content='frame_pairs',
                      info_version=INFO_VERSION, split=split, source=source.name, num_scans=len(records),
                      **asdict(options)),
        data_list=data_list)
    path = out / f'frame_pairs_{split}.pkl'
    write_atomic(path, pickle.dumps(info))
    return Built(
        path, len(records), len(data_list), sum(record['frames'] for record in records),
        sum(size for record in records for size in record['files'].values()), skipped,
        [(f'{record["name"]}/{index}', reason) for record in records for index, reason in record['skipped']],
        sum(record['lost'] for record in records))
