"""Whether student code can be confined on this machine, and if not, what to do about it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from autograder.confine import child, seccomp, trial
from autograder.sandbox_view import (
    BUBBLEWRAP,
    CONFINE,
    View,
    isolation_arguments,
    placed,
    site_folders,
)

TRIAL_SECONDS = 30.0
_REHEARSE = (
    "import sys; sys.path.insert(0, {path!r}); from confine.trial import main; main({folders!r})"
)

SWITCHES = (
    ("kernel/unprivileged_userns_clone", "0", "1"),  # Debian, Arch
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),  # Ubuntu 23.10 and later
    ("user/max_user_namespaces", "0", "15000"),  # Red Hat
)
"""Kernel settings that forbid user namespaces: name, forbidding value, value to set."""
CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")


@cache
def available() -> str:
    """Say why confinement doesn't work on this machine, and what to do; ``""`` where it works."""
    if sys.platform != "linux":
        return (
            f"Student code can't be confined on {sys.platform}: grade on Linux "
            "(in WSL 2 on Windows, in a virtual machine on macOS)."
        )
    if not seccomp.supported():
        return (
            f"Student code can't be confined on a {os.uname().machine} processor: there is a "
            f"filter of system calls only for {' and '.join(seccomp.MACHINES)}."
        )
    if shutil.which(BUBBLEWRAP) is None:
        return (
            "Student code can't be confined, since bubblewrap is missing: "
            "install it (apt install bubblewrap, dnf install bubblewrap)."
        )
    return _trial()


def _trial() -> str:
    """Do once what every child does; explain why it failed."""
    # Hiding packages takes reading the names of all: that much a rehearsal can spare.
    view = View(Path(child.__file__).parent, without=frozenset({"hidden"}))
    run = _REHEARSE.format(path=CONFINE, folders=[str(placed(folder)) for folder in site_folders()])
    # Without site packages: this is about the kernel only.
    python = [str(placed(Path(sys.executable))), "-S", "-s", "-P", "-B", "-c", run]
    try:
        done = subprocess.run(
            [BUBBLEWRAP, *isolation_arguments(), *view.arguments, "--", *python],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": os.defpath},
            pass_fds=view.descriptors,
            timeout=TRIAL_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"Student code can't be confined, since bubblewrap failed: {error}."
    finally:
        view.close()
    if done.returncode == 0:
        return ""
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    said = lines[-1] if lines else f"it ended with status {done.returncode}"
    return f"Student code can't be confined on this machine ({said}): {_advice(said)}."


def _advice(said: str) -> str:
    """Say what to do about the usual reasons why namespaces can't be made."""
    if trial.UNREADABLE in said:
        return (
            "what Python is installed in must be readable for everybody, since root's rights are "
            f"given up (chmod -R o+rX {sys.prefix} {sys.base_prefix})"
        )
    for setting, bad, good in SWITCHES:
        try:
            value = Path("/proc/sys", setting).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if value == bad:
            return f"run sudo sysctl -w {setting.replace('/', '.')}={good}"
    if any(Path(mark).exists() for mark in CONTAINER_MARKS):
        return (
            "this is a container that may not make namespaces; start it with the right to "
            "(docker run --privileged, or --cap-add SYS_ADMIN with --security-opt "
            "seccomp=unconfined --security-opt apparmor=unconfined --security-opt "
            "systempaths=unconfined)"
        )
    return "the kernel must allow user namespaces to users without privileges"
