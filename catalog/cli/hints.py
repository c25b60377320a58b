"""What to do next about an error: one short line, chosen by the error's kind."""

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from .conditions import hint_of_prefix
from .messages import wanted_index
from .places import MAKE_ONE

if TYPE_CHECKING:
    from ..errors import CatalogError


def hint_of(error: "CatalogError") -> str:
    """The line for an error; "" where its message says all there is to say."""
    kind = error.kind
    while kind:
        if found := _HINTS.get(kind):
            return found if isinstance(found, str) else found(error)
        kind = kind.rpartition(".")[0]
    return ""


def hint_of_interruption(command: str) -> str:
    """The line below "interrupted", of what is true of a command; "" where there is nothing to say."""
    whole = "nothing half-done is visible" if command in WHOLE else ""
    again = "the same command again goes on from there" if command in GOING_ON else ""
    return "; ".join(filter(None, (whole, again)))


def _about(error: "CatalogError") -> str:
    return shlex.quote(error.key) if error.key.isprintable() else "PATH"


def _folder(error: "CatalogError") -> str:
    if error.op not in (
        "stat",
        "restore",
        "sign",
        "history",
        "delete",
        "list",
        "download",
        "copy",
        "move",
        "open",
        "verify",
    ):
        return ""
    if error.op == "list" and (hint := hint_of_prefix(error.key)):
        return hint
    folder = error.key.rstrip("/").rpartition("/")[0]
    listing = f"blobcat ls {shlex.quote(folder + '/')}" if folder and folder.isprintable() else "blobcat ls"
    return f"{listing} shows what is there"


def _in_folder(error: "CatalogError") -> str:
    folder = f"{_about(error)}/"
    match error.op:
        case "delete":
            return f"blobcat rm -r {folder}"
        case "stat":
            return f"blobcat ls {folder} or blobcat du {folder} shows what is in it"
    return f"blobcat get -r {folder} FOLDER"


def _volume(error: "CatalogError") -> str:
    if not error.key:
        return MAKE_ONE
    if error.op == "delete_volume":
        return "blobcat volumes shows those that are there"
    return f"blobcat volumes shows those that are there, blobcat init --volume {_about(error)} makes it"


def _order(error: "CatalogError") -> str:
    if fields := wanted_index(error):
        return f"blobcat index {fields} makes it"
    return "blobcat index FIELD … makes one; created:desc has the highest first"


def _prefix(error: "CatalogError") -> str:
    if error.op == "adopt":
        return "a prefix is how blobs' names begin in the container, from its top; nothing was changed"
    return "a prefix is how paths begin: blobcat ls shows what is there"


def _token(error: "CatalogError") -> str:
    if error.op == "query":
        return "pass what --limit showed after --after, whole, with the same --where, PREFIX, --order-by and --as-of"
    if error.key:
        return "give the --url of the catalog that the write went to"
    return "blobcat resolve TOKEN, with the whole token that the error showed"


def _unknown(error: "CatalogError") -> str:
    if token := getattr(error, "token", None):
        return f"blobcat resolve {token}"
    return "blobcat volumes shows what came of it" if error.op.endswith("_volume") else "the same command again tells"


def _root(error: "CatalogError") -> str:
    if error.op == "load":
        return _ELSEWHERE
    return _conflict(error) if error.op == "rebuild" else "choose another --root"


def _adopted(error: "CatalogError") -> str:
    if error.op == "load":
        return _ELSEWHERE
    return "adopt into that volume, or another prefix; blobcat volumes --json shows who adopted what"


def _conflict(error: "CatalogError") -> str:
    if error.op == "load":
        return _ELSEWHERE
    if error.op == "rebuild":
        return "blobcat volumes shows it; blobcat volumes --delete NAME deletes it, where it has no files"
    if error.op == "create_volume":
        return "leave out --shards and --root to keep it as it is, or name another with --volume"
    found = str(getattr(error, "found", ""))
    if found.startswith("version ") and error.kind != "conflict.etag":
        return f"look at it with blobcat stat {_about(error)}; if that is to be replaced, --if-{found}"
    return f"look at it with blobcat stat {_about(error)}, then decide again"


WHOLE: Final = frozenset({"adopt", "cp", "ingest", "load", "mv", "put", "restore", "rm"})
"""Commands that, interrupted, leave nothing that others see a part of."""
GOING_ON: Final = frozenset({"adopt", "apply", "index", "ingest", "load", "purge", "recover", "undo"})
"""Commands that, started again, find what they did before."""
_ELSEWHERE: Final = "load it into another catalog, or only what is not there: --volume NAME"


def _journal(error: "CatalogError") -> str:
    if error.op == "apply":
        return "without --journal each plan has its own; the one that is there can still be undone"
    return "blobcat apply names the journal that it writes: by default PLAN.HASH.journal, beside the plan"


def _row(error: "CatalogError") -> str:
    return "nothing is concluded from rows that are not understood: see who wrote it" if error.op == "reconcile" else ""


_ROLES: Final = (
    "the identity needs the roles Storage Blob Data Contributor and Storage Table Data Contributor; "
    "a key or SAS goes into BLOBCAT_CREDENTIAL"
)
_LATER: Final = "nothing was applied; the same command again is safe"
_UNREACHABLE: Final = "check the account's name, the network and the proxy; the same command again is safe"

_HINTS: Final[dict[str, str | Callable[["CatalogError"], str]]] = {
    "access-denied": _ROLES,
    "access-denied.disk": "choose another place, or see who owns it and who may use it",
    "access-denied.account": "whoever owns the account can enable it again",
    "access-denied.archived": "az storage blob set-tier --tier Hot rehydrates it, within hours; nothing is damaged",
    "access-denied.encryption": "blobcat has no such key: copy it without one, then adopt the copy",
    "access-denied.key": "put the right account key into BLOBCAT_CREDENTIAL, or let this machine through the firewall",
    "access-denied.network": "let this machine through the firewall; another SAS goes into BLOBCAT_CREDENTIAL",
    "access-denied.policy": "whoever set the policy can lift it",
    "access-denied.role": _ROLES,
    "access-denied.credential": "put the right account key or SAS into BLOBCAT_CREDENTIAL, or sign in: az login",
    "access-denied.read-only": "choose a folder on a disk that can be written",
    "conflict": "someone else was faster: look again, then decide again",
    "conflict.adopted": _adopted,
    "conflict.index": "the same command again",
    "conflict.adopted-root": _root,
    "conflict.etag": _conflict,
    "conflict.exists": _conflict,
    "conflict.target": "--overwrite replaces it; or name another file",
    "conflict.not-empty": "delete its files first, blobcat ls shows them; their versions go out of reach with it",
    "conflict.root": _root,
    "conflict.version": _conflict,
    "integrity": "blobcat verify checks all; other versions of it may be whole: blobcat history PATH",
    "integrity.drift": "blobcat put makes a version of what it is now; the blob itself stays as others left it",
    "integrity.file": "this is no catalog's file, or a damaged one: restore it from a backup, or give another --url",
    "integrity.dump": "nothing of it was loaded: fetch it again, or make it again with blobcat dump",
    "integrity.head": "blobcat reconcile --plan FILE, then blobcat apply FILE: the file is back; then delete it first",
    "integrity.history": "blobcat history PATH shows it; the table was changed behind blobcat's back",
    "invalid.cursor": "blobcat changes without a cursor shows all of the log, and last the cursor to go on from",
    "invalid.order": _order,
    "invalid.hierarchical": "use a storage account without hierarchical namespace: it cannot be switched off",
    "invalid.newer-dump": "upgrade blobcat",
    "integrity.row": _row,
    "invalid.brake": "read the plan first; where it is meant, blobcat apply PLAN --force with that hash",
    "invalid.incomplete-plan": "make it again: blobcat reconcile --plan FILE",
    "invalid.journal": _journal,
    "invalid.newer-plan": "upgrade blobcat, or make the plan again with this one",
    "invalid.newer-schema": "upgrade blobcat",
    "invalid.other-volume": "give the --url of the catalog that it was made of",
    "invalid.plan": "blobcat reconcile --plan FILE makes one",
    "invalid.type": "--type KEY:text takes every value",
    "invalid.unknown-row": "upgrade blobcat: nothing is concluded where not every row is understood",
    "invalid.work-in-use": "blobcat reconcile --work FOLDER names another",
    "invalid.name": "say where to: blobcat get PATH LOCAL",
    "invalid.source": "",
    "invalid.token": _token,
    "invalid.url": "",
    "not-found": _folder,
    "not-found.deleted": lambda error: f"blobcat history {_about(error)}, then blobcat get --version N {_about(error)}",
    "not-found.prefix": _prefix,
    "invalid.no-change-log": "blobcat changes --on",
    "invalid.cursor-too-old": "blobcat changes without a cursor shows all of the new log",
    "not-found.folder": _in_folder,
    "not-found.index": "blobcat index shows those that there are",
    "not-found.purged": lambda error: f"blobcat history {_about(error)} shows its other versions",
    "not-found.source": "",
    "not-found.target": "make it first: mkdir -p",
    "not-found.version": lambda error: f"blobcat history {_about(error)} shows those that there are",
    "not-found.volume": _volume,
    "outcome-unknown": _unknown,
    "too-large.memory": "--memory MB lets it take more; --where leaves out files that do not matter",
    "unavailable": _LATER,
    "unavailable.change-log": "blobcat changes --on goes on with that",
    "unavailable.closing": "blobcat recover ends it",
    "unavailable.azurite": "start it in another terminal: ./scripts/azurite",
    "unavailable.busy": "others are writing to it: the same command again is safe",
    "unavailable.connect": _UNREACHABLE,
    "unavailable.deadline": _UNREACHABLE,
    "unavailable.disk": "see what is wrong with the disk; then the same command again is safe",
    "unavailable.disk-full": "make room, then run the same command again: nothing half-done is visible",
    "unavailable.dns": _UNREACHABLE,
    "unavailable.too-many-files": "raise the limit with ulimit -n; the same command again is safe",
    "unavailable.worker": "the same command with --workers 1 reads in one process, and may tell more",
}
