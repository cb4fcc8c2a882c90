"""Loading of earlier LiDAR sweeps that says what is wrong with their files."""
import numpy as np

from mmdet3d.datasets.transforms import LoadPointsFromMultiSweeps
from mmdet3d.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadSweepsChecked(LoadPointsFromMultiSweeps):
    """``LoadPointsFromMultiSweeps`` with an error for a sweep that is missing, truncated or not finite.

    A sweep without points is legal and adds none. Keys and arguments are those of ``LoadPointsFromMultiSweeps``.
    """

    def _load_points(self, pts_filename: str) -> np.ndarray:
        """Flat float32 array of a sweep, whole points only.

        Raises:
            FileNotFoundError: The file is missing.
            ValueError: The file is truncated or holds NaN or infinite coordinates.
        """
        try:
            flat = super()._load_points(pts_filename)
        except FileNotFoundError:
            raise FileNotFoundError(
                f"sweep file {pts_filename} does not exist: complete the download, check data_prefix['sweeps'], or "
                'take such sweeps out of the infos (tools/data/nuscenes_extras.py --on-missing leave-out)') from None
        except ValueError as error:  # numpy: buffer size must be a multiple of element size
            raise ValueError(self._torn(pts_filename)) from error
        if flat.size % self.load_dim:
            raise ValueError(self._torn(pts_filename))
        if not np.isfinite(flat.reshape(-1, self.load_dim)[:, :3]).all():
            raise ValueError(f'sweep file {pts_filename} has points with NaN or infinite coordinates: copy it again')
        return flat

    def _torn(self, path: str) -> str:
        return (f'sweep file {path} does not hold whole points of {self.load_dim} float32 values: it is truncated '
                f'(copy it again), or load_dim={self.load_dim} is wrong')
