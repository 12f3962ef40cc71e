"""``refcodec warm-up``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from refcodec.cli.progress import progress
from refcodec.cli.terminal import print_note
from refcodec.errors import CallerError, EnvironmentFault

__all__ = ["warm_up"]


def warm_up(
    coders: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CODER...]", help="native, native-lossless, learned; else all."),
    ] = None,
) -> None:
    """Compile coders for this machine now, so that no later call has to wait for that.

    What is compiled is kept in ~/.cache/refcodec, or in the folder that REFCODEC_CACHE names.
    """
    from refcodec.kernel import cache_folder

    chosen = list(dict.fromkeys(coders or _WAYS))
    for name in chosen:
        if name not in _WAYS:
            raise CallerError(f"{name} is not compiled: choose among {', '.join(_WAYS)}")
    folder = cache_folder()
    if folder is None:
        raise EnvironmentFault(
            "there is no folder to keep what is compiled: set REFCODEC_CACHE to one of your own"
        )
    ways = [_quantiser, *(_WAYS[name] for name in chosen)]
    with progress("compiling", len(ways), "parts") as show:
        for number, way in enumerate(ways, 1):
            way()
            show(number)
    print_note(f"{', '.join(chosen)}: compiled, in {folder}")


def _quantiser() -> None:
    """The uniform quantiser, which all lossy coders share, with samples and positions, in both precisions."""
    import numpy as np

    from refcodec.uniform import dequantise_uniform

    bounds = np.zeros(1, np.float32), np.ones(1, np.float32)
    given: list[Any] = [np.zeros((1, 1, 1), dtype) for dtype in (np.int32, np.int64)]
    for one in given:
        for dtype in (np.float32, np.float64):
            dequantise_uniform(one, *bounds, 8, np.empty((1, 1, 1), dtype))


def _native() -> None:
    first = _feature(2, 12, 16)
    for choices in ({"qp": 30}, {"qp": 30, "gop": 2}, {"qp": 30, "speed": "fast"}):
        _round_trip([first, first + 1], coder="native", **choices)
    _transformed_tokens()


def _transformed_tokens() -> None:
    from refcodec import ChannelTransform, fit_contexts

    tokens = _feature(6, 4)
    transform = ChannelTransform.fit([tokens])
    given: dict[str, Any] = {"feature_type": "tokens", "model": transform, "token_gain": True}
    _round_trip([tokens], coder="native", qp=30, **given)
    contexts = fit_contexts([tokens, tokens], qp=30, **given)
    _round_trip([tokens], coder="native", qp=30, contexts=contexts, **given)


def _native_lossless() -> None:
    for speed in ("default", "fast"):
        _round_trip([_feature(2, 32, 32)], coder="native-lossless", speed=speed)


def _native_static() -> None:
    _round_trip([_feature(2, 12, 16)], coder="native-static", qp=30)


def _learned() -> None:
    import numpy as np

    from refcodec import EntropyModel

    latents = np.arange(60).reshape(3, 20) % 5
    for model in (EntropyModel.fit(latents), EntropyModel.from_scales([1.0] * 20)):
        for joint in (False, True):
            choices = {"quantiser": "none", "model": model, "joint": joint}
            _round_trip(list(latents.astype(np.int8)), coder="learned", **choices)
    _hyperpriors()


def _hyperpriors() -> None:
    import io

    import numpy as np

    import refcodec
    from refcodec.networks.convert import FloatLayer, convert

    latents = np.arange(32).reshape(2, 4, 4) % 5 - 2
    layer = FloatLayer.convolution(np.ones((2, 2, 1, 1), np.float32), padding=0)
    made = convert([layer], [latents], input_bits=8)
    model = refcodec.HyperpriorModel.from_networks(
        made.network,
        refcodec.EntropyModel.fit(latents[None]),
        np.arange(63),
        synthesis=made.network,
    )
    target = io.BytesIO()
    with refcodec.create(target, coder="learned", model=model) as writer:
        writer.write(latents.astype(np.float32), latents=(latents, latents))
    refcodec.decode(target.getvalue())


_WAYS: dict[str, Callable[[], None]] = {
    "native": _native,
    "native-lossless": _native_lossless,
    "native-static": _native_static,
    "learned": _learned,
}
"""The coders that have kernels, and features that take the ways through them."""


def _feature(*shape: int) -> Any:
    """A feature with fractions, zeros and repeated values, C x H x W."""
    import numpy as np

    index = np.arange(int(np.prod(shape))).reshape(shape)
    return np.maximum(np.sin(index // 2), 0).astype(np.float32)


def _round_trip(features: list[Any], **choices: Any) -> None:
    """Encode and decode features in one stream, one after the other."""
    import io

    import refcodec

    target = io.BytesIO()
    with refcodec.create(target, workers=1, **choices) as writer:
        for one in features:
            writer.write(one)
    with refcodec.open(io.BytesIO(target.getvalue())) as reader:
        for _ in reader:
            pass
