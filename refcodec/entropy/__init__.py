"""Entropy coding: arrays and integers only, compiled by numba (clauses 8.9 and 8.10).

``arithmetic`` codes binary decisions, ``mixing`` predicts them; the native coders use both. ``static`` has tables,
under which ``rans`` and ``vectors`` code symbols, ``model_bits`` codes tables, and ``symbols`` is the way in to
them; the learned coder uses these. Every function of the first six is
a *kernel*, written in the restricted Python of clause 4.6, and the specification prints its source. Kernels
take arrays, whose types are in ``arrays``, and integers; their arguments are validated in ``coders``.
"""
