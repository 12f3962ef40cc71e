"""Split inference over HTTP: the example of the guide, served by FastAPI."""

from __future__ import annotations

import asyncio
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("fastapi", reason="fastapi is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")

from tiny_network import classify  # noqa: E402

import refcodec  # noqa: E402

GUIDE = Path(__file__).parents[1] / "docs" / "guides" / "split-inference.rst"
IMAGES = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def parts() -> tuple[Any, Any, Any]:
    """A network, its client and its server."""
    torch.manual_seed(3)
    network = classify().eval()
    return network, *refcodec.split(
        network, "pool1", input_shape=IMAGES.shape[1:], coder="native-lossless"
    )


@pytest.fixture
def ask(parts: tuple[Any, Any, Any]) -> Callable[..., Any]:
    """Ask the application that the guide makes of the server, by HTTP."""
    (code,) = re.findall(
        r"\n   def app_of\(.*?\n\n\n", GUIDE.read_text(encoding="utf-8"), re.DOTALL
    )
    names: dict[str, Any] = {"refcodec": refcodec}
    exec(compile(textwrap.dedent(code), str(GUIDE), "exec", dont_inherit=True), names)
    transport = httpx.ASGITransport(names["app_of"](parts[2]))

    async def answer(method: str, body: bytes) -> Any:
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.request(method, "/tail", content=body)

    return lambda body, method="POST": asyncio.run(answer(method, body))


def test_the_tail_runs_behind_http(parts: tuple[Any, Any, Any], ask: Callable[..., Any]) -> None:
    network, client, _ = parts
    for images in (IMAGES, IMAGES[:1]):
        answer = ask(client.encode(images))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/octet-stream"
        with torch.no_grad():
            assert torch.allclose(client.decode(answer.content), network(images), atol=1e-5)


def test_requests_that_are_none(parts: tuple[Any, Any, Any], ask: Callable[..., Any]) -> None:
    sound = parts[1].encode(IMAGES)
    for bad in (b"", b"no stream", sound[:-30], sound[:40] + bytes(20) + sound[60:]):
        answer = ask(bad)
        assert answer.status_code == 400
        assert answer.json()["detail"]
    assert ask(bytes((16 << 20) + 1)).status_code == 413
    assert ask(b"", "GET").status_code == 405
    assert ask(sound).status_code == 200
