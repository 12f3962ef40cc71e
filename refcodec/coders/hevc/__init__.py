"""The HEVC coder: channels as monochrome frames in an HEVC elementary stream (clauses 8.3.6 and 9.3).

A payload holds the slices of its feature's frames, one NAL unit per frame. ``checks`` is clause 9.3,
``encoding`` runs x265, ``headers`` shows the headers of NAL units; the rest is that of every video standard.
"""

from __future__ import annotations

from refcodec.coders.ffmpeg import HEVC_PROGRAM
from refcodec.coders.hevc.checks import check_parameter_sets, check_slices, check_units
from refcodec.coders.hevc.encoding import RUN, encode_frames
from refcodec.coders.hevc.headers import show_headers
from refcodec.coders.video.coder import VideoCoder

__all__ = ["PAYLOAD_CODER"]

PAYLOAD_CODER = VideoCoder(
    HEVC_PROGRAM,
    RUN,
    check_sets=check_parameter_sets,
    check_units=check_units,
    check_slices=check_slices,
    show_headers=show_headers,
    encode_frames=encode_frames,
)
