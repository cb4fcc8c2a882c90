"""Furnished rooms, written as ScanNet lies on disk."""
