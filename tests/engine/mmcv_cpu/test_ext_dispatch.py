"""Which implementation runs beside compiled mmcv: by device, and never ours where the compiled one has a kernel."""
import types

import pytest
import torch

from pretrain3d.engine import mmcv_cpu as ext
from pretrain3d.engine.mmcv_cpu.dispatch import CUDA_ONLY, install_over_compiled


@pytest.fixture
def fake(mended_ops):
    """A pretended compiled extension whose functions say their names."""
    module = types.ModuleType('_ext')
    for name in ext.__all__:
        if name not in ('STAND_IN', 'install_over_compiled'):
            setattr(module, name, lambda *args, _name=name, **kwargs: f'compiled {_name}')
    install_over_compiled(module)
    return module


def test_functions_with_a_cpu_kernel_stay_compiled(fake):
    kept = set(ext.__all__) - set(CUDA_ONLY) - {'STAND_IN', 'install_over_compiled', 'hard_voxelize_forward'}
    assert {'nms', 'nms_rotated', 'box_iou_rotated', 'dynamic_voxelize_forward', 'roi_align_forward'} < kept
    for name in kept:
        assert getattr(fake, name)(torch.zeros(1)) == f'compiled {name}'


def test_functions_without_one_run_ours_on_cpu_alone(fake, rng):
    here, away = torch.rand(1, 8, 3, generator=rng), torch.zeros(1, 8, 3, device='meta')
    for name in CUDA_ONLY:
        assert getattr(fake, name)(away) == f'compiled {name}'
        assert getattr(fake, name)() == f'compiled {name}'
        assert getattr(fake, name).compiled is not None
    index = torch.full((1, 2), -1, dtype=torch.int32)
    args = dict(temp_tensor=torch.full((1, 8), 1e10), idx_tensor=index, b=1, n=8, m=2)
    assert fake.furthest_point_sampling_forward(here, **args) is None and index[0, 0] == 0
    assert fake.furthest_point_sampling_forward(points_tensor=here, **args) is None


def test_hard_voxelisation_is_ours_for_the_order_that_has_no_cpu_kernel(fake):
    points = torch.zeros(1, 3)
    args = (points, torch.ones(3), torch.tensor([-1., -1, -1, 1, 1, 1]), torch.zeros(1, 1, 3),
            torch.zeros(1, 3, dtype=torch.int), torch.zeros(1, dtype=torch.int), torch.zeros((), dtype=torch.long))
    limits = dict(max_points=1, max_voxels=1, NDim=3)
    assert fake.hard_voxelize_forward(*args, **limits) == 'compiled hard_voxelize_forward'
    assert fake.hard_voxelize_forward(*args, **limits, deterministic=True) == 'compiled hard_voxelize_forward'
    elsewhere = fake.hard_voxelize_forward(points.to('meta'), *args[1:], **limits, deterministic=False)
    assert elsewhere == 'compiled hard_voxelize_forward'
    assert fake.hard_voxelize_forward(*args, **limits, deterministic=False) is None and args[-1] == 1
    assert fake.hard_voxelize_forward(*args, 1, 1, 3, False) is None


def test_installing_twice_changes_nothing(fake):
    before = dict(vars(fake))
    install_over_compiled(fake)
    assert dict(vars(fake)) == before


def test_the_stand_in_is_not_wrapped(mended_ops):
    before = ext.knn_forward
    install_over_compiled(ext)
    assert ext.knn_forward is before


@pytest.mark.full
def test_the_list_of_functions_without_a_cpu_kernel_is_right(compiled, rng):
    """The compiled operator refuses CPU tensors for every listed name; mmcv.ops reaches ours instead."""
    calls = {
        'ball_query_forward': (*[torch.zeros(1, 2, 3)] * 2, torch.zeros(1, 2, 2).int(), 1, 2, 2, 0., 1., 2),
        'iou3d_nms3d_forward': (torch.ones(2, 7), torch.zeros(2).long(), torch.zeros(()).long(), .5),
        'iou3d_boxes_overlap_bev_forward': (torch.ones(2, 7), torch.ones(2, 7), torch.zeros(2, 2)),
        'dynamic_point_to_voxel_forward': (torch.ones(2, 3), torch.zeros(2, 3).int(), 'max'),
        'points_in_boxes_all_forward': (torch.ones(1, 2, 7), torch.ones(1, 2, 3), torch.zeros(1, 2, 2).int()),
        'points_in_boxes_part_forward': (torch.ones(1, 2, 7), torch.ones(1, 2, 3), torch.zeros(1, 2).int()),
        'sigmoid_focal_loss_forward': (torch.ones(2, 3), torch.zeros(2).long(), torch.zeros(0), torch.ones(2, 3), 2.,
                                       .25),
        'three_nn_forward': (*[torch.zeros(1, 4, 3)] * 2, torch.zeros(1, 4, 3), torch.zeros(1, 4, 3).int(), 1, 4, 4),
        'diff_iou_rotated_sort_vertices_forward': (torch.zeros(1, 1, 24, 2), torch.zeros(1, 1, 24).bool(),
                                                   torch.zeros(1, 1).int()),
    }
    import mmcv._ext as extension
    assert set(calls) <= set(CUDA_ONLY)
    for name, args in calls.items():
        with pytest.raises(RuntimeError, match='not implemented on|not compiled|implementation'):
            getattr(compiled, name)(*args)
        getattr(extension, name)(*args)
