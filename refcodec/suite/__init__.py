"""The conformance suite: its manifest, its vectors and its runner (Annex B).

    manifest --streams--> decoder under test --bytes, or a rejection--> verdicts --> reports

``manifest`` loads the expected results of a suite. ``run`` runs decoders over it, as commands, as servers
or in this process, and judges what they write; ``report`` writes runs and claims down, and compares them;
``export`` makes suites for other runners. ``encoders`` judges encoders by their streams, ``fidelity``
evaluations by their figures.

    definitions --encode, or edit an origin--> streams --derive--> manifest

``make.define`` turns the functions in ``valid`` and ``invalid`` into vectors; ``assemble`` edits streams,
in the short forms of ``make.edits``; ``make.native`` writes payloads of chosen content; ``derive`` reads
labels and hashes from a stream; ``generate`` writes the suite, and checks it. ``text`` writes streams as
text and back.

    seed --walk over the declarations--> stream --both judges agree--> suite of drawn streams

``drawn`` makes streams without end, with ``make.mutations`` for one defect each; ``agreement`` compares
decoder and validator.
"""
