"""Metrics and probes that mmdet3d lacks."""
from .detection_metric import NuScenesInfoMetric  # noqa: F401
from .domain_metrics import DomainMeanIoUMetric  # noqa: F401
from .dump_segmentation import DumpSegmentation  # noqa: F401
from .instance_metric import ScanNetInstanceMetric  # noqa: F401
from .nuscenes_metric import NuScenesDevkitMetric  # noqa: F401
from .seg_metric import MeanIoUMetric  # noqa: F401
