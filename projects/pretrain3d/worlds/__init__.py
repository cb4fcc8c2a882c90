"""Procedural scenes written in the real datasets' on-disk formats.

They prove that the software works; they are never reported as a dataset's result. Nothing here imports mmdet3d, so
that drawing a world takes seconds (tools set ``PRETRAIN3D_LIGHT=1``).
"""
