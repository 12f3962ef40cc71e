"""Networks cut in two: a head that computes features, and a tail that continues from them. Needs torch.

::

    network = refcodec.models.load("resnet56", weights="resnet56_cifar10.safetensors")
    cut = network.cut("layer1")
    features = cut.head(images)                     # N x 3 x 32 x 32 -> N x 16 x 32 x 32
    logits = cut.tail(features)                     # N x 10

`refcodec.models.cut` has the cut, `refcodec.models.zoo` the names of networks and layers,
`refcodec.models.images` the images.
"""

from refcodec.models.cut import Cut, Pyramid
from refcodec.models.loading import Network, load

__all__ = ["Cut", "Network", "Pyramid", "load"]
