"""Known mistakes of chapter 12: checkpoints as bytes, out and back in."""

import io
import json

import numpy as np

from nnlib.contract import Checkpoint
from nnlib.mistakes.registry import mistake

NUMPY = ("numpy",)

# ---------------------------------------------------------------- checkpoint_to_bytes


@mistake("checkpoint_to_bytes", tracks=NUMPY, hint="""
    The optimizer's memory is missing. After loading, momentum starts at 0 and Adam's means too:
    the next update is another one.""")
def optimizer_state_missing(params, state, rng, *, step):
    header = {"step": step, "rng": rng.bit_generator.state, "numbers": {}}
    file = io.BytesIO()
    np.savez(file, header=np.array(json.dumps(header)),
             **{f"params/{name}": p for name, p in params.items()})
    return file.getvalue()


@mistake("checkpoint_to_bytes", tracks=NUMPY, hint="""
    The generator is missing. The next epoch after loading then comes in another order than it
    would have had.""")
def generator_missing(params, state, rng, *, step):
    arrays = {f"params/{name}": p for name, p in params.items()}
    numbers = {}
    for key, value in state.items():
        if isinstance(value, dict):
            arrays.update({f"state/{key}/{name}": a for name, a in value.items()})
        else:
            numbers[key] = value
    file = io.BytesIO()
    np.savez(file, header=np.array(json.dumps({"step": step, "numbers": numbers})), **arrays)
    return file.getvalue()


@mistake("checkpoint_to_bytes", tracks=NUMPY, hint="""
    You saved the state of a new generator, not of the one that was passed in. It would start from
    its seed again.""")
def state_of_a_new_generator(params, state, rng, *, step):
    arrays = {f"params/{name}": p for name, p in params.items()}
    numbers = {}
    for key, value in state.items():
        if isinstance(value, dict):
            arrays.update({f"state/{key}/{name}": a for name, a in value.items()})
        else:
            numbers[key] = value
    header = {"step": step, "rng": np.random.default_rng(0).bit_generator.state,
              "numbers": numbers}
    file = io.BytesIO()
    np.savez(file, header=np.array(json.dumps(header)), **arrays)
    return file.getvalue()


@mistake("checkpoint_to_bytes", tracks=NUMPY, hint="""
    The numbers in the optimizer's state are missing, its step among them. Adam would correct its
    bias as in the first step.""")
def numbers_of_the_state_missing(params, state, rng, *, step):
    arrays = {f"params/{name}": p for name, p in params.items()}
    for key, value in state.items():
        if isinstance(value, dict):
            arrays.update({f"state/{key}/{name}": a for name, a in value.items()})
    header = {"step": step, "rng": rng.bit_generator.state, "numbers": {}}
    file = io.BytesIO()
    np.savez(file, header=np.array(json.dumps(header)), **arrays)
    return file.getvalue()


@mistake("checkpoint_to_bytes", tracks=NUMPY, hint="""
    The name of the memory is missing in the name of the array, so Adam's two memories get the same
    names and the second overwrites the first.""")
def memories_overwrite_each_other(params, state, rng, *, step):
    arrays = {f"params/{name}": p for name, p in params.items()}
    numbers = {}
    for key, value in state.items():
        if isinstance(value, dict):
            arrays.update({f"state/{name}": a for name, a in value.items()})
        else:
            numbers[key] = value
    header = {"step": step, "rng": rng.bit_generator.state, "numbers": numbers}
    file = io.BytesIO()
    np.savez(file, header=np.array(json.dumps(header)), **arrays)
    return file.getvalue()


@mistake("checkpoint_to_bytes", tracks=NUMPY, hint="""
    An array is made of the whole state, a dict. NumPy can only store that as a pickle, which runs
    code when it is loaded. Store every array by itself.""", anchor="pickle")
def state_as_one_object(params, state, rng, *, step):
    arrays = {f"params/{name}": p for name, p in params.items()}
    header = {"step": step, "rng": rng.bit_generator.state, "numbers": {}}
    file = io.BytesIO()
    np.savez(file, header=np.array(json.dumps(header)), state=np.array(state, dtype=object),
             **arrays)
    return file.getvalue()


# ---------------------------------------------------------------- checkpoint_from_bytes


@mistake("checkpoint_from_bytes", tracks=NUMPY, hint="""
    The generator starts from a seed again, in place of where the saved one was. Give it the saved
    state.""")
def generator_starts_again(data):
    params, state = {}, {}
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        header = json.loads(str(archive["header"]))
        state.update(header["numbers"])
        for key in archive.files:
            kind, _, name = key.partition("/")
            if kind == "params":
                params[name] = archive[key]
            elif kind == "state":
                memory, _, name = name.partition("/")
                state.setdefault(memory, {})[name] = archive[key]
    return Checkpoint(params, state, np.random.default_rng(0), header["step"], {})


@mistake("checkpoint_from_bytes", tracks=NUMPY, hint="""
    The arrays of the state keep their long names. The optimizer looks for `state["m"]`, a dict
    with one array for each parameter.""")
def state_left_flat(data):
    params, state = {}, {}
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        header = json.loads(str(archive["header"]))
        state.update(header["numbers"])
        for key in archive.files:
            kind, _, name = key.partition("/")
            if kind == "params":
                params[name] = archive[key]
            elif kind == "state":
                state[name] = archive[key]
    bits = np.random.PCG64()
    bits.state = header["rng"]
    return Checkpoint(params, state, np.random.Generator(bits), header["step"], {})


@mistake("checkpoint_from_bytes", tracks=NUMPY, hint="""
    The numbers of the state are lost, its step among them. They stand in the header under
    "numbers".""")
def numbers_not_read(data):
    params, state = {}, {}
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        header = json.loads(str(archive["header"]))
        for key in archive.files:
            kind, _, name = key.partition("/")
            if kind == "params":
                params[name] = archive[key]
            elif kind == "state":
                memory, _, name = name.partition("/")
                state.setdefault(memory, {})[name] = archive[key]
    bits = np.random.PCG64()
    bits.state = header["rng"]
    return Checkpoint(params, state, np.random.Generator(bits), header["step"], {})


@mistake("checkpoint_from_bytes", tracks=NUMPY, hint="""
    A name may hold a slash itself, as "head/w" does. Cut the kind and the memory off in front, and
    take the rest as it is.""")
def names_cut_at_every_slash(data):
    params, state = {}, {}
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        header = json.loads(str(archive["header"]))
        state.update(header["numbers"])
        for key in archive.files:
            parts = key.split("/")
            if parts[0] == "params":
                params[parts[-1]] = archive[key]
            elif parts[0] == "state":
                state.setdefault(parts[1], {})[parts[-1]] = archive[key]
    bits = np.random.PCG64()
    bits.state = header["rng"]
    return Checkpoint(params, state, np.random.Generator(bits), header["step"], {})


@mistake("checkpoint_from_bytes", tracks=NUMPY, hint="""
    You allow pickle. A file of somebody else's can then run any code on your machine. Nothing in a
    checkpoint of this format needs it.""", anchor="pickle")
def pickle_allowed(data):
    params, state = {}, {}
    with np.load(io.BytesIO(data), allow_pickle=True) as archive:
        header = json.loads(str(archive["header"]))
        state.update(header["numbers"])
        for key in archive.files:
            kind, _, name = key.partition("/")
            if kind == "params":
                params[name] = archive[key]
            elif kind == "state":
                memory, _, name = name.partition("/")
                state.setdefault(memory, {})[name] = archive[key]
    bits = np.random.PCG64()
    bits.state = header["rng"]
    return Checkpoint(params, state, np.random.Generator(bits), header["step"], {})


@mistake("checkpoint_from_bytes", tracks=NUMPY, hint="""
    The state is left empty: parameters, generator and step are there, the optimizer's memory is
    not.""")
def state_not_read(data):
    params = {}
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        header = json.loads(str(archive["header"]))
        for key in archive.files:
            kind, _, name = key.partition("/")
            if kind == "params":
                params[name] = archive[key]
    bits = np.random.PCG64()
    bits.state = header["rng"]
    return Checkpoint(params, {}, np.random.Generator(bits), header["step"], {})
