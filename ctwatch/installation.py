"""The service on this machine: its files put in place and taken away again, never the data or a configuration that is there."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctwatch import config as configuration
from ctwatch.config import Config
from ctwatch.errors import ConfigError, StoreError
from ctwatch.export.files import write_bytes
from ctwatch.store import refusals

CONFIG = Path("/etc/ctwatch/config.toml")
UNITS = Path("/etc/systemd/system")
UNIT = UNITS / "ctwatch.service"
DROP_INS = UNITS / "ctwatch.service.d"
CARD_UNIT = UNITS / "ctwatch-card@.service"
CARD_PROGRAM = Path("/usr/local/lib/ctwatch/ctwatch-card")
INBOX = "/srv/camera-traps/inbox"
STORE = "/var/lib/ctwatch"
_EXECUTABLE_IN_UNIT = "/opt/ctwatch/bin/ctwatch"
_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108, these are the places that the unit hides
"""What the unit's sandbox hides from the daemon, or shows empty."""
_REMARK = "# Written by `ctwatch service install` from /etc/ctwatch/config.toml; after a change of paths there, install again.\n"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done, or would be: what to do with which path, or the command that was run."""

    does: str
    """write, replace, keep, remove, link, run, or skip with the reason in `why`."""
    what: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.does:8}{self.what}{f' ({self.why})' if self.why else ''}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What to install where."""

    root: Path = Path("/")
    """A folder that stands for /, for trying without being root and for images of machines."""
    executable: Path = Path(sys.executable)
    """The Python that the service runs with."""
    gpu: bool = False
    card_reader: bool = False

    def at(self, path: Path) -> Path:
        """Return where a path of the machine lies."""
        return self.root / path.relative_to("/")


def install(wish: Wish, *, dry: bool = False) -> list[Step]:
    """Put the service's files in place; run twice, nothing changes. With `dry` only says what it would do.

    A configuration that is there is kept. Raises ConfigError for an interpreter or paths that the service could not reach
    and for a configuration with problems, before anything is written; StoreError where a file cannot be written.
    """
    new = not wish.at(CONFIG).exists()
    text = first_configuration() if new else wish.at(CONFIG).read_text("utf-8")
    config = configuration.parse(text, str(wish.at(CONFIG)), CONFIG.parent)
    command = _command(wish)
    steps = [_write(wish.at(CONFIG), text, dry=dry) if new else Step("keep", str(wish.at(CONFIG)), "yours")]
    for path, content in files_of(config, command, gpu=wish.gpu, card_reader=wish.card_reader).items():
        steps.append(_write(wish.at(path), content, dry=dry, mode=0o755 if path == CARD_PROGRAM else 0o644))
    steps.append(_enable(wish, dry=dry))
    commands = [["systemd-sysusers"], ["systemd-tmpfiles", "--create", "ctwatch.conf"], ["systemctl", "daemon-reload"]]
    if wish.card_reader:
        commands.append(["udevadm", "control", "--reload"])
    # An update takes effect at once; a service that is stopped stays so.
    commands.append(["systemctl", "try-restart", "ctwatch.service"])
    return [*steps, *_run(wish, commands, dry=dry)]


def uninstall(wish: Wish, *, dry: bool = False) -> list[Step]:
    """Stop the service and remove its files; the configuration, the store, the inbox, the user and drop-ins of others stay."""
    steps = list(_run(wish, [["systemctl", "stop", "ctwatch.service"]], dry=dry))
    for path in (_wanted_by(), *_ours()):
        place = wish.at(path)
        if place.is_symlink() or place.exists():
            steps.append(Step("remove", str(place)))
            if not dry:
                with refusals.told(place):
                    place.unlink()
    if not dry:
        for folder in (DROP_INS, UNITS / f"{CARD_UNIT.name}.d", CARD_PROGRAM.parent):
            _remove_if_empty(wish.at(folder))
    steps += _run(wish, [["systemctl", "daemon-reload"]], dry=dry)
    return [
        *steps,
        *(Step("keep", str(wish.at(Path(place)))) for place in (CONFIG, STORE) if wish.at(Path(place)).exists()),
    ]


def status(wish: Wish) -> dict[str, Any]:
    """Return which files are in place and of this version, and what the service manager says of the service."""
    config_there = wish.at(CONFIG).exists()
    files: dict[str, str] = {}
    if config_there:
        config = configuration.parse(wish.at(CONFIG).read_text("utf-8"), str(wish.at(CONFIG)), CONFIG.parent)
        gpu, reader = wish.at(DROP_INS / "gpu.conf").exists(), wish.at(CARD_UNIT).exists()
        for path, content in files_of(config, _command(wish), gpu=gpu, card_reader=reader).items():
            place = wish.at(path)
            there = place.read_bytes() == content.encode("utf-8") if place.is_file() else None
            files[str(place)] = {True: "as of this ctwatch", False: "differs: install again", None: "missing"}[there]
    return {
        "installed": wish.at(UNIT).exists(),
        "starts_at_boot": wish.at(_wanted_by()).is_symlink(),
        "config": str(wish.at(CONFIG)) if config_there else None,
        "files": files,
        "manager": _manager_says(wish),
    }


def first_configuration() -> str:
    """Return the configuration that a machine gets which has none: every default, with the service's own folders."""
    text = configuration.as_toml()
    for before, after in (
        ('inboxes = ["inbox"]', f'inboxes = ["{INBOX}"]'),
        ('\nfolder = "data"', f'\nfolder = "{STORE}"'),
    ):
        if text.count(before) != 1:
            raise AssertionError(f"the configuration no longer has {before}")
        text = text.replace(before, after)
    return text


def files_of(config: Config, command: str, *, gpu: bool, card_reader: bool) -> dict[Path, str]:
    """Return every file of the service on a machine with its text; `command` starts ctwatch."""
    files = {
        UNIT: carried("ctwatch.service").replace(_EXECUTABLE_IN_UNIT, command),
        Path("/etc/sysusers.d/ctwatch.conf"): carried("ctwatch.sysusers"),
        DROP_INS / "10-paths.conf": paths_drop_in(config),
    }
    if Path(INBOX) in config.inboxes:
        files[Path("/etc/tmpfiles.d/ctwatch.conf")] = carried("ctwatch.tmpfiles")
    if gpu:
        files[DROP_INS / "gpu.conf"] = carried("ctwatch-gpu.conf")
    if card_reader:
        inbox = _quoted(config.inboxes[0])
        files[CARD_UNIT] = carried("ctwatch-card@.service")
        files[UNITS / f"{CARD_UNIT.name}.d" / "10-inbox.conf"] = (
            f'{_REMARK}[Service]\nEnvironment="CTWATCH_INBOX={inbox.strip(chr(34))}"\nReadWritePaths=-{inbox}\n'
        )
        files[Path("/etc/udev/rules.d/90-ctwatch-card.rules")] = carried("90-ctwatch-card.rules")
        files[CARD_PROGRAM] = carried("ctwatch-card")
    return files


def paths_drop_in(config: Config) -> str:
    """Return the drop-in that opens the sandbox for the configured paths, and ties the daemon to the disks of its own.

    The inboxes are to be writable for the receipts in the cards' folders and for the archive. A disk of the store or the
    archive that is not mounted keeps the daemon from starting, or it would begin a new store below the mount point.
    """
    own = [config.store_folder, *([config.path(config.cards.archive)] if config.cards.archive else [])]
    writable = dict.fromkeys([*config.inboxes, *(path for path in own if not path.is_relative_to(STORE))])
    read = [config.path(value) for value in (config.deployments.table, config.project.taxa) if value]
    read += [config.path(value) for value in (config.models.empty, config.models.species) if os.sep in value]
    in_home = [path for path in (*writable, *read) if path.is_relative_to("/home")]
    lines = [_REMARK + "[Unit]", f"RequiresMountsFor={' '.join(map(_quoted, dict.fromkeys(own)))}", "[Service]"]
    # A minus: what is not there yet (an unplugged disk) does not keep the daemon from starting.
    lines += [f"ReadWritePaths=-{_quoted(path)}" for path in writable]
    if in_home:
        # Homes stay hidden but for these.
        lines.append("ProtectHome=tmpfs")
        lines += [
            f"Bind{'' if path in writable else 'ReadOnly'}Paths=-{_quoted(path)}" for path in dict.fromkeys(in_home)
        ]
    return "\n".join(lines) + "\n"


def carried(name: str) -> str:
    """Return the text of a file of `systemd/`: beside the package in a checkout, within it where it was installed."""
    here = Path(__file__).resolve().parent
    for folder in (here / "systemd", here.parent / "systemd"):
        if (folder / name).is_file():
            return (folder / name).read_text("utf-8")
    raise StoreError(f"{here / 'systemd' / name} is missing from this installation; install ctwatch anew")


def _command(wish: Wish) -> str:
    """Return the start of ExecStart: the program beside the interpreter; raises ConfigError where the service cannot see it."""
    hidden = [place for place in _HIDDEN if wish.executable.is_relative_to(place)]
    if hidden and wish.root == Path("/"):
        raise ConfigError(
            [
                f"{wish.executable} lies in {hidden[0]}, which the service cannot see; install ctwatch where it can:"
                " python3 -m venv /opt/ctwatch && /opt/ctwatch/bin/pip install ctwatch-*.whl, then"
                " /opt/ctwatch/bin/ctwatch service install"
            ]
        )
    program = wish.executable.with_name("ctwatch")
    return _quoted(program) if program.exists() else f"{_quoted(wish.executable)} -m ctwatch"


def _quoted(path: Path) -> str:
    """Return a path as a unit file takes it: % doubled, in quotes where there are spaces."""
    text = str(path).replace("\\", r"\\").replace("%", "%%").replace('"', r"\"")
    if "\n" in text:
        raise ConfigError(
            [f"{path!r}: a path of the configuration with a line break cannot be given to the service manager"]
        )
    return f'"{text}"' if any(char.isspace() for char in text) else text


def _wanted_by() -> Path:
    return UNITS / "multi-user.target.wants" / UNIT.name


def _ours() -> Iterator[Path]:
    everything = files_of(Config(), "", gpu=True, card_reader=True)
    yield from everything
    yield Path("/etc/tmpfiles.d/ctwatch.conf")


def _write(path: Path, text: str, *, dry: bool, mode: int = 0o644) -> Step:
    data = text.encode("utf-8")
    before = path.read_bytes() if path.is_file() else None
    if before == data and path.stat().st_mode & 0o777 == mode:
        return Step("keep", str(path), "as it is")
    if not dry:
        with refusals.told(path):
            write_bytes(path, data)
            path.chmod(mode)
    return Step("write" if before is None else "replace", str(path))


def _enable(wish: Wish, *, dry: bool) -> Step:
    """Have the service started at boot: the link that `systemctl enable` makes, also where no systemd runs."""
    link = wish.at(_wanted_by())
    if link.is_symlink() and os.readlink(link) == str(UNIT):
        return Step("keep", str(link), "starts at boot")
    if not dry:
        with refusals.told(link):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(UNIT)
    return Step("link", str(link), "starts at boot")


def _run(wish: Wish, commands: Sequence[Sequence[str]], *, dry: bool) -> Iterator[Step]:
    for command in commands:
        words = " ".join(command)
        if wish.root != Path("/"):
            yield Step("skip", words, f"not for {wish.root}")
        elif command[0] in ("systemctl", "udevadm") and not _systemd_runs():
            yield Step("skip", words, "systemd does not run here")
        elif dry:
            yield Step("run", words)
        else:
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603, words of ours
            except OSError as error:
                yield Step("skip", words, error.strerror or str(error))
                continue
            said = done.stderr.strip()  # systemd-tmpfiles complains and ends with 0
            yield Step("run", words, said if done.returncode == 0 else f"exit {done.returncode}: {said}")


def _systemd_runs() -> bool:
    return Path("/run/systemd/system").is_dir()  # as sd_booted(3) does


def _manager_says(wish: Wish) -> dict[str, str] | None:
    """Return the properties of the running service; None where there is no systemd to ask."""
    if wish.root != Path("/") or not _systemd_runs():
        return None
    wanted = "ActiveState,SubState,StatusText,NRestarts,MainPID,MemoryCurrent,ExecMainStartTimestamp"
    words = ["systemctl", "show", UNIT.name, f"--property={wanted}"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, check=False).stdout  # noqa: S603, words of ours
    except OSError:
        return None
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
