"""Weights whose predictions are averaged belong together."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline.errors import InputError
from pipeline.networks import ASPPNet, MeanEnsemble
from pipeline.workflows import fold_weights, load_network
from pipeline.workflows.members import member_paths, require_used_as_trained
from pipeline.workflows.training_record import TrainingRecord

SETTINGS = {"label_map": "acdc", "pixdim": "[1.5, 1.5, -1.0]", "batch_size": "16"}


def net(out_channels: int = 4, width: int = 4) -> ASPPNet:
    return ASPPNet(channels=(width, 6), strides=(1, 2), num_res_units=(1, 1), dilations=(1,), out_channels=out_channels)


def train(folder: Path, network: ASPPNet | None = None, *, finished: bool = True, **settings: str) -> Path:
    """Leave what a training leaves, and return its weights."""
    (folder / "models").mkdir(parents=True)
    torch.save((network or net()).state_dict(), folder / "models" / "model.pt")
    TrainingRecord("run", "digest", "code", SETTINGS | settings, finished).save(folder)
    return folder / "models" / "model.pt"


def test_folds_are_found_in_order(tmp_path: Path) -> None:
    paths = [train(tmp_path / f"fold_{fold}") for fold in (1, 0)]
    assert fold_weights(tmp_path) == [str(path) for path in reversed(paths)]


def test_folder_without_folds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no cross-validation: there is no fold_0 in it"):
        fold_weights(tmp_path)


def test_fold_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    train(tmp_path / "fold_0")
    train(tmp_path / "fold_1", finished=False)
    with pytest.raises(InputError, match=r"fold_1 in .* is not finished"):
        fold_weights(tmp_path)


def test_several_files_make_a_mean(tmp_path: Path) -> None:
    members = [net(), net()]
    paths = [train(tmp_path / f"fold_{place}", member) for place, member in enumerate(members)]
    x = torch.rand(1, 1, 16, 16)
    expected = MeanEnsemble(members).eval()(x)
    assert torch.allclose(load_network(net(), paths, "cpu")(x), expected, atol=1e-6)


def test_member_of_another_network_is_refused(tmp_path: Path) -> None:
    paths = [train(tmp_path / "a"), train(tmp_path / "b", net(width=8))]
    with pytest.raises(InputError, match=r"b.models.model\.pt holds the weights of another network than ASPPNet"):
        load_network(net(), paths, "cpu")


def test_member_of_another_number_of_labels_is_refused(tmp_path: Path) -> None:
    paths = [train(tmp_path / "a"), train(tmp_path / "b", net(out_channels=3))]
    with pytest.raises(InputError, match=r"for another set of labels: 3 classes .* this one has 4"):
        load_network(net(), paths, "cpu")


def test_member_that_was_taught_other_labels_is_refused(tmp_path: Path) -> None:
    paths = [train(tmp_path / "a"), train(tmp_path / "b", label_map="sunnybrook")]
    with pytest.raises(InputError, match="trained with labels BACKGROUND, MYO, LV, not BACKGROUND, RV, MYO, LV"):
        member_paths(paths)


def test_members_of_data_sets_that_number_the_labels_differently_pass(tmp_path: Path) -> None:
    paths = [train(tmp_path / "a"), train(tmp_path / "b", label_map="mnms")]
    assert member_paths(paths) == paths


def test_member_of_another_spacing_is_refused(tmp_path: Path) -> None:
    paths = [train(tmp_path / "a"), train(tmp_path / "b", pixdim="[2.0, 2.0, -1.0]")]
    with pytest.raises(InputError, match=r"cannot join .* trained with pixdim \[2.0, 2.0, -1.0\], not \[1.5"):
        member_paths(paths)


def test_member_of_another_recipe_passes(tmp_path: Path) -> None:
    paths = [train(tmp_path / "a"), train(tmp_path / "b", batch_size="8")]
    assert member_paths(paths) == paths


def test_member_with_another_checksum_is_refused(tmp_path: Path) -> None:
    paths = [train(tmp_path / "a"), train(tmp_path / "b")]
    paths[1].with_name("model.pt.sha256").write_text("0" * 64, encoding="utf-8")
    with pytest.raises(InputError, match=r"b.models.model\.pt has the SHA-256"):
        load_network(net(), paths, "cpu")


@pytest.mark.parametrize(("paths", "message"), [([], "empty list"), (["a.pt", "a.pt"], r"names a\.pt twice")])
def test_list_that_makes_no_ensemble_is_refused(paths: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        member_paths(paths)


def test_one_file_needs_no_record(tmp_path: Path) -> None:
    assert member_paths(tmp_path / "model.pt") == [tmp_path / "model.pt"]


def test_labels_that_are_written_one_by_one_are_compared_too(tmp_path: Path) -> None:
    paths = [train(tmp_path / "a"), tmp_path / "b" / "models" / "model.pt"]
    settings = {key: value for key, value in SETTINGS.items() if key != "label_map"}
    paths[1].parent.mkdir(parents=True)
    TrainingRecord("run", "digest", "code", settings | {"label_map.1": "3"}, True).save(tmp_path / "b")
    with pytest.raises(InputError, match="trained with labels BACKGROUND, LV, not BACKGROUND, RV, MYO, LV"):
        member_paths(paths)


UNTOLD = {"neighbors": "0", "scale_intensity.lower": "1", "network_def.dilations": "[3, 6, 9]"}


@pytest.mark.parametrize(
    "settings",
    [
        {"pixdim": "[1.5, 1.5, -1.0]", "label_map": "acdc"},
        {"pixdim": "[1.5, 1.5, -1]", "label_map": "mnms"},  # numbered differently, but the same structures
        {"pixdim": "$[1.5, 1.5, -1]", "label_map": "sunnybrook"},  # two of the three structures
        {"pixdim": "[1.5, 1.5, -1.0]", "label_map.7": "3", "batch_size": "4"},
        {"pixdim": "[1.5, 1.5, -1.0]"},  # inference has no labels
        {"pixdim": "[1.5, 1.5, -1.0]", "label_map": "$@other"},
        {"pixdim": "[1.5, 1.5, -1.0]", "label_map.4": "@other"},
    ],
)
def test_weights_that_are_used_as_they_were_trained_pass(tmp_path: Path, settings: dict[str, str]) -> None:
    require_used_as_trained(train(tmp_path, **UNTOLD), UNTOLD | settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pixdim": "[2, 2, -1]"}, r'pixdim \[1.5, 1.5, -1.0\] .*has \[2, 2, -1\]. Give --pixdim "\[1.5,1.5,-1.0\]"'),
        ({"neighbors": "1"}, 'neighbors 0 .* has 1. Give --neighbors "0"'),
        ({"scale_intensity.lower": "2"}, 'Give --scale_intensity#lower "1", or other weights'),
        ({"network_def.dilations": "[2, 4]"}, r'Give --network_def#dilations "\[3,6,9\]"'),
        ({"label_map.4": "4"}, "trained on the labels BACKGROUND, RV, MYO, LV .* also gives LABEL_4. Use weights that"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_weights_that_are_used_otherwise_are_refused(tmp_path: Path, settings: dict[str, str], message: str) -> None:
    now = {"pixdim": "[1.5, 1.5, -1.0]", **UNTOLD, **settings}
    with pytest.raises(InputError, match=message):
        require_used_as_trained(train(tmp_path, **UNTOLD), now)


@pytest.mark.parametrize("settings", [{"network_def": "$@other"}, {"network_def._target_": "ASPPNet"}])
def test_dilations_that_are_not_written_are_not_compared(tmp_path: Path, settings: dict[str, str]) -> None:
    now = {key: value for key, value in UNTOLD.items() if not key.startswith("network_def")} | settings
    require_used_as_trained(train(tmp_path, **UNTOLD), now)


def test_weights_without_a_record_are_used_as_one_likes(tmp_path: Path) -> None:
    require_used_as_trained(tmp_path / "models" / "model.pt", {"pixdim": "[2, 2, -1]"})
