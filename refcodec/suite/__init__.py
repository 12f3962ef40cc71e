"""The conformance suite: its manifest, its vectors and its runner (Annex B).

    manifest --streams--> decoder under test --bytes, or a rejection--> verdicts --> reports

``manifest`` loads what a suite promises; ``runner`` holds a decoder to it, through the contract of
``contract``; ``reports`` writes down what came out. ``assemble``, ``derive``, ``valid``, ``invalid``
and ``generate`` make the vectors.
"""
