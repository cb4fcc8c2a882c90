"""mmdet3d's stock models on CPU: forward, backward, an optimiser step and a prediction, from their own configs."""
import os

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper

import pretrain3d  # noqa: F401  mends the stack
from stock_models import CONFIGS, REAL, batch, build, drawn_scene, real_scene, stock_config

SCENES = dict(drawn=drawn_scene, real=real_scene)
CLASSES = dict(centerpoint=10, second=3, pointpillars=3, minkunet=19, fcos3d=10)
# Parts that learn only from objects of their own classes or sizes, of which one scene may have none.
OWN_OBJECTS = ('pts_bbox_head.task_heads.', 'bbox_head.scales.')
needs_frame = pytest.mark.skipif(not os.path.isdir(REAL), reason='no ../shared/real/nuscenes_frame')


def train_step(model, cfg, data) -> dict:
    """Do one training step with the config's own optimiser, check every gradient, return the losses."""
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    model.train()
    prepared = model.data_preprocessor(data, True)
    total, losses = model.parse_losses(model(**prepared, mode='loss'))
    wrapper.backward(total)
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    for name, value in trained.items():
        assert value.grad is not None and torch.isfinite(value.grad).all(), name
    silent = {name for name, value in trained.items() if not value.grad.any()}
    assert all(name.startswith(OWN_OBJECTS) for name in silent), silent
    assert len(silent) < 0.25 * len(trained)
    before = {name: value.detach().clone() for name, value in trained.items()}
    wrapper.step()
    assert {name for name, value in trained.items() if torch.equal(before[name], value)} <= silent
    return {key: float(value) for key, value in losses.items()}


def check_prediction(name, model, data, scene) -> None:
    """Predict, and check that the answer is complete, finite and inside the classes."""
    model.eval()
    sample = model.test_step(data)[0]
    if name == 'minkunet':
        labels = sample.pred_pts_seg.pts_semantic_mask
        assert labels.shape == (len(scene.points), )
    else:
        found = sample.pred_instances_3d
        labels = found.labels_3d
        assert found.bboxes_3d.tensor.shape[1] == (9 if CLASSES[name] == 10 else 7)
        assert torch.isfinite(found.bboxes_3d.tensor).all() and torch.isfinite(found.scores_3d).all()
    assert len(labels) > 0
    assert 0 <= int(labels.min()) and int(labels.max()) < CLASSES[name]


def learn_and_predict(name, scene, reduced) -> None:
    cfg = stock_config(name, reduced)
    model = build(cfg)
    losses = train_step(model, cfg, batch(name, scene, reduced))
    assert len(losses) > 1 and all(np.isfinite(value) for value in losses.values()), losses
    check_prediction(name, model, batch(name, scene, reduced), scene)


@pytest.mark.parametrize('kind', ['drawn', pytest.param('real', marks=needs_frame)])
@pytest.mark.parametrize('name', CONFIGS)
def test_reduced_model_learns_and_predicts(name, kind):
    learn_and_predict(name, SCENES[kind](), reduced=True)


@pytest.mark.full
@pytest.mark.parametrize('kind', ['drawn', pytest.param('real', marks=needs_frame)])
@pytest.mark.parametrize('name', CONFIGS)
def test_full_model_learns_and_predicts(name, kind):
    learn_and_predict(name, SCENES[kind](), reduced=False)


@pytest.mark.parametrize('name', ['minkunet', 'pointpillars'])
def test_same_seed_gives_the_same_losses(name):
    runs = []
    for seed in (1, 1, 2):
        cfg = stock_config(name, reduced=True)
        model = build(cfg, seed)
        runs.append([train_step(model, cfg, batch(name, drawn_scene(), reduced=True)) for _ in range(2)])
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert runs[0][0] != runs[0][1]  # the step between them did something
