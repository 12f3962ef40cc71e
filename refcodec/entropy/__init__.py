"""Entropy coding: arrays and integers only, compiled by numba (clauses 8.9 and 8.10).

``arithmetic`` codes binary decisions, ``mixing`` predicts them; the native coders use both. ``static`` has
tables, under which ``rans`` and ``vectors`` code symbols, ``model_bits`` codes the tables themselves, and
``symbols`` calls these for the learned coder. Every function, save those of ``symbols``, is a *kernel*,
written in the restricted Python of clause 4.6, and the specification prints its source. Kernels take arrays,
whose types are in ``arrays``, and integers; their arguments are validated in ``coders``.
"""
