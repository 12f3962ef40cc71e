"""Types of the arrays that kernels take."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Int32", "Int64", "Uint8"]

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Uint8 = npt.NDArray[np.uint8]
