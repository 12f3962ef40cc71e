"""Networks and weights that come with packages of the index: extras of an evaluation, never dependencies.

Files are found inside the installed package, which is not imported for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from refcodec.errors import EnvironmentFault

__all__ = ["PackageFile", "import_package"]


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A file of an installed package.

    package      : name of the package, as it is imported.
    name         : path of the file inside it.
    distribution : name of the package on the index.
    """

    package: str
    name: str
    distribution: str

    def path(self) -> Path:
        """The file. Raises EnvironmentFault if the package is missing, or holds no such file."""
        spec = find_spec(self.package)
        for folder in (spec and spec.submodule_search_locations) or ():
            if (path := Path(folder) / self.name).is_file():
                return path
        lack = "is missing" if spec is None else f"holds no {self.name}"
        raise EnvironmentFault(
            f"the package {self.distribution} {lack}", hint=_install(self.distribution)
        )


def import_package(package: str, distribution: str) -> ModuleType:
    """Import a package of the index. Raises EnvironmentFault if it is missing."""
    try:
        return import_module(package)
    except ModuleNotFoundError:
        raise EnvironmentFault(
            f"the package {distribution} is missing", hint=_install(distribution)
        ) from None


def _install(distribution: str) -> str:
    return f"pip install --no-deps {distribution}"
