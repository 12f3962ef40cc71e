"""The bitstream syntax (clause 6), declared once with construct and used to read, write and print it.

``bits`` counts bits, ``descriptors`` codes single elements, ``codes`` names the code points,
``structures`` declares what stands in a stream, ``units`` frames it, ``hevc`` declares the headers
inside an HEVC payload.
"""
