"""Known mistakes of chapter 15: boxes, suppression, masks."""

import torch

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- box_iou


@mistake("box_iou", hint="""
    You add 1 to every side. That convention counts pixels and belongs to corners that are pixel
    numbers. Here a box is a region of the plane, and one from 2 to 5 is 3 wide.""")
def one_added_to_sides(boxes, others):
    top_left = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    intersection = (bottom_right - top_left + 1).clamp(min=0).prod(dim=-1)
    areas, other_areas = ((b[:, 2:] - b[:, :2] + 1).prod(dim=-1) for b in (boxes, others))
    return intersection / (areas[:, None] + other_areas[None, :] - intersection)


@mistake("box_iou", hint="""
    Boxes that are apart in both directions overlap, according to you: two negative sides make a
    positive area. A side of the intersection is never less than 0.""")
def sides_below_zero(boxes, others):
    top_left = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    intersection = (bottom_right - top_left).prod(dim=-1)
    areas, other_areas = ((b[:, 2:] - b[:, :2]).prod(dim=-1) for b in (boxes, others))
    union = areas[:, None] + other_areas[None, :] - intersection
    return torch.where(union != 0, intersection / union, torch.zeros_like(union))


@mistake("box_iou", hint="""
    You cut the *area* of the intersection off at 0. Two negative sides have made it positive by
    then: cut off the sides, before you multiply.""")
def area_clamped(boxes, others):
    top_left = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    intersection = (bottom_right - top_left).prod(dim=-1).clamp(min=0)
    areas, other_areas = ((b[:, 2:] - b[:, :2]).prod(dim=-1) for b in (boxes, others))
    union = areas[:, None] + other_areas[None, :] - intersection
    return torch.where(union != 0, intersection / union, torch.zeros_like(union))


@mistake("box_iou", hint="""
    The intersection counts twice in your union: a box compared with itself gives 1/2. Both areas
    contain it.""")
def intersection_counted_twice(boxes, others):
    top_left = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    areas, other_areas = ((b[:, 2:] - b[:, :2]).prod(dim=-1) for b in (boxes, others))
    union = areas[:, None] + other_areas[None, :]
    return torch.where(union > 0, intersection / union, torch.zeros_like(union))


@mistake("box_iou", hint="""
    You divide by the smaller box. Then a small box inside a huge one counts as a perfect match; the
    union is what both cover together.""")
def over_the_smaller_box(boxes, others):
    top_left = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    areas, other_areas = ((b[:, 2:] - b[:, :2]).prod(dim=-1) for b in (boxes, others))
    smaller = torch.minimum(areas[:, None], other_areas[None, :])
    return torch.where(smaller > 0, intersection / smaller, torch.zeros_like(smaller))


@mistake("box_iou", hint="""
    You read the last two columns as width and height. They are the right and bottom edges.
    Data sets use both forms, so look before you compute.""")
def edges_read_as_sides(boxes, others):
    top_left = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    bottom_right = torch.minimum((boxes[:, :2] + boxes[:, 2:])[:, None],
                                 (others[:, :2] + others[:, 2:])[None, :])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    areas, other_areas = (b[:, 2:].prod(dim=-1) for b in (boxes, others))
    union = areas[:, None] + other_areas[None, :] - intersection
    return torch.where(union > 0, intersection / union, torch.zeros_like(union))


@mistake("box_iou", hint="""
    Your table is the transpose: rows belong to `boxes`, the first argument, columns to
    `others`.""")
def rows_for_the_others(boxes, others):
    top_left = torch.maximum(others[:, None, :2], boxes[None, :, :2])
    bottom_right = torch.minimum(others[:, None, 2:], boxes[None, :, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    areas, other_areas = ((b[:, 2:] - b[:, :2]).prod(dim=-1) for b in (others, boxes))
    union = areas[:, None] + other_areas[None, :] - intersection
    return torch.where(union > 0, intersection / union, torch.zeros_like(union))


@mistake("box_iou", hint="""
    Two empty boxes give 0/0, which is nan, and nan spreads into every loss and every sum. The task
    asks for 0 there.""")
def nan_for_empty_boxes(boxes, others):
    top_left = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    areas, other_areas = ((b[:, 2:] - b[:, :2]).prod(dim=-1) for b in (boxes, others))
    return intersection / (areas[:, None] + other_areas[None, :] - intersection)


# ---------------------------------------------------------------- non_maximum_suppression


@mistake("non_maximum_suppression", hint="""
    Boxes of different classes suppress each other: a rider would delete the horse. Compare each box
    with kept boxes of its own class only.""")
def across_classes(iou, scores, classes, *, threshold=0.5):
    keep = []
    for index in scores.argsort(descending=True).tolist():
        if all(iou[index, other] <= threshold for other in keep):
            keep.append(index)
    return torch.tensor(keep, dtype=torch.int64)


@mistake("non_maximum_suppression", hint="""
    You begin with the lowest score, so of each heap the worst box stays. argsort goes upwards
    unless you ask otherwise.""")
def lowest_score_kept(iou, scores, classes, *, threshold=0.5):
    keep = []
    for index in scores.argsort().tolist():
        if all(classes[index] != classes[other] or iou[index, other] <= threshold
               for other in keep):
            keep.append(index)
    return torch.tensor(keep, dtype=torch.int64)


@mistake("non_maximum_suppression", hint="""
    A box that was itself suppressed still suppresses others. In a chain of three, where only
    neighbours overlap, the third must stay: compare with the boxes that you kept.""")
def suppressed_ones_suppress(iou, scores, classes, *, threshold=0.5):
    order = scores.argsort(descending=True).tolist()
    keep = []
    for place, index in enumerate(order):
        if all(classes[index] != classes[other] or iou[index, other] <= threshold
               for other in order[:place]):
            keep.append(index)
    return torch.tensor(keep, dtype=torch.int64)


@mistake("non_maximum_suppression", hint="""
    Each box is compared with the best of its class alone. The others that you keep suppress, too:
    an image can hold several heaps.""")
def compared_with_the_best_alone(iou, scores, classes, *, threshold=0.5):
    keep, best = [], {}
    for index in scores.argsort(descending=True).tolist():
        kind = int(classes[index])
        if kind not in best or iou[index, best[kind]] <= threshold:
            best.setdefault(kind, index)
            keep.append(index)
    return torch.tensor(keep, dtype=torch.int64)


@mistake("non_maximum_suppression", hint="""
    One box for each class remains. Two objects of one class that do not overlap are two
    objects.""")
def one_for_each_class(iou, scores, classes, *, threshold=0.5):
    keep, seen = [], set()
    for index in scores.argsort(descending=True).tolist():
        if int(classes[index]) not in seen:
            seen.add(int(classes[index]))
            keep.append(index)
    return torch.tensor(keep, dtype=torch.int64)


@mistake("non_maximum_suppression", hint="""
    Boxes that overlap by exactly the threshold go in your version. Only those above it
    should.""")
def equal_overlap_goes(iou, scores, classes, *, threshold=0.5):
    keep = []
    for index in scores.argsort(descending=True).tolist():
        if all(classes[index] != classes[other] or iou[index, other] < threshold
               for other in keep):
            keep.append(index)
    return torch.tensor(keep, dtype=torch.int64)


@mistake("non_maximum_suppression", hint="""
    The right boxes, in the wrong order: you return them by number. Whoever takes the first ten
    wants the ten surest.""")
def sorted_by_number(iou, scores, classes, *, threshold=0.5):
    keep = []
    for index in scores.argsort(descending=True).tolist():
        if all(classes[index] != classes[other] or iou[index, other] <= threshold
               for other in keep):
            keep.append(index)
    return torch.tensor(sorted(keep), dtype=torch.int64)


@mistake("non_maximum_suppression", hint="""
    The threshold is fixed at 0.5. Crowded scenes need another one: use the argument.""")
def threshold_fixed(iou, scores, classes, *, threshold=0.5):
    keep = []
    for index in scores.argsort(descending=True).tolist():
        if all(classes[index] != classes[other] or iou[index, other] <= 0.5 for other in keep):
            keep.append(index)
    return torch.tensor(keep, dtype=torch.int64)


# ---------------------------------------------------------------- class_iou


@mistake("class_iou", hint="""
    You divide by the pixels that truly belong to the class. A mask that covers the whole image then
    scores 1 for each: pixels claimed wrongly must count as well.""")
def recall_of_the_pixels(predicted, target, *, classes):
    kinds = torch.arange(classes)[:, None]
    p, t = predicted.flatten() == kinds, target.flatten() == kinds
    return (p & t).sum(dim=1) / t.sum(dim=1)


@mistake("class_iou", hint="""
    You divide by the pixels that were predicted. A mask of one single right pixel then scores 1:
    pixels that were missed must count as well.""")
def precision_of_the_pixels(predicted, target, *, classes):
    kinds = torch.arange(classes)[:, None]
    p, t = predicted.flatten() == kinds, target.flatten() == kinds
    return (p & t).sum(dim=1) / p.sum(dim=1)


@mistake("class_iou", hint="""
    That is Dice's coefficient, twice the intersection over the sum of both sizes. It ranks masks
    alike, but its numbers are larger; here the union is asked for.""")
def dice(predicted, target, *, classes):
    kinds = torch.arange(classes)[:, None]
    p, t = predicted.flatten() == kinds, target.flatten() == kinds
    return 2 * (p & t).sum(dim=1) / (p.sum(dim=1) + t.sum(dim=1))


@mistake("class_iou", hint="""
    The intersection counts twice in your union: a perfect mask gets 1/2. Both masks contain
    it.""")
def shared_pixels_counted_twice(predicted, target, *, classes):
    kinds = torch.arange(classes)[:, None]
    p, t = predicted.flatten() == kinds, target.flatten() == kinds
    return (p & t).sum(dim=1) / (p.sum(dim=1) + t.sum(dim=1))


@mistake("class_iou", hint="""
    You measure each image and take the mean. An image with three pixels of a class then weighs as
    much as one that is full of it: count the pixels of all images first, divide once.""")
def mean_over_images(predicted, target, *, classes):
    kinds = torch.arange(classes)[:, None, None]
    p, t = predicted.flatten(1) == kinds, target.flatten(1) == kinds
    return ((p & t).sum(dim=2) / (p | t).sum(dim=2)).nanmean(dim=1)


@mistake("class_iou", hint="""
    A class that is nowhere, neither in the target nor predicted, gets 0. There was nothing to find
    and nothing was claimed: mark it as nan, so that a mean can leave it out.""")
def absent_class_is_zero(predicted, target, *, classes):
    kinds = torch.arange(classes)[:, None]
    p, t = predicted.flatten() == kinds, target.flatten() == kinds
    return (p & t).sum(dim=1) / (p | t).sum(dim=1).clamp(min=1)


@mistake("class_iou", hint="""
    Pixels that are rightly *not* of the class count as hits, so that even a useless mask of a rare
    class scores near 1. They belong to neither intersection nor union.""")
def other_pixels_count(predicted, target, *, classes):
    kinds = torch.arange(classes)[:, None]
    p, t = predicted.flatten() == kinds, target.flatten() == kinds
    return (p == t).float().mean(dim=1)
