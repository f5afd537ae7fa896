"""Batches: whole passes, balanced draws, queues of mistakes; and the losses, by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ctwatch_train.fitting.losses import Criterion, class_weights
from ctwatch_train.fitting.processes import Processes
from ctwatch_train.fitting.recipe import Loss, Sampling
from ctwatch_train.fitting.sampling import FAR, NEAR, RIGHT, Drawn, Emphasis, Shuffled, chances, stream
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from ctwatch.errors import ConfigError

ALONE = Processes(torch.device("cpu"))


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 5))
def test_a_shuffled_stream_shows_every_photograph_once_a_pass_across_epochs(count: int, batch: int, seed: int) -> None:
    source = Shuffled(count, batch, seed)
    steps = -(-3 * count // batch)
    rows = np.concatenate([source.batch(step) for step in range(steps)])[: 3 * count]
    for number in range(3):
        assert sorted(rows[number * count : (number + 1) * count].tolist()) == list(range(count))
    # Any step can be asked for by itself: that is what resuming rests on.
    assert Shuffled(count, batch, seed).batch(steps - 1).tolist() == source.batch(steps - 1).tolist()


def test_passes_differ_and_seeds_differ() -> None:
    source, other = Shuffled(50, 50, 1), Shuffled(50, 50, 2)
    assert source.batch(0).tolist() != source.batch(1).tolist()
    assert source.batch(0).tolist() != other.batch(0).tolist()


def test_balanced_draws_every_label_equally_often_and_sources_get_their_share() -> None:
    targets = np.array([0] * 90 + [1] * 10 + [0] * 50 + [1] * 50)
    sources = np.array([0] * 100 + [1] * 100)
    how = Sampling(kind="balanced", shares={"a": 3.0, "b": 1.0})
    p = chances(targets, sources, ("a", "b"), how)
    assert p.sum() == pytest.approx(1)
    assert p[:100].sum() == pytest.approx(0.75)
    assert p[:90].sum() == pytest.approx(p[90:100].sum())
    drawn = Drawn(p, 20, 10, 3)
    rows = np.concatenate([drawn.batch(step) for step in range(10)])
    assert abs(int((targets[rows] == 1).sum()) - 100) <= 2


def test_oversampling_repeats_by_the_inverse_frequency() -> None:
    """Norouzzadeh et al. 2017, S.4: the rarest label as often as the commonest."""
    targets = np.repeat(np.arange(3), (100, 10, 1))
    p = chances(targets, np.zeros(111, int), ("a",), Sampling(kind="balanced"))
    assert p[110] / p[0] == pytest.approx(100)
    assert p[100] / p[0] == pytest.approx(10)


def test_blank_frames_get_their_share_and_shuffle_stays_natural() -> None:
    targets = np.array([0] * 6 + [1] * 2 + [-1] * 4)
    p = chances(targets, np.zeros(12, int), ("a",), Sampling(blank_share=0.25))
    assert p[8:].sum() == pytest.approx(0.25)
    assert p[:6].sum() == pytest.approx(0.75 * 6 / 8)
    with pytest.raises(ValueError, match="no training photograph"):
        chances(np.array([-1, -1]), np.zeros(2, int), ("a",), Sampling())
    common = {"batch_size": 2, "steps_per_epoch": 3, "seed": 1}
    assert isinstance(stream(targets, np.zeros(12, int), ("a",), Sampling(blank_share=0.1), **common), Drawn)
    assert isinstance(stream(targets, np.zeros(12, int), ("a",), Sampling(), **common), Shuffled)


# --- emphasis sampling


def test_mistakes_wait_in_their_own_queue_each_once_and_leave_in_whole_batches() -> None:
    emphasis = Emphasis(Sampling(kind="emphasis", top1_chance=1.0, top5_chance=1.0), 3, seed=1)
    emphasis.add(np.array([5, 6, 7, 8]), np.array([NEAR, RIGHT, FAR, NEAR]))
    emphasis.add(np.array([5, 9]), np.array([NEAR, NEAR]))
    assert emphasis.state() == {"1": [8, 5, 9], "2": [7]}
    (batch,) = emphasis.again(0)
    assert batch.tolist() == [8, 5, 9]
    assert emphasis.state() == {"1": [], "2": [7]}
    assert emphasis.again(1) == []


def test_a_full_queue_forgets_the_oldest() -> None:
    emphasis = Emphasis(Sampling(kind="emphasis", queue_batches=2), 2, seed=1)
    emphasis.add(np.arange(10), np.full(10, FAR))
    assert emphasis.state()["2"] == [6, 7, 8, 9]


def test_queues_are_drained_at_the_papers_chances() -> None:
    """One batch with chance 0.20 from the near misses, independently one with 0.35 from the far ones."""
    near = far = both = 0
    for step in range(4000):
        emphasis = Emphasis(Sampling(kind="emphasis"), 1, seed=4)
        emphasis.restore({"1": [1], "2": [2]})
        emphasis.again(step)
        left = emphasis.state()
        near += not left["1"]
        far += not left["2"]
        both += not left["1"] and not left["2"]
    assert near / 4000 == pytest.approx(0.20, abs=0.03)
    assert far / 4000 == pytest.approx(0.35, abs=0.03)
    assert both / 4000 == pytest.approx(0.07, abs=0.02)


def test_queues_survive_a_checkpoint() -> None:
    emphasis = Emphasis(Sampling(kind="emphasis"), 2, seed=1)
    emphasis.add(np.arange(4), np.array([NEAR, FAR, FAR, NEAR]))
    other = Emphasis(Sampling(kind="emphasis"), 2, seed=1)
    other.restore(emphasis.state())
    assert other.state() == emphasis.state()
    assert [rows.tolist() for rows in other.again(3)] == [rows.tolist() for rows in emphasis.again(3)]


# --- losses


def test_class_weights_by_hand() -> None:
    """Eq. 1 and 2 with 100, 50, 10 and 1 photographs."""
    weights = class_weights(np.array([100, 50, 10, 1]))
    assert weights == pytest.approx([0.00884956, 0.01769912, 0.08849558, 0.88495575])
    assert weights.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="without a photograph"):
        class_weights(np.array([3, 0]))


def test_weighted_loss_is_torchs_weighted_mean() -> None:
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([0, 1, 2, 2, 1, 0])
    counts = np.array([30, 5, 1])
    ours = Criterion(Loss(kind="weighted"), counts, 6, ALONE)(logits, targets)
    weights = torch.from_numpy(class_weights(counts)).float()
    assert float(ours) == pytest.approx(float(functional.cross_entropy(logits, targets, weight=weights)), rel=1e-6)


def test_balanced_softmax_adds_the_logarithm_of_the_counts() -> None:
    logits, targets = torch.tensor([[1.0, 2.0], [0.5, -1.0]]), torch.tensor([0, 1])
    ours = Criterion(Loss(kind="balanced_softmax"), np.array([90, 10]), 2, ALONE)(logits, targets)
    shifted = logits + torch.tensor([90.0, 10.0]).log()
    assert float(ours) == pytest.approx(float(functional.cross_entropy(shifted, targets)), rel=1e-6)


def test_blank_frames_ask_for_the_same_probability_everywhere() -> None:
    criterion = Criterion(Loss(), np.array([1, 1, 1]), 2, ALONE)
    level, sure = torch.zeros(1, 3), torch.tensor([[5.0, 0.0, 0.0]])
    nothing = torch.tensor([-1])
    assert float(criterion(level, nothing)) == pytest.approx(np.log(3))
    assert float(criterion(sure, nothing)) > float(criterion(level, nothing))


def test_auxiliary_heads_count_three_tenths() -> None:
    """GoogLeNet: main + 0.3 (first + second)."""
    criterion, targets = Criterion(Loss(), np.array([1, 1]), 1, ALONE), torch.tensor([0])
    main, one, two = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([[3.0, 0.0]])
    parts = [float(functional.cross_entropy(each, targets)) for each in (main, one, two)]
    assert float(criterion(main, targets, (one, two))) == pytest.approx(parts[0] + 0.3 * (parts[1] + parts[2]))


@given(st.sampled_from([16, 64, 128, 256]))
def test_the_clamp_binds_weighted_gradients_and_leaves_plain_ones_alone(batch: int) -> None:
    """0.01 at a batch of 128 is 1.28 times the largest plain gradient; it goes with the batch."""
    logits = torch.randn(batch, 4, generator=torch.Generator().manual_seed(2)) * 8
    targets = torch.arange(batch) % 4
    limit = 1.28 / batch
    gradients = {}
    for kind, clamp in (("cross_entropy", 0.01), ("cross_entropy", 0.0), ("weighted", 0.01), ("weighted", 0.0)):
        own = logits.clone().requires_grad_()
        scaled = own * 1.0
        Criterion(Loss(kind=kind, clamp=clamp), np.array([1000, 10, 10, 1]), batch, ALONE)(scaled, targets).backward()
        assert own.grad is not None
        gradients[kind, clamp] = own.grad
    assert torch.equal(gradients["cross_entropy", 0.01], gradients["cross_entropy", 0.0])
    assert gradients["weighted", 0.01].abs().max() <= limit + 1e-8
    assert gradients["weighted", 0.0].abs().max() > limit


def test_the_literal_clamp_does_not_scale() -> None:
    assert Criterion(Loss(clamp=0.01, clamp_scaled=False), np.array([1, 1]), 64, ALONE).clamp == pytest.approx(0.01)
    assert Criterion(Loss(clamp=0.01), np.array([1, 1]), 64, ALONE).clamp == pytest.approx(0.02)
    assert Criterion(Loss(clamp=0.01), np.array([1, 1]), 128, ALONE).clamp == pytest.approx(0.01)


def test_a_batch_that_cannot_be_divided_is_refused_with_ones_that_can() -> None:
    three = replace(ALONE, count=3)
    with pytest.raises(ConfigError, match="126 and 129 can"):
        three.part(128)
    assert [replace(ALONE, rank=rank, count=4).part(128) for rank in range(4)] == [
        slice(0, 32), slice(32, 64), slice(64, 96), slice(96, 128),
    ]  # fmt: skip
