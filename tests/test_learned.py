"""The learned coder in streams: latents, models in the stream and apart, what is refused."""

from __future__ import annotations

import io
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from typer.testing import CliRunner

import refcodec
from refcodec import EntropyModel
from refcodec.cli import app
from refcodec.errors import CallerError, EnvironmentFault, PayloadError, StreamError
from refcodec.suite.assemble import Set
from refcodec.syntax.codes import UnitType

SCALES = np.where(np.arange(64) < 40, 0.02, np.geomspace(0.2, 4.0, 64))


def latents(count: int, seed: int = 0) -> Any:
    """Vectors of 64 integers, most of them constant."""
    chance = np.random.default_rng(seed)
    return np.rint(chance.laplace(0, 1, (count, 64)) * SCALES + np.arange(64) % 3).astype(
        np.float32
    )


MODEL = EntropyModel.fit(latents(2000, 1))


def stream(features: Any, **options: Any) -> bytes:
    target = io.BytesIO()
    with refcodec.create(target, **{"coder": "learned", **options}) as writer:
        for one in features:
            writer.write(one)
    return target.getvalue()


def units(data: bytes, kind: str) -> int:
    return sum(one.name == kind for one in refcodec.inspect(data))


# --- round trips -----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"joint": True}, {"batch": False}, {"batch": True}])
@pytest.mark.parametrize("shape", [(64,), (64, 1, 1), (64, 3, 2)])
@pytest.mark.parametrize("given", [True, False])
def test_encode_decode(options: dict[str, Any], shape: tuple[int, ...], given: bool) -> None:
    features = latents(30)
    if shape[1:] == (3, 2):
        features = np.stack([features[i : i + 6].T.reshape(shape) for i in range(20)])
    features = features.reshape(-1, *shape)
    data = stream(features, model=MODEL if given else None, **options)
    with refcodec.open(data) as reader:
        assert np.array_equal(np.stack(list(reader)), features)
        chosen = [7, 0, 19, 7]
        assert np.array_equal(np.stack(reader[chosen]), features[chosen])
        assert reader[3].dtype == np.float32
    assert refcodec.validate(data).conforming
    assert (units(data, "coded_feature") == 0) == (options.get("batch") is not False)


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("int16", -(2**15), 2**15 - 1), ("int8", -128, 127), ("uint8", 0, 255)],
)
@pytest.mark.parametrize("joint", [True, False])
def test_integers_stay_as_they_are(kind: str, low: int, high: int, joint: bool) -> None:
    chance = np.random.default_rng(0)
    features = np.clip(chance.normal(0, 3, (5, 4, 6, 5)), low, high).astype(kind)
    features[0, 0, 0, :2] = low, high
    data = stream(features, quantiser="none", joint=joint)
    found = np.stack(list(refcodec.open(data)))
    assert found.dtype == kind
    assert np.array_equal(found, features)
    assert refcodec.validate(data).conforming


@pytest.mark.parametrize("kind", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_the_lattice(kind: Any) -> None:
    steps, offsets = (0.1, 3.0, 1e-3), (0.0, -7.7, 2e-4)
    whole = np.random.default_rng(0).integers(-20, 20, (4, 3, 5, 5))
    columns = [
        np.array(one, np.float32).astype(np.float64)[:, None, None] for one in (steps, offsets)
    ]
    features = (whole * columns[0] + columns[1]).astype(np.float32).astype(kind)
    data = stream(features, step=steps, offset=offsets)
    found = np.stack(list(refcodec.open(data)))
    assert np.array_equal(found, features)  # to the bit: one rounding, and another


def test_values_between_points_of_the_lattice() -> None:
    features = np.random.default_rng(0).normal(0, 2, (10, 16)).astype(np.float32)
    found = np.stack(list(refcodec.open(stream(features, step=0.25))))
    assert np.abs(found - features).max() <= 0.125
    assert np.array_equal(found, np.rint(features / 0.25) * 0.25)


def test_latents_beyond_the_tables_escape() -> None:
    features = latents(20)
    features[3, 5], features[4, 63], features[5, 0] = 30_000, -32_768, 32_767
    for joint in (True, False):
        data = stream(features, model=MODEL, joint=joint)
        assert np.array_equal(np.stack(list(refcodec.open(data))), features)


def test_one_context_for_all() -> None:
    model = EntropyModel.from_counts([[1, 10, 100, 10, 1]], -2)
    features = np.random.default_rng(0).integers(-2, 3, (3, 4, 60, 60)).astype(np.float32)
    for options in ({"batch": False}, {"joint": True}):
        data = stream(features, model=model, **options)
        assert np.array_equal(np.stack(list(refcodec.open(data))), features)


def test_what_is_stored_costs_little_more_than_its_tables_say() -> None:
    features = latents(4096)
    bits = MODEL.code_length(features)
    joint = len(stream(features, model=MODEL, joint=True)) - MODEL.size
    apart = len(stream(features, model=MODEL)) - MODEL.size
    assert joint - bits / 8 <= 0.05 * len(features)
    assert apart - bits / 8 <= 1.0 * len(features)


def test_hashes() -> None:
    features = latents(10)
    for joint in (True, False):
        data = stream(features, model=MODEL, joint=joint, hashes=True, hash_size=16)
        assert np.array_equal(np.stack(list(refcodec.open(data))), features)
        assert refcodec.validate(data).conforming
        assert np.array_equal(refcodec.open(data)[9], features[9])


def test_features_of_several_kinds_and_models(tmp_path: Path) -> None:
    other = EntropyModel.from_scales([1.0])
    path = tmp_path / "mixed.dfc"
    config = refcodec.EncoderConfig(coder="learned", model=MODEL)
    wide = np.arange(-6, 6, dtype=np.float32).reshape(3, 2, 2)
    with refcodec.create(path, config) as writer:
        for one in latents(4):
            writer.write(one)
            writer.write(wide, config=config.but(model=other, batch=False))
            writer.write(one, config=config.but(step=2.0))
    with refcodec.create(path, config, mode="a") as writer:
        writer.write(latents(1)[0])
    with refcodec.open(path) as reader:
        assert len(reader) == 13
        assert np.array_equal(reader[1], wide)
        assert np.array_equal(reader[12], latents(1)[0])
    assert units(path.read_bytes(), "entropy_model") == 2
    assert refcodec.validate(path).conforming


def test_joined_streams_share_equal_models(tmp_path: Path) -> None:
    other = EntropyModel.fit(latents(50, 9))
    parts = [
        stream(latents(5, 1), model=other),
        stream(latents(5, 2), model=MODEL),
        stream(latents(5, 3), model=other),
        refcodec.encode(np.array([1, 2], np.float32), coder="zlib"),
    ]
    target = tmp_path / "all.dfc"
    assert refcodec.concat(target, parts) == 16
    assert units(target.read_bytes(), "entropy_model") == 2
    with refcodec.open(target) as reader:
        found = list(reader)
    expected = np.concatenate([latents(5, seed) for seed in (1, 2, 3)])
    assert np.array_equal(np.stack(found[:15]), expected)
    assert refcodec.validate(target).conforming


# --- substreams


def maps(count: int, channels: int = 12) -> Any:
    found = latents(count * channels)[:, 4:].reshape(count, channels, 6, 10)
    return np.ascontiguousarray(found)


@pytest.mark.parametrize("substreams", [1, 2, 5, 12])
@pytest.mark.parametrize("workers", [1, 3, None])
def test_substreams_decode_to_the_same(substreams: int, workers: int | None) -> None:
    features = maps(3)
    data = stream(features, substreams=substreams, hashes=True)
    with refcodec.open(data, workers=workers) as reader:
        np.testing.assert_array_equal(np.stack(list(reader)), features)
        assert reader.parameters[0].substream_count == substreams
    assert refcodec.validate(data).conforming


@pytest.mark.parametrize("options", [{"substreams": 5}, {"substreams": 1}, {"coder": "raw"}])
def test_channels_without_the_others(options: dict[str, Any]) -> None:
    features = maps(3)
    with refcodec.open(stream(features, **options)) as reader:
        for first in range(12):
            for stop in range(first + 1, 13):
                part = reader.channels(-1, first, stop)
                np.testing.assert_array_equal(part, features[-1, first:stop])
        for first, stop in ((0, 0), (-1, 2), (3, 13), (4, 3)):
            with pytest.raises(CallerError, match="it has 12"):
                reader.channels(0, first, stop)
        with pytest.raises(IndexError):
            reader.channels(3, 0, 1)


def test_a_substream_has_a_channel_at_least() -> None:
    with pytest.raises(CallerError, match="12 channels has no 13 substreams"):
        stream(maps(1), substreams=13)


def test_channels_are_read_past_a_damaged_substream() -> None:
    features = maps(1)
    data = stream(features, substreams=4, index=False)
    payload = refcodec.inspect(data)[3].elements[-2]
    shorter = Set(3, "coded_feature.payload", payload.value[:-1].hex())(data)
    with refcodec.open(shorter) as reader:
        np.testing.assert_array_equal(reader.channels(0, 0, 9), features[0, :9])
        with pytest.raises(PayloadError):
            reader.channels(0, 8, 10)


def test_channels_of_vectors_and_their_lattice() -> None:
    steps, offsets = np.geomspace(0.1, 7, 64), np.linspace(-1, 1, 64)
    vectors = (latents(2) * steps + offsets).astype(np.float32)
    data = stream(vectors, step=tuple(steps), offset=tuple(offsets), substreams=3)
    with refcodec.open(data) as reader:
        whole = reader[1]
        for first, stop in ((0, 64), (20, 22), (21, 43), (63, 64)):
            np.testing.assert_array_equal(reader.channels(1, first, stop), whole[first:stop])


# --- models ----------------------------------------------------------------------------------------


def test_models_in_files(tmp_path: Path) -> None:
    path = tmp_path / "m.dfcm"
    MODEL.save(path)
    again = EntropyModel.load(path)
    assert again == MODEL
    assert again.sha256 == MODEL.sha256
    assert pickle.loads(pickle.dumps(MODEL)) == MODEL
    assert refcodec.validate(path).conforming
    with refcodec.open(path) as reader:
        assert len(reader) == 0
    with pytest.raises(CallerError, match=r"no\.dfcm"):
        EntropyModel.load(tmp_path / "no.dfcm")
    path.write_bytes(stream(latents(1), model=MODEL, batch=False)[:60])
    with pytest.raises(StreamError):
        EntropyModel.load(path)


def test_a_fitted_model_comes_close_to_the_entropy_of_its_latents() -> None:
    features = latents(5000, 4)
    entropy = 0.0
    for column in features.T:
        counts = np.unique(column, return_counts=True)[1]
        entropy -= float((counts * np.log2(counts / len(column))).sum())
    model = EntropyModel.fit(features)
    assert model.code_length(features) + 8 * model.size < 1.02 * entropy + 800


def test_models_of_probabilities() -> None:
    model = EntropyModel.from_probabilities([[0.1, 0.8, 0.1], [0.0, 1.0, 0.0]], [-1, 4])
    assert model.contexts == 2
    first, shares = model.probabilities(0)
    assert first == -1
    assert shares == pytest.approx([0.1, 0.8, 0.1], abs=0.02)
    first, shares = model.probabilities(1)
    assert first == 5
    assert shares == pytest.approx([1.0], abs=0.001)


def test_models_of_scales() -> None:
    model = EntropyModel.from_scales([0.11, 1.0, 256.0], [0, -3, 100])
    for context, (scale, mean) in enumerate([(0.11, 0), (1.0, -3), (256.0, 100)]):
        first, shares = model.probabilities(context)
        values = first + np.arange(len(shares))
        assert float(values @ shares) == pytest.approx(mean, abs=0.6)
        assert float(((values - mean) ** 2) @ shares) ** 0.5 == pytest.approx(
            scale, rel=0.2, abs=0.12
        )


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: EntropyModel.fit(np.zeros(3)),
        lambda: EntropyModel.fit(np.full((2, 2), 0.5)),
        lambda: EntropyModel.fit(np.full((2, 2), np.nan)),
        lambda: EntropyModel.fit(np.full((2, 2), 1e9)),
        lambda: EntropyModel.fit(np.array([["a"]])),
        lambda: EntropyModel.fit(np.zeros((0, 4))),
        lambda: EntropyModel.from_counts([[1, -1]]),
        lambda: EntropyModel.from_counts(np.zeros((2, 0))),
        lambda: EntropyModel.from_counts(np.ones((1, 9000))),
        lambda: EntropyModel.from_scales([0.0]),
        lambda: EntropyModel.fit(np.array([[-32768], [32767]] * 3), escape=False),
    ],
)
def test_models_that_cannot_be(wrong: Any) -> None:
    with pytest.raises(CallerError):
        wrong()


# --- models apart ----------------------------------------------------------------------------------


def test_a_model_apart_is_found_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, store = latents(20), tmp_path / "store"
    store.mkdir()
    data = stream(features, model=MODEL, model_apart=True)
    assert len(data) < len(stream(features, model=MODEL))
    EntropyModel.from_scales([1.0] * 64).save(store / f"{MODEL.sha256.hex()}.dfcm")  # another model
    with pytest.raises(EnvironmentFault):
        list(refcodec.open(data, models=store))
    MODEL.save(store / "mine.dfcm")
    for models in (MODEL, store, [store / "mine.dfcm"], str(store)):
        assert np.array_equal(np.stack(list(refcodec.open(data, models=models))), features)
        assert refcodec.validate(data, models=models).conforming
    assert np.array_equal(
        refcodec.decode(stream(features[:1], model=MODEL, model_apart=True), models=MODEL),
        features[0],
    )
    monkeypatch.setenv("REFCODEC_MODELS", str(store))
    assert np.array_equal(refcodec.open(data)[3], features[3])


def test_a_model_beside_its_stream(tmp_path: Path) -> None:
    path = tmp_path / "f.dfc"
    path.write_bytes(stream(latents(3), model=MODEL, model_apart=True))
    MODEL.save(tmp_path / "any.dfcm")
    with refcodec.open(path) as reader:
        assert np.array_equal(reader[2], latents(3)[2])
        with pickle.loads(pickle.dumps(reader)) as again:
            assert np.array_equal(again[1], latents(3)[1])


def test_a_model_that_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFCODEC_MODELS", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    data = stream(latents(3), model=MODEL, model_apart=True)
    with pytest.raises(EnvironmentFault) as caught:
        list(refcodec.open(data))
    for said in (MODEL.sha256.hex(), str(tmp_path), "share", "REFCODEC_MODELS"):
        assert said in str(caught.value)
    report = refcodec.validate(data)
    assert not report.violations
    assert "the model" in report.unverified[0]
    with pytest.raises(CallerError, match="there is no"):
        refcodec.open(data, models=tmp_path / "nowhere")


def test_contexts_of_a_model_apart() -> None:
    model = EntropyModel.from_scales([1.0] * 64)
    data = stream(latents(3), model=model, model_apart=True)
    edited = data.replace(model.sha256, EntropyModel.from_scales([1.0] * 63).sha256)
    other = EntropyModel.from_scales([1.0] * 63)
    edited = Set(1, "entropy_model_unit.sha256", other.sha256.hex())(data)
    with pytest.raises(StreamError, match="63 contexts") as caught:
        list(refcodec.open(edited, models=other))
    assert caught.value.clause == "9.7"


def test_a_model_that_is_not_there() -> None:
    from refcodec.suite.assemble import Drop

    for batch in (True, False):
        edited = Drop(1)(stream(latents(3), model=MODEL, batch=batch, index=False))
        with pytest.raises(StreamError, match="model 0 is used before it occurs") as caught:
            list(refcodec.open(edited))
        assert caught.value.clause == "7.4"
        assert refcodec.validate(edited).violations[0].reject == "order"


def test_damaged_models_and_what_depends_on_them() -> None:
    data = bytearray(stream(latents(3), model=MODEL, index=False))
    data[20] ^= 1
    report = refcodec.validate(bytes(data))
    assert [one.reject for one in report.violations] == ["checksum"]
    with refcodec.open(bytes(data), salvage=True) as reader:
        assert list(reader) == []
        assert reader.missing


# --- hostile ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"joint": True}, {"batch": False}])
def test_damaged_payloads_are_noticed(options: dict[str, Any]) -> None:
    """The last state is another one for all but a few in a thousand; CRCs are made to match here."""
    from refcodec.suite.assemble import Patch

    data = stream(latents(4, 2), model=MODEL, index=False, **options)
    name = "coded_feature_batch.payloads" if "joint" in options else "coded_feature.payload"
    bits = 8 * len(
        next(one for one in refcodec.inspect(data)[3].elements if one.path == name).value
    )
    missed = 0
    for bit in range(bits):
        old = next(one for one in refcodec.inspect(data)[3].elements if one.path == name).value
        flipped = "01"[not (old[bit // 8] >> (7 - bit % 8)) & 1]
        with suppress(PayloadError):
            list(refcodec.open(Patch(3, name, bit, flipped)(data)))
            missed += 1
    assert missed <= 1


def test_a_long_list_of_hostile_streams() -> None:
    chance = np.random.default_rng(0)
    for options in ({"joint": True}, {"joint": False}, {"batch": False}):
        data = stream(latents(5), model=MODEL, **options)
        for _ in range(150):
            bad = bytearray(data)
            for _ in range(int(chance.integers(1, 4))):
                bad[int(chance.integers(9, len(bad)))] = int(chance.integers(256))
            with suppress(StreamError):
                list(refcodec.open(_with_crcs(bytes(bad))))


def _with_crcs(data: bytes) -> bytes:
    """A stream whose CRCs match, as far as units can be found."""
    from refcodec.suite.assemble import assemble, disassemble

    pieces = disassemble(data)
    for piece in pieces:
        if {"unit.unit_size", "unit.unit_crc"} <= {one.path for one in piece.fields}:
            piece.settle()
    return assemble(pieces)


# --- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": 3}, "model is a int"),
        (
            {"model": EntropyModel.from_scales([1.0] * 3)},
            "3 contexts, and the features 64 channels",
        ),
        ({"step": 0.0}, "step is 0.0"),
        ({"step": (1.0, 2.0)}, "step has 2 numbers for 64 channels"),
        ({"offset": float("nan")}, "offset is nan"),
        ({"joint": True, "batch": False}, "joint has no effect"),
        ({"joint": True, "substreams": 2}, "joint has no effect with substreams"),
        ({"batch": True, "substreams": 2}, "batch has no effect with substreams"),
        ({"substreams": 65}, "substreams is 65; it is 1 to 64"),
        ({"coder": "raw", "substreams": 2}, "raw has no option substreams"),
        ({"quantiser": "none"}, "float32"),
        ({"quantiser": "uniform"}, "with learned it is lattice or none"),
        ({"quantiser": "none", "step": 2.0}, "step has no effect"),
        ({"step": 1e-9}, "latents have 16 bits"),
        ({"coder": "zlib", "model": MODEL}, "zlib has no option model"),
    ],
)
def test_refusals(options: dict[str, Any], said: str) -> None:
    with pytest.raises(CallerError, match=said):
        stream(latents(2) + np.float32(0.5), **options)


def test_a_model_without_escapes() -> None:
    model = EntropyModel.fit(np.zeros((4, 8), int), escape=False)
    assert np.array_equal(
        list(refcodec.open(stream(np.zeros((2, 8), np.float32), model=model)))[1], np.zeros(8)
    )
    with pytest.raises(CallerError, match="the latent 1 lies beyond its table"):
        stream(np.ones((2, 8), np.float32), model=model)


# --- tools -----------------------------------------------------------------------------------------


def test_models_on_the_command_line(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", latents(12))
    MODEL.save(tmp_path / "m.dfcm")
    run = CliRunner()
    base = ["encode", str(tmp_path / "x.npy"), str(tmp_path / "x.dfc"), "--coder", "learned"]
    for more in ([], ["--model-file", str(tmp_path / "m.dfcm"), "--joint"], ["--step", "0.5"]):
        found = run.invoke(app, [*base, *more, "--force"])
        assert found.exit_code == 0, found.output
        decoded = run.invoke(
            app, ["decode", str(tmp_path / "x.dfc"), str(tmp_path / "y.npy"), "--force"]
        )
        assert decoded.exit_code == 0, decoded.output
        assert np.array_equal(np.load(tmp_path / "y.npy"), latents(12))
    apart = ["--model-file", str(tmp_path / "m.dfcm"), "--model-apart"]
    assert run.invoke(app, [*base, *apart, "--force"]).exit_code == 0
    decode = ["decode", str(tmp_path / "x.dfc"), str(tmp_path / "y.npy"), "--force"]
    assert run.invoke(app, decode).exit_code == 0  # the model is beside the stream
    (tmp_path / "models").mkdir()
    (tmp_path / "m.dfcm").rename(tmp_path / "models" / "m.dfcm")
    missing = run.invoke(app, decode)
    assert missing.exit_code == 2
    assert run.invoke(app, [*decode, "--models", str(tmp_path / "models")]).exit_code == 0
    validate = ["validate", str(tmp_path / "x.dfc")]
    assert run.invoke(app, validate).exit_code != 0
    assert run.invoke(app, [*validate, "--models", str(tmp_path / "models")]).exit_code == 0


def test_the_inspector_shows_tables() -> None:
    shown = refcodec.inspect(stream(latents(3), model=MODEL))[1]
    values = {one.path: one.value for one in shown.elements}
    assert values["entropy_model.context_table"].tolist() == MODEL.distributions.table_of.tolist()
    assert values["entropy_model.context_base"].tolist() == MODEL.distributions.base.tolist()
    tables = [value for path, value in values.items() if path.startswith("entropy_model.table[")]
    assert len(tables) == MODEL.tables
    assert all(one.sum() == 1 << 14 for one in tables)
    assert shown.name == UnitType.ENTROPY_MODEL.name.lower()
