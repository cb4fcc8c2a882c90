"""Turn a dataset's download, or a world drawn in its layout, into the files that mmdet3d's datasets read."""
