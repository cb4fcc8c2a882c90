"""What the tests of this folder run on every rank."""
import test_segmentation_head
import text_criteria_ranks


def on_rank(rank, world_size):
    return dict(segmentation=test_segmentation_head.parts_of_a_batch(rank, world_size),
                criteria=text_criteria_ranks.on_rank(rank, world_size))
