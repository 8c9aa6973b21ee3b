"""Known mistakes of chapter 7: signals predicted and measured."""

import numpy as np

from nnlib.contract import LayerStatistics
from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- predict_mean_squares


@mistake("predict_mean_squares", hint="""
    The number of inputs is missing. A unit adds up d_in terms, so its variance is d_in times the
    weight variance times the mean square that comes in.""", anchor="forward-variance")
def number_of_inputs_forgotten(activation, mean_square, sizes, weight_variances):
    t = np.linspace(-9, 9, 6000)
    weight = np.exp(-(t**2) / 2) / np.exp(-(t**2) / 2).sum()
    q, predicted = mean_square, []
    for variance in weight_variances:
        q = float(weight @ activation(np.sqrt(variance * q) * t) ** 2)
        predicted.append(q)
    return np.array(predicted)


@mistake("predict_mean_squares", hint="""
    You count the outputs of a layer, not its inputs. Forward, a unit adds up as many terms as it
    has inputs.""", anchor="forward-variance")
def outputs_counted(activation, mean_square, sizes, weight_variances):
    t = np.linspace(-9, 9, 6000)
    weight = np.exp(-(t**2) / 2) / np.exp(-(t**2) / 2).sum()
    q, predicted = mean_square, []
    for d_out, variance in zip(sizes[1:], weight_variances, strict=True):
        q = float(weight @ activation(np.sqrt(d_out * variance * q) * t) ** 2)
        predicted.append(q)
    return np.array(predicted)


@mistake("predict_mean_squares", hint="""
    You scale the standard normal numbers by the variance of the sums. To have that variance they
    must be multiplied by its root.""")
def variance_for_standard_deviation(activation, mean_square, sizes, weight_variances):
    t = np.linspace(-9, 9, 6000)
    weight = np.exp(-(t**2) / 2) / np.exp(-(t**2) / 2).sum()
    q, predicted = mean_square, []
    for d_in, variance in zip(sizes[:-1], weight_variances, strict=True):
        q = float(weight @ activation(d_in * variance * q * t) ** 2)
        predicted.append(q)
    return np.array(predicted)


@mistake("predict_mean_squares", hint="""
    You subtract the mean of the outputs: that is their variance. The next layer adds up the
    outputs as they are, so their mean square counts. For ReLU the two differ.""",
         anchor="forward-variance")
def variance_of_the_outputs(activation, mean_square, sizes, weight_variances):
    t = np.linspace(-9, 9, 6000)
    weight = np.exp(-(t**2) / 2) / np.exp(-(t**2) / 2).sum()
    q, predicted = mean_square, []
    for d_in, variance in zip(sizes[:-1], weight_variances, strict=True):
        h = activation(np.sqrt(d_in * variance * q) * t)
        q = float(weight @ h**2 - (weight @ h) ** 2)
        predicted.append(q)
    return np.array(predicted)


@mistake("predict_mean_squares", hint="""
    You apply the activation to the standard deviation itself. The sums are spread around 0: apply
    it to all of them, square, and take the mean over the normal distribution.""")
def activation_of_the_standard_deviation(activation, mean_square, sizes, weight_variances):
    q, predicted = mean_square, []
    for d_in, variance in zip(sizes[:-1], weight_variances, strict=True):
        q = float(activation(np.array([np.sqrt(d_in * variance * q)]))[0] ** 2)
        predicted.append(q)
    return np.array(predicted)


@mistake("predict_mean_squares", hint="""
    You return the variance of the sums before the activation. The mean square of the *outputs* is
    asked for.""")
def variance_of_the_sums(activation, mean_square, sizes, weight_variances):
    t = np.linspace(-9, 9, 6000)
    weight = np.exp(-(t**2) / 2) / np.exp(-(t**2) / 2).sum()
    q, predicted = mean_square, []
    for d_in, variance in zip(sizes[:-1], weight_variances, strict=True):
        v = d_in * variance * q
        q = float(weight @ activation(np.sqrt(v) * t) ** 2)
        predicted.append(v)
    return np.array(predicted)


@mistake("predict_mean_squares", hint="""
    Every layer starts from the network's input again. What one layer puts out is what the next
    one takes in: carry the mean square along.""")
def input_used_for_every_layer(activation, mean_square, sizes, weight_variances):
    t = np.linspace(-9, 9, 6000)
    weight = np.exp(-(t**2) / 2) / np.exp(-(t**2) / 2).sum()
    predicted = []
    for d_in, variance in zip(sizes[:-1], weight_variances, strict=True):
        h = activation(np.sqrt(d_in * variance * mean_square) * t)
        predicted.append(float(weight @ h**2))
    return np.array(predicted)


# ---------------------------------------------------------------- layer_statistics


@mistake("layer_statistics", hint="""
    `variance` is that of h, behind the activation. The sums z are meant, before it.""")
def variance_behind_the_activation(x, params, dy, *, activation="relu"):
    def act(z):
        return {"relu": np.maximum(z, 0), "tanh": np.tanh(z), "identity": z}[activation]

    def slope(z):
        return {"relu": z > 0, "tanh": 1 - np.tanh(z) ** 2, "identity": z == z}[activation]

    h, zs, hs, squares = x, [], [], []
    for w, b in params:
        zs.append(h @ w + b)
        h = act(zs[-1])
        hs.append(h)
    dh = dy
    for (w, _), z in zip(params[::-1], zs[::-1], strict=True):
        squares.append(np.mean(dh**2))
        dh = (dh * slope(z)) @ w.T
    columns = ([h.var() for h in hs], [np.mean(h**2) for h in hs],
               [np.mean((slope(z) == 0).all(axis=0)) for z in zs], squares[::-1])
    return LayerStatistics(*(np.array(c, dtype=x.dtype) for c in columns))


@mistake("layer_statistics", hint="""
    `mean_square` has the mean taken off: that is a variance. The next layer's sums depend on the
    mean square, whether or not the mean is 0.""", anchor="forward-variance")
def variance_for_mean_square(x, params, dy, *, activation="relu"):
    def act(z):
        return {"relu": np.maximum(z, 0), "tanh": np.tanh(z), "identity": z}[activation]

    def slope(z):
        return {"relu": z > 0, "tanh": 1 - np.tanh(z) ** 2, "identity": z == z}[activation]

    h, zs, hs, squares = x, [], [], []
    for w, b in params:
        zs.append(h @ w + b)
        h = act(zs[-1])
        hs.append(h)
    dh = dy
    for (w, _), z in zip(params[::-1], zs[::-1], strict=True):
        squares.append(np.mean(dh**2))
        dh = (dh * slope(z)) @ w.T
    columns = ([z.var() for z in zs], [h.var() for h in hs],
               [np.mean((slope(z) == 0).all(axis=0)) for z in zs], squares[::-1])
    return LayerStatistics(*(np.array(c, dtype=x.dtype) for c in columns))


@mistake("layer_statistics", hint="""
    `variance` holds standard deviations. Square them, or use the function that doesn't take the
    root.""")
def standard_deviation_for_variance(x, params, dy, *, activation="relu"):
    def act(z):
        return {"relu": np.maximum(z, 0), "tanh": np.tanh(z), "identity": z}[activation]

    def slope(z):
        return {"relu": z > 0, "tanh": 1 - np.tanh(z) ** 2, "identity": z == z}[activation]

    h, zs, hs, squares = x, [], [], []
    for w, b in params:
        zs.append(h @ w + b)
        h = act(zs[-1])
        hs.append(h)
    dh = dy
    for (w, _), z in zip(params[::-1], zs[::-1], strict=True):
        squares.append(np.mean(dh**2))
        dh = (dh * slope(z)) @ w.T
    columns = ([z.std() for z in zs], [np.mean(h**2) for h in hs],
               [np.mean((slope(z) == 0).all(axis=0)) for z in zs], squares[::-1])
    return LayerStatistics(*(np.array(c, dtype=x.dtype) for c in columns))


@mistake("layer_statistics", hint="""
    `dead` is the share of all entries whose slope is 0. A unit that rests for one row may work
    for the next: it is dead only if its slope is 0 for every row.""", anchor="dead-at-birth")
def resting_units_counted_as_dead(x, params, dy, *, activation="relu"):
    def act(z):
        return {"relu": np.maximum(z, 0), "tanh": np.tanh(z), "identity": z}[activation]

    def slope(z):
        return {"relu": z > 0, "tanh": 1 - np.tanh(z) ** 2, "identity": z == z}[activation]

    h, zs, hs, squares = x, [], [], []
    for w, b in params:
        zs.append(h @ w + b)
        h = act(zs[-1])
        hs.append(h)
    dh = dy
    for (w, _), z in zip(params[::-1], zs[::-1], strict=True):
        squares.append(np.mean(dh**2))
        dh = (dh * slope(z)) @ w.T
    columns = ([z.var() for z in zs], [np.mean(h**2) for h in hs],
               [np.mean(slope(z) == 0) for z in zs], squares[::-1])
    return LayerStatistics(*(np.array(c, dtype=x.dtype) for c in columns))


@mistake("layer_statistics", hint="""
    The gradient passes the weights but not the activation: multiply by its slope at z on the way
    from h to z.""", anchor="backward-variance")
def slope_left_out_on_the_way_back(x, params, dy, *, activation="relu"):
    def act(z):
        return {"relu": np.maximum(z, 0), "tanh": np.tanh(z), "identity": z}[activation]

    def slope(z):
        return {"relu": z > 0, "tanh": 1 - np.tanh(z) ** 2, "identity": z == z}[activation]

    h, zs, hs, squares = x, [], [], []
    for w, b in params:
        zs.append(h @ w + b)
        h = act(zs[-1])
        hs.append(h)
    dh = dy
    for w, _ in params[::-1]:
        squares.append(np.mean(dh**2))
        dh = dh @ w.T
    columns = ([z.var() for z in zs], [np.mean(h**2) for h in hs],
               [np.mean((slope(z) == 0).all(axis=0)) for z in zs], squares[::-1])
    return LayerStatistics(*(np.array(c, dtype=x.dtype) for c in columns))


@mistake("layer_statistics", hint="""
    The gradients are listed last layer first. Backward visits the layers in that order, but the
    result starts with the first one, as the other three do.""")
def gradients_last_layer_first(x, params, dy, *, activation="relu"):
    def act(z):
        return {"relu": np.maximum(z, 0), "tanh": np.tanh(z), "identity": z}[activation]

    def slope(z):
        return {"relu": z > 0, "tanh": 1 - np.tanh(z) ** 2, "identity": z == z}[activation]

    h, zs, hs, squares = x, [], [], []
    for w, b in params:
        zs.append(h @ w + b)
        h = act(zs[-1])
        hs.append(h)
    dh = dy
    for (w, _), z in zip(params[::-1], zs[::-1], strict=True):
        squares.append(np.mean(dh**2))
        dh = (dh * slope(z)) @ w.T
    columns = ([z.var() for z in zs], [np.mean(h**2) for h in hs],
               [np.mean((slope(z) == 0).all(axis=0)) for z in zs], squares)
    return LayerStatistics(*(np.array(c, dtype=x.dtype) for c in columns))


@mistake("layer_statistics", hint="""
    Your gradients belong to z, one step further back than asked. The gradient with respect to the
    output h comes first: for the last layer it is `dy` itself.""")
def gradient_of_the_sums(x, params, dy, *, activation="relu"):
    def act(z):
        return {"relu": np.maximum(z, 0), "tanh": np.tanh(z), "identity": z}[activation]

    def slope(z):
        return {"relu": z > 0, "tanh": 1 - np.tanh(z) ** 2, "identity": z == z}[activation]

    h, zs, hs, squares = x, [], [], []
    for w, b in params:
        zs.append(h @ w + b)
        h = act(zs[-1])
        hs.append(h)
    dh = dy
    for (w, _), z in zip(params[::-1], zs[::-1], strict=True):
        dz = dh * slope(z)
        squares.append(np.mean(dz**2))
        dh = dz @ w.T
    columns = ([z.var() for z in zs], [np.mean(h**2) for h in hs],
               [np.mean((slope(z) == 0).all(axis=0)) for z in zs], squares[::-1])
    return LayerStatistics(*(np.array(c, dtype=x.dtype) for c in columns))


@mistake("layer_statistics", hint="""
    The gradients are sums of squares. They grow with the batch and the width; the mean over all
    entries can be compared from layer to layer.""")
def sum_of_squared_gradients(x, params, dy, *, activation="relu"):
    def act(z):
        return {"relu": np.maximum(z, 0), "tanh": np.tanh(z), "identity": z}[activation]

    def slope(z):
        return {"relu": z > 0, "tanh": 1 - np.tanh(z) ** 2, "identity": z == z}[activation]

    h, zs, hs, squares = x, [], [], []
    for w, b in params:
        zs.append(h @ w + b)
        h = act(zs[-1])
        hs.append(h)
    dh = dy
    for (w, _), z in zip(params[::-1], zs[::-1], strict=True):
        squares.append(np.sum(dh**2))
        dh = (dh * slope(z)) @ w.T
    columns = ([z.var() for z in zs], [np.mean(h**2) for h in hs],
               [np.mean((slope(z) == 0).all(axis=0)) for z in zs], squares[::-1])
    return LayerStatistics(*(np.array(c, dtype=x.dtype) for c in columns))
