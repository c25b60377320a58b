"""Where a catalog is: a url or connection string, taken apart and checked. Pure; nothing is looked up or opened.

    local:DIR[?sync=full]                                       SQLite and files under DIR
    memory:                                                     gone when it is closed
    azurite:                                                    Azurite on its well-known ports
    azurite://HOST:BLOBPORT:TABLEPORT[/CONTAINER][?table=NAME]  Azurite elsewhere on this machine
    azure://ACCOUNT[/CONTAINER][?table=NAME][&suffix=SUFFIX]    a storage account
    AccountName=…;AccountKey=…;…                                a connection string

Secrets are taken out of what they came in, and sealed: see `storage.secret`. Plain http goes to this machine
only; other hosts must be Azure's, or be allowed by name.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import SplitResult, parse_qs, urlsplit

from storage import Secret

from .errors import InvalidError

DEFAULT_NAME: Final = "blobcat"
SUFFIXES: Final = ("core.windows.net", "core.chinacloudapi.cn", "core.usgovcloudapi.net")
ZONED: Final = "ACCOUNT.zNN.blob.storage.azure.net"  # what connection strings of accounts in a DNS zone say
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
AZURITE_ACCOUNT: Final = "devstoreaccount1"
# Published with Azurite, the same for everyone: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
AZURITE_KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # gitleaks:allow
)

_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_ZONED = re.compile(r"[a-z0-9-]+\.z[0-9]{1,3}\.(blob|table)\.storage\.azure\.net")
_FORMS: Final = "local:DIR, memory:, azurite:, azure://ACCOUNT/CONTAINER or a connection string"
_SAS_KEYS: Final = frozenset(  # of account, service and user delegation SAS
    {"sv", "ss", "srt", "sr", "sp", "se", "st", "spr", "sip", "sig", "si", "tn", "spk", "srk", "epk", "erk"}
    | {"skoid", "sktid", "skt", "ske", "sks", "skv", "saoid", "suoid", "scid", "sdd", "ses"}
)


@dataclass(frozen=True, slots=True)
class LocalLocation:
    """A folder on this machine."""

    folder: Path
    sync: Literal["normal", "full"] = "normal"


@dataclass(frozen=True, slots=True)
class MemoryLocation:
    """This process."""


@dataclass(frozen=True, slots=True)
class AzureLocation:
    """A table and a container of one account. Without key and SAS, the identity of whoever runs is asked."""

    account: str
    blob_endpoint: str
    table_endpoint: str
    container: str
    table: str
    key: Secret | None = field(default=None, repr=False)
    sas: Secret | None = field(default=None, repr=False)


Location = LocalLocation | MemoryLocation | AzureLocation


def parse_location(
    url: str,
    *,
    container: str | None = None,
    table: str | None = None,
    hosts_allowed: tuple[str, ...] = (),
    keyless: bool = False,
) -> Location:
    """The location that a url means. `keyless`: a connection string needs no secret, for a credential is beside it.

    Raises: InvalidError, which says what is wrong and never quotes a secret.
    """
    if not isinstance(url, str):
        raise _wrong(f"the catalog's url is a str, not {type(url).__name__}")
    scheme, colon, rest = url.strip().partition(":")
    match scheme.lower() if colon else "":
        case "local":
            return _local(rest)
        case "memory":
            if rest:
                raise _wrong("memory: takes nothing behind the colon")
            return MemoryLocation()
        case "azurite":
            return _azurite(rest, container, table)
        case "azure":
            return _azure(url.strip(), container, table, hosts_allowed)
    if "=" in url and ("AccountName=" in url or "Endpoint=" in url or "UseDevelopmentStorage=" in url):
        return _connection_string(url.strip(), container, table, hosts_allowed, keyless=keyless)
    if scheme.lower() in ("http", "https"):
        raise _wrong(f"the catalog's url is {_FORMS}; for an https endpoint use a connection string")
    if not colon or "/" in scheme or len(scheme) == 1:
        raise _wrong(f"this is no catalog's url; for a folder put local: before it. A url is {_FORMS}")
    raise _wrong(f"unknown scheme {scheme[:20]!r}: a catalog's url is {_FORMS}")


def parse_sealed_location(url: object, **options: Any) -> Location:
    """As `parse_location`, of a url that is sealed. An error holds no frame in which the url is open."""
    try:
        return parse_location(url.reveal() if isinstance(url, Secret) else url, **options)  # type: ignore[arg-type]
    except InvalidError as exc:
        refusal = InvalidError(exc.message, op=exc.op, key=exc.key, kind=exc.kind)
    raise refusal


def _local(rest: str) -> LocalLocation:
    folder, mark, query = rest.partition("?")
    if not folder:
        raise _wrong("local: needs a folder, such as local:.blobcat")
    if not mark:
        return LocalLocation(Path(folder).expanduser())
    match query:
        case "sync=full":
            return LocalLocation(Path(folder).expanduser(), "full")
        case "sync=normal":
            return LocalLocation(Path(folder).expanduser())
    raise _wrong("local: takes no option but ?sync=full or ?sync=normal")


def _azurite(rest: str, container: str | None, table: str | None) -> AzureLocation:
    host, blob_port, table_port = "127.0.0.1", "10000", "10002"
    parts = urlsplit(rest) if rest else SplitResult("", "", "", "", "")
    if parts.netloc:
        named = re.fullmatch(r"(\[[0-9a-f:]+\]|[^:@\[\]]+):(\d{1,5}):(\d{1,5})", parts.netloc)
        if not named:
            raise _wrong("azurite: takes HOST:BLOBPORT:TABLEPORT, such as azurite://127.0.0.1:10000:10002")
        host, blob_port, table_port = named.groups()
    elif parts.path.strip("/") and not rest.startswith("/"):
        raise _wrong("azurite: takes nothing, or //HOST:BLOBPORT:TABLEPORT")
    if host.strip("[]") not in LOOPBACK:
        raise _wrong(f"azurite: speaks plain http, which goes to this machine only, not to {host}")
    options = _options(parts, {"table"})
    return AzureLocation(
        AZURITE_ACCOUNT,
        f"http://{host}:{blob_port}/{AZURITE_ACCOUNT}",
        f"http://{host}:{table_port}/{AZURITE_ACCOUNT}",
        _one("container", container, parts.path.strip("/")),
        _one("table", table, options.get("table")),
        key=Secret(AZURITE_KEY),
    )


def _azure(url: str, container: str | None, table: str | None, hosts_allowed: tuple[str, ...]) -> AzureLocation:
    parts = urlsplit(url)
    if "@" in parts.netloc or ":" in parts.netloc:
        raise _wrong("azure:// takes an account's name only: no user, password or port. Pass a credential beside it")
    if not _ACCOUNT.fullmatch(parts.netloc):
        raise _wrong("an account's name is 3 to 24 lower-case letters and digits, as in azure://myaccount/mycontainer")
    options = _options(parts, {"table", "suffix"} | _SAS_KEYS)
    suffix = options.get("suffix") or SUFFIXES[0]
    account = parts.netloc
    blob, tables = f"https://{account}.blob.{suffix}", f"https://{account}.table.{suffix}"
    check_endpoint(blob, hosts_allowed)
    sas = "&".join(pair for pair in parts.query.split("&") if pair.partition("=")[0] in _SAS_KEYS)
    return AzureLocation(
        account,
        blob,
        tables,
        _one("container", container, parts.path.strip("/")),
        _one("table", table, options.get("table")),
        sas=Secret(sas) if sas else None,
    )


def _connection_string(
    text: str, container: str | None, table: str | None, hosts_allowed: tuple[str, ...], *, keyless: bool
) -> AzureLocation:
    fields: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, value = part.partition("=")
        if not equals:
            raise _wrong("a connection string is NAME=VALUE;NAME=VALUE, and one part has no =")
        fields[name.lower()] = value
    if fields.get("usedevelopmentstorage", "").lower() == "true":
        return _azurite("", container, table)
    account, key = fields.get("accountname", ""), fields.get("accountkey")
    sas = fields.get("sharedaccesssignature", "").removeprefix("?") or None
    protocol, suffix = fields.get("defaultendpointsprotocol", "https"), fields.get("endpointsuffix", SUFFIXES[0])
    blob = fields.get("blobendpoint") or f"{protocol}://{account}.blob.{suffix}"
    tables = fields.get("tableendpoint") or f"{protocol}://{account}.table.{suffix}"
    if not account and not (fields.get("blobendpoint") and fields.get("tableendpoint")):
        raise _wrong("the connection string has no AccountName, nor BlobEndpoint and TableEndpoint")
    if not (fields.get("blobendpoint") and fields.get("tableendpoint")) and not _ACCOUNT.fullmatch(account):
        raise _wrong("an AccountName is 3 to 24 lower-case letters and digits")
    if not key and not sas and not keyless:
        message = "the connection string has no AccountKey and no SharedAccessSignature, and no credential is beside it"
        raise _wrong(message)
    for endpoint in (blob, tables):
        check_endpoint(endpoint, hosts_allowed)
    names = _one("container", container, ""), _one("table", table, "")
    sealed_key, sealed_sas = Secret(key) if key else None, Secret(sas) if sas and not key else None
    return AzureLocation(account, blob.rstrip("/"), tables.rstrip("/"), *names, key=sealed_key, sas=sealed_sas)


def check_endpoint(endpoint: str, hosts_allowed: tuple[str, ...] = ()) -> str:
    """An endpoint that secrets may be sent to. Raises: InvalidError."""
    try:
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError as exc:
        raise _wrong("an endpoint is no valid url") from exc
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise _wrong(f"the endpoint of {host} may hold no user, query or fragment")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise _wrong(f"plain http goes to this machine only, not to {host}: use https")
    if parts.scheme not in ("http", "https") or not host:
        raise _wrong("an endpoint begins with https://")
    suffixes = (*SUFFIXES, *hosts_allowed)
    trusted = host in LOOPBACK or _ZONED.fullmatch(host)
    if not trusted and not any(host == suffix or host.endswith("." + suffix) for suffix in suffixes):
        known = ", ".join((*SUFFIXES, ZONED))
        raise _wrong(f"{host} is no host of Azure Storage ({known}): allow it with Settings(hosts_allowed=…)")
    return endpoint


def _options(parts: SplitResult, known: set[str] | frozenset[str]) -> dict[str, str]:
    options = parse_qs(parts.query, keep_blank_values=True)
    for name, values in options.items():
        if name not in known:
            raise _wrong(f"unknown option {name[:20]!r} in the catalog's url")
        if len(values) > 1:
            raise _wrong(f"option {name[:20]!r} is given twice in the catalog's url")
    return {name: values[0] for name, values in options.items()}


def _one(what: str, given: str | None, in_url: str | None) -> str:
    if given and in_url and given != in_url:
        raise _wrong(f"the url names {what} {in_url!r}, the call {given!r}")
    return given or in_url or DEFAULT_NAME


def _wrong(message: str) -> InvalidError:
    return InvalidError(message, op="connect", kind="invalid.url")
