"""Known mistakes of chapter 1 that exist only in PyTorch."""

import torch
from torch import nn

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- append_ones


@mistake("append_ones", hint="""
    Without a dtype torch.ones makes float32, so float16 input comes back as float32. Take dtype
    and device from x.""")
def ones_of_the_default_dtype(x):
    return torch.cat([x, torch.ones(x.shape[0], 1, device=x.device)], dim=1)


@mistake("append_ones", hint="""
    The ones are made on the CPU. As soon as x is on another device, the two can't be joined.
    Make them where x is.""")
def ones_on_the_cpu(x):
    return torch.cat([x, torch.ones(x.shape[0], 1, dtype=x.dtype)], dim=1)


@mistake("append_ones", hint="""
    The column of ones comes first. The docstring puts it last, where the bias follows the
    weights.""")
def ones_in_front(x):
    return torch.cat([x.new_ones(x.shape[0], 1), x], dim=1)


@mistake("append_ones", hint="""
    The new column holds zeros. A weight on an input that is always 0 can't act as a bias.""")
def zeros_appended(x):
    return torch.cat([x, x.new_zeros(x.shape[0], 1)], dim=1)


@mistake("append_ones", anchor="neuron-pytorch", hint="""
    No gradient reaches x, so backward() has nothing to do. Detaching, .data, or torch.tensor(x)
    cut the graph: use x itself.""")
def graph_cut(x):
    ones = x.new_ones(x.shape[0], 1)
    return torch.cat([x.detach(), ones], dim=1)


# ---------------------------------------------------------------- LinearNeuron


@mistake("LinearNeuron", hint="""
    The module has no parameter called weight: a plain tensor as an attribute is invisible to
    PyTorch. Wrap it so that it is registered.""")
class WeightsArePlainTensors(nn.Module):
    def __init__(self, in_features):
        super().__init__()
        self.weight = torch.zeros(in_features)
        self.bias = torch.zeros(())

    def forward(self, x):
        return x @ self.weight + self.bias


@mistake("LinearNeuron", hint="""
    Your parameters are called linear.weight and linear.bias, because they belong to an
    nn.Linear inside. This task asks for two parameters of the module's own, weight and bias.""")
class LinearInside(nn.Module):
    def __init__(self, in_features):
        super().__init__()
        self.linear = nn.Linear(in_features, 1)

    def forward(self, x):
        return self.linear(x).squeeze(1)


@mistake("LinearNeuron", anchor="neuron-forward", hint="""
    The bias is registered and never used: its gradient is 0 whatever comes in. Add it in
    forward.""")
class BiasNotAdded(nn.Module):
    def __init__(self, in_features):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(in_features))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x @ self.weight


@mistake("LinearNeuron", anchor="logistic-neuron", hint="""
    Your forward applies the step, whose slope is 0: no parameter gets a gradient. Return the
    weighted sum, and leave the step to predict_classes.""")
class StepInsideForward(nn.Module):
    def __init__(self, in_features):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(in_features))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return (x @ self.weight + self.bias >= 0).to(x.dtype)


@mistake("LinearNeuron", hint="""
    The sums are right, the gradients are all 0: something in forward cuts the graph. Look for
    .data, detach() or no_grad.""")
class SumWithoutGradient(nn.Module):
    def __init__(self, in_features):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(in_features))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x @ self.weight.detach() + self.bias.detach()


@mistake("LinearNeuron", hint="""
    A new neuron does not start at 0. The docstring fixes the start, so that two runs
    agree.""")
class StartsAtOne(nn.Module):
    def __init__(self, in_features):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(in_features))
        self.bias = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x @ self.weight + self.bias


@mistake("LinearNeuron", hint="""
    The result is (n, 1). One neuron gives one number a row: x (n, d) times weight (d,) is
    (n,).""")
class ColumnOfSums(nn.Module):
    def __init__(self, in_features):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(in_features))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x @ self.weight.unsqueeze(1) + self.bias


# ---------------------------------------------------------------- predict_classes


@mistake("predict_classes", anchor="logistic-neuron", hint="""
    The classes are right, but the forward pass records a graph that nobody needs: it costs
    memory and time. Switch recording off around the call of the model.""")
def gradients_recorded(model, x):
    z = model(x)
    return (z >= 0).long() if z.ndim == 1 else z.argmax(dim=1)


@mistake("predict_classes", hint="""
    You compare the sums with 0.5. That is the threshold for a probability; for a weighted sum it
    is 0.""")
def threshold_for_probabilities(model, x):
    with torch.no_grad():
        z = model(x)
    return (z >= 0.5).long() if z.ndim == 1 else z.argmax(dim=1)


@mistake("predict_classes", anchor="neuron-forward", hint="""
    Only sums of exactly 0 differ. In this course they belong to class 1.""")
def zero_belongs_to_class_0(model, x):
    with torch.no_grad():
        z = model(x)
    return (z > 0).long() if z.ndim == 1 else z.argmax(dim=1)


@mistake("predict_classes", hint="""
    With several classes you search down the rows. Each row wants its own largest sum: which
    axis holds the classes?""")
def largest_over_the_rows(model, x):
    with torch.no_grad():
        z = model(x)
    return (z >= 0).long() if z.ndim == 1 else z.argmax(dim=0)


@mistake("predict_classes", hint="""
    One output works, several don't: comparing (n, k) sums with 0 gives k answers a row. For one
    of k classes take the index of the largest.""")
def threshold_for_every_class(model, x):
    with torch.no_grad():
        return (model(x) >= 0).long()


@mistake("predict_classes", hint="""
    With several classes you return the largest sum itself. The class is its index.""")
def largest_sum_returned(model, x):
    with torch.no_grad():
        z = model(x)
    return (z >= 0).long() if z.ndim == 1 else z.max(dim=1).values


# ---------------------------------------------------------------- perceptron_step


@mistake("perceptron_step", anchor="neuron-pytorch", hint="""
    PyTorch refuses to change a parameter in place while it records. The update is no part of
    the computation that is differentiated: switch recording off around it.""")
def update_while_recording(neuron, x, t, *, learning_rate=1.0):
    step = t - int(neuron(x.unsqueeze(0))[0] >= 0)
    neuron.weight += learning_rate * step * x
    neuron.bias += learning_rate * step
    return step != 0


@mistake("perceptron_step", hint="""
    You put new parameters in place of the old ones. Whoever holds the old ones, an optimiser
    for example, sees no change: write into the existing tensors.""")
def parameters_replaced(neuron, x, t, *, learning_rate=1.0):
    with torch.no_grad():
        step = t - int(neuron(x.unsqueeze(0))[0] >= 0)
        neuron.weight = nn.Parameter(neuron.weight + learning_rate * step * x)
        neuron.bias = nn.Parameter(neuron.bias + learning_rate * step)
    return step != 0


@mistake("perceptron_step", hint="""
    The step goes the wrong way: for a missed 1 the sum must rise. Look at the order of t and y
    in the rule.""")
def step_with_wrong_sign(neuron, x, t, *, learning_rate=1.0):
    with torch.no_grad():
        step = int(neuron(x.unsqueeze(0))[0] >= 0) - t
        neuron.weight += learning_rate * step * x
        neuron.bias += learning_rate * step
    return step != 0


@mistake("perceptron_step", hint="""
    The weights learn, the bias does not. It follows the same rule, with an input of 1.""")
def bias_left_out(neuron, x, t, *, learning_rate=1.0):
    with torch.no_grad():
        step = t - int(neuron(x.unsqueeze(0))[0] >= 0)
        neuron.weight += learning_rate * step * x
    return step != 0


@mistake("perceptron_step", hint="""
    The neuron also changes when it was right. What is t - y then?""")
def step_on_correct_points(neuron, x, t, *, learning_rate=1.0):
    with torch.no_grad():
        neuron.weight += learning_rate * (2 * t - 1) * x
        neuron.bias += learning_rate * (2 * t - 1)
    return True


@mistake("perceptron_step", hint="""
    The update is right; the function returns nothing. The caller needs to know whether the
    neuron was wrong, to count errors.""")
def nothing_returned(neuron, x, t, *, learning_rate=1.0):
    with torch.no_grad():
        step = t - int(neuron(x.unsqueeze(0))[0] >= 0)
        neuron.weight += learning_rate * step * x
        neuron.bias += learning_rate * step


@mistake("perceptron_step", hint="""
    The step ignores learning_rate: it is right for the default 1 only.""")
def step_ignores_learning_rate(neuron, x, t, *, learning_rate=1.0):
    with torch.no_grad():
        step = t - int(neuron(x.unsqueeze(0))[0] >= 0)
        neuron.weight += step * x
        neuron.bias += step
    return step != 0
