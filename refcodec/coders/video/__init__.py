"""The common part of the coders of channels as video (clauses 8.3.6, 8.4 and 9.2).

The parameter sets of the elementary stream are stored once, in the feature parameter set; a payload holds the
frames of its feature. Both make a byte stream that any decoder of the standard can decode. ``coder`` is the
coder but for what a standard decides, ``frames`` goes from payloads to channels, ``runs`` divides features
among runs of ffmpeg, ``portions`` codes frames of one QP together, ``grid`` checks the tiles.
"""
