"""Runs of decoders under test over a suite: selection, processes, verdicts, first differences."""
