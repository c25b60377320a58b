"""Who we are to Azure.

The credential that was given, else the account's key, else a SAS, else the identity of whoever runs this
(`DefaultAzureCredential`: environment, managed identity, `az login`, …).
"""

from typing import Any

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential

from .errors import InvalidError
from .locations import AzureLocation


def azure_credential(location: AzureLocation, given: Any) -> Any:
    """A credential that both SDK clients take. Raises: InvalidError.

    `given` is a credential object of azure-identity or azure-core, or a str: a SAS, or else an account key. It stays
    its owner's; a credential that is made here is the caller's, who closes it.
    """
    match given:
        case None:
            return _of_location(location)
        case str() if "sig=" in given:
            return AzureSasCredential(given.removeprefix("?"))
        case str() if given:
            return _key(location.account, given)
        case AzureNamedKeyCredential() | AzureSasCredential():
            return given
        case _ if callable(getattr(given, "get_token", None)):
            _check_tls(location)
            return given
        case _:
            message = f"a credential is an object of azure-identity or azure-core, or a str, not {type(given).__name__}"
            raise InvalidError(message, op="connect", kind="invalid.credential")


def _of_location(location: AzureLocation) -> Any:
    if location.key:
        return _key(location.account, location.key)
    if location.sas:
        return AzureSasCredential(location.sas)
    _check_tls(location)
    from azure.identity.aio import DefaultAzureCredential

    return DefaultAzureCredential()


def _key(account: str, key: str) -> AzureNamedKeyCredential:
    if not account:
        raise InvalidError("an account key needs the account's name beside it", op="connect", kind="invalid.credential")
    return AzureNamedKeyCredential(account, key)


def _check_tls(location: AzureLocation) -> None:
    if not (location.blob_endpoint.startswith("https:") and location.table_endpoint.startswith("https:")):
        message = "a token is sent over https only, and this catalog's endpoints are http"
        raise InvalidError(message, op="connect", kind="invalid.credential")
