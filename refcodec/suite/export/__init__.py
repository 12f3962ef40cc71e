"""Suites for other runners: fluster, and one archive."""
