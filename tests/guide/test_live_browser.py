"""The page with the review in a browser."""

import pytest
from page_checks import check_page, tab_stops

pytestmark = pytest.mark.no_backend

READY = (
    "document.querySelector('#words tbody tr') && document.querySelector('#steps tbody tr') && 1"
)
ANSWER = "document.getElementById('answer').textContent"


@pytest.mark.parametrize("width, dark", [(1100, True), (390, False), (390, True)])
def test_it_looks_right(browser, server, width, dark):
    with browser.page(server.address, width=width, dark=dark) as page:
        page.until(READY)
        check_page(page, width)
        assert all(address.startswith(server.address) for address in page.fetched())


def test_a_review_is_typed_and_gates_are_moved(browser, server):
    with browser.page(server.address) as page:
        page.until(READY)
        page.click("#typed")
        page.run("document.getElementById('typed').select()")
        page.write("a lovely plot")
        page.until("document.querySelectorAll('#words tbody tr').length === 3")
        before = page.run(ANSWER)
        assert before.startswith(("good: the probability", "bad: the probability"))
        ways = page.run("[...document.querySelectorAll('.way b')].map((e) => e.textContent)")
        assert ways == ["by the gates", "by the gradient", "by trying"]
        page.run("document.querySelector('#gates input').focus()")
        page.press("Home")
        page.until(f"{ANSWER} !== {before!r}")
        assert page.run("document.querySelector('#gates select').value") == "set"
        page.until("document.querySelector('#words tbody td:nth-child(3)').textContent === '0.00'")
        page.click("#own")
        page.until(f"{ANSWER} === {before!r}")
        for value in ("hidden", "input"):
            page.run(
                f"(() => {{ const s = document.getElementById('value'); s.value = '{value}';"
                "s.dispatchEvent(new Event('change')) })()"
            )
            assert page.run("document.querySelector('#words th:nth-child(2)').textContent") == value
        assert page.complaints() == []


def test_what_is_typed_stays_a_text(browser, server):
    wild = "<img src=x onerror=document.title='run'> <script>document.title='run'</script> film"
    with browser.page(server.address) as page:
        page.until(READY)
        page.click("#typed")
        page.run("document.getElementById('typed').select()")
        page.write(wild)
        page.until("document.querySelector('#words tbody').textContent.includes('onerror')")
        assert page.run("document.querySelectorAll('main img, main script').length") == 0
        assert page.run("document.title") != "run"
        page.run("document.getElementById('typed').select()")
        page.write("...")
        page.until("document.getElementById('refusal').textContent.includes('no words')")
        assert page.run(ANSWER) == ""
        page.run(
            "(() => { const e = document.createElement('script');"
            "e.textContent = 'document.title = 1'; document.head.append(e) })()"
        )
        assert page.run("document.title") != "1"  # the policy of the page refuses it


def test_gates_by_hand(browser, server):
    with browser.page(server.address, width=390) as page:
        page.until(READY)
        said = "document.getElementById('by-hand-answer').textContent"
        assert "slope 0.494, on the last with 0.000" in page.until(said)
        page.click("#presets button", 1)
        page.until(f"{said}.includes('slope 0.000, on the last')")
        assert page.run("document.querySelector('[aria-pressed=true]').textContent") == "forget"
        page.run("document.getElementById('later-forget').focus()")
        page.press("End")
        last = "document.querySelector('#steps tbody tr:last-child').textContent"
        page.until(f"{last}.includes('1.001.001.00')")
        assert page.run("document.querySelector('[aria-pressed=true]')") is None
        page.run("document.getElementById('cell').focus()")
        page.press("End")
        page.until("document.querySelector('#steps thead').textContent.includes('update')")
        assert page.complaints() == []


def test_by_keyboard(browser, server):
    with browser.page(server.address) as page:
        page.until(READY)
        stops = tab_stops(page)
        assert "the words and their numbers" in stops and "remember" in stops
        assert stops.index("forget: how") < stops.index("the network's own gates")


def test_the_program_has_ended(browser, server, monkeypatch):
    with browser.page(server.address) as page:
        page.until(READY)
        page.ask(
            "Network.emulateNetworkConditions",
            offline=True,
            latency=0,
            downloadThroughput=0,
            uploadThroughput=0,
        )
        page.click("#typed")
        page.write("x")
        page.until("document.getElementById('refusal').textContent.includes('is it still running')")
