"""How the NumPy exercises of chapter 14 are called: convolutions go in, so each is judged alone."""

from typing import Any

from nnlib.checks.drivers import Trial, _first_of_pair, driver, guarded, spread, upstream
from nnlib.checks.tracks import reference, to_track
from nnlib.contract import Case


@driver("lenet_scores")
def lenet_scores(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(x, params, conv2d=, max_pool2d=)``."""
    ops = reference(track)

    def conv2d(x: Any, w: Any, b: Any, padding: int = 0) -> Any:
        return ops.conv2d_forward(x, w, b, padding=padding)[0]

    def max_pool2d(x: Any, kernel_size: int = 2) -> Any:
        return ops.max_pool2d_forward(x, kernel_size=kernel_size)[0]

    args = to_track(tuple(case.args), track)
    return guarded(lambda *given: implementation(*given, conv2d=conv2d, max_pool2d=max_pool2d),
                   args, {})


@driver("residual_block_forward")
def residual_block_forward(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(x, w1, b1, w2, b2, w_skip, stride=, conv2d_forward=)``; y is compared."""
    ops = reference(track)
    args, options = to_track(tuple(case.args), track), dict(case.options)
    return guarded(
        lambda *given: implementation(*given, conv2d_forward=ops.conv2d_forward, **options),
        args, {}, _first_of_pair)


@driver("residual_block_backward")
def residual_block_backward(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(dy, cache, conv2d_backward=)`` with the cache of a correct forward."""
    ops = reference(track)
    y, cache = ops.residual_block_forward(
        *to_track(tuple(case.args), track), conv2d_forward=ops.conv2d_forward, **case.options)
    return guarded(
        lambda dy, cache: implementation(dy, cache, conv2d_backward=ops.conv2d_backward),
        (upstream(y, case, track), cache), {}, spread)


@driver("cnn_train_step")
def cnn_train_step(implementation: Any, case: Case, track: str) -> Trial:
    """One step, or as many as ``case.options["steps"]`` says on one batch.

    ``case.args = (params, x, labels)``. The outputs are the loss and the parameters of the first
    step, and how many of the images the network reads right after the last one.
    """
    ops = reference(track)
    params, x, labels = to_track(tuple(case.args), track)
    options = dict(case.options)
    steps = options.pop("steps", 1)
    parts = {name: getattr(ops, name)
             for name in ("conv2d_forward", "conv2d_backward", "softmax_cross_entropy")}

    def right(params: dict[str, Any]) -> str:
        z, _ = ops.conv2d_forward(x, params["conv.w"], params["conv.b"], padding=1)
        scores = z.clip(0).mean(axis=(2, 3)) @ params["head.w"] + params["head.b"]
        share = ops.accuracy(scores, labels)
        return "95 % or more" if share >= 0.95 else f"{share:.0%}"

    def run(params: dict[str, Any], x: Any, labels: Any) -> tuple[Any, ...]:
        loss, first = implementation(params, x, labels, **options, **parts)
        new = first
        for _ in range(steps - 1):
            _, new = implementation(new, x, labels, **options, **parts)
        return loss, first, right(new)

    return guarded(run, (params, x, labels), {}, tuple)
