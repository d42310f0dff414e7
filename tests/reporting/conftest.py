"""Studies to report on: a phantom heart over the beat, and names that a hostile file would give."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.data.phantom import PhantomPatient
from pipeline.metrics.function import CardiacFunction, cardiac_function

NUM_PHASES = 12
BEAT_MS = 840.0
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{ 7*7 }}<!--",
    "</style></title><svg onload=alert(1)>",
    "http://example.org/x.png",
    "RLO\u202egnp.exe\x00\x1b[31m",
    "lone\ud800surrogate",
)


@dataclass(frozen=True)
class Study:
    """A cine with its mask: what a report is written of."""

    image: NDArray[np.int16]
    mask: NDArray[np.uint8]
    affine: NDArray[np.float64]

    def function(self, **known: Any) -> CardiacFunction:
        """Return the clinical numbers of the mask."""
        return cardiac_function(self.mask, self.affine, **known)

    def arguments(self, **known: Any) -> dict[str, Any]:
        """Return what ``write_study_report`` wants of the study itself."""
        return {
            "image": self.image,
            "mask": self.mask,
            "affine": self.affine,
            "function": self.function(**known),
        }


@pytest.fixture(scope="session")
def study() -> Study:
    """A healthy phantom over the beat, oblique and anisotropic."""
    patient = PhantomPatient(seed=1, group="NOR", shape=(112, 100, 10), spacing_mm=(1.6, 1.8, 10.0))
    phases = [patient.render(phase / NUM_PHASES) for phase in range(NUM_PHASES)]
    image, mask = (np.stack(volumes, axis=-1) for volumes in zip(*phases, strict=True))
    return Study(image, mask, patient.affine)


@pytest.fixture(scope="session")
def known() -> dict[str, Any]:
    """What the scanner knows beside the images."""
    times = tuple(phase * BEAT_MS / NUM_PHASES for phase in range(NUM_PHASES))
    return {"phase_times_ms": times, "heart_rate_bpm": 71.0, "height_cm": 175.0, "weight_kg": 72.0}


@pytest.fixture(params=HOSTILE, ids=range(len(HOSTILE)))
def hostile(request: pytest.FixtureRequest) -> str:
    """A text that wants to be more than a text."""
    return str(request.param)


class Page(HTMLParser):
    """A page as a browser's parser sees it: its elements with their attributes, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        """All text outside of style and script, with single spaces."""
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def loads(self) -> list[str]:
        """Return what a browser would fetch or run: addresses in attributes, and handlers of events."""
        loading = (
            "src",
            "srcset",
            "href",
            "xlink:href",
            "data",
            "poster",
            "action",
            "background",
            "formaction",
            "style",
        )
        return [
            f"{tag} {name}={value}"
            for tag, attributes in self.elements
            for name, value in attributes.items()
            if name.startswith("on") or (name in loading and not str(value).startswith(("data:", "./")))
        ]


@pytest.fixture(scope="session")
def read_page() -> type[Page]:
    """Reads a page as a browser would."""
    return Page
