"""The page of `minigrad guide --serve`: its answers, and what it refuses."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from command_line import minigrad
from hypothesis import given
from hypothesis import strategies as st
from tiny_reviews import tiny_run

pytest.importorskip("jinja2", reason="needs the extra guide")

import minigrad as mg
from minigrad.models.guide.live import Reader
from minigrad.models.guide.live.gates_by_hand import CELLS, run_by_hand
from minigrad.models.guide.live.server import MOST_BYTES
from minigrad.models.reports.explain import explain
from minigrad.models.tasks import registry
from minigrad.models.training.run_folder import save_run

TEXT = "a lovely plot"


def ask(server, method, path, body=None, **headers):
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if method == "POST":
        headers = {"Content-Type": "application/json"} | headers
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def asked(server, path, question):
    status, _, body = ask(server, "POST", path, json.dumps(question))
    return status, json.loads(body)


def title(server, i):
    return asked(server, "/models", {})[1]["models"][i]["title"]


def test_an_answer_is_that_of_explain(server, runs):
    for i, run in enumerate(runs):
        right = explain(run.model, run.task.vocabulary, TEXT)
        status, found = asked(server, "/review", {"model": title(server, i), "text": TEXT})
        assert status == 200, found
        assert found["words"] == right.words and found["known"] == right.known
        assert found["chance"] == pytest.approx(1 / (1 + np.exp(-right.log_odds)), abs=1e-4)
        assert found["chance"] == found["untouched"]
        assert found["class"] == ("good" if right.log_odds > 0 else "bad")
        np.testing.assert_allclose(found["parts"]["by trying"], right.occlusion, atol=6e-4)
        assert (right.memory is None) == (found["kept"] is None)
        inside = run.model.activations(run.task.vocabulary.encode(right.words)[:, None])
        assert list(found["values"]) == list(inside)
        for name, values in found["values"].items():
            np.testing.assert_allclose(values, inside[name][:, 0], atol=6e-4)


CHANGES = [{"set": 0}, {"set": 0.25}, {"set": 1}, {"times": 0.5}, {"times": 2}]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_gates_that_are_set_are_those_of_override(server, runs, change):
    for i, gate in ((0, "forget"), (1, "update")):
        run, put = runs[i], change.get("set")
        factor = change.get("times")
        if put is None:
            put = lambda g, k=factor: mg.minimum(g * k, 1.0)  # noqa: E731
        with mg.override({gate: put}):
            right = explain(run.model, run.task.vocabulary, TEXT)
        question = {"model": title(server, i), "text": TEXT, "gates": {gate: change}}
        _, found = asked(server, "/review", question)
        assert found["chance"] == pytest.approx(1 / (1 + np.exp(-right.log_odds)), abs=1e-4)
        np.testing.assert_allclose(found["parts"]["by trying"], right.occlusion, atol=6e-4)
        if "set" in change:
            assert np.ptp(found["values"][gate]) == 0 and found["values"][gate][0][0] == put
    assert asked(server, "/models", {})[1]["models"][2]["gates"] == []


def test_presets_do_what_they_say():
    found = {}
    for cell, kind in CELLS.items():
        for name, (text, first, later) in kind["presets"].items():
            assert text.endswith(".")
            request = {"cell": cell, "first": first, "later": later, "noise": 1}
            found[cell, name] = run_by_hand(request)
    for cell, state in (("LSTM", "cell"), ("GRU", "hidden")):
        held = found[cell, "remember"]
        assert len(set(held["values"][state])) == 1 and held["gradient"][0] > 0.3
        assert not any(held["gradient"][1:])
        lost = found[cell, "forget"]
        assert not any(lost["gradient"][:-1]) and lost["gradient"][-1] > 0.3
    faded = found["LSTM", "fade"]["values"]["cell"]
    np.testing.assert_allclose(faded, np.tanh(1) * 0.8 ** np.arange(12), atol=1e-3)
    summed = found["LSTM", "add up"]["values"]
    np.testing.assert_allclose(summed["cell"], np.cumsum(summed["candidate"]), atol=1e-2)
    secret = found["LSTM", "keep it secret"]["values"]
    assert secret["cell"][-1] == secret["cell"][0] > 0.7 and not any(secret["hidden"])
    plain = found["GRU", "plain RNN"]["values"]
    assert plain["hidden"] == plain["candidate"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = ("model", "text", "gates", "cell", "first", "later", "noise")


@given(data=st.data(), path=st.sampled_from(["/review", "/by-hand"]))
def test_anything_gets_an_answer_or_a_sentence(server, data, path):
    question = {
        "model": title(server, 0),
        **{"text": TEXT, "gates": {"forget": {"set": 0.5}}, "cell": "GRU", "noise": 0.5},
        **{when: {"update": 0.5, "reset": 1} for when in ("first", "later")},
    }
    gates = st.dictionaries(
        st.sampled_from(["forget", "update", "reset", "input"]),
        JSON | st.dictionaries(st.sampled_from(["set", "times", "x"]), JSON, max_size=2),
    )
    wrong = st.dictionaries(st.sampled_from(FIELDS), JSON | gates, max_size=3)
    missing = data.draw(st.sets(st.sampled_from(FIELDS), max_size=1))
    question = {k: v for k, v in (question | data.draw(wrong)).items() if k not in missing}
    status, found = asked(server, path, question)
    assert status in (200, 400), found
    assert ("error" in found) == (status == 400)
    if status == 400:
        assert len(found["error"]) < 250


@given(body=st.binary(max_size=300), path=st.sampled_from(["/review", "/by-hand", "/models"]))
def test_bytes_that_are_no_request(server, body, path):
    status, _, answer = ask(server, "POST", path, body)
    assert status == 400 or body[:1].strip() in (b"", b"{"), answer
    assert "error" in json.loads(answer) or status == 200


@given(raw=st.binary(max_size=200), head=st.sampled_from(["", "GET / HTTP/1.1\r\n", "POST "]))
def test_a_connection_with_anything_on_it(server, raw, head):
    with contextlib.suppress(ConnectionError):
        sent(server, head + raw.decode("latin-1"))
    assert ask(server, "GET", "/")[0] == 200


def test_a_model_of_two_layers():
    run = tiny_run(cell="gru", hidden=4, epochs=1, layers=2)
    found = Reader(run).answer({"text": TEXT, "gates": {"update": {"set": 1}}})
    assert found["kept"] is None and [*found["parts"]] == ["by the gradient", "by trying"]
    upper = run.model.activations(run.task.vocabulary.encode(TEXT.split())[:, None])
    np.testing.assert_allclose(found["values"]["reset"], upper["l1.reset"][:, 0], atol=0.2)
    assert np.all(found["values"]["update"] == np.ones((3, 4)))
    assert found["parts"]["by trying"] == [0, 0, 0]  # nothing that is read gets in


@given(text=st.text(max_size=60))
def test_any_text_is_read_or_refused(server, text):
    question = {"model": title(server, 0), "text": text}
    status, found = asked(server, "/review", question)
    assert status == 200 or "There are no words" in found["error"], found


REFUSED = {
    "There are no words": {"text": " .,; "},
    "at most 2,000 characters; got 2,001": {"text": "a" * 2001},
    "at most 200 words; got 400": {"text": "a " * 400},
    "text is the review, a string; got 3": {"text": 3},
    "model is one of LSTM of 8 units, film reviews, GRU": {"model": "x"},
    "no gate 'update'; it has forget, input, output": {"gates": {"update": {"set": 1}}},
    "forget is from 0 to 1; got 1.5": {"gates": {"forget": {"set": 1.5}}},
    "forget is from 0 to 2; got -1": {"gates": {"forget": {"times": -1}}},
    "forget is a number from 0 to 1; got True": {"gates": {"forget": {"set": True}}},
    "forget is set, or multiplied; got {}": {"gates": {"forget": {}}},
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_is_refused_and_why(server, said):
    question = {"model": title(server, 0), "text": TEXT} | REFUSED[said]
    status, found = asked(server, "/review", question)
    assert status == 400 and said in found["error"], found


def test_only_this_page_may_ask(server):
    ours = f"127.0.0.1:{server.server_port}"
    body = json.dumps({"model": title(server, 0), "text": TEXT})
    assert server.server_address[0] == "127.0.0.1"
    assert ask(server, "GET", "/", Host=f"LOCALHOST:{server.server_port}")[0] == 200
    for host in ("evil.example", f"evil.example:{server.server_port}", "127.0.0.1", "", "[::1]"):
        assert ask(server, "GET", "/", Host=host)[0] == 421
        assert ask(server, "POST", "/review", body, Host=host)[0] == 421
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", f"https://{ours}"):
        assert ask(server, "POST", "/review", body, Origin=origin)[0] == 403
    for site in ("cross-site", "same-site"):
        assert ask(server, "POST", "/review", body, Sec_Fetch_Site=site)[0] == 403
    same = {"Origin": f"http://{ours}", "Sec_Fetch_Site": "same-origin"}
    assert ask(server, "POST", "/review", body, **same)[0] == 200
    assert ask(server, "POST", "/review", body, Content_Type="text/plain")[0] == 415


def test_methods_paths_and_sizes(server):
    for path, allowed in (("/", "GET, HEAD"), ("/review", "POST")):
        method = "POST" if path == "/" else "GET"
        status, headers, _ = ask(server, method, path, b"{}" if method == "POST" else None)
        assert (status, headers["Allow"]) == (405, allowed)
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"):
        assert ask(server, method, "/")[0] == 405
    assert ask(server, "BREW", "/")[0] == 501
    for path in ("/nothing", "/../pyproject.toml", "/live/live.css", "/style.css/", "/%2e%2e/"):
        assert ask(server, "GET", path)[0] == 404
        assert ask(server, "POST", path, b"{}")[0] == 404
    assert ask(server, "GET", "/" + "a" * 70_000)[0] == 414
    status, headers, body = ask(server, "HEAD", "/")
    assert status == 200 and body == b"" and int(headers["Content-Length"]) > 1000
    assert ask(server, "POST", "/review", b"x" * (MOST_BYTES + 1))[0] == 413
    for length in ("-1", "1e3", "0x10", "9" * 30, "²"):
        raw = f"POST /review HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
        assert b" 400 " in sent(server, raw) or b" 413 " in sent(server, raw)
    for lengths in (
        "",
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
    ):
        assert b" 411 " in sent(server, f"POST /review HTTP/1.1\r\nHost: a\r\n{lengths}\r\n")
    assert b"error" in sent(server, "no request at all, but a text\r\n\r\n")


def sent(server, raw):
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(raw.encode("latin-1"))
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_headers(server):
    for status, path, kind in (
        *((200, "/", "text/html"), (200, "/style.css", "text/css")),
        *((200, "/ask.js", "text/javascript"), (404, "/nothing", "application/json")),
    ):
        found, headers, body = ask(server, "GET", path)
        assert found == status and headers.get_content_type() == kind and body
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store" and "Python" not in headers["Server"]
    page = ask(server, "GET", "/")[2].decode()
    assert "style=" not in page and "onclick" not in page and "http" not in page


def test_a_bug_is_no_news_for_the_page(server, monkeypatch, capfd):
    def fails(asked):
        raise ZeroDivisionError("secret")

    monkeypatch.setitem(server.answers, "/models", fails)
    status, found = asked(server, "/models", {})
    assert status == 500 and "secret" not in found["error"]
    assert "ZeroDivisionError: secret" in capfd.readouterr().err


def test_the_command(runs, tmp_path, monkeypatch):
    # It reads the folder as `minigrad predict` does, so the task is one of the registry.
    monkeypatch.setattr(type(runs[0].task), "name", "reviews")
    runs[0].metrics["task"] = "reviews"
    save_run(tmp_path / "run", runs[0])
    assert registry.load_run(tmp_path / "run").task.settings.cell == "lstm"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = minigrad("guide", "--serve", "--port", port, "--model", tmp_path / "run", code=1)
        assert f"port {port} can't be used" in said.output and "--port 0" in said.output
    command = [sys.executable, "-m", "minigrad", "guide", "--serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--model", str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    assert line.startswith("open http://127.0.0.1:"), process.communicate()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0 and out == "\nended\n" and err == ""


def test_a_package_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    said = minigrad("guide", "--serve", code=1).output
    assert 'pages are made by jinja2: in the checkout: pip install -e ".[guide]"' in said


WRONG = {
    "--serve and --prepare stand alone": ["--serve", "--quick"],
    "are for --serve": ["--port", "8000"],
    "leave out the others": ["--prepare", "--port", "8000"],
    "no folder": ["--serve", "--model", "nowhere"],
    "0<=x<=65535": ["--serve", "--port", "70000"],
}


@pytest.mark.parametrize("said", WRONG)
def test_wrong_use(said):
    assert said in minigrad("guide", *WRONG[said], code=2).output
