"""Hypothesis profiles, the shared data that some tests read, and the browser that some look at pages in."""

import os
import signal
from collections import Counter
from pathlib import Path

# The matrices of tests are small, and their processes many: threads of BLAS would mostly wait for each other. It reads this when
# NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=20, database=None, suppress_health_check=quiet)
settings.register_profile("nightly", deadline=None, max_examples=1000, suppress_health_check=quiet)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture
def shared() -> Path:
    """The folder beside the repository that holds MNIST's test digits and the book's weights."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the folder `shared` with MNIST's test digits does not stand beside the repository")
    return folder


@pytest.fixture
def interruptible():
    """Ctrl-C is heard, here and in processes that are started: what a shell runs in the background is made deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def plant():
    """Replace rules for a while."""
    saved = []

    def replace(op, **rules):
        saved.append((op, op.rules))
        op.vjp(**{**op.rules, **rules})

    def restore():
        while saved:
            op, rules = saved.pop()
            op.vjp(**rules)

    replace.restore = restore
    yield replace
    restore()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The steps pages of some graphs, with the receipts that they were made of: a path and a receipt by name."""
    from steps_pages import GRAPHS

    folder = tmp_path_factory.mktemp("pages")
    receipts = {name: make().graph().steps() for name, make in GRAPHS.items()}
    return {name: (receipt.render(folder / f"{name}.html"), receipt) for name, receipt in receipts.items()}


@pytest.fixture(scope="module")
def browser():
    """A real browser."""
    from steps_pages import CHROMIUM, FLAGS

    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install 'tinygrad-edu[test]'")
    if CHROMIUM is None:
        pytest.skip("no chromium on the PATH")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def contexts(browser):
    """Browser contexts by their options: making one takes longer than most tests."""
    made = {}

    def context(**options):
        key = tuple(sorted((name, str(value)) for name, value in options.items()))
        if key not in made:
            made[key] = browser.new_context(**options)
        return made[key]

    return context


@pytest.fixture
def show(contexts, pages):
    """Open a page; afterwards, nothing must have been asked of the network, and nothing said on the console."""
    from steps_pages import WIDTHS

    opened = []

    def show(name, *, step="", width=1280, **options):
        options = {"color_scheme": "light", "reduced_motion": "reduce"} | options
        page = contexts(**options).new_page()
        page.set_viewport_size({"width": width, "height": WIDTHS[width]})
        asked, said = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
        address = pages[name][0].as_uri()
        page.goto(f"{address}{step}")
        opened.append((page, address, asked, said))
        return page

    yield show
    for page, address, asked, said in opened:
        page.close()
        assert {url.partition("#")[0] for url in asked} == {address}
        assert said == []


def pytest_terminal_summary(terminalreporter) -> None:
    """How many verdicts the tests of false alarms have seen, and of which kinds."""
    verdicts: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == "verdicts on correct code":
                verdicts.update(value)
    if total := verdicts.total():
        shares = ", ".join(f"{count / total:.2%} {kind}" for kind, count in verdicts.items())
        terminalreporter.write_line(f"{total:,} verdicts on correct code: {shares}")
