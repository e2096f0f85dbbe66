"""TLS: with a certificate generated at the start, or with one of the user's own."""

from __future__ import annotations

import ssl
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import attrs

from exotel_async.emulator.settings import Settings, is_hostname

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HARD_CODED = ("*.exotel.com", "*.in.exotel.com", "*.exotel.in")  # VOICE_V1 0
"""Exotel's host names, hard-coded in some clients; a hosts file can point them here."""
_LONGEST = timedelta(days=365)
"""How long a certificate is valid: Apple's systems accept none above 825 days."""


class UnusableSetting(ValueError):
    """A setting with which TLS cannot be served; the text has its name, value and problem."""

    def __init__(self, setting: str, value: str, problem: str) -> None:
        super().__init__(f"{setting}={value}: {problem}")
        self.setting = setting
        self.value = value
        self.problem = problem


@attrs.define
class Tls:
    """The certificate of a socket, and where clients find the authority to trust."""

    context: ssl.SSLContext
    ca_file: str | None = None
    """The path of the generated authority's certificate, in PEM."""
    _directory: TemporaryDirectory[str] | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return what the settings ask for; None: plain HTTP.

        Raises:
            UnusableSetting: one of them, or a file that one names, cannot be used.
            ModuleNotFoundError: the extra `tls` is not installed, and `tls=True` needs it.
        """
        if settings.certfile is not None:
            return cls._from_files(settings.certfile, settings.keyfile)
        if settings.tls:
            host = settings.host
            if not (":" in host or is_hostname(host)):
                raise UnusableSetting("host", host, "no certificate can name it")
            names = dict.fromkeys((*_LOOPBACK, host, *_HARD_CODED, *settings.hostnames))
            return cls._generated(names, settings.ca_file)
        return None

    @classmethod
    def _from_files(cls, certfile: str, keyfile: str | None) -> Self:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = _read("certfile", certfile)
        if b"-----BEGIN CERTIFICATE-----" not in certificate:
            raise UnusableSetting("certfile", certfile, "holds no certificate in PEM")
        name, path = ("certfile", certfile) if keyfile is None else ("keyfile", keyfile)
        key = certificate if keyfile is None else _read("keyfile", keyfile)
        if b"PRIVATE KEY-----" not in key:
            hint = "; give keyfile" if keyfile is None else " in PEM"
            raise UnusableSetting(name, path, f"holds no private key{hint}")
        if b"ENCRYPTED" in key:  # OpenSSL would ask for its password on the terminal
            raise UnusableSetting(name, path, "its private key must have no password")
        try:
            context.load_cert_chain(certfile, keyfile)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                problem = "is not the key of the certificate in certfile"
            else:
                problem = f"cannot be used ({error.reason or error})"
            raise UnusableSetting(name, path, problem) from None
        return cls(context)

    @classmethod
    def _generated(cls, names: Collection[str], ca_file: str | None) -> Self:
        try:
            import trustme  # noqa: PLC0415
        except ModuleNotFoundError as error:
            hint = "tls=True needs trustme: pip install 'exotel-async[tls]'"
            raise ModuleNotFoundError(hint, name=error.name) from None
        now = datetime.now(UTC)
        # Its private key is never written to a file: nobody can use it elsewhere, or later.
        authority = trustme.CA(organization_name="exotel-async emulator")
        issued = authority.issue_cert(
            *names, not_before=now - timedelta(days=1), not_after=now + _LONGEST
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(context)
        directory = None
        if ca_file is None:
            directory = TemporaryDirectory(prefix="exotel-emulator-")  # readable by this user only
            ca_file = str(Path(directory.name, "ca.pem"))
        try:
            authority.cert_pem.write_to_path(ca_file)
        except OSError as error:
            raise UnusableSetting("ca_file", ca_file, str(error.strerror)) from None
        return cls(context, ca_file, directory)

    def close(self) -> None:
        """Remove the directory that was made for this run only."""
        if self._directory is not None:
            self._directory.cleanup()


def _read(name: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UnusableSetting(name, path, f"{error.strerror}") from None
