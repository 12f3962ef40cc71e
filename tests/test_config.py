"""Configurations: every option has an effect with its coder, or is refused with a hint."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from contextlib import suppress
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

import refcodec
from refcodec import ChannelTransform, EncoderConfig, EntropyModel
from refcodec.errors import CallerError
from refcodec.registry import CODERS, LARGEST_QP, QUANTISERS, record_of
from refcodec.suite.make.contexts import changes_of, context_model
from refcodec.syntax.codes import Coder, Profile, Quantiser, is_kept

CHANGES: dict[str, Any] = {
    "quantiser": "log",
    "bits": 7,
    "range": "channel",
    "clip": (-1.0, 2.0),
    "qp": 23,
    "restoration": "channel",
    "gop": 2,
    "target_size": 90,
    "target_snr": 12.0,
    "speed": "fast",
    "packing": "frame",
    "order": (3, 1, 0, 2),
    "lossless": True,
    "preset": "ultrafast",
    "step": 0.5,
    "offset": -0.25,
    "model": EntropyModel.from_scales([2.0]),
    "model_apart": True,
    "contexts": context_model(changes_of("coefficient", "dc", sparse=4)),
    "joint": True,
    "substreams": 3,
    "token_gain": True,
    "dependent": True,
    "shuffle": True,
    "feature_type": "pool",
    "batch": True,
    "hash_size": 16,
    "hashes": True,
    "index": False,
    "level": 3,
    "metadata": {"layer": "relu1"},
}
"""A value of each option that differs from every coder's default."""

UNSEEN = {"coder", "workers", "ffmpeg", "timeout", "narrow", "fill", "low_latency", "analysis"}
"""Options that leave a stream as it is: the machine's, those that accept other features, one of time, and one
of models that other tests have."""


def features() -> list[Any]:
    """Two correlated maps that differ from channel to channel."""
    c, y, x = np.ogrid[:4, :24, :20]
    noise = np.random.default_rng(3).normal(0, 0.4, (4, 24, 20))
    one = np.maximum(np.sin(y / 3 + c) + np.cos(x / 4 - c) + noise, 0) * (1 + c)
    return [one.astype(np.float32), (one * 0.9).astype(np.float32)]


def stream(**options: Any) -> bytes:
    """A stream of the features; several units of them, unless ``options`` ask for batches."""
    target = io.BytesIO()
    with refcodec.create(target, **options) as writer:
        for feature in features():
            writer.write(feature)
    return target.getvalue()


def test_every_option_is_tried_here() -> None:
    assert {one.name for one in fields(EncoderConfig) if one.init} == set(CHANGES) | UNSEEN


TRANSFORM = ChannelTransform.fit(features())
"""A transform over the channels of the features here."""

TRANSFORM_OF_HEADS = ChannelTransform.from_matrix(np.eye(4 * 20) / 256)
"""One over those that they have as tokens, heads x T x D."""


def change(coder: str, option: str) -> Any:
    """A value of an option that this coder would not choose by itself."""
    own = {
        ("native", "restoration"): "mean",
        ("hevc", "restoration"): "tensor",
        ("vvc", "restoration"): "tensor",
        ("vvc", "preset"): "faster",
        ("av1", "restoration"): "tensor",
        ("av1", "preset"): "faster",
        ("native", "batch"): False,
        ("native-static", "restoration"): "mean",
        ("native-static", "batch"): False,
        ("learned", "batch"): False,
    }
    return own.get((coder, option), CHANGES[option])


@pytest.mark.parametrize("option", CHANGES)
@pytest.mark.parametrize("coder", CODERS)
def test_an_option_has_an_effect_or_is_refused(coder: str, option: str) -> None:
    record, value = CODERS[coder], change(coder, option)
    base: dict[str, Any] = {"coder": coder}
    if option in ("bits", "range", "clip") and record.lossless and "bits" in record.options:
        base["quantiser"] = "uniform"
    transforms = Quantiser.TRANSFORM in record.quantisers
    if option == "model" and transforms:
        value = TRANSFORM
    if option == "model_apart" and transforms:
        base["model"] = TRANSFORM
    if option == "token_gain" and option in record.options:
        base |= {"model": TRANSFORM_OF_HEADS, "feature_type": "tokens"}
    if option == "index" and record.batchable:
        base["batch"] = False  # several units to find
    of_all = {"feature_type", "hash_size", "hashes", "index", "level", "metadata"}
    has = option in of_all | set(record.options)
    if has and not (option == "quantiser" and QUANTISERS[value] not in record.quantisers):
        assert stream(**base, **{option: value}) != stream(**base)
        return
    with pytest.raises(CallerError) as refused:
        stream(**base, **{option: value})
    assert " is for " in refused.value.hint


@pytest.mark.parametrize("option", ["bits", "range", "clip"])
@pytest.mark.parametrize("coder", ["raw", "zlib"])
def test_options_of_samples_need_a_quantiser(coder: str, option: str) -> None:
    with pytest.raises(CallerError, match=f"{option} has no effect.*choose a quantiser"):
        EncoderConfig(coder=coder, **{option: CHANGES[option]})


@pytest.mark.parametrize("option", ["qp", "restoration"])
def test_lossless_frames_have_neither_qp_nor_restoration(option: str) -> None:
    with pytest.raises(CallerError, match=f"{option} has no effect with lossless coding"):
        EncoderConfig(coder="hevc", lossless=True, **{option: CHANGES[option]})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"coder": "zlip"}, "did you mean zlib"),
        ({"speed": "quick"}, "it is one of fast, default, best"),
        ({"coder": "hevc", "packing": "tiles"}, "did you mean tile"),
        ({"coder": "zlib", "gop": 4}, "zlib has no option gop .gop is for native, hevc"),
        ({"coder": "native-static", "gop": 4}, "native-static has no option gop .gop is for"),
    ],
)
def test_refusals_say_what_to_do(options: dict[str, Any], said: str) -> None:
    with pytest.raises(CallerError, match=said):
        EncoderConfig(**options)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[(name, value) for name in ("clip", "step", "order", "qp") for value in ("12", b"\1\0")],
        ("qp", {1: 2}),
        ("step", {1.0: 2}),
        ("timeout", math.inf),
        ("quantiser", np.array(["log"])),
    ],
)
def test_text_is_no_list_of_numbers(option: str, value: Any) -> None:
    with pytest.raises(CallerError, match=rf"{option} is|QP is"):
        EncoderConfig(**{option: value})


FLAGS = [one.name for one in fields(EncoderConfig) if "bool" in str(one.type) and one.init]


@pytest.mark.parametrize("option", FLAGS)
@pytest.mark.parametrize("value", ["no", "false", 0, 1.0, b"", [True]])
def test_flags_are_true_or_false(option: str, value: Any) -> None:
    """``"no"`` would be true."""
    with pytest.raises(CallerError, match=rf"{option} is .*; it is True or False"):
        EncoderConfig(**{option: value})


@pytest.mark.parametrize("option", [one.name for one in fields(EncoderConfig) if one.init])
@pytest.mark.parametrize("coder", CODERS)
def test_values_of_no_type_that_an_option_has(coder: str, option: str) -> None:
    """Nothing but a CallerError leaves a configuration."""
    odd = (math.nan, math.inf, -math.inf, 1j, 10**400, 1e300, np.array([1, 2]), np.array("a"))
    for value in (b"x", object(), {1: 2}, [None], {"a"}, "\0", *odd):
        chosen: dict[str, Any] = {"coder": coder, option: value}
        with suppress(CallerError):
            EncoderConfig(**chosen)


@pytest.mark.parametrize(
    ("coder", "option", "value", "plain"),
    [
        ("native", "qp", np.int64(20), 20),
        ("native", "target_snr", np.float32(20), 20.0),
        ("native", "fill", np.float32(0.5), 0.5),
        ("native", "hashes", np.bool_(True), True),
        ("native", "workers", np.uint8(2), 2),
        ("hevc", "timeout", np.float16(2), 2.0),
    ],
)
def test_numbers_of_numpy_are_numbers(coder: str, option: str, value: Any, plain: Any) -> None:
    found = getattr(EncoderConfig(**{"coder": coder, option: value}), option)
    assert found == plain
    assert type(found) is type(plain)


def test_a_name_that_no_option_has() -> None:
    with pytest.raises(
        CallerError, match=r"there is no option 'quantizer' \(did you mean quantiser"
    ):
        EncoderConfig().but(quantizer="log")


def test_none_takes_a_choice_back() -> None:
    config = EncoderConfig(coder="hevc", qp=20, bits=12)
    assert config.but(qp=None) == EncoderConfig(coder="hevc", bits=12)
    assert config.but(coder="zlib", qp=None, bits=None) == EncoderConfig(coder="zlib")


def test_turning_off_what_a_coder_lacks_is_no_fault() -> None:
    config = EncoderConfig(coder="zlib", gop=0, lossless=False, target_size=None, restoration="off")
    assert config == EncoderConfig(coder="zlib")


# --- the table of coders ---------------------------------------------------------------------------


def test_every_code_point_has_a_record() -> None:
    defined = {code for code in Coder if not is_kept(code)}
    assert {code for record in CODERS.values() for code in record.coder_ids} == defined
    for code in defined:
        assert code in CODERS[record_of(code).name].coder_ids


def test_names_and_options_exist() -> None:
    known = {one.name for one in fields(EncoderConfig)}
    for record in CODERS.values():
        assert set(record.options) <= known
        assert set(record.choices) <= set(record.options)
        assert record.profiles <= {profile for profile in Profile if not is_kept(profile)}
        for option, choices in record.choices.items():
            assert record.options[option] in choices
    assert set(LARGEST_QP) == {name for name, one in CODERS.items() if "qp" in one.options}


def test_the_table_costs_no_compiler() -> None:
    """Facts about coders are had without their implementations."""
    script = (
        "import sys, refcodec.config; sys.exit('numba' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
