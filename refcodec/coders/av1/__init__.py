"""The AV1 coder: channels as monochrome still pictures of AV1 (clauses 8.3.13 and 9.11).

A payload holds one OBU for each frame of its feature; parameter_sets is the sequence header. ``checks`` is
clause 9.11, ``encoding`` runs libaom, ``steps`` has its quantisers, ``headers`` shows the headers of OBUs.
The rest is that of every video standard.
"""

from __future__ import annotations

from refcodec.coders.av1.checks import check_frames, check_sequence_header, check_units
from refcodec.coders.av1.encoding import RUN, encode_with
from refcodec.coders.av1.headers import show_headers
from refcodec.coders.ffmpeg import AV1_PROGRAM
from refcodec.coders.video.coder import VideoCoder
from refcodec.coders.video.portions import at_depth

__all__ = ["PAYLOAD_CODER"]

PAYLOAD_CODER = VideoCoder(
    AV1_PROGRAM,
    RUN,
    check_sets=check_sequence_header,
    check_units=check_units,
    check_slices=check_frames,
    show_headers=show_headers,
    encode_frames=at_depth(encode_with),
)
