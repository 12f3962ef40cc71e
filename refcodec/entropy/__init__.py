"""Entropy coding: arrays and integers only, compiled by numba (clause 8.9).

Every function here is a *kernel*, written in the restricted Python of clause 4.6 and printed in the
specification as it runs. Kernels take arrays and integers; the friendly functions that validate stand in
``coders``.
"""
