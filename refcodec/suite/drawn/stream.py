"""Whole streams: a random walk over the syntax from a profile, a level and a seed.

    drawn = draw_stream(Profile.LOSSLESS, 1, seed=7)
    drawn.stream, drawn.features

The same arguments give the same bytes on every machine; with the profiles ``hevc`` and ``av1``, those of
one version of x265 or libaom. The walk takes no decision of the encoder: elements are drawn from their
declarations, payloads are content that coders' encoding halves write down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from refcodec.coders.protocol import Samples
from refcodec.decoder import Feature
from refcodec.errors import CallerError
from refcodec.registry import CODERS, CoderRecord, coder_named
from refcodec.suite.drawn.chance import Chance
from refcodec.suite.drawn.parameter_sets import Budget
from refcodec.suite.drawn.walk import Walk
from refcodec.syntax.codes import Profile, Quantiser
from refcodec.syntax.units import build_stream_header

__all__ = ["GENERATOR", "WALK", "Drawn", "coders_of", "draw_stream"]

GENERATOR = 3
"""Version of the walk: another one draws other streams from the same seeds.

Version 2 adds tokens to one stream in four, and version 3 transforms over channels, dependent quantisation
and gains of tokens to one in four where the profile has them; the others are those of version 1.
"""

WALK = 1
"""What choices are seeded with, beside profile, level and seed: the version that began them."""

_MOST_ELEMENTS = 2048
"""Elements of a feature, as a rule: a stream decodes within milliseconds."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A stream and its features, samples and reconstruction of each, as they were coded."""

    stream: bytes
    features: list[tuple[Samples, Feature]]


def coders_of(profile: Profile, names: Sequence[str] = ()) -> list[CoderRecord]:
    """The coders of a profile that have these names; all of them without names.

    Raises CallerError for a name of no coder, or of one that the profile does not have.
    """
    own = [record for record in CODERS.values() if profile in record.profiles]
    for name in names:
        if coder_named(name) not in own:
            raise CallerError(
                f"the profile {profile.name.lower()} has no coder {name}",
                hint=f"its coders are {', '.join(one.name for one in own)}; {name} is of the profile "
                + " or ".join(one.name.lower() for one in sorted(coder_named(name).profiles)),
            )
    return [one for one in own if not names or one.name in names]


def draw_stream(
    profile: Profile,
    level: int,
    seed: int,
    *,
    coders: Sequence[str] = (),
    ffmpeg: str | None = None,
) -> Drawn:
    """Draw a stream.

    level  : the highest; the stream may have a lower one.
    coders : names of the coders to draw; none for all of the profile.
    ffmpeg : program for HEVC and AV1; None for the bundled one.

    Raises EnvironmentFault where video is drawn and there is no program for it; CallerError where VVC is,
    and as `coders_of`.
    """
    chance = Chance("stream", WALK, profile.name, level, seed)
    walk = Walk(chance, Budget(_MOST_ELEMENTS, level), ffmpeg)
    chosen = coders_of(profile, coders)
    if CODERS["vvc"] in chosen:
        raise CallerError(
            "payloads of vvc are not drawn: vvenc refuses frames that do not compress",
            hint="draw the other coders of the profile, or give features to code",
        )
    own = [record for record in chosen if len(record.profiles) == 1]
    walk.begin()
    for _ in range(chance.choose([1, 1, 1, 2, 2, 3]) if chance.below(40) else 0):
        walk.group(chance.choose(own if own and chance.below(3) else chosen))
    if chance.one_in(50) and CODERS["raw"] in chosen:
        walk.many()
    # choices of their own, so that streams without tokens, or without those tools, stay as they were
    extra = Chance("tokens", WALK, profile.name, level, seed)
    coding = [record for record in chosen if record.tokens]
    if coding and extra.one_in(4):
        walk.tokens(extra, extra.choose(coding))
    extra = Chance("tools", WALK, profile.name, level, seed)
    transforming = [record for record in chosen if Quantiser.TRANSFORM in record.quantisers]
    if transforming and extra.one_in(4):
        walk.tools(extra, extra.choose(transforming))
    walk.end()
    declared = chance.between(walk.level, level)
    return Drawn(build_stream_header(profile, declared) + b"".join(walk.units), walk.features)
