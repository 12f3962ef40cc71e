"""Profile and level of a stream that is being written: the declared ones, and those that it needs."""

from __future__ import annotations

from dataclasses import replace

from refcodec.config import EncoderConfig
from refcodec.encoder.encoding import signal_parameters
from refcodec.encoder.features import Feature
from refcodec.errors import CallerError
from refcodec.networks.network import weights_of
from refcodec.pack import layout_of
from refcodec.probability.coding import LEVELS_PER_TABLE
from refcodec.probability.hyperprior import HyperpriorModel, cost_of, networks_of
from refcodec.registry import profile_coders, record_of
from refcodec.stream.limits import Demand
from refcodec.syntax.codes import Coder, Profile
from refcodec.syntax.structures import (
    ChannelTransformUnit,
    CodedChannelTransform,
    EntropyModelUnit,
    EntropyTables,
    FeatureParameterSet,
    Hyperprior,
    ModelUnit,
    NetworkModelUnit,
    StreamHeader,
)
from refcodec.tables import HIGHEST_LEVEL, level
from refcodec.transform.channel import ChannelTransform, weights_of_transform

__all__ = ["StreamLimits"]

_PIPE_LEVEL = 3
"""Level declared on a pipe, whose header cannot be corrected at the end."""


class StreamLimits:
    """Profile and level of one stream.

    profile  : the first that has all coders used so far.
    declared : highest level that features may need.
    reached  : highest level that they have needed.
    """

    def __init__(self, config: EncoderConfig, coder: Coder, *, revisable: bool) -> None:
        """Begin with the coder of the configuration.

        revisable : true if the stream header can be rewritten at the end.
        """
        self._revisable = revisable
        self._level_is_free = config.level is None
        self.declared = config.level or (HIGHEST_LEVEL if revisable else _PIPE_LEVEL)
        self.reached = 1
        self.profile = Profile.LOSSLESS if revisable else _profile_of(coder)

    def join(self, header: StreamHeader, name: str) -> None:
        """Take in a whole stream, before any of it is written.

        name : of the stream, in messages.

        Raises CallerError where no profile has the coders of both, or the level that is declared is too low.
        """
        coders = profile_coders()
        if coders[header.profile_idc] > coders[self.profile]:
            self.profile = header.profile_idc
        elif not coders[header.profile_idc] <= coders[self.profile]:
            raise CallerError(
                f"no profile has the coders of {self.profile.name.lower()} and of {name}, "
                f"which is {header.profile_idc.name.lower()}",
                hint="keep two streams",
            )
        if self._level_is_free:
            self.declared = max(self.declared, header.level_idc)
        elif header.level_idc > self.declared:
            raise CallerError(
                f"{name} has level {header.level_idc}, above the level {self.declared} to declare"
            )
        self.reached = max(self.reached, header.level_idc)

    def admit(
        self,
        feature: Feature,
        fps: FeatureParameterSet,
        qps: tuple[float, ...],
        config: EncoderConfig,
    ) -> None:
        """Note the demands of a feature, C x H x W. Raises CallerError if they exceed the declared level."""
        self._admit_coder(fps.coder_id)
        side, samples = 0, feature.size
        if record_of(fps.coder_id).video:
            layout = layout_of(fps, signal_parameters(fps, config, qps))
            side = max(layout.frame_height, layout.frame_width)
            samples = len(layout.qps) * layout.frame_height * layout.frame_width
        work, room = 0, 0
        if isinstance(config.model, HyperpriorModel):
            work, room = cost_of(config.model.coded, fps)
            self.require(_demand_of_networks(config.model.coded), "a model with networks")
        if isinstance(config.model, ChannelTransform):
            self.require(_demand_of_transform(config.model.coded), "a transform over channels")
        length = max(config.gop, 1)
        demand = Demand(
            channels=fps.channels,
            elements=feature.size,
            frame_side=side,
            frame_samples=samples if side else 0,
            unit_size=feature.nbytes + 8 * fps.channels + 65_536,
            sequence_length=length,
            sequence_samples=length * samples if config.gop else 0,
            network_room=room,
            network_work=work,
        )
        self.require(demand, f"a feature of shape {feature.shape}")

    def admit_model(self, unit: ModelUnit) -> None:
        """Note the demands of a model. Raises CallerError if they exceed the declared level."""
        if isinstance(unit, NetworkModelUnit):
            if unit.hyperprior is not None:
                self.require(_demand_of_networks(unit.hyperprior), "a model with networks")
        elif isinstance(unit, ChannelTransformUnit):
            if unit.transform is not None:
                self.require(_demand_of_transform(unit.transform), "a transform over channels")
        elif isinstance(unit, EntropyModelUnit) and unit.tables is not None:
            self.require(_demand_of(unit.tables), "an entropy model")

    def _admit_coder(self, coder: Coder) -> None:
        """Raise CallerError if no profile has all coders so far, or a pipe has declared one without this."""
        coders = profile_coders()
        if coder in coders[self.profile]:
            return
        name = record_of(coder).name
        if self.profile != Profile.LOSSLESS:
            raise CallerError(
                f"no profile has the coders of {self.profile.name.lower()} and {name} both",
                hint="write two streams",
            )
        if not self._revisable:
            raise CallerError(f"the pipe has declared the lossless profile, which lacks {name}")
        self.profile = _profile_of(coder)

    def require(self, demand: Demand, what: str) -> None:
        """Raise CallerError if a demand exceeds the declared level."""
        needed = demand.level()
        if not 0 < needed <= self.declared:
            raise CallerError(
                f"{what} exceeds level {self.declared}: {level(self.declared)}",
                hint=f"declare level {needed}" if needed else "make it smaller",
            )
        self.reached = max(self.reached, needed)


def _demand_of(tables: EntropyTables) -> Demand:
    """The demands of tables of an entropy model."""
    return Demand(
        model_contexts=tables.context_count,
        model_tables=max(tables.table_count, -(-tables.level_count // LEVELS_PER_TABLE)),
        model_size=len(tables.coded_tables),
    )


def _demand_of_networks(coded: Hyperprior) -> Demand:
    """The demands of a model with networks, which a decoder checks wherever the model is kept."""
    weights = sum(map(weights_of, networks_of(coded)))
    return replace(_demand_of(coded.tables), network_weights=weights)


def _profile_of(coder: Coder) -> Profile:
    """The first profile that has a coder; lossless if all profiles have it."""
    return next(profile for profile, coders in profile_coders().items() if coder in coders)


def _demand_of_transform(coded: CodedChannelTransform) -> Demand:
    return Demand(network_weights=weights_of_transform(coded))
