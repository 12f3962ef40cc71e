"""Streams as text that a person reads and edits: ``refcodec asm`` and ``refcodec disasm``.

    asm(disasm(stream)) == stream        # for every sequence of bytes

values       texts of single values and their bits
disassembly  bytes to pieces, by the declarations, whatever the values are; and pieces to text
lines        lines of a text, grouped to units
assembly     lines to pieces, by the same declarations, and to bytes
"""

from refcodec.suite.text.assembly import asm
from refcodec.suite.text.disassembly import disasm, pieces_of

__all__ = ["asm", "disasm", "pieces_of"]
