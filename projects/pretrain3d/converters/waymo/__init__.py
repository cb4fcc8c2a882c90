"""Waymo's Perception v2 release, real or drawn: range images in parquet files into clouds, labels and lists.

Below ROOT, the folder with ``training`` and ``validation`` (and ``testing``), ``tools/data/waymo.py`` writes

* ``points/<split>/<segment>/<timestamp>.bin``: (N, 5) float32 x y z intensity elongation. Vehicle frame of the frame's
  time stamp (metres; x forward, y left, z up, origin on the ground below the rear axle), corrected for the vehicle's
  motion while the LiDAR turned. Intensity and elongation are raw, as the file has them: the release's intensity is
  not bounded (mostly below 1, retroreflectors in the thousands; take tanh of it), a drawn street's lies in [0, 1].
* ``labels/<split>/<segment>/<timestamp>.label``: (N,) uint8 raw class, 0 undefined, 1 ... 22 as in Waymo22.
* ``waymo_infos_train.pkl``, ``_val.pkl``, ``_test.pkl``: the frames in mmdet3d's form, see :mod:`.infos`; ``lidars``
  of the list's metainfo and ``num_top_points`` of its frames say whose points they hold.

``<split>`` is training, validation or testing, ``<segment>`` the segment's context name, ``<timestamp>`` microseconds.
Of the five LiDARs only the top one is labelled, and only some of its frames are: these frames are converted, with the
points of the top LiDAR (``lidars='top'``) or of all five (``'all'``).

Order of points: of the top LiDAR first the pixels of the first return that have a range, row by row (highest beam
first), columns from behind the vehicle clockwise; then those of the second return in the same order. With ``'all'``
FRONT, SIDE_LEFT, SIDE_RIGHT and REAR follow, each in this order, class 0. So the first ``num_top_points`` of a frame
are those that ``'top'`` gives, byte by byte; Waymo's challenge wants the classes of these and of no others.

The released preprocessing (Pointcept) always takes all five. Its points are the same, the side LiDARs' without a pose
of their pixels and without labels (-1, ignored) as here. It differs in the order, first returns of all five and then
second returns of all five, so that a submission has to be cut out by masks, in computing in float32, and in tanh of the
intensity, which is taken while loading here.

No label zones (fourth channel) are about boxes: neither waymo-open-dataset nor Pointcept looks at them for
segmentation, and neither do we. Points in them stay, with the class that the file has, which is 0 where nobody
labelled them, and that is ignored.
"""
