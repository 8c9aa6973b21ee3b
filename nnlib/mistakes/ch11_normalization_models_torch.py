"""Known mistakes of chapter 11's PyTorch exercises on whole models: recalibrate, fold, freeze."""

import copy

import torch
from torch import nn

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- recalibrate


@mistake("recalibrate", hint="""
    The old statistics are still in the mean: they were not reset before the first batch.""",
         anchor="recalibrate")
def old_statistics_not_reset(model, batches):
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    modes = [(m, m.training) for m in model.modules()]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for m, training in modes:
        m.training = training


@mistake("recalibrate", hint="""
    After the reset the statistics move by the momentum, a tenth for each batch, and after a few
    batches they are still near 0 and 1. A plain mean is what `momentum = None` stands for.""",
         anchor="recalibrate")
def momentum_left_as_it_was(model, batches):
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    for m, training in modes:
        m.training = training


@mistake("recalibrate", hint="""
    The whole model runs in training, so a dropout drops while the norms listen. In use it won't.
    Only the norms belong in training here.""", anchor="recalibrate")
def everything_in_training(model, batches):
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    modes = [(m, m.training) for m in model.modules()]
    momenta = [norm.momentum for norm in norms]
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        for x in batches:
            model(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for m, training in modes:
        m.training = training


@mistake("recalibrate", hint="""
    The model runs in evaluation, and there running statistics are used but never moved. After the
    reset they stay at 0 and 1.""", anchor="train-and-eval")
def norms_in_evaluation(model, batches):
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    for m in model.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.reset_running_stats()
    with torch.no_grad():
        for x in batches:
            model(x)
    for m, training in modes:
        m.training = training


@mistake("recalibrate", hint="""
    The statistics are right, but the modes are not as they were: whoever goes on with this model
    finds it in evaluation, or parts of it in training. Note every module's mode and restore it.""",
         anchor="recalibrate")
def modes_not_restored(model, batches):
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()


@mistake("recalibrate", hint="""
    The mode is restored with `model.train(...)`, which sets all parts alike. A part that was in
    evaluation before is not any more: note the mode of every module.""", anchor="recalibrate")
def one_mode_for_all_parts(model, batches):
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta, training = [norm.momentum for norm in norms], model.training
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(training)


@mistake("recalibrate", hint="""
    Only the norms directly inside the model are recalibrated. Blocks hold norms of their own:
    `modules()` visits them all, `children()` doesn't.""", anchor="recalibrate")
def only_children_visited(model, batches):
    norms = [m for m in model.children() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    modes = [(m, m.training) for m in model.modules()]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for m, training in modes:
        m.training = training


# ---------------------------------------------------------------- fold_batch_norm


@mistake("fold_batch_norm", hint="""
    You divide by the running variance. A norm divides by the root of the variance and its own
    epsilon.""")
def divided_by_the_variance(layer, norm):
    folded = copy.deepcopy(layer)
    scale = norm.weight / (norm.running_var + norm.eps)
    bias = 0 if layer.bias is None else layer.bias
    shape = [-1] + [1] * (layer.weight.ndim - 1)
    folded.weight = nn.Parameter((layer.weight * scale.view(shape)).detach())
    folded.bias = nn.Parameter(((bias - norm.running_mean) * scale + norm.bias).detach())
    return folded


@mistake("fold_batch_norm", hint="""
    The norm's epsilon is missing, or a constant stands in its place. It is part of what the norm
    computes: `norm.eps`.""")
def epsilon_of_the_norm_ignored(layer, norm):
    folded = copy.deepcopy(layer)
    scale = norm.weight / torch.sqrt(norm.running_var + 1e-5)
    bias = 0 if layer.bias is None else layer.bias
    shape = [-1] + [1] * (layer.weight.ndim - 1)
    folded.weight = nn.Parameter((layer.weight * scale.view(shape)).detach())
    folded.bias = nn.Parameter(((bias - norm.running_mean) * scale + norm.bias).detach())
    return folded


@mistake("fold_batch_norm", hint="""
    The layer's own bias is not scaled. It passes through the norm like everything else that the
    layer puts out.""")
def old_bias_not_scaled(layer, norm):
    folded = copy.deepcopy(layer)
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = 0 if layer.bias is None else layer.bias
    shape = [-1] + [1] * (layer.weight.ndim - 1)
    folded.weight = nn.Parameter((layer.weight * scale.view(shape)).detach())
    folded.bias = nn.Parameter((bias - norm.running_mean * scale + norm.bias).detach())
    return folded


@mistake("fold_batch_norm", hint="""
    The layer's own bias is lost. The norm subtracts its mean from the output with the bias, and
    then scales both.""")
def old_bias_lost(layer, norm):
    folded = copy.deepcopy(layer)
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shape = [-1] + [1] * (layer.weight.ndim - 1)
    folded.weight = nn.Parameter((layer.weight * scale.view(shape)).detach())
    folded.bias = nn.Parameter((norm.bias - norm.running_mean * scale).detach())
    return folded


@mistake("fold_batch_norm", hint="""
    The running mean is not subtracted: the new bias lacks it. Write out what the norm makes of the
    layer's output, and collect what does not depend on x.""")
def running_mean_forgotten(layer, norm):
    folded = copy.deepcopy(layer)
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = 0 if layer.bias is None else layer.bias
    shape = [-1] + [1] * (layer.weight.ndim - 1)
    folded.weight = nn.Parameter((layer.weight * scale.view(shape)).detach())
    folded.bias = nn.Parameter((bias * scale + norm.bias).detach())
    return folded


@mistake("fold_batch_norm", hint="""
    The factors stand along the last axis of the weights. The norm has one factor for each output,
    and in PyTorch outputs are the first axis.""")
def factors_along_the_last_axis(layer, norm):
    folded = copy.deepcopy(layer)
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = 0 if layer.bias is None else layer.bias
    folded.weight = nn.Parameter((layer.weight * scale).detach())
    folded.bias = nn.Parameter(((bias - norm.running_mean) * scale + norm.bias).detach())
    return folded


@mistake("fold_batch_norm", hint="""
    The given layer itself is changed. Whoever goes on training it, norm and all, then normalises
    twice. Make a new layer.""")
def layer_changed_in_place(layer, norm):
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = 0 if layer.bias is None else layer.bias
    shape = [-1] + [1] * (layer.weight.ndim - 1)
    layer.bias = nn.Parameter(((bias - norm.running_mean) * scale + norm.bias).detach())
    layer.weight.data = (layer.weight * scale.view(shape)).detach()
    return layer


# ---------------------------------------------------------------- freeze_norms


@mistake("freeze_norms", hint="""
    The norms' parameters are frozen, but the norms are in training: their running statistics go on
    moving. Freezing takes both, and `train()` must come before `eval()`.""")
def norms_left_in_training(model):
    model.train()
    for m in model.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.requires_grad_(False)


@mistake("freeze_norms", hint="""
    The norms are in evaluation, but their weight and bias go on training. `eval()` changes how a
    module computes, not what an optimizer may change.""")
def scale_and_shift_go_on_training(model):
    model.train()
    for m in model.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.eval()


@mistake("freeze_norms", hint="""
    The whole model is in evaluation: dropout is off as well. Only the batch norms should be.""")
def whole_model_in_evaluation(model):
    model.eval()
    for m in model.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.requires_grad_(False)


@mistake("freeze_norms", hint="""
    All parameters of the model are frozen. Those of the batch norms were asked for; the rest is to
    go on training.""")
def every_parameter_frozen(model):
    model.train().requires_grad_(False)
    for m in model.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.eval()


@mistake("freeze_norms", hint="""
    Layers that were frozen before are training again: you switch everything on and then the norms
    off. Leave alone what isn't a batch norm.""")
def other_layers_thawed(model):
    model.train().requires_grad_(True)
    for m in model.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.eval().requires_grad_(False)


@mistake("freeze_norms", hint="""
    Norms of tables are frozen, those of images go on: BatchNorm2d and BatchNorm3d are classes of
    their own, no kinds of BatchNorm1d.""")
def only_the_norms_of_tables(model):
    model.train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm1d):
            m.eval().requires_grad_(False)


@mistake("freeze_norms", hint="""
    Layer norms and group norms are frozen, too. They have no running statistics that could move;
    asked for were the batch norms.""")
def every_kind_of_norm(model):
    model.train()
    for m in model.modules():
        if "Norm" in type(m).__name__:
            m.eval().requires_grad_(False)


@mistake("freeze_norms", hint="""
    Only norms directly inside the model are frozen. Blocks hold norms of their own: `modules()`
    visits them all, `children()` doesn't.""")
def only_norms_at_the_top(model):
    model.train()
    for m in model.children():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.eval().requires_grad_(False)
