"""Split inference: heads and tails over sockets, what goes wrong on the way, and hostile clients."""

from __future__ import annotations

import os
import pickle
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from variation import PATIENCE

torch = pytest.importorskip("torch", reason="torch is not installed")

from pyramid_network import LAYERS, SHAPE, Pyramidal, images  # noqa: E402
from tiny_network import classify  # noqa: E402
from torch import nn  # noqa: E402

import refcodec  # noqa: E402
from refcodec.config import EncoderConfig  # noqa: E402
from refcodec.errors import CallerError, EnvironmentFault, StreamError  # noqa: E402
from refcodec.models import load  # noqa: E402
from refcodec.splitting.frames import Connection, Kind, Lost, error_in  # noqa: E402
from refcodec.splitting.wire import CUT_KEY, WEIGHTS_KEY, Outgoing, wire_config  # noqa: E402

LOSSLESS: dict[str, Any] = {"coder": "native-lossless"}
SMALL = (3, 16, 16)
ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "refcodec"]


def network() -> Any:
    torch.manual_seed(3)
    return classify().eval()


def split(**options: Any) -> Any:
    """A small network, its client and its server."""
    own = network()
    return own, *refcodec.split(own, "pool1", input_shape=SMALL, **{**LOSSLESS, **options})


class Gate(nn.Linear):
    """A layer at which everything waits once it is closed; fails for images whose mean is above 1,000."""

    def __init__(self) -> None:
        super().__init__(1, 1)
        self.open = threading.Event()
        self.open.set()

    def forward(self, x: Any) -> Any:
        if not self.open.wait(PATIENCE) or float(x.mean()) > 1000:
            raise RuntimeError("the gate is broken")
        return x


class Gated(nn.Sequential):
    """The second layer is the tail, and can be stopped."""

    def __init__(self) -> None:
        super().__init__(nn.Identity(), Gate(), nn.Flatten())

    @property
    def gate(self) -> threading.Event:
        found: threading.Event = self[1].open
        return found


@pytest.fixture
def gated() -> Iterator[Any]:
    """A network that can be stopped, its client and its server; features are the images."""
    own = Gated()
    yield own, *refcodec.split(own, "0", input_shape=SMALL, **LOSSLESS)
    own.gate.set()


# --- there and back --------------------------------------------------------------------------------


def test_split_equals_whole() -> None:
    own, client, server = split()
    given = images(3)
    with server.start() as running, client.connect(*running.address):
        assert torch.equal(client(given), own(given))
        assert torch.equal(client(given[:1]), own(given[:1]))
    assert client.stats.requests == server.stats.requests == 2
    assert client.stats.images == server.stats.images == 4
    assert client.stats.bytes_sent > 0
    stages = ["head", "encode", "hold", "network", "decode", "tail", "answer", "total"]
    assert list(client.stats.ms) == list(client.stats.percentile(50)) == stages
    assert list(server.stats.ms) == ["decode", "tail", "answer", "total"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_tensors_of_a_gpu() -> None:
    """Images of a GPU give an output there, whichever side has the GPU."""
    given = torch.rand(2, *SMALL, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = network()(given)
    for device in ("cuda", "cpu"):
        own = network().to(device)
        client, server = refcodec.split(own, "pool1", input_shape=SMALL, **LOSSLESS)
        with server.start() as running, client.connect(*running.address):
            found = client(given.cuda())
        assert found.device.type == "cuda"
        assert torch.allclose(found.cpu(), wanted, atol=1e-3)
        assert torch.allclose(
            client.decode(server.answer(client.encode(given.cuda()))).cpu(), wanted, atol=1e-3
        )


def test_qp_decides_the_bytes() -> None:
    sizes, errors = [], []
    for qp in (10, 40):
        own = Gated()
        client, server = refcodec.split(own, "0", input_shape=SMALL, qp=qp)
        with server.start() as running, client.connect(*running.address):
            errors.append(float((client(images(4)) - own(images(4))).abs().mean()))
        sizes.append(client.stats.bytes_sent)
    assert sizes[1] < sizes[0] / 3
    assert errors[0] < 0.1 < errors[1]


def test_a_network_of_the_zoo_knows_its_images() -> None:
    own = load("resnet20")
    client, server = refcodec.split(own, "layer3", qp=12)
    given = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with server.start() as running, client.connect(*running.address):
        assert torch.equal(client(given).argmax(1), own.module(given).argmax(1))


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_networks_of_half_precision(precision: Any) -> None:
    """Features go, and outputs come back, in the type of the network."""
    for own, layers, shape in ((network(), "pool1", SMALL), (Pyramidal.seeded(), LAYERS, SHAPE)):
        own = own.to(precision)
        client, server = refcodec.split(own, layers, input_shape=shape, **LOSSLESS)
        given = images(2).to(precision)
        with server.start() as running, client.connect(*running.address):
            found = client(given)
            assert found.dtype == precision
            assert torch.equal(found, own(given))
            with pytest.raises(CallerError, match=rf"not float32 \(x.to\({precision}\)\)"):
                client(images(2))
    other = refcodec.encode(np.zeros((2, 4, 4, 4), np.float32), coder="raw")
    server = refcodec.split(network().to(precision), "pool1", input_shape=SMALL)[1]
    with pytest.raises(StreamError, match=r"of float32; the network takes 4 x 4 x 4 of b?float16"):
        server.answer(other)


def test_other_weights_of_the_head_are_noticed() -> None:
    """Those of the tail may be the server's alone."""
    own, _, server = split()
    with torch.no_grad():
        list(own.parameters())[-1].zero_()  # of the tail, which both sides share here
    other = network()
    tail = list(other.parameters())[-1]
    with torch.no_grad():
        tail += 1
    same, _ = refcodec.split(other, "pool1", input_shape=SMALL, **LOSSLESS)
    changed = network()
    with torch.no_grad():
        next(changed.parameters())[0] += 0.25
    different, _ = refcodec.split(changed, "pool1", input_shape=SMALL, **LOSSLESS)
    with server.start() as running:
        with same.connect(*running.address):
            assert torch.equal(same(images(1)), own(images(1)))
        with (
            different.connect(*running.address),
            pytest.raises(CallerError, match="has other weights than the server's"),
        ):
            different(images(1))


def test_layers_are_names() -> None:
    wrong: Any
    for wrong in (2, [3], None, {"pool1": 1}):
        with pytest.raises(
            CallerError, match=r"layers is .*; it is the name of a module, or a list"
        ):
            refcodec.split(network(), wrong, input_shape=SMALL)


def test_pyramids_go_as_one_request() -> None:
    own = Pyramidal.seeded()
    client, server = refcodec.split(own, LAYERS, input_shape=SHAPE, **LOSSLESS)
    with server.start() as running, client.connect(*running.address):
        for count in (2, 1):
            assert torch.equal(client(images(count)), own(images(count)))


def test_several_clients_at_once() -> None:
    own = network()
    clients = [refcodec.split(own, "pool1", input_shape=SMALL, **LOSSLESS)[0] for _ in range(4)]
    server = refcodec.split(own, "pool1", input_shape=SMALL)[1]
    given = images(40)
    expected = own(given)

    def ask(rank: int) -> None:
        with clients[rank].connect(*server.address) as client:
            for number in range(rank, 40, 4):
                torch.testing.assert_close(client(given[number : number + 1])[0], expected[number])

    with server.start(), ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(4)))
    assert server.stats.connections == 4
    assert server.stats.requests == 40


def test_threads_share_a_client() -> None:
    own, client, server = split()
    given = images(24)
    expected = own(given)
    with server.start() as running, client.connect(*running.address), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: client(given[number : number + 1]), range(24)))
    torch.testing.assert_close(torch.cat(found), expected)
    assert client.stats.connections == 1


class Wilful(nn.Sequential):
    """Has no graph, so that head and tail are runs of the whole network, with hooks."""

    def forward(self, x: Any) -> Any:
        return super().forward(x if x.sum() > 0 else -x)


def test_heads_and_tails_of_a_network_without_a_graph_do_not_mix() -> None:
    own = Wilful(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten()).eval()
    client, server = refcodec.split(own, "0", input_shape=SMALL, **LOSSLESS)
    given = images(24)
    expected = [own(one) for one in given.split(1)]
    with server.start() as running, client.connect(*running.address), ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(client, given.split(1)), expected, strict=True):
            assert torch.equal(found, wanted)


def test_map_keeps_the_order() -> None:
    own, client, server = split()
    given = images(20)
    with server.start() as running, client.connect(*running.address, depth=3):
        found = list(client.map(given.split(3)))
    assert [len(one) for one in found] == [3] * 6 + [2]
    torch.testing.assert_close(torch.cat(found), own(given))


def test_frames_of_a_sequence_are_predicted() -> None:
    own = network()
    still = images(1).repeat(8, 1, 1, 1)
    sizes = {}
    for gop in (0, 8):
        client, server = refcodec.split(
            own, "pool1", input_shape=SMALL, coder="native", qp=20, gop=gop
        )
        with server.start() as running, client.connect(*running.address):
            client(still)
            torch.testing.assert_close(client(still), own(still), rtol=0.2, atol=0.2)
        sizes[gop] = client.stats.bytes_sent
    assert sizes[8] < sizes[0] / 2


@pytest.mark.parametrize("options", [LOSSLESS, {"coder": "native", "qp": 30, "gop": 4}])
def test_what_the_server_received_is_a_stream(tmp_path: Path, options: dict[str, Any]) -> None:
    own = Pyramidal.seeded()
    client, server = refcodec.split(own, LAYERS, input_shape=SHAPE, **options)
    for first in (0, 1):
        with server.start(record=tmp_path) as running, client.connect(*running.address):
            client(images(6))
            client(images(2 + first))
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 2
    for first, path in enumerate(paths):
        assert not refcodec.validate(path).violations
        with refcodec.open(path) as reader:
            assert len(reader) == 2 * (6 + 2 + first)
            assert set(reader.metadata) == {CUT_KEY, WEIGHTS_KEY}
            assert reader.metadata[CUT_KEY] == '["fine", "coarse"]'
            assert reader[0].shape == (4, 16, 16)
            assert reader[6].shape == (6, 8, 8)


def test_without_a_connection(take_apart: Any) -> None:
    own = Pyramidal.seeded()
    client, server = refcodec.split(own, LAYERS, input_shape=SHAPE, **LOSSLESS)
    given = images(3)
    assert torch.equal(client.decode(server.answer(client.encode(given))), own(given))
    own, client, server = split()
    data = client.encode(given)
    assert torch.equal(client.decode(server.answer(data)), own(given))
    with pytest.raises(StreamError, match="at most 2 images"):
        server.answer(data, images=2)
    with pytest.raises(StreamError):
        server.answer(pickle.dumps(given))
    unnamed = take_apart(data.replace(b"refcodec.arrays", b"refcodec.strays")).join()
    with pytest.raises(StreamError, match="several features"):
        server.answer(unnamed)
    with pytest.raises(StreamError, match="network takes 4 x 4 x 4 of float32"):
        server.answer(refcodec.encode(np.zeros((2, 4, 4, 5), np.float32), coder="raw"))


def test_the_package_loads_without_torch() -> None:
    program = "import sys, refcodec; assert 'torch' not in sys.modules and 'split' in dir(refcodec)"
    subprocess.run([sys.executable, "-c", program], check=True)


# --- back-pressure, time-outs, lost connections ----------------------------------------------------


def test_requests_under_way_are_bounded(gated: Any) -> None:
    own, client, server = gated
    own.gate.clear()
    with server.start() as running, client.connect(*running.address, depth=2):
        answers = [client.submit(images(1)) for _ in range(2)]
        sent = client.stats.bytes_sent
        with ThreadPoolExecutor(1) as pool:
            third = pool.submit(client.submit, images(1))
            threading.Event().wait(0.3)
            assert not third.done()
            assert client.stats.bytes_sent == sent
            own.gate.set()
            answers.append(third.result(PATIENCE))
        for one in answers:
            assert torch.equal(one.result(PATIENCE), images(1).flatten(1))


def test_a_server_does_not_read_ahead(gated: Any) -> None:
    own, client, server = gated
    own.gate.clear()
    with server.start(depth=1) as running, client.connect(*running.address, depth=12):
        answers = [client.submit(images(1)) for _ in range(12)]
        one = client.stats.bytes_sent / 12
        while server.stats.bytes_received < 2.5 * one:  # the tail, the queue, and the hand
            threading.Event().wait(0.01)
        threading.Event().wait(0.3)
        assert server.stats.bytes_received < 3.5 * one
        own.gate.set()
        assert len([answer.result(PATIENCE) for answer in answers]) == 12


def test_an_answer_that_does_not_come(gated: Any) -> None:
    own, client, server = gated
    own.gate.clear()
    with server.start() as running, client.connect(*running.address, timeout=0.3):
        with pytest.raises(EnvironmentFault, match=r"sends nothing for 0\.3 s .*raise timeout"):
            client(images(1))
        own.gate.set()
        assert torch.equal(client(images(2)), images(2).flatten(1))
    assert client.stats.failed == 1
    assert client.stats.connections == 2


def test_a_server_that_comes_back() -> None:
    own, client, server = split()
    given = images(2)
    with server.start() as running:
        address = running.address
        client.connect(*address)
        assert torch.equal(client(given), own(given))
    with pytest.raises(EnvironmentFault, match=r"cannot connect to .* \(is the server running\?\)"):
        client(given)
    with server.start(*address), client:
        assert torch.equal(client(given), own(given))
    assert client.stats.connections == 2


def test_a_lost_connection_is_said_and_made_again(gated: Any) -> None:
    own, client, server = gated
    own.gate.clear()
    with server.start() as running, client.connect(*running.address):
        answer = client.submit(images(1))
        while not server.stats.bytes_received:
            threading.Event().wait(0.01)
        closing = threading.Thread(target=server.close)
        closing.start()
        with pytest.raises(Lost, match=r"closed the connection \(the next call connects again\)"):
            answer.result(PATIENCE)
        own.gate.set()
        closing.join()
        with server.start(*client._address):
            assert torch.equal(client(images(1)), images(1).flatten(1))


def test_clients_are_bounded() -> None:
    own, first, server = split()
    second = refcodec.split(own, "pool1", input_shape=SMALL)[0]
    with server.start(clients=1) as running, first.connect(*running.address):
        first(images(1))
        with pytest.raises(EnvironmentFault, match="has 1 clients already"):
            second.connect(*running.address)(images(1))
        second.close()
        first(images(1))


def test_a_client_that_says_nothing_is_sent_away() -> None:
    _, _, server = split()
    with server.start(idle=0.2, timeout=0.1) as running:
        frame = answer_to(running.address, b"")
    assert "sends nothing for 0.1 s" in str(error_in(frame, "it"))


# --- errors of requests ----------------------------------------------------------------------------


def test_a_tail_that_fails_says_so(gated: Any) -> None:
    _, client, server = gated
    with server.start() as running, client.connect(*running.address):
        with pytest.raises(EnvironmentFault, match=r"refuses: the tail .* the gate is broken"):
            client(torch.full((1, *SMALL), 2000.0))
        client(images(1))
    assert client.stats.connections == 1
    assert (client.stats.failed, server.stats.failed) == (1, 1)


def test_features_that_cannot_be_coded() -> None:
    _, client, server = split(coder="native-static")
    with server.start() as running, client.connect(*running.address):
        with pytest.raises(CallerError, match="NaN"):
            client(torch.full((1, *SMALL), float("nan")))
        assert client(images(1)).shape == (1, 3)


@pytest.mark.parametrize(
    "given", [np.zeros((1, *SMALL)), torch.zeros(0, *SMALL), torch.zeros(1, 3, 8, 8)]
)
def test_images_that_are_none(given: Any) -> None:
    _, client, server = split()
    with server.start() as running, client.connect(*running.address), pytest.raises(CallerError):
        client(given)


def test_outputs_that_no_stream_holds() -> None:
    own = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Softmax(1), _Winner())
    client, server = refcodec.split(own, "0", input_shape=SMALL, **LOSSLESS)
    with (
        server.start() as running,
        client.connect(*running.address),
        pytest.raises(CallerError, match="rank"),
    ):
        client(images(1))


class _Winner(nn.Module):
    def forward(self, x: Any) -> Any:
        return x.argmax(1)


def test_another_cut_is_refused() -> None:
    own, _, server = split()
    client = refcodec.split(own, "conv1", input_shape=SMALL, **LOSSLESS)[0]
    refused = pytest.raises(CallerError, match=r'sends \["conv1"\], and this network is cut at')
    with server.start() as running, client.connect(*running.address), refused:
        client(images(1))


def test_calls_that_make_no_sense() -> None:
    own, client, server = split()
    with pytest.raises(CallerError, match="has no server"):
        client(images(1))
    with pytest.raises(CallerError, match="does not listen"):
        server.address  # noqa: B018
    with server.start() as running:
        with pytest.raises(CallerError, match="already"):
            server.start()
        with pytest.raises(EnvironmentFault, match="cannot listen"):
            refcodec.split(own, "pool1", input_shape=SMALL)[1].start(*running.address)
        with pytest.raises(CallerError, match="above 0"):
            client.connect(*running.address, depth=0)
    with pytest.raises(CallerError, match=r"a torch\.nn\.Module, not a str"):
        refcodec.split("resnet20", "layer1")
    with pytest.raises(CallerError, match="no module 'nowhere'"):
        refcodec.split(own, "nowhere", input_shape=SMALL)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"metadata": {"a": "b"}}, "metadata is no option of a split"),
        ({"hashes": True}, "hashes is no option"),
        ({"low_latency": True}, "low_latency is no option"),
        ({"bits": 99}, "bits"),
        ({"bit_rate": 1e6, "latency": 0.1}, "exclude each other"),
        ({"bit_rate": 0}, "bit_rate is 0; it is a number above 0"),
        ({"latency": "soon"}, "latency is 'soon'"),
        ({"latency": 0.1, "coder": "zlib"}, "take a coder with QPs"),
        ({"bit_rate": 1e6, "coder": "native", "target_size": 100}, "take a coder with QPs"),
    ],
)
def test_options_without_effect(options: dict[str, Any], what: str) -> None:
    with pytest.raises(CallerError, match=what):
        refcodec.split(network(), "pool1", input_shape=SMALL, **options)


# --- hostile clients -------------------------------------------------------------------------------


def request(names: tuple[str, ...] = ("pool1",), count: int = 1, **options: Any) -> bytes:
    """The first bytes of a stream of requests."""
    outgoing = Outgoing(wire_config(names, {**LOSSLESS, **options}))
    try:
        return outgoing.put([np.zeros((count, 4, 4, 4), np.float32) for _ in names])
    finally:
        outgoing.abandon()


def frame_of(body: bytes, kind: int = 1, images: int = 1, size: int | None = None) -> bytes:
    size = len(body) if size is None else size
    return struct.pack(">BIIIII", kind, 0, images, 0, 0, size) + body


@pytest.mark.parametrize(
    ("sent", "what"),
    [
        (b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", "no frames of split inference, but byte 0x47"),
        (frame_of(b"", size=1 << 31), "announces 2,147,483,648 bytes"),
        (frame_of(pickle.dumps({"a": 1})), "a DFC stream begins with"),
        (frame_of(request()[:-3]), "the request ends within features of pool1"),
        (frame_of(request()[:-1] + b"\xff"), "CRC"),
        (frame_of(request() + b"surplus"), "7 bytes follow"),
        (frame_of(request(), images=2), "the request ends within features of pool1"),
        (frame_of(request(), images=0), "1 to 256 images, not 0"),
        (frame_of(request(), images=1 << 31), "1 to 256 images"),
        (frame_of(request(), kind=2), "1 to 256 images, not|a request"),
        (frame_of(request(level=4)), "level 4"),
        (frame_of(request(("conv1",))), "is cut at"),
        (frame_of(b"", kind=3), "this file with nothing"),
    ],
)
def test_hostile_clients_are_told_and_sent_away(sent: bytes, what: str) -> None:
    own, client, server = split()
    with server.start(max_level=3) as running:
        with socket.create_connection(running.address, PATIENCE) as raw:
            raw.sendall(sent)
            connection = Connection(raw, "it", timeout=PATIENCE, largest=1 << 20)
            frame = connection.receive(lambda: True)
            assert frame is not None
            assert frame.kind == Kind.ERROR
            assert re.search(what, str(error_in(frame, "it")))
            assert connection.receive(lambda: True) is None
        with client.connect(*running.address):
            assert torch.equal(client(images(1)), own(images(1)))


def answer_to(address: tuple[str, int], sent: bytes) -> Any:
    """The frame with which a server answers bytes."""
    with socket.create_connection(address, PATIENCE) as raw:
        raw.sendall(sent)
        return Connection(raw, "it", timeout=PATIENCE, largest=1 << 20).receive(lambda: True)


def test_features_of_another_shape_are_refused() -> None:
    _, _, server = split()
    outgoing = Outgoing(wire_config(("pool1",), LOSSLESS))
    body = outgoing.put([np.zeros((1, 4, 4, 5), np.float32)])
    outgoing.abandon()
    with server.start() as running:
        frame = answer_to(running.address, frame_of(body))
    assert "are 4 x 4 x 5 of float32; the network takes 4 x 4 x 4" in str(error_in(frame, "it"))


def test_a_frame_that_is_never_finished() -> None:
    _, _, server = split()
    with server.start(timeout=0.2) as running:
        frame = answer_to(running.address, frame_of(request())[:-1])
    assert "does not finish a frame within 0.2 s" in str(error_in(frame, "it"))


def test_servers_that_answer_nonsense() -> None:
    _, client, _ = split()

    def impostor(listener: Any, answer: bytes) -> None:
        own, _ = listener.accept()
        with own:
            Connection(own, "it", timeout=PATIENCE, largest=1 << 20).receive(lambda: True)
            own.sendall(answer)

    for answer, kind, what in [
        (frame_of(b"x" * 20, images=1), StreamError, "a DFC stream begins with"),
        (frame_of(b"", images=5), StreamError, "answers what was not asked"),
        (frame_of(b"elsewhere\nit is so", kind=2), EnvironmentFault, "refuses: it is so"),
    ]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=impostor, args=[listener, answer])
            thread.start()
            with client.connect(*listener.getsockname()), pytest.raises(kind, match=what):
                client(images(1))
            thread.join()


def test_an_output_may_be_coded() -> None:
    own = Pyramidal.seeded()
    client, server = refcodec.split(own, LAYERS, input_shape=SHAPE, **LOSSLESS)
    sizes: list[int] = []
    for coder in ("raw", "zlib"):
        running = server.start(output=EncoderConfig(coder=coder))
        with running, client.connect(*running.address):
            assert torch.equal(client(images(1)), own(images(1)))
        sizes.append(client.stats.bytes_received - sum(sizes))
    assert sizes[1] < sizes[0]


def test_the_command_serves(tmp_path: Path) -> None:
    """``refcodec serve``, for a pyramid, until it is terminated; an interrupt may be ignored, as in CI."""
    call = [*COMMAND, "serve", "--model", "pyramid_network:build", "--input-size", "16"]
    call = [*call, *(word for name in LAYERS for word in ("--layer", name)), "--port", "0"]
    places = {"PYTHONPATH": os.pathsep.join(map(str, (Path(__file__).parent / "support", ROOT)))}
    call += ["--record", str(tmp_path)]
    process = subprocess.Popen(call, env=os.environ | places, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = next(one for one in process.stderr if " at 127.0.0.1:" in one)
        own = Pyramidal.seeded()
        client = refcodec.split(own, LAYERS, input_shape=SHAPE, **LOSSLESS)[0]
        with client.connect("127.0.0.1", int(line.rpartition(":")[2])):
            torch.testing.assert_close(client(images(2)), own(images(2)))
    finally:
        process.send_signal(signal.SIGTERM)
        process.stderr.close()
        assert process.wait(PATIENCE) == 0
    done = subprocess.run([*COMMAND, "validate", str(tmp_path / "00001.dfc")], capture_output=True)
    assert done.returncode == 0
