"""Streams, unit by unit: the parsing process (8.1, 8.2) and the constraints of clause 9.

``parsing`` turns one unit into a record, ``walk`` goes through all of them, ``directory`` finds single ones.
Constraints are generators of errors, one module per subject: ``limits`` (Annex A), ``order`` (9.1),
``parameter_sets`` and ``features`` (9.2), ``metadata`` (9.4), ``index`` (9.5), ``versions`` (9.6).
"""
