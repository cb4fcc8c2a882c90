"""The logged share of matches found, against a loop."""
import pytest
import torch

from pretrain3d.heads.retrieval import RETRIEVED, retrieval


def pairs(count, seed=0, scenes=3):
    generator = torch.Generator().manual_seed(seed)
    scene = torch.randint(scenes, (count, ), generator=generator).sort().values
    key_rows = torch.randint(max(1, count // 2), (count, ), generator=generator) + 1000 * scene
    table = torch.randn(5000, 4, generator=generator)
    key = table[key_rows]
    return key + 0.8 * torch.randn(count, 4, generator=generator), key, scene, key_rows


@pytest.mark.parametrize('count', [1, 40, RETRIEVED, 3 * RETRIEVED + 1])
def test_share_of_found_keys(count):
    query, key, scene, key_rows = pairs(count)
    step = -(-count // RETRIEVED)
    hits = []
    for i in range(0, count, step):
        own = [j for j in range(count) if scene[j] == scene[i]]
        best = max(own, key=lambda j: float(query[i] @ key[j]))
        hits.append(key_rows[best] == key_rows[i])
    found = retrieval(query, key, scene, key_rows)
    assert found == pytest.approx(float(torch.stack(hits).float().mean()))
    assert count == 1 or 0 < found < 1


def test_nothing_to_find():
    query, key, scene, key_rows = pairs(0)
    assert retrieval(query, key, scene, key_rows) == 0
