"""Entropy models: distributions of latents as integer tables (clauses 8.10.4 and 8.10.5).

``coding`` reads and writes the tables of a model, ``freezing`` makes them of counts, ``model`` is what
callers see, and ``store`` finds models that a stream names without holding them.
"""
