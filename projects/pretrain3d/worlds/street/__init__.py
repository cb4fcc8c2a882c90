"""Drawn streets: a driving ego with LiDAR and six cameras among traffic, for the layout of nuScenes and its like."""
