"""The method on hand-made batches: losses by their formulas, gradients, learning, prompts, bad input."""
import pytest
import torch
from mmengine.registry import init_default_scope
from msc_batches import SMALL, model_config, two_views

from mmdet3d.registry import MODELS
from pretrain3d.datasets.sparse_batch import voxel_positions
from pretrain3d.heads import info_nce
from pretrain3d.point_prompt_training.cross_masks import cross_masks
from pretrain3d.point_prompt_training.view_matching import match_views
from pretrain3d.pretext import Encoded

NORMAL = dict(normal_dims=(3, 4, 5), normal_weight=1.)
DOMAINS = ('ScanNet', 'S3DIS', 'Structured3D')


def build(seed=0, **config):
    init_default_scope('mmdet3d')
    torch.manual_seed(seed)
    return MODELS.build(model_config(**config))


def processed(model, batch):
    return model.data_preprocessor(batch, training=True)


def corrupted(model, data):
    head = model.heads['msc']
    clean = {name: view['voxels'] for name, view in data['inputs']['views'].items()}
    return head.corrupt_views(clean, data['inputs'], data['data_samples'])


def slow_losses(head, views, clean, xyz, seeds):
    """The three losses by loops over rows, float64."""
    scene = [one['coors'][:, 0].long() for one in clean]
    rows = [view.sparse['clean_rows'] for view in views]
    pairs = match_views(xyz[0][rows[0]], xyz[1][rows[1]], scene[0][rows[0]], scene[1][rows[1]], len(seeds), seeds,
                        **head.matching)
    query, key = ([view.features[row] / view.features[row].norm() for row in column]
                  for view, column in zip(views, pairs.T.tolist()))
    contrast = 0
    for i, one in enumerate(query):
        logits = torch.stack([one @ other / 0.4 for other in key])
        contrast = contrast - logits.log_softmax(0)[i] / len(query)
    error = dict(color=[], normal=[])
    for view, one, row in zip(views, clean, rows):
        for i in view.mask.nonzero()[:, 0].tolist():
            truth = one['voxels'][row[i]].double()
            guess = head.restore['color'](view.features[i])
            error['color'].append(sum((guess[c] - truth[c]) ** 2 for c in range(3)))
            guess, normal = head.restore['normal'](view.features[i]), truth[3:]
            error['normal'].append(1 - (guess @ normal) / (guess.norm() * normal.norm()))
    return dict(loss_contrast=contrast, **{f'loss_{name}': sum(one) / len(one) for name, one in error.items()})


@pytest.mark.parametrize('mix_prob', [0., 1.])
def test_losses_are_their_formulas(mix_prob):
    model = build(mix_prob=mix_prob, pairs_per_scene=60, **NORMAL)
    head = model.heads['msc'].double()
    data = processed(model, two_views((150, 120)))
    clean = [data['inputs']['views'][name]['voxels'] for name in head.views]
    made = corrupted(model, data)
    views = []
    for name in head.views:
        sparse, mask = made[name]
        views.append(Encoded(torch.randn(len(mask), 8, dtype=torch.float64), sparse, mask))
    xyz = [voxel_positions(data['inputs']['views'][name]['xyz_world'], one) for name, one in zip(head.views, clean)]
    found = head.loss(dict(zip(head.views, views)), data['inputs'], data['data_samples'])
    wanted = slow_losses(head, views, clean, xyz, [0, 1])
    assert found['matches'] == 60 if not mix_prob else 20 < found['matches'] <= 60
    for name, value in wanted.items():
        assert found[name].dtype == torch.float64
        torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-10)


def test_gradients_are_right():
    model = build(mix_prob=1., pairs_per_scene=8, **NORMAL)
    head = model.heads['msc'].double()
    data = processed(model, two_views((40, 30)))
    made = corrupted(model, data)
    sizes = [len(made[name][1]) for name in head.views]

    def total(*features):
        views = {name: Encoded(one, *made[name]) for name, one in zip(head.views, features)}
        losses = head.loss(views, data['inputs'], data['data_samples'])
        return sum(value for name, value in losses.items() if 'loss' in name)

    features = [torch.randn(size, 8, dtype=torch.float64, requires_grad=True) for size in sizes]
    assert torch.autograd.gradcheck(total, features)


def test_the_normal_is_learnt_not_its_opposite():
    """The released loss adds the cosine: a perfect guess then costs most."""
    head = build(**NORMAL).heads['msc']
    from pretrain3d.point_prompt_training.masked_scene_contrast_head import _normal_error
    normal = torch.nn.functional.normalize(torch.randn(50, 3), dim=1)
    normal[7] = 0  # a point without a normal
    for sign, cost in ((3., 0.), (-3., 2.)):
        total, count = _normal_error(sign * normal + torch.eye(50, 3) * 0, normal)
        assert count == 49 and total / count == pytest.approx(cost, abs=1e-5)
    assert set(head.restore) == {'color', 'normal'}


def test_weights_scale_and_leave_out():
    batch = two_views((150, 120))
    plain = build(**NORMAL)
    first = plain(**processed(plain, batch), mode='loss')
    scaled = build(contrast_weight=0.5, color_weight=2., normal_dims=(3, 4, 5), normal_weight=0.25)
    second = scaled(**processed(scaled, batch), mode='loss')
    for name, weight in (('contrast', 0.5), ('color', 2.), ('normal', 0.25)):
        torch.testing.assert_close(second[f'msc.loss_{name}'], weight * first[f'msc.loss_{name}'])
    bare = build(color_weight=0.)
    assert {name for name in bare(**processed(bare, batch), mode='loss') if 'loss' in name} == {'msc.loss_contrast'}
    assert not list(bare.heads['msc'].restore.parameters())


def test_masked_voxels_hold_the_token_and_their_own_features_are_kept():
    model = build(mix_prob=0.)
    data = processed(model, two_views())
    head, masks = model.heads['msc'], []
    clean = {name: view['voxels']['voxels'].clone() for name, view in data['inputs']['views'].items()}
    for name, (sparse, mask) in corrupted(model, data).items():
        before = data['inputs']['views'][name]['voxels']
        assert torch.equal(before['voxels'], clean[name]) and 'clean_rows' not in before
        assert (sparse['voxels'][mask] == head.mask_token).all() and 0.2 < mask.float().mean() < 0.6
        assert torch.equal(sparse['voxels'][~mask], clean[name][~mask])
        masks.append(mask)
    xyz = tuple(voxel_positions(view['xyz_world'], view['voxels']) for view in data['inputs']['views'].values())
    scene = tuple(view['voxels']['coors'][:, 0].long() for view in data['inputs']['views'].values())
    wanted = cross_masks(xyz, scene, 2, [0, 1], head.patch_size, head.mask_rate)
    assert all(map(torch.equal, masks, wanted))
    assert head.mask_token.abs().max() < 0.05 and head.mask_token.std() > 0.005


def test_it_learns():
    """Losses fall, and voxels of scenes that were not trained on find their matches."""
    model = build(voxel_size=0.2, pairs_per_scene=64, radius=0.1, loss=dict(type='PointInfoNCELoss', temperature=0.1))
    held_out = processed(model, two_views((200, 200), seed=9))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

    def retrieved():
        with torch.no_grad():
            return float(model(**held_out, mode='loss')['msc.retrieval'])

    before, curve = retrieved(), []
    for step in range(60):
        optimizer.zero_grad()
        losses = model(**processed(model, two_views((200, 200), seed=1 + step % 4)), mode='loss')
        total, log = model.parse_losses(losses)
        total.backward()
        optimizer.step()
        curve.append([log['msc.loss_contrast'], log['msc.loss_color']])
    start, end = torch.tensor(curve[:4]).mean(0), torch.tensor(curve[-4:]).mean(0)
    after = retrieved()
    print(start, end, before, after)
    assert end[0] < 0.85 * start[0] and end[1] < 0.5 * start[1]
    assert after > before + 0.1 and after > 8 / 64  # by chance 1 / 64


def prompted(**config):
    return build(backbone=dict(type='PromptedBackbone', backbone=SMALL, domains=list(DOMAINS), channels=16), **config)


@pytest.mark.parametrize('domains', [('S3DIS', ) * 3, ('ScanNet', 'S3DIS', 'S3DIS')], ids=['single', 'mixed'])
def test_a_prompted_backbone_trains(domains):
    model = prompted(mix_prob=1.)
    data = processed(model, two_views((200, 150, 150), domains=domains))
    start = {name: value.clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):  # the modulations start at 0, so prompts learn from the second step on
        optimizer.zero_grad()
        total, _ = model.parse_losses(model(**data, mode='loss'))
        total.backward()
        optimizer.step()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        absent = name.rpartition('.')[2] in DOMAINS and name.rpartition('.')[2] not in domains
        assert torch.equal(start[name], parameter) == absent, name
    sizes = {name: one[0]['batch_size'] for name, one in corrupted(
        model, processed(model, two_views((200, 150, 150), domains=domains))).items()}
    assert sizes == dict(view0=2, view1=3)  # the pair (0, 1) only where it is of one domain


def test_domains_of_mixed_scenes_reach_the_backbone():
    model, seen = prompted(mix_prob=1.), []
    model.encoder.register_forward_pre_hook(lambda module, args: seen.append(args[0]['domains']))
    data = processed(model, two_views((90, 80, 70, 60), domains=('ScanNet', 'S3DIS', 'S3DIS', 'S3DIS')))
    model(**data, mode='loss')
    assert seen == [['ScanNet', 'S3DIS', 'S3DIS'], ['ScanNet', 'S3DIS', 'S3DIS', 'S3DIS']]
    with pytest.raises(Exception, match='Structured3D'):  # the known ones are named
        model(**processed(model, two_views((90, ), domains=('Kitchen', ))), mode='loss')


def test_without_domains_several_prompts_are_an_error():
    model = prompted()
    with pytest.raises(Exception, match='which domain'):
        model(**processed(model, two_views((90, 80))), mode='loss')


def test_negatives_come_from_all_scenes():
    model = build(mix_prob=0.)
    head, data = model.heads['msc'], processed(model, two_views((150, 120)))
    asked = {}
    head.criterion.forward = lambda query, key, scene, num_scenes: asked.update(
        query=query, key=key, scene=scene, num_scenes=num_scenes) or query.sum()
    model(**data, mode='loss')
    assert set(asked['scene'].tolist()) == {0, 1} and asked['num_scenes'] == 2
    torch.testing.assert_close(asked['query'].norm(dim=1), torch.ones(len(asked['query'])))
    with torch.no_grad():
        one = MODELS.build(dict(type='PointInfoNCELoss', temperature=0.4))(asked['query'], asked['key'])
        torch.testing.assert_close(one, info_nce(asked['query'], asked['key'], 0.4).mean())


@pytest.mark.parametrize('sizes', [(0, 0), (0, 150), (1, 0)])
def test_scenes_without_points(sizes):
    model = build(**NORMAL)
    total, log = model.parse_losses(model(**processed(model, two_views(sizes)), mode='loss'))
    total.backward()
    assert torch.isfinite(total) and all(torch.isfinite(value) for value in log.values())
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_the_same_draws_whatever_the_global_generator_holds():
    model, results = build(), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        data = processed(model, two_views())
        results.append([float(value) for value in model(**data, mode='loss').values()])
    assert results[0] == results[1]


def test_half_precision_leaves_the_losses_in_float32():
    model = build(**NORMAL)
    data = processed(model, two_views())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model(**data, mode='loss')
    assert all(value.dtype == torch.float32 and torch.isfinite(value) for value in losses.values())


def test_bad_input():
    model = build()
    data = processed(model, two_views())
    narrow = build(voxel_channels=3, backbone=dict(SMALL, in_channels=3))
    with pytest.raises(ValueError, match='6 features.*voxel_channels is 3'):
        narrow(**data, mode='loss')
    data['inputs']['views']['view1'].pop('xyz_world')
    with pytest.raises(KeyError, match='KeepWorldCoordinates.*point_keys'):
        model(**data, mode='loss')


@pytest.mark.parametrize('config, words', [
    (dict(mask_rate=0.6), 'mask_rate'), (dict(radius=0), 'radius'), (dict(mix_prob=2), 'mix_prob'),
    (dict(normal_weight=1.), 'normal_dims'), (dict(color_dims=(0, 1, 9)), 'color_dims'),
    (dict(views=['a']), 'two views')])
def test_wrong_configs(config, words):
    with pytest.raises(ValueError, match=words):
        build(**config)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_a_gpu_masks_mixes_and_matches_as_the_cpu():
    made = {}
    for device in ('cpu', 'cuda'):
        model = build(mix_prob=0.6, **NORMAL).to(device)
        data = processed(model, two_views((400, 300, 200, 350)))
        losses = model(**data, mode='loss')
        made[device] = corrupted(model, data), losses
    for name, (sparse, mask) in made['cpu'][0].items():
        other, hidden = made['cuda'][0][name]
        assert torch.equal(mask, hidden.cpu()) and torch.equal(sparse['coors'], other['coors'].cpu())
        assert torch.equal(sparse['clean_rows'], other['clean_rows'].cpu())
        torch.testing.assert_close(sparse['voxels'], other['voxels'].cpu())
    for name, value in made['cpu'][1].items():
        torch.testing.assert_close(value, made['cuda'][1][name].cpu(), rtol=1e-3, atol=1e-3)
