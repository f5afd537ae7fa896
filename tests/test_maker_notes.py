"""Reconyx maker notes: real photographs, every documented family, and notes cut off anywhere."""

import struct
from dataclasses import replace

import piexif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import SHARED, needs_shared

from ctwatch import exif
from ctwatch.domain import CameraFacts
from ctwatch.maker_notes import read

quick = settings(deadline=None)


def note(
    signature: bytes,
    *,
    trigger: int,
    sequence: tuple[int, str],
    event: tuple[int, str, tuple[int, ...]],
    celsius: int,
    serial: tuple[int, bytes],
    label: int,
) -> bytes:
    """A note with its fields at these offsets: frame 2 of 3, -7 degrees, label SITE 7."""
    data = bytearray(0x100)
    data[: len(signature)] = signature
    data[trigger : trigger + 1] = b"M"
    struct.pack_into(sequence[1], data, sequence[0], 2, 3)
    struct.pack_into(event[1], data, event[0], *event[2])
    struct.pack_into("<h", data, celsius, -7)
    data[serial[0] : serial[0] + len(serial[1])] = serial[1]
    data[label : label + 7] = b"SITE 7\x00"
    return bytes(data)


WIDE, NARROW = "P900HF1".encode("utf-16-le"), b"P900HF1"
EXPECTED = CameraFacts(
    serial="P900HF1",
    user_label="SITE 7",
    trigger="M",
    sequence_number=2,
    sequence_total=3,
    event_number=65_541,
    temperature_c=-7.0,
)
NOTES = {
    "HyperFire": note(
        b"\x01\xf1\x03\x00",
        trigger=0x0C,
        sequence=(0x0E, "<2H"),
        event=(0x12, "<2H", (1, 5)),
        celsius=0x28,
        serial=(0x2A, WIDE),
        label=0x56,
    ),
    "HyperFire 2": note(
        b"RECONYXH2\x00",
        trigger=0x34,
        sequence=(0x36, "<2H"),
        event=(0x3A, "<2H", (1, 5)),
        celsius=0x50,
        serial=(0x7E, WIDE),
        label=0x68,
    ),
    "UltraFire": note(
        b"RECONYXUF\x00",
        trigger=0x34,
        sequence=(0x35, "<2B"),
        event=(0x37, "<I", (65_541,)),
        celsius=0x46,
        serial=(0x4B, NARROW),
        label=0x5A,
    ),
    "MicroFire": note(
        b"RECONYXMF\x00",
        trigger=0x44,
        sequence=(0x46, "<2H"),
        event=(0x4A, "<2H", (1, 5)),
        celsius=0x60,
        serial=(0x8C, WIDE),
        label=0x76,
    ),
    "HyperFire 4K": note(
        b"RECONYXHF4K\x00",
        trigger=0x28,
        sequence=(0x29, "<2B"),
        event=(0x2B, "<I", (65_541,)),
        celsius=0x3A,
        serial=(0x84, NARROW),
        label=0x51,
    ),
}
families = pytest.mark.parametrize("data", NOTES.values(), ids=NOTES)


@families
def test_every_family_tells_the_same_facts(data: bytes) -> None:
    """The documented offsets of each family."""
    assert read(data, "RECONYX") == EXPECTED


@families
def test_notes_cut_anywhere_tell_what_is_left(data: bytes) -> None:
    """Cut at any length: nothing raises, and what is told is true or missing; a name may be cut short."""
    for length in range(len(data)):
        told = read(data[:length], "RECONYX")
        if told is None:
            assert length < 12
            continue
        for name in ("trigger", "sequence_number", "sequence_total", "event_number", "temperature_c"):
            assert getattr(told, name) in (None, getattr(EXPECTED, name))
        assert told.serial is None or "P900HF1".startswith(told.serial)
        assert told.user_label is None or "SITE 7".startswith(told.user_label)


@quick
@given(st.sampled_from([data[:12] for data in NOTES.values()] + [b""]), st.binary(max_size=300), st.booleans())
def test_hostile_notes_tell_nothing_impossible(start: bytes, rest: bytes, reconyx: bool) -> None:
    """Any bytes behind any signature: nothing raises, and what is told is within range and printable."""
    told = read(start + rest, "RECONYX" if reconyx else None)
    if told is None:
        return
    if told.sequence_number is not None:
        assert told.sequence_total is not None
        assert 1 <= told.sequence_number <= told.sequence_total
    assert told.trigger is None or told.trigger in "MTECPSL"
    assert told.temperature_c is None or -90 <= told.temperature_c <= 90
    for text in (told.serial, told.user_label):
        assert text is None or (text.isprintable() and "\ufffd" not in text)


@pytest.mark.parametrize("numbers", [(0, 0), (0, 3), (4, 3)])
def test_no_sequence_is_none(numbers: tuple[int, int]) -> None:
    """Time-lapse pictures are frame 0 of 0; a frame beyond its sequence is as little a sequence."""
    data = bytearray(NOTES["HyperFire"])
    struct.pack_into("<2H", data, 0x0E, *numbers)
    assert read(bytes(data), "RECONYX") == replace(EXPECTED, sequence_number=None, sequence_total=None)


def test_erased_memory_is_no_name() -> None:
    """Bytes of 0xFF where a label should be are an unset label."""
    data = bytearray(NOTES["UltraFire"])
    data[0x4B:0x6F] = b"\xff" * (0x6F - 0x4B)
    assert read(bytes(data), "RECONYX") == replace(EXPECTED, serial=None, user_label=None)


def test_bare_signature_counts_for_reconyx_alone() -> None:
    """Two bytes could be anybody's: the make or a known firmware must agree."""
    strange = b"\x01\xf1\x09\x00" + NOTES["HyperFire"][4:]
    assert read(strange, "Other") is None
    assert read(strange, None) is None
    assert read(strange, " Reconyx ") == EXPECTED
    assert read(NOTES["HyperFire"], None) == EXPECTED
    assert read(b"Nikon\x00", "NIKON") is None
    assert read(b"", None) is None


@families
def test_the_note_survives_piexif(data: bytes) -> None:
    """A note packed into a photograph's EXIF comes back whole."""
    block = piexif.dump({"0th": {piexif.ImageIFD.Make: b"RECONYX"}, "Exif": {piexif.ExifIFD.MakerNote: data}})
    jpeg = b"\xff\xd8\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + b"\xff\xd9"
    header = exif.read(jpeg)
    assert header is not None
    assert header.camera == replace(EXPECTED, make="RECONYX")


@needs_shared
def test_real_hyperfire_tells_motion_from_time_lapse() -> None:
    """40 photographs of two PC900: noon pictures are T without a sequence, the others M 1 of 1; label is the station."""
    files = sorted((SHARED / "cards" / "algar_reconyx").rglob("*.JPG"))
    assert len(files) == 40
    for path in files:
        header = exif.read(path.read_bytes())
        assert header is not None
        assert header.problem is None
        camera = header.camera
        station = path.relative_to(SHARED / "cards" / "algar_reconyx").parts[0]
        assert camera.user_label == station
        assert camera.serial == {"ALGAR01": "P900HF11168722", "ALGAR02": "P900HF07157866"}[station]
        noon = next(iter(header.times.values())).endswith("12:00:00")
        expected = ("T", None, None) if noon else ("M", 1, 1)
        assert (camera.trigger, camera.sequence_number, camera.sequence_total) == expected
        assert camera.temperature_c is not None
        assert -10 <= camera.temperature_c <= 25


@needs_shared
def test_real_hyperfire_2_counts_its_burst() -> None:
    """Ten photographs of one trigger: frame n of 10 in file order, one event number."""
    files = sorted((SHARED / "cards" / "camtrapdp_reconyx").rglob("*.JPG"))
    cameras = [header.camera for path in files if (header := exif.read(path.read_bytes())) is not None]
    assert [camera.sequence_number for camera in cameras] == list(range(1, 11))
    assert {(camera.sequence_total, camera.event_number, camera.trigger) for camera in cameras} == {(10, 4, "M")}
    assert {(camera.serial, camera.user_label) for camera in cameras} == {("H2RXEM06043616", "MICA 318")}
