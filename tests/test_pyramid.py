"""Networks cut at several modules at once."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pyramid_network import LAYERS, SHAPE, Pyramidal, images  # noqa: E402
from torch import nn  # noqa: E402

from refcodec.errors import CallerError  # noqa: E402
from refcodec.models import Pyramid  # noqa: E402


def test_pyramid_equals_whole() -> None:
    network, given = Pyramidal.seeded(), images(3)
    cut = Pyramid(network, LAYERS, SHAPE)
    assert cut.feature_shapes == {"fine": (4, 16, 16), "coarse": (6, 8, 8)}
    features = cut.head(given)
    assert list(features) == list(LAYERS)
    before = {name: one.clone() for name, one in features.items()}
    assert torch.equal(cut.tail(features), network(given))
    assert all(torch.equal(features[name], before[name]) for name in LAYERS)
    assert not torch.equal(cut.tail({**features, "fine": 0 * features["fine"]}), network(given))


def test_order_of_layers_is_that_of_the_caller() -> None:
    network, given = Pyramidal.seeded(), images(2)
    cut = Pyramid(network, LAYERS[::-1], SHAPE)
    assert list(cut.head(given)) == ["coarse", "fine"]
    assert torch.equal(cut.tail(cut.head(given)), network(given))


class Wilful(Pyramidal):
    """Has no graph: its way depends on the images."""

    def forward(self, x: Any) -> Any:
        return super().forward(x if x.sum() > 0 else -x)


class Bypassed(Pyramidal):
    def forward(self, x: Any) -> Any:
        return super().forward(x) + x.mean()


class Straight(nn.Sequential):
    """The second layer follows from the first, and the output from the second alone."""

    def __init__(self) -> None:
        super().__init__(
            OrderedDict(fine=nn.Conv2d(3, 4, 3), coarse=nn.Conv2d(4, 6, 3), last=nn.Flatten())
        )


@pytest.mark.parametrize(
    ("network", "layers", "what"),
    [
        (Wilful, LAYERS, "has no graph"),
        (Bypassed, LAYERS, "past the cut"),
        (Straight, LAYERS, "the output does not depend on fine, beside the others"),
        (Pyramidal, ("fine", "nowhere"), "no module 'nowhere'"),
        (Pyramidal, ("fine", "fine"), "different layers"),
        (Pyramidal, (), "different layers"),
    ],
)
def test_what_cannot_be_cut(network: Any, layers: tuple[str, ...], what: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(CallerError, match=what):
        Pyramid(network(), layers, SHAPE)


def test_images_and_features_of_another_shape() -> None:
    cut = Pyramid(Pyramidal.seeded(), LAYERS, SHAPE)
    with pytest.raises(CallerError, match="takes images"):
        cut.head(torch.zeros(1, 3, 8, 8))
    features = cut.head(images(1))
    with pytest.raises(CallerError, match="takes features of N x 6 x 8 x 8"):
        cut.tail({**features, "coarse": features["fine"]})
