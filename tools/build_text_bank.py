#!/usr/bin/env python
r"""Write the text vectors of all classes into one small file, so that training needs no text encoder and no network.

    python tools/build_text_bank.py banks/clip_vitb16.npz --model ViT-B-16-quickgelu --pretrained /weights/ViT-B-16.pt
    python tools/build_text_bank.py banks/stand_in.npz --stand-in

The words of each class (pretrain3d/label_spaces/texts.py) are put into every template, encoded, normalised, averaged
and normalised again. A head reads the file by `text_bank='banks/clip_vitb16.npz'`.
"""
import argparse
import hashlib
import os
import sys
from pathlib import Path
from typing import Any, Callable, List, Sequence

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
os.environ['PRETRAIN3D_LIGHT'] = '1'

from _mmdet3d import find_pretrain3d  # noqa: E402


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='file to write (.npz)')
    parser.add_argument('--model', default='ViT-B-16', help="open_clip's name of the model (default: "
                        "ViT-B-16; a file of OpenAI's own weights wants ViT-B-16-quickgelu)")
    parser.add_argument('--pretrained', help="file of weights, or open_clip's name of them, which it downloads")
    parser.add_argument('--template', nargs='+', default=['{}'], metavar='SENTENCE',
                        help="sentences with {} for the words, averaged (default: '{}', the bare words)")
    parser.add_argument('--text', nargs='+', default=[], metavar='WORDS', help='further words beside the classes')
    parser.add_argument('--stand-in', action='store_true', help='hashed n-grams instead of a text encoder')
    parser.add_argument('--random-weights', action='store_true', help='of the right shapes, to try out the tool')
    args = parser.parse_args(argv)
    wrong = [template for template in args.template if template.count('{}') != 1]
    if wrong:
        parser.error(f'a template needs exactly one {{}}, {wrong[0]!r} has {wrong[0].count("{}")}')
    if args.stand_in + args.random_weights + (args.pretrained is not None) != 1:
        parser.error('give one of --pretrained FILE, --stand-in and --random-weights')
    return args


def average_templates(encode: Callable[[List[str]], Any], texts: Sequence[str], templates: Sequence[str]) -> Any:
    """Unit vectors (T, C) of texts: the mean over the templates of the unit vectors of the sentences.

    Args:
        encode: sentences -> (n, C) array of their vectors, of any length.
        texts: words.
        templates: sentences with ``{}`` for the words.
    """
    import numpy as np
    total = 0
    for template in templates:
        rows = np.asarray(encode([template.replace('{}', text) for text in texts]), np.float64)
        total = total + rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return (total / np.linalg.norm(total, axis=1, keepdims=True)).astype(np.float32)


def clip_encoder(model: str, pretrained: str) -> Callable[[List[str]], Any]:
    """Text encoder of open_clip in float32 on the CPU. SystemExit: it is missing, or cannot load the weights."""
    try:
        import open_clip
        import torch
    except ImportError as error:
        raise SystemExit(f'build_text_bank.py needs open_clip ({error}): pip install open-clip-torch, or --stand-in')
    try:
        network = open_clip.create_model(model, pretrained=pretrained or None, precision='fp32').eval()
        tokenise = open_clip.get_tokenizer(model)
    except Exception as error:  # unknown names, files of another shape, no network
        raise SystemExit(f'open_clip cannot make {model!r} with weights {pretrained!r}: {error}')

    @torch.no_grad()
    def encode(sentences: List[str]) -> Any:
        return torch.cat([network.encode_text(tokenise(sentences[start:start + 64])).float()
                          for start in range(0, len(sentences), 64)]).numpy()

    return encode


def checkpoint_name(pretrained: str) -> str:
    """SHA-256 of a file, the name of anything else."""
    if not os.path.isfile(pretrained):
        return pretrained
    digest = hashlib.sha256()
    with open(pretrained, 'rb') as stream:
        for block in iter(lambda: stream.read(1 << 20), b''):
            digest.update(block)
    return f'sha256:{digest.hexdigest()}'


def main(argv=None) -> int:
    """Build the bank and say what it is."""
    args = parse_args(argv)
    find_pretrain3d()
    from pretrain3d.label_spaces.text_bank import TextBank, stand_in_bank
    from pretrain3d.label_spaces.texts import all_texts
    texts = list(dict.fromkeys([*all_texts(), *args.text]))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if args.stand_in:
        bank = stand_in_bank(texts)
    else:
        import importlib.metadata
        encode = clip_encoder(args.model, args.pretrained or '')
        rows = average_templates(encode, texts, args.template)
        checkpoint = 'random weights' if args.random_weights else checkpoint_name(args.pretrained)
        bank = TextBank(tuple(texts), rows, dict(
            encoder=f'open_clip {args.model}', checkpoint=checkpoint, templates=list(args.template),
            channels=rows.shape[1], open_clip=importlib.metadata.version('open-clip-torch')))
    bank.save(args.out)
    print(f'{args.out}: {len(texts)} texts, {bank.embeddings.shape[1]} channels, {bank.source}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
