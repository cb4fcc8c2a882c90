"""Pictures of predictions by matplotlib alone; importing this registers the hook that draws them."""
from .detection_picture import Camera, Frame, draw_detections
from .picture_hook import DetectionPictureHook

__all__ = ['Camera', 'DetectionPictureHook', 'Frame', 'draw_detections']
