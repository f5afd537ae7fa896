"""Content identity: the same bytes have the same id on every machine."""

import hashlib

from blake3 import blake3

ID_BYTES = 16
"""128 bits: at 10^9 media the chance that any two share an id by accident is below 10^-20."""


def content_id(data: bytes | bytearray | memoryview) -> str:
    """Return the id of a file's bytes, 32 hexadecimal digits.

    BLAKE3 is cryptographic and was the fastest measured: about 7 GB/s on one core, against 1.3 for SHA-256 with
    processor support and 0.95 for BLAKE2b, so that hashing a 2 MB photograph costs 0.3 ms of some 10 ms of decoding.
    """
    return blake3(data).hexdigest(length=ID_BYTES)


def derived_id(*parts: str) -> str:
    """Return an id for something named by other ids, 24 hexadecimal digits; parts cannot run into each other."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        encoded = part.encode("utf-8", "surrogateescape")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()
