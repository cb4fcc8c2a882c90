"""nuScenes, real or drawn: mmdet3d's own converter in a folder it can work in, and what it leaves out of the infos."""
