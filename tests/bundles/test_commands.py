"""The three commands of the README."""

from __future__ import annotations


def test_all(root_use, elsewhere_use, two_processes, misspelt, truncated):
    for n in ("training", "evaluating", "inference"):
        for u in (root_use, elsewhere_use):
            r = getattr(u, n)
            print("=====", n, r.returncode)
            print(r.stdout[-1500:])
            print(r.stderr[-1500:])
    for r in (two_processes, misspelt, truncated):
        print("=====", r.returncode)
        print(r.stdout[-1500:])
        print(r.stderr[-3500:])
    import subprocess

    for u in (root_use, elsewhere_use):
        print(subprocess.run(["find", u.trained_dir.parent], capture_output=True, text=True).stdout)
