"""The functions that two other libraries of gradients have, and lines for some names of theirs."""

# HIPS autograd 1.9.1: functions of `autograd.numpy` that have a derivative, or are known to have
# none.
AUTOGRAD = """
    abs absolute add all allclose amax amin angle any arccos arccosh arcsin arcsinh arctan
    arctan2 arctanh argmax argmin argpartition argsort argwhere around array array_equal
    array_equiv array_split astype atleast_1d atleast_2d atleast_3d broadcast_to ceil clip
    column_stack concatenate conj conjugate cos cosh count_nonzero cross cumsum deg2rad degrees
    diag diagonal diff divide dot dsplit einsum empty_like equal exp exp2 expand_dims expm1 fabs
    fft.fft fft.fft2 fft.fftn fft.fftshift fft.ifft fft.ifft2 fft.ifftn fft.ifftshift fft.irfft
    fft.irfft2 fft.irfftn fft.rfft fft.rfft2 fft.rfftn fix flatnonzero fliplr flipud floor
    floor_divide fmax fmin full full_like gradient greater greater_equal hsplit hstack hypot
    imag inner isclose iscomplex iscomplexobj isfinite isinf isnan isneginf isposinf isreal
    isscalar kron less less_equal linalg.cholesky linalg.det linalg.eig linalg.eigh linalg.inv
    linalg.norm linalg.pinv linalg.slogdet linalg.solve linalg.svd linspace log log10 log1p log2
    logaddexp logaddexp2 logical_and logical_not logical_or logical_xor matmul max maximum mean
    min minimum mod moveaxis msort multiply nan_to_num ndim negative nonzero not_equal ones_like
    outer pad partition power prod rad2deg radians ravel real real_if_close reciprocal remainder
    repeat reshape result_type rint roll rollaxis rot90 round searchsorted shape sign sin sinc
    sinh size sort split sqrt square squeeze stack std subtract sum swapaxes tan tanh tensordot
    tile trace transpose tril triu true_divide trunc var vsplit vstack where zeros_like
"""

# tinygrad 0.14.0: what its tensors can do.
TINYGRAD = """
    T abs acos acosh add all allclose alu any arange argmax argmin argsort as_param asin asinh
    assign atan atanh avg_pool2d backward batchnorm bfloat16 binary_crossentropy
    binary_crossentropy_logits bitcast bitwise_and bitwise_not bitwise_or bitwise_xor bool call
    callify cast cat ceil celu chunk clamp clip clone const const_like contiguous
    contiguous_backward conv2d conv_transpose2d copysign cos cosh cross_entropy cummax cummin
    cumprod cumsum custom_kernel data decode_hevc_frame detach device diag diagonal div dot
    double dropout dtype einsum element_size elu empty empty_like eq erf exp exp2 expand eye
    flatten flip float floor fmod from_blob from_url full full_like gather gelu glorot_uniform
    grad gradient half hardsigmoid hardswish hardtanh hash image_conv2d image_dot int
    interpolate invalids is_floating_point is_param is_param_ isclose isfinite isinf isnan item
    kaiming_normal kaiming_uniform keccak layernorm leaky_relu lerp linear linear_with_vars
    linspace log log10 log2 log_softmax logaddexp logcumsumexp logical_not logsigmoid logsumexp
    long lshift manual_seed masked_fill masked_select matmul max max_numel max_pool2d max_shape
    max_unpool2d maximum mean meshgrid min minimum mish mod mul multinomial nbytes ndim ne neg
    newton_schulz nll_loss nonzero normal normalize numel numpy one_hot ones ones_like pad
    pad_to permute pow prod qr quick_gelu rand rand_like randint randn randn_like random_bits
    randperm realize rearrange reciprocal relu relu6 repeat repeat_interleave replace reshape
    roll round rshift rsqrt scaled_dot_product_attention scaled_uniform scatter scatter_reduce
    schedule_linear selu sequential shape shard shard_ shard_like short shrink shrink_to sigmoid
    sign silu sin sinh size softmax softmin softplus softsign sort
    sparse_categorical_crossentropy split sqrt square squeeze stack std std_mean sub sum svd
    swish tan tanh threefry to to_ tolist topk transpose tril triu trunc ufix unflatten unfold
    uniform unsqueeze uop uprod usum var var_mean view where zeros zeros_like
"""

# What minigrad has for those names of tinygrad that PyTorch and NumPy don't have, as in the table
# of other names.
FOR_TINYGRAD = """
assign -> x[:] = y
batchnorm -> mg.nn.BatchNorm1d(3)(x)
binary_crossentropy -> mg.binary_cross_entropy(mg.sigmoid(x), x > 1)
binary_crossentropy_logits -> mg.binary_cross_entropy_with_logits(x, x > 1)
cast -> x.astype('float32')
glorot_uniform scaled_uniform -> mg.nn.init.xavier_uniform_(mg.zeros(2, 3))
layernorm -> mg.layer_norm(x, 3)
lshift -> i << 1
rshift -> i >> 1
pad_to -> mg.pad(x, ((0, 1), (0, 0)))
quick_gelu -> x * mg.sigmoid(1.702 * x)
rearrange -> x.reshape(2, 3, 1).transpose(2, 0, 1)
scatter_reduce -> mg.scatter_add(x, i, 1.0)
sequential -> mg.nn.Sequential(mg.tanh, mg.exp)(x)
shrink shrink_to -> x[:1, 1:]
sparse_categorical_crossentropy -> mg.cross_entropy(x, [0, 1])
to_ -> x.to('numpy')
"""
