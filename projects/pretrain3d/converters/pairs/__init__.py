"""Pairs of overlapping RGB-D frames: back-projected clouds, their overlap and their matching points."""
