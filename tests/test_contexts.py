"""Context models: what payloads begin with, how it is fitted, and what is refused (8.3.14, 9.12)."""

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import CALL_AT_FAULT, run
from hypothesis import given, settings
from hypothesis import strategies as st

import refcodec
from refcodec import CallerError, ChannelTransform, ContextModel, EnvironmentFault
from refcodec.coders.native.coder import initial_of
from refcodec.coders.native.recording import record
from refcodec.coders.native.spent import bits_of_channels
from refcodec.contexts import LARGEST_CHANGE, Changes, Initial, built_in, encode_changes
from refcodec.entropy.mixing import SQUASH, STRETCH
from refcodec.errors import ConstraintError, PayloadError
from refcodec.probability.facts import check_model, describe_model
from refcodec.probability.store import ModelStore
from refcodec.ranges import convert_reference
from refcodec.stream.walk import payloads_of
from refcodec.suite.assemble import Drop, Insert
from refcodec.suite.make.contexts import changes_of, context_model
from refcodec.syntax.structures import CODED_CONTEXT_MODEL, UNIT_STRUCTURES
from refcodec.tables.families import FAMILIES, INPUTS, STATES, WEIGHT_SETS
from refcodec.writer.calibration import contexts_of

SUITE = Path(__file__).resolve().parents[1] / "bitstreams"
VALID = SUITE / "valid"

SKEWED = context_model(changes_of(*FAMILIES, sparse=3))
"""A model that differs from the tables in all families."""


def features(*shape: int, count: int = 40, seed: int = 5) -> list[np.ndarray]:
    """Features that have most of their values near 0, but for some channels."""
    drawn = np.random.default_rng(seed).laplace(size=(count, *shape))
    return list((drawn * np.linspace(0.2, 3, shape[-1])).astype(np.float32))


def stream_of(given: list[np.ndarray], **options: Any) -> bytes:
    target = io.BytesIO()
    with refcodec.create(target, **{"coder": "native", **options}) as writer:
        for one in given:
            writer.write(one)
    return target.getvalue()


def read(stream: bytes, **options: Any) -> list[np.ndarray]:
    with refcodec.open(io.BytesIO(stream), **options) as reader:
        return list(reader)


# --- round trips ------------------------------------------------------------------------------------

KINDS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "vectors": ((40,), {}),
    "channel ranges": ((40,), {"range": "channel"}),
    "log": ((40,), {"quantiser": "log"}),
    "maps": ((3, 8, 11), {}),
    "fast": ((3, 8, 11), {"speed": "fast"}),
    "dependent": ((3, 8, 11), {"dependent": True}),
    "sequence": ((3, 8, 8), {"gop": 3}),
    "tokens": ((6, 16), {"feature_type": "tokens"}),
    "low latency": ((3, 8, 8), {"low_latency": True}),
    "target": ((40,), {"target_size": 40}),
}


@pytest.mark.parametrize("apart", [False, True], ids=["held", "apart"])
@pytest.mark.parametrize("kind", KINDS)
def test_encode_decode(kind: str, apart: bool) -> None:
    """Payloads say the same as without a model, whatever it is, in other bytes."""
    shape, options = KINDS[kind]
    own = features(*shape, count=5)
    qp = {} if "target_size" in options else {"qp": 24}
    with_model = {"contexts": SKEWED, "model_apart": apart}
    stream = stream_of(own, **options, **qp, **with_model)
    found = read(stream, models=SKEWED if apart else None)
    if qp:
        plain = stream_of(own, **options, **qp)
        assert np.array_equal(found, read(plain))
        assert [one.data for one in payloads_of(io.BytesIO(stream))] != [
            one.data for one in payloads_of(io.BytesIO(plain))
        ]
    assert len(found) == len(own)
    with refcodec.open(io.BytesIO(stream), models=SKEWED) as reader:
        assert np.array_equal(reader[3], found[3])  # random access
    assert not refcodec.validate(io.BytesIO(stream), models=SKEWED).violations


@pytest.mark.parametrize("gains", [False, True])
def test_with_a_transform(gains: bool) -> None:
    own = features(6, 16)
    choices: dict[str, Any] = {"feature_type": "tokens", "qp": 20, "token_gain": gains}
    choices |= {"model": ChannelTransform.fit(own)}
    model = refcodec.fit_contexts(own, **choices)
    stream = stream_of(own[:3], **choices, contexts=model)
    assert np.array_equal(read(stream), read(stream_of(own[:3], **choices)))
    assert {"channel_transform", "context_model"} <= {
        unit.name for unit in refcodec.inspect(stream)
    }


def test_concat_numbers_models_anew() -> None:
    other = context_model(changes_of("sample", sparse=9))
    own = features(40, count=4)
    parts = [stream_of(own, qp=24, contexts=one) for one in (SKEWED, other, SKEWED)]
    target = io.BytesIO()
    refcodec.concat(target, [stream_of(own, qp=24), *parts])
    assert np.array_equal(read(target.getvalue()), 4 * read(parts[0]))
    assert not refcodec.validate(target.getvalue()).violations
    names = [unit.name for unit in refcodec.inspect(target.getvalue())]
    assert names.count("context_model") == 2


def test_one_writer_has_features_with_and_without() -> None:
    own = features(40, count=2)
    target = io.BytesIO()
    config = refcodec.EncoderConfig(qp=24, contexts=SKEWED)
    with refcodec.create(target, coder="native", qp=24) as writer:
        writer.write(own[0])
        writer.write(own[1], config=config)
        writer.write(own[0])
    found = read(target.getvalue())
    assert np.array_equal(found[0], found[2])
    assert [one.contexts is not None for one in payloads_of(io.BytesIO(target.getvalue()))] == [
        False, True, False
    ]  # fmt: skip


# --- models -----------------------------------------------------------------------------------------

_CHANGES = st.integers(-LARGEST_CHANGE, LARGEST_CHANGE)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.integers(0, STATES - 1), _CHANGES, max_size=20),
    st.dictionaries(st.integers(0, INPUTS * WEIGHT_SETS - 1), _CHANGES, max_size=20),
    st.integers(0, 15), st.integers(0, 15), st.integers(0, 127),
)  # fmt: skip
def test_changes_are_found_again(
    states: dict[int, int], weights: dict[int, int], state_shift: int, weight_shift: int, count: int
) -> None:
    """Every change is coded, states are moved in the logistic domain and stay probabilities."""
    changes = Changes(np.zeros(INPUTS * WEIGHT_SETS, np.int32), np.zeros(STATES, np.int32))
    for table, wanted in ((changes.states, states), (changes.weights, weights)):
        for at, change in wanted.items():
            table[at] = change
    model = ContextModel(
        encode_changes(
            changes, state_shift=state_shift, weight_shift=weight_shift, state_count=count
        )
    )
    again = ContextModel.from_bytes(model.to_bytes())
    assert again == model
    assert np.array_equal(again.changes.states, changes.states)
    assert np.array_equal(again.changes.weights, changes.weights)
    before, after = built_in(), again.initial
    moved = np.array(changes.weights, np.int64) << weight_shift
    assert np.array_equal(after.weights, before.weights + moved)
    same = changes.states == 0
    assert np.array_equal(after.states[same], before.states[same])
    for at, change in states.items():
        if change:
            place = int(STRETCH[before.states[at] >> 18]) + (change << state_shift)
            probability = int(SQUASH[min(max(place, -2816), 2816) + 2816])
            assert after.states[at] == probability << 14 | count


def test_a_model_costs_little_where_it_changes_little() -> None:
    changes = changes_of("split", sparse=10**6)
    assert 0 < np.count_nonzero(changes.weights) <= 24
    assert len(context_model(changes).payload) < 26
    none = context_model(Changes(0 * changes.weights, 0 * changes.states))
    assert len(none.payload) == 6
    assert np.array_equal(none.initial.states, built_in().states)


def test_facts() -> None:
    model = context_model(changes_of("sample", "split"))
    facts = describe_model(model)
    assert facts["kind"] == "context model"
    assert facts["families"] == ["split", "sample"]
    assert facts["states_changed"] == np.count_nonzero(model.changes.states)
    assert check_model(model)["level"].startswith("1 of")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 2**22 - 1))
def test_any_bytes_are_a_model_or_refused(data: bytes, flags: int) -> None:
    bits = np.array([flags >> i & 1 for i in range(22)])
    coded = CODED_CONTEXT_MODEL.make(
        {
            "weights_change_flag": bits[:11],
            "states_change_flag": bits[11:],
            "weight_shift": 15,
            "state_shift": 15,
            "state_count": 127,
            "coded_changes": data,
        }
    )
    with suppress(PayloadError):
        check_model(ContextModel(coded))


@pytest.mark.parametrize("kind", [*KINDS, "gains"])
@pytest.mark.parametrize("initial", [None, SKEWED.initial], ids=["tables", "model"])
def test_recordings_code_what_payloads_say(kind: str, initial: Initial | None) -> None:
    """A payload that is coded again with the states that it began with has its size."""
    shape, options = KINDS.get(kind, ((6, 16), {"feature_type": "tokens", "token_gain": True}))
    own = features(*shape, count=4)
    if kind == "gains":
        options = options | {"model": ChannelTransform.fit(own)}
    if "target_size" not in options:
        options = options | {"qp": 18}
    if initial is not None:
        options = options | {"contexts": SKEWED}
    preceding: Any = None
    for payload in payloads_of(io.BytesIO(stream_of(own, **options))):
        before = None
        if not payload.access_point:
            before = convert_reference(preceding[0], preceding[1], payload.parameters, payload.fps)
        recording, samples = record(payload, before, initial)
        begun = (initial or built_in()).copy()
        assert recording.code(begun) == len(payload.data)
        assert (begun.states != (initial or built_in()).states).any()
        preceding = samples, payload.parameters


# --- fitting ----------------------------------------------------------------------------------------


def test_fitted_contexts_save_bytes_of_other_features() -> None:
    """Sixty bytes are enough to save a twenty-fifth of short features that nothing was fitted to."""
    own = features(40, count=400)
    model = refcodec.fit_contexts(own[:200], qp=30, expected=100)
    assert len(model.payload) < 60
    before, after = (
        sum(len(one.data) for one in payloads_of(io.BytesIO(stream)))
        for one in ({}, {"contexts": model})
        for stream in [stream_of(own[200:], qp=30, **one)]
    )
    assert after < 0.96 * before


def test_more_expected_features_never_make_a_smaller_model() -> None:
    own = features(40, count=100)
    sizes = [
        len(refcodec.fit_contexts(own, qp=24, expected=expected).payload)
        for expected in (1, 10_000, 10**9)
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


def test_bytes_of_payloads_determine_the_model() -> None:
    """Committed payloads give the same model on every machine: only integers decide."""
    names = ("native-fc", "native-fc-batch", "native-fc-ranges", "native-batch-ranges")
    payloads = [
        one
        for name in names
        for one in payloads_of(io.BytesIO((VALID / name / "stream.dfc").read_bytes()))
    ]
    model = contexts_of(payloads, expected=10**6)
    assert np.count_nonzero(model.changes.states) > 50
    assert model.sha256.hex().startswith("1ccbd1fee3b76c84")


def test_predicted_features_are_fitted_to() -> None:
    own = features(3, 8, 8, count=9)
    model = refcodec.fit_contexts(own, qp=20, gop=3)
    assert np.array_equal(
        read(stream_of(own, qp=20, gop=3, contexts=model)), read(stream_of(own, qp=20, gop=3))
    )


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (features(40, count=1), {}, "not fitted to 1 features"),
        ([], {}, "not fitted to 0 features"),
        (features(40, count=2), {"coder": "zlib"}, "for the coder native"),
        (features(40, count=2), {"coder": "native-static"}, "for the coder native"),
        (features(40, count=2), {"contexts": SKEWED}, "what is fitted"),
        (features(40, count=2), {"expected": 0}, "1 or more"),
    ],
)
def test_what_is_not_fitted(given: list[np.ndarray], options: dict[str, Any], message: str) -> None:
    with pytest.raises(CallerError, match=message):
        refcodec.fit_contexts(given, **options)


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coder": "zlib", "contexts": SKEWED}, "no option contexts"),
        ({"coder": "native-static", "contexts": SKEWED}, "no option contexts"),
        ({"coder": "native-lossless", "contexts": SKEWED}, "no option contexts"),
        ({"coder": "hevc", "contexts": SKEWED}, "no option contexts"),
        ({"coder": "native", "contexts": 3}, "contexts is a int"),
        ({"coder": "native", "model": SKEWED}, "model is a ContextModel"),
        (
            {"coder": "native", "contexts": ChannelTransform.from_matrix(np.eye(3))},
            "contexts is a ChannelTransform",
        ),
        ({"coder": "native", "model_apart": True}, "model_apart has no effect"),
    ],
)
def test_config(options: dict[str, Any], message: str) -> None:
    with pytest.raises(CallerError, match=message):
        refcodec.EncoderConfig(**options)


def test_config_takes_a_file(tmp_path: Path) -> None:
    SKEWED.save(tmp_path / "own.dfcm")
    config = refcodec.EncoderConfig(coder="native", contexts=tmp_path / "own.dfcm")
    assert config.contexts == SKEWED


def test_a_missing_model_is_named() -> None:
    stream = stream_of(features(40, count=2), qp=24, contexts=SKEWED, model_apart=True)
    with pytest.raises(EnvironmentFault, match=SKEWED.sha256.hex()):
        read(stream)
    other = context_model(changes_of("sample"))
    with pytest.raises(EnvironmentFault, match=SKEWED.sha256.hex()):
        read(stream, models=other)


def test_a_damaged_file_is_not_used(tmp_path: Path) -> None:
    """A file of the right name and other bytes is not the model."""
    stream = stream_of(features(40, count=2), qp=24, contexts=SKEWED, model_apart=True)
    place = tmp_path / f"{SKEWED.sha256.hex()}.dfcm"
    place.write_bytes(context_model(changes_of("sample")).to_bytes())
    with pytest.raises(EnvironmentFault, match="was not found"):
        read(stream, models=tmp_path)
    SKEWED.save(place)
    assert len(read(stream, models=tmp_path)) == 2


def test_a_file_of_another_kind() -> None:
    """A stream that names a transform by context_model_id, or contexts by model_id, is refused."""
    transform = ChannelTransform.from_matrix(np.eye(40))
    for contexts, model, named in (
        (SKEWED, None, transform),
        (None, transform, SKEWED),
    ):
        choices = {"contexts": contexts, "model": model, "feature_type": "fc"}
        stream = stream_of(
            features(40, count=2), qp=24, model_apart=True, index=False,
            **{name: one for name, one in choices.items() if one is not None},
        )  # fmt: skip
        held = contexts or transform
        unit = UNIT_STRUCTURES[held.unit_type]
        renamed = {"model_id": 0, "external_flag": 1, "sha256": named.sha256}
        changed = Insert(1, held.unit_type, 0, unit.build_whole(renamed).hex())(Drop(1)(stream))
        with pytest.raises(ConstraintError):
            read(changed, models=named)


def test_salvage_keeps_features_of_a_model_that_is_whole() -> None:
    own = features(40, count=6)
    stream = stream_of(own, qp=24, contexts=SKEWED, batch=False)
    units = {unit.name: unit for unit in refcodec.inspect(stream)}
    for name, kept in (("coded_feature", 5), ("context_model", 0)):
        damaged = bytearray(stream)
        damaged[units[name].offset // 8 + units[name].size - 5] ^= 1
        with refcodec.open(bytes(damaged), salvage=True) as reader:
            assert len(list(reader)) == kept


# --- the command line, and what shows a model -------------------------------------------------------


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = features(40, count=60)
    np.save("own.npy", np.stack(own))
    fit = ("model", "fit-contexts", "own.npy", "own.dfcm", "--qp", "26", "--count", "50")
    run(*fit, "--expected", "1000000")
    assert ContextModel.load("own.dfcm") == refcodec.fit_contexts(
        [own[n * 60 // 50] for n in range(50)], qp=26, expected=1_000_000
    )
    run("encode", "own.npy", "own.dfc", "--qp", "26", "--contexts", "own.dfcm")
    run("encode", "own.npy", "plain.dfc", "--qp", "26")
    assert np.array_equal(refcodec.decode("own.dfc"), refcodec.decode("plain.dfc"))
    assert "sample, sample_sign" in run("model", "info", "own.dfcm").output
    assert "conforms" in run("model", "verify", "own.dfcm").output
    shown = run("inspect", "own.dfcm").output
    assert "context_model.sample " in shown
    assert "context_model.split " not in shown
    assert "native" in run("info", "own.dfc").output
    refused = run(*fit, "--force", "--gop", "-1", status=CALL_AT_FAULT)
    assert "--gop" in refused.output
    assert not list(tmp_path.glob(".*"))


def test_bits_of_channels_are_those_of_the_payload(tmp_path: Path) -> None:
    """The decoder that counts them begins with the states of the model, too."""
    model = context_model(changes_of("coefficient", "dc", "last", "split", sparse=9))
    stream = stream_of(features(3, 9, 12, count=1), qp=16, contexts=model, restoration="off")
    (payload,) = payloads_of(io.BytesIO(stream))
    bits = bits_of_channels(payload, initial_of(payload, ModelStore()))
    assert bits is not None
    assert abs(bits.sum() - 8 * len(payload.data)) < 80
