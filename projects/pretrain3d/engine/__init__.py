"""What drives a run: hooks, weight transfer, determinism, CPU support.

Kept lazy on purpose: ``engine.compat`` has to run before anything that imports mmcv's operators, so this file
registers through :func:`pretrain3d.register_all`, which imports ``engine`` last and ``engine.compat`` first.
"""
