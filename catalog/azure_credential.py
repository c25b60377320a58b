"""Who we are to Azure.

The credential that was given, else the account's key, else a SAS, else the identity of whoever runs this
(`DefaultAzureCredential`: environment, managed identity, `az login`, …).
"""

from base64 import b64decode
from typing import Any

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential

from storage import Secret

from .errors import InvalidError
from .locations import AzureLocation


def azure_credential(location: AzureLocation, given: Any) -> Any:
    """A credential that our clients take, and the SDKs'. Raises: InvalidError.

    `given` is a credential object of azure-identity or azure-core, or a str: a SAS, or else an account key,
    sealed or not. It stays its owner's; a credential that is made here is the caller's, who closes it.
    """
    match given:
        case None:
            return _of_location(location)
        case str() if given:
            return azure_credential(location, Secret(given))
        case Secret() if "sig=" in given.reveal():
            return AzureSasCredential(given.reveal().removeprefix("?"))
        case Secret() if given:
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
        return AzureSasCredential(location.sas.reveal())
    _check_tls(location)
    from azure.identity.aio import DefaultAzureCredential

    return DefaultAzureCredential()


def _key(account: str, key: Secret) -> AzureNamedKeyCredential:
    if not account:
        raise InvalidError("an account key needs the account's name beside it", op="connect", kind="invalid.credential")
    if not _is_base64(key):  # else that shows at the first request
        raise InvalidError("the account key is cut, or is none: it is base64", op="connect", kind="invalid.credential")
    return AzureNamedKeyCredential(account, key.reveal())


def _is_base64(key: Secret) -> bool:
    try:
        return bool(b64decode(key.reveal(), validate=True))
    except ValueError:
        return False


def _check_tls(location: AzureLocation) -> None:
    if not (location.blob_endpoint.startswith("https:") and location.table_endpoint.startswith("https:")):
        message = "a token is sent over https only, and this catalog's endpoints are http"
        raise InvalidError(message, op="connect", kind="invalid.credential")
