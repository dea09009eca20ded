"""The layout of the code: public names and where they are imported from, and what crosses files."""

import ast
import importlib
import re
import subprocess
from collections import Counter

import pytest
from places import ROOT

pytestmark = pytest.mark.no_backend

FOLDERS = ("minigrad", "backends", "models", "tests", "benchmarks")
PACKAGES = {"minigrad": "minigrad", "backends": "minigrad.backends", "models": "minigrad.models"}

# What programs import, by module: a name that is not there any more breaks them.
PUBLIC = {
    "minigrad": """
        ArrayModuleBackend BackendError DeclarationError GradcheckError Op Report Tensor abs
        add all any arange argmax argmin astype available_backends backend
        binary_cross_entropy_with_logits bitwise_and bitwise_not bitwise_or bitwise_xor
        broadcast_to checkpoint clip concatenate cos cross_entropy cumsum current_backend
        custom_vjp data per_example_grad
        detect_anomaly dispatch_counts divide dot draw dropout einsum elu embedding empty
        enable_grad equal exp expand_dims expm1 eye flip from_dlpack full full_like functional
        fuse gelu get_backend get_default_dtype grad gradcheck gradcheck_numpy gradgradcheck
        greater greater_equal hessian huber_loss hvp index is_grad_enabled isfinite isnan
        jacobian jvp l1_loss layer_norm leaky_relu left_shift less less_equal linear linspace
        linalg load log log1p log_softmax logical_and logical_not logical_or logsumexp manual_seed
        matmul max maximum mean min minimum moveaxis mse_loss multiply negative nll_loss nn
        no_grad norm not_equal ones ones_like op optim outer pad power probe prod rand randn
        record register_backend relu repeat reset_dispatch_counts reshape right_shift save
        scan scatter_add set_backend set_default_dtype sigmoid sign silu sin softmax softplus
        split sqrt square squeeze stack std subtract sum swapaxes take tanh tensor tile trace
        transfer transpose tril triu unstack use_backend var vjp where zeros zeros_like
        argsort cummax cummin cumprod diag diagonal diff inner meshgrid nanmean nansum roll
        sort take_along_axis tensordot topk
        bernoulli choice permutation randint
        one_hot
        bool bool_ float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64
        arccos arccosh arcsin arcsinh arctan arctan2 arctanh cosh hypot sinh tan
        exp2 isinf log10 log2 logaddexp reciprocal
        allclose ceil erf floor floor_divide isclose mod nan_to_num round trunc
    """,
    "minigrad.backend": """
        ArrayModuleBackend BackendError PROTOCOL available_backends current_backend
        get_backend register_backend set_backend use_backend
    """,
    "minigrad.data": """
        DataLoader pad_sequence random_split unpad_sequence
    """,
    "minigrad.compiler": """
        FusionError Program Untraceable trace
    """,
    "minigrad.linalg": """
        LinAlgError cholesky det inv norm slogdet solve trace
    """,
    "minigrad.models": """
        GRU GRUCell LSTM LSTMCell RNN RNNCell Recurrent RecurrentCell
    """,
    "minigrad.models.cells": """
        gru_cell lstm_cell rnn_relu_cell rnn_tanh_cell
    """,
    "minigrad.models.convert": """
        Certificate ConversionError Difference KerasWeights Outputs check from_keras from_pytorch
        keras_weights load_module pytorch_state save_module to_keras to_pytorch
    """,
    "minigrad.models.zoo": """
        IndRNN LayerNormGRU LayerNormLSTM MGU MinGRU MinLSTM MinimalRNN PeepholeLSTM QRNN SRU
        ZoneoutLSTM indrnn_cell layer_norm_gru_cell layer_norm_lstm_cell mgu_cell min_gru_cell
        min_lstm_cell minimal_rnn_cell peephole_lstm_cell qrnn_cell sru_cell
    """,
    "minigrad.nn": """
        BCELoss BCEWithLogitsLoss BatchNorm1d Buffer CrossEntropyLoss Dropout ELU Embedding Flatten
        GELU HuberLoss Identity KLDivLoss L1Loss LayerNorm LeakyReLU Linear LogSoftmax MSELoss
        Module ModuleDict ModuleList NLLLoss Parameter ReLU Sequential SiLU Sigmoid
        SmoothL1Loss Softmax Softplus Tanh init
        GRU GRUCell LSTM LSTMCell RNN RNNCell Recurrent RecurrentCell
    """,
    "minigrad.nn.cells": """
        gru_cell lstm_cell rnn_relu_cell rnn_tanh_cell
    """,
    "minigrad.nn.init": """
        calculate_gain constant_ kaiming_normal_ kaiming_uniform_ normal_ ones_ orthogonal_
        uniform_ xavier_normal_ xavier_uniform_ zeros_
    """,
    "minigrad.optim": """
        Adadelta Adagrad Adam AdamW CosineAnnealingLR ExponentialLR LBFGS LambdaLR LinearLR
        LinearWarmup MultiStepLR OneCycleLR Optimizer RMSprop ReduceLROnPlateau SGD Schedule
        SequentialLR StepLR clip_grad_norm_ clip_grad_value_
    """,
    "minigrad.testing": """
        ConformanceError ConformanceReport check_backend
    """,
    "minigrad.testing.strategies": """
        LAYOUTS arrays axes broadcastable dtypes lengths relaid shapes
    """,
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_stay(module):
    found = importlib.import_module(module)
    missing = [name for name in PUBLIC[module].split() if not hasattr(found, name)]
    assert not missing, missing


def files(*folders):
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def test_no_private_name_is_imported_from_another_file():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {alias.name}"
        for path in files(*FOLDERS)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and (node.level or (node.module or "").partition(".")[0] == "minigrad")
        for alias in node.names
        if re.match(r"_(?!_)", alias.name)
    ]
    assert not found, "give these names without an underscore: " + ", ".join(found)


def test_the_top_level_stays():
    """Five folders and the usual small files: a new purpose has its place within one of them."""
    try:
        git = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    if git.returncode or not git.stdout:
        pytest.skip("not a checkout of git")
    files = {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "Makefile", "README.md"}
    top = {path.split("/")[0] for path in git.stdout.splitlines() if not path.startswith(".")}
    assert top == {*FOLDERS, *files, "pyproject.toml"}


def test_no_two_files_of_tests_share_a_name():
    paths = [
        path for path in (ROOT / "tests").rglob("test_*.py") if "toy_backend" not in path.parts
    ]
    counts = Counter(path.name for path in paths)
    assert not [name for name, count in counts.items() if count > 1]  # pytest would refuse them
