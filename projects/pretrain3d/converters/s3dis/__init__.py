"""S3DIS, the aligned release or a drawn world, into the files mmdet3d's S3DIS datasets read."""
