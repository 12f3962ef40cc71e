"""Encoding: features to coded features. Nothing here is normative.

``features`` converts and checks features, ``parameter_sets`` makes their feature parameter sets. ``encoding``
quantises features, signals their parameters and has them coded, with the help of ``targets`` (the QP for a
size or an error) and ``restoration`` (statistics for the decoder to restore). ``refcodec.writer``
puts the result into a stream.
"""
