"""Features of tokens: T x D and heads x T x D, sequences that are appended to, and ranges of them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import safetensors.numpy
from typer.testing import CliRunner

import refcodec
from refcodec.arrays import entries_in
from refcodec.cli import app
from refcodec.errors import CallerError, MalformedError, OrderError, StreamError, UnsupportedError
from refcodec.registry import CODERS
from refcodec.sequences import TokenSequence
from refcodec.suite.assemble import Drop, Set
from refcodec.suite.make.native import payloads

Array = npt.NDArray[Any]

LOSSLESS = [name for name, one in CODERS.items() if one.tokens and one.lossless]
LOSSY = [name for name, one in CODERS.items() if one.tokens and one.signals_qp]


def tokens(count: int, width: int = 24, seed: int = 1) -> Array:
    """Tokens with a channel of fifty times the others, as transformers have them."""
    found = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    found[:, width // 3] *= 50
    return found


def heads(count: int, number: int = 3, width: int = 8, seed: int = 1) -> Array:
    return tokens(count, number * width, seed).reshape(count, number, width).transpose(1, 0, 2)


def encoded(array: Any, **options: Any) -> bytes:
    return refcodec.encode(array, feature_type="tokens", **options)


def cache(*lengths: int, **options: Any) -> tuple[bytes, Array, Array]:
    """A stream of keys and values that are appended in turn, and these as a whole."""
    keys, values = heads(sum(lengths), seed=2), heads(sum(lengths), seed=3)
    target, start = io.BytesIO(), 0
    with refcodec.create(target, feature_type="tokens", names=("k", "v"), **options) as writer:
        for length in lengths:
            for name, one in (("k", keys), ("v", values)):
                writer.append(one[:, start : start + length], name)
            start += length
    return target.getvalue(), keys, values


# --- features --------------------------------------------------------------------------------------


@pytest.mark.parametrize("coder", LOSSLESS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float8_e4m3fn"])
def test_encode_decode(coder: str, dtype: str) -> None:
    for given in (tokens(17), tokens(1), heads(5), heads(5)[:1]):
        array = given.astype(dtype)
        decoded = refcodec.decode(encoded(array, coder=coder, hashes=True))
        assert decoded.dtype == array.dtype
        np.testing.assert_array_equal(decoded.view("u1"), np.ascontiguousarray(array).view("u1"))


@pytest.mark.parametrize("coder", LOSSY)
def test_lossy_coders_keep_to_their_steps(coder: str) -> None:
    for given in (tokens(40), heads(40), heads(1)):
        decoded = refcodec.decode(encoded(given, coder=coder, qp=4, range="tensor"))
        assert decoded.shape == given.shape
        assert np.abs(decoded - given).max() < 0.02 * np.abs(given).max()


def test_axis_of_heads_is_no_matter_of_the_payload() -> None:
    """Heads lie side by side in the channels: the payload is that of the tokens without the axis."""
    together, apart = (
        payloads(encoded(one, coder="native", qp=20))[0] for one in (tokens(30), heads(30))
    )
    assert (together.data, together.fps.head_count) == (apart.data, 0)
    assert apart.fps.head_count == 3


def test_tokens_differ_in_number_within_a_parameter_set() -> None:
    arrays = [tokens(count, seed=count) for count in (9, 1, 30)]
    target = io.BytesIO()
    with refcodec.create(target, coder="zlib", feature_type="tokens") as writer:
        assert [writer.write(one) for one in arrays] == [0, 1, 2]
    with refcodec.open(target.getvalue()) as reader:
        assert len(reader.parameters) == 1
        for number, one in enumerate(arrays):
            np.testing.assert_array_equal(reader[number], one)
        assert "T x 24 float32 zlib" in repr(reader)


def test_a_batch_has_four_axes() -> None:
    batch = np.stack([heads(6, seed=n) for n in range(4)])
    np.testing.assert_array_equal(refcodec.decode(encoded(batch, coder="raw")), batch)


def test_tokens_by_name() -> None:
    named = {"k": heads(6), "v": heads(6, seed=2), "x": tokens(9)}
    decoded = refcodec.decode(encoded(named, coder="native-lossless"))
    assert list(decoded) == ["k", "v", "x"]
    for name, one in named.items():
        np.testing.assert_array_equal(decoded[name], one)


def test_a_target_is_met() -> None:
    given = tokens(50)
    decoded = refcodec.decode(encoded(given, coder="native", target_snr=25.0))
    ratio = 10 * np.log10((given**2).sum() / ((decoded - given) ** 2).sum())
    assert 25 <= ratio < 26.5


def test_channels_of_tokens() -> None:
    """Channels are what tokens are wide, whatever the heads; substreams are decoded alone."""
    array = heads(12).astype(np.float32)
    for options in ({"coder": "native-static", "substreams": 4}, {"coder": "native"}):
        with refcodec.open(encoded(array, **options)) as reader:
            whole = reader[0].transpose(1, 0, 2).reshape(12, 24)
            np.testing.assert_array_equal(reader.channels(0, 5, 19), whole[:, 5:19])


def test_log_samples_have_a_sign_whatever_the_first_tokens_are() -> None:
    target = io.BytesIO()
    with refcodec.create(
        target, coder="raw", quantiser="log", bits=8, feature_type="tokens"
    ) as writer:
        writer.append(np.abs(tokens(3)))
        writer.append(-np.abs(tokens(3)))
    (sequence,) = refcodec.open(target.getvalue()).sequences
    assert (sequence[3:] <= 0).all()


# --- token sequences -------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"low_latency": True}, {"index": False}])
def test_sequences_come_back_joined(options: dict[str, Any]) -> None:
    stream, keys, values = cache(3, 1, 1, 7, coder="native-lossless", **options)
    assert refcodec.validate(stream).conforming
    decoded = refcodec.decode(stream)
    np.testing.assert_array_equal(decoded["k"], keys)
    np.testing.assert_array_equal(decoded["v"], values)
    with refcodec.open(stream) as reader:
        assert len(reader) == 8
        assert [one.shape[1] for one in reader] == [3, 3, 1, 1, 1, 1, 7, 7]
        assert [one.name for one in reader.sequences] == ["k", "v"]
        for sequence, whole in zip(reader.sequences, (keys, values), strict=True):
            assert (len(sequence), sequence.shape, sequence.dtype) == (12, (3, 12, 8), whole.dtype)
            np.testing.assert_array_equal(sequence[:], whole)


def test_a_pipe_gives_sequences_joined() -> None:
    stream, keys, _ = cache(4, 2, coder="zlib")

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with refcodec.open(Pipe(stream)) as reader:
        np.testing.assert_array_equal(next(reader.arrays()), keys)


def test_a_range_is_decoded_from_the_features_that_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, keys, _ = cache(5, 5, 5, 5, coder="native-lossless")
    asked: list[int] = []
    with refcodec.open(stream) as reader:
        sequence = reader.sequences[0]
        decode = sequence._features

        def counting(numbers: Any) -> Any:
            asked.extend(numbers)
            return decode(numbers)

        monkeypatch.setattr(sequence, "_features", counting)
        np.testing.assert_array_equal(sequence[6:12], keys[:, 6:12])
        assert asked == [2, 4]
        np.testing.assert_array_equal(sequence[-1], keys[:, -1])
        assert asked == [2, 4, 6]
        np.testing.assert_array_equal(sequence[17:2:-4], keys[:, 17:2:-4])
        assert sequence[9:9].shape == (3, 0, 8)
        with pytest.raises(IndexError):
            sequence[20]
        with pytest.raises(CallerError, match="no number of a token"):
            sequence["k"]  # type: ignore[index]


def test_only_the_front_of_other_units_is_read(tmp_path: Path) -> None:
    """The positions of the index and a few bytes of each unit tell where tokens are."""
    path = tmp_path / "cache.dfc"
    stream, keys, _ = cache(*[400] * 8, coder="raw")
    damaged = bytearray(stream)
    damaged[payloads(stream)[8].bit_offset // 8] ^= 1  # of keys: the CRC-32 fails when that is read
    path.write_bytes(damaged)
    with refcodec.open(path) as reader:
        sequence = reader.sequences[0]
        np.testing.assert_array_equal(sequence[:400], keys[:, :400])
        with pytest.raises(MalformedError, match="CRC-32"):
            sequence[:]


def test_write_begins_a_sequence_of_its_own() -> None:
    target = io.BytesIO()
    with refcodec.create(target, coder="raw", feature_type="tokens") as writer:
        writer.append(tokens(4))
        writer.write(tokens(2, seed=5))
        writer.append(tokens(3, seed=6))
    with refcodec.open(target.getvalue()) as reader:
        first, second = reader.arrays()
        np.testing.assert_array_equal(first, np.concatenate([tokens(4), tokens(3, seed=6)]))
        np.testing.assert_array_equal(second, tokens(2, seed=5))
        assert [one.numbers for one in reader.sequences] == [[0, 2], [1]]


def test_joined_streams_keep_their_sequences() -> None:
    parts = [cache(2, 3, coder="raw"), cache(1, 4, coder="raw")]
    target = io.BytesIO()
    refcodec.concat(target, [one[0] for one in parts])
    joined = target.getvalue()
    assert refcodec.validate(joined).conforming
    for stream in (joined, b"".join(one[0] for one in parts)):  # one stream, or two in a file
        with refcodec.open(stream) as reader:
            assert [len(one) for one in reader.sequences] == [5, 5, 5, 5]
            np.testing.assert_array_equal(reader.sequences[2][:], parts[1][1])


def test_appending_to_a_file_begins_new_sequences(tmp_path: Path) -> None:
    path = tmp_path / "tokens.dfc"
    for seed in (1, 2):
        with refcodec.create(path, coder="raw", feature_type="tokens", mode="a") as writer:
            writer.append(tokens(4, seed=seed))
            writer.append(tokens(2, seed=seed + 8))
    assert refcodec.validate(path).conforming
    with refcodec.open(path) as reader:
        assert [len(one) for one in reader.sequences] == [6, 6]
        np.testing.assert_array_equal(reader.sequences[1][:4], tokens(4, seed=2))
    with pytest.raises(CallerError, match="names of sequences precede all features"):
        refcodec.create(path, coder="raw", feature_type="tokens", mode="a", names=["k"])


def test_more_sequences_than_parameter_sets() -> None:
    """A sequence whose parameter set had to make room is not continued under another one."""
    target = io.BytesIO()
    names = [f"layer{n}" for n in range(258)]
    with refcodec.create(target, coder="raw", feature_type="tokens", names=names) as writer:
        for name in names:
            writer.append(tokens(1, 3), name)
        with pytest.raises(CallerError, match="another parameter set"):
            writer.append(tokens(1, 3), "layer0")


# --- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("coder", [name for name, one in CODERS.items() if not one.tokens])
def test_coders_that_code_no_tokens(coder: str) -> None:
    with pytest.raises(CallerError, match=f"{coder} codes no tokens"):
        encoded(tokens(3), coder=coder)


@pytest.mark.parametrize("options", [{"gop": 4}, {"batch": True}])
def test_options_without_effect(options: dict[str, Any]) -> None:
    with pytest.raises(CallerError, match="no effect with tokens"):
        encoded(tokens(3), coder="native", **options)


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.zeros(4, np.float32), "rank 2 or 3, this one 1"),
        (np.zeros((2, 2, 2, 2, 2), np.float32), "rank 2 or 3, this one 5"),
        (np.zeros((65537, 1), np.float32), "65,537 tokens"),
        (np.zeros((5000, 1, 1), np.float32), "no place in a stream"),
        (np.zeros((0, 4), np.float32), "empty"),
    ],
)
def test_arrays_that_are_no_tokens(array: Array, what: str) -> None:
    with pytest.raises(CallerError, match=what):
        encoded(array, coder="raw")


def test_append_says_what_does_not_fit() -> None:
    target = io.BytesIO()
    with refcodec.create(
        target, coder="raw", feature_type="tokens", names=("k", "v"), index=False
    ) as writer:
        with pytest.raises(CallerError, match="'k' begins before 'v'"):
            writer.append(heads(2), "v")
        with pytest.raises(CallerError, match="no sequence None"):
            writer.append(heads(2))
        with pytest.raises(CallerError, match="no sequence 'q'"):
            writer.append(heads(2), "q")
        writer.append(heads(2), "k")
        for other in (heads(2, 3, 9), heads(2, 6, 4), tokens(2), heads(2).astype(np.float16)):
            with pytest.raises(CallerError, match="another parameter set"):
                writer.append(other, "k")
        writer.append(heads(1), "k")
        writer.append(heads(1), "v")
    assert [len(one) for one in refcodec.open(target.getvalue()).sequences] == [3, 1]
    with (
        refcodec.create(io.BytesIO(), coder="raw") as writer,
        pytest.raises(CallerError, match="append takes tokens"),
    ):
        writer.append(tokens(2))


def test_a_stream_that_understates_its_level() -> None:
    stream = encoded(np.zeros((4096, 17), np.uint8), coder="zlib")
    lowered = Set(0, "stream_header.level_idc", 1)(stream)
    with pytest.raises(UnsupportedError, match="69632 elements; level 1 allows 65536"):
        refcodec.decode(lowered)
    with pytest.raises(CallerError, match="exceeds level 1"):
        encoded(np.zeros((4096, 17), np.uint8), coder="zlib", level=1)


def test_a_lost_beginning_is_noticed_in_order_and_by_the_index() -> None:
    stream, _, _ = cache(2, 2, coder="raw", index=False)
    cut = Drop(3)(stream)  # metadata, parameter set of the keys, and their first feature
    with pytest.raises(OrderError, match="continuation_flag is 1 in the first feature"):
        refcodec.decode(cut)
    with refcodec.open(stream) as reader:
        assert isinstance(reader.sequences[0], TokenSequence)


def test_salvage_gives_what_follows_a_lost_feature() -> None:
    stream, keys, _ = cache(2, 2, 3, coder="native-lossless")
    damaged = bytearray(stream)
    (place,) = (one.bit_offset // 8 for one in payloads(stream)[2:3])
    damaged[place + 5] ^= 0x10
    with refcodec.open(bytes(damaged), salvage=True) as reader:
        found = list(reader)
        assert [one.shape[1] for one in found] == [2, 2, 2, 3, 3]
        np.testing.assert_array_equal(found[3], keys[:, 4:])
        assert [gap.features for gap in reader.missing] == [1]
        with pytest.raises(CallerError, match="have gaps"):
            next(reader.arrays())


def test_names_are_described_in_the_metadata() -> None:
    stream, _, _ = cache(1, 1, coder="raw")
    entries = entries_in(refcodec.open(stream).metadata) or []
    assert [(one.name, one.batch) for one in entries] == [("k", None), ("v", None)]


# --- the command line ------------------------------------------------------------------------------


def run(*words: Any) -> str:
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors"])
def test_command_line(suffix: str, tmp_path: Path) -> None:
    source, stream, back = (tmp_path / name for name in (f"in.{suffix}", "x.dfc", f"out.{suffix}"))
    whole = heads(12) if suffix == "npy" else tokens(12)
    {"npy": np.save, "npz": lambda p, x: np.savez(p, t=x), "safetensors": save_tensor}[suffix](
        source, whole
    )
    run("encode", source, stream, "--type", "tokens", "--coder", "native-lossless")
    run("decode", stream, back)
    assert json.loads(run("compare", source, stream, "--json"))["bit_exact"]
    np.testing.assert_array_equal(load(back), whole)
    run("decode", stream, back, "--tokens", "3:7", "--force")
    np.testing.assert_array_equal(load(back), whole[..., 3:7, :])


def load(path: Path) -> Array:
    if path.suffix == ".safetensors":
        return safetensors.numpy.load_file(path)["t"]
    found = np.load(path)
    return found if path.suffix == ".npy" else found["t"]


def save_tensor(path: Path, array: Array) -> None:
    safetensors.numpy.save_file({"t": np.ascontiguousarray(array)}, path)


def test_command_line_joins_sequences(tmp_path: Path) -> None:
    stream, keys, values = cache(3, 4, 2, coder="raw")
    (tmp_path / "cache.dfc").write_bytes(stream)
    run("decode", tmp_path / "cache.dfc", tmp_path / "cache.npz", "--tokens", ":5")
    with np.load(tmp_path / "cache.npz") as found:
        np.testing.assert_array_equal(found["k"], keys[:, :5])
        np.testing.assert_array_equal(found["v"], values[:, :5])
    run("encode", tmp_path / "cache.dfc", tmp_path / "again.dfc", "--type", "tokens")
    assert refcodec.decode(tmp_path / "again.dfc")["v"].shape == values.shape
    shown = run("info", tmp_path / "cache.dfc")
    assert "3 x T x 8 (tokens), float32" in shown
    assert json.loads(run("info", tmp_path / "cache.dfc", "--json"))["elements"] == 2 * keys.size
    assert "continuation_flag" in run("inspect", tmp_path / "cache.dfc")
    run("inspect", tmp_path / "cache.dfc", "--html", tmp_path / "cache.html")
    assert "token_count_minus1" in (tmp_path / "cache.html").read_text(encoding="utf-8")


def test_pictures_of_tokens(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    stream, source = tmp_path / "x.dfc", tmp_path / "x.npy"
    np.save(source, tokens(9))
    run("encode", source, stream, "--type", "tokens", "--qp", "20")
    run("plot", stream, tmp_path / "x.svg", "--original", source)
    run("inspect", stream, "--html", tmp_path / "x.html")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--tokens", "3"], "it is FIRST:STOP"),
        (["--tokens", "a:b"], "it is FIRST:STOP"),
        (["--tokens", "0:1", "--salvage"], "neither --salvage nor --output"),
        (["--tokens", "0:1"], "features that are no tokens"),
    ],
)
def test_ranges_that_are_refused(words: list[str], what: str, tmp_path: Path) -> None:
    stream = tmp_path / "map.dfc"
    stream.write_bytes(refcodec.encode(np.zeros((2, 3, 4), np.float32), coder="raw"))
    done = CliRunner().invoke(app, ["decode", str(stream), str(tmp_path / "out.npy"), *words])
    assert done.exit_code == 2
    assert what in " ".join(done.output.split())


def test_an_index_that_points_at_a_damaged_front() -> None:
    stream, _, _ = cache(2, 2, coder="raw")
    broken = Set(5, "coded_feature.token_count_minus1", 65536)(stream)
    assert len(broken) != len(stream)
    with pytest.raises(StreamError):
        refcodec.open(broken).sequences  # noqa: B018 - it raises
