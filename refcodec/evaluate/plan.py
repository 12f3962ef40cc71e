"""The plan of an experiment: places (cuts of networks) and jobs, each with a key of all that it depends on.

A key is a hash. Equal keys mean equal results, so that a run can continue an interrupted one, and only what
has changed - weights, images, a parameter - is computed again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import refcodec
from refcodec.errors import CallerError
from refcodec.evaluate.experiment import Experiment, Images, Measure, Network
from refcodec.evaluate.settings import Setting
from refcodec.files import storage_error
from refcodec.models import texts
from refcodec.models.packaged import PackageFile
from refcodec.models.zoo import NETWORKS

__all__ = ["IMAGE", "Job", "Place", "code_digest", "jobs_of", "select"]

IMAGE: Final = "image"
"""The layer that precedes all others: the network's input itself."""


@dataclass(frozen=True)
class Place:
    """A network, cut at a layer, with a set of images.

    weights : path of the weights, or None.
    source  : source of the images, an argument of `refcodec.models.images.open_images`; or of the texts, of
              `refcodec.models.texts.sentences`.
    inputs  : digests of both.
    """

    network: Network
    layer: str
    weights: Path | None
    source: str
    inputs: tuple[str, str]

    @property
    def images(self) -> Images:
        """The set of images."""
        return self.network.images

    @property
    def name(self) -> str:
        """``network/layer``, unique in an experiment."""
        return f"{self.network.name}/{self.layer}"

    def describe(self) -> dict[str, Any]:
        """Everything that its features depend on, as JSON types."""
        return {
            "model": self.network.model,
            "weights": self.inputs[0],
            "layer": self.layer,
            "images": self.inputs[1],
            "count": self.images.count,
            "size": self.images.size,
            "torch": version("torch"),
            "refcodec": refcodec.__version__,
        }

    @property
    def slug(self) -> str:
        """A readable and unique name for files of its features."""
        return _slug(self.name, self.describe())


@dataclass(frozen=True)
class Job:
    """One point of a curve: the features of a place, coded with a setting."""

    place: Place
    setting: Setting
    measure: Measure

    @property
    def name(self) -> str:
        """``network/layer/curve/label``."""
        return "/".join(filter(None, [self.place.name, self.setting.curve, self.setting.label]))

    def describe(self) -> dict[str, Any]:
        """Everything that the result depends on except the code, as JSON types."""
        setting = asdict(self.setting)
        matters = {name: setting[name] for name in ("coder", "choices", "allocation")}
        parameters = matters["allocation"]["parameters"]
        if _SENSITIVITY in parameters:
            parameters[_SENSITIVITY] = digest(Path(parameters[_SENSITIVITY]))
        asked = {"validate": self.measure.validate, "channels": self.measure.channels}
        return {"place": self.place.describe(), **matters, **asked}

    @property
    def slug(self) -> str:
        """A readable and unique name for files of its result."""
        return _slug(self.name, self.describe())


_SENSITIVITY: Final = "sensitivity"
"""The parameter of an allocation that is the name of a file; results depend on its content."""


def _slug(name: str, matters: dict[str, Any]) -> str:
    key = hashlib.sha256(json.dumps(matters, sort_keys=True).encode()).hexdigest()
    return f"{re.sub(r'[^a-z0-9.]+', '-', name.lower()).strip('-')}-{key[:12]}"


# --- from an experiment to its jobs ----------------------------------------------------------------


def jobs_of(experiment: Experiment) -> list[Job]:
    """All jobs of an experiment, place by place. Raises CallerError for missing inputs."""
    found: dict[str, Job] = {}
    for place in _places(experiment):
        for coders in experiment.coders:
            wanted = (coders.networks, place.network.name), (coders.layers, place.layer)
            if all(names is None or name in names for names, name in wanted):
                for setting in coders.settings:
                    if setting.codes_images == (place.layer == IMAGE):
                        job = Job(place, _with_path(setting, experiment), experiment.measure)
                        _require_new(job, found)
                        found[job.name] = job
    if not found:
        raise CallerError("there is nothing to measure: no coder is for any of the layers")
    return list(found.values())


def _with_path(setting: Setting, experiment: Experiment) -> Setting:
    """The setting, with the full path of a file of sensitivities. Raises CallerError if it is missing."""
    parameters = dict(setting.allocation.parameters)
    if _SENSITIVITY not in parameters:
        return setting
    path = experiment.path(parameters[_SENSITIVITY])
    digest(path)
    parameters[_SENSITIVITY] = str(path)
    return replace(setting, allocation=replace(setting.allocation, parameters=parameters))


def _require_new(job: Job, found: dict[str, Job]) -> None:
    if job.name in found:
        raise CallerError(
            f"two [[coders]] make the point {job.name!r}", hint="give one of them another name"
        )


def _places(experiment: Experiment) -> Iterator[Place]:
    for network in experiment.networks:
        weights = experiment.path(network.weights) if network.weights else None
        source, made = network.images.source, _made(network.images.source)
        inputs = (
            digest(weights) if weights else _packaged(network.model),
            made or digest(experiment.path(source)),
        )
        source = source if made else str(experiment.path(source))
        for layer in network.layers:
            yield Place(network, layer, weights, source, inputs)


def _made(source: str) -> str:
    """A name for what images or texts without a path are; empty for those that have one."""
    if source.startswith(texts.SOURCES):
        return f"{source} {texts.digest(texts.sentences(source))}"
    return source if source.startswith("scenes:") else ""


def _packaged(model: str) -> str:
    """Digest of the weights that come with another package; ``none`` if there are none."""
    entry = NETWORKS.get(model)
    if entry is None or not isinstance(entry.weights, PackageFile):
        return "none"
    return digest(entry.weights.path())


def select(jobs: Iterable[Job], patterns: Iterable[str]) -> list[Job]:
    """The jobs whose name, or the first parts of it, matches a pattern: ``*/layer1``, ``*/native/*``.

    Raises CallerError for a pattern that matches no job.
    """
    jobs = list(jobs)
    kept: set[str] = set()
    for pattern in patterns:
        matching = {job.name for job in jobs if _matches(job.name, pattern)}
        if not matching:
            raise CallerError(f"no job matches {pattern!r}; the first is {jobs[0].name!r}")
        kept |= matching
    return [job for job in jobs if job.name in kept]


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}/*")


# --- digests ---------------------------------------------------------------------------------------


@cache
def digest(path: Path) -> str:
    """Digest of the bytes of a file; of a folder, of the names, sizes and times of its files.

    Raises CallerError if the path does not exist.
    """
    try:
        if path.is_dir():
            files = sorted(one for one in path.rglob("*") if one.is_file())
            stats = [(one, one.stat()) for one in files]
            lines = [f"{one.relative_to(path)} {s.st_size} {s.st_mtime_ns}" for one, s in stats]
            return hashlib.sha256("\n".join(lines).encode()).hexdigest()
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        fault = storage_error(error, path)
        raise type(fault)(
            fault.what, hint="name the data folder by --data, or set the path"
        ) from None


_CODE = (".py", ".toml", ".txt", ".safetensors")
_PRINTED_ONLY = (
    *("cli/", "demo/", "suite/", "plotting.py"),
    *(
        f"evaluate/{name}.py"
        for name in ("machine", "plots", "report", "results", "summary", "tables")
    ),
)


@cache
def code_digest(part: str = "") -> str:
    """Digest of refcodec's code and tables, except those that only print; results depend on it.

    part : a subfolder; features depend on ``models`` alone.
    """
    root = Path(refcodec.__file__).parent
    found = hashlib.sha256()
    for path in sorted((root / part).rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.suffix in _CODE and not name.startswith(_PRINTED_ONLY):
            found.update(name.encode() + path.read_bytes())
    return found.hexdigest()[:12]
