"""Split inference: a device runs the head of a network, a server the tail, and features go over a socket.

    client, server = refcodec.split(model, "layer2", qp=30)

    server.serve("0.0.0.0", 9000)                        # on the server
    with client.connect("server.example", 9000):         # on the device
        logits = client(images)

Both sides cut the same network. What travels in either direction is one DFC stream a connection, in frames
(`refcodec.splitting.frames`) of whole units: features by layer there, outputs back. The server decodes by the
library's bounded reader, and nothing that it receives is ever run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from refcodec.models import Network
from refcodec.splitting.client import Client
from refcodec.splitting.halves import Halves
from refcodec.splitting.rate import control_for
from refcodec.splitting.server import Server
from refcodec.splitting.wire import wire_config

__all__ = ["Client", "Server", "split"]


def split(
    model: nn.Module | Network,
    layers: str | Sequence[str],
    *,
    input_shape: tuple[int, ...] | None = None,
    bit_rate: float | None = None,
    latency: float | None = None,
    **options: Any,
) -> tuple[Client, Server]:
    """Split a network at a layer, or at several: the side of the device, and that of the server.

    model       : a module, or a network of `refcodec.models.load`. The client of a network of texts is given
                  texts, T each, int64, in place of images.
    layers      : name of the layer to cut at; several names for a pyramid, whose tail takes all of them.
    input_shape : channels, height and width of the images; None for 3 x 224 x 224, or the network's own.
    bit_rate    : bits a second that the client sends at most. The QP of a request is the configured one
                  or above it, as the rate demands.
    latency     : seconds that a request shall take, from images to output; the QP rises where it takes more.
    options     : of the encoder, as `refcodec.encode` takes them; the coder is native-static by default.

    Raises CallerError where the network cannot be cut there, or options have no effect.
    """
    halves = Halves(model, layers, input_shape)
    config = wire_config(halves.names, options, tokens=halves.tokens, weights=halves.weights)
    return Client(halves, config, control_for(config, bit_rate, latency)), Server(halves)
