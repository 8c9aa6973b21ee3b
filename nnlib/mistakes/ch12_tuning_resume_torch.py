"""Known mistakes of chapter 12's exercise on resuming: what a checkpoint forgets.

`Training` is the class that the notebook's setup cell gives.
"""

import io

import torch

from nnlib.mistakes.registry import mistake
from nnlib.torch_track.tuning_tasks import Training


@mistake("ResumableTraining", hint="""
    The optimizer's state is missing: after loading, the velocity of momentum starts at 0. The
    first losses still agree, then they part.""")
class OptimizerMissing(Training):
    def save(self):
        file = io.BytesIO()
        torch.save({"model": self.model.state_dict(), "scheduler": self.scheduler.state_dict(),
                    "generator": self.generator.get_state(), "epoch": self.epoch}, file)
        return file.getvalue()

    def load(self, data):
        saved = torch.load(io.BytesIO(data), weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.scheduler.load_state_dict(saved["scheduler"])
        self.generator.set_state(saved["generator"])
        self.epoch = saved["epoch"]


@mistake("ResumableTraining", hint="""
    The generator's state is missing, so the batches after loading are others. The curve looks
    alike; it is not the same run.""")
class GeneratorMissing(Training):
    def save(self):
        file = io.BytesIO()
        torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "scheduler": self.scheduler.state_dict(), "epoch": self.epoch}, file)
        return file.getvalue()

    def load(self, data):
        saved = torch.load(io.BytesIO(data), weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scheduler.load_state_dict(saved["scheduler"])
        self.epoch = saved["epoch"]


@mistake("ResumableTraining", hint="""
    You saved the seed, and the generator starts from it again. It has drawn numbers since: save
    its state, as `get_state()` gives it.""")
class SeedInPlaceOfState(Training):
    def save(self):
        file = io.BytesIO()
        torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "scheduler": self.scheduler.state_dict(),
                    "seed": self.generator.initial_seed(), "epoch": self.epoch}, file)
        return file.getvalue()

    def load(self, data):
        saved = torch.load(io.BytesIO(data), weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scheduler.load_state_dict(saved["scheduler"])
        self.generator.manual_seed(saved["seed"])
        self.epoch = saved["epoch"]


@mistake("ResumableTraining", hint="""
    The scheduler's counter is missing: after loading it believes to be in the first epoch, and the
    cosine goes on from the wrong place.""")
class SchedulerMissing(Training):
    def save(self):
        file = io.BytesIO()
        torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "generator": self.generator.get_state(), "epoch": self.epoch}, file)
        return file.getvalue()

    def load(self, data):
        saved = torch.load(io.BytesIO(data), weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.generator.set_state(saved["generator"])
        self.epoch = saved["epoch"]


@mistake("ResumableTraining", hint="""
    The number of epochs is not restored. The training would run too long, and every plot would
    start at 0 again.""")
class EpochForgotten(Training):
    def save(self):
        file = io.BytesIO()
        torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "scheduler": self.scheduler.state_dict(),
                    "generator": self.generator.get_state()}, file)
        return file.getvalue()

    def load(self, data):
        saved = torch.load(io.BytesIO(data), weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scheduler.load_state_dict(saved["scheduler"])
        self.generator.set_state(saved["generator"])


@mistake("ResumableTraining", hint="""
    Everything is there but the model: its weights are still those of the new start.""")
class ModelMissing(Training):
    def save(self):
        file = io.BytesIO()
        torch.save({"optimizer": self.optimizer.state_dict(),
                    "scheduler": self.scheduler.state_dict(),
                    "generator": self.generator.get_state(), "epoch": self.epoch}, file)
        return file.getvalue()

    def load(self, data):
        saved = torch.load(io.BytesIO(data), weights_only=True)
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scheduler.load_state_dict(saved["scheduler"])
        self.generator.set_state(saved["generator"])
        self.epoch = saved["epoch"]


@mistake("ResumableTraining", hint="""
    Only the model is saved. That is enough to predict, not to go on: optimizer, scheduler,
    generator and counter all start anew.""")
class ModelAlone(Training):
    def save(self):
        file = io.BytesIO()
        torch.save(self.model.state_dict(), file)
        return file.getvalue()

    def load(self, data):
        self.model.load_state_dict(torch.load(io.BytesIO(data), weights_only=True))
