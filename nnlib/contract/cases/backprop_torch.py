"""Cases for the PyTorch exercises of chapter 5, and the questions of both its notebooks.

Functions and losses are named by keys of `nnlib.checks.torch_backprop_drivers`.
"""

from collections.abc import Sequence

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.registry import register

CHAPTER = "05-backprop"
TORCH = ("torch",)
#: (rtol, atol) by the dtype of the computation: a loss comes back as a Python float, which does
#: not show that it was computed in float32.
TOLERANCES: dict[type, tuple[float, float]] = {
    np.float64: (1e-7, 1e-9), np.float32: (2e-4, 2e-5)}


def _squared_relu(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, x: np.ndarray) -> Case:
        return Case(name, prop, (x,), drive="autograd_function", seed=int(rng.integers(2**31)))

    wide = np.array([-1e4, -50.0, 50.0, 1e4]) * rng.uniform(0.9, 1.0, size=4)
    return [
        case("4 rows, 3 columns", "values", rng.normal(size=(4, 3))),
        case("one axis", "values", rng.normal(size=7)),
        case("float32", "values", rng.normal(size=(4, 3)).astype(np.float32)),
        case("exactly 0", "kinks", np.array([-1.0, 0.0, -0.0, 1.0])),
        case("a single number", "edge sizes", np.asarray(rng.uniform(0.5, 1.5))),
        case("no rows", "edge sizes", np.zeros((0, 3))),
        case("up to 1e4", "stability", wide),
    ]


def _vjp(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, key: str, x: tuple[int, ...], dy: tuple[int, ...],
             dtype: type = np.float64, **options: bool) -> Case:
        arrays: list[np.ndarray] = [np.asarray(rng.normal(size=size), dtype) for size in (x, dy)]
        return Case(name, prop, (key, *arrays), options, drive="torch_vjp")

    return [
        case("tanh", "values", "tanh", (2, 3), (2, 3)),
        case("softmax", "values", "softmax", (3, 4), (3, 4)),
        # Not symmetric: the Jacobian and its transpose give different products.
        case("a running sum", "values", "running sum", (5,), (5,)),
        case("row sums", "values", "row sums", (4, 3), (4,)),
        case("an outer product", "values", "outer product", (3,), (3, 3)),
        case("float32", "values", "tanh", (2, 3), (2, 3), np.float32),
        case("x holds a gradient already", "options", "tanh", (2, 3), (2, 3), used=True),
        case("a single number", "edge sizes", "square", (), ()),
    ]


def _gradients_agree(rng: np.random.Generator) -> list[Case]:
    def case(key: str, prop: str = "values", shape: tuple[int, ...] = (4,),
             dtype: type = np.float64) -> Case:
        x = rng.uniform(0.5, 1.5, size=shape) * rng.choice([-1.0, 1.0], size=shape)
        # Names are neutral: the right verdict must not be read off them.
        name = f"{key}, float32" if dtype is np.float32 else key
        return Case(name, prop, (key, np.asarray(x, dtype)), drive="torch_gradients_agree")

    return [
        case("tanh", shape=(2, 3)),
        case("custom square"),
        case("custom tanh", shape=(3, 2)),
        case("softmax", shape=(2, 3)),
        case("factor missing"),
        case("two per cent too much"),
        case("upstream ignored"),
        case("last entry missing"),
        case("softmax with zeros", shape=(2, 3)),
        case("half detached"),
        case("custom square", "options", (3,), np.float32),
        case("factor missing", "options", (3,), np.float32),
        case("custom square", "edge sizes", ()),
        case("row sums", "edge sizes", (1, 2)),
    ]


def _accumulate(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, n: int, size: int, key: str = "mse",
             dtype: type = np.float64, **options: bool) -> Case:
        shapes = [(3, 4), (4,), (4, 2), (2,)]
        arrays: tuple[np.ndarray, ...] = tuple(
            np.asarray(rng.normal(size=shape), dtype) for shape in shapes)
        x: np.ndarray = np.asarray(rng.normal(size=(n, 3)), dtype)
        y = (rng.normal(size=(n, 2)).astype(dtype) if key == "mse"
             else rng.integers(0, 2, size=n))
        rtol, atol = TOLERANCES[dtype]
        return Case(name, prop, (key, arrays, x, y), {"micro_batch_size": size, **options},
                    drive="torch_accumulate", rtol=rtol, atol=atol)

    return [
        case("8 rows, 4 at a time", "values", 8, 4),
        # Here the mean of the pieces' means is not the mean over the rows.
        case("7 rows, 3 at a time", "values", 7, 3),
        case("9 rows, 4 at a time, cross-entropy", "values", 9, 4, "cross entropy"),
        case("float32", "values", 7, 3, dtype=np.float32),
        case("gradients are there already", "options", 7, 2, stale=True),
        case("fewer rows than a micro-batch", "edge sizes", 3, 8),
        case("one row at a time", "edge sizes", 5, 1),
    ]


def _gradient_step(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, n: int = 6, *, steps: int = 1, bias: bool = True,
             dtype: type = np.float64) -> Case:
        params: dict[str, np.ndarray] = {"w": rng.normal(size=(3, 2)).astype(dtype)}
        if bias:
            params["b"] = rng.normal(size=2).astype(dtype)
        x: np.ndarray = rng.normal(size=(n, 3)).astype(dtype)
        t: np.ndarray = rng.normal(size=(n, 2)).astype(dtype)
        rate = float(rng.uniform(0.05, 0.2))
        rtol, atol = TOLERANCES[dtype]
        return Case(name, prop, (params, x, t), {"learning_rate": rate, "steps": steps},
                    drive="torch_gradient_step", rtol=rtol, atol=atol)

    return [
        case("a weight and a bias", "values"),
        case("a weight alone", "values", bias=False),
        case("five steps in a row", "values", steps=5),
        case("float32", "values", dtype=np.float32),
        case("one row", "edge sizes", n=1),
    ]


def _operation(name: str, signature: str, anchor: str, outputs: tuple[str, ...],
               make_cases: object, **more: object) -> Operation:
    return Operation(name, signature, CHAPTER, anchor, outputs, make_cases,  # type: ignore[arg-type]
                     tracks=TORCH, **more)  # type: ignore[arg-type]


OPERATIONS: Sequence[Operation] = (
    _operation("SquaredReLU", "autograd.Function: x -> y = max(x, 0)^2", "activation-backward",
               ("y", "dx"), _squared_relu, kind="class"),
    _operation("vjp", "(f, x, dy) -> dx", "vector-jacobian-products", ("dx",), _vjp,
               weights={"inputs kept": 2.0, "options": 2.0}),
    _operation("gradients_agree", "(f, x) -> bool", "gradient-check-traps", ("verdict",),
               _gradients_agree, weights={"options": 2.0}),
    _operation("accumulate_gradients",
               "(model, loss_fn, x, y, *, micro_batch_size) -> float", "backprop-pytorch",
               ("loss", "grads", "largest_batch"), _accumulate,
               weights={"options": 2.0}),
    _operation("gradient_step",
               "(params, loss_fn, *, learning_rate) -> (new_params, loss)", "backprop-pytorch",
               ("params", "loss", "fresh", "old"), _gradient_step),
)

QUESTIONS: Sequence[Question] = (
    Question(
        "gradient_check_step",
        "You check a gradient in float64 with central differences, for values and derivatives "
        "near 1. Which step gives the smallest error?",
        "c",
        {
            "a": "At 1e-1 the function bends between the two points: the error of the formula is "
                 "about eps**2 / 6, some 1e-3. Equation (5.9) has both terms.",
            "b": "The error of the formula is about eps**2 / 6, some 1e-7 here. A smaller step "
                 "still gains more than rounding costs. Where do the two terms meet?",
            "d": "That is the best step of the one-sided difference, the square root of the "
                 "machine precision. For central differences bend and rounding meet elsewhere.",
            "e": "At 1e-12 rounding dominates: about 2e-16 / 1e-12, some 1e-4. The curve rises "
                 "again left of its lowest point.",
        },
        CHAPTER, "u-curve",
        {"a": "1e-1", "b": "1e-3", "c": "1e-5", "d": "1e-8", "e": "1e-12"},
        tracks=("numpy",),
    ),
    Question(
        "grad_after_two_calls",
        "w = torch.tensor(2.0, requires_grad=True); then twice: cube = w**3; cube.backward(). "
        "What does w.grad hold?",
        24.0,
        {
            "12": "That is what one call leaves. What does the second backward() do with the "
                  "gradient that is there already?",
            "144": "The gradients of two calls are not multiplied. Each call computes the same "
                   "number; how are the two combined?",
            "0": "Nothing resets .grad between the calls: zero_grad() must be called for that.",
            "16": "That is twice the value. .grad holds derivatives: start from the derivative of "
                  "w**3 at 2.",
            "8": "That is the value itself. .grad holds derivatives: start from the derivative of "
                 "w**3 at 2.",
        },
        CHAPTER, "backprop-pytorch", tracks=TORCH,
    ),
    Question(
        "detached_factor",
        "x = torch.tensor(3.0, requires_grad=True); y = x * x.detach() + x; y.backward(). "
        "What does x.grad hold?",
        4.0,
        {
            "7": "That is the derivative of x**2 + x. One of the two factors is detached: autograd "
                 "sees a constant there.",
            "1": "x.detach() is a constant with the value 3, but the other factor is still x.",
            "3": "The product is right. The second use of x contributes too.",
            "6": "That is the derivative of x**2. One factor is detached, and x is used once more.",
            "12": "That is the value of y. The question is for the gradient.",
        },
        CHAPTER, "computational-graph", tracks=TORCH,
    ),
)

register(*OPERATIONS, *QUESTIONS)
