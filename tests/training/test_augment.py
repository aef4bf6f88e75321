"""Augmentation: what may change, and what must not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from earmark.errors import BadValue
from earmark.training.augment import Augmentation, augment


def batch(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(0)
    clips = torch.from_numpy(random.normal(-40, 9, (n, 8, 20)).astype(np.float32))
    return clips, torch.from_numpy((random.random((n, 3)) < 0.5).astype(np.float32))


def changed(seed: int = 1, **settings) -> tuple[torch.Tensor, torch.Tensor]:
    return augment(*batch(), settings=Augmentation(**settings), random=np.random.default_rng(seed))


def test_by_default_nothing_changes():
    for before, after in zip(batch(), changed(), strict=True):
        assert torch.equal(before, after)


def test_the_same_seed_gives_the_same_clips():
    settings = {"roll": True, "mixup": 0.4, "masks": 2, "mask_mels": 3, "gain_db": 3.0}
    assert torch.equal(changed(**settings)[0], changed(**settings)[0])
    assert not torch.equal(changed(**settings)[0], changed(seed=2, **settings)[0])


def test_a_roll_keeps_every_frame_and_their_order():
    clips, labels = changed(roll=True)
    for before, after in zip(batch()[0], clips, strict=True):
        assert any(torch.equal(before.roll(shift, dims=1), after) for shift in range(20))
    assert torch.equal(labels, batch()[1])


def test_a_crop_is_a_stretch_of_the_clip():
    clips, _ = changed(crop_frames=7)
    assert clips.shape == (6, 8, 7)
    for before, after in zip(batch()[0], clips, strict=True):
        assert any(torch.equal(before[:, at : at + 7], after) for at in range(14))


def test_gain_moves_a_whole_clip_by_no_more_than_was_asked_for():
    difference = changed(gain_db=3.0)[0] - batch()[0]
    assert difference.abs().max() <= 3
    assert difference.std((1, 2)).max() < 1e-5
    assert difference.mean((1, 2)).std() > 0.1


def test_masks_are_bands_at_the_mean_of_the_clip():
    before, after = batch()[0], changed(masks=1, mask_mels=4)[0]
    for one, other in zip(before, after, strict=True):
        bands = [mel for mel in range(8) if not torch.equal(one[mel], other[mel])]
        assert len(bands) <= 4
        assert bands == list(range(bands[0], bands[0] + len(bands))) if bands else True
        for mel in bands:
            torch.testing.assert_close(other[mel], one.mean().expand(20))


def test_mixup_mixes_clips_and_labels_in_the_same_shares():
    before, labels = batch()
    after, mixed = changed(mixup=0.5)
    for place in range(6):
        found = False
        for other in range(6):
            direction = before[place] - before[other]
            if other == place:
                found |= torch.allclose(after[place], before[place], atol=1e-4)
                continue
            share = float(
                ((after[place] - before[other]) * direction).sum() / direction.square().sum()
            )
            clip = share * before[place] + (1 - share) * before[other]
            if torch.allclose(after[place], clip, atol=1e-3):
                expected = share * labels[place] + (1 - share) * labels[other]
                torch.testing.assert_close(mixed[place], expected, atol=1e-4, rtol=0)
                assert 0.5 - 1e-4 <= share <= 1 + 1e-4
                found = True
        assert found


@pytest.mark.parametrize("wrong", [{"mixup": -0.1}, {"crop_frames": -1}, {"mask_mels": 0}])
def test_what_cannot_be_done_is_refused(wrong):
    with pytest.raises(BadValue, match="must be"):
        Augmentation(**wrong)
