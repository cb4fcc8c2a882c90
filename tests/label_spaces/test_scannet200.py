"""ScanNet200 against rows of the published table."""
import pytest

from pretrain3d.label_spaces import get_label_space

SPACE = get_label_space('ScanNet200')


@pytest.mark.parametrize('index, raw, name, colour', [
    (0, 1, 'wall', (174, 199, 232)), (1, 2, 'chair', (188, 189, 34)), (9, 10, 'office chair', (91, 229, 110)),
    (27, 32, 'clothes', (34, 14, 130)), (28, 33, 'tv', (143, 45, 115)), (60, 70, 'washing machine', (208, 61, 222)),
    (99, 122, 'ladder', (254, 141, 85)), (120, 165, 'mini fridge', (139, 18, 53)),
    (150, 312, 'headphones', (97, 235, 252)), (163, 540, 'mailbox', (229, 32, 114)),
    (172, 1163, 'object', (98, 141, 208)), (187, 1179, 'shower head', (62, 180, 98)),
    (199, 1191, 'mattress', (42, 94, 198))])
def test_rows_of_the_table(index, raw, name, colour):
    assert SPACE.index(name) == index and SPACE.raw_to_index[raw] == index and SPACE.palette[index] == colour


def test_raw_ids_increase_with_the_label():
    raw = [number for number, _ in SPACE.raw_pairs]
    assert raw == sorted(raw) and [index for _, index in SPACE.raw_pairs] == list(range(200))
    assert SPACE.map_raw([12, 20, 25, 1177, 1192, 0]).tolist() == [200] * 6  # ids that the benchmark leaves out


def test_no_class_of_scannet20_is_lost_but_by_name():
    renamed = {'sofa': 'couch', 'otherfurniture': 'furniture'}
    for name in get_label_space('ScanNet20').classes:
        SPACE.index(renamed.get(name, name))
