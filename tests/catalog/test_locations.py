"""Urls and connection strings: what they mean, and what is refused before anything is opened."""

from pathlib import Path

import pytest

from catalog.errors import InvalidError
from catalog.locations import (
    AZURITE_KEY,
    AzureLocation,
    LocalLocation,
    MemoryLocation,
    parse_location,
)
from storage import Secret

KEY = "bm90LWEta2V5"


def azure(url: str, **options: str | bool) -> AzureLocation:
    location = parse_location(url, **options)  # type: ignore[arg-type]
    assert isinstance(location, AzureLocation)
    return location


def test_local_and_memory() -> None:
    assert parse_location("local:.blobcat") == LocalLocation(Path(".blobcat"))
    assert parse_location("local:/a b/c?sync=full") == LocalLocation(Path("/a b/c"), "full")
    assert parse_location("local:~/c") == LocalLocation(Path.home() / "c")
    assert parse_location("memory:") == MemoryLocation()


def test_azurite_on_its_own_ports_and_on_others() -> None:
    usual = azure("azurite:")
    assert usual.blob_endpoint == "http://127.0.0.1:10000/devstoreaccount1"
    assert usual.table_endpoint == "http://127.0.0.1:10002/devstoreaccount1"
    assert (usual.container, usual.table, usual.key) == ("blobcat", "blobcat", Secret(AZURITE_KEY))
    other = azure("azurite://localhost:7:8/files?table=names")
    assert other.blob_endpoint == "http://localhost:7/devstoreaccount1"
    assert (other.container, other.table) == ("files", "names")
    assert azure("azurite://[::1]:7:8").table_endpoint == "http://[::1]:8/devstoreaccount1"
    assert azure("UseDevelopmentStorage=true") == usual


def test_azure_with_defaults_and_without() -> None:
    plain = azure("azure://myaccount")
    assert plain.blob_endpoint == "https://myaccount.blob.core.windows.net"
    assert plain.table_endpoint == "https://myaccount.table.core.windows.net"
    assert (plain.container, plain.table, plain.key, plain.sas) == ("blobcat", "blobcat", None, None)
    full = azure("azure://myaccount/files?table=names&suffix=core.chinacloudapi.cn")
    assert full.table_endpoint == "https://myaccount.table.core.chinacloudapi.cn"
    assert (full.container, full.table) == ("files", "names")
    assert azure("azure://myaccount", container="files", table="names").container == "files"


def test_a_sas_is_taken_out_of_the_url() -> None:
    location = azure("azure://myaccount/files?sv=2024-01-01&sig=s%2Bcret%3D&table=names")
    assert location.sas == Secret("sv=2024-01-01&sig=s%2Bcret%3D")
    assert "sig" not in location.blob_endpoint + location.table_endpoint


def test_a_connection_string_as_its_endpoints_say() -> None:
    text = f"DefaultEndpointsProtocol=https;AccountName=acc;AccountKey={KEY}==;EndpointSuffix=core.windows.net"
    location = azure(text, container="files", table="names")
    assert location.blob_endpoint == "https://acc.blob.core.windows.net"
    assert (location.account, location.key, location.container) == ("acc", Secret(KEY + "=="), "files")
    own = azure(f"AccountName=a;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:1/a/;TableEndpoint=http://127.0.0.1:2/a")
    assert (own.blob_endpoint, own.table_endpoint) == ("http://127.0.0.1:1/a", "http://127.0.0.1:2/a")
    shared = azure("AccountName=acc;SharedAccessSignature=?sv=1&sig=abc")
    assert (shared.key, shared.sas) == (None, Secret("sv=1&sig=abc"))


def test_a_connection_string_of_an_account_in_a_dns_zone() -> None:
    """As the portal has it."""
    services = ("blob", "queue", "file", "table")
    endpoints = ";".join(f"{each.title()}Endpoint=https://acc.z12.{each}.storage.azure.net/" for each in services)
    location = azure(f"DefaultEndpointsProtocol=https;{endpoints};AccountName=acc;AccountKey={KEY}==")
    assert location.blob_endpoint == "https://acc.z12.blob.storage.azure.net"
    assert location.table_endpoint == "https://acc.z12.table.storage.azure.net"


def test_a_connection_string_needs_no_secret_where_a_credential_is_beside_it() -> None:
    location = azure("AccountName=acc;EndpointSuffix=core.windows.net", keyless=True)
    assert (location.key, location.sas) == (None, None)


def test_secrets_are_in_no_repr() -> None:
    shown = repr([azure(f"AccountName=acc;AccountKey={KEY}"), azure("azure://acc01?sig=cret"), azure("azurite:")])
    assert KEY not in shown
    assert "cret" not in shown
    assert AZURITE_KEY not in shown


REFUSED = {
    "nothing": ("", "local:DIR"),
    "a folder": ("./files", "put local: before it"),
    "a windows folder": ("C:\\files", "put local: before it"),
    "unknown scheme": ("s3://bucket", "unknown scheme 's3'"),
    "https": ("https://acc.blob.core.windows.net/files", "connection string"),
    "local without a folder": ("local:", "needs a folder"),
    "local with an unknown option": ("local:x?fsync=1", "no option but"),
    "memory with a name": ("memory:x", "takes nothing"),
    "azurite elsewhere": ("azurite://10.0.0.5:1:2", "this machine only"),
    "azurite with one port": ("azurite://127.0.0.1:10000", "HOST:BLOBPORT:TABLEPORT"),
    "azurite without slashes": ("azurite:10000", "takes nothing, or"),
    "user info": ("azure://me:pw@acc/files", "no user, password or port"),
    "a port": ("azure://acc:443/files", "no user, password or port"),
    "no account": ("azure:///files", "3 to 24"),
    "a wrong account": ("azure://My_Account/files", "3 to 24"),
    "a foreign suffix": ("azure://acc/files?suffix=evil.example", "no host of Azure Storage"),
    "a suffix that only ends alike": ("azure://acc/files?suffix=evilcore.windows.net", "no host of Azure Storage"),
    "a zone without its number": ("azure://acc/files?suffix=storage.azure.net", "no host of .* ACCOUNT.zNN.blob"),
    "a zone elsewhere": (
        "azure://acc/files?suffix=z12.blob.storage.azure.net.evil.example",
        "no host of Azure Storage",
    ),
    "a zone that only ends alike": (
        (
            f"AccountName=acc;AccountKey={KEY};BlobEndpoint=https://acc.z1.blob.storage.azure.net;"
            "TableEndpoint=https://acc.z1.table.evilstorage.azure.net"
        ),
        "no host of Azure Storage",
    ),
    "a zone over plain http": (
        (
            f"AccountName=acc;AccountKey={KEY};BlobEndpoint=http://acc.z1.blob.storage.azure.net;"
            "TableEndpoint=https://acc.z1.table.storage.azure.net"
        ),
        "plain http",
    ),
    "unknown option": ("azure://acc/files?tabel=x", "unknown option 'tabel'"),
    "an option twice": ("azure://acc/files?table=x&table=y", "given twice"),
    "http elsewhere": (f"AccountName=acc;AccountKey={KEY};DefaultEndpointsProtocol=http", "plain http"),
    "an endpoint with user info": (
        f"AccountName=a;AccountKey={KEY};BlobEndpoint=https://u:p@a.core.windows.net;TableEndpoint=https://x",
        "may hold no user",
    ),
    "a foreign endpoint": (
        f"AccountName=a;AccountKey={KEY};BlobEndpoint=https://evil.example;TableEndpoint=https://evil.example",
        "no host of Azure Storage",
    ),
    "no key": ("AccountName=acc;EndpointSuffix=core.windows.net", "no AccountKey"),
    "an account name that makes another host": (
        f"AccountName=evil.example/?;AccountKey={KEY};EndpointSuffix=core.windows.net",
        "an AccountName is 3 to 24",
    ),
    "an upper-case account name": (f"AccountName=MyAccount;AccountKey={KEY}", "an AccountName is 3 to 24"),
    "no account name": (f"AccountKey={KEY};EndpointSuffix=x;AccountName=", "no AccountName"),
    "no equals sign": ("AccountName=acc;junk", "one part has no ="),
}


@pytest.mark.parametrize(("url", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_work_is_refused_in_one_line(url: str, words: str) -> None:
    with pytest.raises(InvalidError, match=words) as caught:
        parse_location(url)
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_foreign_host_may_be_allowed_by_name() -> None:
    location = parse_location("azure://acc/files?suffix=storage.example", hosts_allowed=("storage.example",))
    assert isinstance(location, AzureLocation)
    assert location.blob_endpoint == "https://acc.blob.storage.example"


def test_url_and_call_may_not_contradict_each_other() -> None:
    with pytest.raises(InvalidError, match="the url names container 'a', the call 'b'"):
        parse_location("azure://acc/a", container="b")
