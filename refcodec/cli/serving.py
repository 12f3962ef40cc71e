"""``refcodec serve``: the tail of a network for clients that run its head."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from refcodec.cli import options
from refcodec.cli.networks import load_network

__all__ = ["serve"]


def serve(
    model: options.NetworkModel,
    layer: Annotated[
        list[str],
        typer.Option(
            metavar="LAYER", help="The layer to cut at; several, for a pyramid, one option each."
        ),
    ],
    weights: options.NetworkWeights = None,
    input_size: options.NetworkInputSize = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for a free one.")] = 9000,
    clients: Annotated[int, typer.Option(min=1, help="Connections at a time.")] = 8,
    record: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep the stream of each connection.")
    ] = None,
) -> None:
    """Run the tail of a network for clients of refcodec.split, until interrupted or terminated.

    Bytes and times are shown as they change. There is no encryption and no password: listen within a network
    that you trust, or behind a tunnel.
    """
    network = load_network(model, weights, input_size)
    from refcodec.splitting import split

    _, server = split(network, layer)
    signal.signal(signal.SIGTERM, _interrupt)  # as services are stopped
    with server.start(host, port, clients=clients, record=record) as running:
        name, number = running.address
        typer.echo(f"{model} from {', '.join(layer)} on, at {name}:{number}", err=True)
        with server.watch():
            server.wait()


def _interrupt(number: int, frame: object) -> None:
    """Stop as by an interrupt."""
    raise KeyboardInterrupt
