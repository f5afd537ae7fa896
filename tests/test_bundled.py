"""The models that come along, on places and animals drawn just now, and on real frames where they are at hand."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctwatch_train import generate
from PIL import Image

from ctwatch.decode import decode
from ctwatch.demo.scenes import RESERVED_LOCATIONS, SPECIES
from ctwatch.domain import BLANK, Canvas, Task
from ctwatch.ensemble import Averaging, average, pool
from ctwatch.nets.inference import Ensemble, model_paths

MODELS = Path(__file__).parent.parent / "ctwatch" / "models"


@pytest.mark.parametrize(("task", "least"), [(Task.EMPTY, 0.93), (Task.SPECIES, 0.88)])
def test_bundled_models_on_new_scenes_of_reserved_locations(task: Task, least: float) -> None:
    """Event accuracy of the ensemble: an event with an animal in any frame is an animal's."""
    ensemble = Ensemble.load(MODELS / task, task)
    assert len(ensemble.members) >= 3
    if task is Task.SPECIES:
        assert set(ensemble.labels) == set(SPECIES)
    (canvas,) = ensemble.canvases
    pixels, starts, truths = [], [], []
    for trigger in generate.plan(14, 9, 11, blanks=0.5 if task is Task.EMPTY else 0.0, first=RESERVED_LOCATIONS + 100):
        frames = generate.draw(trigger)
        seen = trigger.species if trigger.species and any(frame.visible for frame in frames) else BLANK
        if task is Task.EMPTY:
            seen = BLANK if seen == BLANK else "animal"
        if seen not in ensemble.labels:
            continue
        starts.append(len(pixels))
        truths.append(ensemble.labels.index(seen))
        pixels += [_decoded(frame.pixels, canvas) for frame in frames]
    mean = average(ensemble.predict({canvas: np.stack(pixels)}), Averaging.LOGIT)
    answers = pool(mean, np.array(starts), Averaging.LOGIT).argmax(1)
    assert len(truths) > 100
    assert float((answers == np.array(truths)).mean()) >= least


def _decoded(pixels: np.ndarray[Any, Any], canvas: Canvas) -> np.ndarray[Any, Any]:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=85)
    return decode(file.getvalue(), canvas)


def test_bundled_models_are_small_and_say_how_they_were_made() -> None:
    paths = [path for task in Task for path in model_paths(MODELS / task)]
    assert sum(path.stat().st_size for path in paths) <= 11_000_000
    for task in Task:
        for info in Ensemble.load(MODELS / task, task).members:
            assert info.recipe["versions"]["torch"]
            assert info.recipe["priors"]["natural"].keys() == set(info.labels)
            assert info.data_fingerprint
        card = (MODELS / task / "README.md").read_text("utf-8")
        assert all(path.name in card for path in model_paths(MODELS / task))
