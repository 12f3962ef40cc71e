"""refcodec: reference software of Deep Feature Coding (DFC), a bitstream for features of deep networks.

    data = refcodec.encode(feature, coder="hevc", qp=32)      # one feature -> bytes
    feature = refcodec.decode(data)                           # bytes -> numpy array

    with refcodec.create("features.dfc", coder="zlib") as w:  # many features, streaming
        w.write(feature)
    with refcodec.open("features.dfc") as r:                  # random access
        r[17]

    refcodec.validate(path)                                   # every violation of the specification
    refcodec.inspect(path)                                    # every syntax element

Submodules load when they are first used, so that importing refcodec costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from refcodec.config import EncoderConfig
    from refcodec.contexts import ContextModel
    from refcodec.errors import (
        CallerError,
        DFCError,
        EnvironmentFault,
        MalformedError,
        StreamError,
        UnsupportedError,
    )
    from refcodec.inspector import inspect
    from refcodec.probability.hyperprior import HyperpriorModel
    from refcodec.probability.model import EntropyModel
    from refcodec.reader import Reader, decode
    from refcodec.reader import open_stream as open
    from refcodec.splitting import split
    from refcodec.tensors import to_torch
    from refcodec.transform.channel import ChannelTransform
    from refcodec.validator import Report, validate
    from refcodec.writer import Writer, concat, create, encode
    from refcodec.writer.calibration import fit_contexts

_HOME = {
    "ChannelTransform": "transform.channel",
    "ContextModel": "contexts",
    "EncoderConfig": "config",
    "EntropyModel": "probability.model",
    "HyperpriorModel": "probability.hyperprior",
    "Reader": "reader",
    "decode": "reader",
    "open": "reader:open_stream",
    "Writer": "writer",
    "concat": "writer",
    "create": "writer",
    "encode": "writer",
    "fit_contexts": "writer.calibration",
    "inspect": "inspector",
    "split": "splitting",
    "to_torch": "tensors",
    "Report": "validator",
    "validate": "validator",
    "CallerError": "errors",
    "DFCError": "errors",
    "EnvironmentFault": "errors",
    "MalformedError": "errors",
    "StreamError": "errors",
    "UnsupportedError": "errors",
}

__all__ = [
    "CallerError",
    "ChannelTransform",
    "ContextModel",
    "DFCError",
    "EncoderConfig",
    "EntropyModel",
    "EnvironmentFault",
    "HyperpriorModel",
    "MalformedError",
    "Reader",
    "Report",
    "StreamError",
    "UnsupportedError",
    "Writer",
    "concat",
    "create",
    "decode",
    "encode",
    "fit_contexts",
    "inspect",
    "open",
    "split",
    "to_torch",
    "validate",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = home.partition(":")
    return getattr(import_module(f"{__name__}.{module}"), attribute or name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
