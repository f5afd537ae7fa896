"""The outer structure of image files, read from their bytes: kind, JPEG segments, size, end marker."""

from collections.abc import Iterator

START_OF_SCAN = 0xDA
APP1 = 0xE1
_STANDALONE = frozenset({0x01, *range(0xD0, 0xDA)})
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SEQUENTIAL = frozenset({0xC0, 0xC1, 0xC9})
_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"BM", "image/bmp"),
)


def mediatype(data: bytes) -> str | None:
    """Return the IANA media type that the first bytes announce, whatever the file is called; None if not an image."""
    return next((kind for signature, kind in _SIGNATURES if data.startswith(signature)), None)


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of each JPEG segment's payload up to and with the first start of scan.

    Stops without an error where the structure breaks off.
    """
    position, size = 2, len(data)
    while position + 4 <= size and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in _STANDALONE:
            position += 2
            continue
        if marker == 0:  # no marker: decoders skip such bytes, and what follows is for them to find
            return
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if length < 2:
            return
        start, end = position + 4, position + 2 + length
        yield marker, start, min(end, size)
        if marker == START_OF_SCAN:
            return
        position = end


def has_end(data: bytes) -> bool:
    """Whether an end-of-image marker follows the picture data of a JPEG.

    Decoders pass a cut or zero-filled tail as grey. The marker is looked for behind the first start of scan, because
    the thumbnail inside the EXIF block has an end of its own.
    """
    return data.rfind(b"\xff\xd9", _first_scan(data)) >= 0


def scan_count(data: bytes) -> int:
    """Return how many scans the first picture of a JPEG has; picture data itself never looks like a marker.

    Where the first scan of a sequential picture holds all its components there is no second one (decoders refuse it), so
    that the data of nearly all photographs need not be searched, which costs a tenth of decoding them.
    """
    sequential, components = False, 0
    for marker, start, end in segments(data):
        if marker in _FRAME_HEADERS and end - start > 5:
            sequential, components = marker in _SEQUENTIAL, data[start + 5]
        elif marker == START_OF_SCAN and sequential and start < end and data[start] == components:
            return 1
    first = _first_scan(data)
    if not first:  # the structure breaks off before: all that could be a scan counts
        return data.count(b"\xff\xda")
    end = data.find(b"\xff\xd9", first)
    return 1 + data.count(b"\xff\xda", first, end if end >= 0 else len(data))


def _first_scan(data: bytes) -> int:
    return next((start for marker, start, _ in segments(data) if marker == START_OF_SCAN), 0)


def frame_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a JPEG from its frame header; None if there is none before the picture data."""
    for marker, start, end in segments(data):
        if marker in _FRAME_HEADERS and end - start >= 5:
            height = int.from_bytes(data[start + 1 : start + 3], "big")
            width = int.from_bytes(data[start + 3 : start + 5], "big")
            return width, height
    return None
