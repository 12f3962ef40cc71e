"""The VVC coder: channels as monochrome intra frames in a VVC elementary stream (clauses 8.3.12 and 9.10).

A payload holds, for each frame of its feature, the adaptation parameter sets of its filters and one slice.
``checks`` is clause 9.10, ``encoding`` runs vvenc, ``headers`` shows the headers of NAL units; the rest is
that of every video standard.
"""

from __future__ import annotations

from refcodec.coders.ffmpeg import VVC_PROGRAM
from refcodec.coders.video.coder import VideoCoder
from refcodec.coders.video.portions import at_depth
from refcodec.coders.vvc.checks import check_parameter_sets, check_slices, check_units
from refcodec.coders.vvc.encoding import RUN, encode_with
from refcodec.coders.vvc.headers import show_headers

__all__ = ["PAYLOAD_CODER"]

PAYLOAD_CODER = VideoCoder(
    VVC_PROGRAM,
    RUN,
    check_sets=check_parameter_sets,
    check_units=check_units,
    check_slices=check_slices,
    show_headers=show_headers,
    encode_frames=at_depth(encode_with),
)
