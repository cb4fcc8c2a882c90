"""Contrastive Scene Contexts, and PointContrast: contrast points between two partial views of one scene."""
