"""Streams drawn at random: a seeded walk over the whole syntax, valid or with one defect each."""
