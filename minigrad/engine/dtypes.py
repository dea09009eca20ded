"""The dtypes that tensors can have, by name: NumPy's, as `x.dtype` is one of them."""

import numpy as np

__all__ = ["bool", "bool_", "float16", "float32", "float64", "int16", "int32", "int64", "int8"]
__all__ += ["uint16", "uint32", "uint64", "uint8"]

float16 = np.dtype(np.float16)
float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)

int8 = np.dtype(np.int8)
int16 = np.dtype(np.int16)
int32 = np.dtype(np.int32)
int64 = np.dtype(np.int64)

uint8 = np.dtype(np.uint8)
uint16 = np.dtype(np.uint16)
uint32 = np.dtype(np.uint32)
uint64 = np.dtype(np.uint64)

bool = bool_ = np.dtype(np.bool_)
