"""Whether an account is used and set up safely, by what it tells of itself. Pure."""

from typing import Final

from storage import Examination

from .diagnosis import DoctorItem

SOFT_DELETE_DAYS: Final = 7
_HIERARCHICAL: Final = DoctorItem(
    "namespace",
    "fail",
    "hierarchical (Data Lake Gen2), which is not supported yet: it lists directories, and in another order",
    "use an account without hierarchical namespace; it cannot be switched off",
)


def safety(found: Examination) -> list[DoctorItem]:
    """What is to be said of how an account is used and set up. The emulator may do what would be careless elsewhere."""
    kind = [_HIERARCHICAL] if found.hierarchical else []
    return [*kind, _of_credential(found), _of_transport(found), _of_soft_delete(found)]


def _of_credential(found: Examination) -> DoctorItem:
    match found.credential:
        case "account key" if not found.loopback:
            hint = "it opens the whole account, for ever: use an identity with roles, and disallow keys"
            return DoctorItem("credential", "warn", "the account key", hint)
        case "SAS" if not found.loopback:
            return DoctorItem("credential", "ok", "a SAS", "an identity with roles needs no keeping")
        case "none":
            return DoctorItem("credential", "warn", "none", "pass a credential")
        case kind:
            return DoctorItem("credential", "ok", f"{kind}{', of the emulator' if found.loopback else ''}")


def _of_transport(found: Examination) -> DoctorItem:
    if found.encrypted:
        return DoctorItem("transport", "ok", f"https to {found.endpoint}")
    return DoctorItem("transport", "ok" if found.loopback else "warn", f"plain http to {found.endpoint}")


def _of_soft_delete(found: Examination) -> DoctorItem:
    name, days = "soft delete", found.soft_delete_days
    if found.loopback:
        return DoctorItem(name, "ok", "not on the emulator")
    if days is None:
        hint = "look in the portal, under Data protection"
        return DoctorItem(name, "ok", "cannot tell: this credential may not read the account's properties", hint)
    if days >= SOFT_DELETE_DAYS:
        return DoctorItem(name, "ok", f"deleted blobs can be brought back for {days} days")
    command = "az storage account blob-service-properties update --enable-delete-retention true"
    hint = f"{command} --delete-retention-days {SOFT_DELETE_DAYS * 2}"
    detail = f"only {days} days" if days else "off: what others delete is gone"
    return DoctorItem(name, "warn", detail, hint)
