"""Known mistakes of chapter 14's PyTorch exercises: a small ResNet, and where a network looks."""

import torch
from torch import nn

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- small_resnet


@mistake("small_resnet", hint="""
    Every first block of a stage has stride 2 in your network, the very first one too. The first
    stage keeps the size of the image.""")
def first_stage_halves_too(block, *, c_in, widths, blocks, num_classes):
    layers = [nn.Conv2d(c_in, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]),
              nn.ReLU()]
    c = widths[0]
    for width in widths:
        for k in range(blocks):
            layers.append(block(c, width, stride=2 if k == 0 else 1))
            c = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, num_classes))


@mistake("small_resnet", hint="""
    No block of yours has a stride: the images never get smaller, and the later, wider stages
    become expensive.""")
def no_stride_anywhere(block, *, c_in, widths, blocks, num_classes):
    layers = [nn.Conv2d(c_in, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]),
              nn.ReLU()]
    c = widths[0]
    for width in widths:
        for _ in range(blocks):
            layers.append(block(c, width, stride=1))
            c = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, num_classes))


@mistake("small_resnet", hint="""
    All blocks of the later stages have stride 2, so that the image shrinks in each. Only the first
    block of a stage halves it.""")
def every_block_of_later_stages_halves(block, *, c_in, widths, blocks, num_classes):
    layers = [nn.Conv2d(c_in, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]),
              nn.ReLU()]
    c = widths[0]
    for stage, width in enumerate(widths):
        for _ in range(blocks):
            layers.append(block(c, width, stride=2 if stage > 0 else 1))
            c = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, num_classes))


@mistake("small_resnet", hint="""
    The stride is in the last block of a stage instead of the first one. What is wide should
    already be small.""")
def last_block_of_a_stage_halves(block, *, c_in, widths, blocks, num_classes):
    layers = [nn.Conv2d(c_in, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]),
              nn.ReLU()]
    c = widths[0]
    for stage, width in enumerate(widths):
        for k in range(blocks):
            halves = stage < len(widths) - 1 and k == blocks - 1
            layers.append(block(c, width, stride=2 if halves else 1))
            c = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, num_classes))


@mistake("small_resnet", hint="""
    One block stands in several places: `[block(...)] * n` repeats one object, so all its copies
    share their weights. Call `block` anew for each place.""")
def one_block_repeated(block, *, c_in, widths, blocks, num_classes):
    layers = [nn.Conv2d(c_in, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]),
              nn.ReLU()]
    c = widths[0]
    for stage, width in enumerate(widths):
        layers.append(block(c, width, stride=2 if stage else 1))
        if blocks > 1:
            layers += [block(width, width, stride=1)] * (blocks - 1)
        c = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, num_classes))


@mistake("small_resnet", hint="""
    The average is taken over the channels' maxima: your network ends in max pooling. Each channel
    is to be *averaged* over all places.""")
def global_maximum_for_the_average(block, *, c_in, widths, blocks, num_classes):
    layers = [nn.Conv2d(c_in, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]),
              nn.ReLU()]
    c = widths[0]
    for stage, width in enumerate(widths):
        for k in range(blocks):
            layers.append(block(c, width, stride=2 if stage and k == 0 else 1))
            c = width
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(c, num_classes))


@mistake("small_resnet", hint="""
    The stem lacks its batch norm and ReLU: a convolution alone goes into the first block.""")
def stem_of_a_convolution_alone(block, *, c_in, widths, blocks, num_classes):
    layers = [nn.Conv2d(c_in, widths[0], 3, padding=1, bias=False)]
    c = widths[0]
    for stage, width in enumerate(widths):
        for k in range(blocks):
            layers.append(block(c, width, stride=2 if stage and k == 0 else 1))
            c = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, num_classes))


# ---------------------------------------------------------------- saliency_map


@mistake("saliency_map", hint="""
    You take the largest gradient, not the largest size: a strongly negative one is lost, though
    its pixel moves the score as much. Absolute values first.""")
def largest_without_absolute_value(model, x, labels):
    was = model.training
    model.eval()
    x = x.detach().clone().requires_grad_()
    score = model(x).gather(1, labels[:, None]).sum()
    (g,) = torch.autograd.grad(score, x)
    model.train(was)
    return g.amax(dim=1)


@mistake("saliency_map", hint="""
    The channels are averaged. A saliency map takes the largest of them: a pixel counts as soon as
    one of its channels does.""")
def channels_averaged_in_the_map(model, x, labels):
    was = model.training
    model.eval()
    x = x.detach().clone().requires_grad_()
    score = model(x).gather(1, labels[:, None]).sum()
    (g,) = torch.autograd.grad(score, x)
    model.train(was)
    return g.abs().mean(dim=1)


@mistake("saliency_map", hint="""
    You differentiate the probability, not the score. Where the network is sure the softmax is flat
    and the map nearly black; besides, the scores of all other classes enter.""")
def gradient_of_the_probability(model, x, labels):
    was = model.training
    model.eval()
    x = x.detach().clone().requires_grad_()
    p = torch.softmax(model(x), dim=1).gather(1, labels[:, None]).sum()
    (g,) = torch.autograd.grad(p, x)
    model.train(was)
    return g.abs().amax(dim=1)


@mistake("saliency_map", hint="""
    The scores of all classes are added up before you differentiate. Ask about one class for each
    image: the one in `labels`.""")
def gradient_of_all_scores(model, x, labels):
    was = model.training
    model.eval()
    x = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(model(x).sum(), x)
    model.train(was)
    return g.abs().amax(dim=1)


@mistake("saliency_map", hint="""
    The model is asked in training mode: batch norm uses this batch's statistics and moves its
    running ones, just because somebody looked. Switch to evaluation, and back.""",
         anchor="cnn-batch-norm")
def looked_at_in_training_mode(model, x, labels):
    x = x.detach().clone().requires_grad_()
    score = model(x).gather(1, labels[:, None]).sum()
    (g,) = torch.autograd.grad(score, x)
    return g.abs().amax(dim=1)


@mistake("saliency_map", hint="""
    The model stays in evaluation mode after your look. If it was training, it is to go on as it
    was.""", anchor="cnn-batch-norm")
def left_in_evaluation_mode(model, x, labels):
    model.eval()
    x = x.detach().clone().requires_grad_()
    score = model(x).gather(1, labels[:, None]).sum()
    (g,) = torch.autograd.grad(score, x)
    return g.abs().amax(dim=1)


@mistake("saliency_map", hint="""
    `backward()` also adds to the `.grad` of every parameter: the next step of a training would go
    along this picture, too. Ask for the one gradient you want, with `torch.autograd.grad`.""")
def gradients_left_in_the_parameters(model, x, labels):
    was = model.training
    model.eval()
    x = x.detach().clone().requires_grad_()
    model(x).gather(1, labels[:, None]).sum().backward()
    model.train(was)
    return x.grad.abs().amax(dim=1)


# ---------------------------------------------------------------- grad_cam_with_hooks


@mistake("grad_cam_with_hooks", hint="""
    The ReLU at the end is missing: places that speak against the class are to be 0.""")
def no_relu_at_the_end(model, layer, x, labels):
    seen, was = [], model.training
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, y: seen.append(y))
    model.eval()
    score = model(x.detach().clone().requires_grad_()).gather(1, labels[:, None]).sum()
    handle.remove()
    model.train(was)
    (g,) = torch.autograd.grad(score, seen[0])
    return (g.mean(dim=(2, 3), keepdim=True) * seen[0].detach()).sum(dim=1)


@mistake("grad_cam_with_hooks", hint="""
    Your weights are averages over the channels, one for each place. It is the other way round: one
    for each channel, averaged over the places.""")
def averaged_over_the_channels(model, layer, x, labels):
    seen, was = [], model.training
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, y: seen.append(y))
    model.eval()
    score = model(x.detach().clone().requires_grad_()).gather(1, labels[:, None]).sum()
    handle.remove()
    model.train(was)
    (g,) = torch.autograd.grad(score, seen[0])
    return torch.relu((g.mean(dim=1, keepdim=True) * seen[0].detach()).sum(dim=1))


@mistake("grad_cam_with_hooks", hint="""
    The weights are averaged over the batch as well, so that one image's map depends on the others.
    Average over the two axes of places alone.""")
def averaged_over_images(model, layer, x, labels):
    seen, was = [], model.training
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, y: seen.append(y))
    model.eval()
    score = model(x.detach().clone().requires_grad_()).gather(1, labels[:, None]).sum()
    handle.remove()
    model.train(was)
    (g,) = torch.autograd.grad(score, seen[0])
    return torch.relu((g.mean(dim=(0, 2, 3), keepdim=True) * seen[0].detach()).sum(dim=1))


@mistake("grad_cam_with_hooks", hint="""
    Your hook stays in the model after the look: with every call there is one more, and each keeps
    its maps alive. `register_forward_hook` returns a handle that can remove it.""")
def hook_left_behind(model, layer, x, labels):
    seen, was = [], model.training
    model.get_submodule(layer).register_forward_hook(lambda m, i, y: seen.append(y))
    model.eval()
    score = model(x.detach().clone().requires_grad_()).gather(1, labels[:, None]).sum()
    model.train(was)
    (g,) = torch.autograd.grad(score, seen[0])
    return torch.relu((g.mean(dim=(2, 3), keepdim=True) * seen[0].detach()).sum(dim=1))


@mistake("grad_cam_with_hooks", hint="""
    The gradients are added up over the places instead of averaged: your maps are too large, by the
    number of places.""")
def summed_over_places(model, layer, x, labels):
    seen, was = [], model.training
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, y: seen.append(y))
    model.eval()
    score = model(x.detach().clone().requires_grad_()).gather(1, labels[:, None]).sum()
    handle.remove()
    model.train(was)
    (g,) = torch.autograd.grad(score, seen[0])
    return torch.relu((g.sum(dim=(2, 3), keepdim=True) * seen[0].detach()).sum(dim=1))


@mistake("grad_cam_with_hooks", hint="""
    The model is asked in the mode it happens to be in. In training mode batch norm mixes the
    images of the batch and learns from them: switch to evaluation for the look, and back.""",
         anchor="cnn-batch-norm")
def looked_in_the_mode_it_was(model, layer, x, labels):
    seen = []
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, y: seen.append(y))
    score = model(x.detach().clone().requires_grad_()).gather(1, labels[:, None]).sum()
    handle.remove()
    (g,) = torch.autograd.grad(score, seen[0])
    return torch.relu((g.mean(dim=(2, 3), keepdim=True) * seen[0].detach()).sum(dim=1))


@mistake("grad_cam_with_hooks", hint="""
    The map still holds the graph of the whole network: it requires gradients. A picture needs
    none. Detach the feature maps.""")
def map_with_a_graph(model, layer, x, labels):
    seen, was = [], model.training
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, y: seen.append(y))
    model.eval()
    score = model(x.detach().clone().requires_grad_()).gather(1, labels[:, None]).sum()
    handle.remove()
    model.train(was)
    (g,) = torch.autograd.grad(score, seen[0], retain_graph=True)
    return torch.relu((g.mean(dim=(2, 3), keepdim=True) * seen[0]).sum(dim=1))
