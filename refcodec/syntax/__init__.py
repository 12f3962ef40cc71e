"""The bitstream syntax (clause 6), declared once with construct and used to read, write and print it.

``bits`` reads and writes bits, ``descriptors`` codes single elements, ``codes`` names the code points,
``structures`` declares the structures of a stream, ``units`` frames them. ``hevc``, ``vvc`` and ``av1``
declare the headers inside payloads of video, ``annexb`` and ``obu`` split these into units.
"""
