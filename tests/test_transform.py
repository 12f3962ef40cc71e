"""Transforms over channels: exactness, constraints, what encoders make of them."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import CALL_AT_FAULT, run
from hypothesis import given
from hypothesis import strategies as st

import refcodec
from refcodec.errors import CallerError, ConstraintError, EnvironmentFault, UnsupportedError
from refcodec.suite.make.transforms import coded, mixing, transform
from refcodec.suite.valid.transforms import LARGEST, PLAIN
from refcodec.syntax.structures import CodedChannelTransform
from refcodec.tables import level
from refcodec.transform.channel import ChannelTransform
from refcodec.transform.fitting import klt_of, moments_of


def correlated(count: int, channels: int, side: int, seed: int = 0) -> list[np.ndarray]:
    """Maps whose channels are sums of a few sources of unlike strength, float32."""
    random = np.random.default_rng(seed)
    mixture = random.normal(size=(channels, channels)) * 2.0 ** -np.arange(channels)
    sources = random.normal(size=(count, channels, side, side))
    return list(np.einsum("cs,nshw->nchw", mixture, sources).astype(np.float32) + 3)


def snr(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(10 * np.log10(np.var(wanted) / np.mean((found - wanted) ** 2)))


@pytest.mark.parametrize("model", [PLAIN, LARGEST], ids=["plain", "largest"])
def test_sums_are_exact_and_two_operations_round(model: ChannelTransform) -> None:
    random = np.random.default_rng(5)
    samples = random.integers(-(1 << 18), 1 << 18, (model.channels, 1, 7)).astype(np.int32)
    found = model.apply(samples)
    for c in range(model.channels):
        for x in range(7):
            total = sum(
                int(model.numbers[0, k, c])
                * 2 ** int(model.coded.coefficient_shift[k])
                * min(max(int(samples[k, 0, x]), -(1 << 17)), 1 << 17)
                for k in range(model.channels)
            )
            scale, offset = (
                Fraction(float(one[c]))
                for one in (model.coded.channel_scale, model.coded.channel_offset)
            )
            product = Fraction(float(total * scale))  # a division of integers rounds once
            assert found[c, 0, x] == float(product + offset)


@given(
    groups=st.integers(1, 3),
    size=st.integers(1, 6),
    spread=st.integers(0, 12),
    seed=st.integers(0, 99),
)
def test_a_matrix_of_any_scale_is_kept(groups: int, size: int, spread: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(groups, size, size)) + 3 * np.eye(size)
    matrix *= 2.0 ** random.integers(0, spread + 1, (groups, 1, size))
    model = ChannelTransform.from_matrix(
        matrix if groups > 1 else matrix[0], random.normal(size=groups * size), groups=groups
    )
    again = ChannelTransform.from_bytes(model.to_bytes())
    assert again == model
    coefficients = random.integers(-500, 500, (groups * size, 1, 4))
    values = model.apply(coefficients.astype(np.int32))
    assert np.abs(model.coefficients(values) - coefficients).max() < 0.5
    exact = np.einsum("gck,gkp->gcp", matrix, coefficients.reshape(groups, size, 4))
    error = values.reshape(groups, size, 4) - exact
    error -= model.coded.channel_offset.reshape(groups, size, 1)
    assert np.abs(error).max() <= 2e-3 * np.abs(exact).max()


def test_coefficients_are_uncorrelated_and_the_first_is_largest() -> None:
    features = correlated(9, 6, 8)
    moments = moments_of(features)
    matrix = klt_of(moments)[0]
    inverse = np.linalg.inv(matrix)
    spread = inverse @ moments.covariance @ inverse.T
    assert np.allclose(spread, np.diag(np.diag(spread)), atol=1e-6 * spread.max())
    assert (np.diff(np.diag(spread)) <= 0).all()
    assert np.allclose(matrix.T @ matrix, np.eye(6) * (moments.extent / 1023) ** 2)


def test_errors_of_coefficients_weigh_alike_in_the_metric() -> None:
    moments = moments_of(correlated(9, 5, 8))
    root = np.random.default_rng(2).normal(size=(5, 5))
    metric = root @ root.T + np.eye(5)
    matrix = klt_of(moments, metric)[0]
    own = matrix.T @ metric @ matrix
    assert np.allclose(own, np.eye(5) * own[0, 0])
    assert np.isclose(
        np.linalg.det(matrix),
        np.linalg.det(klt_of(moments)[0])
        * np.sign(np.linalg.det(matrix) * np.linalg.det(klt_of(moments)[0])),
    )


def test_moments_of_maps_vectors_and_tokens_agree() -> None:
    table = np.random.default_rng(3).normal(size=(7, 12))  # channels x positions
    for features in ([table.reshape(7, 3, 4)], [table.T], list(table.T)):
        moments = moments_of(features)
        assert np.allclose(moments.mean, table.mean(axis=1))
        assert np.allclose(moments.covariance, np.cov(table, bias=True))


@pytest.mark.parametrize("coder", ["native", "native-static"])
def test_fewer_bytes_at_equal_quality(coder: str) -> None:
    features = correlated(24, 12, 8)
    model = ChannelTransform.fit(features[:12])
    wanted = np.stack(features[12:])
    plain = refcodec.encode(wanted, coder=coder, qp=20)
    found = refcodec.encode(wanted, coder=coder, qp=14, model=model)
    assert snr(refcodec.decode(found), wanted) > snr(refcodec.decode(plain), wanted)
    assert len(found) - len(model.to_bytes()) < 0.8 * len(plain)


@pytest.mark.parametrize("where", ["token", "channel"])
def test_an_outlier_of_a_thousand_times_costs_the_others_little(where: str) -> None:
    """It is in the calibration, too, and in every sequence that is coded."""
    random = np.random.default_rng(4)
    mixture = random.normal(size=(160, 160)) * 2.0 ** (-np.arange(160) / 40)
    sequences = [(random.normal(size=(96, 160)) @ mixture.T).astype(np.float32) for _ in range(14)]
    marred = [one.copy() for one in sequences]
    for one in marred:
        one[(3,) if where == "token" else (slice(None), 5)] *= 1000
    others = np.ones((96, 160), bool)
    others[(3, slice(None)) if where == "token" else (slice(None), 5)] = False

    def quality(features: list[Any], found: list[Any]) -> float:
        own, back = (np.stack([one[others] for one in part]) for part in (features, found))
        return snr(back, own)

    def code(features: list[Any], qp: int) -> tuple[list[Any], int]:
        return code_tokens(features[10:], ChannelTransform.fit(features[:10]), qp=qp)

    plain, bytes_plain = code(sequences, 20)
    found, bytes_found = code(marred, 20)
    lost = quality(sequences[10:], plain) - quality(marred[10:], found)
    assert lost < 0.2, lost
    assert bytes_found < 1.35 * bytes_plain
    if where == "channel":  # such tokens exceed 18 bits
        assert np.abs(found[0] - marred[10]).max() <= 1e-3 * np.abs(marred[10]).max()


def code_tokens(features: list[Any], model: Any, **options: Any) -> tuple[list[Any], int]:
    """Token sequences as they return from a stream, and its size without the model."""
    target, own = io.BytesIO(), {"model": model, "model_apart": True, **options}
    with refcodec.create(target, coder="native", feature_type="tokens", **own) as writer:
        for one in features:
            writer.write(one)
    data = target.getvalue()
    return list(refcodec.open(io.BytesIO(data), models=model)), len(data)


def test_an_outlier_with_a_gain_costs_nothing() -> None:
    """A token of a hundred times and one of a third: each has the error that suits its size."""
    random = np.random.default_rng(4)
    mixture = random.normal(size=(64, 64)) * 2.0 ** (-np.arange(64) / 16)
    features = [(random.normal(size=(40, 64)) @ mixture.T).astype(np.float32) for _ in range(12)]
    model = ChannelTransform.fit(features[:8])
    marred = [one.copy() for one in features[8:]]
    for one in marred:
        one[3] *= 100
        one[7] /= 3
    others = np.delete(np.arange(40), [3, 7])
    errors, sizes = {}, {}
    for gain in (False, True):
        for name, tried in {"plain": features[8:], "marred": marred}.items():
            found, sizes[name, gain] = code_tokens(tried, model, qp=20, token_gain=gain)
            errors[name, gain] = np.stack(found) - np.stack(tried)
    assert sizes["marred", False] > 1.05 * sizes["plain", False]
    assert sizes["marred", True] < 1.02 * sizes["plain", True]
    spread = {name: one[:, others].std() for name, one in errors.items()}
    assert spread["marred", True] == pytest.approx(spread["plain", True], rel=0.02)
    usual = spread["marred", True]
    assert 50 * usual < errors["marred", True][:, 3].std() < 200 * usual
    assert usual / 6 < errors["marred", True][:, 7].std() < usual / 1.5


def test_gains_are_of_tokens_under_a_transform() -> None:
    model = ChannelTransform.fit(correlated(6, 4, 4))
    for options in ({"feature_type": "tokens"}, {"model": model}):
        with pytest.raises(CallerError, match="gains are of tokens under a transform"):
            refcodec.EncoderConfig(coder="native", token_gain=True, **options)
    with pytest.raises(CallerError, match="token_gain"):
        refcodec.EncoderConfig(
            coder="native-static", model=model, feature_type="tokens", token_gain=True
        )


def test_coefficients_that_saturate_are_told(caplog: pytest.LogCaptureFixture) -> None:
    features = correlated(6, 4, 4)
    model = ChannelTransform.fit(features)
    refcodec.encode(features[0] * 1e5, coder="native", model=model)
    assert "saturate: fit the transform to features like these" in caplog.text


def test_a_model_apart_is_found_and_checked(tmp_path: Path) -> None:
    features = correlated(6, 4, 4)
    model = ChannelTransform.fit(features)
    stream = refcodec.encode(features[0], coder="native", qp=20, model=model, model_apart=True)
    with pytest.raises(EnvironmentFault, match="needs the model"):
        refcodec.decode(stream)
    model.save(tmp_path / "any.dfcm")
    inside = refcodec.encode(features[0], coder="native", qp=20, model=model)
    assert np.array_equal(refcodec.decode(stream, models=tmp_path), refcodec.decode(inside))
    assert not refcodec.validate(stream).violations


@pytest.mark.parametrize("apart", [False, True])
def test_the_level_of_a_stream_admits_its_transform(apart: bool) -> None:
    model = ChannelTransform.from_matrix(np.eye(600))
    stream = refcodec.encode(
        np.ones(600, np.float32), coder="native", model=model, model_apart=apart
    )
    assert stream[6] >> 4 == 2
    assert refcodec.decode(stream, models=model).shape == (600,)


def _renamed(model: refcodec.EntropyModel | ChannelTransform, features: np.ndarray) -> bytes:
    """A stream that names the file of ``model`` as its transform."""
    own = ChannelTransform.fit(correlated(5, 4, 4))
    stream = refcodec.encode(features, coder="native", qp=20, model=own, model_apart=True)
    from refcodec.suite.assemble import Set

    return Set(1, "channel_transform_unit.sha256", model.sha256.hex())(stream)


def test_a_file_of_another_kind() -> None:
    tables = refcodec.EntropyModel.fit(np.arange(12).reshape(3, 4) % 3)
    stream = _renamed(tables, correlated(1, 4, 4)[0])
    with pytest.raises(ConstraintError, match="no transform over channels"):
        refcodec.decode(stream, models=tables)


def test_a_file_for_other_channels() -> None:
    other = ChannelTransform.fit(correlated(5, 3, 4))
    stream = _renamed(other, correlated(1, 4, 4)[0])
    with pytest.raises(ConstraintError, match="of 3 channels, the features of 4"):
        refcodec.decode(stream, models=other)


def test_the_weights_of_a_transform_keep_to_the_level() -> None:
    limits = level(1)
    assert limits is not None
    few = coded(mixing(1, 512, 0, 1))
    assert not list(ChannelTransform.check(few, limits))
    many = CodedChannelTransform(**{**few, "group_channels": 513})
    (error,) = ChannelTransform.check(many, limits)
    assert isinstance(error, UnsupportedError)
    assert "263169 weights" in error.what


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coder": "zlib"}, "has no option model"),
        ({"coder": "learned"}, "quantiser transform|no transform|quantiser is"),
        ({"bits": 10}, "bits has no effect"),
        ({"range": "channel"}, "range has no effect"),
        ({"clip": (0, 1)}, "clip has no effect"),
        ({"quantiser": "uniform"}, "takes no transform"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(CallerError, match=message):
        refcodec.EncoderConfig(**{"coder": "native", "model": PLAIN, **options})


def test_a_quantiser_without_its_transform() -> None:
    with pytest.raises(CallerError, match="quantiser is 'transform'; it is one of"):
        refcodec.EncoderConfig(coder="native", quantiser="transform")
    model = refcodec.EntropyModel.fit(np.arange(12).reshape(3, 4) % 3)
    with pytest.raises(CallerError, match="takes no model of latents"):
        refcodec.EncoderConfig(coder="native", model=model)


def test_features_of_other_channels() -> None:
    with pytest.raises(CallerError, match="of 5 channels, the features of 4"):
        refcodec.encode(correlated(1, 4, 4)[0], coder="native", model=PLAIN)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 3)), "square"),
        (np.ones((2, 2)), "inverse"),
        (np.array([[1.0, np.nan], [0, 1]]), "finite"),
    ],
)
def test_matrices_that_are_no_transform(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(CallerError, match=message):
        ChannelTransform.from_matrix(matrix)


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        ([], {}, "no features"),
        ([np.ones((2, 3, 3)), np.ones((3, 3, 3))], {}, "no common transform"),
        ([np.full((2, 2, 2), np.inf)], {}, "not finite"),
        ([np.ones((2, 2, 2, 2))], {}, "a feature of shape"),
        ([np.ones((4, 2, 2))], {"groups": 3}, "groups of equal size"),
        ([np.ones((4, 2, 2))], {"metric": np.ones((3, 3))}, "a metric of shape"),
        ([np.ones((4, 2, 2))], {"metric": np.zeros((4, 4))}, "a metric is positive"),
    ],
)
def test_features_that_no_transform_fits(
    features: list[np.ndarray], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(CallerError, match=message):
        ChannelTransform.fit(features, **options)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (None, "a NoneType is no sequence of features"),
        ("features.npy", "a str is no sequence of features"),
        ({"x": np.ones((2, 3))}, "a dict is no sequence of features"),
        (np.ones((2, 3, 4)), r"may be one map, or several features of tokens \(give \[x\]"),
        (np.ma.masked_less(np.arange(12.0).reshape(4, 3), 5), "of 3 elements are masked"),
        (np.ones((4, 3), complex), "of type complex128"),
        (np.ones((4, 3, 2, 2), object), "of type object"),
    ],
)
def test_what_means_more_than_features_is_refused(features: Any, message: str) -> None:
    with pytest.raises(CallerError, match=message):
        ChannelTransform.fit(features)


def test_tensors_fit_as_their_values_do() -> None:
    torch = pytest.importorskip("torch")
    maps = np.random.default_rng(0).normal(size=(6, 5, 4, 4)).astype(np.float32)
    short = torch.tensor(maps).bfloat16()
    assert ChannelTransform.fit(short) == ChannelTransform.fit(short.float().numpy())
    assert ChannelTransform.fit(torch.tensor(maps, requires_grad=True)) == ChannelTransform.fit(
        maps
    )
    assert repr(ChannelTransform.fit(maps)).startswith("<ChannelTransform: 5 channels, 1 groups, ")
    latents = torch.zeros((4, 7), requires_grad=True)
    assert refcodec.EntropyModel.fit(latents) == refcodec.EntropyModel.fit(latents.detach().numpy())


def test_constant_channels_are_no_obstacle() -> None:
    features = correlated(5, 4, 4)
    for one in features:
        one[2] = 7
    model = ChannelTransform.fit(features)
    found = refcodec.decode(refcodec.encode(features[0], coder="native", qp=8, model=model))
    assert np.abs(found[2] - 7).max() < 0.05


def test_a_target_is_met_through_the_transform() -> None:
    features = correlated(12, 6, 8)
    model = ChannelTransform.fit(features[:6])
    found = refcodec.decode(
        refcodec.encode(features[7], coder="native", model=model, target_snr=30)
    )
    assert 30 <= snr(found, features[7]) < 31.5


def test_transforms_are_written_by_number_of_bits() -> None:
    narrow = transform(mixing(1, 4, 1, 3), bits=3)
    assert narrow.coded.weight_bits_minus1 == 2
    assert ChannelTransform.from_bytes(narrow.to_bytes()) == narrow


def test_the_metric_of_a_linear_tail_is_its_own() -> None:
    torch = pytest.importorskip("torch")
    from refcodec.allocate.curvature import channel_metric

    random = torch.Generator().manual_seed(1)
    weight = torch.randn(7, 5, generator=random)
    tokens = torch.randn(40, 6, 5, generator=random)
    found = channel_metric(lambda x: x @ weight.T, [tokens], feature_weight=0, axis=-1)
    exact = (weight.T @ weight).double().numpy()
    exact /= 42 * float((tokens @ weight.T).double().var(correction=0))
    assert np.abs(found - exact).max() < 0.15 * np.abs(exact).max()
    again = channel_metric(
        lambda x: torch.einsum("dc,nchw->ndhw", weight, x), [tokens.permute(0, 2, 1)[..., None]],
        feature_weight=0,
    )  # fmt: skip
    assert np.abs(again - exact).max() < 0.15 * np.abs(exact).max()


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("maps.npy", np.stack(correlated(12, 6, 8)))
    run("model", "fit", "maps.npy", "two.dfcm", "--groups", "2", "--count", "6")
    assert ChannelTransform.load("two.dfcm").coded.group_count == 2
    coder = ("--coder", "native", "--qp", "20")
    run("encode", "maps.npy", "maps.dfc", *coder, "--model-file", "two.dfcm")
    assert "transform, 18 bits, over the channels" in run("info", "maps.dfc").output
    assert "6 in groups of 3" in run("model", "info", "two.dfcm").output
    assert "they are exact" in run("model", "verify", "two.dfcm").output
    fit = ("model", "fit", "maps.npy", "two.dfcm", "--force")
    refused = run(*fit, "--weights", "w.safetensors", status=CALL_AT_FAULT)
    assert "have no effect" in refused.output
