"""The command line ``python -m pipeline``: argument parsing, and printing what the library returns."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.errors import InputError

# Each command imports what it needs when it runs: torch and MLflow take seconds, --help must not.

_EXAMPLES = """\
examples:
  look a data set over before training on it
    python -m pipeline data check path/to/acdc/training
  list the DICOM series of a study, and which is taken for the short-axis cine
    python -m pipeline data dicom path/to/study
  make a cohort of synthetic beating hearts, in ACDC's layout, to try everything on
    python -m pipeline data phantom runs/phantom --num_patients 12
  show what an evaluation found, and where its files are
    python -m pipeline summary runs/demo
  train every fold, and pool the figures of all cases
    python -m pipeline cross-validate --bundle_root B --config_file FILES --dataset_dir DIR --output_dir runs/cv
  search for better settings
    python -m pipeline sweep learning_rate.yaml --bundle_root B --config_file FILES --output_dir runs/sweep
  compare the runs of an experiment, also case by case
    python -m pipeline compare cardiac_sax_segmentation
  make a training again from its record, or a model of it that can be served
    python -m pipeline rerun RUN_ID
    python -m pipeline register RUN_ID

A single training, evaluation and inference are run by `python -m monai.bundle run`: see README.md.
"""

_CHECK_EXAMPLES = """\
examples:
  python -m pipeline data check path/to/acdc/training
  python -m pipeline data check path/to/data --data_format folder --label_map mnms

exit status: 0 where training can start, 1 where it would fail, 2 where the folder is no data set
"""

_DICOM_EXAMPLES = """\
examples:
  python -m pipeline data dicom path/to/study
  python -m pipeline data dicom path/to/study --series 7

exit status: 0 where each study has a short-axis cine that can be read, 1 where one has none, 2 where there is no DICOM
"""

_PHANTOM_EXAMPLES = """\
examples:
  python -m pipeline data phantom runs/phantom --num_patients 12 --seed 0
  python -m pipeline data phantom runs/unseen --num_patients 1 --seed 1000 --cine
  python -m pipeline data phantom runs/scanner --num_patients 1 --dicom enhanced
"""

_CROSS_VALIDATE_EXAMPLES = """\
examples:
  python -m pipeline cross-validate --bundle_root B --config_file "['train.yaml','acdc.yaml']" \\
    --dataset_dir DIR --output_dir runs/cv
  only some folds, and any setting of the configuration
    … --folds 0,1 --max_epochs 40

The same command again skips finished folds, goes on with an interrupted one, and pools all.
exit status: 0 where all folds are pooled, 2 where some failed or a setting cannot be, 130 after Ctrl-C
"""

_SWEEP_EXAMPLES = """\
examples:
  python -m pipeline sweep learning_rate.yaml --bundle_root B \\
    --config_file "['train.yaml','acdc.yaml']" --dataset_dir DIR --output_dir runs/sweep
  more trials later
    … --num_trials 40

The same command again goes on with the sweep, and with the trial that was under way.
"""

_SUMMARY_EXAMPLES = """\
examples:
  python -m pipeline summary runs/demo
  python -m pipeline summary runs/segmented
  python -m pipeline summary runs/acdc --tracking_uri http://localhost:5000
"""

_COMPARE_EXAMPLES = """\
examples:
  python -m pipeline compare cardiac_sax_segmentation
  python -m pipeline compare cardiac_sax_segmentation --paired baseline wide
  python -m pipeline compare sweep --runs 3fa2c1 9be011 --tracking_uri http://localhost:5000
"""

_RERUN_EXAMPLES = """\
examples:
  python -m pipeline rerun 4c5bb55b8ce84c1c9f6ff0a1c44b0f04
  python -m pipeline rerun 4c5bb55b8ce84c1c9f6ff0a1c44b0f04 --dataset_dir /mnt/acdc/training --force

exit status: 0 where all figures are equal, 1 where some differ, 2 where the run cannot be made again
"""

_REGISTER_EXAMPLES = """\
examples:
  python -m pipeline register 4c5bb55b8ce84c1c9f6ff0a1c44b0f04
  python -m pipeline register 4c5bb55b8ce84c1c9f6ff0a1c44b0f04 --promote --margin 0.001
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words after ``python -m pipeline``; those of the process if ``None``.

    Returns:
        Exit status: 0 for success, 1 for a check that found errors, 2 for input that the user can mend.
    """
    parser = _make_parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and not getattr(options, "takes_overrides", False):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.overrides = rest
    try:
        status: int = options.run(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return status


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description="Cardiac short-axis MR segmentation: data sets, phantoms, results.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    data = commands.add_parser("data", help="check a data set, or make a synthetic one")
    data_commands = data.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_check(data_commands)
    _add_dicom(data_commands)
    _add_phantom(data_commands)
    _add_summary(commands)
    _add_compare(commands)
    _add_rerun(commands)
    _add_register(commands)
    _add_cross_validate(commands)
    _add_sweep(commands)
    return parser


def _add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, purpose: str, examples: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=purpose,
        description=f"{purpose[0].upper()}{purpose[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # --fold 1 is a setting of the configuration, and no short form of --folds
    )


def _add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add_command(commands, "check", "read every case of a data set and list all problems", _CHECK_EXAMPLES)
    parser.add_argument("dataset_dir", help="folder of the data set")
    parser.add_argument(
        "--data_format", default="auto", help="auto (default), acdc, mnms, decathlon, sunnybrook or folder"
    )
    parser.add_argument(
        "--label_map", help="whose label values the masks have, e.g. acdc or mnms; the format's if left out"
    )
    parser.set_defaults(run=_check)


def _add_dicom(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add_command(
        commands, "dicom", "list the DICOM series of a folder and which is the short-axis cine", _DICOM_EXAMPLES
    )
    parser.add_argument("dicom_dir", help="folder that is searched for DICOM, or a file")
    parser.add_argument("--series", default="", help="Series Number or UID to take, where the choice is not yours")
    parser.set_defaults(run=_dicom)


def _add_phantom(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add_command(commands, "phantom", "make synthetic beating hearts in ACDC's layout", _PHANTOM_EXAMPLES)
    parser.add_argument("output_dir", help="folder to write to")
    parser.add_argument("--num_patients", type=int, default=12, help="how many (default: 12)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same patients (default: 0)")
    parser.add_argument("--cine", action="store_true", help="also write every phase of the beat, as a 4D file")
    parser.add_argument(
        "--dicom",
        nargs="?",
        const="classic",
        default="",
        help="also write every phase as DICOM: classic (a file an image; the default), series_a_slice or enhanced",
    )
    parser.set_defaults(run=_phantom)


def _add_summary(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add_command(
        commands,
        "summary",
        "show the results of an evaluation or an inference and where its files are",
        _SUMMARY_EXAMPLES,
    )
    parser.add_argument("output_dir", type=Path, help="the output_dir of the evaluation or the inference")
    parser.add_argument("--tracking_uri", default="", help="where MLflow keeps the runs, as in the training")
    parser.set_defaults(run=_summary)


def _add_training(parser: argparse.ArgumentParser) -> None:
    """Add what both commands hand on to `monai.bundle run`; what is left over are overrides."""
    parser.add_argument("--bundle_root", required=True, help="folder of the bundle")
    parser.add_argument(
        "--config_file", required=True, help="as of `monai.bundle run`: a file, or \"['a.yaml','b.yaml']\""
    )
    parser.add_argument("--output_dir", type=Path, required=True, help="folder of the whole")
    parser.set_defaults(takes_overrides=True)


def _add_cross_validate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add_command(
        commands, "cross-validate", "train every fold and pool the figures of all cases", _CROSS_VALIDATE_EXAMPLES
    )
    _add_training(parser)
    parser.add_argument("--folds", type=_numbers, help="such as 0,1,2 (default: all of the configuration)")
    parser.add_argument("--any_code", action="store_true", help="also pool folds of other versions of this package")
    parser.set_defaults(run=_cross_validate)


def _add_sweep(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add_command(commands, "sweep", "search for better settings by many short trainings", _SWEEP_EXAMPLES)
    parser.add_argument("file", type=Path, help="YAML file with the space that is searched")
    _add_training(parser)
    parser.add_argument("--num_trials", type=int, help="trainings in all (default: that of the file)")
    parser.set_defaults(run=_sweep)


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add_command(
        commands, "compare", "compare the runs of an MLflow experiment, also case by case", _COMPARE_EXAMPLES
    )
    parser.add_argument("experiment", help="name or id of the experiment")
    parser.add_argument(
        "--runs", nargs="+", default=[], metavar="RUN", help="ids, beginnings of ids or names; else all"
    )
    parser.add_argument(
        "--paired",
        nargs=2,
        default=[],
        metavar=("A", "B"),
        help="two runs to compare case by case (default: the best with each of the next)",
    )
    parser.add_argument("--sort", default="mean_dice", help="figure to sort by (default: mean_dice)")
    parser.add_argument(
        "--limit", type=int, default=20, help="lines to print at most; the files have all (default: 20)"
    )
    parser.add_argument(
        "--output_dir",
        type=Path,
        default=Path("runs/comparison"),
        help="folder for comparison.html, tables and charts (default: runs/comparison)",
    )
    parser.add_argument(
        "--allow_different_data", action="store_true", help="compare cases although the data sets differ or are unknown"
    )
    parser.add_argument("--with_identifiers", action="store_true", help="name the cases in the files")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    _add_tracking_uri(parser)
    parser.set_defaults(run=_compare)


def _add_rerun(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add_command(commands, "rerun", "train again from what an MLflow run has recorded", _RERUN_EXAMPLES)
    parser.add_argument("run_id", help="id of the training")
    parser.add_argument("--output_dir", default="", help="folder of the results (default: runs/rerun_ID)")
    parser.add_argument("--dataset_dir", default="", help="where the data set lies today (default: where it lay)")
    parser.add_argument("--force", action="store_true", help="train although code, packages or Python differ")
    _add_tracking_uri(parser)
    parser.set_defaults(run=_rerun)


def _add_register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add_command(commands, "register", "make a training a model of the MLflow registry", _REGISTER_EXAMPLES)
    parser.add_argument("run_id", help="id of the training")
    parser.add_argument("--name", default="cardiac_sax_segmentation", help="registered model (default: %(default)s)")
    parser.add_argument("--alias", default="candidate", help="alias of the new version (default: %(default)s)")
    parser.add_argument(
        "--promote", action="store_true", help="make it the champion, if it is better than that on the same cases"
    )
    parser.add_argument(
        "--margin", type=float, default=0.0, help="Dice that the interval of the difference must exclude (default: 0)"
    )
    parser.add_argument("--bundle_root", default="", help="folder of the bundle (default: that of the training)")
    _add_tracking_uri(parser)
    parser.set_defaults(run=_register)


def _add_tracking_uri(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tracking_uri", default="", help="where MLflow keeps the runs (default: MLFLOW_TRACKING_URI, else mlruns.db)"
    )


def _compare(options: argparse.Namespace) -> int:
    from pipeline.comparison import compare_experiment, format_comparison, write_comparison

    comparison = compare_experiment(
        options.experiment,
        options.tracking_uri,
        options.runs,
        options.paired,
        measure=options.sort,
        allow_different_data=options.allow_different_data,
        seed=options.seed,
    )
    files = write_comparison(comparison, options.output_dir, with_identifiers=options.with_identifiers)
    print(format_comparison(comparison, options.limit))
    print(f"\nWritten to {options.output_dir}: {', '.join(path.name for path in files)}")
    return 0


def _rerun(options: argparse.Namespace) -> int:
    import logging

    from pipeline.workflows.rerun import rerun

    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    done = rerun(options.run_id, options.tracking_uri, options.output_dir, options.dataset_dir, force=options.force)
    print(f"\nRun {done.run_id}, results in {done.output_dir}")
    print(f"{done.num_equal} figures are those of {options.run_id}, to the last digit")
    for name, (old, new) in done.different.items():
        print(f"  {name}: {old!r}, again {new!r}")
    return 1 if done.different else 0


def _register(options: argparse.Namespace) -> int:
    from pipeline.registry import register_run

    done = register_run(
        options.run_id,
        options.name,
        options.alias,
        options.tracking_uri,
        options.bundle_root,
        promotes=options.promote,
        margin=options.margin,
    )
    print(f"Version {done.version} of {done.name}, alias {options.alias}")
    if done.promotion is not None:
        print(f"Champion: {done.promotion.reason}")
    print("Serve it with MLFLOW_TRACKING_URI set to the store:")
    print(f"  mlflow models serve --env-manager local -m {done.model_uri}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from pipeline.data.check import check_directory, format_report

    report = check_directory(options.dataset_dir, options.data_format, options.label_map, progress=True)
    print(format_report(report))
    return 1 if report.errors else 0


def _dicom(options: argparse.Namespace) -> int:
    from pipeline.data.dicom import find_cines, format_cines

    studies = find_cines(options.dicom_dir, options.series)
    print(format_cines(studies))
    return 1 if any(study.problem for study in studies) else 0


def _phantom(options: argparse.Namespace) -> int:
    from pipeline.data.phantom import make_phantom_cohort

    make_phantom_cohort(
        options.output_dir,
        options.num_patients,
        options.seed,
        write_cine=options.cine,
        write_dicom=options.dicom,
        progress=True,
    )
    print(f"Wrote {options.num_patients} phantom patients to {options.output_dir}")
    return 0


def _cross_validate(options: argparse.Namespace) -> int:
    from pipeline.workflows.cross_validation import cross_validate
    from pipeline.workflows.launch import BundleTraining, parse_overrides

    training = BundleTraining(options.bundle_root, options.config_file, parse_overrides(options.overrides))
    try:
        cross_validate(training, options.output_dir, options.folds, any_code=options.any_code, tell=_tell)
    except KeyboardInterrupt:
        return _interrupted()
    return 0


def _sweep(options: argparse.Namespace) -> int:
    from pipeline.workflows.launch import BundleTraining, parse_overrides
    from pipeline.workflows.sweep import sweep

    training = BundleTraining(options.bundle_root, options.config_file, parse_overrides(options.overrides))
    try:
        sweep(training, options.file, options.output_dir, options.num_trials, tell=_tell)
    except KeyboardInterrupt:
        return _interrupted()
    return 0


def _tell(line: str) -> None:
    print(line, flush=True)  # among the lines of the trainings


def _interrupted() -> int:
    print("Interrupted. The same command goes on where this one has stopped.", file=sys.stderr)
    return 130


def _summary(options: argparse.Namespace) -> int:
    studies = options.output_dir / "studies.csv"
    inferred = studies.is_file() and not (options.output_dir / "summary.json").is_file()
    summary = {} if inferred else _read_summary(options.output_dir / "summary.json")
    from pipeline.reporting import format_summary
    from pipeline.reporting.studies_table import format_studies
    from pipeline.tracking import ui_command

    print(format_studies(studies) if inferred else format_summary(summary))
    print(f"\nFiles:\n{_format_files(options.output_dir)}")
    print(f"\nThe runs in MLflow:\n  {ui_command(options.tracking_uri)}")
    return 0


def _read_summary(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(
            f"output_dir must be that of an evaluation or an inference, got '{path.parent}': it has no {path.name} and "
            "no studies.csv. Run `python -m monai.bundle run evaluating` with this --output_dir first, as README.md "
            "shows."
        )
    try:
        summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}). Run the evaluation again.") from error
    return summary


def _format_files(output_dir: Path) -> str:
    """Return a line a kind of file: the first path, and how many more there are."""
    kinds = {
        "metrics a case": sorted(output_dir.glob("metrics.csv")),
        "numbers a study": [*sorted(output_dir.glob("volumes.csv")), *sorted(output_dir.rglob("studies.csv"))],
        "reports": sorted(output_dir.rglob("report.html")),
        "best weights": sorted(output_dir.glob("models/model.pt")),
        "overlay pictures": sorted(output_dir.rglob("overlays/**/*.png")),
        "masks": [mask for listing in sorted(output_dir.rglob("segmentation.json")) for mask in _masks(listing)],
    }
    lines = []
    for kind, paths in kinds.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        lines.append(f"  {kind:<17} {paths[0]}{more}" if paths else f"  {kind:<17} none")
    return "\n".join(lines)


def _masks(listing: Path) -> list[Path]:
    scans = json.loads(listing.read_text(encoding="utf-8"))["scans"]
    return [listing.parent / scan["output"] for scan in scans if scan["output"]]
