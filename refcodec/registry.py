"""The table of payload coders: every fact about a coder, in one record.

Configurations, profiles, constraints, labels of the suite, the command line, the documentation and the tests
derive their lists from here. To add a coder, add a record and the module that it names, which holds a
``PAYLOAD_CODER`` (see ``coders.protocol``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from refcodec.errors import CallerError
from refcodec.syntax.codes import Coder, Profile, Quantiser

__all__ = [
    "CODERS",
    "LARGEST_QP",
    "QUANTISERS",
    "CoderRecord",
    "coder_named",
    "profile_coders",
    "record_of",
    "suggest",
]


@dataclass(frozen=True, slots=True)
class CoderRecord:
    """One payload coder.

    coder_id       : code point (C.1).
    summary        : description in a few words, for help and documentation.
    module         : module of its implementation, imported when it is first used.
    clauses        : clauses of its decoding process, that of the coder itself first.
    profiles       : profiles that include it (A.2).
    quantisers     : quantisers that it can be combined with.
    integers       : true if it codes the integer source types, without a quantiser.
    largest_bits   : most bits per sample of a quantiser.
    largest_qp     : largest qp; None if it has no QP.
    eighths        : true if a QP may be given in eighths (qp_eighths).
    batchable      : true if several features may share a unit.
    tokens         : true if it codes tokens, whose number differs from feature to feature.
    restorable     : true if statistics restoration may follow it (8.5).
    needs_hash     : true if a sample hash is mandatory (9.3).
    resumes        : true if a predicted feature can be decoded from the samples of the previous one alone.
    video          : true if channels are tiles of frames of another standard, with its headers (8.4, 9.3).
    compiled       : true if it has kernels, which are compiled when they are first used.
    has_model      : true if its parameter sets name an entropy model (8.3.9).
    contexts_id    : code point of parameter sets that name a context model (8.3.14); None if none may.
    written_by     : what determines the bytes of a payload: the ``specification``, a ``library``, or an
                     ``encoder`` whose choices may differ from machine to machine.
    options        : encoder options that have an effect with it, and their defaults.
    choices        : allowed values of options that take one of a few words or numbers.
    """

    coder_id: Coder
    summary: str
    module: str
    clauses: tuple[str, ...]
    profiles: frozenset[Profile]
    quantisers: frozenset[Quantiser]
    integers: bool = False
    largest_bits: int = 16
    largest_qp: int | None = None
    eighths: bool = False
    batchable: bool = True
    tokens: bool = True
    restorable: bool = True
    needs_hash: bool = False
    resumes: bool = False
    video: bool = False
    compiled: bool = False
    has_model: bool = False
    contexts_id: Coder | None = None
    written_by: Literal["specification", "library", "encoder"] = "specification"
    options: Mapping[str, Any] = field(default_factory=dict)
    choices: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name in configurations, labels and on the command line: ``native-lossless``."""
        return self.coder_id.name.lower().replace("_", "-")

    @property
    def coder_ids(self) -> tuple[Coder, ...]:
        """All of its code points: that without a context model first."""
        return (self.coder_id,) if self.contexts_id is None else (self.coder_id, self.contexts_id)

    @property
    def lossless(self) -> bool:
        """True if, without a quantiser, it codes the source values bit for bit."""
        return Quantiser.NONE in self.quantisers

    @property
    def signals_qp(self) -> bool:
        """True if coded features have a QP."""
        return self.largest_qp is not None


_ALL = frozenset(Profile)
_INTEGERS = frozenset({Quantiser.UNIFORM, Quantiser.LOGARITHMIC})

_TRANSFORMABLE = _INTEGERS | {Quantiser.TRANSFORM}

_SAMPLES: dict[str, Any] = {"quantiser": "uniform", "range": "tensor", "clip": None}
"""Options of coders of integer samples."""

_TRANSFORMED: dict[str, Any] = {
    **_SAMPLES,
    "bits": 16,
    "qp": 32,
    "restoration": "auto",
    "model": None,
    "model_apart": False,
    "target_size": None,
    "target_snr": None,
    "batch": None,
    "workers": None,
}
"""Options of the coders with the native transform."""

_RESTORATIONS = ("auto", "off", "mean", "channel")

_FRAMES: dict[str, Any] = {
    **_SAMPLES,
    "ffmpeg": None,
    "workers": None,
    "timeout": None,
    "bits": 10,
    "qp": 32,
    "restoration": "auto",
    "packing": "tile",
    "order": None,
    "preset": "medium",
}
"""Options of the coders of channels as video."""

_FRAME_RESTORATIONS = ("auto", "off", "tensor", "channel")

_FRAME_PRESETS = ("faster", "fast", "medium", "slow", "slower")

_VIDEO: dict[str, Any] = {
    "video": True,
    "batchable": False,
    "tokens": False,
    "needs_hash": True,
    "written_by": "library",
}
"""Facts on the coders of channels as video."""


def _byte_coder(coder_id: Coder, summary: str, *clauses: str) -> CoderRecord:
    shuffled = {"shuffle": False} if coder_id != Coder.RAW else {}
    return CoderRecord(
        coder_id,
        summary,
        module="refcodec.coders.lossless",
        clauses=("8.3.1", *clauses),
        profiles=_ALL,
        quantisers=_INTEGERS | {Quantiser.NONE},
        integers=True,
        written_by="library" if clauses else "specification",
        options={**_SAMPLES, "quantiser": "none", "bits": 10, "batch": None, **shuffled},
    )


_RECORDS = (
    CoderRecord(
        Coder.NATIVE,
        "block transforms and context-mixing arithmetic coding",
        module="refcodec.coders.native.coder",
        contexts_id=Coder.NATIVE_CONTEXTS,
        clauses=("8.3.7",),
        profiles=frozenset({Profile.NATIVE}),
        quantisers=_TRANSFORMABLE,
        largest_qp=63,
        eighths=True,
        resumes=True,
        restorable=False,
        compiled=True,
        written_by="encoder",
        options={
            **_TRANSFORMED,
            "speed": "default",
            "dependent": False,
            "gop": 0,
            "token_gain": False,
            "contexts": None,
        },
        choices={"restoration": _RESTORATIONS, "speed": ("fast", "default", "best")},
    ),
    CoderRecord(
        Coder.NATIVE_LOSSLESS,
        "floating-point numbers, bit for bit",
        module="refcodec.coders.native_lossless.coder",
        clauses=("8.3.8",),
        profiles=frozenset({Profile.NATIVE}),
        quantisers=frozenset({Quantiser.NONE}),
        compiled=True,
        options={"quantiser": "none", "speed": "default", "batch": None, "workers": None},
        choices={"speed": ("fast", "default")},
    ),
    CoderRecord(
        Coder.NATIVE_STATIC,
        "block transforms and static tables, for real time",
        module="refcodec.coders.native_static.coder",
        clauses=("8.3.11",),
        profiles=frozenset({Profile.REALTIME}),
        quantisers=_TRANSFORMABLE,
        largest_qp=63,
        eighths=True,
        restorable=False,
        compiled=True,
        written_by="encoder",
        options={**_TRANSFORMED, "substreams": 1},
        choices={"restoration": _RESTORATIONS},
    ),
    CoderRecord(
        Coder.HEVC,
        "channels as monochrome frames, through ffmpeg",
        module="refcodec.coders.hevc",
        clauses=("8.3.6", "8.4.1", "8.4.2", "9.3.1", "9.3.2"),
        profiles=frozenset({Profile.HEVC}),
        quantisers=_INTEGERS,
        largest_bits=12,
        largest_qp=51,
        options={**_FRAMES, "gop": 0, "lossless": False},
        choices={"restoration": _FRAME_RESTORATIONS},
        **_VIDEO,
    ),
    CoderRecord(
        Coder.VVC,
        "channels as monochrome intra frames, through ffmpeg; slow",
        module="refcodec.coders.vvc",
        clauses=("8.3.12", "9.10.1", "9.10.2"),
        profiles=frozenset({Profile.VVC}),
        quantisers=_INTEGERS,
        largest_bits=10,
        largest_qp=63,
        options=_FRAMES,
        choices={"restoration": _FRAME_RESTORATIONS, "preset": _FRAME_PRESETS},
        **_VIDEO,
    ),
    CoderRecord(
        Coder.AV1,
        "channels as monochrome still pictures, through ffmpeg",
        module="refcodec.coders.av1",
        clauses=("8.3.13", "9.11.1", "9.11.2"),
        profiles=frozenset({Profile.AV1}),
        quantisers=_INTEGERS,
        largest_bits=12,
        largest_qp=51,
        options=_FRAMES,
        choices={"restoration": _FRAME_RESTORATIONS, "preset": _FRAME_PRESETS},
        **_VIDEO,
    ),
    _byte_coder(Coder.ZLIB, "zlib, at its default effort", "8.3.2"),
    _byte_coder(Coder.GZIP, "gzip, at its default effort", "8.3.3"),
    _byte_coder(Coder.BZIP2, "bzip2, at its default effort", "8.3.4"),
    _byte_coder(Coder.LZMA, "LZMA2 in an xz stream, at its default effort", "8.3.5"),
    _byte_coder(Coder.RAW, "uncompressed samples"),
    CoderRecord(
        Coder.LEARNED,
        "integer latents under an entropy model",
        module="refcodec.coders.learned.coder",
        clauses=("8.3.9", "8.10.1", "8.10.5"),
        profiles=frozenset({Profile.LEARNED}),
        quantisers=frozenset({Quantiser.LATTICE, Quantiser.NONE}),
        integers=True,
        tokens=False,
        restorable=False,
        compiled=True,
        has_model=True,
        options={
            "quantiser": "lattice",
            "step": 1.0,
            "offset": 0.0,
            "model": None,
            "model_apart": False,
            "analysis": None,
            "joint": False,
            "substreams": 1,
            "batch": None,
        },
    ),
)

CODERS: Mapping[str, CoderRecord] = {one.name: one for one in _RECORDS}
"""All coders by name, in the order in which help lists them; the first is the default."""

_BY_ID = {coder_id: one for one in _RECORDS for coder_id in one.coder_ids}

LARGEST_QP: Mapping[str, int] = {
    name: one.largest_qp for name, one in CODERS.items() if one.largest_qp is not None
}
"""Largest QP of the coders that have QPs, by name."""


QUANTISERS = {
    "uniform": Quantiser.UNIFORM,
    "log": Quantiser.LOGARITHMIC,
    "lattice": Quantiser.LATTICE,
    "transform": Quantiser.TRANSFORM,
    "none": Quantiser.NONE,
}
"""Quantisers by their names in configurations."""


def record_of(coder_id: Coder) -> CoderRecord:
    """The record of a code point that this version defines."""
    return _BY_ID[coder_id]


def coder_named(name: str) -> CoderRecord:
    """The record of a name. Raises CallerError for a name that no coder has."""
    if name not in CODERS:
        raise CallerError(
            f"coder is {name!r}; it is one of {', '.join(CODERS)}", hint=suggest(name, CODERS)
        )
    return CODERS[name]


@cache
def profile_coders() -> Mapping[Profile, frozenset[Coder]]:
    """The payload coders of each profile (A.2)."""
    profiles = sorted({profile for one in _RECORDS for profile in one.profiles})
    return {
        profile: frozenset(
            coder_id for one in _RECORDS if profile in one.profiles for coder_id in one.coder_ids
        )
        for profile in profiles
    }


def suggest(name: object, known: Iterable[str]) -> str:
    """The hint ``did you mean ...?`` for a name that is close to a known one, else ''."""
    near = difflib.get_close_matches(str(name), list(known), 1)
    return f"did you mean {near[0]}?" if near else ""
