"""Right answers written differently: each must earn full points."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


def preprocess__torch__resized_first(images, *, mean, std, size):
    x = torch.movedim(images, -1, 1).to(torch.float32)
    x = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
    return torch.stack([(x[:, k] / 255 - mean[k]) / std[k] for k in range(len(mean))], dim=1)


def preprocess__torch__standardised_first(images, *, mean, std, size):
    """A weighted mean of pixels doesn't care whether they are standardised before or after."""
    x = (images / 255 - torch.tensor(mean)) / torch.tensor(std)
    return nn.Upsample(size=(size, size), mode="bilinear")(x.permute(0, 3, 1, 2))


def freeze__torch__methods(module):
    module.zero_grad(set_to_none=True)
    module.requires_grad_(False).eval()


def freeze__torch__part_by_part(module):
    for part in module.modules():
        part.training = False
        for name in dict(part.named_parameters(recurse=False)):
            value = getattr(part, name)
            value.requires_grad = False
            value.grad = None


def replace_head__torch__set_submodule(model, name, classes):
    old = model.get_submodule(name)
    head = nn.Linear(old.weight.shape[1], classes).to(old.weight)
    with torch.no_grad():
        for value in head.parameters():
            value.fill_(0.0)
    model.set_submodule(name, head)


def replace_head__torch__walk(model, name, classes):
    *path, last = name.split(".")
    parent = model
    for step in path:
        parent = getattr(parent, step)
    old = getattr(parent, last)
    head = nn.Linear(old.in_features, classes, dtype=old.weight.dtype, device=old.weight.device)
    head.weight = nn.Parameter(torch.zeros_like(head.weight))
    head.bias = nn.Parameter(torch.zeros_like(head.bias))
    setattr(parent, last, head)


def discriminative_groups__torch__from_the_head(model, *, learning_rate, factor):
    groups, rate = [], learning_rate
    for child in reversed(list(model.children())):
        members = [p for p in child.parameters() if p.requires_grad]
        if members:
            groups.insert(0, {"params": members, "lr": rate})
            rate = rate * factor
    return groups


def discriminative_groups__torch__filtered(model, *, learning_rate, factor):
    def learns(part):
        return any(p.requires_grad for p in part.parameters())

    parts = list(filter(learns, model.children()))
    return [{"params": list(filter(lambda p: p.requires_grad, part.parameters())),
                 "lr": learning_rate * factor**depth}
            for depth, part in zip(range(len(parts) - 1, -1, -1), parts, strict=False)]


def fine_tune_step__torch__mode_of_each(model, optimizer, x, labels):
    model.train()
    for part in model.modules():
        own = list(part.parameters())
        if part._get_name().startswith("BatchNorm") and not any(p.requires_grad for p in own):
            part.train(False)
    loss = nn.CrossEntropyLoss()(model(x), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def fine_tune_step__torch__log_softmax(model, optimizer, x, labels):
    model.train()
    for part in model.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.train(part.weight.requires_grad)
    log_p = model(x).log_softmax(dim=-1)
    loss = -log_p[torch.arange(len(x)), labels].mean()
    model.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def box_iou__torch__columns(boxes, others):
    x1, y1, x2, y2 = (c[:, None] for c in boxes.unbind(dim=1))
    u1, v1, u2, v2 = (c[None, :] for c in others.unbind(dim=1))
    wide = (torch.min(x2, u2) - torch.max(x1, u1)).relu()
    high = (torch.min(y2, v2) - torch.max(y1, v1)).relu()
    shared = wide * high
    both = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - shared
    return (shared / both).nan_to_num(0.0)


def box_iou__torch__loops(boxes, others):
    iou = torch.zeros(len(boxes), len(others), dtype=boxes.dtype)
    for i, a in enumerate(boxes.tolist()):
        for j, b in enumerate(others.tolist()):
            wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
            high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
            both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - wide * high
            iou[i, j] = wide * high / both if both > 0 else 0.0
    return iou


def non_maximum_suppression__torch__strike_out(iou, scores, classes, *, threshold=0.5):
    left = scores.argsort(descending=True)
    keep = []
    while len(left):
        best, left = left[0], left[1:]
        keep.append(best)
        left = left[(iou[best, left] <= threshold) | (classes[left] != classes[best])]
    return torch.stack(keep) if keep else torch.zeros(0, dtype=torch.int64)


def non_maximum_suppression__torch__python(iou, scores, classes, *, threshold=0.5):
    kinds, overlap = classes.tolist(), iou.tolist()
    values = scores.tolist()
    keep = []
    for i in sorted(range(len(values)), key=lambda k: -values[k]):
        if all(kinds[i] != kinds[j] or overlap[i][j] <= threshold for j in keep):
            keep.append(i)
    return torch.tensor(keep).long()


def class_iou__torch__masks(predicted, target, *, classes):
    found = []
    for k in range(classes):
        p, t = predicted == k, target == k
        found.append((p & t).sum() / (p | t).sum())
    return torch.stack(found)


def class_iou__torch__one_hot(predicted, target, *, classes):
    p, t = (F.one_hot(v.flatten(), classes).float() for v in (predicted, target))
    shared = (p * t).sum(dim=0)
    return shared / (p.sum(dim=0) + t.sum(dim=0) - shared)
