"""Texts to run networks on: sentences of the documentation that comes with Python, as numbers of tokens.

They are taken from the docstrings of the standard library, which every installation has and anybody may use.
Other versions of Python have other sentences: `digest` tells them apart. The sentences of even rank are for
calibration, the others for tests::

    tokens = WordPiece(minilm.WORDS.path())
    for sentence in sentences("docstrings:200"):
        embedding = network.module(torch.tensor([tokens(sentence)]))
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from refcodec.errors import CallerError
from refcodec.files import open_file

__all__ = ["SOURCES", "WordPiece", "digest", "open_texts", "sentences"]

SOURCES: Final = ("docstrings:", "docstrings-calibration:")
"""Beginnings of the names of sets of sentences; a count follows."""

_MODULES: Final = (
    *("argparse", "ast", "asyncio.events", "asyncio.streams", "base64", "bdb", "calendar", "cmd"),
    *("code", "codecs", "collections", "concurrent.futures._base", "configparser", "contextlib"),
    *("copy", "csv", "ctypes.util", "dataclasses", "difflib", "dis", "doctest", "email.charset"),
    *(
        "email.header",
        "email.message",
        "email.policy",
        "email.utils",
        "enum",
        "filecmp",
        "fileinput",
    ),
    *("fractions", "ftplib", "functools", "gettext", "glob", "graphlib", "gzip", "heapq"),
    *("html.parser", "http.client", "http.cookiejar", "http.server", "imaplib", "inspect"),
    *("ipaddress", "json.decoder", "json.encoder", "linecache", "locale", "logging"),
    *("logging.config", "logging.handlers", "mailbox", "mimetypes", "modulefinder"),
    *("multiprocessing.connection", "multiprocessing.managers", "multiprocessing.pool", "netrc"),
    *(
        "numbers",
        "optparse",
        "os",
        "pathlib",
        "pdb",
        "pickle",
        "pickletools",
        "pkgutil",
        "plistlib",
    ),
    *("poplib", "pprint", "profile", "pstats", "pydoc", "queue", "random", "reprlib", "sched"),
    *("selectors", "shelve", "shlex", "shutil", "smtplib", "socket", "socketserver", "ssl"),
    *("statistics", "string", "subprocess", "symtable", "tarfile", "tempfile", "textwrap"),
    *("threading", "timeit", "tokenize", "trace", "traceback", "turtle", "types", "typing"),
    *(
        "unittest.case",
        "unittest.loader",
        "unittest.mock",
        "urllib.parse",
        "urllib.request",
        "uuid",
    ),
    *("warnings", "weakref", "xml.dom.minidom", "xml.etree.ElementTree", "xml.sax.handler"),
    *("xmlrpc.client", "xmlrpc.server", "zipapp", "zipfile"),
)

_PROSE: Final = re.compile(r"[A-Z][A-Za-z ,;:()'\"-]*\.")
"""Words and simple punctuation rather than code."""

_FEWEST, _MOST = 8, 48  # words of a sentence


def sentences(name: str) -> list[str]:
    """Sentences by the name of a set: ``docstrings:200``, or ``docstrings-calibration:200``.

    They are evenly spread over all that there are. Raises CallerError if there are fewer, or there is no
    such set.
    """
    source = next((one for one in SOURCES if name.startswith(one)), None)
    number = name.partition(":")[2]
    if source is None or not (number.isdecimal() and int(number)):
        raise CallerError(f"{name!r} is no set of texts", hint="as docstrings:200 is")
    found, count = _sentences()[source == SOURCES[0] :: 2], int(number)
    if count > len(found):
        raise CallerError(f"{source} has {len(found)} sentences; {count} are asked for")
    return [found[i * len(found) // count] for i in range(count)]


def open_texts(name: str) -> list[str]:
    """Texts by the name of a set of sentences, or of a file .txt in UTF-8, a text a line.

    Raises CallerError where there are none.
    """
    if not name.lower().endswith(".txt"):
        return sentences(name)
    with open_file(Path(name)) as file:
        try:
            lines = file.read().decode("utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise CallerError(f"{name} is no text in UTF-8: {error}") from None
    if not (found := [one for one in lines if one.strip()]):
        raise CallerError(f"{name} holds no text")
    return found


def digest(texts: Iterable[str]) -> str:
    """SHA-256 of texts, in hexadecimal."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


@cache
def _sentences() -> tuple[str, ...]:
    """All different sentences, module by module."""
    found: dict[str, None] = {}
    for name in _MODULES:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
            for text in _docstrings(Path(spec.origin).read_text(encoding="utf-8")):
                found |= dict.fromkeys(_of(text))
    return tuple(found)


def _docstrings(code: str) -> Iterator[str]:
    """The docstrings of a module, and of its classes and functions."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node, clean=False) or ""


def _of(docstring: str) -> Iterator[str]:
    """The sentences of a docstring; a paragraph ends at a blank line."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        for part in re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(paragraph.split())):
            if _PROSE.fullmatch(part) and _FEWEST <= part.count(" ") + 1 <= _MOST:
                yield part


class WordPiece:
    """The tokens of BERT: a text in small letters without accents, in pieces of words.

    Each word is cut into the longest pieces that the vocabulary has, from left to right; those that continue
    a word begin with ``##`` there.

    path : the vocabulary, a piece per line; its number is that of the line.
    """

    def __init__(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8").splitlines()
        self._numbers = {piece: number for number, piece in enumerate(lines)}
        self._start, self._end, self._unknown = (
            self._numbers[name] for name in ("[CLS]", "[SEP]", "[UNK]")
        )

    def __call__(self, text: str) -> list[int]:
        """Numbers of the tokens of a text, between those of its start and its end."""
        plain = unicodedata.normalize("NFD", text.lower())
        plain = "".join(one for one in plain if unicodedata.category(one) != "Mn")
        pieces = [number for word in _WORD.findall(plain) for number in self._pieces(word)]
        return [self._start, *pieces, self._end]

    def _pieces(self, word: str) -> list[int]:
        found, start = [], 0
        while start < len(word):
            mark = "##" if start else ""
            for stop in range(len(word), start, -1):
                number = self._numbers.get(mark + word[start:stop])
                if number is not None:
                    break
            else:
                return [self._unknown]
            found.append(number)
            start = stop
        return found


_WORD: Final = re.compile(r"[^\W_]+|[^\w\s]|_")
