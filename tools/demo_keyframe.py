"""Teach mmdet3d's CenterPoint one nuScenes frame on this machine, and draw what it finds: ``make demo-keyframe``.

Runs mmdet3d's own test.py (untrained network), train.py and test.py (trained network) with configs/keyframe, then
prints the detection metrics before and after and where the picture is. One frame, learnt by heart: it shows that the
installation works from the file to the metric, not how good a detector is. About 4 minutes on two cores.
"""
import argparse
import math
import os
import re
import sys
import time
from pathlib import Path

import _demo
from _demo import DemoError
from _mmdet3d import ROOT, need

CONFIG = ROOT / 'configs' / 'keyframe' / 'centerpoint_1xb1-keyframe_nus-3d.py'
# Where the samples lie that the project does not ship.
SAMPLES = ROOT.parent / 'shared' / 'real' / 'nuscenes_frame'
PREFIX = 'NuScenesInfo/'
LEARNT = 0.8


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--info', type=Path, help='mmdet3d v1.1 nuScenes info file (.pkl); default: $PRETRAIN3D_INFO, '
                        'else the sample frame in ../shared/real')
    parser.add_argument('--data-root', type=Path, help="folder of the point and image files, flat or with nuScenes's "
                        "samples/ in it; default: the info file's folder")
    parser.add_argument('--frame', type=int, default=0, help='which frame of the info file (default 0)')
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs' / 'demo_keyframe',
                        help='where logs, weights and pictures go (default work_dirs/demo_keyframe)')
    parser.add_argument('--iters', type=int, default=150, help='training steps, at least 4 (default 150)')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                        help='overrides of the config, passed on to mmdet3d')
    args = parser.parse_args(argv)
    if args.iters < 4:
        parser.error('--iters must be at least 4')
    if args.frame < 0:
        parser.error('--frame must be at least 0')
    return args


def find_info(args: argparse.Namespace) -> Path:
    """The info file to use, or a DemoError that says what to pass."""
    named = args.info or (Path(os.environ['PRETRAIN3D_INFO']) if os.environ.get('PRETRAIN3D_INFO') else None)
    if named is None:
        named = next(iter(sorted(SAMPLES.glob('*.pkl'))), None)
        if named is None:
            raise DemoError('no nuScenes frame here: pass one with --info FILE (make demo-keyframe INFO=FILE), an info '
                            "file of mmdet3d's v1.1 format, e.g. nuscenes_infos_val.pkl from its tools/create_data.py; "
                            '--data-root DIR if its files lie elsewhere')
    if not named.is_file():
        raise DemoError(f'info file {named} does not exist: pass an mmdet3d v1.1 info file with --info FILE')
    if args.data_root is not None and not args.data_root.is_dir():
        raise DemoError(f'--data-root {args.data_root} is not a folder')
    return named.resolve()


def prepare(checkpoint: Path, info: Path, frame: int) -> None:
    """Check the info file, then save the config's network with fresh weights for mmdet3d's test.py to load."""
    with _demo.quiet(checkpoint.with_suffix('.log')):
        from pretrain3d.datasets.info_check import InfoFileError, check_info_file
        try:
            frames = len(check_info_file(str(info))['data_list'])
        except InfoFileError as error:
            raise DemoError(str(error)) from error
        if frame >= frames:
            raise DemoError(f'{info} holds {frames} frame(s), so there is no frame {frame}: pass a smaller --frame')
        _save_untrained(checkpoint)


def _save_untrained(path: Path) -> None:
    import torch
    from mmengine.config import Config
    from mmengine.runner import save_checkpoint

    from mmdet3d.registry import MODELS
    config = Config.fromfile(str(CONFIG))
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    save_checkpoint(dict(state_dict=model.state_dict(), meta=dict(untrained=True)), str(path))


def evaluate(name: str, checkpoint: Path, args: argparse.Namespace, overrides: list, environment: dict) -> tuple:
    """mmdet3d's test.py -> (metrics, path of the picture)."""
    folder = args.work_dir / name
    printed = _demo.run('test.py', [CONFIG, checkpoint, '--work-dir', folder, '--cfg-options', *overrides],
                        args.work_dir / f'{name}.log', environment)
    pictures = re.findall(r'picture: (.+)', printed)
    if not pictures:
        raise _demo.DemoError(f'test.py drew no picture; see {args.work_dir / name}.log')
    metrics = _demo.scores_of(folder)
    return {key[len(PREFIX):]: value for key, value in metrics.items() if key.startswith(PREFIX)}, pictures[-1]


def table(before: dict, after: dict) -> str:
    """AP of each class before and after, and the errors after."""
    classes = [key[3:] for key in after if key.startswith('AP_') and not key.startswith('AP_min5_')]
    rows = [('', 'AP before', 'AP after', '>= 5 points: before', 'after')]
    for label, key in [*((name, f'AP{{}}_{name}') for name in classes), ('mean', 'mAP{}')]:
        rows.append((label, *(f'{source[key.format(part)]:.3f}' if key.format(part) in source else '-'
                              for part in ('', '_min5') for source in (before, after))))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ['  '.join(cell.ljust(width) if column == 0 else cell.rjust(width)
                       for column, (cell, width) in enumerate(zip(row, widths))) for row in rows]
    units = dict(mATE='centre {:.2f} m', mASE='size {:.2f} (1 - IoU)', mAOE='heading {:.2f} rad',
                 mAVE='speed {:.2f} m/s')
    # JSON writes errors that no class defines as NaN.
    errors = [text.format(after[key]) for key, text in units.items() if not math.isnan(after.get(key, math.nan))]
    return '\n'.join(lines + ['errors of matched boxes after: ' + (', '.join(errors) or '-')])


def demo(args: argparse.Namespace) -> None:
    """All steps; DemoError where one cannot be done."""
    started = time.time()
    info = find_info(args)
    args.work_dir = args.work_dir.resolve()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    environment = _demo.environment(PRETRAIN3D_INFO=str(info))
    if args.data_root is not None:
        environment['PRETRAIN3D_DATA_ROOT'] = str(args.data_root.resolve())
    os.environ.update({key: environment[key] for key in environment if key.startswith('PRETRAIN3D_')})
    overrides = [f'{part}_dataloader.dataset.indices=[{args.frame}]' for part in ('train', 'test')]
    overrides += [f'train_cfg.max_iters={args.iters}', f'param_scheduler.0.total_steps={args.iters}', *args.cfg_options]

    print(f'frame {args.frame} of {info}\n1/3 the untrained network', flush=True)
    untrained = args.work_dir / 'untrained.pth'
    prepare(untrained, info, args.frame)
    title = 'custom_hooks.2.title='
    before, _ = evaluate('before', untrained, args, overrides + [title + 'untrained'], environment)
    print(f'2/3 training, {args.iters} steps', flush=True)
    _demo.run('train.py', [CONFIG, '--work-dir', args.work_dir / 'train', '--cfg-options', *overrides],
              args.work_dir / 'train.log', environment)
    print('3/3 the trained network', flush=True)
    trained = _demo.checkpoint_of(args.work_dir / 'train')
    after, picture = evaluate('after', trained, args, overrides + [title + 'trained'], environment)

    print(f'\n{table(before, after)}\n')
    score = after.get('mAP_min5', 0.0)
    print(f'{"learnt" if score > LEARNT else "not learnt"}: mAP over boxes with at least 5 points is {score:.3f} '
          f'(bar {LEARNT}), {before.get("mAP_min5", 0.0):.3f} before')
    print('One frame, trained and tested on: this shows that the stack works from file to metric, nothing about how '
          'well a detector generalises or whether pre-training helps.')
    print(f'picture: {picture}\nlogs and weights: {args.work_dir}\ntook {time.time() - started:.0f} s')


def main(argv=None) -> int:
    args = parse_args(argv)
    return _demo.main(lambda: demo(args))


if __name__ == '__main__':
    need('mmdet3d', 'pretrain3d')
    sys.exit(main())
