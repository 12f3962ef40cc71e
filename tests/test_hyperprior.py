"""Hyperpriors in streams: latents, models in the stream and apart, what is refused."""

from __future__ import annotations

import io
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import refcodec
from refcodec import EntropyModel, HyperpriorModel
from refcodec.cli import app
from refcodec.errors import CallerError, EnvironmentFault, StreamError
from refcodec.networks.analysis import AnalysisLayer, FloatAnalysis
from refcodec.networks.convert import FloatLayer, convert
from refcodec.networks.network import work_of
from refcodec.suite.assemble import Set
from refcodec.suite.make.networks import hyperprior, layer, network
from refcodec.suite.valid.hyperpriors import MEANS, SCALES, SYNTHESIS
from refcodec.syntax.codes import Activation

SHAPES = {  # of features, latents and hyper-latents
    "scales": (SCALES, (4, 5, 7), (4, 5, 7), (3, 3, 4)),
    "means": (MEANS, (3, 4, 5), (3, 4, 5), (2, 2, 3)),
    "synthesis": (SYNTHESIS, (3, 7, 9), (2, 4, 5), (3, 2, 3)),
}
FORMS: list[dict[str, Any]] = [{}, {"joint": True}, {"batch": False}]


def pairs(kind: str, count: int, seed: int = 0) -> list[tuple[Any, Any]]:
    """Latents and hyper-latents of features."""
    _, _, latents, hyper = SHAPES[kind]
    chance = np.random.default_rng(seed)
    return [(chance.normal(0, 3, latents), chance.integers(-3, 4, hyper)) for _ in range(count)]


def stream(kind: str, latents: list[tuple[Any, Any]], **options: Any) -> bytes:
    model, shape, _, _ = SHAPES[kind]
    target = io.BytesIO()
    with refcodec.create(target, coder="learned", model=model, **options) as writer:
        for one in latents:
            writer.write(np.zeros(shape, np.float32), latents=one)
    return target.getvalue()


# --- round trips -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("options", FORMS)
def test_encode_decode(kind: str, options: dict[str, Any]) -> None:
    model, shape, _, _ = SHAPES[kind]
    given = pairs(kind, 9)
    data = stream(kind, given, step=2.0**-model.fraction, hashes=True, hash_size=8, **options)
    assert refcodec.validate(data).conforming
    with refcodec.open(data) as reader:
        found = list(reader)
        assert [one.shape for one in found] == [shape] * 9
        for number in (7, 0, 8):
            assert np.array_equal(reader[number], found[number])
    if model.synthesis is None:
        off = [np.abs(one - exact).max() for one, (exact, _) in zip(found, given, strict=True)]
        assert max(off) <= 0.5 + 2.0**-model.fraction


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("options", FORMS)
def test_latents_without_a_synthesis(kind: str, options: dict[str, Any]) -> None:
    model, _, latents, _ = SHAPES[kind]
    given = pairs(kind, 5)
    data = stream(kind, given, step=0.25, **options)
    found = refcodec.decode(data, output="latents")
    assert [one.integers.shape for one in found] == [latents] * 5
    for one, (exact, _) in zip(found, given, strict=True):
        assert np.abs(one.values - exact).max() <= 0.5 + 2.0**-model.fraction
        assert one.values.dtype == np.float32
        assert np.array_equal(np.ldexp(one.values, model.fraction), one.integers)
        assert one.scales.dtype == np.uint8
        assert one.scales.max() < 64
        assert one.deviations[0, 0, 0] == pytest.approx(
            0.11 * (256 / 0.11) ** (one.scales[0, 0, 0] / 63), rel=1e-5
        )
    with refcodec.open(data, output="latents") as reader:
        assert np.array_equal(reader[3].integers, found[3].integers)
        assert np.array_equal(reader[3].scales, found[3].scales)
        assert len(list(reader)) == 5
    if model.synthesis is not None:
        samples = model.synthesis.apply(found[3].integers)[:, :7, :9]
        with refcodec.open(data) as reader:
            assert np.array_equal(reader[3], np.float32(0.25) * samples)


def test_latents_of_entropy_models() -> None:
    features = np.random.default_rng(0).integers(-3, 4, (6, 8)).astype(np.float32)
    for options in FORMS:
        target = io.BytesIO()
        with refcodec.create(target, coder="learned", **options) as writer:
            for one in features:
                writer.write(one)
        found = refcodec.decode(target.getvalue(), output="latents")
        assert np.array_equal([one.integers.reshape(-1) for one in found], features)
        assert found[0].scales is None
        assert found[0].deviations is None
    data = refcodec.encode(features[0], coder="learned")
    single: Any = refcodec.decode(data, output="latents")
    assert np.array_equal(single.values.reshape(-1), features[0])


def test_latents_of_a_pipe() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.source = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def readinto(self, target: Any) -> int:
            data = self.source.read(min(len(target), 7))
            target[: len(data)] = data
            return len(data)

    data = stream("means", pairs("means", 3), hashes=True)
    with refcodec.open(Pipe(data), output="latents") as reader:
        found: list[Any] = list(reader)
    expected = refcodec.decode(data, output="latents")
    assert [one.integers.tolist() for one in found] == [one.integers.tolist() for one in expected]


def test_outputs_that_cannot_be() -> None:
    data = stream("scales", pairs("scales", 2))
    for wrong in (
        lambda: refcodec.open(data, output="samples"),
        lambda: refcodec.open(data, output="latents", salvage=True),
        lambda: refcodec.decode(refcodec.encode(np.zeros(3, np.float32)), output="latents"),
    ):
        with pytest.raises(CallerError):
            wrong()


def test_threads_agree() -> None:
    data = stream("synthesis", pairs("synthesis", 12), step=0.5)
    with refcodec.open(data) as reader:
        alone = [reader[i].tobytes() for i in range(12)]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda i: reader[i].tobytes(), range(12))) == alone


def test_an_analysis_makes_the_latents() -> None:
    given = pairs("synthesis", 4)
    seen: list[Any] = []

    def analysis(feature: Any) -> Any:
        seen.append(feature)
        return given[len(seen) - 1]

    analysis.step = 0.125  # type: ignore[attr-defined]
    features = np.random.default_rng(0).normal(0, 1, (4, 3, 7, 9)).astype(np.float32)
    target = io.BytesIO()
    with refcodec.create(target, coder="learned", model=SYNTHESIS, analysis=analysis) as writer:
        for one in features:
            writer.write(one)
    assert target.getvalue() == stream("synthesis", given, step=0.125)
    assert np.array_equal(seen, features)


def test_latents_that_suit_their_model_cost_little() -> None:
    """A hyper-synthesis that says the scale of each latent, in 4 channels for a 4 x 4 block."""
    weights = np.zeros((4, 4, 1, 1))
    weights[:, :, 0, 0] = 10
    made = convert(
        [FloatLayer(weights, np.array([20.0]), 4, 0)],
        [np.arange(-2, 4).reshape(1, 2, 3)],
        input_bits=4,
        output_scale=1 / 16,
    )
    tables = EntropyModel.from_counts(np.ones((1, 6)), -2)
    model = hyperprior(made.network.coded, tables, [16 * i for i in range(1, 64)])
    chance = np.random.default_rng(0)
    hyper = chance.integers(-2, 4, (50, 1, 8, 8))
    scales = np.kron(20 + 10 * hyper, np.ones((4, 4)))
    deviations = 0.11 * (256 / 0.11) ** (scales / 63)
    latents = chance.normal(0, deviations)
    target = io.BytesIO()
    with refcodec.create(target, coder="learned", model=model, joint=True) as writer:
        for one in zip(latents, hyper, strict=True):
            writer.write(np.zeros((1, 32, 32), np.float32), latents=one)
    bits = np.log2(np.maximum(deviations, 0.3) * np.sqrt(2 * np.pi * np.e)).clip(0.05).sum()
    bits += hyper.size * np.log2(6)
    assert len(target.getvalue()) - model.size < 1.03 * bits / 8


def test_joint_batches_keep_to_the_limit_of_latents() -> None:
    tables = EntropyModel.from_counts([[1, 30, 1]], -1)
    wide = network(layer(np.full((1, 1, 60, 2), 1), biases=20))
    model = hyperprior(wide, tables, range(8, 71))
    target = io.BytesIO()
    with refcodec.create(target, coder="learned", model=model, joint=True) as writer:
        for _ in range(1500):
            writer.write(np.zeros(2, np.float32), latents=(np.ones(2), np.zeros(60)))
    data = target.getvalue()
    assert refcodec.validate(data).conforming
    batches = [one for one in refcodec.inspect(data) if one.name == "coded_feature_batch"]
    assert len(batches) == 2
    with refcodec.open(data) as reader:
        assert len(reader) == 1500
        assert np.array_equal(reader[1499], np.ones(2))


def test_models_of_both_kinds_in_one_stream(tmp_path: Path) -> None:
    path = tmp_path / "mixed.dfc"
    config = refcodec.EncoderConfig(coder="learned", model=SCALES)
    plain = np.arange(-4, 4, dtype=np.float32)
    with refcodec.create(path, config) as writer:
        for one, other in zip(pairs("scales", 4), pairs("means", 4), strict=True):
            writer.write(np.zeros((4, 5, 7), np.float32), latents=one)
            writer.write(
                np.zeros((3, 4, 5), np.float32), latents=other, config=config.but(model=MEANS)
            )
            writer.write(plain, config=config.but(model=EntropyModel.from_scales([2.0])))
    again = tmp_path / "again.dfc"
    assert refcodec.concat(again, [path, path]) == 24
    with refcodec.open(path) as reader, refcodec.open(again) as copy:
        assert np.array_equal(reader[5], plain)
        for number in range(12):
            assert np.array_equal(reader[number], copy[12 + number])
    names = [one.name for one in refcodec.inspect(again)]
    assert (names.count("network_model"), names.count("entropy_model")) == (2, 1)
    assert refcodec.validate(again).conforming


# --- what an encoder is given ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("latents", "message"),
    [
        (None, "nothing makes them"),
        (np.zeros((4, 5, 7)), "a pair"),
        ((np.zeros((4, 5, 6)), np.zeros((3, 3, 4))), "latents of shape"),
        ((np.zeros((4, 5, 7)), np.zeros((3, 3, 5))), "hyper-latents of shape"),
        ((np.zeros((4, 5, 7)), np.full((3, 3, 4), 0.5)), "integers in -128"),
        ((np.zeros((4, 5, 7)), np.full((3, 3, 4), 128)), "integers in -128"),
        ((np.full((4, 5, 7), np.nan), np.zeros((3, 3, 4))), "finite"),
        ((np.full((4, 5, 7), "a"), np.zeros((3, 3, 4))), "numbers"),
    ],
)
def test_latents_that_cannot_be(latents: Any, message: str) -> None:
    with pytest.raises(CallerError, match=message):
        stream("scales", [latents])


@pytest.mark.parametrize(
    "options", [{"quantiser": "none"}, {"model": MEANS}, {"model": SYNTHESIS, "step": (1.0, 2.0)}]
)
def test_features_that_are_not_those_of_the_model(options: dict[str, Any]) -> None:
    kind = np.int16 if "quantiser" in options else np.float32
    target = io.BytesIO()
    with (
        pytest.raises(CallerError),
        refcodec.create(target, **{"coder": "learned", "model": SCALES, **options}) as writer,
    ):
        writer.write(np.zeros((4, 5, 7), kind), latents=pairs("scales", 1)[0])


def test_latents_are_for_hyperpriors() -> None:
    with (
        pytest.raises(CallerError, match="under a hyperprior"),
        refcodec.create(io.BytesIO(), coder="zlib") as writer,
    ):
        writer.write(np.zeros(3, np.float32), latents=(0, 0))
    with pytest.raises(CallerError, match="a function of a feature"):
        refcodec.EncoderConfig(coder="learned", analysis=3)


def test_latents_beyond_their_range_saturate() -> None:
    _, _, latents, hyper = SHAPES["synthesis"]
    data = stream(
        "synthesis", [(np.full(latents, sign * 1e6), np.zeros(hyper)) for sign in (1, -1)]
    )
    found = refcodec.decode(data, output="latents")
    assert 254 <= found[0].integers.min() <= found[0].integers.max() <= 255
    assert -256 <= found[1].integers.min() <= found[1].integers.max() <= -255


def test_levels_of_models_and_features() -> None:
    heavy = network(
        layer(np.full((8, 8, 1, 40), 1), padding=4),
        layer(np.full((8, 8, 40, 1), 1), padding=4, biases=90),
    )
    model = hyperprior(heavy, EntropyModel.from_scales([1.0]), range(10, 73))
    pair = np.zeros((1, 30, 30)), np.zeros((1, 30, 30))
    levels = []
    for side in (1, 30):
        target = io.BytesIO()
        with refcodec.create(target, coder="learned", model=model) as writer:
            writer.write(
                np.zeros((1, side, side), np.float32),
                latents=(pair[0][:, :side, :side], pair[1][:, :side, :side]),
            )
        levels.append(refcodec.open(target.getvalue()).header.level_idc)
    assert levels == [1, 1]
    heavier = network(
        layer(np.full((8, 8, 1, 300), 1), padding=4),
        layer(np.full((8, 8, 300, 1), 1), padding=4, biases=90, bits=8, shift=9),
    )
    model = hyperprior(heavier, EntropyModel.from_scales([1.0]), range(10, 73))
    target = io.BytesIO()
    with refcodec.create(target, coder="learned", model=model) as writer:
        writer.write(np.zeros((1, 30, 30), np.float32), latents=pair)
    assert refcodec.open(target.getvalue()).header.level_idc == 3  # 38,400 for each element
    with (
        pytest.raises(CallerError, match="exceeds level 2"),
        refcodec.create(io.BytesIO(), coder="learned", model=model, level=2) as writer,
    ):
        writer.write(np.zeros((1, 30, 30), np.float32), latents=pair)


# --- models in files -------------------------------------------------------------------------------


def test_models_in_files(tmp_path: Path) -> None:
    path = tmp_path / "m.dfcm"
    SYNTHESIS.save(path)
    again = HyperpriorModel.load(path)
    assert again == SYNTHESIS != MEANS
    assert again.sha256 == SYNTHESIS.sha256
    assert hash(again) == hash(SYNTHESIS)
    assert pickle.loads(pickle.dumps(SYNTHESIS)) == SYNTHESIS
    assert refcodec.validate(path).conforming
    with pytest.raises(StreamError, match="holds no entropy model"):
        EntropyModel.load(path)
    EntropyModel.from_scales([1.0]).save(path)
    with pytest.raises(StreamError, match="holds no network model"):
        HyperpriorModel.load(path)
    for config in (refcodec.EncoderConfig(coder="learned", model=path),):
        assert isinstance(config.model, EntropyModel)


def test_a_model_apart_is_found_by_its_hash(tmp_path: Path) -> None:
    given = pairs("synthesis", 3)
    data = stream("synthesis", given, model_apart=True)
    assert len(data) < len(stream("synthesis", given))
    with pytest.raises(EnvironmentFault):
        list(refcodec.open(data))
    SYNTHESIS.save(tmp_path / "mine.dfcm")
    for models in (SYNTHESIS, tmp_path):
        found = list(refcodec.open(data, models=models))
        assert np.array_equal(found, list(refcodec.open(stream("synthesis", given))))
        assert refcodec.validate(data, models=models).conforming
        assert len(refcodec.decode(data, models=models, output="latents")) == 3


def test_the_level_of_a_stream_admits_a_model_apart() -> None:
    many = network(
        layer(np.full((8, 8, 1, 40), 1), stride=4),
        layer(np.full((8, 8, 40, 128), 1), stride=4, biases=90, bits=8, shift=9),
        layer(np.full((1, 1, 128, 128), 1), stride=4, biases=90, bits=8, shift=9),
    )
    model = hyperprior(many, EntropyModel.from_scales([1.0]), range(10, 73))
    target = io.BytesIO()
    with refcodec.create(target, coder="learned", model=model, model_apart=True) as writer:
        writer.write(
            np.zeros((128, 64, 64), np.float32), latents=(np.zeros((128, 64, 64)), [[[1]]])
        )
    with refcodec.open(target.getvalue(), models=model) as reader:
        assert reader.header.level_idc == 2
        assert reader[0].shape == (128, 64, 64)


def test_a_model_apart_of_other_features() -> None:
    data = stream("scales", pairs("scales", 2), model_apart=True)
    edited = Set(1, "network_model_unit.sha256", SYNTHESIS.sha256.hex())(data)
    with pytest.raises(StreamError, match="3 channels, not of 4") as caught:
        list(refcodec.open(edited, models=SYNTHESIS))
    assert caught.value.clause == "9.8"


# --- analyses in files -----------------------------------------------------------------------------


def analysis_of(seed: int = 0) -> FloatAnalysis:
    """An analysis for ``SYNTHESIS``: features of 3 channels to latents of half the size, and so on."""
    chance = np.random.default_rng(seed)

    def drawn(outputs: int, inputs: int, size: int, gain: float) -> Any:
        scale = gain / size / np.sqrt(inputs)
        return chance.normal(0, scale, (outputs, inputs, size, size)).astype(np.float32)

    bias = np.zeros(2, np.float32), np.full(3, 0.5, np.float32)
    return FloatAnalysis(
        [AnalysisLayer(drawn(2, 3, 4, 3.0), bias[0], 2, 1, "leaky_relu")],
        [AnalysisLayer(drawn(3, 2, 4, 1.0), bias[1], 2, 1)],
        step=0.25,
        absolute=True,
        limit=4,
    )


def test_an_analysis_in_a_file(tmp_path: Path) -> None:
    path, one = tmp_path / "a.safetensors", analysis_of()
    one.save(path)
    again = FloatAnalysis.load(path)
    feature = np.random.default_rng(1).normal(0, 1, (3, 7, 9)).astype(np.float32)
    for mine, other in zip(one(feature), again(feature), strict=True):
        assert np.array_equal(mine, other)
    assert (again.step, again.absolute, again.limit) == (0.25, True, 4)
    latents, hyper = one(feature)
    assert latents.shape == (2, 4, 5)
    assert hyper.shape == (3, 2, 3)
    assert hyper.dtype == np.int32
    assert np.abs(hyper).max() <= 4
    torch = pytest.importorskip("torch")
    wanted = torch.nn.functional.conv2d(
        torch.tensor(np.pad(feature, ((0, 0), (0, 1), (0, 1))))[None],
        torch.tensor(one.analysis[0].weight),
        stride=2,
        padding=1,
    )
    found = torch.nn.functional.leaky_relu(wanted)[0].numpy()
    assert np.allclose(found, latents, atol=1e-5)


def test_analyses_that_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(CallerError):
        FloatAnalysis.load(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(CallerError, match="holds no analysis"):
        FloatAnalysis.load(path)
    one = np.zeros((1, 1, 3, 3), np.float32), np.zeros(1, np.float32)
    for wrong in (
        lambda: AnalysisLayer(one[0], np.zeros(2, np.float32)),
        lambda: AnalysisLayer(*one, stride=0),
        lambda: AnalysisLayer(*one, activation="gdn"),
        lambda: AnalysisLayer(*one).apply(np.zeros((2, 3, 3), np.float32)),
    ):
        with pytest.raises(CallerError):
            wrong()


def test_commands(tmp_path: Path) -> None:
    model, companion = tmp_path / "m.dfcm", tmp_path / "m.safetensors"
    SYNTHESIS.save(model)
    analysis_of().save(companion)
    features = np.random.default_rng(1).normal(0, 1, (5, 3, 7, 9)).astype(np.float32)
    np.save(tmp_path / "f.npy", features)

    def run(*arguments: object) -> Any:
        return CliRunner().invoke(app, [str(one) for one in arguments])

    target, source = tmp_path / "f.dfc", tmp_path / "f.npy"
    options = ("--coder", "learned", "--model-file", model)
    assert run("encode", source, target, *options).exit_code == 2
    done = run("encode", source, target, *options, "--analysis", companion)
    assert done.exit_code == 0, done.output
    with refcodec.open(target) as reader:
        assert len(reader) == 5
        assert reader.parameters[0].lattice_step == [0.25]
    assert run("encode", source, target, "--coder", "zlib", "--analysis", companion).exit_code == 2
    with refcodec.open(target, output="latents") as reader:
        expected: list[Any] = list(reader)
    for output, name in (("latents", "values"), ("deviations", "deviations")):
        other = tmp_path / f"{output}.npy"
        assert run("decode", target, other, "--output", output).exit_code == 0
        assert np.array_equal(np.load(other), [getattr(one, name) for one in expected])
    refcodec.EntropyModel.fit(np.zeros((3, 4), int)).save(plain := tmp_path / "plain.dfcm")
    np.save(zeros := tmp_path / "zeros.npy", np.zeros((3, 4), np.float32))
    apart = ("--coder", "learned", "--model-file", plain)
    assert run("encode", zeros, tmp_path / "zeros.dfc", *apart).exit_code == 0
    told = run("decode", tmp_path / "zeros.dfc", tmp_path / "y.npy", "--output", "deviations")
    assert told.exit_code == 2
    assert "have no deviations" in told.stderr
    told = run("model", "info", model)
    assert told.exit_code == 0
    for part in (SYNTHESIS.sha256.hex(), "976", "layer 1", "relu to 8 bits", "hyperprior"):
        assert part in told.output
    facts = json.loads(run("model", "info", model, "--json").output)
    assert facts["networks"]["synthesis"]["layers"][1]["channels"] == 3
    networks = SYNTHESIS.networks
    work = 2 * 2 * work_of(networks["synthesis"].coded, 1)
    work += work_of(networks["hyper_synthesis"].coded, 1)
    assert facts["multiply_accumulates_per_element"] == pytest.approx(work / (3 * 16))
    assert "cannot overflow" in run("model", "verify", model).output
    assert json.loads(run("model", "verify", model, "--json").output)["file"] == "conforms"
    renamed = tmp_path / f"{'0' * 64}.dfcm"
    renamed.write_bytes(model.read_bytes())
    assert run("model", "verify", renamed).exit_code == 2
    bad = bytearray(model.read_bytes())
    bad[-5] ^= 1
    renamed.write_bytes(bad)
    assert run("model", "verify", renamed).exit_code == 1


# --- hostile ---------------------------------------------------------------------------------------


def test_a_long_list_of_hostile_streams() -> None:
    chance = np.random.default_rng(0)
    for kind in SHAPES:
        for options in FORMS:
            data = stream(kind, pairs(kind, 3), **options)
            for _ in range(60):
                bad = bytearray(data)
                for _ in range(int(chance.integers(1, 4))):
                    bad[int(chance.integers(9, len(bad)))] = int(chance.integers(256))
                with suppress(StreamError):
                    list(refcodec.open(bytes(bad)))
                refcodec.validate(bytes(bad))
                list(refcodec.inspect(bytes(bad)))


def test_rows_of_the_inspector() -> None:
    units = {one.name: one for one in refcodec.inspect(stream("synthesis", pairs("synthesis", 1)))}
    rows = {one.path: one.value for one in units["network_model"].elements}
    numbers = SYNTHESIS.synthesis.numbers  # type: ignore[union-attr]
    assert np.array_equal(rows["network.layer[1].weights"], numbers[1].weights.reshape(-1))
    assert np.array_equal(rows["network.layer[1].multipliers"], [9000, 12000, 500])
    assert rows["network.layer[1].bound"] == SYNTHESIS.synthesis.bounds[1]  # type: ignore[union-attr]
    assert "entropy_model.table[0]" in rows
    assert not units["network_model"].problem


def test_activations_have_the_names_of_the_kernel() -> None:
    from refcodec.networks import layers

    assert {one.name: one.value for one in Activation} == {
        name: getattr(layers, name) for name in ("LINEAR", "RELU", "LEAKY_RELU")
    }
