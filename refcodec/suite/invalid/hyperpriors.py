"""Defects of models with networks, and of latents under them.

Unit 1 of the streams that are edited is the model, unit 2 the parameter set, unit 3 the first coded unit.
"""

from __future__ import annotations

import numpy as np

from refcodec.networks.network import encode_network
from refcodec.probability.hyperprior import HyperpriorModel
from refcodec.suite.assemble import Drop, Edit, Insert, Set, disassemble
from refcodec.suite.make.define import invalid
from refcodec.suite.make.edits import add, element, flip
from refcodec.suite.make.networks import layer, network, spread
from refcodec.suite.valid.hyperpriors import MEANS, SCALES, SUMS, SYNTHESIS, TABLES, WIDE
from refcodec.syntax.codes import Activation, Quantiser, SourceType
from refcodec.syntax.structures import (
    ENTROPY_MODEL_UNIT,
    FEATURE_PARAMETER_SET,
    NETWORK_MODEL_UNIT,
)
from refcodec.syntax.units import CRC_SIZE

_UNIT = "network_model_unit"
_MODEL = f"{_UNIT}.hyperprior"
_HYPER = f"{_MODEL}.hyper_synthesis"
_SYNTHESIS = f"{_MODEL}.synthesis"
_FPS = "feature_parameter_set"
_PAYLOAD = "coded_feature.payload"
_FIRST = (1, f"{_MODEL}.mean_flag")


def _with(model: HyperpriorModel, name: str, **changes: object) -> list[Edit]:
    """Replace a model by one of which a network has other elements."""
    changed = {**model.coded, name: {**model.coded[name], **changes}}
    unit = {"model_id": 0, "external_flag": 0, "hyperprior": changed}
    return [Drop(1), Insert(1, 5, 0, NETWORK_MODEL_UNIT.build_whole(unit).hex())]


def _with_numbers(model: HyperpriorModel, name: str, data: bytes) -> list[Edit]:
    """Replace a model by one of which a network has other numbers."""
    return _with(model, name, coded_size=len(data), coded_weights=data)


# --- networks --------------------------------------------------------------------------------------


@invalid(570, "hyperprior-scales", "payload", "8.11.3", (1, f"{_HYPER}.coded_weights"))
def network_weight_wide() -> Edit:
    """a weight has more bits than weight_bits_minus1 says"""
    return Set(1, f"{_HYPER}.layers.weight_bits_minus1", 3)


@invalid(571, "hyperprior-scales", "payload", "8.11.3", (1, f"{_HYPER}.coded_weights"))
def network_bias_wide() -> list[Edit]:
    """the magnitude of a bias exceeds 2147483647"""
    return _with_numbers(SCALES, "hyper_synthesis", bytes(400))


@invalid(572, "hyperprior-scales", "payload", "8.11.3", (1, f"{_HYPER}.coded_weights"))
def network_numbers_long() -> list[Edit]:
    """five bytes follow the numbers of a network"""
    numbers = SCALES.hyper_synthesis.coded.coded_weights
    return _with_numbers(SCALES, "hyper_synthesis", numbers + b"\1" * 5)


@invalid(573, "hyperprior-synthesis", "payload", "8.11.3", (1, f"{_SYNTHESIS}.coded_weights"))
def network_numbers_missing() -> list[Edit]:
    """the numbers of the synthesis have no bytes"""
    return _with_numbers(SYNTHESIS, "synthesis", b"")


@invalid(574, "hyperprior-scales", "truncated", "7.13.3", (1, f"{_HYPER}.coded_weights"))
def network_size() -> Edit:
    """coded_size is greater than the bytes that follow"""
    return Set(1, f"{_HYPER}.coded_size", 500)


@invalid(646, "hyperprior-scales", "syntax", "7.13.3")
def network_size_beyond() -> Edit:
    """coded_size is 2^28"""
    return Set(1, f"{_HYPER}.coded_size", 2**28)


@invalid(647, "hyperprior-scales", "syntax", "7.13.3")
def network_inputs_beyond() -> Edit:
    """a network takes 4,097 channels"""
    return Set(1, f"{_HYPER}.input_channels_minus1", 4096)


@invalid(648, "hyperprior-scales", "syntax", "7.13")
def network_model_id_beyond() -> Edit:
    """a model with networks has the number 256"""
    return Set(1, f"{_UNIT}.model_id", 256)


@invalid(575, "hyperprior-sums", "constraint", "9.8", (1, f"{_SYNTHESIS}.coded_weights"))
def network_bias_overflow() -> list[Edit]:
    """a sum may reach 2147483648: a bias is greater by 1 than the weights allow"""
    changed = layer(
        [[[[32767, -32767], [32767, -32767]]]],
        biases=(2147483648 - 65536 * 32767, 65536 * 32767 - 2147483647),
        multipliers=(16384, 65536),
        weight_bits=16,
    )
    return _with_numbers(SUMS, "synthesis", network(changed).coded_weights)


@invalid(576, "hyperprior-wide", "constraint", "9.8", (1, f"{_HYPER}.coded_weights"))
def network_weights_overflow() -> list[Edit]:
    """weights and values of 16 bits: the sums of the second layer may overflow"""
    wide = [
        layer(spread(1, 1, 33, 90), biases=20, activation=Activation.RELU, bits=16),
        layer(np.full((1, 1, 33, 1), 32767), weight_bits=16),
    ]
    numbers = [one.numbers for one in wide]
    shapes = [one.shape for one in wide]
    return _with(WIDE, "hyper_synthesis", **vars(encode_network(shapes, numbers, 8)))


@invalid(577, "hyperprior-scales", "unsupported", "C.1")
def network_activation() -> Edit:
    """activation is 3, which is not defined"""
    return Set(1, f"{_HYPER}.layers.activation", 3)


@invalid(578, "hyperprior-wide", "unsupported", "A.3", _FIRST)
def network_weights_many() -> list[Edit]:
    """networks of 266240 weights at level 1"""
    return [
        Set(1, f"{_HYPER}.layers.channels_minus1", 4095),
        Set(1, f"{_HYPER}.layers.kernel_minus1", 7),
    ]


@invalid(579, "hyperprior-wide", "syntax", "7.13.4")
def network_channels_many() -> Edit:
    """a layer of 4097 channels"""
    return Set(1, f"{_HYPER}.layers.channels_minus1", 4096)


# --- models ----------------------------------------------------------------------------------------


@invalid(580, "hyperprior-scales", "constraint", "9.8", _FIRST)
def hyperprior_contexts_many(stream: bytes) -> Edit:
    """3 contexts, and a hyper-synthesis that takes 4 channels"""
    return add(stream, 1, f"{_HYPER}.input_channels_minus1", 1)


@invalid(581, "hyperprior-means", "constraint", "9.8", _FIRST)
def hyperprior_odd() -> Edit:
    """means and scales of a hyper-synthesis with an odd number of outputs"""
    return Set(1, f"{_HYPER}.layers.channels_minus1", 4, occurrence=1)


@invalid(582, "hyperprior-synthesis", "constraint", "9.8", _FIRST)
def hyperprior_synthesis_channels(stream: bytes) -> Edit:
    """scales of 2 channels, and a synthesis that takes 3"""
    return add(stream, 1, f"{_SYNTHESIS}.input_channels_minus1", 1)


@invalid(583, "hyperprior-scales", "constraint", "9.8", _FIRST)
def hyperprior_thresholds(stream: bytes) -> Edit:
    """a threshold is less than the one before"""
    found = element(stream, 1, f"{_MODEL}.scale_threshold").value.tolist()
    found[40] = found[39] - 1
    return Set(1, f"{_MODEL}.scale_threshold", found)


@invalid(584, "hyperprior-scales", "payload", "8.10.5", (1, f"{_MODEL}.tables.coded_tables"))
def hyperprior_tables(stream: bytes) -> Edit:
    """level_count of the tables of hyper-latents is greater than the number of levels"""
    return add(stream, 1, f"{_MODEL}.tables.level_count", 1)


@invalid(585, "hyperprior-scales", "unsupported", "A.3", _FIRST)
def hyperprior_tables_many() -> Edit:
    """257 tables of hyper-latents at level 1"""
    return Set(1, f"{_MODEL}.tables.table_count_minus1", 256)


@invalid(586, "raw-float32", "constraint", "A.2", (1, f"{_UNIT}.model_id"))
def hyperprior_elsewhere() -> Edit:
    """a stream of the lossless profile has a model with networks"""
    return Insert(1, 5, 0, NETWORK_MODEL_UNIT.build_whole({**MEANS.unit()}).hex())


@invalid(587, "hyperprior-scales", "constraint", "9.7", (2, "entropy_model_unit.model_id"))
def hyperprior_number_twice() -> Edit:
    """an entropy model has the model_id of a model with networks"""
    return Insert(2, 4, 0, ENTROPY_MODEL_UNIT.build_whole({**TABLES.unit()}).hex())


# --- parameter sets --------------------------------------------------------------------------------


@invalid(588, "hyperprior-scales", "constraint", "9.8", (2, f"{_FPS}.model_id"))
def hyperprior_quantiser(stream: bytes) -> list[Edit]:
    """features of int16 without a quantiser"""
    fps = FEATURE_PARAMETER_SET.parse_whole(bytes(disassemble(stream)[2])[2:-CRC_SIZE])
    elements = {**fps, "quantiser": Quantiser.NONE, "source_type": SourceType.INT16}
    changed = FEATURE_PARAMETER_SET.build_whole(FEATURE_PARAMETER_SET.make(elements))
    return [Drop(2), Insert(2, 1, 0, changed.hex())]


@invalid(589, "hyperprior-synthesis", "constraint", "9.8", (2, f"{_FPS}.model_id"))
def hyperprior_channels() -> Edit:
    """features of 4 channels, and a synthesis of 3"""
    return Set(2, f"{_FPS}.channels_minus1", 3)


@invalid(644, "hyperprior-synthesis", "constraint", "9.8", (2, f"{_FPS}.model_id"))
def hyperprior_substreams() -> Edit:
    """features in two substreams"""
    return Set(2, f"{_FPS}.substream_count_minus1", 1)


@invalid(590, "hyperprior-synthesis", "constraint", "9.8", (2, f"{_FPS}.model_id"))
def hyperprior_bits() -> Edit:
    """samples of 13 bits, and a synthesis of 14"""
    return Set(2, f"{_FPS}.bits_minus1", 12)


@invalid(591, "hyperprior-shapes", "unsupported", "A.3", (2, f"{_FPS}.model_id"))
def hyperprior_work() -> list[Edit]:
    """a feature of one element, for which the networks need 23159 multiply-accumulates"""
    return [Set(2, f"{_FPS}.height_minus1", 0), Set(2, f"{_FPS}.width_minus1", 0)]


@invalid(592, "hyperprior-wide", "unsupported", "A.3", (2, f"{_FPS}.model_id"))
def hyperprior_room() -> list[Edit]:
    """features of 256 x 256, for which a hidden layer has 2162688 outputs"""
    return [Set(2, f"{_FPS}.height_minus1", 255), Set(2, f"{_FPS}.width_minus1", 255)]


# --- payloads --------------------------------------------------------------------------------------


@invalid(593, "hyperprior-escapes", "payload", "8.3.10", (3, "coded_feature_batch.payloads"))
def hyper_latent_wide() -> Edit:
    """a hyper-latent has more bits than the hyper-synthesis takes"""
    return Set(1, f"{_HYPER}.input_bits_minus1", 6)


@invalid(594, "hyperprior-escapes", "payload", "8.3.10", (3, "coded_feature_batch.payloads"))
def hyperprior_latent_wide() -> Edit:
    """a latent has more bits than the samples"""
    return Set(2, f"{_FPS}.bits_minus1", 14)


@invalid(595, "hyperprior-sums", "payload", "8.3.10", (3, _PAYLOAD))
def hyperprior_latent_of_synthesis() -> Edit:
    """a latent has more bits than the synthesis takes"""
    return Set(1, f"{_SYNTHESIS}.input_bits_minus1", 14)


@invalid(596, "hyperprior-scales", "payload", "8.10.2")
def hyperprior_word_left(stream: bytes) -> Edit:
    """a word is left when all latents are decoded"""
    return Set(3, _PAYLOAD, element(stream, 3, _PAYLOAD).value.hex() + "0101")


@invalid(597, "hyperprior-synthesis", "payload", "8.10.2")
def hyperprior_flipped(stream: bytes) -> Edit:
    """a bit of the payload is wrong: the last state is another one"""
    return flip(stream, 3, _PAYLOAD, 70)


@invalid(598, "hyperprior-escapes", "constraint", "9.8", (3, "coded_feature_batch.payloads"))
def hyperprior_joint_many() -> Edit:
    """a joint batch of 90000 latents"""
    return Set(3, "coded_feature_batch.feature_count_minus1", 4999)
