"""Entropy coding: arrays and integers only, compiled by numba (clause 8.9).

``arithmetic`` codes binary decisions, ``mixing`` predicts them; the native coders use both. Every function is
a *kernel*, written in the restricted Python of clause 4.6, and the specification prints its source. Kernels
take arrays, whose types are in ``arrays``, and integers; their arguments are validated in ``coders``.
"""
