"""Functions and methods of tensors, by what they do. `rows.py` says how a row is written.

In the lines x and y are tensors of floats (2, 3), a and b matrices (2, 2), v a vector (3,), i
integers, m truth values (2, 3), and array is one of NumPy's.
"""

CREATION = """
torch.from_numpy torch.as_tensor torch.asarray np.array np.asarray -> mg.tensor(array)  # It copies
torch.Tensor torch.FloatTensor torch.DoubleTensor torch.HalfTensor -> mg.tensor([1.0, 2.0])  # By
    shape: mg.zeros((2, 3)). For another dtype add dtype='float64'
torch.LongTensor torch.IntTensor torch.ShortTensor torch.ByteTensor torch.CharTensor ->
    mg.tensor([1, 2])  # Integers are int64; for another dtype add dtype='int32'
torch.BoolTensor -> mg.tensor([True, False])
torch.cuda.FloatTensor torch.cuda.LongTensor -> mg.tensor([1.0, 2.0], backend='numpy')  # On a GPU
    the backend is 'cupy'
torch.scalar_tensor -> mg.tensor(1.0)
torch.range -> mg.arange(1, 6)  # The end is excluded, as in torch.arange
torch.logspace np.logspace -> 10.0 ** mg.linspace(0, 2, 5)
torch.empty_like np.empty_like -> mg.zeros_like(x)
torch.rand_like -> mg.rand(x.shape)
torch.randn_like -> mg.randn(x.shape)
np.identity -> mg.eye(3)
np.full_like -> mg.full_like(x, 7)
torch.complex torch.polar ->  # Tensors are of real numbers: keep two of them
torch.tril_indices torch.triu_indices np.tril_indices np.triu_indices ~> mg.tril(a)  # Or take the
    positions from NumPy: np.tril_indices(3)
x.new_tensor -> mg.tensor([1.0, 2.0], dtype=x.dtype, backend=x.backend)
x.new_zeros x.new_empty x.new -> mg.zeros((2, 3), dtype=x.dtype, backend=x.backend)
x.new_ones -> mg.ones((2, 3), dtype=x.dtype, backend=x.backend)
x.new_full -> mg.full((2, 3), 7.0, dtype=x.dtype, backend=x.backend)
"""

NUMBERS = """
*.numel np.size -> x.size  # It is a number, not a method
torch.memory_format torch.contiguous_format torch.channels_last torch.preserve_format torch.layout
    torch.strided ->  # Leave it out: tensors of any strides do everywhere
torch.OutOfMemoryError torch.cuda.OutOfMemoryError -> MemoryError
x.is_same_size -> x.shape == y.shape
x.size -> x.shape[0]  # x.shape is what x.size() is in PyTorch, a tuple; x.size is the number of
    elements
x.dim x.ndimension -> x.ndim
x.nelement -> x.size  # It is a number, not a method
torch.Size -> x.shape  # A tuple
torch.pi np.pi -> math.pi
torch.e np.e -> math.e
torch.inf np.inf -> math.inf
torch.nan np.nan -> math.nan
np.isscalar -> x.ndim == 0
np.shape -> x.shape
np.ndim -> x.ndim
x.element_size x.itemsize -> x.dtype.itemsize
x.nbytes -> x.size * x.dtype.itemsize
torch.is_tensor -> isinstance(x, mg.Tensor)
*.is_floating_point x.is_complex -> x.dtype.kind == 'f'
x.get_device -> x.device
x.is_cuda x.is_cpu -> x.backend.is_host  # Whether its array lies in the host's memory
x.grad_fn -> x.is_leaf  # mg.draw(x) shows the graph
x.is_contiguous ->  # Leave it out: tensors of any strides do everywhere
x.stride x.strides x.data_ptr x.storage x.untyped_storage x.storage_offset -> x.data  # The
    backend's own array, which has its strides and its memory
"""

DTYPES = """
torch.float np.float32 -> mg.float32  # Or its name: dtype='float32'
torch.double np.float64 -> mg.float64  # Or its name: dtype='float64'
torch.half np.float16 -> mg.float16  # Or its name: dtype='float16'
torch.bfloat16 ~> mg.float16  # There is no bfloat16
x.bfloat16 ~> x.astype('float16')  # There is no bfloat16
torch.long np.int64 -> mg.int64  # Or its name: dtype='int64'
torch.int np.int32 -> mg.int32  # Or its name: dtype='int32'
torch.short np.int16 -> mg.int16  # Or its name: dtype='int16'
torch.char np.int8 -> mg.int8  # Or its name: dtype='int8'
torch.byte np.uint8 -> mg.uint8  # Or its name: dtype='uint8'
np.bool_ -> mg.bool
x.float -> x.astype('float32')
x.double -> x.astype('float64')
x.half -> x.astype('float16')
x.long -> x.astype('int64')
x.int -> x.astype('int32')
x.short -> x.astype('int16')
x.char -> x.astype('int8')
x.byte -> x.astype('uint8')
x.bool -> x.astype('bool')
x.cfloat np.angle torch.angle x.angle np.conjugate np.iscomplex np.iscomplexobj np.isreal
    np.real_if_close torch.is_complex torch.isreal np.complex64 np.complex128 torch.complex64
    torch.complex128 torch.cfloat torch.cdouble ->  # Tensors are of floats, integers or truth
    values: keep real and imaginary parts apart
x.type x.type_as x.to_dtype -> x.astype(y.dtype)  # The dtype itself is x.dtype
torch.finfo -> np.finfo('float32')  # Dtypes are NumPy's
torch.iinfo -> np.iinfo('int64')  # Dtypes are NumPy's
torch.get_default_tensor_type -> mg.get_default_dtype()
torch.set_default_tensor_type -> mg.set_default_dtype('float32')
torch.promote_types torch.result_type torch.can_cast -> np.result_type(x.dtype, y.dtype)  # Dtypes
    are NumPy's
"""

SHAPES = """
x.sum_to_size -> x.sum(axis=0, keepdims=True)
*.diag_embed *.diagflat np.diagflat -> mg.diag(v)
*.split_with_sizes -> mg.split(v, (1, 2))  # A tuple holds the positions of the cuts
torch.view_as_real torch.view_as_complex ->  # Tensors are of real numbers
*.view x.view_as *.reshape_as x.resize x.resize_ -> x.reshape(2, -1)
*.unsqueeze x.unsqueeze_ np.newaxis -> mg.expand_dims(x, 1)  # Or x[:, None]
x.squeeze_ -> x.squeeze()
x.t torch.t x.t_ x.adjoint torch.adjoint -> x.T
torch.transpose -> mg.swapaxes(x, 0, 1)  # mg.transpose takes all axes in their new order
x.transpose x.transpose_ -> x.swapaxes(0, 1)  # x.transpose takes all axes in their new order
*.permute np.permute_dims -> x.transpose(1, 0)
*.movedim np.rollaxis -> x.moveaxis(0, 1)
*.swapdims -> x.swapaxes(0, 1)
x.mH x.H np.matrix_transpose -> x.mT
torch.flatten nn.functional.flatten -> x.flatten(1)
torch.ravel np.ravel -> x.flatten()
*.unflatten -> x.reshape(2, 3, 1)
x.expand x.expand_as -> mg.broadcast_to(x, (4, 2, 3))  # A size of -1 is written out: x.shape[0]
torch.broadcast_tensors np.broadcast_arrays -> mg.broadcast_to(x, (4, 2, 3))  # Operators and
    functions broadcast anyway
torch.broadcast_shapes -> np.broadcast_shapes((2, 3), (3,))
*.repeat_interleave -> mg.repeat(x, 2, axis=0)
x.repeat -> mg.tile(x, (2, 1))  # repeat is NumPy's, which repeats each element: PyTorch's
    repeat_interleave
x.tile -> mg.tile(x, (2, 1))
*.contiguous x.ascontiguousarray np.ascontiguousarray ->  # Leave it out: tensors of any strides do
    everywhere, so write x
*.clone x.copy np.copy -> x + 0  # Gradients flow through it. For the numbers alone: x.detach(),
    which no edit of x changes
torch.detach -> x.detach()
x.detach_ -> x.detach()
*.unfold x.as_strided torch.as_strided np.lib.stride_tricks.sliding_window_view -> mg.stack([v[k :
    k + 2] for k in range(2)])
*.rot90 np.rot90 -> mg.flip(a.T, axis=0)
*.fliplr np.fliplr -> mg.flip(x, axis=1)
*.flipud np.flipud -> mg.flip(x, axis=0)
torch.atleast_3d np.atleast_3d -> mg.expand_dims(x, -1)
torch.atleast_1d np.atleast_1d -> mg.expand_dims(loss, 0)  # For a number
torch.atleast_2d np.atleast_2d -> mg.expand_dims(v, 0)
x.narrow torch.narrow -> x[:, 0:2]
x.flat -> x.flatten()
"""

JOINING = """
torch.cat torch.concat torch.hstack np.hstack np.concat torch.column_stack np.append ->
    mg.concatenate([a, b], axis=1)
torch.vstack torch.row_stack np.vstack np.r_ -> mg.concatenate([a, b], axis=0)
torch.dstack np.dstack -> mg.stack([a, b], axis=-1)
np.column_stack np.c_ -> mg.stack([v, v], axis=1)
torch.block_diag -> mg.concatenate([mg.pad(a, ((0, 0), (0, 2))), mg.pad(b, ((0, 0), (2, 0)))])
torch.block np.block -> mg.concatenate([mg.concatenate([a, b], axis=1), mg.concatenate([b, a],
    axis=1)])
*.chunk np.array_split -> mg.split(a, 2, axis=0)  # A number is the number of parts, which must be
    equal
*.split -> mg.split(x, x.shape[1] // 1, axis=1)  # As in NumPy: a number is the number of parts,
    the length over the size of each; a tuple holds the positions of the cuts
*.tensor_split *.hsplit np.hsplit -> mg.split(x, (1,), axis=1)  # As in NumPy: a tuple holds the
    positions of the cuts
*.vsplit np.vsplit *.dsplit -> mg.split(x, (1,), axis=0)  # As in NumPy: a tuple holds the
    positions of the cuts
*.unbind -> mg.unstack(x, axis=0)  # Or a, b = x
torch.meshgrid -> mg.meshgrid(v, v, indexing='ij')  # The default is NumPy's, 'xy'
torch.cartesian_prod -> mg.meshgrid(v, v, indexing='ij')
torch.combinations ->  # Take the positions from itertools.combinations(range(n), 2), and
    x[positions]
"""

PICKING = """
x.index_put np.place np.putmask x.put_ x.slice_scatter torch.slice_scatter x.select_scatter
    torch.select_scatter *.diagonal_scatter x.masked_scatter_ ~> mg.where(m, y, x)  # Or x[i] =
    values, for a leaf
*.scatter_reduce x.scatter_reduce_ *.index_reduce x.index_reduce_ ~> mg.scatter_add(x, i, 1.0)  #
    For sums; others: take the rows of each position and reduce them
*.gather -> mg.take_along_axis(x, mg.argmax(x, axis=1, keepdims=True), axis=1)
*.take_along_dim -> mg.take_along_axis(x, mg.argmax(x, axis=1, keepdims=True), axis=1)
*.index_select -> mg.take(x, i, axis=0)
x.select torch.select -> x[:, 0]
*.masked_select np.compress np.extract -> x[m]
*.masked_fill x.masked_fill_ *.masked_scatter -> mg.where(m, 0.0, x)  # The mask comes first; where
    it is true, the second is taken
x.where -> mg.where(m, x, 0.0)  # The mask comes first
*.scatter_add x.scatter_add_ *.index_add x.index_add_ x.index_put_ np.add.at -> mg.scatter_add(x,
    i, 1.0)  # It is x with values added at x[i]: see mg.scatter_add
*.scatter x.scatter_ *.index_copy x.index_copy_ *.index_fill x.index_fill_ np.put np.put_along_axis
    ~> mg.where(m, 0.0, x)  # Or x[i] = values, for a leaf
*.nonzero *.argwhere np.nonzero np.argwhere np.flatnonzero np.where ->
    np.argwhere(x.detach().numpy())  # What it gives depends on the values: mg.where(m, x, y) or
    x[m] often does
*.kthvalue -> mg.sort(x, axis=1)[:, 0]
np.partition ~> mg.sort(x, axis=-1)  # Sorting does more
np.argpartition ~> mg.argsort(x, axis=-1)  # Sorting does more
*.msort -> mg.sort(x, axis=0)
x.sort -> mg.sort(x, axis=-1)  # It gives the sorted tensor alone; mg.topk and mg.argsort give
    positions
*.unique *.unique_consecutive torch.bincount *.histc torch.histogram np.unique np.bincount
    np.histogram -> np.unique(i.numpy())  # NumPy's does: it has no gradient
torch.searchsorted torch.bucketize np.searchsorted np.digitize -> np.searchsorted(np.arange(3.0),
    v.detach().numpy())  # NumPy's does: it has no gradient
torch.isin np.isin np.in1d -> np.isin(i.numpy(), [1, 2])  # NumPy's does: it has no gradient
"""

REDUCTIONS = """
np.add.reduce -> mg.sum(x, axis=0)
np.multiply.reduce -> mg.prod(x, axis=0)
np.maximum.reduce -> mg.max(x, axis=0)
np.minimum.reduce -> mg.min(x, axis=0)
np.add.accumulate -> mg.cumsum(x, axis=0)
np.multiply.accumulate -> mg.cumprod(x, axis=0)
np.maximum.accumulate -> mg.cummax(x, axis=0)
np.minimum.accumulate -> mg.cummin(x, axis=0)
*.amax np.amax -> mg.max(x, axis=1)
*.amin np.amin -> mg.min(x, axis=1)
torch.aminmax x.aminmax -> mg.min(x), mg.max(x)
torch.max x.max -> mg.max(x, axis=1)  # It gives the largest elements alone; mg.argmax gives
    positions, mg.maximum compares two tensors
torch.min x.min -> mg.min(x, axis=1)  # It gives the smallest elements alone; mg.argmin gives
    positions, mg.minimum compares two tensors
*.median *.nanmedian *.quantile *.nanquantile np.median np.quantile np.percentile -> mg.sort(x,
    axis=1)[:, 1]  # Read off the sorted elements
*.mode ->  # NumPy's np.unique(i.numpy(), return_counts=True) counts integers
torch.var_mean -> mg.var(x), mg.mean(x)  # var divides by n, PyTorch's by n - 1: ddof=1
torch.std_mean -> mg.std(x), mg.mean(x)  # std divides by n, PyTorch's by n - 1: ddof=1
*.count_nonzero np.count_nonzero -> mg.sum(x != 0)
*.cumulative_trapezoid torch.trapezoid torch.trapz np.trapz np.trapezoid -> mg.sum((v[1:] + v[:-1])
    / 2)
torch.cumulative_sum np.cumulative_sum -> mg.cumsum(x, axis=0)
np.cumulative_prod -> mg.cumprod(x, axis=0)
*.logcumsumexp -> mg.log(mg.cumsum(mg.exp(v)))
np.average -> mg.mean(x, axis=0)  # Weighted: mg.sum(w * x) / mg.sum(w)
*.ptp np.ptp -> mg.max(x) - mg.min(x)
*.trace np.trace -> mg.sum(mg.diagonal(a))  # mg.trace is the compiler's: it shows the program of a
    cell
*.dist -> mg.norm(x - y)
*.renorm -> x / mg.norm(x, axis=1, keepdims=True)
F.normalize -> x / mg.norm(x, axis=1, keepdims=True)
*.nanstd np.nanstd np.nanvar -> mg.std(x, where=mg.isfinite(x))
np.nanmax -> mg.max(x, where=mg.isfinite(x))
np.nanmin -> mg.min(x, where=mg.isfinite(x))
torch.cov np.cov -> (x - x.mean(axis=1, keepdims=True)) @ (x - x.mean(axis=1, keepdims=True)).T /
    (x.shape[1] - 1)
torch.corrcoef np.corrcoef -> (x - x.mean(axis=1, keepdims=True)) @ (x - x.mean(axis=1,
    keepdims=True)).T / (x.shape[1] * mg.outer(x.std(axis=1), x.std(axis=1)))
"""

GROUPS = {
    "Making tensors": CREATION,
    "What a tensor is": NUMBERS,
    "Dtypes": DTYPES,
    "Shapes": SHAPES,
    "Joining and splitting": JOINING,
    "Picking, sorting, counting": PICKING,
    "Sums, means, extremes": REDUCTIONS,
}
