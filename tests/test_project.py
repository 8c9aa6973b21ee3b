"""The project's own files agree with each other."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pair) == 2 for pair in pairs), "every line is name==version"
    return {canonicalize_name(name): version for name, version in pairs}


def requirements() -> list[Requirement]:
    texts = [*PROJECT["dependencies"],
             *(text for extra in PROJECT["optional-dependencies"].values() for text in extra)]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_every_requirement_is_pinned(requirement: Requirement) -> None:
    if requirement.name == PROJECT["name"]:
        return
    if canonicalize_name(requirement.name) in pins():
        version = pins()[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} against {version}"
    else:
        pytest.fail(f"{requirement.name} is not in constraints.txt: run make pins")


def test_numpy_is_all_that_nnlib_needs() -> None:
    assert [Requirement(text).name for text in PROJECT["dependencies"]] == ["numpy"]


def test_every_make_target_is_explained() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)
    assert phony
    for target in phony[1].split():
        assert re.search(rf"^{target}:.*## \w", text, flags=re.MULTILINE), target


def test_scripts_are_executable() -> None:
    for name in (".ci/run", "tools/pins.sh", "tools/system-packages.sh"):
        listed = subprocess.run(["git", "ls-files", "--stage", name], cwd=ROOT, text=True,
                                capture_output=True, check=True, encoding="utf-8").stdout
        assert listed.startswith("100755") or not listed
