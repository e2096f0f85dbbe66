"""The TLS options of `emulator`, and the text that explains how to trust its certificate."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

from attrs import asdict, frozen
from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FILE = Parameter(show_default=False)


@Parameter(name="*")
@frozen(kw_only=True)
class TlsOptions:
    """The certificate to serve https with, if any, and further host names."""

    tls: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Serve https with a certificate made at the start, and show how to trust it."""
    ca_file: Annotated[Path | None, _FILE] = None
    """With --tls: write the certificate of its authority to this file, and keep it. Default: a
    file that is removed at the end."""
    certfile: Annotated[Path | None, _FILE] = None
    """Serve https with your own certificate, a PEM file."""
    keyfile: Annotated[Path | None, _FILE] = None
    """The private key of --certfile, a PEM file, if it is not in the same file."""
    hostname: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = ()
    """Another host name of the emulator, for its certificate and its own pages; repeat the option
    for more."""

    def settings(self) -> Mapping[str, Any]:
        """Return the settings given on the command line."""
        settings = asdict(self)
        settings["hostnames"] = settings.pop("hostname")
        return {name: value for name, value in settings.items() if value}


def how_to_trust(ca_file: str) -> Sequence[str]:
    """Return lines that say how clients in several languages trust an authority."""
    ca_file = quote(ca_file)
    return [
        "Its certificate was made for this run, for localhost and hosts of Exotel such as",
        f"api.exotel.com. Clients have to trust {ca_file}:",
        f"  curl --cacert {ca_file} ...",
        f"  export SSL_CERT_FILE={ca_file}        # exotel_async, httpx, Go, Ruby",
        f"  export REQUESTS_CA_BUNDLE={ca_file}   # requests",
        f"  export NODE_EXTRA_CA_CERTS={ca_file}  # Node",
        f"  keytool -importcert -noprompt -alias emulator -file {ca_file} \\",
        "    -keystore emulator.p12 -storepass emulator && \\",
        "    java -Djavax.net.ssl.trustStore=emulator.p12 \\",
        "    -Djavax.net.ssl.trustStorePassword=emulator ...",
    ]
