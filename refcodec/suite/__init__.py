"""The conformance suite: its manifest, its vectors and its runner (Annex B).

    manifest --streams--> decoder under test --bytes, or a rejection--> verdicts --> reports

``manifest`` loads what a suite promises; ``runner`` holds a decoder to it, through the contract of
``contract``; ``reports`` writes down what came out.

    definitions --encode, or edit an origin--> streams --derive--> manifest

``define`` makes vectors of the functions in ``valid`` and ``invalid``; ``assemble`` edits streams, in the
short forms of ``edits``; ``native`` writes payloads of chosen content; ``derive`` reads labels and hashes
from a stream; ``generate`` writes the suite, and checks it.
"""
