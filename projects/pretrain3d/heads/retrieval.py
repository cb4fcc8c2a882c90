"""How often a point finds its match: what contrastive methods log."""
import torch
from torch import Tensor

# Anchors whose best key is looked up; more would cost as much as the loss.
RETRIEVED = 256


@torch.no_grad()
def retrieval(query: Tensor, key: Tensor, scene: Tensor, key_rows: Tensor) -> Tensor:
    """Share of up to 256 evenly spaced queries of this rank whose nearest key within their scene is their own.

    Args:
        query, key: (M, C), row i of one matches row i of the other.
        scene: (M,) the scene of each pair.
        key_rows: (M,) what each key is; keys may repeat, so it is this that counts.
    """
    picked = torch.arange(0, len(query), max(1, -(-len(query) // RETRIEVED)), device=query.device)
    if len(picked) == 0:
        return query.new_zeros(())
    likeness = query[picked] @ key.T
    likeness = likeness.masked_fill(scene[picked, None] != scene, float('-inf'))
    hits = key_rows[likeness.argmax(1)] == key_rows[picked]
    return hits.to(query.dtype).mean()
