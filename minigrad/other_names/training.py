"""Layers, losses, training, data, gradients, devices. `rows.py` says how a row is written.

In the lines model is an `nn.Linear(3, 2)`, optimizer trains it, x is a tensor of floats (2, 3),
logits another (2, 2), labels its classes, and loss a number.
"""

from __future__ import annotations

MODULES = """
nn.RNNBase -> mg.nn.Recurrent  # See "Five minutes" in the README
nn.RNNCellBase -> mg.nn.RecurrentCell
torch.lstm_cell -> mg.nn.LSTMCell(3, 4)
torch.gru_cell -> mg.nn.GRUCell(3, 4)
nn.ConstantPad1d nn.ConstantPad2d nn.ZeroPad1d nn.ZeroPad2d nn.ReflectionPad1d nn.ReflectionPad2d
    nn.ReplicationPad1d nn.ReplicationPad2d -> mg.pad(x, ((0, 0), (1, 2)))  # In forward()
nn.MaxPool3d nn.AvgPool3d nn.AdaptiveMaxPool1d nn.AdaptiveMaxPool2d nn.AdaptiveAvgPool3d nn.Fold
    nn.ConvTranspose3d nn.PixelShuffle nn.PixelUnshuffle nn.UpsamplingBilinear2d nn.LazyConv2d
    nn.UpsamplingNearest2d F.adaptive_avg_pool1d F.adaptive_avg_pool2d F.adaptive_max_pool1d
    F.adaptive_max_pool2d F.avg_pool3d F.max_pool3d F.conv_transpose1d F.conv_transpose2d
    F.pixel_shuffle F.upsample F.affine_grid ->  # There are no convolutions in minigrad, which is
    about recurrent nets
nn.InstanceNorm2d nn.InstanceNorm3d nn.LazyBatchNorm1d ~> mg.nn.LayerNorm(3)  # Or
    mg.nn.BatchNorm1d(3): there is no other norm
nn.TripletMarginWithDistanceLoss F.triplet_margin_with_distance_loss -> mg.relu(mg.norm(x - y,
    axis=1) - mg.norm(x - 2 * y, axis=1) + 1.0).mean()
model.register_state_dict_pre_hook model.register_state_dict_post_hook
    model.register_load_state_dict_pre_hook model.register_load_state_dict_post_hook ~>
    model.state_dict()  # Change the dict itself
model.set_submodule -> model.act = mg.nn.Tanh()  # Assign it
nn.utils.remove_weight_norm nn.utils.remove_spectral_norm nn.utils.skip_init ->  # Write it in
    forward(), which computes with whatever tensors it likes
model.cuda model.cpu model.xpu -> model.to('numpy')  # On a GPU the backend is 'cupy'
model.half -> model.astype('float16')
model.bfloat16 ~> model.astype('float16')  # There is no bfloat16
model.type model.to_dtype -> model.astype('float64')
model.to_empty model.share_memory model.compile ~> model.to('numpy')
model.register_module -> model.add_module('act', mg.nn.Tanh())
model.get_buffer -> dict(model.named_buffers())  # By name
model.register_forward_hook model.register_forward_pre_hook ~> mg.probe('hidden', x)  # Within
    mg.record() it keeps the value. Or write the call in forward()
model.register_full_backward_hook model.register_backward_hook
    model.register_full_backward_pre_hook ~> x.register_hook(lambda g: g)  # Hooks belong to
    tensors
model.get_extra_state model.set_extra_state ~> model.state_dict()  # Numbers of a module: an
    mg.nn.Buffer
nn.ParameterList nn.ParameterDict -> model.scales = [mg.nn.Parameter([1.0])]  # A plain list or
    dict of parameters does: they are found, trained and saved
nn.DataParallel nn.parallel torch.distributed nn.parallel.DistributedDataParallel ->  # Leave it
    out: a model runs on one device, with several threads on the backend 'numba'
nn.UninitializedParameter nn.LazyLinear ~> mg.nn.Linear(3, 2)  # Sizes are given
nn.Softmax2d -> mg.nn.Softmax(axis=1)
nn.parameter.Parameter nn.parameter -> mg.nn.Parameter([1.0])
nn.modules.module.Module nn.modules -> mg.nn.Module
nn.Dropout1d nn.Dropout2d nn.Dropout3d nn.AlphaDropout nn.FeatureAlphaDropout ~> mg.nn.Dropout(0.5)
nn.BatchNorm2d nn.BatchNorm3d nn.SyncBatchNorm nn.InstanceNorm1d nn.GroupNorm nn.RMSNorm
    nn.LocalResponseNorm ~> mg.nn.LayerNorm(3)  # Or mg.nn.BatchNorm1d(3): there is no other norm
nn.Conv1d nn.Conv2d nn.Conv3d nn.ConvTranspose1d nn.ConvTranspose2d nn.MaxPool1d nn.MaxPool2d
    nn.AvgPool1d nn.AvgPool2d nn.AdaptiveAvgPool1d nn.AdaptiveAvgPool2d nn.Upsample nn.Unfold ->  #
    There are no convolutions in minigrad, which is about recurrent nets
nn.MultiheadAttention nn.Transformer nn.TransformerEncoder nn.TransformerEncoderLayer
    nn.TransformerDecoder nn.TransformerDecoderLayer ~> mg.softmax(x @ x.T / 3**0.5) @ x  #
    Attention is written in ops: minigrad has no layer of it
nn.EmbeddingBag F.embedding_bag -> mg.nn.Embedding(10, 3)([[1, 2]]).mean(axis=1)
nn.Unflatten -> x.reshape(2, 3, 1)  # In forward()
nn.Hardsigmoid F.hardsigmoid -> (x / 6 + 0.5).clip(0, 1)
nn.Hardswish F.hardswish -> x * (x / 6 + 0.5).clip(0, 1)
nn.Hardshrink F.hardshrink -> mg.where(mg.abs(x) > 0.5, x, 0.0)
nn.Softshrink F.softshrink -> mg.sign(x) * mg.relu(mg.abs(x) - 0.5)
nn.Threshold F.threshold -> mg.where(x > 0.5, x, 0.0)
nn.ReLU6 F.relu6 -> x.clip(0, 6)
nn.PReLU F.prelu -> mg.where(x > 0, x, 0.25 * x)  # With a mg.nn.Parameter in place of 0.25
nn.RReLU F.rrelu ~> mg.nn.LeakyReLU(0.25)
nn.SELU F.selu -> 1.0507 * mg.elu(x, 1.67326)
nn.CELU F.celu ~> mg.nn.ELU(1.0)  # The same for alpha 1
nn.Mish F.mish -> x * mg.tanh(mg.softplus(x))
nn.GLU F.glu -> a[:, :1] * mg.sigmoid(a[:, 1:])  # The halves of the last axis
nn.LogSigmoid F.logsigmoid -> -mg.softplus(-x)
nn.Softsign F.softsign -> x / (1 + mg.abs(x))
nn.Tanhshrink F.tanhshrink -> x - mg.tanh(x)
nn.Softmin F.softmin -> mg.softmax(-x)
nn.Swish F.swish -> mg.silu(x)
F.gumbel_softmax -> mg.softmax(x - mg.log(-mg.log(mg.rand(2, 3))))
F.sigmoid -> mg.sigmoid(x)
F.tanh -> mg.tanh(x)
F.batch_norm -> mg.nn.BatchNorm1d(3)(x)
F.instance_norm F.group_norm F.rms_norm F.local_response_norm ~> mg.layer_norm(x, 3)
F.dropout1d F.dropout2d F.dropout3d F.alpha_dropout ~> mg.dropout(x, 0.5)
F.conv1d F.conv2d F.conv3d F.max_pool1d F.max_pool2d F.avg_pool1d F.avg_pool2d F.interpolate
    F.unfold F.fold F.grid_sample ->  # There are no convolutions in minigrad, which is about
    recurrent nets
F.scaled_dot_product_attention F.multi_head_attention_forward -> mg.softmax(x @ x.T / 3**0.5) @ x
nn.functional -> import minigrad as F  # All functions are in mg itself: mg.relu(x)
F.pad -> mg.pad(x, ((0, 0), (1, 2)))  # As in NumPy: a pair per axis, the first axis first
"""

LOSSES = """
nn.NLLLoss2d -> mg.nn.NLLLoss()
nn.GaussianNLLLoss F.gaussian_nll_loss -> (0.5 * (mg.log(y) + x**2 / y)).mean()  # x is the error,
    y the variance
nn.PoissonNLLLoss F.poisson_nll_loss -> (mg.exp(x) - y * x).mean()
nn.HingeEmbeddingLoss F.hinge_embedding_loss -> mg.where(m, x, mg.relu(1.0 - x)).mean()  # m is
    where the target is 1
nn.SoftMarginLoss F.soft_margin_loss -> mg.softplus(-y * x).mean()
nn.MarginRankingLoss F.margin_ranking_loss -> mg.relu(0.5 - (x - y)).mean()  # Where x should be the
    larger one
nn.MultiMarginLoss F.multi_margin_loss nn.MultiLabelMarginLoss ~> mg.cross_entropy(logits, labels)
nn.TripletMarginLoss F.triplet_margin_loss -> mg.relu(mg.norm(x - y, axis=1) - mg.norm(x - 2 * y,
    axis=1) + 1.0).mean()  # 2 * y stands for the negative
nn.CosineEmbeddingLoss F.cosine_embedding_loss -> (1 - mg.sum(x * y, axis=1) / (mg.norm(x, axis=1)
    * mg.norm(y, axis=1))).mean()  # For the target 1
nn.MultiLabelSoftMarginLoss F.multilabel_soft_margin_loss -> mg.binary_cross_entropy_with_logits(x,
    x > 0)
nn.AdaptiveLogSoftmaxWithLoss ->  # minigrad has none: write it in ops
"""

SEQUENCES = """
nn.utils.rnn.pack_padded_sequence nn.utils.rnn.pack_sequence nn.utils.rnn.PackedSequence ->
    mg.nn.LSTM(3, 4)(mg.ones((5, 2, 3)), lengths=[5, 3])  # Nothing is packed: pass the padded
    batch and its lengths to the layer
nn.utils.rnn.pad_packed_sequence nn.utils.rnn.unpack_sequence -> mg.nn.LSTM(3, 4)(mg.ones((5, 2,
    3)), lengths=[5, 3])  # Leave it out: outputs are padded, zero behind each length
nn.utils.rnn.pad_sequence -> mg.data.pad_sequence([v, v[:2]])  # With batch_first=True for a layer
    that has it
nn.utils.rnn.unpad_sequence -> mg.data.unpad_sequence(x, [2, 1, 1])
nn.utils.rnn -> mg.nn.LSTM(3, 4)(mg.ones((5, 2, 3)), lengths=[5, 3])  # Padded batches are passed
    with their lengths
"""

OPTIMISERS = """
nn.utils.clip_grad_norm_ nn.utils.clip_grad_norm nn.utils.clip_grad.clip_grad_norm_ ->
    mg.optim.clip_grad_norm_(model.parameters(), 1.0)
nn.utils.clip_grad_value_ -> mg.optim.clip_grad_value_(model.parameters(), 0.5)
nn.utils.get_total_norm -> mg.optim.clip_grad_norm_(model.parameters(), 1e9)  # It returns the norm
nn.utils.parameters_to_vector -> mg.concatenate([p.flatten() for p in model.parameters()])
nn.utils.vector_to_parameters -> model.load_state_dict({'weight': mg.ones((2, 3)), 'bias': [0.0,
    0.0]})
nn.utils.weight_norm nn.utils.spectral_norm nn.utils.parametrizations nn.utils.parametrize
    nn.utils.prune nn.utils.fusion nn.utils.stateless ->  # Write it in forward(), which computes
    with whatever tensors it likes
nn.utils -> mg.optim.clip_grad_norm_(model.parameters(), 1.0)  # Clipping is in mg.optim, and
    padded batches are passed to recurrent layers with their lengths
optim.Adamax optim.NAdam optim.RAdam optim.SparseAdam optim.Adafactor optim.Muon ~>
    mg.optim.Adam(model.parameters(), lr=1e-3)
optim.ASGD optim.Rprop ~> mg.optim.SGD(model.parameters(), lr=0.1)
optim.swa_utils ->  # Average state dicts: {k: 0.99 * old[k] + 0.01 * new[k] for k in old}
optim.lr_scheduler.LRScheduler optim.lr_scheduler._LRScheduler -> mg.optim.Schedule
optim.lr_scheduler.MultiplicativeLR optim.lr_scheduler.PolynomialLR optim.lr_scheduler.ConstantLR
    optim.lr_scheduler.CyclicLR optim.lr_scheduler.CosineAnnealingWarmRestarts ~>
    mg.optim.LambdaLR(optimizer, lambda step: 0.95**step)  # Any schedule is a function of the step
optim.lr_scheduler.ChainedScheduler ~> mg.optim.LambdaLR(optimizer, lambda step: 0.95**step)  # The
    product of both as one function; schedules of one optimizer replace each other
optim.lr_scheduler -> mg.optim.StepLR(optimizer, step_size=10)  # Schedules are in mg.optim
optim.optimizer.Optimizer optim.optimizer -> mg.optim.Optimizer
optim.adam.Adam optim.adam -> mg.optim.Adam(model.parameters(), lr=1e-3)
optim.sgd -> mg.optim.SGD(model.parameters(), lr=0.1)
optimizer.register_step_pre_hook optimizer.register_step_post_hook -> optimizer.step()  # Call it
    before or after
torch.cuda.amp.GradScaler torch.amp.GradScaler torch.cuda.amp.autocast torch.amp.autocast
    torch.autocast torch.amp torch.GradScaler ~> model.astype('float32')  # Leave it out: a model's
    dtype is that of its parameters, and sensitive steps of float16 are computed in float32
"""

DATA = """
torch.utils.data.TensorDataset torch.utils.data.StackDataset -> mg.data.DataLoader((x, labels),
    batch_size=2)  # The columns are the data set
torch.utils.data.Dataset torch.utils.data.dataset torch.utils.data.dataset.Dataset ->
    mg.data.DataLoader([([1, 2], 0), ([3], 1)], batch_size=2)  # Any object with __len__ and
    __getitem__ is a data set: leave the base class out
torch.utils.data.IterableDataset torch.utils.data.ChainDataset torch.utils.data.ConcatDataset ->
    mg.data.DataLoader([([1, 2], 0), ([3], 1)], batch_size=2)  # Put the examples into one list
torch.utils.data.Subset -> mg.data.random_split((x, labels), [0.5, 0.5])  # Or index the columns:
    x[[1]]
torch.utils.data.RandomSampler torch.utils.data.SequentialSampler torch.utils.data.BatchSampler
    torch.utils.data.SubsetRandomSampler torch.utils.data.WeightedRandomSampler
    torch.utils.data.Sampler torch.utils.data.sampler torch.utils.data.distributed ->
    mg.data.DataLoader((x, labels), batch_size=2, shuffle=True, seed=0)  # It draws the order
torch.utils.data.default_collate torch.utils.data.dataloader torch.utils.data.get_worker_info ->
    mg.data.DataLoader((x, labels), batch_size=2)  # It stacks arrays and pads sequences
torch.utils.data.DataLoader torch.utils.data -> mg.data.DataLoader((x, labels), batch_size=2,
    shuffle=True)
torch.utils.data.random_split -> mg.data.random_split((x, labels), [0.5, 0.5])
torch.utils.tensorboard torch.utils.model_zoo torch.utils.benchmark torch.utils.cpp_extension
    torch.hub ->  # minigrad has none
torch.utils.checkpoint torch.utils.checkpoint.checkpoint -> mg.checkpoint(model, x)
torch.utils.checkpoint.checkpoint_sequential -> mg.checkpoint(model, x)
torch.utils.dlpack torch.utils.dlpack.from_dlpack -> mg.from_dlpack(array)
torch.frombuffer torch.from_file np.frombuffer -> mg.tensor(array)
np.save np.savez np.load -> mg.save('state.safetensors', {'x': x})
torch.serialization torch.package -> mg.save('state.safetensors', model.state_dict())
"""

GRADIENTS = """
torch.autograd.grad -> mg.grad(loss, list(model.parameters()))
torch.autograd.backward -> loss.backward()
torch.autograd.Variable torch.autograd.variable -> mg.tensor([1.0, 2.0], requires_grad=True)
torch.autograd.Function torch.autograd.function -> @mg.custom_vjp  # See mg.custom_vjp, or mg.op
torch.autograd.functional.jacobian torch.func.jacrev torch.func.jacfwd -> mg.jacobian(lambda v: v *
    v, mg.ones(3))
torch.autograd.functional.hessian torch.func.hessian -> mg.hessian(lambda v: (v**3).sum(),
    mg.ones(3))
torch.autograd.functional.vjp torch.func.vjp -> mg.vjp(lambda v: v * v, mg.ones(3), mg.ones(3))
torch.autograd.functional.jvp torch.func.jvp torch.autograd.forward_ad -> mg.jvp(lambda v: v * v,
    mg.ones(3), mg.ones(3))
torch.autograd.functional.hvp torch.autograd.functional.vhp -> mg.hvp(lambda v: (v**3).sum(),
    mg.ones(3), mg.ones(3))
torch.autograd.functional torch.autograd -> mg.grad(loss, list(model.parameters()))
torch.autograd.no_grad -> with mg.no_grad(): ...
torch.autograd.enable_grad -> with mg.enable_grad(): ...
torch.autograd.set_grad_enabled torch.set_grad_enabled -> with mg.no_grad(): ...  # Or
    mg.enable_grad(): both are for a block
torch.inference_mode torch.autograd.inference_mode -> with mg.no_grad(): ...
torch.is_inference_mode_enabled -> mg.is_grad_enabled()
torch.autograd.detect_anomaly torch.autograd.set_detect_anomaly torch.autograd.anomaly_mode -> with
    mg.detect_anomaly(): ...
torch.autograd.gradcheck torch.autograd.gradcheck.gradcheck -> mg.gradcheck(lambda v: v * v,
    mg.ones(3, dtype='float64'))
torch.autograd.gradgradcheck -> mg.gradgradcheck(lambda v: v * v, mg.ones(3, dtype='float64'))
torch.autograd.profiler torch.profiler torch.autograd.graph ~> mg.dispatch_counts()
torch.func.grad torch.func.grad_and_value -> mg.grad(loss, list(model.parameters()))
torch.func.vmap torch.vmap ~> mg.per_example_grad  # For the gradients of examples. Anything else
    takes the batch as an axis
torch.func.functional_call torch.func.stack_module_state torch.func ~>
    model.load_state_dict(model.state_dict())
x.register_post_accumulate_grad_hook -> x.register_hook(lambda g: g)
"""

DEVICES = """
torch.device -> 'numpy'  # Backends take the place of devices: 'numpy', 'numba', or 'cupy' for a
    GPU; model.to('numpy'), mg.set_backend('numpy')
torch.cuda.is_available torch.backends.mps.is_available torch.mps.is_available
    torch.backends.cuda.is_built -> mg.available_backends()  # 'cupy' is the one for a GPU
torch.cuda.device_count torch.cuda.current_device torch.cuda.get_device_name
    torch.cuda.get_device_properties -> mg.available_backends()  # 'cupy:1' is the second GPU
torch.cuda.synchronize torch.cuda.empty_cache torch.cuda.memory_allocated
    torch.cuda.max_memory_allocated torch.cuda.reset_peak_memory_stats torch.mps.empty_cache ->
    x.backend.xp  # Leave it out, or ask CuPy: it is x.backend.xp there
torch.get_default_device torch.cuda.set_device torch.cuda.device torch.set_default_device ->
    mg.set_backend('numpy')  # On a GPU 'cupy' or 'cupy:1'
torch.cuda torch.mps torch.xpu torch.accelerator -> mg.set_backend('numpy')  # On a GPU the backend
    is 'cupy'; mg.available_backends() lists them
torch.backends.cudnn torch.backends.cuda torch.backends.mkl torch.backends
    torch.use_deterministic_algorithms torch.set_deterministic_debug_mode torch.backends.mps ~>
    mg.manual_seed(0)  # Leave it out: one seed gives one result
torch.set_float32_matmul_precision torch.get_float32_matmul_precision ->
    mg.set_products('float32')  # On the backend 'numba' and processors with AMX, 'bf16x6' is at
    least as exact as float32, 'bf16x3' nearly, 'bf16' is not
torch.set_num_threads torch.get_num_threads torch.set_num_interop_threads ->  # Set the environment
    variable OPENBLAS_NUM_THREADS, on the backend 'numba' MINIGRAD_THREADS
x.cpu x.cuda -> x.to('numpy')  # On a GPU the backend is 'cupy'
x.pin_memory x.share_memory_ x.is_pinned x.is_shared ->  # Leave it out: write x
x.record_stream torch.cuda.Stream torch.cuda.Event torch.cuda.stream ->  # Leave it out
torch.compile torch.jit.script torch.jit.trace torch.jit torch.jit.script_method torch.fx
    torch.jit.export torch.jit.save torch.jit.load ~> mg.fuse  # Leave it out: the backends 'numba'
    and 'cupy' compile recurrent layers and fused functions. @mg.fuse does it for a function of
    rows
torch.onnx torch.export torch.quantization torch.ao torch.sparse torch.nested torch.masked
    torch.fft torch.special torch.signal torch.library torch.overrides torch.testing torch.version
    torch.config torch.__config__ ->  # minigrad has none
torch.set_printoptions -> np.set_printoptions(precision=3)  # Tensors are shown as NumPy's arrays
torch.set_warn_always torch.typename torch.is_storage torch.is_nonzero ~> bool(loss > 0)
np.testing.assert_allclose torch.testing.assert_close torch.testing.assert_allclose ->
    np.testing.assert_allclose(x.detach().numpy(), x.detach().numpy())
"""

INITIAL = """
nn.init.xavier_uniform nn.init.glorot_uniform_ -> mg.nn.init.xavier_uniform_(model.weight)
nn.init.xavier_normal nn.init.glorot_normal_ -> mg.nn.init.xavier_normal_(model.weight)
nn.init.kaiming_uniform nn.init.he_uniform_ -> mg.nn.init.kaiming_uniform_(model.weight)
nn.init.kaiming_normal nn.init.he_normal_ -> mg.nn.init.kaiming_normal_(model.weight)
nn.init.uniform -> mg.nn.init.uniform_(model.weight, -0.1, 0.1)
nn.init.normal nn.init.trunc_normal_ ~> mg.nn.init.normal_(model.weight, 0.0, 0.1)
nn.init.constant -> mg.nn.init.constant_(model.bias, 1.0)
nn.init.orthogonal -> mg.nn.init.orthogonal_(model.weight)
nn.init.eye_ nn.init.dirac_ -> model.weight.data = mg.eye(2, 3)
nn.init.sparse_ ~> mg.nn.init.normal_(model.weight, 0.0, 0.1)
"""

GROUPS = {
    "Modules and functions of layers": MODULES,
    "Losses": LOSSES,
    "Sequences of different lengths": SEQUENCES,
    "Initial values": INITIAL,
    "Optimisers, schedules, clipping": OPTIMISERS,
    "Data and files": DATA,
    "Gradients": GRADIENTS,
    "Devices, compilation, settings": DEVICES,
}
