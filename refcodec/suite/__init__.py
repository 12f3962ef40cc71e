"""The conformance suite: its manifest, its vectors and its runner (Annex B).

    manifest --streams--> decoder under test --bytes, or a rejection--> verdicts --> reports

``manifest`` loads the expected results of a suite; ``runner`` compares a decoder with them, through the
interface of ``contract``; ``reports`` writes the results.

    definitions --encode, or edit an origin--> streams --derive--> manifest

``define`` turns the functions in ``valid`` and ``invalid`` into vectors; ``assemble`` edits streams, in the
short forms of ``edits``; ``native`` writes payloads of chosen content; ``derive`` reads labels and hashes
from a stream; ``generate`` writes the suite, and checks it.

    seed --walk over the declarations--> stream --both judges agree--> suite of drawn streams

``drawn`` makes streams without end, with ``mutations`` for one defect each; ``agreement`` compares decoder
and validator. ``text`` writes streams as text and back.
"""
