"""Urls that read one blob: as the SDK signs them, but with a version that older clouds know, too."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobSasPermissions
from azure.storage.blob._shared_access_signature import BlobSharedAccessSignature

from storage.azure_signers import UnsignedError, signature
from storage.azure_signing import DelegationKey, account_of, parse_key, reaches, signed_url, text_to_sign

SECRET = b64encode(b"a key of the account").decode()
KEY = AzureNamedKeyCredential("account", SECRET)
ENDPOINT = "https://account.blob.core.windows.net"
EXPIRES = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
NAMES = ["a", "a/b c~1.csv", "ü/%41+&=?.txt", "a'(b)"]
ANSWER = f"""<?xml version="1.0" encoding="utf-8"?><UserDelegationKey><SignedOid>o</SignedOid><SignedTid>t</SignedTid>
<SignedStart>2027-01-01T00:00:00Z</SignedStart><SignedExpiry>2027-01-03T00:00:00Z</SignedExpiry>
<SignedService>b</SignedService><SignedVersion>2021-12-02</SignedVersion><Value>{SECRET}</Value></UserDelegationKey>"""


@pytest.mark.parametrize("filename", ["", "b c.csv", 'ü"\n'])
@pytest.mark.parametrize("name", NAMES)
def test_a_key_signs_as_the_sdk_does_for_that_version(name: str, filename: str) -> None:
    url = signed_url(ENDPOINT, "box", name, expires=EXPIRES, filename=filename, key=KEY)
    query = dict(parse_qsl(urlsplit(url).query))
    theirs = BlobSharedAccessSignature("account", SECRET)
    theirs.x_ms_version = "2021-12-02"
    token = theirs.generate_blob(
        "box",
        name,
        permission=BlobSasPermissions(read=True),
        expiry=EXPIRES,
        protocol="https",
        content_disposition=query.get("rscd"),
    )
    assert query == dict(parse_qsl(token))
    assert unquote(urlsplit(url).path) == f"/box/{name}"


@pytest.mark.parametrize("key", [KEY, parse_key(ANSWER.encode())], ids=["account key", "delegation key"])
def test_the_version_is_one_that_older_clouds_know(key: AzureNamedKeyCredential | DelegationKey) -> None:
    query = parse_qs(urlsplit(signed_url(ENDPOINT, "box", "a", expires=EXPIRES, filename="", key=key)).query)
    assert (query["sv"], query["sr"], query["sp"], query["spr"]) == (["2021-12-02"], ["b"], ["r"], ["https"])


def test_a_delegation_key_signs_the_fields_of_that_version() -> None:
    """As "Create a user delegation SAS" has them, from 2020-12-06 on: in this order, and no more."""
    key = parse_key(ANSWER.encode())
    url = signed_url(ENDPOINT, "box", "a b", expires=EXPIRES, filename="x", key=key)
    query = dict(parse_qsl(urlsplit(url).query))
    fields = [
        "r", "", "2027-01-02T03:04:05Z", "/blob/account/box/a b",
        "o", "t", "2027-01-01T00:00:00Z", "2027-01-03T00:00:00Z", "b", "2021-12-02", "", "", "",
        "", "https", "2021-12-02", "b", "", "",
        "", "inline; filename*=UTF-8''x", "", "", "",
    ]  # fmt: skip
    asked = {name: told for name, told in query.items() if name != "sig"}
    assert text_to_sign("/blob/account/box/a b", asked, delegated=True).split("\n") == fields
    assert query["sig"] == signature(SECRET, "\n".join(fields))
    assert {name: query[name] for name in key.signed} == dict(key.signed)


def test_the_end_is_told_in_utc_and_plain_http_is_for_the_emulator() -> None:
    there = EXPIRES.astimezone(timezone(timedelta(hours=5)))
    url = signed_url("http://127.0.0.1:1/account", "box", "a", expires=there, filename="", key=KEY)
    query = dict(parse_qsl(urlsplit(url).query))
    assert (query["se"], query["spr"]) == ("2027-01-02T03:04:05Z", "https,http")


@pytest.mark.parametrize(
    "endpoint",
    [
        ENDPOINT,
        "http://127.0.0.1:1/account",
        "https://proxy.example/blobs/account",
        "https://account.z12.blob.storage.azure.net",
    ],
)
def test_an_endpoint_names_its_account(endpoint: str) -> None:
    assert account_of(endpoint) == "account"


def test_a_key_is_used_for_what_it_outlives_and_does_not_show_itself() -> None:
    key = parse_key(ANSWER.encode())
    assert reaches(key, datetime(2027, 1, 3, tzinfo=UTC))
    assert not reaches(key, datetime(2027, 1, 3, 0, 0, 1, tzinfo=UTC))
    assert not reaches(None, EXPIRES)
    assert SECRET not in repr(key)


def test_a_key_that_is_none_signs_nothing() -> None:
    wrong = AzureNamedKeyCredential("account", "no base64 at all")
    with pytest.raises(UnsignedError) as raised:
        signed_url(ENDPOINT, "box", "a", expires=EXPIRES, filename="", key=wrong)
    assert "base64" not in str(raised.value)
