"""What the papers report on Snapshot Serengeti, to be shown beside figures of one's own in a column that says so."""

from typing import Any

_SPECIES, _EMPTY, _BOTH = "species", "empty", "both"


def _figure(task: str, what: str, value: float, note: str = "") -> dict[str, Any]:
    return {"task": task, "what": what, "value": value, "note": note}


PAPER: dict[str, Any] = {
    "column": "paper, Serengeti, sequence split",
    "source": "Norouzzadeh et al. 2018, PNAS 115(25) E5716, and its preprint arXiv:1703.05830 (2017)",
    "year": 2018,
    "split_unit": "not stated in the paper; by a later survey capture events, with locations shared between training and test",
    "reproduced": False,
    "figures": [
        _figure(_EMPTY, "accuracy, best single model, images", 0.968, "VGG, on half blank and half animal photographs"),
        _figure(_EMPTY, "accuracy, least of the listed models, images", 0.958, "AlexNet, same set"),
        _figure(_EMPTY, "accuracy at confidence 0.99", 0.997, "on 73 % of the photographs"),
        _figure(_SPECIES, "top-1 accuracy, best single model, images", 0.921, "ResNet-152, 48 species"),
        _figure(_SPECIES, "top-5 accuracy, same model, images", 0.978),
        _figure(_SPECIES, "top-1 accuracy, one model, events", 0.928, "ResNet-152, photographs of an event averaged"),
        _figure(_SPECIES, "top-1 accuracy, nine models, images", 0.936),
        _figure(_SPECIES, "top-5 accuracy, nine models, images", 0.982),
        _figure(_SPECIES, "accuracy at confidence 0.99", 0.95, "on 90 % of the photographs"),
        _figure(_SPECIES, "mean recall of a species", 0.83, "VGG-16 at 87.5 % accuracy, 20 species (Miao et al. 2019)"),
        _figure(_BOTH, "accuracy of the two stages", 0.966, "thresholds 0.50 and 0.97"),
        _figure(_BOTH, "coverage of the two stages", 0.969, "0.993 in the 2018 paper at the same accuracy"),
        _figure(_BOTH, "accuracy of volunteers", 0.966, "against experts"),
        _figure(_BOTH, "years of full-time work saved", 8.2, "3.2 million photographs, linear estimate"),
        _figure(_BOTH, "hours of work saved", 17000, "more than that"),
    ],
}
