"""Encoders that know the rest of the network: where to spend bits. Needs torch."""
