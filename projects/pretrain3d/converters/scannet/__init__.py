"""ScanNet v2, real or drawn by ``worlds.rooms``."""
