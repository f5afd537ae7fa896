"""The service's files: accepted by systemd, hardened, installed twice with the same result, the data left alone."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from ctwatch import config as configuration
from ctwatch import installation
from ctwatch.cli import main
from ctwatch.errors import ConfigError
from ctwatch.installation import Wish, install, paths_drop_in, uninstall

ROOT = Path(__file__).resolve().parents[1]
SYSTEMD = ROOT / "systemd"
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not there")


def installed(tmp_path: Path, **wanted: bool) -> Path:
    """Install into a folder that stands for /, with a program that the checks find there."""
    root = tmp_path / "root"
    program = tmp_path / "venv" / "bin" / "ctwatch"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n", "utf-8")
    program.chmod(0o755)
    install(Wish(root, executable=program.with_name("python"), **wanted))
    return root


def analyze(root: Path, *words: str) -> str:
    run = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False, cwd=root)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


@needs_systemd
def test_systemd_finds_nothing_to_say_about_the_units(tmp_path: Path) -> None:
    """As installed, with the drop-ins; a misspelt or misplaced option would be told."""
    units = installed(tmp_path, gpu=True, card_reader=True) / "etc/systemd/system"
    program = tmp_path / "root/usr/local/lib/ctwatch/ctwatch-card"
    card = (
        (units / "ctwatch-card@.service")
        .read_text("utf-8")
        .replace("/usr/local/lib/ctwatch/ctwatch-card", str(program))
    )
    (units / "ctwatch-card@sdb1.service").write_text(card, "utf-8")
    for unit in ("ctwatch.service", "ctwatch-card@sdb1.service"):
        assert analyze(units, "verify", str(units / unit)) == ""


@needs_systemd
@pytest.mark.parametrize("extras", [{}, {"gpu": True}])
def test_the_sandbox_leaves_little_exposed(tmp_path: Path, extras: dict[str, bool]) -> None:
    """systemd's own measure, from 0 to 10: at most 1.5, with a GPU 2."""
    unit = installed(tmp_path, **extras) / "etc/systemd/system/ctwatch.service"
    whole = tmp_path / "ctwatch.service"
    # What is said offline is said of one file: the drop-ins follow it, as the manager reads them.
    drop_ins = sorted((unit.parent / "ctwatch.service.d").glob("*.conf"))
    whole.write_text("\n".join(path.read_text("utf-8") for path in (unit, *drop_ins)), "utf-8")
    said = analyze(tmp_path, "security", "--offline=true", str(whole))
    told = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert told is not None and float(told[1]) <= (2.0 if extras else 1.5), said


@needs_systemd
def test_users_and_folders_are_made_as_written(tmp_path: Path) -> None:
    """sysusers and tmpfiles, in a folder that stands for /; nothing is complained of."""
    root = installed(tmp_path)
    if shutil.which("systemd-sysusers") is None or os.geteuid() != 0:
        pytest.skip("systemd-sysusers is not there, or this is not root")
    for words in (["systemd-sysusers"], ["systemd-tmpfiles", "--create", "ctwatch.conf"]):
        run = subprocess.run([*words, f"--root={root}"], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        assert "ACL" not in run.stderr and "Failed" not in run.stderr, run.stderr
    assert re.search(r"^ctwatch:", (root / "etc/passwd").read_text("utf-8"), re.MULTILINE)
    inbox = root / "srv/camera-traps/inbox"
    assert inbox.stat().st_mode & 0o7777 == 0o2775
    assert "system.posix_acl_default" in os.listxattr(inbox), (
        "what is copied there by a group member is for the daemon too"
    )


def test_installing_twice_changes_nothing_and_a_configuration_is_never_overwritten(tmp_path: Path) -> None:
    """A technician may run it as often as he likes."""
    root = installed(tmp_path, card_reader=True)
    config = root / "etc/ctwatch/config.toml"
    assert configuration.load(config).inboxes == (Path("/srv/camera-traps/inbox"),)
    assert configuration.load(config).store_folder == Path("/var/lib/ctwatch")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}
    wish = Wish(root, executable=tmp_path / "venv/bin/python", card_reader=True)
    steps = install(wish)
    assert {step.does for step in steps} == {"keep", "skip"}
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()} == before
    mine = config.read_text("utf-8") + "# mine\n"
    config.write_text(mine, "utf-8")
    unit = root / "etc/systemd/system/ctwatch.service"
    unit.write_text("of an older ctwatch\n", "utf-8")
    assert [step.what for step in install(wish) if step.does == "replace"] == [str(unit)]
    assert config.read_text("utf-8") == mine


def test_what_is_installed_is_what_the_repository_shows(tmp_path: Path) -> None:
    """But for the program that the unit starts."""
    root = installed(tmp_path, gpu=True, card_reader=True)
    for installed_as, name in {
        "etc/sysusers.d/ctwatch.conf": "ctwatch.sysusers",
        "etc/tmpfiles.d/ctwatch.conf": "ctwatch.tmpfiles",
        "etc/systemd/system/ctwatch.service.d/gpu.conf": "ctwatch-gpu.conf",
        "etc/systemd/system/ctwatch-card@.service": "ctwatch-card@.service",
        "etc/udev/rules.d/90-ctwatch-card.rules": "90-ctwatch-card.rules",
        "usr/local/lib/ctwatch/ctwatch-card": "ctwatch-card",
    }.items():
        assert (root / installed_as).read_bytes() == (SYSTEMD / name).read_bytes(), name
    assert os.access(root / "usr/local/lib/ctwatch/ctwatch-card", os.X_OK)
    program = str(tmp_path / "venv/bin/ctwatch")
    unit = (root / "etc/systemd/system/ctwatch.service").read_text("utf-8")
    assert unit == (SYSTEMD / "ctwatch.service").read_text("utf-8").replace("/opt/ctwatch/bin/ctwatch", program)
    assert f"ExecStart={program} --config /etc/ctwatch/config.toml run" in unit
    assert (
        os.readlink(root / "etc/systemd/system/multi-user.target.wants/ctwatch.service")
        == "/etc/systemd/system/ctwatch.service"
    )


def test_uninstalling_leaves_the_configuration_the_data_and_what_others_put_there(tmp_path: Path) -> None:
    """Gone is what was installed, no more; twice is no error."""
    root = installed(tmp_path, gpu=True, card_reader=True)
    store = root / "var/lib/ctwatch/ctwatch.duckdb"
    store.parent.mkdir(parents=True)
    store.touch()
    own = root / "etc/systemd/system/ctwatch.service.d/override.conf"
    own.touch()
    for _ in range(2):
        uninstall(Wish(root))
        left = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() or path.is_symlink()}
        assert left == {"etc/ctwatch/config.toml", "var/lib/ctwatch/ctwatch.duckdb", str(own.relative_to(root))}


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    """It says the same as the run that does it."""
    root = tmp_path / "root"
    said = CliRunner().invoke(main, ["service", "install", "--dry-run", "--root", str(root)]).output
    assert not root.exists()
    assert said == CliRunner().invoke(main, ["service", "install", "--root", str(root)]).output
    said = CliRunner().invoke(main, ["service", "uninstall", "--dry-run", "--root", str(root)]).output
    assert (root / "etc/systemd/system/ctwatch.service").exists() and "remove" in said


def test_the_status_of_the_service_tells_files_of_another_version(tmp_path: Path) -> None:
    """After an update of ctwatch one sees that install should be run again."""
    root = tmp_path / "root"
    run = CliRunner()
    assert "no; run: ctwatch service install" in run.invoke(main, ["service", "status", "--root", str(root)]).output
    run.invoke(main, ["service", "install", "--root", str(root)])
    facts = json.loads(run.invoke(main, ["service", "status", "--json", "--root", str(root)]).output)
    assert facts["installed"] and facts["starts_at_boot"] and set(facts["files"].values()) == {"as of this ctwatch"}
    unit = root / "etc/systemd/system/ctwatch.service"
    unit.write_text("of an older ctwatch\n", "utf-8")
    facts = json.loads(run.invoke(main, ["service", "status", "--json", "--root", str(root)]).output)
    assert facts["files"][str(unit)] == "differs: install again"


def test_the_configured_paths_are_opened_and_nothing_else(tmp_path: Path) -> None:
    """Inboxes and archive for writing; a store elsewhere too; a disk of the store or archive is waited for, an inbox's not."""
    text = (
        "[watch]\ninboxes = ['/srv/in 100%', '/home/anna/cards']\n[store]\nfolder = '/data/ct'\n"
        "[cards]\nafter = 'archive'\narchive = '/mnt/archive'\n[deployments]\ntable = '/home/anna/deployments.csv'\n"
    )
    lines = paths_drop_in(configuration.parse(text, "config.toml", tmp_path)).splitlines()
    assert "RequiresMountsFor=/data/ct /mnt/archive" in lines
    assert [line for line in lines if line.startswith("ReadWritePaths")] == [
        'ReadWritePaths=-"/srv/in 100%%"', "ReadWritePaths=-/home/anna/cards", "ReadWritePaths=-/data/ct",
        "ReadWritePaths=-/mnt/archive",
    ]  # fmt: skip
    assert lines[-3:] == [
        "ProtectHome=tmpfs", "BindPaths=-/home/anna/cards", "BindReadOnlyPaths=-/home/anna/deployments.csv"
    ]  # fmt: skip


def test_an_interpreter_that_the_service_could_not_see_is_refused(tmp_path: Path) -> None:
    """The sandbox hides homes; nothing is written then."""
    with pytest.raises(ConfigError, match="python3 -m venv /opt/ctwatch"):
        install(Wish(executable=Path("/home/anna/venv/bin/python")), dry=True)


def test_a_configuration_with_problems_is_told_before_anything_is_written(tmp_path: Path) -> None:
    """With its line, as `ctwatch check` does."""
    config = tmp_path / "root/etc/ctwatch/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[watch]\ninbox = 1\n", "utf-8")
    with pytest.raises(ConfigError, match=r"line 2: watch\.inbox"):
        install(Wish(tmp_path / "root"))
    assert [path for path in (tmp_path / "root").rglob("*") if path.is_file()] == [config]


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A camera card with a link and a file that is not to be read."""
    folder = tmp_path / "card"
    (folder / "DCIM/100RECNX").mkdir(parents=True)
    for number in range(3):
        photograph = folder / f"DCIM/100RECNX/IMG {number}.JPG"
        photograph.write_bytes(bytes([number]) * 1000)
        os.utime(photograph, (1777629600, 1777629600))
    (folder / "DCIM/link.JPG").symlink_to("/etc/passwd")
    return folder


def copied(card: Path, inbox: Path, name: str = "L01_1234-ABCD") -> subprocess.CompletedProcess[str]:
    words = [str(SYSTEMD / "ctwatch-card"), "copy", str(card), str(inbox), name]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def facts(folder: Path) -> dict[str, tuple[bytes, float]]:
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime) for p in folder.rglob("*") if p.is_file()}


def test_a_card_in_the_reader_appears_in_the_inbox_whole(card: Path, tmp_path: Path) -> None:
    """With the camera's times, links as links; the card is as it was; what a broken copy left behind is begun anew."""
    inbox = tmp_path / "inbox"
    left = inbox / ".copying-L01_1234-ABCD.part"
    left.mkdir(parents=True)
    (left / "half.JPG").write_bytes(b"of an earlier, broken copy")
    before = facts(card)
    run = copied(card, inbox)
    assert run.returncode == 0, run.stderr
    assert facts(card) == before
    assert os.listdir(inbox) == ["L01_1234-ABCD"]
    assert facts(inbox / "L01_1234-ABCD") == before
    assert (inbox / "L01_1234-ABCD/DCIM/link.JPG").is_symlink()
    assert "3 files, 3000 bytes" in run.stderr
    assert copied(card, inbox).returncode == 0
    assert sorted(os.listdir(inbox)) == ["L01_1234-ABCD", "L01_1234-ABCD-2"], "an earlier copy is never touched"


def test_a_copy_under_way_has_a_name_that_the_daemon_leaves_alone(card: Path, tmp_path: Path) -> None:
    """And nobody copies the same card a second time meanwhile."""
    from ctwatch.card import scan_inbox
    from ctwatch.settle import SettleTracker

    inbox = tmp_path / "inbox"
    inbox.mkdir()
    slow = tmp_path / "bin"
    slow.mkdir()
    real = shutil.which("sync")
    (slow / "sync").write_text(
        f'#!/bin/sh\nwhile [ ! -e "{tmp_path}/go" ]; do sleep 0.05; done\nexec {real} "$@"\n', "utf-8"
    )
    (slow / "sync").chmod(0o755)
    words = [str(SYSTEMD / "ctwatch-card"), "copy", str(card), str(inbox), "L01"]
    copying = subprocess.Popen(
        words, env={**os.environ, "PATH": f"{slow}:{os.environ['PATH']}"}, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 30
    part = inbox / ".copying-L01.part"
    while not list(part.rglob("*2.JPG")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second = copied(card, inbox, "L01")
    assert second.returncode == 1 and "is being copied already" in second.stderr
    tracker = SettleTracker(0.0)
    for moment in (0.0, 10.0, 20.0):
        assert list(tracker.update((look.card for look in scan_inbox(inbox)), moment)) == []
    (tmp_path / "go").touch()
    assert copying.wait(30) == 0
    assert copying.stderr is not None
    copying.stderr.close()
    assert os.listdir(inbox) == ["L01"]


@pytest.mark.parametrize("name", ["", "../L01", ".L01", "-L01"])
def test_a_name_that_is_a_path_or_an_option_is_refused(card: Path, tmp_path: Path, name: str) -> None:
    """Nothing is copied."""
    (tmp_path / "inbox").mkdir()
    run = copied(card, tmp_path / "inbox", name)
    assert run.returncode == 1 and "not a name for a card" in run.stderr
    assert os.listdir(tmp_path / "inbox") == []


def test_what_is_no_camera_card_is_left_alone_and_a_missing_inbox_is_told(card: Path, tmp_path: Path) -> None:
    """A technician's USB stick is not copied."""
    inbox = tmp_path / "inbox"
    run = copied(card, inbox)
    assert run.returncode == 1 and "is not there" in run.stderr
    inbox.mkdir()
    (card / "DCIM").rename(card / "Documents")
    run = copied(card, inbox)
    assert run.returncode == 0 and "not a camera card" in run.stderr
    assert os.listdir(inbox) == []


def test_every_file_of_the_service_is_carried() -> None:
    """None is in the folder that the installation does not know, none is wanted that is not there."""
    known = {"ctwatch.service", "ctwatch-gpu.conf", "ctwatch.sysusers", "ctwatch.tmpfiles", "ctwatch-card@.service"}
    known |= {"90-ctwatch-card.rules", "ctwatch-card"}
    assert {path.name for path in SYSTEMD.iterdir()} == known | {"README.md"}
    assert all(installation.carried(name) for name in known)
