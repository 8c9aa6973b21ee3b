"""Known mistakes of chapter 14: the scores of a LeNet, a training step, maps of where it looks."""

import numpy as np

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- lenet_scores


@mistake("lenet_scores", hint="""
    Your row runs through the channels last, as if the images were (n, h, w, c). Here the channel
    comes first: all places of map 0, then all of map 1. The sizes agree either way, so nothing
    complains, and every weight meets a number that it wasn't learnt for.""",
         anchor="flatten-order")
def channels_last_when_flattened(x, params, *, conv2d, max_pool2d):
    h = x
    for name, padding in (("conv1", 2), ("conv2", 0)):
        z = conv2d(h, params[f"{name}.w"], params[f"{name}.b"], padding=padding)
        h = max_pool2d(np.maximum(z, 0), kernel_size=2)
    h = h.transpose(0, 2, 3, 1).reshape(len(x), np.prod(h.shape[1:]))
    for name in ("fc1", "fc2"):
        h = np.maximum(h @ params[f"{name}.w"] + params[f"{name}.b"], 0)
    return h @ params["fc3.w"] + params["fc3.b"]


@mistake("lenet_scores", hint="""
    You flatten each map column by column. Within a map the order is that of reading: row 0 from
    left to right, then row 1. In NumPy's own order no axis needs to be moved.""",
         anchor="flatten-order")
def columns_before_rows_when_flattened(x, params, *, conv2d, max_pool2d):
    h = x
    for name, padding in (("conv1", 2), ("conv2", 0)):
        z = conv2d(h, params[f"{name}.w"], params[f"{name}.b"], padding=padding)
        h = max_pool2d(np.maximum(z, 0), kernel_size=2)
    h = h.transpose(0, 1, 3, 2).reshape(len(x), np.prod(h.shape[1:]))
    for name in ("fc1", "fc2"):
        h = np.maximum(h @ params[f"{name}.w"] + params[f"{name}.b"], 0)
    return h @ params["fc3.w"] + params["fc3.b"]


@mistake("lenet_scores", hint="""
    Your row is made of numbers of several images: the axis of examples was moved before you
    flattened. Each image becomes one row of its own, so the first axis stays first.""",
         anchor="flatten-order")
def examples_mixed_when_flattened(x, params, *, conv2d, max_pool2d):
    h = x
    for name, padding in (("conv1", 2), ("conv2", 0)):
        z = conv2d(h, params[f"{name}.w"], params[f"{name}.b"], padding=padding)
        h = max_pool2d(np.maximum(z, 0), kernel_size=2)
    h = h.transpose(1, 0, 2, 3).reshape(len(x), np.prod(h.shape[1:]))
    for name in ("fc1", "fc2"):
        h = np.maximum(h @ params[f"{name}.w"] + params[f"{name}.b"], 0)
    return h @ params["fc3.w"] + params["fc3.b"]


@mistake("lenet_scores", hint="""
    There is a ReLU behind the last layer. Scores may be negative: cut off at 0, all classes that
    the network rules out look alike.""")
def relu_on_the_scores(x, params, *, conv2d, max_pool2d):
    h = x
    for name, padding in (("conv1", 2), ("conv2", 0)):
        z = conv2d(h, params[f"{name}.w"], params[f"{name}.b"], padding=padding)
        h = max_pool2d(np.maximum(z, 0), kernel_size=2)
    h = h.reshape(len(x), np.prod(h.shape[1:]))
    for name in ("fc1", "fc2", "fc3"):
        h = np.maximum(h @ params[f"{name}.w"] + params[f"{name}.b"], 0)
    return h


@mistake("lenet_scores", hint="""
    No ReLU follows your convolutions. Without one, the two of them could almost be replaced by a
    single one: only the pooling between them bends anything.""")
def convolutions_without_relu(x, params, *, conv2d, max_pool2d):
    h = x
    for name, padding in (("conv1", 2), ("conv2", 0)):
        z = conv2d(h, params[f"{name}.w"], params[f"{name}.b"], padding=padding)
        h = max_pool2d(z, kernel_size=2)
    h = h.reshape(len(x), np.prod(h.shape[1:]))
    for name in ("fc1", "fc2"):
        h = np.maximum(h @ params[f"{name}.w"] + params[f"{name}.b"], 0)
    return h @ params["fc3.w"] + params["fc3.b"]


@mistake("lenet_scores", hint="""
    No ReLU stands between your linear layers: three matrix products without a bend between them
    are one matrix product.""")
def linear_layers_without_relu(x, params, *, conv2d, max_pool2d):
    h = x
    for name, padding in (("conv1", 2), ("conv2", 0)):
        z = conv2d(h, params[f"{name}.w"], params[f"{name}.b"], padding=padding)
        h = max_pool2d(np.maximum(z, 0), kernel_size=2)
    h = h.reshape(len(x), np.prod(h.shape[1:]))
    for name in ("fc1", "fc2", "fc3"):
        h = h @ params[f"{name}.w"] + params[f"{name}.b"]
    return h


@mistake("lenet_scores", hint="""
    You return probabilities. The function is asked for scores: the loss takes these, and does the
    softmax itself.""")
def probabilities_for_scores(x, params, *, conv2d, max_pool2d):
    h = x
    for name, padding in (("conv1", 2), ("conv2", 0)):
        z = conv2d(h, params[f"{name}.w"], params[f"{name}.b"], padding=padding)
        h = max_pool2d(np.maximum(z, 0), kernel_size=2)
    h = h.reshape(len(x), np.prod(h.shape[1:]))
    for name in ("fc1", "fc2"):
        h = np.maximum(h @ params[f"{name}.w"] + params[f"{name}.b"], 0)
    s = h @ params["fc3.w"] + params["fc3.b"]
    e = np.exp(s - s.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# ---------------------------------------------------------------- class_activation_maps


@mistake("class_activation_maps", hint="""
    Every image gets the map of the same class, the first label's. Each one asks about a class of
    its own: pick one column of w for each label.""")
def first_label_for_all(features, w, labels):
    if len(labels) == 0:
        return features[:, 0]
    return np.einsum("c,nchw->nhw", w[:, labels[0]], features)


@mistake("class_activation_maps", hint="""
    You add up the channels without the weights of the class. Then the map is the same whichever
    class is asked about.""")
def channels_added_without_weights(features, w, labels):
    return features.sum(axis=1)


@mistake("class_activation_maps", hint="""
    You take the mean over the channels. The class's score adds them up, each with its weight, so
    the map does, too: only then its mean over the places is the score.""")
def mean_over_the_channels(features, w, labels):
    return np.mean(w[:, labels].T[:, :, None, None] * features, axis=1)


@mistake("class_activation_maps", hint="""
    Negative places are cut off. That ReLU belongs to Grad-CAM; here a place that speaks against
    the class counts with its sign, and the mean of the map is the score.""", anchor="grad-cam")
def map_with_a_relu(features, w, labels):
    return np.maximum(np.einsum("nc,nchw->nhw", w.T[labels], features), 0)


@mistake("class_activation_maps", hint="""
    The labels pick rows of your w, and rows are channels. A class is a column.""")
def row_for_the_class(features, w, labels):
    return np.einsum("nc,nchw->nhw", w[labels], features)


@mistake("class_activation_maps", hint="""
    Your map is divided by the number of places. It isn't pooled yet: its *mean* over the places
    is the score.""")
def map_divided_by_the_places(features, w, labels):
    places = features.shape[2] * features.shape[3]
    return np.einsum("nc,nchw->nhw", w.T[labels], features) / places


# ---------------------------------------------------------------- grad_cam


@mistake("grad_cam", hint="""
    The ReLU at the end is missing. Places that speak against the class are to be 0, not negative:
    they speak for another class, and the map asks about this one.""")
def map_without_the_relu(features, grads):
    return np.einsum("nc,nchw->nhw", grads.mean(axis=(2, 3)), features)


@mistake("grad_cam", hint="""
    You average the gradients over the channels. Then all channels of a place weigh alike. The
    average goes over the *places* of each channel, so that every channel gets one weight.""")
def gradients_averaged_over_channels(features, grads):
    weights = grads.mean(axis=1, keepdims=True)
    return np.maximum((weights * features).sum(axis=1), 0)


@mistake("grad_cam", hint="""
    The gradients are added up over the places, not averaged: your maps are larger by the number of
    places. One map looks the same, maps of two layers can't be compared.""")
def gradients_summed(features, grads):
    weights = grads.sum(axis=(2, 3))
    return np.maximum(np.einsum("nc,nchw->nhw", weights, features), 0)


@mistake("grad_cam", hint="""
    Each place is weighted by its own gradient. Grad-CAM first averages the gradient over the
    places of a channel and gives the whole channel that one weight.""")
def gradient_of_each_place(features, grads):
    return np.maximum((grads * features).sum(axis=1), 0)


@mistake("grad_cam", hint="""
    One weight for a channel serves all images: your average also runs over the batch. Each image
    has gradients of its own.""")
def averaged_over_the_batch(features, grads):
    if len(grads) == 0:
        return features[:, 0]
    weights = grads.mean(axis=(0, 2, 3), keepdims=True)
    return np.maximum((weights * features).sum(axis=1), 0)


@mistake("grad_cam", hint="""
    The ReLU comes too early: you cut the weights of the channels before you add them up, so that
    no channel can speak against the class any more. It comes last, after the sum.""")
def relu_on_the_weights(features, grads):
    weights = np.maximum(grads.mean(axis=(2, 3)), 0)
    return np.einsum("nc,nchw->nhw", weights, features)


@mistake("grad_cam", hint="""
    You take the mean over the channels at the end. The channels are added up; only the gradients
    are averaged, over the places.""")
def channels_averaged(features, grads):
    weights = grads.mean(axis=(2, 3), keepdims=True)
    return np.maximum((weights * features).mean(axis=1), 0)


# ---------------------------------------------------------------- cnn_train_step


@mistake("cnn_train_step", hint="""
    The gradient passes your ReLU as if it weren't there. Where its input was not positive, nothing
    passes.""")
def relu_ignored_on_the_way_back(params, x, labels, *, learning_rate, conv2d_forward,
                                 conv2d_backward, softmax_cross_entropy):
    z, cache = conv2d_forward(x, params["conv.w"], params["conv.b"], padding=1)
    pooled = np.maximum(z, 0).mean(axis=(2, 3))
    loss, ds = softmax_cross_entropy(pooled @ params["head.w"] + params["head.b"], labels)
    dh = (ds @ params["head.w"].T)[:, :, None, None] / (z.shape[2] * z.shape[3])
    _, dw, db = conv2d_backward(dh * np.ones_like(z), cache)
    grads = {"conv.w": dw, "conv.b": db, "head.w": pooled.T @ ds, "head.b": ds.sum(axis=0)}
    return loss, {k: p - learning_rate * grads[k] for k, p in params.items()}


@mistake("cnn_train_step", hint="""
    A mean divides by the number of places, and so does its gradient. Yours gives the whole of it to
    every place: the filters learn many times too fast.""")
def mean_taken_for_a_sum(params, x, labels, *, learning_rate, conv2d_forward, conv2d_backward,
                         softmax_cross_entropy):
    z, cache = conv2d_forward(x, params["conv.w"], params["conv.b"], padding=1)
    pooled = np.maximum(z, 0).mean(axis=(2, 3))
    loss, ds = softmax_cross_entropy(pooled @ params["head.w"] + params["head.b"], labels)
    dh = (ds @ params["head.w"].T)[:, :, None, None]
    _, dw, db = conv2d_backward(dh * (z > 0), cache)
    grads = {"conv.w": dw, "conv.b": db, "head.w": pooled.T @ ds, "head.b": ds.sum(axis=0)}
    return loss, {k: p - learning_rate * grads[k] for k, p in params.items()}


@mistake("cnn_train_step", hint="""
    Only the last layer moves. The gradient has to go on, through the pooling and the ReLU, to the
    filters.""")
def filters_not_trained(params, x, labels, *, learning_rate, conv2d_forward, conv2d_backward,
                        softmax_cross_entropy):
    z, _ = conv2d_forward(x, params["conv.w"], params["conv.b"], padding=1)
    pooled = np.maximum(z, 0).mean(axis=(2, 3))
    loss, ds = softmax_cross_entropy(pooled @ params["head.w"] + params["head.b"], labels)
    grads = {"head.w": pooled.T @ ds, "head.b": ds.sum(axis=0)}
    new = {k: params[k] - learning_rate * g for k, g in grads.items()}
    return loss, {"conv.w": params["conv.w"].copy(), "conv.b": params["conv.b"].copy(), **new}


@mistake("cnn_train_step", hint="""
    Your step goes uphill: the gradient says where the loss grows.""")
def step_towards_a_larger_loss(params, x, labels, *, learning_rate, conv2d_forward,
                               conv2d_backward, softmax_cross_entropy):
    z, cache = conv2d_forward(x, params["conv.w"], params["conv.b"], padding=1)
    pooled = np.maximum(z, 0).mean(axis=(2, 3))
    loss, ds = softmax_cross_entropy(pooled @ params["head.w"] + params["head.b"], labels)
    dh = (ds @ params["head.w"].T)[:, :, None, None] / (z.shape[2] * z.shape[3])
    _, dw, db = conv2d_backward(dh * (z > 0), cache)
    grads = {"conv.w": dw, "conv.b": db, "head.w": pooled.T @ ds, "head.b": ds.sum(axis=0)}
    return loss, {k: p + learning_rate * grads[k] for k, p in params.items()}


@mistake("cnn_train_step", hint="""
    The gradient is divided by the number of examples once more. The loss is a mean over them, and
    `dscores` carries that division already.""")
def divided_by_the_batch_again(params, x, labels, *, learning_rate, conv2d_forward,
                               conv2d_backward, softmax_cross_entropy):
    z, cache = conv2d_forward(x, params["conv.w"], params["conv.b"], padding=1)
    pooled = np.maximum(z, 0).mean(axis=(2, 3))
    loss, ds = softmax_cross_entropy(pooled @ params["head.w"] + params["head.b"], labels)
    ds = ds / len(x)
    dh = (ds @ params["head.w"].T)[:, :, None, None] / (z.shape[2] * z.shape[3])
    _, dw, db = conv2d_backward(dh * (z > 0), cache)
    grads = {"conv.w": dw, "conv.b": db, "head.w": pooled.T @ ds, "head.b": ds.sum(axis=0)}
    return loss, {k: p - learning_rate * grads[k] for k, p in params.items()}


@mistake("cnn_train_step", hint="""
    `-=` changes the arrays that the caller gave you, and the caller still needs them. Make new
    arrays.""")
def given_arrays_changed(params, x, labels, *, learning_rate, conv2d_forward, conv2d_backward,
                         softmax_cross_entropy):
    z, cache = conv2d_forward(x, params["conv.w"], params["conv.b"], padding=1)
    pooled = np.maximum(z, 0).mean(axis=(2, 3))
    loss, ds = softmax_cross_entropy(pooled @ params["head.w"] + params["head.b"], labels)
    dh = (ds @ params["head.w"].T)[:, :, None, None] / (z.shape[2] * z.shape[3])
    _, dw, db = conv2d_backward(dh * (z > 0), cache)
    grads = {"conv.w": dw, "conv.b": db, "head.w": pooled.T @ ds, "head.b": ds.sum(axis=0)}
    for k in params:
        params[k] -= learning_rate * grads[k]
    return loss, params
