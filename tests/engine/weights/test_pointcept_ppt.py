"""Checkpoints of Point Prompt Training: the logits of the released classes, by names of domains and classes."""
import copy
from collections import OrderedDict

import numpy as np
import pytest
import torch
from ppt_reference import (CASES, FIXTURE, INDOOR, NARROW, PROMPT, VARIABLE, WIDTH, build_reference, load_reference,
                           reference_logits, reference_root, scene, stored)

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS
from pretrain3d.engine.weights import WeightsError, get_mapping, load_weights, ppt_mapping, released_text_bank
from pretrain3d.engine.weights.pointcept_ppt import SPACES
from pretrain3d.label_spaces import get_label_space, stand_in_bank

BACKBONE = dict(type='SpUNet', in_channels=3, base_channels=4, encoder_channels=NARROW['channels'][:2],
                decoder_channels=NARROW['channels'][2:], encoder_blocks=NARROW['layers'][:2],
                decoder_blocks=NARROW['layers'][2:])


def ours(domains, bank=None, legacy=True, **prompts):
    """Our segmentor, its domains in an order that is nobody else's."""
    domains = sorted(domains)
    head = dict(type='DecoupledHead') if bank is None else dict(
        type='LanguageGuidedHead', text_bank=bank, legacy_order=['S3DIS'] if legacy and 'S3DIS' in domains else [])
    return MODELS.build(dict(
        type='DomainSegmentor',
        backbone=dict(type='PromptedBackbone', backbone=BACKBONE, domains=domains, channels=PROMPT, **prompts),
        decode_head=dict(head, in_channels=WIDTH, label_spaces={name: SPACES[name] for name in domains}))).eval()


def save(state, tmp_path):
    """As Pointcept does: behind 'module.', beside the state of the optimiser."""
    torch.save(dict(epoch=3, state_dict=OrderedDict((f'module.{key}', value) for key, value in state.items())),
               tmp_path / 'released.pth')
    return str(tmp_path / 'released.pth')


def logits(model, sparse):
    with torch.no_grad():
        return {name: model.decode_head(model.backbone(dict(sparse, domains=[name] * 2)), name)
                for name in model.backbone.prompts.names}


def compare(weights, wanted, case, tmp_path):
    """Largest difference of the logits, by the logit scale of the head."""
    bank = None
    if 'class_embedding' in weights:
        bank = str(tmp_path / 'bank.npz')
        released_text_bank(weights).save(bank)
    model = ours(wanted, bank)
    kind = 'outdoor' if 'outdoor' in case else 'indoor'
    load_weights(model, save(weights, tmp_path), mapping=f'pointcept_ppt_{kind}', min_matched=1.)
    found = logits(model, scene())
    assert found.keys() == wanted.keys() and len(found) == 3
    spread = [float((wanted[a] - wanted[b]).abs().max()) for a, b in [sorted(wanted)[:2]]
              if wanted[a].shape == wanted[b].shape]
    assert all(value > 0.1 for value in spread)
    scale = 100. if bank else 1.
    assert all(value.abs().max() > 0.05 * scale for value in wanted.values())
    return max(float((found[name] - value).abs().max()) for name, value in wanted.items()) / scale


@pytest.mark.parametrize('case', CASES)
def test_fixture(case, tmp_path):
    with np.load(FIXTURE) as fixture:
        weights, wanted = stored(fixture, case, 'weight'), stored(fixture, case, 'logits')
    assert compare(weights, wanted, case, tmp_path) < 1e-5


@pytest.mark.parametrize('case', CASES)
def test_reference_class(case, tmp_path):
    root = reference_root()
    if root is None:
        pytest.skip(f'set {VARIABLE} to a checkout of github.com/Pointcept/Pointcept to compare with its classes')
    model = build_reference(load_reference(root), case, seed=5)
    assert compare(model.state_dict(), reference_logits(model, scene()), case, tmp_path) < 1e-5


def of_case(case):
    with np.load(FIXTURE) as fixture:
        return stored(fixture, case, 'weight'), stored(fixture, case, 'logits')


def test_a_legacy_class_comes_under_its_right_name(tmp_path):
    """Column of a label: the words of another class in the checkpoint, the name of the label in our head."""
    weights, wanted = of_case('indoor language')
    released_text_bank(weights).save(tmp_path / 'bank.npz')
    bank = str(tmp_path / 'bank.npz')
    model, path = ours(wanted, bank), save(weights, tmp_path)
    load_weights(model, path, mapping='pointcept_ppt_indoor')
    head, names = model.decode_head, get_label_space('S3DIS13').classes
    assert head.class_names['S3DIS'] == names and head.texts('S3DIS')[0] == 'wall' and names[0] == 'ceiling'
    features = model.backbone(dict(scene(), domains=['S3DIS'] * 2))
    for label, name in enumerate(names):  # what the released model calls label i is the class of that name here
        column = head(features, 'S3DIS')[:, get_label_space('S3DIS13').index(name)]
        assert (column - wanted['S3DIS'][:, label]).abs().max() < 1e-3
    correct = ours(wanted, bank, legacy=False)
    with pytest.raises(RuntimeError, match=r"legacy_order=\['S3DIS'\]"):
        load_weights(correct, path, mapping='pointcept_ppt_indoor')
    correct.decode_head.projection.load_state_dict(head.projection.state_dict())
    assert ((correct.decode_head(features, 'S3DIS') - wanted['S3DIS']).abs().amax(0) > 1).sum() == 11
    assert torch.equal(correct.decode_head(features, 'ScanNet'), head(features, 'ScanNet'))
    with pytest.raises(RuntimeError, match='trained with the text bank'):
        load_weights(ours(wanted, 'hashed-ngrams'), path, mapping='pointcept_ppt_indoor', min_matched=0.5)


@pytest.mark.parametrize('names', [('ScanNet',), ('S3DIS',), ('S3DIS', 'ScanNet')])
def test_some_of_the_domains(names, tmp_path):
    """For fine-tuning on them: everything of them arrives, or that of the encoder alone."""
    weights, wanted = of_case('indoor language')
    released_text_bank(weights).save(tmp_path / 'bank.npz')
    model, path = ours(names, str(tmp_path / 'bank.npz')), save(weights, tmp_path)
    load_weights(model, path, mapping='pointcept_ppt_indoor', min_matched=1.)
    found = logits(model, scene())
    assert set(found) == set(names) and all((found[name] - wanted[name]).abs().max() < 1e-3 for name in names)
    other = ours(names, 'hashed-ngrams')
    load_weights(other, path, mapping='pointcept_ppt_indoor', rename=[(r'^backbone\.', '')], target='backbone',
                 min_matched=1.)
    for name in names:
        sparse = dict(scene(), domains=[name] * 2)
        with torch.no_grad():
            assert torch.equal(other.backbone(sparse), model.backbone(sparse))


def test_text_bank_of_a_checkpoint():
    for case, count in (('indoor language', 36), ('outdoor language', 37)):
        weights, _ = of_case(case)
        bank = released_text_bank(weights)
        assert len(bank.texts) == count and bank.embeddings.shape[1] == 16
        assert np.abs(bank.rows(['bicycle' if count == 37 else 'sofa'])[0]
                      - weights['class_embedding'][1 if count == 37 else 5].numpy()).max() < 1e-6
    weights['class_embedding'][19 + 16 + get_label_space('Waymo22').index('road')] *= -1
    with pytest.raises(WeightsError, match="two rows of class_embedding for 'road'"):
        released_text_bank(weights)
    with pytest.raises(WeightsError, match='no rows in class_embedding.*a decoupled one needs none'):
        released_text_bank(of_case('indoor decoupled')[0])


def test_adding_and_folding_a_domain_of_converted_weights(tmp_path):
    """Converted prompts are prompts like others."""
    from pretrain3d.backbones import add_domain, fold_domain
    weights, _ = of_case('indoor decoupled')
    model = ours(('ScanNet', 'S3DIS', 'Structured3D'))
    load_weights(model, save(weights, tmp_path), mapping='pointcept_ppt_indoor')
    sparse = dict(scene(), domains=['S3DIS'] * 2)
    with torch.no_grad():
        wanted = model.backbone(sparse)
        folded = fold_domain(model.backbone, 'S3DIS')(scene())
        add_domain(model.backbone, 'another', like='S3DIS')
        again = model.backbone(dict(sparse, domains=['another'] * 2))
    assert (folded - wanted).abs().max() < 1e-5 * wanted.abs().max() and torch.allclose(again, wanted)


def test_other_domains_and_names():
    weights, _ = of_case('indoor decoupled')
    backbone, wrapper = ('ScanNet', 'S3DIS', 'Structured3D'), ('Structured3D', 'ScanNet', 'S3DIS')
    rename = dict(Structured3D='Mine')
    own = ppt_mapping([rename.get(name, name) for name in wrapper], [rename.get(name, name) for name in backbone])
    plain, mine = get_mapping('pointcept_ppt_indoor')(weights), own(weights)
    assert [key.replace('Mine', 'Structured3D') for key in mine] == list(plain)
    assert all(torch.equal(a, b) for a, b in zip(plain.values(), mine.values()))


def test_bad_checkpoints():
    indoor, outdoor = get_mapping('pointcept_ppt_indoor'), get_mapping('pointcept_ppt_outdoor')
    with pytest.raises(WeightsError, match='seg_heads.0 has 19 classes, Structured3D has 25.*pointcept_ppt_outdoor'):
        indoor(of_case('outdoor decoupled')[0])
    with pytest.raises(WeightsError, match='36 rows in class_embedding, but the outdoor recipes have 57 words'):
        outdoor(of_case('indoor language')[0])
    with pytest.raises(WeightsError, match="no 'embedding_table.weight'"):
        indoor(OrderedDict({'backbone.conv.weight': torch.zeros(1)}))
    weights, _ = of_case('indoor decoupled')
    with pytest.raises(WeightsError, match=r'3 domains, the mapping is for 2 \(A, B\).*ppt_mapping'):
        ppt_mapping('AB', 'BA')(weights)
    with pytest.raises(WeightsError, match=r"\['D', 'E', 'F'\].*same names"):
        ppt_mapping(INDOOR.get('conditions', 'ABC'), 'DEF')(copy.copy(weights))
    same = copy.deepcopy(of_case('outdoor decoupled')[0])
    same['embedding_table.weight'][1] = same['embedding_table.weight'][0]
    with pytest.raises(WeightsError, match='depend on each other'):
        outdoor(same)
    fewer = OrderedDict((key, value) for key, value in weights.items() if 'conv_input.bn.bns.2' not in key)
    with pytest.raises(WeightsError, match='stem.norm has the statistics of 2 domains, but 3 were named'):
        indoor(fewer)
    plain = OrderedDict((key.replace('.bns.', '.x.'), value) for key, value in weights.items()
                        if 'modulation' not in key)
    with pytest.raises(WeightsError, match='pointcept_spunet'):
        indoor(plain)


def test_masked_scene_contrast(tmp_path):
    """Backbone and layers beside it; that of normals, which learnt their opposite, turned round."""
    root = reference_root()
    if root is None:
        pytest.skip(f'set {VARIABLE} to a checkout of github.com/Pointcept/Pointcept to compare with its classes')
    torch.manual_seed(0)
    reference = load_reference(root)['MSC-v1m1'](
        dict(NARROW, type='SpUNet-v1m1', num_classes=0), 3, WIDTH, reconstruct_normal=True).eval()
    model = MODELS.build(dict(
        type='MaskedSceneContrast', backbone=BACKBONE,
        head=dict(in_channels=WIDTH, voxel_channels=3, color_dims=(0, 1, 2), normal_dims=(0, 1, 2),
                  normal_weight=1.))).eval()
    load_weights(model, save(reference.state_dict(), tmp_path), mapping='pointcept_msc', min_matched=1.)
    sparse = scene()
    counts = torch.bincount(sparse['coors'][:, 0].long())
    with torch.no_grad():
        wanted = reference.backbone(dict(grid_coord=sparse['coors'][:, 1:], feat=sparse['voxels'],
                                         offset=counts.cumsum(0)))
        found = model.encoder(sparse)
        assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max()
        head = model.heads['msc']
        assert torch.equal(head.mask_token, reference.mask_token)
        assert torch.equal(head.restore['color'](wanted), reference.color_head(wanted))
        assert torch.equal(head.restore['normal'](wanted), -reference.normal_head(wanted))


def test_names_of_masked_scene_contrast():
    state = OrderedDict({'module.backbone.conv_input.0.weight': torch.zeros(1), 'module.mask_token': torch.ones(1, 3),
                         'module.color_head.weight': torch.ones(3, 4), 'module.normal_head.bias': torch.ones(3)})
    made = get_mapping('pointcept_msc')(state)
    assert set(made) == {'backbone.stem.conv.weight', 'heads.msc.mask_token', 'heads.msc.restore.color.weight',
                         'heads.msc.restore.normal.bias'}
    assert made['heads.msc.restore.normal.bias'].tolist() == [-1, -1, -1]
    with pytest.raises(WeightsError, match="no 'mask_token'.*pointcept_spunet"):
        get_mapping('pointcept_msc')(OrderedDict({'backbone.conv_input.0.weight': torch.zeros(1)}))
    with pytest.raises(WeightsError, match='not a Pointcept SpUNet'):
        get_mapping('pointcept_msc')(OrderedDict({'mask_token': torch.zeros(1)}))


def test_released_words_are_those_of_our_classes():
    """A bank of our words serves the rows of the released ones, and the other way round."""
    from pretrain3d.label_spaces.texts import RELEASED_INDOOR, class_text, released_rows
    words = {class_text(SPACES[name], each) for name in ('ScanNet', 'S3DIS', 'Structured3D')
             for each in get_label_space(SPACES[name]).classes}
    assert words == set(RELEASED_INDOOR) - {'garbagebin'} and len(RELEASED_INDOOR) == 36
    assert len(released_rows()['outdoor']) == 57
    assert stand_in_bank().indices(released_rows()['outdoor'])
