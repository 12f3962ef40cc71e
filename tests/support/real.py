"""Marks of tests on real features, which skip where the networks and images are absent."""

from __future__ import annotations

import pytest

from refcodec.models.trained import ABSENT, data_folder

needs_data = [pytest.mark.data, pytest.mark.skipif(data_folder() is None, reason=ABSENT)]
"""Marks of a test, of a class, or of a module: ``pytestmark = needs_data``."""
