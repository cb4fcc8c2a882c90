"""Indoor lists against the published ids."""
from pretrain3d.label_spaces import NYU40, get_label_space


def test_nyu40_ids_of_scannet():
    space = get_label_space('ScanNet20')
    expected = {1: 'wall', 2: 'floor', 3: 'cabinet', 4: 'bed', 5: 'chair', 6: 'sofa', 7: 'table', 8: 'door',
                9: 'window', 10: 'bookshelf', 11: 'picture', 12: 'counter', 14: 'desk', 16: 'curtain',
                24: 'refrigerator', 28: 'shower curtain', 33: 'toilet', 34: 'sink', 36: 'bathtub',
                39: 'otherfurniture'}
    assert {raw: space.classes[index] for raw, index in space.raw_to_index.items()} == expected
    assert len(NYU40) == 40 and len({name for name, _ in NYU40}) == 40


def test_structured3d_order_and_ids():
    space = get_label_space('Structured3D25')
    order = ('wall floor cabinet bed chair sofa table door window picture desk shelves curtain dresser pillow mirror '
             'ceiling refrigerator television nightstand sink lamp otherstructure otherfurniture otherprop')
    assert ' '.join(space.classes) == order
    raw = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 14, 15, 16, 17, 18, 19, 22, 24, 25, 32, 34, 35, 38, 39, 40]
    assert space.map_raw(raw).tolist() == list(range(25))
    assert space.map_raw([0, 10, 12, 13, 20, 41]).tolist() == [25] * 6


def test_s3dis_order_is_that_of_its_protocol():
    space = get_label_space('S3DIS13')
    order = 'ceiling floor wall beam column window door table chair sofa bookcase board clutter'
    assert ' '.join(space.classes) == order
    assert space.map_raw([0, 12, 13]).tolist() == [0, 12, 13]
