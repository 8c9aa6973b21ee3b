"""Known mistakes of chapter 5, the parts of an engine: products, broadcasting, the walk back."""

import numpy as np

from nnlib.mistakes.registry import mistake

#: The walk back is a task of the NumPy notebook alone.
NUMPY = ("numpy",)

# ---------------------------------------------------------------- mul_vjp


@mistake("mul_vjp", hint="""
    Each gradient has its *own* factor in it. The derivative of a * b by `a` is the other
    factor.""")
def own_factor_instead_of_the_other(dy, a, b):
    return dy * a, dy * b


@mistake("mul_vjp", hint="""
    These are the local derivatives. The chain rule multiplies them by what arrives from above,
    `dy`.""", anchor="chain-rule")
def local_derivatives_only(dy, a, b):
    return b.copy(), a.copy()


@mistake("mul_vjp", hint="""
    `dy` goes to both parents unchanged. That is right for a sum; a product scales it.""")
def treated_like_a_sum(dy, a, b):
    return dy.copy(), dy.copy()


@mistake("mul_vjp", hint="""
    Both gradients are dy times the whole product. Differentiating by one factor leaves only the
    other one.""")
def multiplied_by_the_product(dy, a, b):
    return dy * a * b, dy * a * b


@mistake("mul_vjp", hint="""
    You compute the first gradient inside `dy` itself (`dy *= b`). The second one then starts from
    a changed `dy`, and so does everybody else who holds that array.""", anchor="accumulation")
def upstream_used_as_workspace(dy, a, b):
    dy *= b
    return dy, dy * a


# ---------------------------------------------------------------- matmul_vjp


@mistake("matmul_vjp", hint="""
    The transposes are missing. Write the shapes: `da` is (n, k), `dy` is (n, m), `b` is (k, m).
    Square matrices hide this, other shapes raise an error.""")
def transposes_forgotten(dy, a, b):
    return dy @ b, a @ dy


@mistake("matmul_vjp", hint="""
    The factors stand in the wrong order. Matrix products don't commute: write the shapes under
    each product and see which order gives (n, k) and (k, m).""")
def factors_in_the_wrong_order(dy, a, b):
    return b.T @ dy, dy @ a.T


@mistake("matmul_vjp", hint="""
    Both gradients are right and come in the wrong order: first the one of `a`, then the one of
    `b`.""")
def gradients_exchanged(dy, a, b):
    return a.T @ dy, dy @ b.T


@mistake("matmul_vjp", hint="""
    Both gradients come out transposed: `da` must have the shape of `a`, `db` that of `b`.""")
def gradients_transposed(dy, a, b):
    return b @ dy.T, dy.T @ a


@mistake("matmul_vjp", hint="""
    Ones stand where the upstream gradient belongs. The local derivative is multiplied by `dy`,
    entry by entry of the output.""", anchor="vector-jacobian-products")
def ones_for_the_upstream(dy, a, b):
    ones = np.ones_like(dy)
    return ones @ b.T, a.T @ ones


# ---------------------------------------------------------------- unbroadcast


@mistake("unbroadcast", hint="""
    You average over the copies. Each copy is a separate path to the loss, and contributions of
    paths add.""")
def copies_averaged(grad, shape):
    axes = list(range(grad.ndim - len(shape)))
    axes += [len(axes) + i for i, size in enumerate(shape) if size == 1]
    return grad.mean(axis=tuple(axes)).reshape(shape) if axes else grad.copy()


@mistake("unbroadcast", hint="""
    You sum over the axes that were added on the left, and stop there. An axis of size 1 was
    stretched too: (4, 1) to (4, 3). Sum over those as well, and keep the axis.""")
def stretched_axes_left(grad, shape):
    return grad.sum(axis=tuple(range(grad.ndim - len(shape))))


@mistake("unbroadcast", hint="""
    You take one of the copies. All of them are the same entry of the original array, and each has
    its own influence on the loss: add them all.""")
def one_copy_kept(grad, shape):
    added = grad.ndim - len(shape)
    kept = tuple(slice(0, 1) if size == 1 else slice(None) for size in shape)
    return grad[(0,) * added + kept].copy().reshape(shape)


@mistake("unbroadcast", hint="""
    The sums are right, but axes of size 1 have vanished: the gradient of a (4, 1) array must be
    (4, 1), not (4,).""")
def axes_of_size_one_lost(grad, shape):
    added = grad.ndim - len(shape)
    axes = [*range(added), *(added + i for i, size in enumerate(shape) if size == 1)]
    return grad.sum(axis=tuple(axes))


@mistake("unbroadcast", hint="""
    Everything is summed into one number, which then fills the result. Sum over the broadcast axes
    only; along the others each entry keeps its own gradient.""")
def everything_summed(grad, shape):
    return grad.copy() if grad.shape == shape else np.full(shape, grad.sum(), grad.dtype)


# ---------------------------------------------------------------- backpropagate


@mistake("backpropagate", tracks=NUMPY, hint="""
    A node that is used twice keeps only the contribution that arrives last. Contributions of all
    uses add up: equation (5.2) is a sum.""")
def overwritten_not_added(parents, vjps, output, dy):
    order, seen, stack = [], set(), [(output, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((parent, False) for parent in parents.get(node, ()))
    grads = {output: dy}
    for node in reversed(order):
        if parents.get(node, ()):
            for parent, grad in zip(parents[node], vjps[node](grads[node]), strict=True):
                grads[parent] = grad
    return grads


@mistake("backpropagate", tracks=NUMPY, hint="""
    A node hands its gradient on as soon as it is first reached. If a longer path arrives later,
    its part is lost for everything below. A node must wait for all its users: reverse topological
    order.""", anchor="topological-order")
def nearest_nodes_first(parents, vjps, output, dy):
    grads, queue, reached = {output: dy}, [output], {output}
    for node in queue:
        if not parents.get(node, ()):
            continue
        for parent, grad in zip(parents[node], vjps[node](grads[node]), strict=True):
            grads[parent] = grads[parent] + grad if parent in grads else grad
            if parent not in reached:
                reached.add(parent)
                queue.append(parent)
    return grads


@mistake("backpropagate", tracks=NUMPY, hint="""
    Where a node lists one parent twice, as in x * x, only one of the two gradients counts. Both
    are contributions, and both are added.""")
def parent_listed_twice_counted_once(parents, vjps, output, dy):
    order, seen, stack = [], set(), [(output, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((parent, False) for parent in parents.get(node, ()))
    grads = {output: dy}
    for node in reversed(order):
        if parents.get(node, ()):
            pairs = dict(zip(parents[node], vjps[node](grads[node]), strict=True))
            for parent, grad in pairs.items():
                grads[parent] = grads[parent] + grad if parent in grads else grad
    return grads


@mistake("backpropagate", tracks=NUMPY, hint="""
    The walk starts with ones at the output. It starts with `dy`, the gradient that the caller
    hands in.""", anchor="vector-jacobian-products")
def started_with_ones(parents, vjps, output, dy):
    order, seen, stack = [], set(), [(output, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((parent, False) for parent in parents.get(node, ()))
    grads = {output: np.ones_like(dy)}
    for node in reversed(order):
        if parents.get(node, ()):
            for parent, grad in zip(parents[node], vjps[node](grads[node]), strict=True):
                grads[parent] = grads[parent] + grad if parent in grads else grad
    return grads


@mistake("backpropagate", tracks=NUMPY, hint="""
    Right on small graphs, but a function that calls itself once per node ends at a depth of about
    1,000. Keep a list of your own as the stack.""", anchor="topological-order")
def recursion_too_deep(parents, vjps, output, dy):
    order = []

    def visit(node):
        if node not in order:
            for parent in parents.get(node, ()):
                visit(parent)
            order.append(node)

    visit(output)
    grads = {output: dy}
    for node in reversed(order):
        if parents.get(node, ()):
            for parent, grad in zip(parents[node], vjps[node](grads[node]), strict=True):
                grads[parent] = grads[parent] + grad if parent in grads else grad
    return grads


@mistake("backpropagate", tracks=NUMPY, hint="""
    You add with `+=`, which writes into the array. Two nodes may hold one array (a sum hands the
    same `dy` to both parents), and then both change. Make a new array: `a = a + b`.""")
def added_in_place(parents, vjps, output, dy):
    order, seen, stack = [], set(), [(output, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((parent, False) for parent in parents.get(node, ()))
    grads = {output: dy}
    for node in reversed(order):
        if parents.get(node, ()):
            for parent, grad in zip(parents[node], vjps[node](grads[node]), strict=True):
                if parent in grads:
                    grads[parent] += grad
                else:
                    grads[parent] = grad
    return grads
