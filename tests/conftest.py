"""Shared by all tests: real cards of small JPEGs, tiny networks, a configuration, and a dump of what the store holds."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import piexif
import pytest
from PIL import Image

from ctwatch import config as configuration
from ctwatch.card import snapshot
from ctwatch.config import Config
from ctwatch.domain import Canvas, Task
from ctwatch.pipeline import CardOutcome, Pipeline
from ctwatch.store.database import Database
from ctwatch.store.preparation import prepare

if TYPE_CHECKING:
    from ctwatch.panel import Panel

# Networks are converted once for the whole run, also where several workers of pytest share it, and in nobody's own folder.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="ctwatch-cache-")
    atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)
# The networks of tests are tiny: a second thread of PyTorch waits for work three times as long as the work takes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))  # the tests' own helpers, from wherever they are run

START = datetime(2026, 5, 1, 10)
LABELS = ("Panthera pardus", "Cephalophus natalensis", "Crocuta crocuta", "Homo sapiens")
DERIVED_TABLES = ("event", "event_media", "observation", "effort", "media_time")
RAW_TABLES = (
    "location", "deployment", "outage", "clock_point", "deployment_column", "model", "media", "prediction", "card",
    "card_file", *DERIVED_TABLES,
)  # fmt: skip
_MOMENTS = {"card": "processed_at"}
"""Columns that say when something was done, and so differ between runs."""


def photograph(
    seed: int,
    moment: datetime | str | None = None,
    *,
    size: tuple[int, int] = (48, 64),
    orientation: int | None = None,
    mode: str = "RGB",
    serial: str | None = None,
    quality: int = 85,
) -> bytes:
    """Return the bytes of a JPEG with EXIF; the same seed and time give the same bytes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC).convert(mode)
    first: dict[int, Any] = {piexif.ImageIFD.Make: b"ctwatch", piexif.ImageIFD.Model: b"test"}
    inner: dict[int, Any] = {}
    if orientation is not None:
        first[piexif.ImageIFD.Orientation] = orientation
    if moment is not None:
        text = moment if isinstance(moment, str) else f"{moment:%Y:%m:%d %H:%M:%S}"
        inner[piexif.ExifIFD.DateTimeOriginal] = text.encode()
    if serial is not None:
        inner[piexif.ExifIFD.BodySerialNumber] = serial.encode()
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, exif=piexif.dump({"0th": first, "Exif": inner}))
    return buffer.getvalue()


def moment_of(number: int) -> datetime:
    """Bursts of three frames a second apart, ten minutes between bursts."""
    return START + timedelta(minutes=10 * (number // 3), seconds=number % 3)


@pytest.fixture
def make_card(tmp_path: Path) -> Callable[..., Path]:
    """Write a card folder below the inbox: `files` photographs in three-shot bursts, numbered from `first`."""

    def make(name: str = "L01_CAM1", files: int = 3, first: int = 0, folder: str = "") -> Path:
        card = tmp_path / "inbox" / name
        place = card / folder
        place.mkdir(parents=True, exist_ok=True)
        for number in range(first, first + files):
            (place / f"IMG_{number:04d}.JPG").write_bytes(photograph(number, moment_of(number)))
        return card

    return make


def write_tiny_models(root: Path, members: int = 3) -> None:
    """Write `empty` and `species` into a folder: small random networks, the same in every run."""
    import torch

    from ctwatch.domain import BLANK, ModelInfo, Preprocessing
    from ctwatch.nets.architectures import build
    from ctwatch.nets.model_file import save

    preprocessing = Preprocessing(Canvas(32, 32), (32, 32), (0.45, 0.45, 0.45), (0.25, 0.25, 0.25))
    for task, labels in ((Task.EMPTY, (BLANK, "animal")), (Task.SPECIES, LABELS)):
        for member in range(members):
            torch.manual_seed(100 * len(labels) + member)
            net = build("thin_resnet10", len(labels)).eval()
            info = ModelInfo("", f"{task}{member}", task, "thin_resnet10", labels, preprocessing, 1.0)
            save(root / str(task) / f"member{member}.safetensors", net, info)


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `empty` and `species`: three tiny models each."""
    root = tmp_path_factory.mktemp("models")
    write_tiny_models(root)
    return root


@pytest.fixture(scope="session")
def tiny_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn photographs of nine places that nothing was trained on, with a labels.csv."""
    from ctwatch_train.generate import write_scenes

    from ctwatch.demo.scenes import RESERVED_LOCATIONS

    out = tmp_path_factory.mktemp("scenes")
    write_scenes(out, locations=9, events=9, seed=3, first=RESERVED_LOCATIONS + 500)
    return out


@pytest.fixture(scope="session")
def tiny_set(tiny_scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of small frames of them, divided by location."""
    from ctwatch_train.labels import read
    from ctwatch_train.progress import unseen
    from ctwatch_train.sets.building import SetOptions, build_set
    from ctwatch_train.sets.split import Shares

    out = tmp_path_factory.mktemp("set") / "set"
    options = SetOptions(Canvas(40, 56), shares=Shares(0.25, 0.25, 0.15))
    build_set([read(f"drawn={tiny_scenes / 'labels.csv'}")], out, options, say=lambda _: None, shown=unseen)
    return out


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Config]:
    """Write config.toml and load it; without `models` nothing is classified."""

    def make(models: Path | None = None, text: str = "", blank_threshold: float = 0.497) -> Config:
        (tmp_path / "inbox").mkdir(exist_ok=True)
        empty, species = (f"{models}/empty", f"{models}/species") if models else ("", "")
        (tmp_path / "config.toml").write_text(
            f"[models]\nempty = '{empty}'\nspecies = '{species}'\ndevice = 'cpu'\nengine = 'eager'\nthreads = 1\n"
            f"[decisions]\nblank_threshold = {blank_threshold}\n{text}",
            "utf-8",
        )
        return configuration.load(tmp_path / "config.toml")

    return make


@cache
def _new_store() -> Path:
    """A store as it is made; a copy of it takes a fiftieth of what making one takes, and nearly every test has its own."""
    folder = Path(tempfile.mkdtemp(prefix="ctwatch-store-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    prepare(Database(folder))
    return folder


_PANELS: dict[object, "Panel"] = {}


def _panel(config: Config) -> "Panel":
    """The ensembles of a configuration: loaded once for as long as their files are the same, for they keep nothing."""
    from ctwatch import panel
    from ctwatch.panel import Panel

    folders = [panel.folder(config, task) for task in Task]
    files = sorted(path for folder in folders if folder is not None for path in folder.glob("**/*"))
    facts = tuple((path, path.stat().st_ino, path.stat().st_mtime_ns) for path in files)
    key = (config.models, tuple(folders), facts)
    if config.models.engine != "eager" or key not in _PANELS:
        _PANELS[key] = Panel(*(panel.load(config, task) for task in Task))
    return _PANELS[key]


class Store:
    """A database with a pipeline in front of it, and every question the tests have."""

    def __init__(self, config: Config, **options: Any) -> None:
        self.config = config
        self.database = Database(config.store_folder, busy_timeout_s=30)
        if self.database.path.exists():
            prepare(self.database)
        else:
            shutil.copytree(_new_store(), config.store_folder, dirs_exist_ok=True)
        self.pipeline = Pipeline(config, self.database, _panel(config), **options)

    def process(self, card: Path) -> CardOutcome:
        """Process a card and see that every file of it is accounted for, once."""
        outcome = self.pipeline.process(snapshot(card, card.parent))
        self.check_sums()
        return outcome

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.database.reading() as connection:
            return connection.execute(sql).fetchall()

    def files(self) -> dict[str, tuple[str, str | None]]:
        """Return status and reason of every file, by path."""
        return {
            path: (status, reason)
            for path, status, reason in self.rows("SELECT file_path, status, reason FROM raw.card_file")
        }

    def check_sums(self) -> None:
        """files_seen = media + duplicates + ignored + failed, and each is what the files' rows say; nothing hangs over.

        Every photograph that counts has one corrected time, in its deployment.
        """
        with self.database.reading() as connection:
            self._check_sums(lambda sql: connection.execute(sql).fetchall())

    @staticmethod
    def _check_sums(rows: Callable[[str], list[tuple[Any, ...]]]) -> None:
        by_card = rows(
            "SELECT files_seen, media, duplicates, ignored, failed, count(f.file_path),"
            " count(*) FILTER (f.status = 'media'), count(*) FILTER (f.status = 'duplicate'),"
            " count(*) FILTER (f.status = 'ignored'), count(*) FILTER (f.status = 'failed'),"
            " count(*) FILTER (f.status <> 'media' AND f.reason IS NULL)"
            " FROM raw.card c LEFT JOIN raw.card_file f USING (card_id) "
            " GROUP BY c.card_id, files_seen, media, duplicates, ignored, failed"
        )
        for seen, media, duplicates, ignored, failed, *counted, unexplained in by_card:
            assert seen == media + duplicates + ignored + failed
            assert counted == [seen, media, duplicates, ignored, failed]
            assert unexplained == 0
        counts = "f.status IN ('media', 'failed') AND f.media_id IS NOT NULL"
        assert (
            rows(
                f"SELECT f.media_id FROM raw.card_file f LEFT JOIN raw.media_time t USING (media_id, deployment_id)"
                f" WHERE {counts} GROUP BY 1 HAVING count(t.media_id) <> 1"
            )
            == []
        )
        assert rows(f"SELECT count(*) FROM raw.card_file f WHERE {counts}") == rows(
            "SELECT count(*) FROM raw.media_time"
        )
        for table in ("outage", "clock_point", "deployment_column", "event", "event_media", "observation"):
            assert rows(f"SELECT deployment_id FROM raw.{table} ANTI JOIN raw.deployment USING (deployment_id)") == []
        twice = "SELECT media_id FROM raw.card_file WHERE status IN ('media', 'failed') AND media_id IS NOT NULL"
        assert rows(f"{twice} GROUP BY 1 HAVING count(*) > 1") == []
        assert rows("SELECT media_id FROM media GROUP BY 1 HAVING count(*) > 1") == []

    def dump(self, *tables: str) -> dict[str, list[str]]:
        return dump(self.database, *tables)


def dump(database: Database, *tables: str) -> dict[str, list[str]]:
    """Return every row of the raw tables as sorted text, without the columns that say when it was done."""
    result = {}
    with database.reading() as connection:
        for table in tables or RAW_TABLES:
            without = f" EXCLUDE ({_MOMENTS[table]})" if table in _MOMENTS else ""
            rows = connection.execute(f"SELECT *{without} FROM raw.{table}").fetchall()
            result[table] = sorted(repr(tuple(map(_rounded, row))) for row in rows)
    return result


def _rounded(value: Any) -> Any:
    """Round probabilities: how many frames went through a network together shows in the last bit."""
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 5) if isinstance(value, float) else value


@pytest.fixture
def store(config: Callable[..., Config]) -> Store:
    """A store without models."""
    return Store(config())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 24 MB, that can be filled, made read-only and taken away."""
    place = tmp_path / "small-disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"this user may not mount a file system ({mounted.stderr.strip()}); run the tests as root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)
