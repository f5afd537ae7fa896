"""Photographs sorted into folders that are named for what they show: ROOT/<label>/[<location>/].../*.jpg."""

import os
from collections.abc import Iterator
from pathlib import Path

from ctwatch.errors import ConfigError

from .annotation import Annotation, Labels
from .reading import amount, is_image, is_undecided, one_species, some

NEEDS = "a folder per class: ROOT/<label>/*.jpg or ROOT/<label>/<location>/*.jpg"


def fits(root: Path) -> bool:
    """Whether a subfolder of `root` holds an image, however deep."""
    return any(any(is_image(name) for _, name, _ in _files(folder, ())) for folder in _folders(root))


def read(root: Path, source: str, images: Path | None) -> Labels:
    """Return one answer per image in the folders below `root`; the folder's name is the label.

    If every image lies at least one folder deeper than its label's, that folder is the location. Links are not followed;
    hidden files and folders are passed over.

    Raises:
        ConfigError: No subfolder holds an image, or a folder cannot be read.
    """
    found: list[tuple[str, tuple[str, ...], str]] = []
    links = others = 0
    undecided: dict[str, int] = {}
    empty: list[str] = []
    for folder in _folders(root):
        label = folder.name
        before = len(found)
        for below, name, is_link in _files(folder, ()):
            if is_link:
                links += 1
            elif not is_image(name):
                others += 1
            elif is_undecided(label):
                undecided[label] = undecided.get(label, 0) + 1
            else:
                found.append((label, below, name))
        if len(found) == before and label not in undecided:
            empty.append(label)
    if not found:
        raise ConfigError([f"{root}: no folder in it holds a labelled image; {NEEDS}"])
    placed = all(below for _, below, _ in found)
    text = str(root)
    species = {label: one_species(label) for label, _, _ in found}
    annotations = [
        Annotation(Path(text, label, *below, name), species[label], below[0] if placed else None)
        for label, below, name in found
    ]
    return Labels(source, "folders", annotations, tuple(_notes(root, found, placed, links, others, undecided, empty)))


def _notes(
    root: Path,
    found: list[tuple[str, tuple[str, ...], str]],
    placed: bool,
    links: int,
    others: int,
    undecided: dict[str, int],
    empty: list[str],
) -> Iterator[str]:
    labels = {label for label, _, _ in found}
    if placed:
        locations = {below[0] for _, below, _ in found}
        yield f"folder names are taken as label/location: {some(labels)} / {some(locations)}"
    else:
        yield f"folder names are taken as labels: {some(labels)}; where the cameras hung is not known"
    with os.scandir(root) as entries:
        loose = sum(is_image(entry.name) and not entry.name.startswith(".") for entry in entries)
    if loose:
        yield f"{amount(loose, 'image')} directly in {root} left out: no folder names what they show"
    if undecided:
        total = sum(undecided.values())
        yield f"{amount(total, 'photograph')} left out that nobody could decide ({some(undecided)})"
    if empty:
        yield f"{amount(len(empty), 'folder')} without an image: {some(empty)}"
    if links:
        yield f"{amount(links, 'link')} not followed"
    if others:
        yield f"{amount(others, 'file')} passed over that are no images"


def _folders(root: Path) -> list[Path]:
    """Return the folders directly in `root`, by name, without hidden ones and links."""
    try:
        with os.scandir(root) as entries:
            names = [each.name for each in entries if each.is_dir(follow_symlinks=False)]
    except OSError as error:
        raise ConfigError([f"{root}: cannot be read ({error.strerror}); correct its mode"]) from error
    return [root / name for name in sorted(names) if not name.startswith(".")]


def _files(folder: Path, below: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, bool]]:
    """Yield (folders below the first one, name, whether it is a link) of every file that is not hidden, by name."""
    try:
        with os.scandir(folder) as entries:
            ordered = sorted(
                (each.name, each.is_symlink(), each.is_dir(follow_symlinks=False))
                for each in entries
                if not each.name.startswith(".")
            )
    except OSError as error:
        raise ConfigError([f"{folder}: cannot be read ({error.strerror}); correct its mode"]) from error
    for name, is_link, _ in (each for each in ordered if not each[2]):
        yield below, name, is_link
    for name, _, _ in (each for each in ordered if each[2]):
        yield from _files(folder / name, (*below, name))
