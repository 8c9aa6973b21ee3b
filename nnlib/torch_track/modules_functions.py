"""The hand-written operations as autograd functions: call ``<Name>.apply(...)``.

`torch.autograd.Function` joins a forward and a backward of this track to torch's graph. Options
come after the tensors, by position, and get None for a gradient. A second derivative differentiates
the backward. That is right where all it needs was an input; where the forward saved something it
had computed, torch would take that for a constant, and `once_differentiable` refuses instead.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nnlib.contract.caches import LinearCache, ReluCache
from nnlib.contract.caches_convolution import Conv2dCache
from nnlib.contract.caches_normalization import BatchNormCache
from nnlib.contract.caches_sequences import AttentionCache
from nnlib.torch_track.activations import relu_backward, relu_forward
from nnlib.torch_track.attention import attention_backward, attention_forward
from nnlib.torch_track.convolution import conv2d_backward, conv2d_forward
from nnlib.torch_track.dense import linear_backward, linear_forward
from nnlib.torch_track.losses import softmax_cross_entropy
from nnlib.torch_track.normalization import batch_norm_backward, batch_norm_forward
from nnlib.windows import Pair

__all__ = [
    "AttentionFunction",
    "BatchNormFunction",
    "Conv2dFunction",
    "LinearFunction",
    "ReLUFunction",
    "SoftmaxCrossEntropyFunction",
]


class ReLUFunction(torch.autograd.Function):
    """ReLU with its own backward: call ``ReLUFunction.apply(x)``.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> x = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    >>> ReLUFunction.apply(x).sum().backward()
    >>> x.grad.tolist()
    [0.0, 0.0, 1.0]
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Compute ``max(x, 0)``."""
        y, cache = relu_forward(x)
        ctx.save_for_backward(*cache)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Turn the gradient of the output into that of the input."""
        (dy,) = grads
        return relu_backward(dy, ReluCache(*ctx.saved_tensors))


class LinearFunction(torch.autograd.Function):
    """A linear layer with its own backward: call ``LinearFunction.apply(x, w, b)``.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> x = torch.ones((2, 3))
    >>> w, b = torch.ones((3, 1), requires_grad=True), torch.zeros(1, requires_grad=True)
    >>> LinearFunction.apply(x, w, b).sum().backward()
    >>> w.grad.tolist(), b.grad.tolist()
    ([[2.0], [2.0], [2.0]], [2.0])
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        """Compute ``x @ w + b``."""
        y, cache = linear_forward(x, w, b)
        ctx.save_for_backward(*cache)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Turn the gradient of the output into those of the inputs."""
        (dy,) = grads
        return tuple(linear_backward(dy, LinearCache(*ctx.saved_tensors)))


class Conv2dFunction(torch.autograd.Function):
    """A convolution with its own backward: ``Conv2dFunction.apply(x, w, b)``.

    Stride, padding, dilation and groups may follow, in this order.

    References
    ----------
    Chapter 13, "Convolution".

    Examples
    --------
    >>> x, w = torch.tensor([[[[1.0, 2.0, 3.0]]]]), torch.tensor([[[[-1.0, 1.0]]]])
    >>> w.requires_grad_()
    tensor([[[[-1.,  1.]]]], requires_grad=True)
    >>> Conv2dFunction.apply(x, w, None).sum().backward()
    >>> w.grad.tolist()
    [[[[3.0, 5.0]]]]
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        w: Tensor,
        b: Tensor | None,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
    ) -> Tensor:
        """Compute `conv2d_forward`."""
        y, cache = conv2d_forward(
            x, w, b, stride=stride, padding=padding, dilation=dilation, groups=groups
        )
        ctx.save_for_backward(*cache[:3])
        ctx.options = cache[3:]
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Turn the gradient of the output into those of the inputs."""
        (dy,) = grads
        cache = Conv2dCache(*ctx.saved_tensors, *ctx.options)
        return (*conv2d_backward(dy, cache), None, None, None, None)


class BatchNormFunction(torch.autograd.Function):
    """Batch norm with its own backward.

    ``BatchNormFunction.apply(x, gamma, beta, running_mean, running_var, training)`` returns
    ``(y, new_running_mean, new_running_var)``; momentum and eps may follow. Running statistics
    have no gradient.

    References
    ----------
    Chapter 11, "Normalization".

    Examples
    --------
    >>> x, zero, one = torch.tensor([[1.0], [3.0]]).requires_grad_(), torch.zeros(1), torch.ones(1)
    >>> y, mean, var = BatchNormFunction.apply(x, one, zero, zero, one, True, 0.5)
    >>> y.round().tolist(), mean.tolist(), y.requires_grad, mean.requires_grad
    ([[-1.0], [1.0]], [1.0], True, False)
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gamma: Tensor,
        beta: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        training: bool,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute `batch_norm_forward`."""
        y, (mean, var), cache = batch_norm_forward(
            x, gamma, beta, running_mean, running_var,
            training=training, momentum=momentum, eps=eps,
        )
        ctx.save_for_backward(cache.centred, cache.inv_std, cache.gamma)
        ctx.training = cache.training
        if not training:
            # A function may not return an input as it is and call it not differentiable.
            mean, var = mean.clone(), var.clone()
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Turn the gradient of the output into those of the inputs."""
        centred, inv_std, gamma = ctx.saved_tensors
        cache = BatchNormCache(centred, inv_std, gamma, ctx.training)
        return (*batch_norm_backward(grads[0], cache), None, None, None, None, None)


class SoftmaxCrossEntropyFunction(torch.autograd.Function):
    """Softmax and cross-entropy in one, ``SoftmaxCrossEntropyFunction.apply(logits, labels)``.

    Label smoothing may follow. The loss is the mean over the rows.

    References
    ----------
    Chapter 4, "Losses".

    Examples
    --------
    >>> logits = torch.zeros((1, 2), requires_grad=True)
    >>> SoftmaxCrossEntropyFunction.apply(logits, torch.tensor([1])).backward()
    >>> logits.grad.tolist()
    [[0.5, -0.5]]
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, label_smoothing: float = 0.0
    ) -> Tensor:
        """Compute the mean loss; its gradient comes along."""
        loss, dlogits = softmax_cross_entropy(logits, labels, label_smoothing=label_smoothing)
        ctx.save_for_backward(dlogits)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradient of the loss by that of what follows."""
        (dloss,) = grads
        (dlogits,) = ctx.saved_tensors
        return dloss * dlogits, None, None


class AttentionFunction(torch.autograd.Function):
    """Scaled dot-product attention with its own backward: ``AttentionFunction.apply(q, k, v)``.

    The option `causal` may follow.

    References
    ----------
    Chapter 18, "Attention".

    Examples
    --------
    >>> q = k = torch.zeros((2, 4))
    >>> v = torch.tensor([[1.0], [3.0]], requires_grad=True)
    >>> AttentionFunction.apply(q, k, v, True).sum().backward()
    >>> v.grad.tolist()
    [[1.5], [0.5]]
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, causal: bool = False) -> Tensor:
        """Compute `attention_forward`."""
        y, cache = attention_forward(q, k, v, causal=causal)
        ctx.save_for_backward(*cache)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Turn the gradient of the output into those of queries, keys and values."""
        (dy,) = grads
        return (*attention_backward(dy, AttentionCache(*ctx.saved_tensors)), None)
