"""Pictures of scans for people to look at, drawn with numpy and Pillow alone: no window, no GPU, no mmdet3d."""
