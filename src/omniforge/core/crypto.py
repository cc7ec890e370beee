"""Envelope encryption with AES-256-GCM: master keys wrap data keys, data keys seal values. No database."""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from omniforge.core.config import Settings
from omniforge.core.errors import OmniForgeError

KEY_BYTES = 32
MASTER_KEY_SETTING = "CREDENTIAL_ENCRYPTION_KEY"
_FORMAT = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16


class KeyUnusable(OmniForgeError):
    """A key is missing, malformed, unreadable or too exposed. Never holds key material."""

    code = "key_unusable"


class SealBroken(OmniForgeError):
    """A sealed value was changed, cut, moved to another place, or sealed under another key."""

    code = "seal_broken"


class WrappedKey(NamedTuple):
    """A data key as it is stored: the master key's version and the encrypted bytes."""

    version: int
    sealed: bytes


def associated_data(*parts: str) -> bytes:
    """Bind a ciphertext to its place, e.g. tenant, table, row, field.

    Every part is preceded by its length, so that ("ab", "c") and ("a", "bc") stay different.
    """
    encoded = [part.encode() for part in parts]
    return b"".join(struct.pack(">I", len(part)) + part for part in encoded)


def new_data_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def seal(key: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Format byte, nonce, ciphertext and tag, in this order."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _FORMAT + nonce + AESGCM(key).encrypt(nonce, plaintext, _FORMAT + associated)


def open_sealed(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    """The plaintext, or SealBroken."""
    if len(sealed) < len(_FORMAT) + _NONCE_BYTES + _TAG_BYTES or sealed[:1] != _FORMAT:
        raise SealBroken("A stored secret is damaged: it is cut short or not one of ours.")
    nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, body, _FORMAT + associated)
    except InvalidTag:
        raise SealBroken("A stored secret does not open: changed, moved, or sealed by another key.") from None


@dataclass(frozen=True, slots=True, repr=False)
class MasterKeys:
    """All master keys by version. The highest version wraps, every version unwraps.

    `source` says for people where the keys came from; `created` is the key file when this start made it.
    """

    keys: Mapping[int, bytes]
    source: str
    created: Path | None = None

    @property
    def version(self) -> int:
        return max(self.keys)

    def __repr__(self) -> str:
        return f"MasterKeys(versions={sorted(self.keys)}, source={self.source!r})"

    @classmethod
    def from_text(cls, text: str, source: str) -> Self:
        """Read one Fernet key, or several as `2:KEY, 1:KEY` (commas, spaces or lines between them).

        A key without a number is version 1.
        """
        keys: dict[int, bytes] = {}
        for item in re.split(r"[\s,]+", text.strip()):
            number, _, encoded = item.rpartition(":")
            version = _version(number or "1", source)
            if version in keys:
                raise KeyUnusable(f"{source} names version {version} twice.", source=source)
            keys[version] = decode_key(encoded, source)
        return cls(keys, source)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The setting, else the key file, which local mode makes at its first start."""
        if settings.credential_encryption_key is not None:
            text = settings.credential_encryption_key.get_secret_value()
            return cls.from_text(text, f"the setting {MASTER_KEY_SETTING}")
        path = settings.home / "keys" / "master.key"
        if settings.auth_required and not path.exists():
            raise KeyUnusable(
                f"No key to encrypt credentials with. Set {MASTER_KEY_SETTING} to 32 random bytes in "
                f"URL-safe base64, or put them into {path} (mode 0600); keep a copy in a safe place.",
                source=str(path),
            )
        text, created = read_or_create_key_file(path)
        loaded = cls.from_text(text, str(path))
        return cls(loaded.keys, loaded.source, path if created else None)

    def wrap(self, data_key: bytes, associated: bytes) -> WrappedKey:
        return WrappedKey(self.version, seal(self.keys[self.version], data_key, associated))

    def unwrap(self, wrapped: WrappedKey, associated: bytes) -> bytes:
        key = self.keys.get(wrapped.version)
        if key is None:
            raise KeyUnusable(
                f"Secrets here were encrypted under master key version {wrapped.version}, which "
                f"{self.source} does not hold. Add it as {wrapped.version}:KEY.",
                source=self.source,
                version=wrapped.version,
            )
        return open_sealed(key, wrapped.sealed, associated)


def _version(number: str, source: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,5}", number, re.ASCII):
        raise KeyUnusable(f"{source}: a key's version is a number from 1 to 999999.", source=source)
    return int(number)


def encode_key(key: bytes) -> str:
    """Fernet's key format: URL-safe base64 with padding."""
    return base64.urlsafe_b64encode(key).decode()


def decode_key(text: str, source: str) -> bytes:
    """32 bytes from Fernet's key format; the error never repeats what was given."""
    try:
        key = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyUnusable(
            f"{source} does not hold a usable key: it must be 32 bytes in URL-safe base64 (44 characters).",
            source=source,
        )
    return key


def read_or_create_key_file(path: Path) -> tuple[str, bool]:
    """The text of a key file, made with a fresh random key when missing; True when this call made it.

    The file has mode 0600 in a folder of mode 0700. Processes that start together agree on one key.
    """
    try:
        created = not path.exists() and _create_key_file(path)
        return _read_key_file(path), created
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise KeyUnusable(f"The key file {path} cannot be used: {reason}.", source=str(path)) from error


def _create_key_file(path: Path) -> bool:
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(encode_key(new_data_key()) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # unlike a rename this never replaces a key that is already in use
        except FileExistsError:
            return False
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def _read_key_file(path: Path) -> str:
    if path.stat().st_mode & 0o077:
        raise KeyUnusable(
            f"The key file {path} can be read by others on this machine. Run: chmod 600 {path}",
            source=str(path),
        )
    return path.read_text(encoding="ascii")
