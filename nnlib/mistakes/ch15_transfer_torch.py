"""Known mistakes of chapter 15: preparing images, freezing, heads, rates, a step."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- preprocess


@mistake("preprocess", hint="""
    You standardise with the mean and the spread of these images. The network was trained with
    other numbers, and what was bright then must be bright now: use the statistics that are passed
    in.""")
def statistics_of_these_images(images, *, mean, std, size):
    x = images.permute(0, 3, 1, 2).float() / 255
    x = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
    return (x - x.mean((0, 2, 3), keepdim=True)) / (x.std((0, 2, 3), keepdim=True) + 1e-3)


@mistake("preprocess", hint="""
    The grey values still run from 0 to 255, while mean and standard deviation refer to values from
    0 to 1. The network sees inputs hundreds of times too large.""")
def range_not_changed(images, *, mean, std, size):
    x = images.permute(0, 3, 1, 2).float()
    x = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
    shift, scale = (torch.tensor(v).view(1, -1, 1, 1) for v in (mean, std))
    return (x - shift) / scale


@mistake("preprocess", hint="""
    Red and blue have changed places. Some libraries read images as BGR; these are RGB, and so were
    those that the network was trained on.""")
def channels_reversed(images, *, mean, std, size):
    x = images.flip(3).permute(0, 3, 1, 2).float() / 255
    x = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
    shift, scale = (torch.tensor(v).view(1, -1, 1, 1) for v in (mean, std))
    return (x - shift) / scale


@mistake("preprocess", hint="""
    The shape is right, but the pixels are scrambled: reshaping keeps the order of the numbers in
    memory. Moving an axis is another operation.""")
def reshaped_not_permuted(images, *, mean, std, size):
    n, h, w, c = images.shape
    x = images.reshape(n, c, h, w).float() / 255
    x = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
    shift, scale = (torch.tensor(v).view(1, -1, 1, 1) for v in (mean, std))
    return (x - shift) / scale


@mistake("preprocess", hint="""
    Your images are mirrored at the diagonal: height and width have changed places. Channels move
    to the second axis, the other two keep their order.""")
def height_and_width_swapped(images, *, mean, std, size):
    x = images.permute(0, 3, 2, 1).float() / 255
    x = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
    shift, scale = (torch.tensor(v).view(1, -1, 1, 1) for v in (mean, std))
    return (x - shift) / scale


@mistake("preprocess", hint="""
    You divide by the standard deviation first and subtract the mean afterwards. The mean was
    measured before any division.""")
def divided_before_the_mean(images, *, mean, std, size):
    x = images.permute(0, 3, 1, 2).float() / 255
    x = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
    shift, scale = (torch.tensor(v).view(1, -1, 1, 1) for v in (mean, std))
    return x / scale - shift


@mistake("preprocess", hint="""
    Values from -1 to 1 suit some networks, those that were trained so. This one was trained with
    the mean and the standard deviation that are passed in, and you don't use them.""")
def from_minus_one_to_one(images, *, mean, std, size):
    x = images.permute(0, 3, 1, 2).float() / 255
    x = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
    return 2 * x - 1


# ---------------------------------------------------------------- freeze


@mistake("freeze", hint="""
    `module.requires_grad = False` gives the module a new attribute that nobody reads. Parameters
    have that flag, and a module has a method that sets it for all of them.""")
def attribute_of_the_module(module):
    module.requires_grad = False


@mistake("freeze", hint="""
    The module is in evaluation mode, but its parameters still ask for gradients and learn. The two
    switches know nothing of each other.""")
def parameters_still_learn(module):
    for parameter in module.parameters():
        parameter.grad = None
    module.eval()


@mistake("freeze", hint="""
    No parameter learns any more, but the parts are still in training mode: batch normalization
    goes on using and updating the statistics of each batch, and dropout goes on dropping.""")
def left_in_training_mode(module):
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None


@mistake("freeze", hint="""
    Batch normalization is in evaluation mode, the rest is not: dropout would make the frozen
    features random.""")
def only_batch_norm_in_evaluation(module):
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.eval()


@mistake("freeze", hint="""
    Parts of parts still learn: you look at the direct children and at their own parameters only.
    There is a method that walks through all levels.""")
def one_level_only(module):
    for child in module.children():
        for parameter in child.parameters(recurse=False):
            parameter.requires_grad_(False)
            parameter.grad = None
    module.eval()


@mistake("freeze", hint="""
    Weights are frozen, but biases and the factors of normalization still learn. Freezing is not
    weight decay: it is for every parameter.""")
def vectors_still_learn(module):
    for parameter in module.parameters():
        parameter.grad = None
        if parameter.ndim >= 2:
            parameter.requires_grad_(False)
    module.eval()


@mistake("freeze", hint="""
    Gradients of an earlier step are still there. An optimizer asks for `.grad`, not for
    `requires_grad`: it would take one more step with them, and weight decay with every one.""")
def old_gradients_kept(module):
    module.requires_grad_(False)
    module.eval()


@mistake("freeze", hint="""
    The gradients are set to zeros. Zeros are a gradient: an optimizer with momentum or weight
    decay still moves that parameter. None is what it skips.""")
def gradients_of_zeros(module):
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        if parameter.grad is not None:
            parameter.grad = torch.zeros_like(parameter)
    module.eval()


# ---------------------------------------------------------------- replace_head


@mistake("replace_head", hint="""
    The new layer has random values, so the first loss depends on luck and the first gradients shake
    the body. The task asks for zeros, in weight and bias.""")
def random_initial_values(model, name, classes):
    old = model.get_submodule(name)
    head = nn.Linear(old.in_features, classes, dtype=old.weight.dtype)
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, head)


@mistake("replace_head", hint="""
    The new layer takes as many inputs as the old one had outputs. It stands in the place of the old
    one and sees what that one saw: features, not class scores.""")
def inputs_from_old_outputs(model, name, classes):
    old = model.get_submodule(name)
    head = nn.Linear(old.out_features, classes, dtype=old.weight.dtype)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, head)


@mistake("replace_head", hint="""
    The old head is still there, and a new layer follows it. The features are squeezed through the
    old classes first; the new layer belongs in the old one's place.""")
def appended(model, name, classes):
    old = model.get_submodule(name)
    head = nn.Linear(old.out_features, classes, dtype=old.weight.dtype)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    model.add_module("new_head", head)


@mistake("replace_head", hint="""
    `out_features` is a note for the reader: changing it changes no weight. A layer of another size
    is a new layer.""")
def only_the_note_changed(model, name, classes):
    model.get_submodule(name).out_features = classes


@mistake("replace_head", hint="""
    The new head requires no gradient. It is the one part that must learn.""")
def head_is_frozen(model, name, classes):
    old = model.get_submodule(name)
    head = nn.Linear(old.in_features, classes, dtype=old.weight.dtype).requires_grad_(False)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, head)


@mistake("replace_head", hint="""
    The new head is in float32 whatever the network is in. It must have the type and the device of
    the layer that it replaces, or the first forward pass fails.""")
def always_float32(model, name, classes):
    old = model.get_submodule(name)
    head = nn.Linear(old.in_features, classes)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, head)


@mistake("replace_head", hint="""
    All parameters of the network are zeros now, the pre-trained ones too: nothing is left of what
    it had learnt. Only the new layer starts from zeros.""")
def whole_network_emptied(model, name, classes):
    old = model.get_submodule(name)
    head = nn.Linear(old.in_features, classes, dtype=old.weight.dtype)
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, head)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)


# ---------------------------------------------------------------- discriminative_groups


@mistake("discriminative_groups", hint="""
    The rates run the wrong way: your first part gets the largest. Early layers hold what is general
    and should change least; the head is new.""")
def falling_towards_the_head(model, *, learning_rate, factor):
    parts = [[p for p in child.parameters() if p.requires_grad] for child in model.children()]
    parts = [part for part in parts if part]
    return [{"params": part, "lr": learning_rate * factor**k} for k, part in enumerate(parts)]


@mistake("discriminative_groups", hint="""
    All parts get the head's learning rate. That is one optimizer without groups: the pre-trained
    layers move as fast as the new one, and forget.""")
def one_rate_for_all(model, *, learning_rate, factor):
    parts = [[p for p in child.parameters() if p.requires_grad] for child in model.children()]
    return [{"params": part, "lr": learning_rate} for part in parts if part]


@mistake("discriminative_groups", hint="""
    There are two rates, one for the head and one for all the rest. Each part should get the factor
    once more than the part after it.""")
def two_rates_only(model, *, learning_rate, factor):
    parts = [[p for p in child.parameters() if p.requires_grad] for child in model.children()]
    parts = [part for part in parts if part]
    return [{"params": part, "lr": learning_rate * (factor if k < len(parts) - 1 else 1)}
            for k, part in enumerate(parts)]


@mistake("discriminative_groups", hint="""
    Parts without parameters, such as activations, are counted: each of them costs the layers before
    it one more factor. Leave them out before you count.""")
def activations_counted(model, *, learning_rate, factor):
    children = list(model.children())
    groups = []
    for k, child in enumerate(children):
        members = [p for p in child.parameters() if p.requires_grad]
        if members:
            groups.append({"params": members,
                           "lr": learning_rate * factor ** (len(children) - 1 - k)})
    return groups


@mistake("discriminative_groups", hint="""
    Frozen parameters are in your groups. An optimizer that knows them moves them as soon as one
    holds a gradient, and they use up a factor each. Only what requires a gradient belongs here.""",
         anchor="freezing")
def frozen_ones_included(model, *, learning_rate, factor):
    parts = [list(child.parameters()) for child in model.children()]
    parts = [part for part in parts if part]
    return [{"params": part, "lr": learning_rate * factor ** (len(parts) - 1 - k)}
            for k, part in enumerate(parts)]


@mistake("discriminative_groups", hint="""
    An optimizer of PyTorch reads a group's rate under "lr". Any other key is carried along and
    never used: all groups would get the default.""")
def key_that_nobody_reads(model, *, learning_rate, factor):
    parts = [[p for p in child.parameters() if p.requires_grad] for child in model.children()]
    parts = [part for part in parts if part]
    return [{"params": part, "learning_rate": learning_rate * factor ** (len(parts) - 1 - k)}
            for k, part in enumerate(parts)]


@mistake("discriminative_groups", hint="""
    Your rates grow towards the input: you divide by the factor where you should multiply. It is at
    most 1, so that earlier parts move less.""")
def divided_by_the_factor(model, *, learning_rate, factor):
    parts = [[p for p in child.parameters() if p.requires_grad] for child in model.children()]
    parts = [part for part in parts if part]
    return [{"params": part, "lr": learning_rate / factor ** (len(parts) - 1 - k)}
            for k, part in enumerate(parts)]


# ---------------------------------------------------------------- fine_tune_step


@mistake("fine_tune_step", hint="""
    The frozen batch normalization was in training mode: it used the statistics of this batch and
    moved its running ones towards them. `train()` reaches every part; take it back for those whose
    weights are frozen.""", anchor="freezing")
def frozen_norms_in_training(model, optimizer, x, labels):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@mistake("fine_tune_step", hint="""
    The whole network is in evaluation mode. What still learns must train as always: its batch
    normalization would never see the new data's statistics.""")
def all_in_evaluation(model, optimizer, x, labels):
    model.eval()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@mistake("fine_tune_step", hint="""
    Every batch normalization is in evaluation mode, the learning ones too. Ask each of them whether
    its own weights are frozen.""")
def learning_norms_in_evaluation(model, optimizer, x, labels):
    model.train()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.eval()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@mistake("fine_tune_step", hint="""
    You ask every parameter for gradients first, the frozen ones too: the whole body learns, at
    whatever rate the optimizer has for it.""", anchor="freezing")
def everything_thawed(model, optimizer, x, labels):
    model.train()
    model.requires_grad_(True)
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@mistake("fine_tune_step", hint="""
    Gradients of the step before are still there and are added to the new ones. Clear them before
    you go backward.""")
def gradients_not_cleared(model, optimizer, x, labels):
    model.train()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and not part.weight.requires_grad:
            part.eval()
    loss = F.cross_entropy(model(x), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@mistake("fine_tune_step", hint="""
    The softmax is taken twice: cross_entropy wants scores and does it itself. On probabilities the
    loss never gets near 0, and learning is slow.""")
def softmax_twice(model, optimizer, x, labels):
    model.train()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and not part.weight.requires_grad:
            part.eval()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x).softmax(dim=1), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@mistake("fine_tune_step", hint="""
    The losses of the batch are added up, so a larger batch takes longer steps. The learning rate is
    meant for their mean.""")
def loss_added_up(model, optimizer, x, labels):
    model.train()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and not part.weight.requires_grad:
            part.eval()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), labels, reduction="sum")
    loss.backward()
    optimizer.step()
    return loss.item()


@mistake("fine_tune_step", hint="""
    The gradients are there, but nothing has moved: the optimizer was never asked to take its
    step.""")
def step_forgotten(model, optimizer, x, labels):
    model.train()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and not part.weight.requires_grad:
            part.eval()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), labels)
    loss.backward()
    return loss.item()
