"""Networks by name or by ``package.module:factory``, with weights from a file."""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file
from torch import nn

from refcodec.errors import CallerError, DFCError
from refcodec.files import open_file
from refcodec.models.cut import Cut
from refcodec.models.packaged import PackageFile
from refcodec.models.zoo import NETWORKS, Entry

__all__ = ["Network", "load", "read_weights"]


_TOKENS: Final = 16
"""Length of the texts that a cut is tried on."""


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network ready for use: in evaluation mode, with frozen parameters.

    name       : name that it was loaded by.
    module     : the network itself.
    input_size : height and width of its images.
    layers     : modules by the names of layers; `cut` takes module names too.
    task       : ``classification``, ``segmentation``, ``embedding``, or ``""`` if unknown.
    weights    : ``sha256:`` and the hash of the file of weights; ``random, seed 0`` without a file.
    vocabulary : number of tokens, if its inputs are texts; 0 for images.
    """

    name: str
    module: nn.Module
    input_size: tuple[int, int]
    layers: Mapping[str, str]
    task: str
    weights: str
    vocabulary: int = 0

    def cut(self, layer: str, *, input_size: tuple[int, int] | None = None) -> Cut:
        """Cut the network after a layer.

        layer      : a name of ``layers``, such as ``conv1``; or that of a module, such as ``layer1.0``.
        input_size : height and width of the images; None for the network's own. Texts have any length.

        The cut has the given name. Raises CallerError, see `refcodec.models.cut.Cut`.
        """
        height, width = input_size or self.input_size
        module_name = self.layers.get(layer, layer)
        try:
            if self.vocabulary:
                return Cut(
                    self.module, module_name, (_TOKENS,), name=layer, vocabulary=self.vocabulary
                )
            return Cut(self.module, module_name, (3, height, width), name=layer)
        except CallerError as error:
            if module_name in dict(self.module.named_modules()) or not self.layers:
                raise
            names = ", ".join(self.layers)
            raise CallerError(error.what, hint=f"{error.hint}; layers by name: {names}") from None


def load(
    name: str,
    weights: str | Path | None = None,
    *,
    seed: int = 0,
    input_size: tuple[int, int] | None = None,
) -> Network:
    """Load a network.

    name       : a key of `refcodec.models.zoo.NETWORKS`; or ``package.module:factory``, a function without
                 arguments that returns a ``torch.nn.Module`` for RGB images as
                 `refcodec.models.images.normalise` makes them.
    weights    : a file of its parameters, ``.safetensors`` or PyTorch's ``.pth`` (no code in it is run). None
                 takes those that come with a package (``segmenter``, ``efficientnet-lite0``,
                 ``efficientnet-lite1``, ``minilm``); other networks keep the parameters as the factory makes
                 them: random, from the seed, for experiments.
    input_size : height and width of its images; None for the network's default, 224 x 224 if it has none.

    Raises CallerError for an unknown name, a factory that fails, and weights that do not fit;
    EnvironmentFault if torchvision, or the package of the network or of its weights, is missing.
    """
    entry = NETWORKS.get(name) or _entry(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _build(entry.build, name)
    path = _weights(entry) if weights is None else Path(weights)
    if path is not None:
        _fill(module, path, entry.rename)
    return Network(
        name=name,
        module=module.eval().requires_grad_(False),
        input_size=input_size or entry.input_size,
        layers=entry.layers,
        task=entry.task,
        weights=f"random, seed {seed}" if path is None else f"sha256:{_sha256(path)}",
        vocabulary=entry.vocabulary,
    )


# --- factories -------------------------------------------------------------------------------------


def _entry(name: str) -> Entry:
    module_name, _, factory_name = name.partition(":")
    if not (module_name and factory_name):
        near = get_close_matches(name, NETWORKS, n=3) or list(NETWORKS)
        raise CallerError(
            f"there is no network {name!r}",
            hint=f"there are {', '.join(near)}; others go by package.module:factory",
        )
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise CallerError(
            f"{module_name!r}, of the network {name}, cannot be imported: {error}",
            hint="is its folder in PYTHONPATH?",
        ) from None
    except Exception as error:
        raise CallerError(f"{module_name} fails while it is imported: {error!r}") from error
    factory = getattr(module, factory_name, None)
    if not callable(factory):
        raise CallerError(f"{module_name} has no function {factory_name!r}")
    return Entry(factory, task="")


def _build(factory: Callable[[], Any], name: str) -> nn.Module:
    try:
        module = factory()
    except DFCError:
        raise
    except Exception as error:
        raise CallerError(
            f"the network {name} cannot be made: {error!r}",
            hint="a factory takes no arguments",
        ) from error
    if not isinstance(module, nn.Module):
        raise CallerError(f"{name} returns a {type(module).__name__}, not a torch.nn.Module")
    return module


# --- weights ---------------------------------------------------------------------------------------


def _weights(entry: Entry) -> Path | None:
    """The file of weights that comes with a package."""
    return entry.weights.path() if isinstance(entry.weights, PackageFile) else entry.weights


def _fill(module: nn.Module, path: Path, rename: Callable[[str], str | None]) -> None:
    """Load the parameters of a file into a network; names on both sides must be the same."""
    found = {
        key: value for old, value in read_weights(path).items() if (key := rename(old)) is not None
    }
    wanted = module.state_dict()
    for key in wanted.keys() - found.keys():
        if key.endswith(".num_batches_tracked"):  # older files lack it, and only training uses it
            found[key] = wanted[key]
    missing = [key for key in wanted if key not in found]
    unexpected = [key for key in found if key not in wanted]
    if missing or unexpected:
        faults = [
            f"{kind} {_some(keys)}"
            for kind, keys in (("lacks", missing), ("has besides", unexpected))
            if keys
        ]
        raise CallerError(
            f"{path} does not fit the network: it {'; it '.join(faults)}",
            hint=_likely(missing, unexpected),
        )
    for key, value in wanted.items():
        if found[key].shape != value.shape:
            raise CallerError(
                f"{path} does not fit the network: {key} has the shape {tuple(found[key].shape)}, "
                f"where {tuple(value.shape)} is wanted",
                hint="it belongs to a network of other layers or classes",
            )
    module.load_state_dict(found)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The parameters in a file, by name."""
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise CallerError(
            f"{path} has the suffix {path.suffix!r}", hint="weights are .safetensors, .pth or .pt"
        )
    try:
        with open_file(path) as file:
            if path.suffix == ".safetensors":
                found = load_file(path)
            else:
                found = torch.load(file, map_location="cpu", weights_only=True)
    except DFCError:
        raise
    except Exception as error:  # any error that torch's unpickler raises for a damaged file
        (reason, *_) = str(error).splitlines() or [repr(error)]
        raise CallerError(
            f"{path} holds no weights: {reason}",
            hint="save a state_dict, by safetensors or torch.save",
        ) from None
    if not isinstance(found, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in found.items()
    ):
        names = f" of {_some([str(key) for key in found])}" if isinstance(found, dict) else ""
        raise CallerError(
            f"{path} holds a {type(found).__name__}{names}, not tensors by name",
            hint="save the state_dict by itself",
        )
    return dict(found)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _likely(missing: Sequence[str], unexpected: Sequence[str]) -> str:
    """Suggest the cause of names that do not match: often all in a file share a prefix, or lack one."""
    for longer, shorter, verb in (
        (unexpected, missing, "taken from"),
        (missing, unexpected, "put before"),
    ):
        for dot in re.finditer(r"\.", longer[0] if longer else ""):
            prefix = longer[0][: dot.end()]
            if {key.removeprefix(prefix) for key in longer} == set(shorter):
                return f"they would fit with {prefix!r} {verb} the names in the file"
    return "is it the file of another network?"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
