"""Entropy coding: arrays and integers only, compiled by numba (clause 8.9).

``arithmetic`` codes decisions, ``mixing`` predicts them; the native coders are made of both. Every function
is a *kernel*, written in the restricted Python of clause 4.6 and printed in the specification as it runs.
Kernels take arrays and integers, whose types ``arrays`` names; the functions that validate are in ``coders``.
"""
