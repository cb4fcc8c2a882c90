"""SemanticKITTI, real or drawn: lists of its sweeps as mmdet3d's datasets read them."""
