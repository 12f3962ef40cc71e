"""Transforms over the channels of features (clause 8.6.6), and how they are computed from features."""
