"""Array aliases, with their axes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bools", "FloatImage", "FloatStack", "Floats", "Ints", "RawStack"]

RawStack = NDArray[Any]
"""(channel, y, x) grey levels as the camera took them, uint8 or uint16 (or float), y down."""
FloatStack = NDArray[np.float32]
"""(channel, y, x) float32 normalised pictures, bulk at 0, y down."""
FloatImage = NDArray[np.float32]
"""(y, x) float32 picture or response map, y down."""
Floats = NDArray[np.float64]
"""float64 values, usually one per pit."""
Ints = NDArray[np.int64]
"""int64 values, usually one per pit."""
Bools = NDArray[np.bool_]
"""Truth values, usually one per pit."""
