"""Integer networks, which mean the same on every machine (clause 8.11).

``layers`` and ``weights`` are kernels: what a layer computes, and how its numbers are coded. ``network`` has
a whole network, proved free of overflow; ``convert`` makes one of float weights.
"""
