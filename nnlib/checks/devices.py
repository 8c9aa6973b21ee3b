"""Every contract case of the PyTorch track on another device: same answers, same errors."""

import contextlib

import torch

from nnlib.checks.run import draw_cases, expect, run_cases
from nnlib.checks.tracks import on_device, reference
from nnlib.contract import Operation

#: Drivers that hand over tensors and nothing else. The rest make modules, models or generators of
#: their own, which must come into being on the device.
PLAIN = ("call", "forward", "backward", "mlp_backward", "forward_parts", "backward_parts")


def device_faults(operation: Operation, device: str) -> tuple[int, list[str]]:
    """Run the PyTorch track's cases of one operation on ``device``; expect what the CPU answers.

    Parameters
    ----------
    operation
        One that the PyTorch track has.
    device
        ``"cuda"``, ``"cuda:1"``, or ``"cpu"`` to see the machinery at work.

    Returns
    -------
    cases : int
        How many were run.
    faults : list of str
        ``"case: what is wrong"``; empty where all is well.

    Examples
    --------
    >>> from nnlib.contract import find
    >>> cases, faults = device_faults(find("relu_forward"), "cpu")
    >>> cases > 5, faults
    (True, [])
    """
    cases = draw_cases(operation)
    faults: list[str] = []
    implementation = getattr(reference("torch"), operation.name)
    for case in cases:
        expected = [expect(operation, case, "torch")]
        plain = case.drive in PLAIN
        with on_device(device), contextlib.nullcontext() if plain else torch.device(device):
            (result,) = run_cases(operation, implementation, [case], track="torch",
                                  expected=expected)
        wrong = [f"{name}: {found.message}" for name, found in result.differences.items()]
        wrong += [result.dtype] if result.dtype else []
        wrong += [f"modified {name}" for name in result.trial.modified]
        faults += [f"{case.name}: {text}" for text in wrong]
    return len(cases), faults
