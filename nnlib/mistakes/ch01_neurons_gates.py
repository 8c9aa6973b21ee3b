"""Known mistakes of chapter 1, continued: logic gates and XOR from two layers."""

import numpy as np

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- gate_neurons


@mistake("gate_neurons", anchor="neuron-forward", hint="""
    These gates are right for a neuron that fires at z > 0. Ours fires at z = 0 too: put the
    threshold between two sums, not on one.""")
def made_for_an_excluded_threshold():
    return {"and": ([1.0, 1.0], -1.0), "or": ([1.0, 1.0], 0.0), "nand": ([-1.0, -1.0], 2.0)}


@mistake("gate_neurons", anchor="decision-line", hint="""
    The sign of the bias is reversed: you wrote the threshold itself. The neuron compares
    w . x + b with 0, so the bias is minus the threshold.""")
def threshold_given_as_bias():
    return {"and": ([1.0, 1.0], 1.5), "or": ([1.0, 1.0], 0.5), "nand": ([-1.0, -1.0], -1.5)}


@mistake("gate_neurons", hint="""
    AND and OR are exchanged. AND is the harder one to satisfy: its bias is further below 0.
    NAND then is the negation of the wrong one, too.""")
def and_and_or_exchanged():
    return {"and": ([1.0, 1.0], -0.5), "or": ([1.0, 1.0], -1.5), "nand": ([-1.0, -1.0], 0.5)}


@mistake("gate_neurons", hint="""
    AND and OR are right. For NAND you turned the weights round and left the bias: negating the
    output means negating the whole sum.""")
def nand_with_the_bias_of_and():
    return {"and": ([1.0, 1.0], -1.5), "or": ([1.0, 1.0], -0.5), "nand": ([-1.0, -1.0], -1.5)}


@mistake("gate_neurons", hint="""
    AND and OR are right. Your NAND gives 1 wherever AND does: it is AND with other numbers.""")
def nand_is_and():
    return {"and": ([1.0, 1.0], -1.5), "or": ([1.0, 1.0], -0.5), "nand": ([1.0, 1.0], -1.5)}


@mistake("gate_neurons", hint="""
    Without a bias the sum of the inputs (0, 0) is 0, and a neuron with z = 0 fires. Neither AND
    nor OR may fire there.""")
def gates_without_bias():
    return {"and": ([1.0, 1.0], 0.0), "or": ([1.0, 1.0], 0.0), "nand": ([-1.0, -1.0], 0.0)}


# ---------------------------------------------------------------- xor_forward


@mistake("xor_forward", hint="""
    Your network computes OR: it also fires for (1, 1). One hidden neuron must fall silent
    there.""")
def computes_or(x):
    return (x.sum(axis=1) - 0.5 >= 0).astype(np.int64)


@mistake("xor_forward", hint="""
    Your network computes AND. Check which gate each hidden neuron is: one should be OR and the
    other NAND, and the output neuron combines them.""")
def computes_and(x):
    return (x.sum(axis=1) - 1.5 >= 0).astype(np.int64)


@mistake("xor_forward", hint="""
    Every output is turned round: you compute "both or neither". Which gate combines the two
    hidden neurons?""")
def computes_the_opposite(x):
    hidden = np.stack([x.sum(axis=1) >= 0.5, x.sum(axis=1) <= 1.5], axis=1)
    return 1 - hidden.all(axis=1).astype(np.int64)


@mistake("xor_forward", hint="""
    The output is always 1. OR and NAND are each right in three rows: the output neuron must ask
    for both, not for one of them.""")
def output_neuron_is_or(x):
    hidden = np.stack([x.sum(axis=1) >= 0.5, x.sum(axis=1) <= 1.5], axis=1)
    return (hidden.sum(axis=1) >= 0.5).astype(np.int64)


@mistake("xor_forward", anchor="xor-two-layers", hint="""
    The output is always 0, as happens when the hidden sums go on without their step: a sum of
    weighted sums is one weighted sum. Turn z into 0 or 1 in the hidden layer too.""")
def hidden_step_forgotten(x):
    hidden = np.stack([x.sum(axis=1) - 0.5, 1.5 - x.sum(axis=1)], axis=1)
    return (hidden.sum(axis=1) - 1.5 >= 0).astype(np.int64)


@mistake("xor_forward", hint="""
    You return the two hidden outputs of each row. The output neuron that combines them is
    missing.""")
def output_neuron_forgotten(x):
    return np.stack([x.sum(axis=1) >= 0.5, x.sum(axis=1) <= 1.5], axis=1).astype(np.int64)


@mistake("xor_forward", hint="""
    The four numbers are right for the four corners in their usual order, but they do not
    depend on x. Compute them from the rows that come in.""")
def table_in_place_of_a_network(x):
    return np.array([0, 1, 1, 0])


@mistake("xor_forward", hint="""
    The numbers are right, the shape is (n, 1). With weights of shape (2,) for the output neuron
    the product is (n,).""")
def column_returned(x):
    hidden = np.stack([x.sum(axis=1) >= 0.5, x.sum(axis=1) <= 1.5], axis=1)
    return hidden.all(axis=1, keepdims=True).astype(np.int64)
