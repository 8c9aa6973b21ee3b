"""Known mistakes of chapter 13's PyTorch exercises: unfold, an autograd function, padding."""

import torch
from torch.nn import functional as F  # noqa: N812 - its usual name

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- conv_by_unfold


@mistake("conv_by_unfold", hint="""
    `F.unfold` lays a window out channel by channel. You lay the filters out with the channels
    last, so each weight meets the pixel of another.""")
def filters_channels_last(x, w, b, *, stride=1, padding=0):
    kh, kw = w.shape[2:]
    columns = F.unfold(x, (kh, kw), stride=stride, padding=padding)
    oh = (x.shape[2] + 2 * padding - kh) // stride + 1
    y = w.permute(0, 2, 3, 1).reshape(len(w), -1) @ columns
    y = y.reshape(len(x), len(w), oh, -1)
    return y if b is None else y + b[:, None, None]


@mistake("conv_by_unfold", hint="""
    Your kernel is turned by 180 degrees. That is the convolution of the mathematicians; networks
    use cross-correlation and leave the kernel as it is.""", anchor="cross-correlation")
def kernel_flipped(x, w, b, *, stride=1, padding=0):
    kh, kw = w.shape[2:]
    columns = F.unfold(x, (kh, kw), stride=stride, padding=padding)
    oh = (x.shape[2] + 2 * padding - kh) // stride + 1
    y = w.flip(2, 3).reshape(len(w), -1) @ columns
    y = y.reshape(len(x), len(w), oh, -1)
    return y if b is None else y + b[:, None, None]


@mistake("conv_by_unfold", hint="""
    All columns of the batch stand side by side in one product, and `reshape` then mixes filters
    with images. It keeps the order in memory; move the axes first.""")
def images_and_filters_mixed(x, w, b, *, stride=1, padding=0):
    kh, kw = w.shape[2:]
    columns = F.unfold(x, (kh, kw), stride=stride, padding=padding).transpose(0, 1)
    oh = (x.shape[2] + 2 * padding - kh) // stride + 1
    y = w.reshape(len(w), -1) @ columns.reshape(columns.shape[0], -1)
    y = y.reshape(len(x), len(w), oh, -1)
    return y if b is None else y + b[:, None, None]


@mistake("conv_by_unfold", hint="""
    The places come in reading order, row by row. You fill the output column by column.""")
def places_column_by_column(x, w, b, *, stride=1, padding=0):
    kh, kw = w.shape[2:]
    columns = F.unfold(x, (kh, kw), stride=stride, padding=padding)
    oh = (x.shape[2] + 2 * padding - kh) // stride + 1
    y = (w.reshape(len(w), -1) @ columns).reshape(len(x), len(w), -1, oh).transpose(2, 3)
    return y if b is None else y + b[:, None, None]


@mistake("conv_by_unfold", hint="""
    The bias is added once for each input channel. A window, all its channels together, makes one
    number, and gets the bias once.""", anchor="conv2d-naive")
def bias_for_each_channel(x, w, b, *, stride=1, padding=0):
    kh, kw = w.shape[2:]
    columns = F.unfold(x, (kh, kw), stride=stride, padding=padding)
    oh = (x.shape[2] + 2 * padding - kh) // stride + 1
    y = (w.reshape(len(w), -1) @ columns).reshape(len(x), len(w), oh, -1)
    return y if b is None else y + x.shape[1] * b[:, None, None]


@mistake("conv_by_unfold", hint="""
    The numbers are right, but the filters get no gradient: `detach()` or `.data` cut them out of
    the graph. Nothing here needs to be hidden from autograd.""")
def filters_cut_from_the_graph(x, w, b, *, stride=1, padding=0):
    kh, kw = w.shape[2:]
    columns = F.unfold(x, (kh, kw), stride=stride, padding=padding)
    oh = (x.shape[2] + 2 * padding - kh) // stride + 1
    y = (w.detach().reshape(len(w), -1) @ columns).reshape(len(x), len(w), oh, -1)
    return y if b is None else y + b[:, None, None]


# ---------------------------------------------------------------- ConvFunction


@mistake("ConvFunction", hint="""
    `db` is a mean over places and images. The bias was added at every place of every image, so
    its gradient is a sum.""", anchor="conv2d-bias")
class BiasGradientAveraged(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b, stride, padding):
        ctx.save_for_backward(x, w)
        ctx.stride, ctx.padding, ctx.has_bias = stride, padding, b is not None
        return F.conv2d(x, w, b, stride=stride, padding=padding)

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        numbers = {"stride": ctx.stride, "padding": ctx.padding}
        columns = F.unfold(x, w.shape[2:], **numbers)
        dw = torch.einsum("nop,nkp->ok", dy.flatten(2), columns).reshape(w.shape)
        dcolumns = w.reshape(len(w), -1).T @ dy.flatten(2)
        dx = F.fold(dcolumns, x.shape[2:], w.shape[2:], **numbers)
        return dx, dw, dy.mean((0, 2, 3)) if ctx.has_bias else None, None, None


@mistake("ConvFunction", hint="""
    `dx` uses the filters turned by 180 degrees. Both `F.fold` and `F.conv_transpose2d` send a
    gradient back to the pixel that the weight met, without turning anything.""",
         anchor="conv2d-dx")
class FiltersFlippedOnTheWayBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b, stride, padding):
        ctx.save_for_backward(x, w)
        ctx.stride, ctx.padding, ctx.has_bias = stride, padding, b is not None
        return F.conv2d(x, w, b, stride=stride, padding=padding)

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        numbers = {"stride": ctx.stride, "padding": ctx.padding}
        columns = F.unfold(x, w.shape[2:], **numbers)
        dw = torch.einsum("nop,nkp->ok", dy.flatten(2), columns).reshape(w.shape)
        dcolumns = w.flip(2, 3).reshape(len(w), -1).T @ dy.flatten(2)
        dx = F.fold(dcolumns, x.shape[2:], w.shape[2:], **numbers)
        return dx, dw, dy.sum((0, 2, 3)) if ctx.has_bias else None, None, None


@mistake("ConvFunction", hint="""
    Your `dx` is smaller than x where the stride left pixels over. A transposed convolution cannot
    know the size of the image; tell it, or use `F.fold`.""", anchor="unfold-fold")
class RestOfTheImageForgotten(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b, stride, padding):
        ctx.save_for_backward(x, w)
        ctx.stride, ctx.padding, ctx.has_bias = stride, padding, b is not None
        return F.conv2d(x, w, b, stride=stride, padding=padding)

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        numbers = {"stride": ctx.stride, "padding": ctx.padding}
        columns = F.unfold(x, w.shape[2:], **numbers)
        dw = torch.einsum("nop,nkp->ok", dy.flatten(2), columns).reshape(w.shape)
        dx = F.conv_transpose2d(dy, w, **numbers)
        return dx, dw, dy.sum((0, 2, 3)) if ctx.has_bias else None, None, None


@mistake("ConvFunction", hint="""
    Where windows overlap, `dx` keeps one gradient and forgets the others. A pixel that several
    windows met gets the sum; `F.fold` adds for you.""", anchor="col2im")
class OverlapOverwritten(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b, stride, padding):
        ctx.save_for_backward(x, w)
        ctx.stride, ctx.padding, ctx.has_bias = stride, padding, b is not None
        return F.conv2d(x, w, b, stride=stride, padding=padding)

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        s, pad, (kh, kw), (oh, ow) = ctx.stride, ctx.padding, w.shape[2:], dy.shape[2:]
        columns = F.unfold(x, w.shape[2:], stride=s, padding=pad)
        dw = torch.einsum("nop,nkp->ok", dy.flatten(2), columns).reshape(w.shape)
        dpadded = torch.zeros_like(F.pad(x, (pad, pad, pad, pad)))
        for i in range(kh):
            for j in range(kw):
                share = torch.einsum("nopq,oc->ncpq", dy, w[:, :, i, j])
                dpadded[:, :, i:i + s * oh:s, j:j + s * ow:s] = share
        dx = dpadded[:, :, pad:pad + x.shape[2], pad:pad + x.shape[3]]
        return dx, dw, dy.sum((0, 2, 3)) if ctx.has_bias else None, None, None


@mistake("ConvFunction", hint="""
    `dw` is averaged over the images. If the loss is a mean, dy holds that factor already; a
    backward only sums over the images.""", anchor="conv2d-dw")
class WeightGradientAveraged(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b, stride, padding):
        ctx.save_for_backward(x, w)
        ctx.stride, ctx.padding, ctx.has_bias = stride, padding, b is not None
        return F.conv2d(x, w, b, stride=stride, padding=padding)

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        numbers = {"stride": ctx.stride, "padding": ctx.padding}
        columns = F.unfold(x, w.shape[2:], **numbers)
        dw = (dy.flatten(2) @ columns.transpose(1, 2)).mean(0).reshape(w.shape)
        dcolumns = w.reshape(len(w), -1).T @ dy.flatten(2)
        dx = F.fold(dcolumns, x.shape[2:], w.shape[2:], **numbers)
        return dx, dw, dy.sum((0, 2, 3)) if ctx.has_bias else None, None, None


@mistake("ConvFunction", hint="""
    `backward` never looks at `dy`: it returns the gradients of the sum of all outputs. Each
    output's gradient enters with its own weight.""")
class UpstreamIgnored(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b, stride, padding):
        ctx.save_for_backward(x, w)
        ctx.stride, ctx.padding, ctx.has_bias = stride, padding, b is not None
        return F.conv2d(x, w, b, stride=stride, padding=padding)

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        numbers, dy = {"stride": ctx.stride, "padding": ctx.padding}, torch.ones_like(dy)
        columns = F.unfold(x, w.shape[2:], **numbers)
        dw = torch.einsum("nop,nkp->ok", dy.flatten(2), columns).reshape(w.shape)
        dcolumns = w.reshape(len(w), -1).T @ dy.flatten(2)
        dx = F.fold(dcolumns, x.shape[2:], w.shape[2:], **numbers)
        return dx, dw, dy.sum((0, 2, 3)) if ctx.has_bias else None, None, None


# ---------------------------------------------------------------- pad_same


@mistake("pad_same", hint="""
    Rows and columns are swapped. `F.pad` begins with the last axis: left, right, then top,
    bottom.""")
def rows_and_columns_swapped(x, *, kernel_size, stride=(1, 1), dilation=(1, 1)):
    pads = []
    for axis in (0, 1):
        size, step = x.shape[2 + axis], stride[axis]
        span = dilation[axis] * (kernel_size[axis] - 1) + 1
        more = max((-(-size // step) - 1) * step + span - size, 0)
        pads += [more // 2, more - more // 2]
    return F.pad(x, pads)


@mistake("pad_same", hint="""
    The odd zero stands at the top or on the left. The extra one goes to the other end.""")
def extra_zero_in_front(x, *, kernel_size, stride=(1, 1), dilation=(1, 1)):
    pads = []
    for axis in (1, 0):
        size, step = x.shape[2 + axis], stride[axis]
        span = dilation[axis] * (kernel_size[axis] - 1) + 1
        more = max((-(-size // step) - 1) * step + span - size, 0)
        pads += [more - more // 2, more // 2]
    return F.pad(x, pads)


@mistake("pad_same", hint="""
    The dilation has no effect. A spread kernel spans more pixels and needs more zeros.""",
         anchor="dilation")
def dilation_ignored(x, *, kernel_size, stride=(1, 1), dilation=(1, 1)):
    pads = []
    for axis in (1, 0):
        size, step = x.shape[2 + axis], stride[axis]
        more = max((-(-size // step) - 1) * step + kernel_size[axis] - size, 0)
        pads += [more // 2, more - more // 2]
    return F.pad(x, pads)


@mistake("pad_same", hint="""
    You pad as for a stride of 1. The windows of a larger stride may end earlier, and need fewer
    zeros: how far does the last of them reach?""")
def stride_ignored(x, *, kernel_size, stride=(1, 1), dilation=(1, 1)):
    pads = []
    for axis in (1, 0):
        more = dilation[axis] * (kernel_size[axis] - 1)
        pads += [more // 2, more - more // 2]
    return F.pad(x, pads)


@mistake("pad_same", hint="""
    Both ends get half the kernel. For an even kernel that is a zero too many, and the output
    grows by one.""")
def half_a_kernel_at_both_ends(x, *, kernel_size, stride=(1, 1), dilation=(1, 1)):
    pads = []
    for axis in (1, 0):
        size, step = x.shape[2 + axis], stride[axis]
        span = dilation[axis] * (kernel_size[axis] - 1) + 1
        more = max((-(-size // step) - 1) * step + span - size, 0)
        pads += [(more + 1) // 2, (more + 1) // 2]
    return F.pad(x, pads)


@mistake("pad_same", hint="""
    Where the stride is larger than the kernel your padding can be negative, and `F.pad` then cuts
    pixels off. Nothing to add means 0.""")
def negative_padding(x, *, kernel_size, stride=(1, 1), dilation=(1, 1)):
    pads = []
    for axis in (1, 0):
        size, step = x.shape[2 + axis], stride[axis]
        span = dilation[axis] * (kernel_size[axis] - 1) + 1
        more = (-(-size // step) - 1) * step + span - size
        pads += [more // 2, more - more // 2]
    return F.pad(x, pads)
