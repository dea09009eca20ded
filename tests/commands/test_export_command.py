"""`minigrad export`: the file, what is printed of it, and the program that runs it."""

import re
import sys

import numpy as np
import pytest
from command_line import QUICK, minigrad

import minigrad as mg
from minigrad.models.convert import ConversionError
from minigrad.models.networks.language_model import LanguageModel
from minigrad.models.networks.seq2seq import Seq2Seq
from minigrad.models.networks.tagger import SequenceTagger
from minigrad.models.networks.transcriber import Transcriber
from minigrad.models.reports.onnx_export import export_run
from minigrad.models.tasks.memory_task import MemoryNetwork
from minigrad.models.tasks.registry import load_run
from minigrad.models.training.example import FirstNumber
from minigrad.utils.install import install_line


@pytest.fixture
def trained_quickly(easy_reviews, tmp_path):
    folder = tmp_path / "run"
    minigrad("train", "reviews", "--cell", "gru", "--out", folder, *QUICK)
    return folder


def executed(program, scope):
    """Run a program that was printed; its names."""
    exec(compile(program, "printed", "exec"), scope)
    return scope


def test_export_prints_a_certificate_and_a_program_that_runs(trained_quickly, tmp_path):
    pytest.importorskip("onnx", reason=f"no onnx; {install_line('onnx')}")
    path = tmp_path / "reviews.onnx"
    printed = minigrad("export", trained_quickly, path).output
    size = re.match(r".*reviews\.onnx: SequenceClassifier .*opset 18, ([\d,]+) bytes\n", printed)[1]
    assert int(size.replace(",", "")) == path.stat().st_size
    assert re.search(r"\n  input +lengths +int64 +\(batch\)\n", printed)
    assert re.search(r"\n  output +scores +float32 +\(batch, 2\)\n", printed)
    assert "\nPASS: SequenceClassifier here and in " in printed
    pytest.importorskip("onnxruntime", reason=f"no onnxruntime; {install_line('oracle')}")
    scope = executed(printed.partition("This runs it:\n\n")[2], {})
    run = load_run(trained_quickly)
    assert scope["extras"] == run.task.extras()
    with mg.no_grad():
        logits = run.model(scope["inputs"]["x"], scope["inputs"]["lengths"]).numpy()
    np.testing.assert_allclose(scope["outputs"][0], logits, atol=1e-5)


NETWORKS = {
    "tagger": lambda: SequenceTagger("lstm", 11, 4, 5, 3),
    "language model": lambda: LanguageModel("lstm", 11, 4, 5, num_layers=2),
    "transcriber": lambda: Transcriber(4, 5, 7),
    "memory": lambda: MemoryNetwork(mg.nn.GRU(3, 4), 2),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_of_a_sequence_is_exported(name, tmp_path):
    pytest.importorskip("onnx", reason=f"no onnx; {install_line('onnx')}")
    mg.manual_seed(0)
    written = export_run(FirstNumber(), NETWORKS[name](), tmp_path / "network.onnx")
    assert written.certificate.verdict == "PASS"
    assert all("time" in axes for given, _, axes in written.inputs[:1])
    if "onnxruntime" in written.certificate.framework:
        assert len(executed(written.program, {})["outputs"]) == len(written.outputs)


def test_what_is_no_network_of_a_sequence_is_refused(tmp_path):
    pytest.importorskip("onnx", reason=f"no onnx; {install_line('onnx')}")
    with pytest.raises(ConversionError, match="it takes source, lengths, targets"):
        export_run(FirstNumber(), Seq2Seq("gru", 9, 4, 7, 6), tmp_path / "network.onnx")
    assert not (tmp_path / "network.onnx").exists()


def test_export_without_onnx_says_how_to_install_it(trained_quickly, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    printed = minigrad("export", trained_quickly, tmp_path / "reviews.onnx", code=1)
    assert install_line("onnx") in printed.stderr and "Traceback" not in printed.stderr


def test_export_refuses_wrong_use(tmp_path):
    (tmp_path / "folder").mkdir()
    printed = minigrad("export", tmp_path / "folder", tmp_path / "a.onnx", code=1)
    assert "holds no trained model" in printed.stderr
    printed = minigrad("export", tmp_path / "folder", tmp_path / "a.bin", code=2)
    assert "name it" in printed.stderr and "a.onnx" in printed.stderr
