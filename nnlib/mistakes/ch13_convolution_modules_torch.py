"""Known mistakes of chapter 13's PyTorch exercises: modules, and a field that is measured."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- SeparableConv2d


@mistake("SeparableConv2d", hint="""
    Your depthwise part is an ordinary convolution: each of its filters reaches through all
    channels. One filter for each channel needs `groups`.""", anchor="groups")
class GroupsForgotten(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, *, stride=1, padding=0):
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, kernel_size, stride=stride,
                                   padding=padding, bias=False)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


@mistake("SeparableConv2d", hint="""
    Both parts have the stride, so the image shrinks twice. Only the depthwise part steps.""",
         anchor="stride")
class StrideTwice(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, *, stride=1, padding=0):
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, kernel_size, stride=stride,
                                   padding=padding, groups=in_channels, bias=False)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, stride=stride)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


@mistake("SeparableConv2d", hint="""
    The padding is around the pointwise part. The size comes out right, but a filter of 1 x 1 sees
    nothing but zeros there; it is the depthwise filters that reach past the border.""",
         anchor="padding")
class PaddingOnThePointwisePart(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, *, stride=1, padding=0):
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, kernel_size, stride=stride,
                                   groups=in_channels, bias=False)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, padding=padding)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


@mistake("SeparableConv2d", hint="""
    There is an activation between the two parts. Some networks have one; the layer asked for is
    linear from end to end.""")
class ActivationBetween(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, *, stride=1, padding=0):
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, kernel_size, stride=stride,
                                   padding=padding, groups=in_channels, bias=False)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x):
        return self.pointwise(torch.relu(self.depthwise(x)))


@mistake("SeparableConv2d", hint="""
    The depthwise part learns biases, too. The pointwise part mixes them into its own bias, so
    they add numbers and say nothing new.""")
class TwoBiases(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, *, stride=1, padding=0):
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, kernel_size, stride=stride,
                                   padding=padding, groups=in_channels)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


@mistake("SeparableConv2d", hint="""
    The layers stand in a plain list. The module doesn't know of them: no optimizer would train
    them, and `.to(device)` leaves them behind. Make them attributes.""")
class LayersInAPlainList(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, *, stride=1, padding=0):
        super().__init__()
        self.parts = [
            nn.Conv2d(in_channels, in_channels, kernel_size, stride=stride, padding=padding,
                      groups=in_channels, bias=False),
            nn.Conv2d(in_channels, out_channels, 1)]

    def forward(self, x):
        for part in self.parts:
            x = part(x)
        return x


# ---------------------------------------------------------------- measure_receptive_field


@mistake("measure_receptive_field", hint="""
    You took the output in the corner. The padding cuts its field off; take the one in the
    middle.""")
def output_in_the_corner(model, x):
    training = model.training
    model.eval()
    pixels = x.detach().clone().requires_grad_()
    (dx,) = torch.autograd.grad(model(pixels)[:, :, 0, 0].sum(), pixels)
    model.train(training)
    met = (dx != 0).any(0).any(0)
    rows, columns = met.any(1).nonzero(), met.any(0).nonzero()
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


@mistake("measure_receptive_field", hint="""
    You took the gradient of the sum of all outputs: together they depend on the whole image. The
    field is that of a single place.""")
def all_outputs_together(model, x):
    training = model.training
    model.eval()
    pixels = x.detach().clone().requires_grad_()
    (dx,) = torch.autograd.grad(model(pixels).sum(), pixels)
    model.train(training)
    met = (dx != 0).any(0).any(0)
    rows, columns = met.any(1).nonzero(), met.any(0).nonzero()
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


@mistake("measure_receptive_field", hint="""
    You count the rows and columns that have a gradient. With dilation there are holes between
    them; the field reaches from the first to the last.""", anchor="dilation")
def holes_not_counted(model, x):
    training = model.training
    model.eval()
    pixels = x.detach().clone().requires_grad_()
    y = model(pixels)
    middle = y[:, :, y.shape[2] // 2, y.shape[3] // 2]
    (dx,) = torch.autograd.grad(middle.sum(), pixels)
    model.train(training)
    met = (dx != 0).any(0).any(0)
    return int(met.any(1).sum()), int(met.any(0).sum())


@mistake("measure_receptive_field", hint="""
    You look at the first image alone. Where a ReLU is off, or another pixel wins the maximum, a
    pixel has no gradient although it could have one. Take all images together.""")
def first_image_alone(model, x):
    training = model.training
    model.eval()
    pixels = x[:1].detach().clone().requires_grad_()
    y = model(pixels)
    middle = y[:, :, y.shape[2] // 2, y.shape[3] // 2]
    (dx,) = torch.autograd.grad(middle.sum(), pixels)
    model.train(training)
    met = (dx != 0).any(0).any(0)
    if not met.any():
        return 0, 0
    rows, columns = met.any(1).nonzero(), met.any(0).nonzero()
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


@mistake("measure_receptive_field", hint="""
    The model stays in training mode. There batch norm ties every pixel of the batch to every
    output, and your field is the whole image. Measure in evaluation mode.""")
def training_mode_kept(model, x):
    pixels = x.detach().clone().requires_grad_()
    y = model(pixels)
    middle = y[:, :, y.shape[2] // 2, y.shape[3] // 2]
    (dx,) = torch.autograd.grad(middle.sum(), pixels)
    met = (dx != 0).any(0).any(0)
    rows, columns = met.any(1).nonzero(), met.any(0).nonzero()
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


@mistake("measure_receptive_field", hint="""
    The model is in evaluation mode afterwards, whatever it was before. Who goes on training would
    wonder. Leave it as you found it.""")
def mode_not_restored(model, x):
    model.eval()
    pixels = x.detach().clone().requires_grad_()
    y = model(pixels)
    middle = y[:, :, y.shape[2] // 2, y.shape[3] // 2]
    (dx,) = torch.autograd.grad(middle.sum(), pixels)
    met = (dx != 0).any(0).any(0)
    rows, columns = met.any(1).nonzero(), met.any(0).nonzero()
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


@mistake("measure_receptive_field", hint="""
    `backward()` also fills `.grad` of the model's parameters, and the next training step would
    use it. Ask for the gradient of x alone: `torch.autograd.grad`.""")
def gradients_left_in_the_model(model, x):
    training = model.training
    model.eval()
    pixels = x.detach().clone().requires_grad_()
    y = model(pixels)
    y[:, :, y.shape[2] // 2, y.shape[3] // 2].sum().backward()
    model.train(training)
    met = (pixels.grad != 0).any(0).any(0)
    rows, columns = met.any(1).nonzero(), met.any(0).nonzero()
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


# ---------------------------------------------------------------- FixedFilter


@mistake("FixedFilter", hint="""
    The kernel is a parameter: an optimizer that gets the model's parameters will change it. What
    is saved and moved but not trained is a buffer.""")
class KernelIsTrained(nn.Module):
    def __init__(self, kernel):
        super().__init__()
        self.kernel = nn.Parameter(kernel.clone())

    def forward(self, x):
        weight = self.kernel.expand(x.shape[1], 1, *self.kernel.shape)
        return F.conv2d(x, weight, groups=x.shape[1])


@mistake("FixedFilter", hint="""
    The kernel is an ordinary attribute. `.to()` and `.double()` leave it behind, and it isn't
    saved with the model. Register it as a buffer.""")
class KernelIsAnAttribute(nn.Module):
    def __init__(self, kernel):
        super().__init__()
        self.kernel = kernel.clone()

    def forward(self, x):
        weight = self.kernel.expand(x.shape[1], 1, *self.kernel.shape)
        return F.conv2d(x, weight, groups=x.shape[1])


@mistake("FixedFilter", hint="""
    The buffer isn't saved: `persistent=False` keeps it out of the state_dict. A model that is
    loaded elsewhere would come without its filter.""")
class BufferNotSaved(nn.Module):
    def __init__(self, kernel):
        super().__init__()
        self.register_buffer("kernel", kernel.clone(), persistent=False)

    def forward(self, x):
        weight = self.kernel.expand(x.shape[1], 1, *self.kernel.shape)
        return F.conv2d(x, weight, groups=x.shape[1])


@mistake("FixedFilter", hint="""
    Every output holds the sum over all channels. Each channel should be filtered alone, and that
    is what `groups` is for.""", anchor="groups")
class ChannelsSummed(nn.Module):
    def __init__(self, kernel):
        super().__init__()
        self.register_buffer("kernel", kernel.clone())

    def forward(self, x):
        channels = x.shape[1]
        return F.conv2d(x, self.kernel.expand(channels, channels, *self.kernel.shape))


@mistake("FixedFilter", hint="""
    The kernel is turned by 180 degrees. Like every layer of PyTorch, this one leaves it as it
    is.""", anchor="cross-correlation")
class KernelTurned(nn.Module):
    def __init__(self, kernel):
        super().__init__()
        self.register_buffer("kernel", kernel.clone())

    def forward(self, x):
        weight = self.kernel.flip(0, 1).expand(x.shape[1], 1, *self.kernel.shape)
        return F.conv2d(x, weight, groups=x.shape[1])


@mistake("FixedFilter", hint="""
    The output is as large as the input: you pad. Only windows that lie inside the image are asked
    for.""", anchor="padding")
class ImagePadded(nn.Module):
    def __init__(self, kernel):
        super().__init__()
        self.register_buffer("kernel", kernel.clone())

    def forward(self, x):
        weight = self.kernel.expand(x.shape[1], 1, *self.kernel.shape)
        return F.conv2d(x, weight, groups=x.shape[1], padding="same")
