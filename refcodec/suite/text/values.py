"""Values of syntax elements as texts, and back to bits.

=============================  ==========================================================================
``12``, ``-3``, ``0x1f``       an integer, for ``u``, ``ue``, ``se`` and ``leb128``
``conv``                       a code point by its name, for elements that are enumerations
``1 2 7*3``                    items of an array; ``7*3`` is 7 three times
``0.5 nan:7fc00000``           binary32 numbers; a NaN by its word
``89 44 46 43``                bytes in hexadecimal; spaces are free
``"a text"``                   bytes of a text in UTF-8, quoted as in JSON
``0b 0101 1``                  exactly these bits, for any element; spaces are free
=============================  ==========================================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import IntEnum
from itertools import chain, groupby

import numpy as np

from refcodec.errors import CallerError
from refcodec.suite.assemble import encode, from_bits, to_bits

__all__ = ["bits_of", "integer_of", "text_of"]

_NUMBER = re.compile(r"[+-]?(0x[0-9a-fA-F]+|[0-9]+)")
_CODING = re.compile(r"(u|f|b)\((\d+|v)\)(?:\[(\d+)\])?|(ue|se)\(v\)|(leb128)|(z)\(v\)")


def text_of(
    bits: str, notation: str, codes: type[IntEnum] | None = None, *, quoted: bool = False
) -> str:
    """The text of a value, of which :func:`bits_of` makes the same bits.

    notation : coding, such as ``u(3)[16]``.
    codes    : the code points, if the element has them.
    quoted   : give bytes that can be read as a text in quotes.
    """
    text = _text_of(bits, notation, codes, quoted)
    if text is not None:
        try:
            if bits_of(text, notation, codes) == bits:
                return text
        except CallerError:
            pass
    return "0b " + " ".join(bits[i : i + 8] for i in range(0, len(bits), 8)) if bits else "0b"


def bits_of(text: str, notation: str, codes: type[IntEnum] | None = None) -> str:
    """The bits of a text, in the coding of a notation. Raises CallerError for a text that is none."""
    text = text.strip()
    if text.startswith("0b"):
        return _checked("".join(text[2:].split()), "01", "bits")
    kind, size, count = _parsed(notation)
    if kind == "b":
        return _sized(to_bits(_bytes_of(text)), size, notation)
    words = text.split()
    if count is not None:
        items = list(_repeated(words))
        if len(items) != count:
            raise CallerError(f"{len(items)} values for {notation}")
        if kind == "f":
            return "".join(f"{_word_of(item):032b}" for item in items)
        return "".join(_unsigned(_integer(item), int(size), notation) for item in items)
    if len(words) != 1:
        raise CallerError(f"{text!r} is no single value for {notation}")
    value = _code(words[0], codes)
    if kind == "u":
        return _unsigned(value, int(size), notation)
    if kind == "z":
        raise CallerError("alignment bits are given as 0b and the bits")
    if value < 0 and kind != "se":
        raise CallerError(f"{value} is negative; {notation} is not")
    return encode(value, notation)


def integer_of(bits: str, notation: str) -> int | None:
    """The number that an element has for the conditions on it; None for one that has none."""
    if notation.startswith("u(") and "[" not in notation:
        return int(bits, 2) if bits else 0
    if notation == "leb128":
        data = from_bits(bits) if len(bits) % 8 == 0 else b""
        return sum((byte & 0x7F) << 7 * i for i, byte in enumerate(data))
    if notation in ("ue(v)", "se(v)") and "1" in bits:
        mapped = int(bits[: 2 * bits.index("1") + 1], 2) - 1
        half = (mapped + 1) // 2
        return mapped if notation == "ue(v)" else half if mapped % 2 else -half
    return None


# --- bits to text ------------------------------------------------------------------------------------


def _text_of(bits: str, notation: str, codes: type[IntEnum] | None, quoted: bool) -> str | None:
    kind, size, count = _parsed(notation)
    if kind == "b":
        if len(bits) % 8:
            return None
        data = from_bits(bits)
        return (_quoted(data) if quoted else None) or data.hex(" ", -4)
    if count is not None:
        width = int(size)
        words = [int(bits[i : i + width], 2) for i in range(0, len(bits), width)] if width else []
        items = map(_float_text, words) if kind == "f" else map(str, words)
        return " ".join(items) if kind == "f" else _runs(list(items))
    number = integer_of(bits, notation)
    if number is None:
        return None
    named = {int(code): code.name.lower() for code in codes or ()}
    return named.get(number, str(number))


def _quoted(data: bytes) -> str | None:
    """A text in quotes, if these bytes can be read as one."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return json.dumps(text, ensure_ascii=False) if text.isprintable() else None


def _runs(items: list[str]) -> str:
    """Items of an array, with ``7*3`` for three or more of a kind."""
    counted = [(item, len(list(own))) for item, own in groupby(items)]
    words = ([f"{item}*{count}"] if count > 2 else [item] * count for item, count in counted)
    return " ".join(chain.from_iterable(words))


def _float_text(word: int) -> str:
    number = np.array(word, np.uint32).view(np.float32)
    return f"nan:{word:08x}" if np.isnan(number) else str(number)


# --- text to bits ------------------------------------------------------------------------------------


def _parsed(notation: str) -> tuple[str, str, int | None]:
    """Kind, size and count of a coding: ``u``, ``3``, 16. Raises CallerError for one that does not exist."""
    found = _CODING.fullmatch(notation.replace(" ", ""))
    if found is None or (found[1] in ("u", "f") and not found[2].isdigit()):
        raise CallerError(
            f"there is no coding {notation!r}",
            hint="u(n), u(n)[count], f(32)[count], ue(v), se(v), leb128, b(n) or b(v)",
        )
    kind = found[1] or found[4] or found[5] or found[6]
    count = int(found[3]) if found[3] else None
    return kind, found[2] or "", 1 if kind == "f" and count is None else count


def _bytes_of(text: str) -> bytes:
    if text.startswith('"'):
        try:
            return str(json.loads(text)).encode("utf-8")
        except ValueError:
            raise CallerError(f"{text} is no text in quotes, as JSON writes them") from None
    digits = _checked("".join(text.split()), "0123456789abcdefABCDEF", "hexadecimal digits")
    if len(digits) % 2:
        raise CallerError(f"{len(digits)} hexadecimal digits make no whole bytes")
    return bytes.fromhex(digits)


def _sized(bits: str, size: str, notation: str) -> str:
    if size.isdigit() and len(bits) != int(size):
        raise CallerError(f"{len(bits) // 8} bytes for {notation}")
    return bits


def _checked(text: str, alphabet: str, what: str) -> str:
    if strange := set(text) - set(alphabet):
        raise CallerError(f"{min(strange)!r} among {what}")
    return text


def _repeated(words: list[str]) -> Iterator[str]:
    for word in words:
        item, star, times = word.partition("*")
        if star and not times.isdigit():
            raise CallerError(f"{word!r} does not say how many times")
        if star and int(times) > 1 << 28:
            raise CallerError(f"{word!r}: more items than any feature has")
        yield from [item] * (int(times) if star else 1)


def _word_of(item: str) -> int:
    if item.startswith("nan:"):
        return int(_checked(item[4:], "0123456789abcdefABCDEF", "hexadecimal digits"), 16)
    try:
        with np.errstate(over="ignore"):
            return int(np.float32(item).view(np.uint32))
    except ValueError:
        raise CallerError(f"{item!r} is no number") from None


def _integer(item: str) -> int:
    if not _NUMBER.fullmatch(item):
        raise CallerError(f"{item!r} is no integer")
    return int(item, 0 if "x" in item else 10)


def _code(word: str, codes: type[IntEnum] | None) -> int:
    named = {code.name.lower(): int(code) for code in codes or ()}
    if word in named:
        return named[word]
    if codes is not None and not _NUMBER.fullmatch(word):
        raise CallerError(f"{word!r} is none of {', '.join(named)}, nor a number")
    return _integer(word)


def _unsigned(value: int, width: int, notation: str) -> str:
    if not 0 <= value < 1 << width:
        raise CallerError(
            f"{value} does not fit {notation}",
            hint="state a wider coding, such as name: u(9) = 300",
        )
    return f"{value:0{width}b}" if width else ""
