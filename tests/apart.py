"""What may only be done apart from everything else, in namespaces of its own: watches that run out, disks taken off."""

import os
import subprocess
import time
from pathlib import Path

from lookout import Lookout, until, whole

WHOLE_ENOUGH = b"\xff\xd8\xff\xda\x00\x02" + b"picture" * 50 + b"\xff\xd9"


def drop(folder: Path, first: int = 0, files: int = 2) -> None:
    """Put photographs into a folder; nobody decodes them here."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + files):
        (folder / f"IMG_{number:04d}.JPG").write_bytes(WHOLE_ENOUGH)


def watches_run_out(folder: Path) -> None:
    """Five watches for this user namespace, then plenty."""
    limit = Path("/proc/sys/user/max_inotify_watches")
    limit.write_text("5")
    inbox = folder / "inbox"
    inbox.mkdir()
    with Lookout(inbox) as lookout:
        assert not lookout.observer.deaf
        for number in range(6):
            drop(inbox / f"L{number}" / "DCIM" / "100MEDIA")
        lookout.until_handed(*(f"L{number}" for number in range(6)))
        until(lambda: inbox in lookout.observer.deaf, "the shortage being noticed")
        assert "max_user_watches" in lookout.observer.deaf[inbox]
        drop(inbox / "L5" / "DCIM" / "100MEDIA", first=10)  # in a folder that nobody listens to
        until(lambda: len(lookout.of("L5")) == 2, "late photographs in an unheard folder")
        limit.write_text("1000")
        until(lambda: not lookout.observer.deaf, "listening taken up again")
        looks = lookout.looks
        drop(inbox / "L5" / "DCIM" / "100MEDIA", first=20)
        until(lambda: len(lookout.of("L5")) == 3, "late photographs in a folder that is listened to again")
        assert lookout.looks - looks < 20
        assert {name: len(lookout.of(name)) for name in ("L0", "L4", "L5")} == {"L0": 1, "L4": 1, "L5": 3}
    with Lookout(inbox, mode="inotify") as lookout:
        assert not lookout.observer.deaf
    limit.write_text("0")
    with Lookout(inbox, mode="inotify") as lookout:
        assert "watch limit reached" in lookout.observer.deaf[inbox]
        drop(inbox / "L9")
        lookout.until_handed("L9")


def unmounted_and_mounted(folder: Path) -> None:
    """In a mount namespace: a disk at the inbox, taken off and put on again, and another one put over it."""

    def command(*words: object) -> None:
        subprocess.run([str(word) for word in words], check=True)

    inbox, disk = folder / "inbox", folder / "disk"
    inbox.mkdir()
    disk.mkdir()
    command("mount", "-t", "tmpfs", "disk", disk)
    command("mount", "--bind", disk, inbox)
    drop(inbox / "L01")
    with Lookout(inbox, mode="inotify") as lookout:
        lookout.until_handed("L01")
        # Off and on again between two looks: device and inode are as before, and yet nobody listens any more.
        first = os.stat(inbox)
        command("umount", inbox)
        command("umount", disk)
        command("mount", "-t", "tmpfs", "disk", disk)
        command("mount", "--bind", disk, inbox)
        drop(inbox / "L02")
        lookout.until_handed("L02")  # though no event tells of it and the sweep is an hour away
        assert (os.stat(inbox).st_dev, os.stat(inbox).st_ino) == (first.st_dev, first.st_ino)
        drop(inbox / "L03")
        lookout.until_handed("L03")  # by an event
        command("umount", inbox)  # the bare mount point: an empty folder, not a card deleted, and no reason to hurry
        until(lambda: not lookout.tracker.sees(str(inbox / "L03")), "a look at the bare mount point")
        looks = lookout.looks
        time.sleep(1.5)
        assert lookout.looks - looks <= 2
        drop(inbox / "on the mount point")
        lookout.until_handed("on the mount point")  # by an event: listening was taken up on what lies there now
        command("mount", "--bind", disk, inbox)
        drop(inbox / "L04")
        lookout.until_handed("L04")
        lookout.let_two_looks_pass()
        assert lookout.of("L04") == [whole(inbox / "L04")]
        # L02 and L03 were away and came back: handed out anew, and known to the database by their state.
        assert {name: len({repr(files) for files in lookout.of(name)}) for name in ("L02", "L03")} == {
            "L02": 1,
            "L03": 1,
        }
