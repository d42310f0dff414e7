"""The server of deploy/compose.yaml: who has no login is refused, and the client needs the environment alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient

from pipeline.errors import InputError
from pipeline.tracking import RunTracker

pytestmark = pytest.mark.server

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PASSWORD = "a long password"


@pytest.fixture
def guarded(new_server: Callable[..., Any], tmp_path: Path) -> Iterator[Any]:
    """A server that asks for a login, with the configuration that the container writes."""
    config = tmp_path / "basic_auth.ini"
    text = (DEPLOY / "mlflow" / "basic_auth.ini").read_text(encoding="utf-8")
    config.write_text(text.replace("${AUTH_DATABASE_URI}", f"sqlite:///{tmp_path}/auth.db"), encoding="utf-8")
    return new_server(
        *("--app-name", "basic-auth"),
        MLFLOW_AUTH_CONFIG_PATH=str(config),
        MLFLOW_AUTH_ADMIN_USERNAME="admin",
        MLFLOW_AUTH_ADMIN_PASSWORD=PASSWORD,
        MLFLOW_FLASK_SERVER_SECRET_KEY="secret",
    )


def tracker(server: Any, folder: Path) -> RunTracker:
    return RunTracker(server.uri, "heart", output_dir=folder, system_metrics=False)


def test_login_decides(guarded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=r"refuses: .*not authenticated"):
        tracker(guarded, tmp_path).check()
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong password")
    with pytest.raises(InputError, match=r"refuses: .*not authenticated"):
        tracker(guarded, tmp_path).check()
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    with tracker(guarded, tmp_path).start("training", params={"seed": 0}) as run:
        run.log_text("hello", "notes.txt")
    assert MlflowClient(guarded.uri).get_run(run.id).info.status == "FINISHED"


def test_compose_file_pins_images_and_holds_no_secret() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    images = [service["image"] for service in services.values() if "build" not in service]
    assert all(":" in image and not image.endswith(":latest") for image in images)
    environment = [str(value) for service in services.values() for value in service.get("environment", {}).values()]
    assert not [value for value in environment if "password" in value.lower() and "${" not in value]


def test_every_variable_of_the_compose_file_is_in_the_example() -> None:
    import re

    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", text))
    lines = (DEPLOY / ".env.example").read_text(encoding="utf-8").splitlines()
    given = {line.partition("=")[0] for line in lines if line and not line.startswith("#")}
    assert used == given
