"""Known mistakes of chapter 3: layers, networks, counting parameters."""

import numpy as np

from nnlib.contract import LinearCache, MlpCache, ReluCache
from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- linear_forward


@mistake("linear_forward", hint="""
    The weights are transposed. `w` has one column for each output, (d_in, d_out), so the inner
    sizes of x and w meet without a transpose. With a square `w` the shapes fit either way; the
    numbers don't.""")
def weights_transposed(x, w, b):
    y = x @ w.T if b is None else x @ w.T + b
    return y, LinearCache(x, w, b)


@mistake("linear_forward", hint="""
    The bias is missing from the sum: equation (3.1) has two terms.""")
def bias_forgotten(x, w, b):
    return x @ w, LinearCache(x, w, b)


@mistake("linear_forward", anchor="bias-broadcast", hint="""
    The bias is added along the wrong axis: your first example gets b[0], the second b[1]. Each
    *output*, a column of y, has its own bias. What shape does b need so that it is copied down the
    rows?""")
def bias_along_the_rows(x, w, b):
    y = x @ w if b is None else x @ w + b[:, np.newaxis]
    return y, LinearCache(x, w, b)


@mistake("linear_forward", hint="""
    `*` multiplies element by element. A layer sums over the inputs: that is a matrix product.""")
def elementwise_product(x, w, b):
    y = x * w if b is None else x * w + b
    return y, LinearCache(x, w, b)


@mistake("linear_forward", hint="""
    A layer may come without a bias, and then b is None. NumPy can't add None: look before you
    add.""")
def missing_bias_not_handled(x, w, b):
    return x @ w + b, LinearCache(x, w, b)


@mistake("linear_forward", anchor="column-against-row", hint="""
    Axes of size 1 are gone from y. One output or one example is still a matrix: (n, 1) and (n,)
    behave differently in the next operation.""")
def axes_of_size_one_dropped(x, w, b):
    y = x @ w if b is None else x @ w + b
    return np.squeeze(y), LinearCache(x, w, b)


@mistake("linear_forward", hint="""
    All numbers are right, but a float32 layer returns float64: the array that you fill is made
    with NumPy's default type. Give it the type of x.""")
def filled_an_array_of_float64(x, w, b):
    y = np.zeros((len(x), w.shape[1]))
    y += x @ w
    if b is not None:
        y += b
    return y, LinearCache(x, w, b)


# ---------------------------------------------------------------- mlp_forward


@mistake("mlp_forward", anchor="activation-after-the-last-layer", hint="""
    A ReLU follows the last layer too, so no score can be negative. The last layer's sums are
    returned as they are: ReLU stands only *between* two layers.""")
def activation_after_the_last_layer(x, params):
    linear, relu = [], []
    for w, b in params:
        linear.append(LinearCache(x, w, b))
        z = x @ w if b is None else x @ w + b
        relu.append(ReluCache(z))
        x = np.maximum(z, 0)
    return x, MlpCache(tuple(linear), tuple(relu[:-1]))


@mistake("mlp_forward", hint="""
    There is no activation between the layers. Then the whole network is one linear layer, however
    many matrices it has.""")
def no_activation(x, params):
    linear = []
    for w, b in params:
        linear.append(LinearCache(x, w, b))
        x = x @ w if b is None else x @ w + b
    return x, MlpCache(tuple(linear), ())


@mistake("mlp_forward", hint="""
    The ReLU comes before every layer, the first one included: negative *inputs* are lost. It
    belongs between two layers, after the sums of the first.""")
def activation_on_the_inputs(x, params):
    linear, relu = [], []
    for w, b in params:
        relu.append(ReluCache(x))
        x = np.maximum(x, 0)
        linear.append(LinearCache(x, w, b))
        x = x @ w if b is None else x @ w + b
    return x, MlpCache(tuple(linear), tuple(relu[1:]))


@mistake("mlp_forward", hint="""
    The bias is added after the ReLU. The activation sees the whole sum: equation (3.3) has the bias
    inside the brackets.""")
def bias_after_the_activation(x, params):
    for w, b in params[:-1]:
        x = np.maximum(x @ w, 0) if b is None else np.maximum(x @ w, 0) + b
    w, b = params[-1]
    return (x @ w if b is None else x @ w + b), MlpCache((), ())


@mistake("mlp_forward", hint="""
    The biases play no part. Each layer is a pair (w, b); b may be None, but where it is given it
    is added to every row.""")
def biases_ignored(x, params):
    for w, _ in params[:-1]:
        x = np.maximum(x @ w, 0)
    return x @ params[-1][0], MlpCache((), ())


@mistake("mlp_forward", anchor="predict-proba", hint="""
    You return probabilities. This function ends with the scores; softmax comes where somebody asks
    for probabilities, and the loss wants the scores.""")
def softmax_at_the_end(x, params):
    for w, b in params[:-1]:
        x = np.maximum(x @ w if b is None else x @ w + b, 0)
    w, b = params[-1]
    z = x @ w if b is None else x @ w + b
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True), MlpCache((), ())


@mistake("mlp_forward", hint="""
    Another activation than ReLU stands between the layers. The docstring asks for max(z, 0).""")
def tanh_instead_of_relu(x, params):
    for w, b in params[:-1]:
        x = np.tanh(x @ w if b is None else x @ w + b)
    w, b = params[-1]
    return (x @ w if b is None else x @ w + b), MlpCache((), ())


# ---------------------------------------------------------------- count_parameters


@mistake("count_parameters", hint="""
    These are the weights. Biases are learned too, one for each unit of a layer: equation (3.4).""")
def biases_not_counted(params):
    return sum(w.size for w, _ in params)


@mistake("count_parameters", hint="""
    A layer whose bias is None learns no bias, but you count one for each of its outputs.""")
def missing_biases_counted(params):
    return sum(w.shape[0] * w.shape[1] + w.shape[1] for w, _ in params)


@mistake("count_parameters", hint="""
    You add the two sizes of a weight matrix. Every input is joined to every output, so the sizes
    multiply.""")
def sizes_added_up(params):
    return sum(sum(w.shape) + (0 if b is None else b.size) for w, b in params)


@mistake("count_parameters", hint="""
    You count arrays. Each of them holds many numbers, and each number is a parameter.""")
def arrays_counted(params):
    return sum(1 if b is None else 2 for _, b in params)


@mistake("count_parameters", hint="""
    This is the number of units. A unit has one weight for each of its inputs, and a bias.""")
def units_counted(params):
    return sum(w.shape[1] for w, _ in params)


@mistake("count_parameters", hint="""
    The last layer is left out. Its weights and biases are learned like all others.""")
def last_layer_left_out(params):
    return sum(w.size + (0 if b is None else b.size) for w, b in params[:-1])


@mistake("count_parameters", hint="""
    You count memory in bytes. A float64 takes eight of them and is one parameter.""")
def bytes_counted(params):
    return sum(w.nbytes + (0 if b is None else b.nbytes) for w, b in params)
