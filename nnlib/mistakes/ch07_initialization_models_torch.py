"""Known mistakes of chapter 7's PyTorch exercises: models initialised and looked into."""

import math

import torch
from torch import nn

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- init_model


@mistake("init_model", hint="""
    Layers inside of layers keep their old weights: `children()` lists one level only. Another
    method walks through all of them.""")
def one_level_only(model, *, generator):
    for module in [model, *model.children()]:
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif (isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm)
                and module.weight is not None):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


@mistake("init_model", hint="""
    Your weights are scaled by fan_out. The variance asked for is 2 / fan_in, which is also what
    nn.init takes if you don't say otherwise.""", anchor="fans")
def scaled_by_fan_out(model, *, generator):
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif (isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm)
                and module.weight is not None):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


@mistake("init_model", hint="""
    Your weights have variance 1 / fan_in: the gain for ReLU is missing. What does ReLU do to the
    mean square?""", anchor="half-of-relu")
def gain_of_relu_missing(model, *, generator):
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif (isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm)
                and module.weight is not None):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


@mistake("init_model", hint="""
    Your weights are much too small: Kaiming's functions take `a`, the slope of a leaky ReLU, and
    with `a=math.sqrt(5)`, as in nn.Linear itself, the variance is a sixth of the right one.""",
         anchor="torch-default")
def default_of_nn_linear(model, *, generator):
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif (isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm)
                and module.weight is not None):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


@mistake("init_model", hint="""
    The spread is right, but the weights are uniform. nn.init has each scheme twice; take the one
    whose name ends in `normal_`.""")
def uniform_instead_of_normal(model, *, generator):
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif (isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm)
                and module.weight is not None):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


@mistake("init_model", hint="""
    The generator isn't used: the same seed gives other weights each time. Without it, nn.init
    draws from PyTorch's global one.""")
def generator_not_passed_on(model, *, generator):
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif (isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm)
                and module.weight is not None):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


@mistake("init_model", hint="""
    The normalization layers keep what they had. Their scale must be 1 and their shift 0, so that
    at the start they only normalise.""")
def normalization_forgotten(model, *, generator):
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


@mistake("init_model", hint="""
    You fill every array with two axes or more, whatever layer it belongs to: an embedding is
    drawn anew too. Go by the type of the module, not by the shape of the parameter.""")
def by_shape_instead_of_type(model, *, generator):
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
            nn.init.zeros_(module.bias)
        elif (isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm)
                and module.weight is not None):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


# ---------------------------------------------------------------- output_mean_squares


@mistake("output_mean_squares", hint="""
    Your hooks stay in the model: every later call runs them again. `register_forward_hook`
    returns a handle with a method that takes the hook away.""")
def hooks_left_in_the_model(model, x):
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.register_forward_hook(
                lambda m, inputs, y, name=name: found.update({name: float((y**2).mean())}))
    with torch.no_grad():
        model(x)
    return found


@mistake("output_mean_squares", hint="""
    The hooks are removed after the call, but where the model raises an error that line is never
    reached. Which statement runs its block in either case?""")
def hooks_left_after_an_error(model, x):
    found, handles = {}, []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            handles.append(module.register_forward_hook(
                lambda m, inputs, y, name=name: found.update({name: float((y**2).mean())})))
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return found


@mistake("output_mean_squares", hint="""
    You measure what goes *into* the layers. A forward hook gets module, inputs, output, in this
    order.""")
def inputs_measured(model, x):
    found, handles = {}, []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            handles.append(module.register_forward_hook(
                lambda m, inputs, y, name=name: found.update({name: float((inputs[0]**2).mean())})))
    try:
        with torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return found


@mistake("output_mean_squares", hint="""
    These are variances: the mean is taken off. The mean square is asked for, with the mean in
    it.""", anchor="forward-variance")
def variances_measured(model, x):
    found, handles = {}, []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            handles.append(module.register_forward_hook(
                lambda m, inputs, y, name=name: found.update({name: float(y.var(correction=0))})))
    try:
        with torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return found


@mistake("output_mean_squares", hint="""
    Layers inside of other modules are missing: `named_children()` lists one level only.""")
def nested_layers_missed(model, x):
    found, handles = {}, []
    for name, module in model.named_children():
        if isinstance(module, nn.Linear | nn.Conv2d):
            handles.append(module.register_forward_hook(
                lambda m, inputs, y, name=name: found.update({name: float((y**2).mean())})))
    try:
        with torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return found


@mistake("output_mean_squares", hint="""
    All your hooks write under the same name, that of the last layer: a function made in a loop
    sees the variable's last value. Give the name to the hook when you make it.""")
def name_of_the_last_layer(model, x):
    found, handles, current = {}, [], {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            current["name"] = name
            handles.append(module.register_forward_hook(
                lambda m, inputs, y: found.update({current["name"]: float((y**2).mean())})))
    try:
        with torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return found


@mistake("output_mean_squares", hint="""
    You switch the model to evaluation mode and leave it there. Looking at a model should change
    nothing in it; here no switch is needed.""")
def left_in_evaluation_mode(model, x):
    found, handles = {}, []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            handles.append(module.register_forward_hook(
                lambda m, inputs, y, name=name: found.update({name: float((y**2).mean())})))
    try:
        model.eval()
        with torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return found
