"""The native lossless coder: floating-point numbers of any bit pattern (clause 8.3.8).

The normative modules, in the order of the clauses:

    8.3.8.1  payload   one payload to words: raw, context or fast
             header    its first bytes
             raw_bits  bits without a model, read from the end
    8.3.8.2  context   exponents and leading mantissa bits by mixed contexts
             models    their states and weights, and how they predict and adapt
    8.3.8.3  fast      exponents by static frequencies, signs and mantissas raw

``encoder`` is the encoder, none of which is normative. Nothing is imported here, as importing kernels and
their compiler takes time.
"""
