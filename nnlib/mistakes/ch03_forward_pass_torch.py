"""Known mistakes of chapter 3's PyTorch exercises."""

from itertools import pairwise

import numpy as np
import torch
from torch import nn

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- apply_linear


@mistake("apply_linear", hint="""
    `weight` has one *row* for each output, so it must be transposed before the product. With a
    square weight the shapes fit either way; the numbers don't.""")
def weight_not_transposed(x, weight, bias=None):
    y = x @ weight
    return y if bias is None else y + bias


@mistake("apply_linear", anchor="bias-broadcast", hint="""
    The bias is turned into a column and added along the rows. Each output has its own bias: shapes
    are aligned on the right, and the last axis of y counts the outputs.""")
def bias_as_a_column(x, weight, bias=None):
    y = x @ weight.T
    return y if bias is None else y + bias[:, None]


@mistake("apply_linear", hint="""
    The leading axes are merged into one. Only the last axis changes; (2, 5, d_in) becomes
    (2, 5, d_out), and a single example (d_in,) becomes (d_out,).""")
def leading_axes_merged(x, weight, bias=None):
    y = x.reshape(-1, x.shape[-1]) @ weight.T
    return y if bias is None else y + bias


@mistake("apply_linear", hint="""
    The bias never enters. It is None by default, but where it is given it is added.""")
def bias_never_added(x, weight, bias=None):
    return x @ weight.T


@mistake("apply_linear", hint="""
    Without a bias your function fails: `bias` is None then, and nothing can be added.""")
def bias_taken_for_granted(x, weight, bias=None):
    return x @ weight.T + bias


@mistake("apply_linear", hint="""
    The numbers are right, but the weights are detached: no gradient reaches them, so they would
    never learn. Compute with the tensors that came in.""")
def weights_detached(x, weight, bias=None):
    y = x @ weight.detach().T
    return y if bias is None else y + bias.detach()


# ---------------------------------------------------------------- numpy_to_state_dict


@mistake("numpy_to_state_dict", hint="""
    The weights are still (d_in, d_out). `nn.Linear` keeps one row for each output. A square layer
    would load without complaint and compute something else.""")
def weights_left_as_they_are(params):
    state = {}
    for i, (w, b) in enumerate(params):
        state[f"{2 * i}.weight"] = torch.from_numpy(w)
        if b is not None:
            state[f"{2 * i}.bias"] = torch.from_numpy(b)
    return state


@mistake("numpy_to_state_dict", hint="""
    The shape is right, the numbers are in the wrong places: `reshape` reads them row by row. To
    exchange rows and columns is something else.""")
def reshaped_instead_of_transposed(params):
    state = {}
    for i, (w, b) in enumerate(params):
        state[f"{2 * i}.weight"] = torch.from_numpy(w).reshape(w.shape[1], w.shape[0])
        if b is not None:
            state[f"{2 * i}.bias"] = torch.from_numpy(b)
    return state


@mistake("numpy_to_state_dict", hint="""
    The layers are numbered 0, 1, 2, … but in `nn.Sequential` every module counts, the ReLUs too.
    Print the keys of such a model's state_dict.""")
def relus_not_counted(params):
    state = {}
    for i, (w, b) in enumerate(params):
        state[f"{i}.weight"] = torch.from_numpy(w.T.copy())
        if b is not None:
            state[f"{i}.bias"] = torch.from_numpy(b)
    return state


@mistake("numpy_to_state_dict", hint="""
    The entries are called w and b. PyTorch's layers call them weight and bias, and load_state_dict
    goes by names.""")
def names_of_the_course(params):
    state = {}
    for i, (w, b) in enumerate(params):
        state[f"{2 * i}.w"] = torch.from_numpy(w.T.copy())
        if b is not None:
            state[f"{2 * i}.b"] = torch.from_numpy(b)
    return state


@mistake("numpy_to_state_dict", hint="""
    A layer without bias gets an entry of zeros. `nn.Linear(..., bias=False)` has no such name, and
    load_state_dict refuses it.""")
def zeros_for_a_missing_bias(params):
    state = {}
    for i, (w, b) in enumerate(params):
        state[f"{2 * i}.weight"] = torch.from_numpy(w.T.copy())
        state[f"{2 * i}.bias"] = torch.from_numpy(np.zeros(w.shape[1], w.dtype) if b is None else b)
    return state


@mistake("numpy_to_state_dict", hint="""
    Everything becomes float32. `torch.from_numpy` and `torch.as_tensor` keep the type of the array;
    `torch.Tensor` and `.float()` don't.""")
def everything_in_single_precision(params):
    state = {}
    for i, (w, b) in enumerate(params):
        state[f"{2 * i}.weight"] = torch.Tensor(w.T.copy())
        if b is not None:
            state[f"{2 * i}.bias"] = torch.Tensor(b)
    return state


@mistake("numpy_to_state_dict", hint="""
    The values are still NumPy arrays. A state holds tensors: convert each of them.""")
def arrays_not_converted(params):
    state = {}
    for i, (w, b) in enumerate(params):
        state[f"{2 * i}.weight"] = w.T
        if b is not None:
            state[f"{2 * i}.bias"] = b
    return state


# ---------------------------------------------------------------- DeepNet


@mistake("DeepNet", hint="""
    The layers stand in a plain Python list, which PyTorch does not look into: parameters() is
    empty, nothing is trained, moved or saved. There is a list made for modules.""")
class LayersInAPlainList(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


@mistake("DeepNet", anchor="activation-after-the-last-layer", hint="""
    A ReLU follows the last layer too: no score can be negative, and where it cuts no gradient
    flows. The last layer's result is returned as it is.""")
class ReluAfterTheLastLayer(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x


@mistake("DeepNet", anchor="mlp-forward", hint="""
    No activation stands between the layers, so the network is one linear layer in disguise.""")
class NoActivation(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


@mistake("DeepNet", anchor="mlp-forward", hint="""
    The ReLU comes before each layer, the first one included: negative *inputs* are lost.""")
class ReluOnTheInputs(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x):
        for layer in self.layers:
            x = layer(torch.relu(x))
        return x


@mistake("DeepNet", anchor="predict-proba", hint="""
    Softmax is part of your network. The loss functions of PyTorch take scores and apply it
    themselves: applied twice it flattens the probabilities.""")
class SoftmaxInTheNetwork(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return torch.softmax(self.layers[-1](x), dim=-1)


@mistake("DeepNet", hint="""
    Everything after the first axis is flattened into one row. `nn.Linear` takes any leading shape;
    leave the axes as they are.""")
class InputFlattened(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x):
        x = x.flatten(1)
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


@mistake("DeepNet", hint="""
    `layers` holds one layer too few: the sizes pair up as (s0, s1), (s1, s2), … and the last pair
    leads to the outputs.""")
class LastLayerMissing(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes[:-1]))

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x


# ---------------------------------------------------------------- count_trainable


@mistake("count_trainable", hint="""
    Frozen parameters are counted. An optimiser can't change what requires no gradient.""")
def frozen_ones_counted(model):
    return sum(p.numel() for p in model.parameters())


@mistake("count_trainable", hint="""
    The state holds buffers too, such as the running statistics of batch normalization. They are
    saved, but no optimiser learns them.""")
def whole_state_counted(model):
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    return sum(value.numel() for value in model.state_dict().values()) - frozen


@mistake("count_trainable", hint="""
    Biases are left out: they have one axis, and they are learned too.""")
def matrices_only(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad and p.ndim > 1)


@mistake("count_trainable", hint="""
    You count tensors. Each holds many numbers.""")
def tensors_counted(model):
    return len([p for p in model.parameters() if p.requires_grad])


@mistake("count_trainable", hint="""
    Only direct children are visited, so a network inside a network is missed. `parameters()` goes
    all the way down by itself.""")
def direct_children_only(model):
    children = list(model.children()) or [model]
    return sum(p.numel() for child in children
               for p in child.parameters(recurse=False) if p.requires_grad)


@mistake("count_trainable", hint="""
    Only `nn.Linear` layers are counted. Other layers, such as normalization, learn numbers too.""")
def linear_layers_only(model):
    return sum(p.numel() for module in model.modules() if isinstance(module, nn.Linear)
               for p in module.parameters() if p.requires_grad)


# ---------------------------------------------------------------- class_probabilities


@mistake("class_probabilities", hint="""
    The model is asked in the mode in which it came. In training mode dropout still drops and batch
    norm uses the batch: switch to evaluation mode first.""")
def evaluation_mode_forgotten(model, x):
    with torch.no_grad():
        return torch.softmax(model(x), dim=-1)


@mistake("class_probabilities", hint="""
    The probabilities are right, but a graph is recorded that nobody needs: it keeps every
    activation in memory. There is a context for asking without recording.""")
def graph_recorded(model, x):
    was_training = model.training
    model.eval()
    p = torch.softmax(model(x), dim=-1)
    model.train(was_training)
    return p


@mistake("class_probabilities", hint="""
    Afterwards the model stays in evaluation mode, and the rest of the training would run without
    dropout. Put back the mode that it had.""")
def left_in_evaluation_mode(model, x):
    model.eval()
    with torch.no_grad():
        return torch.softmax(model(x), dim=-1)


@mistake("class_probabilities", hint="""
    You always leave the model in training mode. It may have come in evaluation mode: remember what
    it was.""")
def always_put_into_training_mode(model, x):
    model.eval()
    with torch.no_grad():
        p = torch.softmax(model(x), dim=-1)
    model.train()
    return p


@mistake("class_probabilities", anchor="predict-proba", hint="""
    Softmax runs over the examples: the columns sum to 1. The classes stand on the last axis.""")
def softmax_over_the_examples(model, x):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        p = torch.softmax(model(x), dim=0)
    model.train(was_training)
    return p


@mistake("class_probabilities", anchor="predict-proba", hint="""
    Softmax runs over axis 1. That is the last axis of a matrix, but not of a batch of sequences.
    Count from the end.""")
def softmax_over_axis_one(model, x):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        p = torch.softmax(model(x), dim=1)
    model.train(was_training)
    return p


@mistake("class_probabilities", anchor="predict-proba", hint="""
    These are the scores, not probabilities: they can be negative and their sum is anything.""")
def scores_returned(model, x):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        scores = model(x)
    model.train(was_training)
    return scores


@mistake("class_probabilities", anchor="predict-proba", hint="""
    Right for ordinary scores, nan for large ones: exp overflows. `torch.softmax` guards against
    that.""")
def exp_without_a_guard(model, x):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        e = model(x).exp()
    model.train(was_training)
    return e / e.sum(dim=-1, keepdim=True)
