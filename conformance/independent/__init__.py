"""A second decoder of Deep Feature Coding, written from the text of the specification alone.

It imports the standard library and numpy, nothing of the reference software, and has no encoder. It is
slow and meant to be read: two decoders that agree on every vector, bit for bit, show that the text says
what the reference software does. It decodes the profiles lossless, hevc, native, learned (but for
networks) and realtime. ``ERRATA.md`` lists where the text did not suffice.

    python -m independent INPUT OUTPUT        # in the folder conformance
    python -m independent.check SUITE_FOLDER  # every vector of a suite
"""
