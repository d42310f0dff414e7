"""Both reports in headless Chromium, as a phone and a desktop see them."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd
import pytest

from pipeline.data.dicom.cine import Repair
from pipeline.metrics.quality import QualityFlag
from pipeline.reporting.bland_altman import AgreementPairs
from pipeline.reporting.cohort_report import StudyRow, write_cohort_report
from pipeline.reporting.montage import thumbnail
from pipeline.reporting.study_report import write_study_report

pytestmark = pytest.mark.browser

CHROMIUM = os.environ.get("CHROMIUM", "chromium")
SIZES = {"phone": (390, 844), "desktop": (1280, 900)}
TIMEOUT_S = 60.0
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>' + "unbroken" * 30


class Browser:
    """Headless Chromium, driven over a pipe by the DevTools protocol.

    Args:
        profile: empty folder for its profile.
    """

    def __init__(self, profile: Path) -> None:
        commands, self._to = os.pipe()
        self._from, answers = os.pipe()
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"]
        options += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}"]
        # the protocol's pipe is file descriptors 3 and 4
        script = f'exec "$0" "$@" 3<&{commands} 4>&{answers}'
        command = ["bash", "-c", script, CHROMIUM, *options, "about:blank"]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, pass_fds=(commands, answers), stdout=quiet, stderr=quiet, stdin=quiet)
        os.close(commands)
        os.close(answers)
        self._number = 0
        self._session = ""
        self._buffer = b""
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._to)  # the end of the pipe ends the browser
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._from)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer}"
                return answer["result"]
            self.events.append(answer)

    def open(self, path: Path, width: int, height: int, dark: bool = False) -> None:
        """Open a page and wait until it has loaded."""
        self.events.clear()
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.send("Page.navigate", url=path.as_uri())
        while not self.named("Page.loadEventFired"):
            self.events.append(self._receive())
        self.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page, which its policy does not hinder."""
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def screenshot(self, path: Path, full: bool = True) -> None:
        """Write a picture of the page."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        params = {"captureBeyondViewport": True, "clip": clip} if full else {}
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png", **params)["data"]))

    def named(self, method: str) -> list[dict[str, Any]]:
        """Return the events of one kind since the page was opened."""
        return [event["params"] for event in self.events if event.get("method") == method]

    def complaints(self) -> list[Any]:
        """Return what the page wrote to the console, what it threw and what the browser logged of it."""
        return (
            self.named("Runtime.consoleAPICalled")
            + self.named("Runtime.exceptionThrown")
            + self.named("Log.entryAdded")
        )

    def requests(self) -> list[str]:
        """Return the addresses asked for, those inside the page apart."""
        urls = [event["request"]["url"] for event in self.named("Network.requestWillBeSent")]
        return [url for url in urls if not url.startswith("data:")]

    def _receive(self) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            read = os.read(self._from, 1 << 20) if ready else b""
            assert read, f"{CHROMIUM} ended or was silent for {TIMEOUT_S} s"
            self._buffer += read
        line, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(line)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def reports(study: Any, known: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    return write_reports(folder, study, known)


def write_reports(folder: Path, study: Any, known: dict[str, Any]) -> dict[str, Path]:
    """Write a plain study, a flagged one with hostile names, and a cohort of both, with labels."""
    provenance = {"Software": "pipeline 1.0", "Weights": "sha256 " + "0123456789abcdef" * 4}
    flags = [QualityFlag("lv_in_pieces", "The left ventricle lies in 2 pieces.", 3), QualityFlag(HOSTILE, HOSTILE)]
    arguments = study.arguments(**known)
    plain = write_study_report(folder / "plain.html", title="patient001", provenance=provenance, **arguments)
    flagged = write_study_report(
        folder / "flagged.html",
        title=HOSTILE,
        flags=flags,
        repairs=[Repair("slice 3 has 11 of 12 phases", "the slice was left out"), Repair(HOSTILE, HOSTILE)],
        provenance=provenance | {HOSTILE: HOSTILE},
        identifiers={"Name": HOSTILE},
        label=study.mask,
        **study.arguments(),
    )
    picture = thumbnail(study.image[..., 0], study.mask[..., 0], study.affine)
    function = study.function(**known)
    names = [f"patient{number:03d}" for number in range(1, 13)]
    studies = [StudyRow(name, function, seconds=12.3, report=plain, picture=picture) for name in names]
    studies += [
        StudyRow(HOSTILE, function, flags, 9.0, "", flagged, picture),
        StudyRow("b", reason=HOSTILE, seconds=1.0),
    ]
    agreement = [
        AgreementPairs(name, unit, names, [scale * (40 + place) for place in range(12)], [scale * 44.0] * 12)
        for name, unit, scale in (
            ("LV EF", "%", 1.0),
            ("LV EDV", "mL", 3.0),
            ("LV ESV", "mL", 1.5),
            ("LV mass", "g", 2.0),
        )
    ]
    rows = [
        {"case_id": f"{name}_{phase}", "patient_id": name, "phase": phase, "mean_dice": 0.9 - place / 50}
        | {f"dice_{key}": 0.95 - place / 40 for key in ("rv", "myo", "lv")}
        | {f"iou_{key}": 0.8 for key in ("rv", "myo", "lv")}
        | {f"{fact}_{key}": 0.0 for fact in ("missed", "false_alarm") for key in ("rv", "myo", "lv")}
        for place, name in enumerate(names)
        for phase in ("ed", "es")
    ]
    cohort = write_cohort_report(
        folder / "cohort.html", studies=studies, dice=pd.DataFrame(rows), agreement=agreement, provenance=provenance
    )
    return {"plain": plain, "flagged": flagged, "cohort": cohort}


@pytest.fixture(params=["plain", "flagged", "cohort"])
def report(request: pytest.FixtureRequest, reports: dict[str, Path]) -> Path:
    return reports[request.param]


@pytest.fixture(params=list(SIZES))
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    return SIZES[request.param]


def test_page_is_silent_and_asks_for_nothing(browser: Browser, report: Path, size: tuple[int, int]) -> None:
    browser.open(report, *size)
    assert browser.complaints() == []
    assert browser.requests() == [report.as_uri()]


def test_page_is_no_wider_than_the_screen(browser: Browser, report: Path, size: tuple[int, int]) -> None:
    browser.open(report, *size)
    scrolled, shown, screen = browser.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth, innerWidth]"
    )
    assert screen == size[0]
    assert scrolled == shown


def test_nothing_reaches_over_the_edge(browser: Browser, report: Path, size: tuple[int, int]) -> None:
    browser.open(report, *size)
    wide = "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
    assert browser.evaluate(f"{wide}.map(e => e.outerHTML.slice(0, 80))") == []


def test_smallest_text_is_readable(browser: Browser, report: Path, size: tuple[int, int]) -> None:
    browser.open(report, *size)
    # text in a picture shrinks with it
    sizes = """[...document.querySelectorAll('main *')]
        .filter(e => !e.children.length && e.textContent.trim() && !e.closest('details') && e.tagName !== 'title')
        .map(e => [e, e.ownerSVGElement])
        .map(([e, svg]) => parseFloat(getComputedStyle(e).fontSize)
            * (svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1))"""
    assert browser.evaluate(f"Math.min(...{sizes})") >= 9.0


def test_hostile_text_is_shown_and_not_run(browser: Browser, reports: dict[str, Path]) -> None:
    browser.open(reports["flagged"], *SIZES["desktop"])
    assert browser.evaluate("document.querySelector('h1').textContent") == HOSTILE
    assert browser.evaluate("document.querySelectorAll('img, script').length") == 0
    assert browser.named("Page.javascriptDialogOpening") == []


def test_heading_sorts_the_table(browser: Browser, reports: dict[str, Path]) -> None:
    browser.open(reports["cohort"], *SIZES["desktop"])
    click = "[...document.querySelectorAll('.sortable th button')].find(b => b.textContent.startsWith('Dice')).click()"
    shown = "[...document.querySelectorAll('.sortable tbody th')].map(e => e.textContent.slice(0, 10))"
    browser.evaluate(click)
    up = browser.evaluate(shown)
    browser.evaluate(click)
    down = browser.evaluate(shown)
    assert up[:2] == ["patient012", "patient011"]
    assert down[:2] == ["patient001", "patient002"]
    assert up[-2:] == down[-2:]  # those without a Dice stay last


def test_link_of_a_study_leads_to_its_report(browser: Browser, reports: dict[str, Path]) -> None:
    browser.open(reports["cohort"], *SIZES["desktop"])
    links = browser.evaluate("[...document.links].map(a => a.href)")
    assert set(links) == {reports["plain"].as_uri(), reports["flagged"].as_uri()}


def test_dark_paper_where_the_reader_wants_it(browser: Browser, report: Path) -> None:
    papers = []
    for dark in (False, True):
        browser.open(report, *SIZES["desktop"], dark=dark)
        papers.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert papers == ["rgb(255, 255, 255)", "rgb(20, 23, 27)"]


def test_report_prints(browser: Browser, report: Path) -> None:
    browser.open(report, *SIZES["desktop"])
    printed = browser.send("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"]
    assert base64.b64decode(printed).startswith(b"%PDF")
