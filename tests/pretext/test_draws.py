"""Draws by sample: independent of the batch, different by seed and stream."""
import torch

from mmdet3d.structures import Det3DDataSample
from pretrain3d.pretext.draws import draw, make_generator, sample_seeds


def test_a_samples_numbers_depend_on_its_seed_and_the_stream_alone():
    scene = torch.tensor([0, 0, 0, 2, 2])
    numbers = draw(scene, 3, [5, 6, 7], 2000)
    assert numbers.dtype == torch.float64 and numbers.shape == (5, ) and ((0 <= numbers) & (numbers < 1)).all()
    assert torch.equal(draw(torch.tensor([0, 0]), 1, [7], 2000), numbers[3:])
    assert torch.equal(draw(torch.tensor([1, 1, 1]), 2, [9, 5], 2000), numbers[:3])
    assert not torch.equal(draw(scene, 3, [5, 6, 7], 2001), numbers)
    assert not torch.equal(draw(scene, 3, [4, 6, 7], 2000)[:3], numbers[:3])


def test_seeds_are_wider_than_32_bits():
    first, second = (torch.rand(4, generator=make_generator(seed, 3)) for seed in (1, 1 + 2**32))
    assert not torch.equal(first, second)


def test_without_seeds_the_global_generator_draws():
    scene = torch.zeros(4, dtype=torch.int64)
    torch.manual_seed(0)
    first = draw(scene, 1, [None], 1)
    assert not torch.equal(draw(scene, 1, [None], 1), first)
    torch.manual_seed(0)
    assert torch.equal(draw(scene, 1, [None], 1), first) and make_generator(None, 1) is None


def test_seeds_of_samples():
    samples = [Det3DDataSample(metainfo=dict(voxel_seed=4)), Det3DDataSample()]
    assert sample_seeds(samples, 2) == [4, None] and sample_seeds(None, 2) == sample_seeds([], 2) == [None, None]
