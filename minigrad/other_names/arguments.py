"""Keyword arguments that PyTorch or NumPy have, and what minigrad calls them."""

from __future__ import annotations

from typing import NamedTuple


class Argument(NamedTuple):
    """A keyword of others.

    Parameters
    ----------
    ours : the names that it may have here; the first that a function has is meant.
    note : what to do in a function that has none of them.
    as_number : whether True and False are 1 and 0 here.
    """

    ours: tuple[str, ...] = ()
    note: str = ""
    as_number: bool = False


_LEFT_OUT = "leave it out"
_ONE_WAY = "leave it out: a step runs as one kernel per parameter where the backend has a compiler"
_MOVED = "leave it out: tensors are on the current backend, mg.set_backend('numpy'); x.to('numpy')"
_MOVED += " moves one"
_COUNTED = "leave it out: a schedule counts its steps; load_state_dict() resumes it"

ARGUMENTS: dict[str, Argument] = {
    "dim": Argument(("axis", "axes"), "write the axis by position, or leave it out"),
    "dims": Argument(("axis", "axes"), "write the axes by position"),
    "keepdim": Argument(("keepdims",), "the axis stays with mg.expand_dims(y, axis)"),
    "keep_dim": Argument(("keepdims",)),
    "dim0": Argument(("axis1",)),
    "dim1": Argument(("axis2",)),
    "axis0": Argument(("axis1",)),
    "start_dim": Argument(("start_axis",), "write x.reshape(x.shape[0], -1)"),
    "end_dim": Argument(("end_axis",), "write x.reshape(x.shape[0], -1)"),
    "unbiased": Argument(("ddof",), as_number=True),
    "correction": Argument(("ddof",)),
    "input": Argument(("x", "a", "logits", "log_probabilities", "indices"), "write it by position"),
    "self": Argument(("x", "a")),
    "other": Argument(("b", "y"), "write it by position"),
    "x1": Argument(("a",)),
    "x2": Argument(("b",)),
    "tensors": Argument(("arrays",), "write them by position"),
    "exponent": Argument(("b",)),
    "mat2": Argument(("b",)),
    "vec2": Argument(("b",)),
    "vec": Argument(("b",)),
    "size": Argument(("shape",), "write the sizes by position"),
    "sizes": Argument(("shape",), "write the sizes by position"),
    "newshape": Argument(("shape",)),
    "split_size_or_sections": Argument(("sections",)),
    "split_size": Argument(("sections",)),
    "indices_or_sections": Argument(("sections",)),
    "chunks": Argument(("sections",)),
    "shifts": Argument(("shift",)),
    "offset": Argument(("k", "offset")),
    "diagonal": Argument(("k",)),
    "dim_": Argument(("axis",)),
    "end": Argument(("stop",)),
    "steps": Argument(("num",)),
    "index": Argument(("indices",)),
    "p": Argument(("ord", "p")),
    "a_min": Argument(("min",)),
    "a_max": Argument(("max",)),
    "mode": Argument((), _LEFT_OUT),
    "value": Argument(("constant_values", "fill_value", "val")),
    "pad": Argument(("pad_width",)),
    "equation": Argument(("subscripts",)),
    "n": Argument(("n",)),
    "num_samples": Argument(("size", "n")),
    "num_classes": Argument(("num_classes", "n")),
    "low": Argument(("low",)),
    "object": Argument(("data",), "write it by position"),
    "gradient": Argument(("g",)),
    "obj": Argument(("state",)),
    "f": Argument(("path",)),
    "file": Argument(("path",)),
    "to.device": Argument(("backend",)),
    "to.dtype": Argument((), "write x.astype('float64')"),
    "to.copy": Argument((), _LEFT_OUT),
    "device": Argument((), _MOVED),
    "dtype": Argument((), "convert afterwards: .astype('float64')"),
    "out": Argument((), "leave it out: each function makes a new tensor"),
    "inplace": Argument((), "leave it out: no function edits its argument"),
    "alpha": Argument((), "write the factor: x + 2 * y"),
    "layout": Argument((), _LEFT_OUT),
    "order": Argument((), _LEFT_OUT),
    "casting": Argument((), _LEFT_OUT),
    "subok": Argument((), _LEFT_OUT),
    "initial": Argument((), "write it as an operand: mg.maximum(x, initial)"),
    "memory_format": Argument((), _LEFT_OUT),
    "pin_memory": Argument((), _LEFT_OUT),
    "num_workers": Argument((), "leave it out: batches are made where they are asked for"),
    "prefetch_factor": Argument((), _LEFT_OUT),
    "persistent_workers": Argument((), _LEFT_OUT),
    "worker_init_fn": Argument((), _LEFT_OUT),
    "collate_fn": Argument((), "leave it out: arrays are stacked, sequences padded with lengths"),
    "sampler": Argument((), "write shuffle=True, or order the data"),
    "batch_sampler": Argument((), "write bucket_width=5 for batches of similar lengths"),
    "dataset": Argument(("data",)),
    "non_blocking": Argument((), _LEFT_OUT),
    "copy": Argument((), _LEFT_OUT),
    "generator": Argument(("seed",), "leave it out: mg.manual_seed controls all randomness"),
    "size_average": Argument((), "write reduction='mean' or reduction='sum'"),
    "reduce": Argument((), "write reduction='none', or leave it out"),
    "interpolation": Argument((), _LEFT_OUT),
    "approximate": Argument((), "leave it out"),
    "max_norm": Argument(("max_norm",), "scale the rows of the table yourself"),
    "scale_grad_by_freq": Argument((), _LEFT_OUT),
    "sparse": Argument((), _LEFT_OUT),
    "norm_type": Argument((), _LEFT_OUT),
    "foreach": Argument((), _ONE_WAY),
    "fused": Argument((), _ONE_WAY),
    "capturable": Argument((), _ONE_WAY),
    "differentiable": Argument((), _ONE_WAY),
    "last_epoch": Argument((), _COUNTED),
    "verbose": Argument((), "leave it out: get_last_lr() gives the rates"),
    "map_location": Argument((), "leave it out: load_state_dict() keeps a model where it is"),
    "weights_only": Argument((), "leave it out: a file holds no code"),
    "pickle_module": Argument((), _LEFT_OUT),
    "assign": Argument((), "leave it out: the values are copied"),
    "prefix": Argument((), "leave it out, and rename the keys of the dict"),
    "keep_vars": Argument((), "leave it out: a state dict holds NumPy arrays"),
    "recurse": Argument((), "leave it out, or take the ones whose names have no dot"),
    "remove_duplicate": Argument((), _LEFT_OUT),
    "set_to_none": Argument((), "leave it out: gradients become None"),
    "enforce_sorted": Argument((), "leave it out: lengths may come in any order"),
    "batch_first": Argument((), "leave it out: the layer has that option"),
    "bias": Argument((), "leave it out, or use elementwise_affine=False: no weight, no bias"),
    "only_inputs": Argument((), _LEFT_OUT),
    "is_grads_batched": Argument((), "call it once per cotangent"),
    "materialize_grads": Argument((), _LEFT_OUT),
    "check_nan": Argument((), _LEFT_OUT),
    "create_graph": Argument(("create_graph",)),
    "proj_size": Argument((), "put a mg.nn.Linear behind the layer"),
    "warn_only": Argument((), _LEFT_OUT),
    "elementwise_affine": Argument(("affine",)),
    "half_to_float": Argument((), _LEFT_OUT),
    "_stacklevel": Argument((), _LEFT_OUT),
    "antialias": Argument((), _LEFT_OUT),
}
"""By PyTorch's or NumPy's name, of one function alone if that stands before a dot."""
