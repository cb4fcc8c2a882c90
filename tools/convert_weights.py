#!/usr/bin/env python
r"""Cut an encoder out of a checkpoint and give it the names under which another model looks for it.

    python tools/convert_weights.py pretrained.pth encoder.pth --source backbone --target pts_middle_encoder \
        --config configs/centerpoint.py

The output works with `load_from=` (and with `init_cfg=dict(type='Pretrained', checkpoint=...)` when --target is left
out), because the record of spconv's kernel layout moves with the names. In a config,
`custom_hooks=[dict(type='WeightTransferHook', ...)]` does the same without a file between.

    python tools/convert_weights.py fold joint.pth encoder.pth --domain nuScenes

takes the domain prompts out of a joint training: the detector's encoder in it (--source backbone.encoder, unless given),
with plain batch norms that compute what the prompted ones do for that domain.
"""
import argparse
import logging
import os.path as osp
import sys

sys.path.insert(0, osp.dirname(osp.abspath(__file__)))

from _mmdet3d import find_pretrain3d  # noqa: E402


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('src', help='checkpoint to read; nothing pickled in it is executed')
    parser.add_argument('dst', help='checkpoint to write')
    parser.add_argument('--domain', help='fold the domain prompts of SRC: take the weights of this domain, by the '
                        'names of the plain network')
    parser.add_argument('--source', help='module path in SRC to take (default: everything; with fold: '
                        'backbone.encoder)')
    parser.add_argument('--target', default='', help='module path in the model that will load DST')
    parser.add_argument('--rename', nargs='+', action='extend', default=[], metavar='PATTERN=REPLACEMENT',
                        help='regular expressions on names relative to --source, applied in order')
    parser.add_argument('--mapping', help='how released weights of another project become ours: pointcept_spunet '
                        '(Pointcept\'s SpUNet-v1m1 to SpUNet), pointcept_ppt_indoor and pointcept_ppt_outdoor (its '
                        'Point Prompt Training, language-guided or decoupled, to DomainSegmentor), pointcept_msc (its '
                        'Masked Scene Contrast to MaskedSceneContrast), '
                        'minkowski_srunet (Res16UNet34C or 18A of PointContrast '
                        'and Contrastive Scene Contexts, MinkowskiEngine 0.4, to SRUNet), votenet_pointnet2 '
                        '(PointNet++ of VoteNet and of Contrastive Scene Contexts to PointNet2SASSG)')
    parser.add_argument('--config', help='config of the model that will load DST: check every name and shape against '
                        'it and write only what fits')
    parser.add_argument('--min-matched', type=float, help='with --config, fraction of the target\'s tensors that must '
                        'match (default: 0.95)')
    parser.add_argument('--spconv-layout', choices=['auto', '1', '2'], default='auto',
                        help='layout of the sparse kernels in SRC: spconv 1.x and mmcv, or spconv 2.x')
    parser.add_argument('--state-key', help='entry of SRC that holds the weights, e.g. ema_state_dict or teacher')
    parser.add_argument('--text-bank', metavar='FILE', help='write also the text vectors that a language-guided '
                        'Pointcept checkpoint holds, for text_bank= of the head (.npz)')
    parser.add_argument('--drop-objects', action='store_true',
                        help='leave out pickled objects that are not weights instead of refusing the file')
    argv = list(sys.argv[1:] if argv is None else argv)
    fold = argv[:1] == ['fold']
    args = parser.parse_args(argv[fold:])
    if fold and not args.domain:
        parser.error('fold needs --domain: the name of the domain whose weights to take')
    if args.source is None:
        args.source = 'backbone.encoder' if fold else ''
    if args.min_matched is not None and not args.config:
        parser.error('--min-matched needs --config: there is nothing to match against')
    return args


def build_model(path: str):
    """Build the model of a config as mmdet3d's tools do."""
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from mmdet3d.registry import MODELS
    config = Config.fromfile(path)
    init_default_scope(config.get('default_scope', 'mmdet3d'))
    return MODELS.build(config.model)


def main(argv=None) -> int:
    """Convert; return the exit status."""
    args = parse_args(argv)
    for path in filter(None, (args.src, args.config)):
        if not osp.isfile(path):  # before mmdet3d is imported, which takes ten seconds
            print(f'convert_weights: {path} does not exist', file=sys.stderr)
            return 1
    find_pretrain3d()
    from pretrain3d.engine.weights import (MIN_MATCHED, WeightsError, convert_checkpoint, read_state,
                                           released_text_bank)
    from pretrain3d.engine.weights.mapping import parse_renames
    try:
        if args.text_bank:  # first: the model of --config may read it
            released_text_bank(read_state(args.src, args.state_key, args.drop_objects)[0]).save(args.text_bank)
            print(f'text bank written to {args.text_bank}')
        report = convert_checkpoint(
            args.src, args.dst, source=args.source, target=args.target, rename=parse_renames(args.rename),
            mapping=args.mapping, model=build_model(args.config) if args.config else None,
            min_matched=MIN_MATCHED if args.min_matched is None else args.min_matched,
            spconv_layout=args.spconv_layout, state_key=args.state_key, drop_objects=args.drop_objects,
            domain=args.domain)
    except (WeightsError, OSError) as error:
        print(f'convert_weights: {error}', file=sys.stderr)
        return 1
    print(report.table())
    print(f'written to {args.dst}')
    return 0


if __name__ == '__main__':
    logging.getLogger('mmengine').setLevel(logging.ERROR)
    sys.exit(main())
