"""The training loop: one network, from its start (or its last checkpoint) to its last epoch."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ctwatch.errors import CtwatchError
from ctwatch.nets.preprocessing import prepare

from . import checkpoint, journal
from .loader import Batch, Changer, Cutter, ahead
from .losses import Criterion
from .networks import outputs, parameter_groups
from .preparation import Prepared
from .processes import Processes
from .recipe import Recipe
from .sampling import FAR, NEAR, RIGHT, Emphasis, Numbers
from .schedule import rates

CHECK_EVERY = 20
"""Steps between two looks at the loss on an accelerator: each look makes the device wait."""
EVALUATION_BATCH = 128
TOP = 5

Shown = Callable[[str], AbstractContextManager[Callable[..., None]]]


class TrainingError(CtwatchError):
    """A training that cannot go on, with what to change."""


@dataclass(slots=True)
class Progress:
    """How far a training is; all of it goes into the checkpoint."""

    step: int = 0
    best: float = -math.inf
    best_epoch: int = 0
    loss: float = 0.0
    """Sum over the batches of this epoch so far; right and seen likewise, of photographs."""
    batches: int = 0
    right: int = 0
    seen: int = 0
    seconds: float = 0.0
    rows: list[dict[str, float]] = field(default_factory=list)


class Training:
    """One network in training; `run` brings it to its last epoch.

    Every random number is a function of the seed and the step, so what a checkpoint must keep is weights, the
    optimiser's running values, the queues of emphasis sampling and the step.
    """

    def __init__(
        self,
        recipe: Recipe,
        prepared: Prepared,
        module: nn.Module,
        *,
        seed: int,
        name: str,
        folder: Path,
        fingerprint: str,
        processes: Processes,
        checkpoint_s: float = 300.0,
    ) -> None:
        """Set a training up.

        Args:
            recipe: How.
            prepared: On what.
            module: The network at its start, on the processor; changed in place.
            seed: Of sampling and augmentation.
            name: For messages.
            folder: Of checkpoint, log, best and last weights.
            fingerprint: Of recipe, member, data and start; a checkpoint of another one is refused.
            processes: The process group, or this process alone.
            checkpoint_s: Seconds between checkpoints within an epoch.
        """
        self.recipe, self.prepared, self.name, self.folder = recipe, prepared, name, folder
        self.processes, self.device, self._seed = processes, processes.device, seed
        self._fingerprint, self._checkpoint_s = fingerprint, checkpoint_s
        memory = torch.channels_last if recipe.compute.channels_last else torch.contiguous_format
        self._memory = memory
        self.module = module.to(self.device).to(memory_format=memory)
        count = len(prepared.train)
        self.steps_per_epoch = recipe.batches_per_epoch or max(1, math.ceil(count / recipe.batch_size))
        self.steps = self.steps_per_epoch * recipe.epochs
        self._stream = prepared.batches(recipe.sampling, recipe.batch_size, self.steps_per_epoch, seed)
        self._cutter = Cutter(
            prepared.source, prepared.train, prepared.train_targets, prepared.preprocessing, recipe.augmentation,
            seed, processes,
        )  # fmt: skip
        self._changer = Changer(prepared.preprocessing, recipe.augmentation, self.device)
        self._criterion = Criterion(recipe.loss, prepared.counts(), recipe.batch_size, processes)
        self._emphasis = (
            Emphasis(recipe.sampling, recipe.batch_size, seed) if recipe.sampling.kind == "emphasis" else None
        )
        self._optimiser = self._new_optimiser()
        self._average = {k: v.detach().clone() for k, v in module.state_dict().items()} if recipe.average else None
        self.progress = Progress()
        self._pending: list[tuple[Numbers, Tensor, Tensor, Tensor, int]] = []
        processes.part(recipe.batch_size)

    def run(self, say: Callable[[str], None], shown: Shown) -> None:
        """Train to the last epoch; `module` then has the weights that the recipe keeps, in evaluation mode.

        Raises:
            TrainingError: The loss is no longer finite.
            DamagedCheckpoint: There is a checkpoint that cannot be trusted, or that another recipe or set made.
        """
        self._resume(say)
        network = self.processes.wrap(self._synchronised(self.module))
        if self.recipe.compute.compile:
            network = torch.compile(network)  # type: ignore[assignment]
        network.train()
        last_saved = time.monotonic()
        with shown(f"training {self.name}") as display:
            mark, seen_before = time.monotonic(), self.progress.seen
            for step, batch in ahead(self._cutter, self._remaining()):
                self._learn(network, batch, step, 0)
                if self._emphasis is not None:
                    for turn, rows in enumerate(self._emphasis.again(step), 1):
                        self._learn(network, self._cutter.read(rows, step, turn), step, turn)
                self.progress.step = step + 1
                at_end = (step + 1) % self.steps_per_epoch == 0
                if at_end or self.device.type == "cpu" or step % CHECK_EVERY == 0:
                    self._settle()
                    now = time.monotonic()
                    self.progress.seconds += now - mark
                    rate = (self.progress.seen - seen_before) / max(now - mark, 1e-9)
                    mark, seen_before = now, self.progress.seen
                    epoch = step // self.steps_per_epoch + 1
                    mean, part = (
                        self.progress.loss / self.progress.batches,
                        self.progress.right / max(1, self.progress.seen),
                    )
                    display(
                        step + 1,
                        self.steps,
                        f"epoch {epoch}/{self.recipe.epochs} loss {mean:.3f} accuracy {part:.3f} {rate:.0f} images/s",
                    )
                if at_end:
                    self._end_epoch(say)
                    network.train()
                    mark, seen_before, last_saved = time.monotonic(), 0, time.monotonic()
                elif time.monotonic() - last_saved >= self._checkpoint_s:
                    self._settle()
                    self._save()
                    last_saved = time.monotonic()
        self._finish()

    def _remaining(self) -> Iterator[tuple[int, Numbers]]:
        for step in range(self.progress.step, self.steps):
            yield step, self._stream.batch(step)

    def _learn(self, network: nn.Module, batch: Batch, step: int, turn: int) -> None:
        """Take one step on one batch; batches that are learned again do not move the schedule on."""
        rate, decay, forget = rates(self.recipe, step, self.steps_per_epoch)
        if forget and turn == 0:
            self._optimiser = self._new_optimiser()
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group["scale"]
            group["weight_decay"] = decay if group["decayed"] else 0.0
        # Dropout and stochastic depth: of the seed and the step, like every other random number.
        torch.manual_seed((self._seed * 1_000_003 + step * 3 + turn) * 64 + self.processes.rank)
        frames, targets = self._changer(batch)
        bfloat16 = self.recipe.compute.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16):
            logits, auxiliary = outputs(network, frames.contiguous(memory_format=self._memory))
        loss = self._criterion(logits, targets, auxiliary)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.optimiser.clip:
            nn.utils.clip_grad_norm_(self.module.parameters(), self.recipe.optimiser.clip)
        self._optimiser.step()
        self._follow()
        self._pending.append((batch.rows, loss.detach(), _outcomes(logits.detach(), targets), targets, step))
        if self._emphasis is not None:
            self._settle()

    def _settle(self) -> None:
        """Bring what the device has computed into the sums, and stop if it is no number."""
        pending, self._pending = self._pending, []
        for rows, loss, outcomes, targets, step in pending:
            value = float(self.processes.sum(loss)) / self.processes.count
            if not math.isfinite(value):
                epoch, (rate, _, _) = step // self.steps_per_epoch + 1, rates(self.recipe, step, self.steps_per_epoch)
                raise TrainingError(
                    f"{self.name}: the loss is not finite in epoch {epoch}, step {step + 1} (learning rate {rate:g}); "
                    "lower schedule.learning_rate, or set optimiser.clip"
                )
            whole = self.processes.gather(outcomes).cpu().numpy()
            known = self.processes.gather(targets).cpu().numpy() >= 0
            self.progress.loss += value
            self.progress.batches += 1
            self.progress.right += int(((whole == RIGHT) & known).sum())
            self.progress.seen += len(rows)
            if self._emphasis is not None:
                self._emphasis.add(rows[known], whole[known])

    def _end_epoch(self, say: Callable[[str], None]) -> None:
        progress, epoch = self.progress, self.progress.step // self.steps_per_epoch
        loss, accuracy, recall = self.validate()
        rate, _, _ = rates(self.recipe, progress.step - 1, self.steps_per_epoch)
        row = {
            "epoch": float(epoch),
            "step": float(progress.step),
            "learning_rate": rate,
            "train_loss": progress.loss / max(1, progress.batches),
            "train_accuracy": progress.right / max(1, progress.seen),
            "validation_loss": loss,
            "validation_accuracy": accuracy,
            "validation_macro_recall": recall,
            "images_per_second": progress.seen / max(progress.seconds, 1e-9),
            "seconds": progress.seconds,
        }
        progress.rows.append(row)
        # Recall of every label alike; among equals the lower loss.
        score = recall - 1e-6 * min(loss, 1e5)
        if score > progress.best:
            progress.best, progress.best_epoch = score, epoch
            if self.processes.leads:
                checkpoint.save(self.folder / "best.safetensors", self._weights(), {"epoch": epoch})
        progress.loss, progress.batches, progress.right, progress.seen, progress.seconds = 0.0, 0, 0, 0, 0.0
        self._save()
        if self.processes.leads:
            journal.write(self.folder / "log.csv", progress.rows)
            say(
                f"{self.name}: epoch {epoch} of {self.recipe.epochs}, loss {row['train_loss']:.4f}, validation loss "
                f"{loss:.4f}, accuracy {accuracy:.4f}, macro recall {recall:.4f}, {row['images_per_second']:.0f} images/s"
            )
        self.processes.wait()

    def validate(self) -> tuple[float, float, float]:
        """Return loss, accuracy and macro recall on the validation photographs, through the daemon's preprocessing."""
        module = self.module.eval()
        kept = {k: v.detach().clone() for k, v in module.state_dict().items()} if self._average else None
        if self._average:
            module.load_state_dict(self._average)
        logits = look(module, self.prepared, self.prepared.validation, self.device)
        if kept is not None:
            module.load_state_dict(kept)
        targets = self.prepared.validation_targets
        loss = float(functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(targets)))
        right = logits.argmax(1) == targets
        numbers = np.bincount(targets, minlength=len(self.prepared.labels))
        hits = np.bincount(targets[right], minlength=len(self.prepared.labels))
        present = numbers > 0
        return loss, float(right.mean()), float((hits[present] / numbers[present]).mean())

    def _new_optimiser(self) -> torch.optim.Optimizer:
        how = self.recipe.optimiser
        groups = parameter_groups(self.module, how.decay_on, self.recipe.start.backbone_rate)
        if how.name == "sgd":
            return torch.optim.SGD(groups, lr=0.1, momentum=how.momentum, dampening=0, nesterov=False)
        return torch.optim.AdamW(groups, lr=0.1)

    def _synchronised(self, module: nn.Module) -> nn.Module:
        if self.recipe.compute.sync_batch_norm and self.processes.count > 1 and self.device.type == "cuda":
            self.module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return self.module

    def _follow(self) -> None:
        """Let the running mean of the weights follow; counters and statistics are taken over as they are."""
        if self._average is None:
            return
        decay = min(self.recipe.average, (1 + self.progress.step) / (10 + self.progress.step))
        parameters = dict(self.module.named_parameters())
        for key, value in self.module.state_dict().items():
            if key in parameters:
                self._average[key].lerp_(value.detach(), 1 - decay)
            else:
                self._average[key].copy_(value)

    def _weights(self) -> dict[str, Tensor]:
        state = self._average or self.module.state_dict()
        return {f"module.{name}": tensor for name, tensor in state.items()}

    def _save(self) -> None:
        if not self.processes.leads:
            return
        tensors = {**checkpoint.of_module(self.module, "module"), **checkpoint.of_optimiser(self._optimiser)}
        if self._average is not None:
            tensors |= {f"average.{name}": tensor for name, tensor in self._average.items()}
        progress = {name: getattr(self.progress, name) for name in Progress.__slots__}
        if not math.isfinite(self.progress.best):
            progress["best"] = None
        state: dict[str, Any] = {"fingerprint": self._fingerprint, "progress": progress}
        if self._emphasis is not None:
            state["emphasis"] = self._emphasis.state()
        checkpoint.save(self.folder / "checkpoint.safetensors", tensors, state)

    def _resume(self, say: Callable[[str], None]) -> None:
        path = self.folder / "checkpoint.safetensors"
        if not path.exists():
            return
        tensors, state = checkpoint.load(path)
        if state.get("fingerprint") != self._fingerprint:
            raise checkpoint.DamagedCheckpoint(
                f"{path}: is of another recipe, set or start; train into another --out, or remove {self.folder}"
            )
        checkpoint.into_module(self.module, tensors, "module")
        checkpoint.into_optimiser(self._optimiser, tensors)
        if self._average is not None:
            average = {k.removeprefix("average."): v for k, v in tensors.items() if k.startswith("average.")}
            self._average = {key: value.to(self.device) for key, value in average.items()}
        values = dict(state["progress"])
        values["best"] = -math.inf if values["best"] is None else values["best"]
        self.progress = Progress(**values)
        if self._emphasis is not None:
            self._emphasis.restore(state["emphasis"])
        if self.processes.leads:
            say(f"{self.name}: goes on at step {self.progress.step + 1} of {self.steps}")

    def _finish(self) -> None:
        if self.processes.leads:
            checkpoint.save(self.folder / "last.safetensors", self._weights(), {"epoch": self.recipe.epochs})
        self.processes.wait()
        kept = self.folder / f"{self.recipe.keep}.safetensors"
        checkpoint.into_module(self.module, checkpoint.load(kept)[0], "module")
        self.module.eval()


def look(
    module: nn.Module, prepared: Prepared, rows: Numbers, device: torch.device
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the logits (N, K) of rows of a set, through the daemon's preprocessing."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), EVALUATION_BATCH):
            pixels = torch.from_numpy(prepared.source.pixels(rows[start : start + EVALUATION_BATCH])).to(device)
            frames = prepare(pixels, prepared.preprocessing).contiguous(memory_format=torch.channels_last)
            parts.append(module(frames).float().cpu().numpy())
    return np.concatenate(parts)


def _outcomes(logits: Tensor, targets: Tensor) -> Tensor:
    """Return whether each label was the first answer, among the best five, or neither, (N,)."""
    own = logits.gather(1, targets.clamp(min=0)[:, None])
    rank = (logits > own).sum(1)
    top = min(TOP, logits.shape[1])
    return torch.where(rank == 0, RIGHT, torch.where(rank < top, NEAR, FAR)).to(torch.int64)
