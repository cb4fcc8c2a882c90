"""The parts of the rooms demo's report about pre-training: pairs, cells around an anchor, features, curves."""
from pathlib import Path
from typing import List, Sequence

import _demo
import numpy as np

with _demo.light():
    from pretrain3d.converters.pairs.storage import read_frame
    from pretrain3d.pictures import contexts, report
    from pretrain3d.pictures.charts import Series, line_chart
    from pretrain3d.pictures.features import principal_colours
    from pretrain3d.pictures.frame_pairs import FrameCloud, matches, pair_picture
    from pretrain3d.pictures.scans import Converted
    from pretrain3d.pictures.segmentation import SceneDrawing
    from pretrain3d.plain_pickle import load_plain

PAIRS = 2
OVERLAP = 0.5  # of the pairs to show: enough in common, and each has something of its own


def read_config(run: _demo.Run):
    """The config that train.py saved."""
    from mmengine.config import Config
    return Config.fromfile(str(run.folder / 'train' / run.config.name), import_custom_modules=False)


def match_radius(cfg) -> float:
    """Metres within which the pre-training takes points for the same place."""
    return next(step['radius'] for step in cfg.train_dataloader.dataset.pipeline if step['type'] == 'MatchViews')


def pairs(world: Path, run: _demo.Run) -> report.Html:
    """Some pairs of frames, of different rooms, with some of their matches."""
    listed = load_plain(world / 'frame_pairs_train.pkl')['data_list']
    scenes = sorted({pair['scan'] for pair in listed})
    radius, figures = match_radius(read_config(run)), []
    for name in [scenes[pick] for pick in np.unique([len(scenes) // 3, 2 * len(scenes) // 3])][:PAIRS]:
        chosen = min((pair for pair in listed if pair['scan'] == name), key=lambda pair: abs(pair['overlap'] - OVERLAP))
        clouds = [FrameCloud(*read_frame(str(world / chosen[f'{view}_path']))) for view in ('view0', 'view1')]
        first, second = chosen['frames']
        figures.append(report.picture(
            pair_picture(clouds, matches(*clouds, radius)),
            f'{name}, frames {first} and {second}: {100 * chosen["overlap"]:.0f} % of one is in the other'))
    told = (f'{len(listed):,} pairs of overlapping frames of {len(scenes)} training rooms, no labels. Each becomes '
            'a cloud by its depth; poses tell which points are the same place. Lines join some of these matches; grey '
            'is what only one of the two frames saw.')
    return report.section('What it was pre-trained on', report.paragraph(told), report.gallery(figures, len(figures)))


def cells(source: Converted, name: str, run: _demo.Run) -> report.Html:
    """The cells around one anchor in a room, from two sides."""
    import torch
    from pretrain3d.contrastive_scene_contexts import get_partition
    partition = get_partition(read_config(run).model.head.loss.preset)
    scan = source.read(name)
    anchor = contexts.choose_anchor(scan)
    offset = torch.from_numpy(scan.xyz - scan.xyz[anchor])
    ids = partition.cells(*offset.T).long().numpy()
    colours, figures = contexts.cell_colours(ids), []
    axis = scan.axis_align[:3, :3] @ (1, 0, 0)
    shell = partition.shells[0]
    for drawing, circles, caption in (
            (SceneDrawing.of(scan), (), f'{name}: the cells around the white point'),
            (SceneDrawing.of(scan, float(np.arctan2(axis[1], axis[0])), 0.), (shell, ),
             f'the same along the x axis, +y to the right; the circle has {shell:g} m')):
        figures.append(report.picture(drawing.mark(drawing.coloured(colours), anchor, circles), caption))
    told = ('A match is contrasted with the other matches of its scene, cell by cell: every point, as an anchor, parts '
            f'the room into {partition.num_cells} cells by direction and distance, in metres and not in voxels, and '
            'each cell has a softmax of its own. So nearby and far, above and below count alike.')
    return report.section('Scene contexts', report.paragraph(told),
                          report.legend(contexts.cell_names(shell, partition.exclude_radius)),
                          report.gallery(figures, len(figures)))


def curves(run: _demo.Run) -> report.Html:
    """Loss and retrieval of the pre-training."""
    folder = run.folder / 'train'
    charts = [line_chart(title, [Series(run.name, _demo.curve_of(folder, key))], 'pre-training steps', name)
              for title, key, name in (('Contrastive loss, mean over the cells', 'loss', 'loss'),
                                       ('Matches found again', 'contrast.retrieval', 'share'))]
    told = ('Matches found again: the share of points whose nearest feature among all sampled points of the other '
            'frame, some hundreds, is that of their own match.')
    return report.section('How it learnt without labels', report.paragraph(told), report.gallery(charts, 2))


def features(source: Converted, names: Sequence[str], run: _demo.Run, world: Path, seed: int) -> report.Html:
    """Features at every vertex of the rooms ``names`` with random and with pre-trained weights, as colours."""
    import torch
    from pretrain3d.contrastive_scene_contexts.vertex_features import VertexFeatures
    from pretrain3d.engine.weights import load_weights
    torch.manual_seed(seed)
    encoder = VertexFeatures(read_config(run), world)
    files = [source.entries[name][1]['lidar_points']['lidar_path'] for name in names]
    stages: List[List[np.ndarray]] = [principal_colours([encoder(file) for file in files])]
    load_weights(encoder.model, str(_demo.checkpoint_of(run.folder / 'train')), source=encoder.encoder_name,
                 target=encoder.encoder_name, min_matched=1.)
    stages.append(principal_colours([encoder(file) for file in files]))
    figures = []
    for number, name in enumerate(names):
        drawing = SceneDrawing.of(source.read(name))
        figures += [report.picture(drawing.cloud(), name),
                    report.picture(drawing.coloured(stages[0][number]), 'features before: random weights'),
                    report.picture(drawing.coloured(stages[1][number]), 'features after pre-training')]
    told = ('The features of the encoder at every vertex of rooms it never saw, their three main directions as red, '
            'green and blue: what has one colour looks alike to the network. The directions are found anew before and '
            'after, so colours compare within a column, not across.')
    return report.section('What it sees', report.paragraph(told), report.gallery(figures, 3))
