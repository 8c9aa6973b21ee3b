"""Known mistakes of chapter 13: sizes, receptive fields, convolution with loops."""

import numpy as np

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- output_size


@mistake("output_size", hint="""
    The padding lies on both sides of the axis, and you counted it once.""")
def padding_counted_once(size, *, kernel_size, stride=1, padding=0, dilation=1):
    return (size + padding - dilation * (kernel_size - 1) - 1) // stride + 1


@mistake("output_size", hint="""
    You count the steps from the first place to the last. There is one place more than there are
    steps: fence posts and the gaps between them.""")
def first_place_not_counted(size, *, kernel_size, stride=1, padding=0, dilation=1):
    return (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride


@mistake("output_size", hint="""
    The dilation has no effect. It spreads the weights, so that the kernel spans more pixels than
    it has weights.""", anchor="dilation")
def dilation_ignored(size, *, kernel_size, stride=1, padding=0, dilation=1):
    return (size + 2 * padding - kernel_size) // stride + 1


@mistake("output_size", hint="""
    Your dilated kernel spans k times d pixels. Between k weights there are k - 1 gaps: draw three
    weights with a dilation of 2, and count.""", anchor="dilation")
def span_one_gap_too_long(size, *, kernel_size, stride=1, padding=0, dilation=1):
    return (size + 2 * padding - dilation * kernel_size) // stride + 1


@mistake("output_size", hint="""
    You round up. A window that would reach past the edge doesn't exist; the last pixels are then
    left over.""")
def rounded_up(size, *, kernel_size, stride=1, padding=0, dilation=1):
    return -(-(size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride) + 1


@mistake("output_size", hint="""
    Your size can have a fraction: the division is not rounded. Count only windows that fit whole.
    """)
def not_rounded(size, *, kernel_size, stride=1, padding=0, dilation=1):
    return (size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride + 1


# ---------------------------------------------------------------- receptive_field


@mistake("receptive_field", hint="""
    The strides have no effect. Behind a layer with stride 2, neighbouring outputs are 2 pixels
    apart, and each later kernel reaches twice as far.""")
def strides_ignored(layers):
    return 1 + sum((*layer, 1)[:3][2] * (layer[0] - 1) for layer in layers)


@mistake("receptive_field", hint="""
    A layer's own stride enters before its kernel is counted. How far apart its outputs are
    matters to the layers above it; its kernel steps over its inputs.""")
def own_stride_too_early(layers):
    field, step = 1, 1
    for kernel_size, stride, *dilation in layers:
        step *= stride
        field += (dilation[0] if dilation else 1) * (kernel_size - 1) * step
    return field


@mistake("receptive_field", hint="""
    Each layer adds its whole kernel. One of its entries lies where the field was already: two
    layers of 3 see 5 pixels, not 6.""")
def whole_kernels_added(layers):
    field, step = 1, 1
    for number, (kernel_size, stride, *dilation) in enumerate(layers):
        reach = (dilation[0] if dilation else 1) * (kernel_size - 1)
        field += (reach + (number > 0)) * step
        step *= stride
    return field


@mistake("receptive_field", hint="""
    The strides are multiplied from the wrong end. What counts for a layer are the strides of the
    layers between it and the input.""")
def strides_from_the_output(layers):
    field, step = 1, 1
    for kernel_size, stride, *dilation in reversed(layers):
        field += (dilation[0] if dilation else 1) * (kernel_size - 1) * step
        step *= stride
    return field


@mistake("receptive_field", hint="""
    The third number of a layer, its dilation, has no effect. It spreads the kernel.""",
         anchor="dilation")
def third_number_ignored(layers):
    field, step = 1, 1
    for layer in layers:
        field += (layer[0] - 1) * step
        step *= layer[1]
    return field


@mistake("receptive_field", hint="""
    The strides add up instead of multiplying. Two layers with stride 3 leave outputs that are 9
    pixels apart.""")
def strides_added(layers):
    field, step = 1, 1
    for kernel_size, stride, *dilation in layers:
        field += (dilation[0] if dilation else 1) * (kernel_size - 1) * step
        step += stride - 1
    return field


# ---------------------------------------------------------------- conv2d_naive


@mistake("conv2d_naive", hint="""
    Your kernel is turned by 180 degrees. That is the convolution of the mathematicians; networks
    use cross-correlation and leave the kernel as it is.""", anchor="cross-correlation")
def kernel_flipped(x, w, b, *, stride=1, padding=0, dilation=1, groups=1):
    (sh, sw), (ph, pw), (dh, dw) = (
        v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation))
    (n, _, h, wd), (c_out, c, kh, kw) = x.shape, w.shape
    oh = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    ow = (wd + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    y = np.zeros((n, c_out, oh, ow), x.dtype)
    for e, o, p, q in np.ndindex(*y.shape):
        first = o // (c_out // groups) * c
        window = padded[e, first:first + c, p * sh:p * sh + dh * kh:dh, q * sw:q * sw + dw * kw:dw]
        y[e, o, p, q] = np.sum(window * w[o, :, ::-1, ::-1]) + (0 if b is None else b[o])
    return y


@mistake("conv2d_naive", hint="""
    All zeros of the padding stand before the first pixel, none after the last. They belong on
    both sides, equally many.""", anchor="padding")
def padding_on_one_side(x, w, b, *, stride=1, padding=0, dilation=1, groups=1):
    (sh, sw), (ph, pw), (dh, dw) = (
        v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation))
    (n, _, h, wd), (c_out, c, kh, kw) = x.shape, w.shape
    oh = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    ow = (wd + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    padded = np.pad(x, ((0, 0), (0, 0), (2 * ph, 0), (2 * pw, 0)))
    y = np.zeros((n, c_out, oh, ow), x.dtype)
    for e, o, p, q in np.ndindex(*y.shape):
        first = o // (c_out // groups) * c
        window = padded[e, first:first + c, p * sh:p * sh + dh * kh:dh, q * sw:q * sw + dw * kw:dw]
        y[e, o, p, q] = np.sum(window * w[o]) + (0 if b is None else b[o])
    return y


@mistake("conv2d_naive", hint="""
    The bias is added once for each input channel. A window, all its channels together, makes one
    number, and gets the bias once.""")
def bias_for_each_channel(x, w, b, *, stride=1, padding=0, dilation=1, groups=1):
    (sh, sw), (ph, pw), (dh, dw) = (
        v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation))
    (n, _, h, wd), (c_out, c, kh, kw) = x.shape, w.shape
    oh = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    ow = (wd + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    y = np.zeros((n, c_out, oh, ow), x.dtype)
    for e, o, p, q in np.ndindex(*y.shape):
        first = o // (c_out // groups) * c
        window = padded[e, first:first + c, p * sh:p * sh + dh * kh:dh, q * sw:q * sw + dw * kw:dw]
        y[e, o, p, q] = np.sum(window * w[o]) + (0 if b is None else c * b[o])
    return y


@mistake("conv2d_naive", hint="""
    The output has the right size, but its windows are one pixel apart whatever the stride. Window
    (p, q) begins at pixel (p, q) times the stride.""", anchor="stride")
def stride_in_the_size_alone(x, w, b, *, stride=1, padding=0, dilation=1, groups=1):
    (sh, sw), (ph, pw), (dh, dw) = (
        v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation))
    (n, _, h, wd), (c_out, c, kh, kw) = x.shape, w.shape
    oh = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    ow = (wd + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    y = np.zeros((n, c_out, oh, ow), x.dtype)
    for e, o, p, q in np.ndindex(*y.shape):
        first = o // (c_out // groups) * c
        window = padded[e, first:first + c, p:p + dh * kh:dh, q:q + dw * kw:dw]
        y[e, o, p, q] = np.sum(window * w[o]) + (0 if b is None else b[o])
    return y


@mistake("conv2d_naive", hint="""
    The output has the right size, but every window is made of neighbouring pixels. With a
    dilation of d they are d pixels apart.""", anchor="dilation")
def dilation_in_the_size_alone(x, w, b, *, stride=1, padding=0, dilation=1, groups=1):
    (sh, sw), (ph, pw), (dh, dw) = (
        v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation))
    (n, _, h, wd), (c_out, c, kh, kw) = x.shape, w.shape
    oh = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    ow = (wd + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    y = np.zeros((n, c_out, oh, ow), x.dtype)
    for e, o, p, q in np.ndindex(*y.shape):
        first = o // (c_out // groups) * c
        window = padded[e, first:first + c, p * sh:p * sh + kh, q * sw:q * sw + kw]
        y[e, o, p, q] = np.sum(window * w[o]) + (0 if b is None else b[o])
    return y


@mistake("conv2d_naive", hint="""
    Every filter looks at the first group of channels. Filters of the second group see the second
    group of channels, and so on.""", anchor="groups")
def first_group_for_all(x, w, b, *, stride=1, padding=0, dilation=1, groups=1):
    (sh, sw), (ph, pw), (dh, dw) = (
        v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation))
    (n, _, h, wd), (c_out, c, kh, kw) = x.shape, w.shape
    oh = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    ow = (wd + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    y = np.zeros((n, c_out, oh, ow), x.dtype)
    for e, o, p, q in np.ndindex(*y.shape):
        window = padded[e, :c, p * sh:p * sh + dh * kh:dh, q * sw:q * sw + dw * kw:dw]
        y[e, o, p, q] = np.sum(window * w[o]) + (0 if b is None else b[o])
    return y


@mistake("conv2d_naive", hint="""
    Rows and columns of the filters are swapped: weight (i, j) meets pixel (j, i) of its window.
    A filter that is not square shows it at once.""")
def filters_transposed(x, w, b, *, stride=1, padding=0, dilation=1, groups=1):
    (sh, sw), (ph, pw), (dh, dw) = (
        v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation))
    (n, _, h, wd), (c_out, c, kh, kw) = x.shape, w.shape
    oh = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    ow = (wd + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    y = np.zeros((n, c_out, oh, ow), x.dtype)
    for e, o, p, q in np.ndindex(*y.shape):
        first = o // (c_out // groups) * c
        window = padded[e, first:first + c, p * sh:p * sh + dh * kh:dh, q * sw:q * sw + dw * kw:dw]
        y[e, o, p, q] = np.sum(window * w[o].swapaxes(1, 2)) + (0 if b is None else b[o])
    return y
