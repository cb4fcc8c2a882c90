"""Contact sheets of S3DIS rooms, as they lie on disk and converted."""
import pickle
import shutil

import numpy as np
import pytest
from pretrain3d.converters.batch import SceneError
from pretrain3d.label_spaces import get_label_space
from pretrain3d.pictures.scans import choose, is_furniture, open_scans
from pretrain3d.pictures.sheet import draw_sheet, sheet_size

SPACE = get_label_space('S3DIS13')


def test_world_and_conversion_show_the_same_rooms(drawn_s3dis):
    world, converted = open_scans(drawn_s3dis.world), open_scans(drawn_s3dis.converted)
    assert (world.kind, converted.kind) == ('S3DIS layout', 'converted S3DIS')
    assert [name.replace('/', '_') for name in world.names] == converted.names and len(world.names) == 7
    for raw, ready in zip(choose(world, None, 2), choose(converted, None, 2)):
        one, other = world.read(raw), converted.read(ready)
        assert one.space is other.space is SPACE and one.split == other.split
        np.testing.assert_allclose(one.xyz, other.xyz, atol=1e-4)
        np.testing.assert_array_equal(one.rgb, other.rgb)
        np.testing.assert_array_equal(one.label, other.label)
        assert [box[1:] for box in one.boxes] == [box[1:] for box in other.boxes]
    assert world.read([name for name in world.names if name.startswith('Area_5')][0]).split == 'val'


def test_a_sheet_shows_the_classes_and_looks_under_the_ceiling(drawn_s3dis):
    scans = [open_scans(drawn_s3dis.converted).read(name) for name in open_scans(drawn_s3dis.converted).names[:1]]
    sheet = draw_sheet(scans, 'title')
    assert sheet.size == sheet_size(1)
    pixels = np.asarray(sheet).reshape(-1, 3).astype(int)

    def share(name):
        colour = np.array(SPACE.palette[SPACE.index(name)])
        unit = colour / np.linalg.norm(colour)
        along = pixels @ unit
        return (np.abs(pixels - along[:, None] * unit).max(1) < 6)[(along > 100)].mean()

    # The floor's colour is seen in the label panel; the ceiling's in the legend alone.
    assert share('floor') > 10 * share('ceiling') > 0
    furniture = is_furniture(np.arange(14), SPACE)
    assert [SPACE.classes[label] for label in range(13) if not furniture[label]] == ['ceiling', 'floor', 'wall']
    assert not furniture[13]


def test_damaged_conversions_name_the_file(drawn_s3dis, tmp_path):
    root = shutil.copytree(drawn_s3dis.converted, tmp_path / 'c')
    name = open_scans(root).names[0]
    (root / 'semantic_mask' / f'{name}.bin').write_bytes(np.full(3, 99).tobytes())
    with pytest.raises(SceneError, match=f'semantic_mask/{name}.bin do not fit'):
        open_scans(root).read(name)
    (root / 'points_normals' / f'{name}.bin').unlink()
    with pytest.raises(SceneError, match='is missing; convert again with tools/data/s3dis.py'):
        open_scans(root).read(name)
    path = root / 's3dis_infos_Area_1.pkl'
    infos = pickle.loads(path.read_bytes())
    infos['data_list'][0]['instances'] = [dict(bbox_3d=[1], bbox_label_3d=0)]
    path.write_bytes(pickle.dumps(infos))
    with pytest.raises(SceneError, match='s3dis_infos_Area_1.pkl: not an info file'):
        open_scans(root)
