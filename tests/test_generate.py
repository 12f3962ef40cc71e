"""Streams drawn at random: the same everywhere, conforming, decoded as drawn; suites, faults and lines."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from command import run
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import refcodec
from refcodec.cli import app
from refcodec.coders.learned.payload import (
    contexts_of,
    decode_separate,
    encode_separate,
    latents_of,
)
from refcodec.entropy.symbols import LANES_SIZE
from refcodec.errors import CallerError, DFCError, EnvironmentFault, OrderError
from refcodec.hashes import little_endian_bytes
from refcodec.suite.agreement import Verdicts, judge, unnoticed
from refcodec.suite.assemble import edit_from_json
from refcodec.suite.derive import labels
from refcodec.suite.drawn import faults, folder, walk
from refcodec.suite.drawn.chance import Chance
from refcodec.suite.drawn.containers import compress
from refcodec.suite.drawn.coverage import Coverage, all_points, excluded, points_of
from refcodec.suite.drawn.folder import Plan, generate
from refcodec.suite.drawn.latents import draw_latents
from refcodec.suite.drawn.models import draw_model
from refcodec.suite.drawn.parameter_sets import Budget, draw_parameter_set
from refcodec.suite.drawn.stream import coders_of, draw_stream
from refcodec.suite.drawn.transforms import draw_transform
from refcodec.suite.manifest import Manifest, load_manifest
from refcodec.suite.run.contract import BuiltIn
from refcodec.suite.run.runner import run_suite
from refcodec.syntax.codes import Profile
from refcodec.validator import Report

CONFORMANCE = Path(__file__).parents[1] / "conformance"

DETERMINISTIC = [Profile.LOSSLESS, Profile.NATIVE, Profile.LEARNED]

# --- streams -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "sha256"),
    [
        (Profile.LOSSLESS, "be915859644e3b72b898de7fec192b0e27c7ae1ecb81fa0b571ad1ae446c86b3"),
        (Profile.NATIVE, "d7dd26c986965c2c148c141e08860a485711386978106c0fb47e0386e6636145"),
        (Profile.LEARNED, "bd35192ba25cba624763e1ad4f87c1b8d56498654ac560e79aad33f34696bb55"),
        (Profile.REALTIME, "79925e1c04b04265d545c4a8df138dad2e4cfc89ff47acaedd587aaeffc785eb"),
    ],
)
def test_exact_bytes(profile: Profile, sha256: str) -> None:
    """Integers alone make these streams; bzip2 is the only library in them."""
    found = hashlib.sha256()
    for seed in range(30):
        found.update(draw_stream(profile, 1, seed).stream)
    assert found.hexdigest() == sha256


@pytest.mark.parametrize(
    ("profile", "level", "seeds"),
    [
        (Profile.LOSSLESS, 1, range(100, 140)),
        (Profile.LOSSLESS, 3, range(20)),
        (Profile.NATIVE, 2, range(200, 240)),
        (Profile.LEARNED, 1, range(300, 340)),
        (Profile.LEARNED, 2, range(2015, 2025)),  # a set of level 2 that no feature uses
        (Profile.REALTIME, 2, range(400, 440)),
        (Profile.HEVC, 1, range(5)),
    ],
)
def test_streams_conform_and_decode_as_drawn(profile: Profile, level: int, seeds: range) -> None:
    for seed in seeds:
        drawn = draw_stream(profile, level, seed)
        assert refcodec.validate(drawn.stream).conforming, seed
        with refcodec.open(io.BytesIO(drawn.stream)) as reader:
            decoded = [little_endian_bytes(feature) for feature in reader]
        assert decoded == [little_endian_bytes(values) for _, values in drawn.features], seed


def test_seeds_profiles_and_levels_give_different_streams() -> None:
    drawn = {draw_stream(profile, 1, seed).stream for profile in DETERMINISTIC for seed in range(8)}
    assert len(drawn) == 8 * len(DETERMINISTIC)


def test_chance_is_splitmix64() -> None:
    chance = Chance()
    chance._state = 0
    assert chance.below(1 << 64) == 0xE220A8397B1DCDAF
    assert chance.words(2).tolist() == [0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert sorted(chance.order(50).tolist()) == list(range(50))
    assert {chance.number(-2, 3) for _ in range(200)} == set(range(-2, 4))
    assert sum(chance.parts(100, 7)) == 100


@pytest.mark.parametrize(
    ("coder", "decompress"),
    [
        ("zlib", zlib.decompress),
        ("gzip", gzip.decompress),
        ("bzip2", bz2.decompress),
        ("lzma", lzma.decompress),
    ],
)
@given(
    data=st.binary(min_size=1, max_size=400)
    | st.binary(min_size=1, max_size=5).map(lambda b: b * 300),
    seed=st.integers(0, 1000),
)
def test_containers(
    coder: str, decompress: Callable[[bytes], bytes], data: bytes, seed: int
) -> None:
    assert decompress(compress(Chance(seed), data, coder)) == data


# --- transforms over channels --------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [Profile.NATIVE, Profile.REALTIME])
def test_streams_of_coefficients_take_every_branch(profile: Profile) -> None:
    """Transforms of the stream and transforms apart, maps and tokens, and all tools of their payloads."""
    coverage = Coverage(profile)
    for seed in range(120):
        drawn = draw_stream(profile, 1, seed).stream
        coverage.add(drawn, labels(drawn).tags)
    tools = {"quantiser:transform", "channel_transform"}
    if profile == Profile.NATIVE:
        tools |= {"native:dependent", "native:gains", "tokens:continued"}
    assert tools <= set(coverage.labels)
    names = {"model_id", "external_flag", "sha256", "group_count_minus1", "group_channels_minus1"}
    names |= {"weight_bits_minus1", "coefficient_shift", "coded_weights"}
    assert not names & {path.rpartition(".")[2] for path, _ in coverage.missing}


def test_weights_shifts_and_groups_of_transforms() -> None:
    chance, found = Chance("transforms"), [draw_transform(Chance(n), 24) for n in range(200)]
    assert {one.coded.group_channels for one in found} == {1, 2, 3, 4, 6, 8, 12, 24}
    assert {one.coded.weight_bits_minus1 for one in found} == set(range(16))
    assert max(int(one.coded.coefficient_shift.max()) for one in found) == 15
    assert max(one.largest_sum for one in found) > 2.0**48
    assert draw_transform(chance, 2048).coded.group_channels <= 4


# --- latents -----------------------------------------------------------------------------------------


def test_streams_of_latents_take_every_branch() -> None:
    """Models of the stream and models apart, one lattice or one for each channel, all forms of payloads."""
    coverage = Coverage(Profile.LEARNED)
    for seed in range(120):
        drawn = draw_stream(Profile.LEARNED, 1, seed).stream
        coverage.add(drawn, labels(drawn).tags)
    forms = {f"latents:{form}" for form in ("alone", "separate", "joint", "substreams")}
    assert {*forms, "range:channel", "entropy_model"} <= set(coverage.labels)
    names = {"model_id", "lattice_step", "lattice_offset_flag", "joint_flag", "level_step"}
    names |= {"external_flag", "sha256", "coded_tables", "context_count_minus1", "substream_size"}
    assert not names & {path.rpartition(".")[2] for path, _ in coverage.missing}


def test_latents_have_one_lane_or_four_and_one_table_or_several() -> None:
    chance, found = Chance("lanes"), set()
    (record,) = coders_of(Profile.LEARNED, ["learned"])
    for _ in range(150):
        fps = draw_parameter_set(chance, record, Budget(2048, 1), 0)
        model = draw_model(chance, fps, 1)
        payload = draw_latents(chance, fps, model, 3, joint=True)[0].data
        found.add((model.tables > 1, len(payload) >= LANES_SIZE))
    assert len(found) == 4


def test_latents_beyond_tables_and_other_numbers_in_the_last_interval() -> None:
    chance = Chance("latents")
    (record,) = coders_of(Profile.LEARNED, ["learned"])
    escaped = other = 0
    for _ in range(40):
        fps = draw_parameter_set(chance, record, Budget(200, 1), 0)
        model = draw_model(chance, fps, 1)
        features = draw_latents(chance, fps, model, 3, joint=False)
        latents = latents_of([one.samples for one in features], fps)
        ends = np.cumsum([len(one.data) for one in features])
        found = decode_separate(b"".join(one.data for one in features), ends, model, fps)
        assert (found == np.stack([one.samples for one in features])).all()
        other += [one.data for one in features] != encode_separate(latents, model, fps)
        symbols = model.symbols_of(latents, contexts_of(model, fps, range(fps.channels)))
        values = model.distributions.tables.values[model.distributions.table_of]
        escaped += bool((symbols >= values.max()).any())
    assert escaped > 10
    assert other > 5


# --- coverage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [Profile.NATIVE, Profile.LEARNED])
def test_coverage_names_what_is_reached_and_what_cannot_be(profile: Profile) -> None:
    coverage = Coverage(profile)
    for seed in range(100):
        drawn = draw_stream(profile, 1, seed).stream
        for point in set(points_of(drawn)):
            assert point in all_points()
            assert not excluded(point, profile), point
        coverage.add(drawn, ["a label"])
    assert len(coverage.missing) < len(coverage.points) / 10
    page = coverage.as_markdown()
    assert "| `feature_parameter_set.quantiser` | none " in page
    assert "| a label | 100 |" in page
    assert "hevc: another profile" in page


def test_coverage_notices_what_is_missing() -> None:
    suite = load_manifest()
    coverage = Coverage(Profile.LOSSLESS)
    coverage.add(suite.path(suite.named("raw-float32")).read_bytes())
    assert ("feature_parameter_set.quantiser", "uniform") in coverage.missing
    assert ("feature_parameter_set.quantiser", "none") not in coverage.missing
    assert ("feature_parameter_set.bits_minus1", "absent") not in coverage.missing


# --- suites ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    target = tmp_path_factory.mktemp("drawn") / "suite"
    generate(target, Plan(Profile.LOSSLESS, seed=7, count=16, invalid=True, prefix="ACME"))
    return load_manifest(target)


def test_runner_takes_a_drawn_suite(suite: Manifest) -> None:
    done = run_suite(suite, BuiltIn(), workers=1)
    assert done.passed
    assert len(suite.vectors) > 28
    assert suite.vectors[0].id == "ACME-V-0007"
    assert (suite.root / "coverage.md").is_file()


def test_invalid_streams_break_one_clause_each(suite: Manifest) -> None:
    faults = [vector for vector in suite.vectors if vector.decoder != "accept"]
    assert len({vector.violation.reject for vector in faults if vector.violation}) >= 5
    for vector in faults:
        data = suite.path(vector).read_bytes()
        verdicts = judge(data)
        (error,) = verdicts.report.violations
        assert vector.violation is not None
        assert vector.origin is not None
        assert error.bit_offset == vector.violation.bit_offset
        if vector.decoder == "either":
            assert (error.reject, error.clause) in unnoticed()
            assert isinstance(verdicts.decoded, int)
        (edit,) = vector.origin.edits
        origin = suite.path(suite.named(vector.origin.vector)).read_bytes()
        assert edit_from_json(edit)(origin) == data


def test_invalid_latents(tmp_path: Path) -> None:
    """Decoder and validator agree, and edits reach the models and the payloads of latents."""
    generate(tmp_path / "suite", Plan(Profile.LEARNED, coders=("learned",), count=16, invalid=True))
    suite = load_manifest(tmp_path / "suite")
    assert run_suite(suite, BuiltIn(), workers=1).passed
    clauses = {vector.violation.clause for vector in suite.vectors if vector.violation}
    assert clauses & {"8.10.2", "8.10.3", "8.10.5", "9.7"}


def test_edits_that_nobody_can_judge_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one by which features refer to an entropy model that nobody has."""
    answers = iter([EnvironmentFault("the stream needs the entropy model")])

    def asked(data: bytes, *, ffmpeg: str | None) -> Verdicts:
        for missing in answers:
            raise missing
        return judge(data, ffmpeg=ffmpeg)

    monkeypatch.setattr(faults, "judge", asked)
    origin = draw_stream(Profile.LEARNED, 1, 0).stream
    assert faults.draw_fault(origin, "a seed", [origin], faults.Seen()) is not None
    assert next(answers, None) is None


def test_same_plan_same_suite(suite: Manifest, tmp_path: Path) -> None:
    again = Plan(Profile.LOSSLESS, seed=7, count=6, invalid=True, prefix="ACME")
    generate(tmp_path / "again", again)
    vectors = load_manifest(tmp_path / "again").vectors
    assert vectors == suite.vectors[: len(vectors)]


def test_own_features(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    features = tmp_path / "own.npz"
    np.savez(features, a=rng.normal(size=(4, 5, 6)).astype(np.float32), b=rng.normal(size=30))
    words = ["conformance", "generate", str(tmp_path / "own"), "--features", str(features)]
    words += ["--count", "6", "--prefix", "OWN", "--profile", "native"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    found = load_manifest(tmp_path / "own")
    assert [vector.id for vector in found.vectors][:2] == ["OWN-V-0000", "OWN-V-0001"]
    assert {feature.shape for v in found.vectors for feature in v.features} <= {(4, 5, 6), (30,)}
    assert run_suite(found, BuiltIn(), workers=1).passed


def test_own_features_as_latents(tmp_path: Path) -> None:
    features = [np.random.default_rng(3).normal(size=(4, 5, 6)).astype(np.float32)] * 4
    plan = Plan(Profile.LEARNED, count=12, coders=("learned",), features=features)
    generate(tmp_path / "own", plan)
    suite = load_manifest(tmp_path / "own")
    tags = {tag for vector in suite.vectors for tag in vector.tags}
    assert {"latents:alone", "latents:joint", "latents:separate", "quantiser:lattice"} <= tags
    assert "coder:zlib" not in tags
    assert run_suite(suite, BuiltIn(), workers=1).passed


def test_hevc_without_a_program_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(*arguments: object) -> None:
        raise EnvironmentFault("there is no ffmpeg")

    monkeypatch.setattr(walk, "draw_video_payloads", missing)
    words = ["conformance", "generate", str(tmp_path / "hevc"), "--profile", "hevc"]
    done = CliRunner().invoke(app, [*words, "--count", "8"])
    assert done.exit_code == 0, done.output
    assert "streams left out: there is no ffmpeg" in done.output
    assert 0 < len(load_manifest(tmp_path / "hevc").vectors) < 8
    with pytest.raises(EnvironmentFault, match="no stream could be made: there is no ffmpeg"):
        generate(tmp_path / "none", Plan(Profile.HEVC, seed=first_of_hevc()))


def first_of_hevc() -> int:
    """The first seed of a stream with HEVC, while there is no program for it."""
    for seed in range(100):
        try:
            draw_stream(Profile.HEVC, 1, seed)
        except EnvironmentFault:
            return seed
    raise AssertionError


def test_a_disagreement_stops_with_the_seed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    error = OrderError("invented", bit_offset=0, clause="9.1")
    monkeypatch.setattr(folder, "judge", lambda data, ffmpeg: Verdicts(Report(), error))
    with pytest.raises(DFCError, match="profile lossless, level 1, seed 4: validator: nothing wr"):
        generate(tmp_path / "suite", Plan(Profile.LOSSLESS, seed=4))
    assert list(tmp_path.iterdir()) == []
    report = Report(violations=[error], features=1)
    assert Verdicts(report, 1).disagreements[0].startswith("decoder: nothing wrong; validator")
    assert Verdicts(Report(features=1), 2).disagreements == ["the validator counts 1 features of 2"]


def test_chosen_coders(tmp_path: Path) -> None:
    """Only those are drawn: a stream of very many raw features only if raw is among them."""
    words = ["conformance", "generate", str(tmp_path / "two"), "--profile", "learned"]
    words += ["--coder", "learned,zlib", "--coder", "gzip", "--count", "40"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    suite = load_manifest(tmp_path / "two")
    tags = {tag for vector in suite.vectors for tag in vector.tags if tag.startswith("coder:")}
    assert tags == {"coder:learned", "coder:zlib", "coder:gzip"}
    assert "coders learned and zlib and gzip, level 1, seed 0:" in suite.vectors[0].purpose
    for coder, why in (("native", "lossless has no coder native"), ("zlip", "did you mean zlib")):
        refused = [*words[:2], str(tmp_path / "none"), "--coder", coder]
        done = CliRunner().invoke(app, refused)
        assert (done.exit_code, why in done.output) == (2, True), done.output


def test_refused_plans(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match="the prefix of ids is 'DFC'"):
        Plan(Profile.LOSSLESS, prefix="DFC")
    (tmp_path / "something").touch()
    with pytest.raises(CallerError, match="exists and is not empty"):
        generate(tmp_path, Plan(Profile.LOSSLESS))
    done = CliRunner().invoke(app, ["conformance", "generate", str(tmp_path), "--profile", "nativ"])
    assert (done.exit_code, "did you mean native?" in done.output) == (2, True)


@pytest.mark.parametrize("what", ["id", "name", "file"])
def test_ids_names_and_files_are_unique(suite: Manifest, tmp_path: Path, what: str) -> None:
    content = json.loads((suite.root / "manifest.json").read_text(encoding="utf-8"))
    content["vectors"][2][what] = content["vectors"][0][what]
    (tmp_path / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CallerError, match=f"2 vectors of the {what}"):
        load_manifest(tmp_path)


# --- lines -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["lossless", "native", "learned", "realtime"])
def test_the_reference_has_its_line(profile: str) -> None:
    words = ["conformance", "hash", "--profile", profile, "--seeds", "40"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "the reference's line" in done.output


def test_a_server_decodes_all_seeds() -> None:
    server = f"{sys.executable} -m refcodec.suite.adapter"
    words = ["conformance", "hash", "--profile", "native", "--seeds", "3", "--server", server]
    served = CliRunner().invoke(app, words)
    assert served.exit_code == 0, served.output
    assert served.output == CliRunner().invoke(app, words[:-2]).output


def test_a_wrong_decoder_has_another_line(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import shutil, sys\nshutil.copy(*sys.argv[1:])\n", encoding="utf-8")
    command = f"{sys.executable} {wrong} {{input}} {{output}}"
    words = ["conformance", "hash", "--seeds", "2", "--decoder", command]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "seed 0: more than " in done.output
    assert "2 of 2 streams were not decoded as drawn" in done.output


@pytest.mark.parametrize("right", [True, False])
def test_skipped_streams_are_no_pass(right: bool, tmp_path: Path) -> None:
    """A decoder that skips each stream with an index: its line covers the others."""
    script = tmp_path / "decoder.py"
    script.write_text(
        "import sys, refcodec\n"
        "from refcodec.hashes import little_endian_bytes\n"
        "stream, output = sys.argv[1:]\n"
        "if any(unit.name == 'index' for unit in refcodec.inspect(stream)):\n"
        "    print('no index here')\n"
        "    sys.exit(77)\n"
        "with refcodec.open(stream) as reader, open(output, 'wb') as file:\n"
        f"    file.writelines(list(map(little_endian_bytes, reader))[{0 if right else 1}:])\n",
        encoding="utf-8",
    )
    streams = [draw_stream(Profile.LOSSLESS, 1, seed) for seed in range(6)]
    kept = [
        one
        for one in streams
        if not any(unit.name == "index" for unit in refcodec.inspect(one.stream))
    ]
    assert 0 < len(kept) < 6
    command = f"{sys.executable} {script} {{input}} {{output}}"
    words = ["conformance", "hash", "--seeds", "6", "--decoder", command]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert f"{6 - len(kept)} of 6 skipped: no index here\n" in done.output
    assert f"NOT a pass: the line covers {len(kept)} of 6 streams" in done.output
    outputs = [b"".join(little_endian_bytes(one) for _, one in own.features) for own in kept]
    total = hashlib.sha256(b"".join(hashlib.sha256(one).digest() for one in outputs)).hexdigest()
    assert (f"seeds 0-5, {len(kept)} of 6: {total}\n" in done.output) is right
    assert ("were not decoded as drawn" in done.output) is not right


@pytest.mark.parametrize(
    ("profile", "count"),
    [("lossless", 40), ("native", 40), ("learned", 40), ("realtime", 40), ("hevc", 6)],
)
def test_the_independent_decoder_says_the_same(profile: str, count: int, tmp_path: Path) -> None:
    """Written from the text of the specification alone, and so a judge that shares nothing with ours."""
    suite = tmp_path / "drawn"
    words = ("--profile", profile, "--seed", "3", "--count", str(count), "--invalid")
    run("conformance", "generate", suite, *words)
    environment = {**os.environ, "DFC_FFMPEG": imageio_ffmpeg.get_ffmpeg_exe()}
    command = [sys.executable, "-m", "independent.check", str(suite)]
    done = subprocess.run(
        command, cwd=CONFORMANCE, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert f"{2 * count} pass, 0 FAIL, 0 skip" in done.stdout
