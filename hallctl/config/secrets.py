"""Secrets by reference: a file that only its owner reads, or a variable of the environment; keys likewise."""

import os
import stat
from pathlib import Path

from hallctl.config.controller import SecretRef
from hallctl.errors import ConfigError

MAX_BYTES = 65536


def resolve(secret: SecretRef) -> str:
    """The secret itself. Raises ``ConfigError``, which never holds any part of the secret."""
    return read_secret(file=secret.file, env=secret.env)


def read_secret(*, file: Path | None = None, env: str | None = None) -> str:
    """What stands in the file, or else in the variable. Raises ``ConfigError`` like ``resolve``."""
    if env is not None:
        return _from_environment(env)
    if file is None:
        raise ConfigError("a secret names neither a file nor a variable", hint="write file: or env:")
    return _from_file(file)


def check_private(path: Path) -> None:
    """Raises ``ConfigError`` for a private key that others than its owner may use; an absent one is not judged."""
    try:
        mode = path.stat().st_mode
    except OSError:  # whoever opens it says so
        return
    _check_mode(path, mode)


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        hint = "under systemd: EnvironmentFile= in the unit"
        raise ConfigError(f"the environment variable {name} is not set", hint=hint)
    return value


def _from_file(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as exc:
        raise ConfigError("there is no such file", path=str(path), hint="write the secret into it, mode 0600") from exc
    except OSError as exc:
        hint = "it has to belong to the user that the daemon runs as"
        raise ConfigError(f"can't be read: {exc.strerror}", path=str(path), hint=hint) from exc
    try:
        _check_mode(path, os.fstat(descriptor).st_mode)
        return _text(path, os.read(descriptor, MAX_BYTES + 1))
    finally:
        os.close(descriptor)


def _check_mode(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise ConfigError("is not a plain file", path=str(path), hint="name the file that holds the secret")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        message = f"others than its owner may use this file (mode {stat.S_IMODE(mode):04o})"
        raise ConfigError(message, path=str(path), hint=f"chmod 600 {path}")


def _text(path: Path, data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise ConfigError("is too long for a secret", path=str(path), hint="name the file that holds the secret alone")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError("is not text in UTF-8", path=str(path), hint="write the secret as text") from exc
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ConfigError("is empty", path=str(path), hint="write the secret into it")
    return text
