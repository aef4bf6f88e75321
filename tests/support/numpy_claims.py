"""NumPy files whose header claims more numbers than any memory holds, as damage may leave them."""

from __future__ import annotations

import io

import numpy as np


def npy_that_claims(*shape: int, dtype: str = "<f4") -> bytes:
    """The header of an array of this shape, and eight bytes of its numbers."""
    file = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + bytes(8)
