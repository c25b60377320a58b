"""One service of an account, as an adapter has it: where it is, who asks, and over which connections.

The SDK's clients do the same, and importing them takes a quarter of a short command's time: so they are made from this
when somebody asks for one (`azure_sdk`), and until then not even imported.
"""

from typing import Any, Final, Literal, NoReturn
from urllib.parse import urlsplit, urlunsplit

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential

from .abilities import CredentialKind
from .azure_sender import Sender
from .azure_signers import signer
from .azure_transport import SingleShotTransport
from .azure_transport import transport as single_shot
from .errors import InvalidError

Service = Literal["blob", "table"]

# What the requests mean. Not the newest: these are known to every cloud, and to an Azurite some years old.
_VERSIONS: Final = {"blob": "2021-12-02", "table": "2019-02-02"}


class AzureClient:
    """Sends requests about one table or container. Constructing does no I/O.

    `endpoint` is the account's, as in "https://account.blob.core.windows.net", and may carry a SAS in the place of a
    credential, which is an object of azure-core or azure-identity, or a SAS. The transport is closed with this.
    Raises: InvalidError (the endpoint, which is not quoted: it may hold a SAS).
    """

    def __init__(
        self, endpoint: str, name: str, credential: Any, *, service: Service, transport: SingleShotTransport | None
    ) -> None:
        self.endpoint, sas = _parted(endpoint, service)
        self.name = name
        self.credential: Any = AzureSasCredential(sas) if sas else _as_object(credential)
        self.transport = transport or single_shot()
        self.sender = Sender(self.transport, signer(self.credential, blob=service == "blob"), _VERSIONS[service])

    def __repr__(self) -> str:
        return f"<AzureClient of {self.name!r} at {self.endpoint}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client holds connections and a credential: it cannot be pickled")

    @property
    def kind(self) -> CredentialKind:
        """What it signs its requests with."""
        if isinstance(self.credential, AzureNamedKeyCredential):
            return "account key"
        if isinstance(self.credential, AzureSasCredential):
            return "SAS"
        return "token" if hasattr(self.credential, "get_token") else "none"

    async def close(self) -> None:
        """Let go of the connections, for the SDK's client too."""
        await self.transport.close()


def _parted(endpoint: str, service: Service) -> tuple[str, str]:
    """An endpoint, and the SAS that it carries."""
    wrong = InvalidError(f"the {service} service's url is not a valid one", op="connect")
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:  # its text quotes the url
        raise wrong from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise wrong
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", "")), parts.query


def _as_object(credential: Any) -> Any:
    return AzureSasCredential(credential.removeprefix("?")) if isinstance(credential, str) else credential
