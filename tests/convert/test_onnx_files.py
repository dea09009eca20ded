"""ONNX files: those of onnxruntime's and PyTorch's cases, and damaged, strange and hostile ones."""

import numpy as np
import pytest
from damage import damaged
from hypothesis import given
from hypothesis import strategies as st
from onnx_cases import LAYERS, WRITTEN, layer_case, pytorch_case, read_store

import minigrad as mg
from minigrad.models.convert import ConversionError, from_onnx, to_onnx
from minigrad.utils.install import install_line

onnx = pytest.importorskip("onnx", reason=f"no onnx; {install_line('onnx')}")
helper, numpy_helper, TensorProto = onnx.helper, onnx.numpy_helper, onnx.TensorProto

NAMES = [*(f"layer {kind}" for kind in LAYERS), *(f"PyTorch {kind}" for kind in WRITTEN)]


def check(case):
    """The module of a case's file gives the same, and has the same gradients."""
    module = from_onnx(case["file"])
    outputs = module(**case["inputs"])
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    tolerance = 1e-10 if outputs[0].dtype == "float64" else 1e-5
    for name, y in zip(module.output_names, outputs, strict=True):
        np.testing.assert_allclose(
            y.detach().numpy(), case["outputs"][name], rtol=tolerance, atol=tolerance
        )
    if "gradients" not in case:
        return
    outputs[0].backward(mg.tensor(case["cotangents"][module.output_names[0]]))
    gradients = {name: p.grad.numpy() for name, p in module.named_parameters()}
    assert gradients.keys() == case["gradients"].keys()
    for name, g in gradients.items():
        np.testing.assert_allclose(g, case["gradients"][name], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("on_numpy")
def test_a_stored_file_gives_what_the_other_side_gave(name):
    check(read_store()[name])


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("kind", ["LSTM"])  # the store has the others
def test_a_file_that_pytorch_writes_here_gives_the_same(kind):
    pytest.importorskip("torch", reason=f"no PyTorch; {install_line('oracle')}")
    check(pytorch_case(kind))


@pytest.mark.parametrize("kind", LAYERS)
def test_onnxruntime_still_gives_what_is_stored(kind):
    pytest.importorskip("onnxruntime", reason=f"no onnxruntime; {install_line('oracle')}")
    new, old = layer_case(kind), read_store()[f"layer {kind}"]
    for name, y in new["outputs"].items():
        np.testing.assert_allclose(y, old["outputs"][name], rtol=1e-5, atol=1e-5)


# --- files that are not as they should be --------------------------------------------------------


def graph(*nodes, initializers=(), opset=18, **more):
    """A model of nodes from x (2,) to y."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    y.type.tensor_type.shape.SetInParent()
    made = helper.make_graph(list(nodes), "strange", [x], [y], list(initializers), **more)
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(made, opset_imports=imports, ir_version=8)


def node(kind, *inputs, output="y", **attributes):
    return helper.make_node(kind, list(inputs), [output], name=f"the {kind}", **attributes)


def external():
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return graph(node("Add", "x", "w"), initializers=[tensor])


def huge():
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**40])
    return graph(node("Add", "x", "w"), initializers=[tensor])


def short():
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], raw_data=b"\0" * 7)
    return graph(node("Add", "x", "w"), initializers=[tensor])


def text():
    tensor = TensorProto(name="w", data_type=TensorProto.STRING, dims=[2], string_data=[b"a", b"b"])
    return graph(node("Add", "x", "w"), initializers=[tensor])


def within():
    inner = helper.make_graph(
        [node("Identity", "x", output="z")],
        "inner",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [2])],
    )
    true = numpy_helper.from_array(np.array(True), "true")
    return graph(node("If", "true", then_branch=inner, else_branch=inner), initializers=[true])


def lstm(**attributes):
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.normal(size=shape).astype("float32"), name)
        for name, shape in (("W", (1, 8, 2)), ("R", (1, 8, 2)))
    ]
    three = numpy_helper.from_array(np.array([1, 1, 2]), "three")
    return graph(
        helper.make_node("Reshape", ["x", "three"], ["x3"]),
        node("LSTM", "x3", "W", "R", hidden_size=2, **attributes),
        initializers=[*weights, three],
    )


STRANGE = {
    "another op": (
        lambda: graph(node("Hardmax", "x")),
        "the Hardmax (Hardmax)",
        "isn't known here",
    ),
    "another domain": (
        lambda: graph(node("Scaler", "x", domain="ai.onnx.ml")),
        "the Scaler (ai.onnx.ml.Scaler)",
        "isn't known here",
    ),
    "another file": (
        external,
        "w (its numbers are in another file)",
        "save_as_external_data=False",
    ),
    "a huge tensor": (huge, "strange", "tensor name: w"),
    "a short tensor": (short, "strange", "tensor"),
    "text": (text, "w (a tensor)", "dtype STRING"),
    "a graph within": (within, "the If (If)", "a graph within"),
    "an old opset": (lambda: graph(node("Neg", "x"), opset=9), "strange", "read are 13 to"),
    "a future opset": (lambda: graph(node("Neg", "x"), opset=99), "strange", "it is of opset 99"),
    "no graph": (onnx.ModelProto, "the model", "it has no graph"),
    "a value from nowhere": (lambda: graph(node("Neg", "z")), "strange", "onnx finds it wrong"),
    "an unknown attribute": (
        lambda: graph(node("GatherND", "x", "x", batch_dims=1)),
        "the GatherND (GatherND)",
        "batch_dims",
    ),
    "peepholes and clips": (lambda: lstm(clip=3.0), "the LSTM (LSTM)", "no clip"),
    "other activations": (
        lambda: lstm(activations=["Affine", "Tanh", "Tanh"]),
        "the LSTM (LSTM)",
        "activations",
    ),
    "another layout": (lambda: lstm(layout=1), "the LSTM (LSTM)", "layout"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_file_is_refused_with_the_node_and_the_reason(name):
    make, part, reason = STRANGE[name]
    with pytest.raises(ConversionError) as error:
        from_onnx(make())(np.ones(2, "float32"))
    assert part in str(error.value) and reason in str(error.value)


def test_a_file_that_asks_for_much_memory_is_refused():
    size = numpy_helper.from_array(np.array([2**40]), "size")
    for kind in ("ConstantOfShape", "Expand"):
        inputs = ["x", "size"] if kind == "Expand" else ["size"]
        module = from_onnx(
            graph(node(kind, *inputs, output="z"), node("ReduceSum", "z"), initializers=[size])
        )
        with pytest.raises(ConversionError, match="asks for an array"):
            module(np.ones(2, "float32"))


def test_what_is_no_file_says_what_it_is(tmp_path):
    empty, words = tmp_path / "empty.onnx", tmp_path / "words.onnx"
    empty.write_bytes(b"")
    words.write_text("This is no model.")
    for path, reason in ((empty, "it is empty"), (words, "damaged"), (tmp_path, "it is no file")):
        with pytest.raises(ConversionError, match=reason):
            from_onnx(path)
    with pytest.raises(FileNotFoundError):
        from_onnx(tmp_path / "none.onnx")
    with pytest.raises(TypeError, match="takes a path, bytes or an onnx"):
        from_onnx(3)


CONTENT = to_onnx(
    mg.nn.Sequential(mg.nn.Linear(3, 2), mg.tanh), mg.ones((4, 3)), axes={"x": ("n", None)}
).SerializeToString()


@given(st.data())
def test_a_damaged_file_is_an_error_or_another_model(data):
    content = damaged(CONTENT, data)
    try:
        module = from_onnx(content)
        module(np.ones((2, 3), "float32"))
    except (ConversionError, ValueError, TypeError, IndexError):
        return  # an op is given what it can't take
    assert module.output_names


def test_wrong_inputs_say_what_the_graph_takes():
    module = from_onnx(CONTENT)
    for args, options in (((), {}), ((np.ones((2, 3)),) * 2, {}), ((), {"y": np.ones((2, 3))})):
        with pytest.raises(TypeError, match="the graph takes x; got"):
            module(*args, **options)
    with pytest.raises(ValueError) as error:
        module(np.ones((2, 5), "float32"))
    assert "(MatMul)" in "".join(error.value.__notes__)
