"""Valid alternatives for the assignment 01-neurons: each must score full points.

Every function stands alone, given the imports of the notebook's setup cell. ``name__word`` is
for the NumPy notebook, ``name__torch__word`` for the PyTorch notebook.
"""

import numpy as np
import torch
from torch import nn

from nnlib.contract import PerceptronFit

# ---------------------------------------------------------------- NumPy


def neuron_forward__loop(x, w, b):
    y = np.zeros(len(x), dtype=int)
    for i in range(len(x)):
        z = b
        for j in range(len(w)):
            z += float(x[i, j]) * float(w[j])
        y[i] = 1 if z >= 0 else 0
    return y


def neuron_forward__heaviside(x, w, b):
    return np.heaviside(np.einsum("ij,j->i", x, w) + b, 1.0).astype(np.int32)


def neuron_forward__augmented(x, w, b):
    x_ones = np.column_stack([x, np.ones(len(x))])
    return 1 - (x_ones @ np.append(w, b) < 0).astype(np.int64)


def signed_distance__norm(x, w, b):
    return (np.einsum("ij,j->i", x, w) + b) / np.linalg.norm(w)


def signed_distance__unit_vector(x, w, b):
    length = np.sqrt(w @ w)
    return x @ (w / length) + b / length


def signed_distance__foot_of_the_perpendicular(x, w, b):
    foot = -b * w / (w @ w)
    return (x - foot) @ w / np.sqrt(w @ w)


def perceptron_update__cases(x, t, w, b, *, learning_rate=1.0):
    fires = np.dot(x, w) + b >= 0
    if fires and t == 0:
        return w - learning_rate * x, b - learning_rate
    if not fires and t == 1:
        return w + learning_rate * x, b + learning_rate
    return w.copy(), b


def perceptron_update__augmented(x, t, w, b, *, learning_rate=1.0):
    v, row = np.append(w, b), np.append(x, 1.0).astype(x.dtype)
    y = 1 if float((v * row).sum()) >= 0 else 0
    v = v + learning_rate * (t - y) * row
    return v[:-1].astype(w.dtype), b + learning_rate * (t - y)


def perceptron_fit__augmented(x, t, *, epochs=100, learning_rate=1.0):
    rows = np.hstack([x, np.ones((len(x), 1), dtype=x.dtype)])
    v = np.zeros(rows.shape[1], dtype=x.dtype)
    errors = []
    while len(errors) < epochs and (not errors or errors[-1] > 0):
        wrong = 0
        for row, target in zip(rows, t, strict=True):
            step = target - (row @ v >= 0)
            if step:
                v = v + (learning_rate * step * row).astype(x.dtype)
                wrong += 1
        errors.append(wrong)
    return PerceptronFit(v[:-1], float(v[-1]), errors)


def perceptron_fit__counts(x, t, *, epochs=100, learning_rate=1.0):
    # How often each row was added or subtracted says everything: the dual form.
    counts, errors = np.zeros(len(x)), []
    gram = (x @ x.T).astype(np.float64) + 1.0
    for _ in range(epochs):
        before = np.abs(counts).sum()
        updates = 0
        for i, target in enumerate(t):
            step = int(target) - int(counts @ gram[:, i] >= 0)
            counts[i] += step
            updates += abs(step)
        errors.append(updates)
        if updates == 0 and np.abs(counts).sum() == before:
            break
    w = (learning_rate * counts @ x.astype(np.float64)).astype(x.dtype)
    return w, learning_rate * float(counts.sum()), errors


def gate_neurons__large_numbers():
    return {
        "and": (np.array([20.0, 20.0]), -30.0),
        "or": (np.array([20.0, 20.0]), -10.0),
        "nand": (np.array([-20.0, -20.0]), 30.0),
    }


def gate_neurons__whole_numbers():
    return {"and": ((1, 1), -2), "or": ([2, 3], -2), "nand": [[-1, -1], 1]}


def gate_neurons__unequal_weights():
    return {
        "and": (np.array([0.3, 0.9], dtype=np.float32), np.float32(-1.0)),
        "or": (np.array([0.6, 0.5]), np.array([-0.4])),
        "nand": (np.array([-0.3, -0.9]), 1.0),
    }


def xor_forward__matrices(x):
    w = np.array([[1.0, -1.0], [1.0, -1.0]])
    h = (x @ w + np.array([-0.5, 1.5]) >= 0).astype(np.float64)
    return (h @ np.array([1.0, 1.0]) - 1.5 >= 0).astype(np.int64)


def xor_forward__one_but_not_the_other(x):
    # Each hidden neuron fires for one of the two inputs alone; the output neuron is OR.
    only_first = x[:, 0] - x[:, 1] - 0.5 >= 0
    only_second = x[:, 1] - x[:, 0] - 0.5 >= 0
    return (only_first.astype(int) + only_second.astype(int) - 0.5 >= 0).astype(int)


def xor_forward__loop(x):
    result = []
    for first, second in x.tolist():
        either = first + second - 0.5 >= 0
        both = first + second - 1.5 >= 0
        result.append(1 if either - 2 * both - 0.5 >= 0 else 0)
    return np.array(result, dtype=np.int64)


# ---------------------------------------------------------------- PyTorch


def append_ones__torch__ones_like(x):
    return torch.hstack([x, torch.ones_like(x[:, :1])])


def append_ones__torch__pad(x):
    return nn.functional.pad(x, (0, 1), value=1.0)


def append_ones__torch__device_and_dtype(x):
    column = torch.ones(len(x), 1, dtype=x.dtype, device=x.device)
    return torch.cat((x, column), dim=-1)


class LinearNeuron__torch__functional(nn.Module):
    def __init__(self, in_features):
        super().__init__()
        self.register_parameter("weight", nn.Parameter(torch.empty(in_features)))
        self.register_parameter("bias", nn.Parameter(torch.empty(())))
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x):
        z = nn.functional.linear(x, self.weight.unsqueeze(0))  # (n, 1)
        return z.squeeze(1) + self.bias


class LinearNeuron__torch__sum(nn.Module):
    def __init__(self, in_features):
        super().__init__()
        self.bias = nn.Parameter(torch.tensor(0.0))
        self.weight = nn.Parameter(torch.zeros(in_features))

    def forward(self, x):
        return (x * self.weight).sum(dim=1) + self.bias


def predict_classes__torch__inference_mode(model, x):
    with torch.inference_mode():
        z = model(x)
        if z.dim() == 2:
            return torch.argmax(z, dim=-1)
        return torch.where(z >= 0, 1, 0)


def predict_classes__torch__probabilities(model, x):
    with torch.no_grad():
        z = model(x)
    if z.ndim > 1:
        return torch.softmax(z, dim=1).max(dim=1).indices
    return (torch.sigmoid(z) >= 0.5).int()


def perceptron_step__torch__data(neuron, x, t, *, learning_rate=1.0):
    y = 1 if (neuron.weight.data * x).sum() + neuron.bias.data >= 0 else 0
    if y == t:
        return False
    sign = 1.0 if t == 1 else -1.0
    neuron.weight.data.add_(x, alpha=sign * learning_rate)
    neuron.bias.data.add_(sign * learning_rate)
    return True


def perceptron_step__torch__copy(neuron, x, t, *, learning_rate=1.0):
    output = (neuron(x[None, :]) >= 0).long().item()
    with torch.no_grad():
        neuron.weight.copy_(neuron.weight + learning_rate * (t - output) * x)
        neuron.bias.copy_(neuron.bias + learning_rate * (t - output))
    return output != t


class XorNet__torch__linear_layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.output = nn.Linear(2, 2), nn.Linear(2, 1)
        with torch.no_grad():
            self.hidden.weight.copy_(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))
            self.hidden.bias.copy_(torch.tensor([-0.5, 1.5]))
            self.output.weight.fill_(1.0)
            self.output.bias.fill_(-1.5)
        self.requires_grad_(False)

    def forward(self, x):
        h = (self.hidden(x) >= 0).to(x.dtype)
        return (self.output(h).squeeze(1) >= 0).to(x.dtype)


class XorNet__torch__differences(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("w", torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))
        self.register_buffer("b", torch.tensor(-0.5))

    def forward(self, x):
        h = torch.heaviside(x @ self.w + self.b, self.b.new_ones(()))
        return torch.heaviside(h.sum(dim=1) + self.b, self.b.new_ones(()))


def train_logistic_neuron__torch__module(x, t, *, steps, learning_rate):
    layer = nn.Linear(x.shape[1], 1).to(x)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(layer.parameters(), lr=learning_rate)
    loss_of = nn.BCEWithLogitsLoss()
    losses = []
    for _ in range(steps):
        loss = loss_of(layer(x).squeeze(1), t.to(x.dtype))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return layer.weight.detach().squeeze(0), layer.bias.detach().squeeze(0), losses


def train_logistic_neuron__torch__by_hand(x, t, *, steps, learning_rate):
    w, b, losses = x.new_zeros(x.shape[1]), x.new_zeros(()), []
    targets = t.to(x.dtype)
    for _ in range(steps):
        z = x @ w + b
        losses.append((nn.functional.softplus(z) - targets * z).mean().item())
        error = (torch.sigmoid(z) - targets) / len(x)
        w, b = w - learning_rate * (x.T @ error), b - learning_rate * error.sum()
    return w, b, losses
