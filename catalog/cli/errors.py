"""What goes wrong: one line that says it, one that says what to do next, and the exit code that it makes."""

import errno
import traceback
from typing import TYPE_CHECKING, Any, Final

from .help import arguments_of
from .hints import hint_of
from .messages import message_of
from .output import Output
from .places import no_catalog
from .records import error_record, system_message

if TYPE_CHECKING:
    import typer

    from .options import Common

OK: Final = 0
FINDINGS: Final = 1
USAGE: Final = 2
BUG: Final = 70  # EX_SOFTWARE
INTERRUPTED: Final = 130  # what a shell makes of SIGINT

NOT_FOUND: Final = 3
REFUSED: Final = 2  # what reconcile and apply say of the brake
INCOMPLETE: Final = 3  # what they say of a side that could not be read to the end
ACCESS_DENIED: Final = 5
UNAVAILABLE: Final = 6
_CODES: Final = {  # by class of the tree, which is what a handler does about it
    "InvalidError": USAGE,
    "NotFoundError": NOT_FOUND,
    "ConflictError": 4,
    "AccessDeniedError": ACCESS_DENIED,
    "UnavailableError": UNAVAILABLE,
    "OutcomeUnknownError": 7,
    "IntegrityError": 8,
}
QUOTED: Final = "put the pattern in quotes, else the shell makes names of it: --glob 'a/*'"
_CODES_OF_KINDS: Final = {"invalid.incomplete-plan": INCOMPLETE}

EXIT_CODES: Final = """\
  0  done                              5    access denied
  1  done, with findings or failures   6    unavailable
  2  wrong usage or input              7    outcome unknown: blobcat resolve
  3  not found                         8    damaged content
  4  conflict                          130  interrupted"""


class UsageError(Exception):
    """The command line asks for what cannot be. `hint` says what to do instead."""

    kind = "usage"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def report(exc: BaseException, output: Output, *, debug: bool, options: "Common | None" = None) -> int:
    """Tell of an error, and return its exit code. The options say which catalog it is of."""
    from ..errors import CatalogError

    found = _first(exc, (CatalogError, UsageError))
    if debug:
        output.raw_error("".join(traceback.format_exception(exc)))
    match found:
        case UsageError():
            output.fault(str(found), found.hint, record=error_record(found))
            return USAGE
        case CatalogError():
            several = found.kind == "invalid.expression"  # the text, and a caret below it
            message, *shown = message_of(found).split("\n") if several else [message_of(found)]
            hint = hint_of(found)
            if found.kind in ("not-found.table", "not-found.container") and options is not None and options.url:
                lacking = found.kind.removeprefix("not-found.")
                message, hint = no_catalog(lacking, options.url, options.container, options.table)
            output.fault(message, hint, record=error_record(found), shown=shown)
            return _code(found)
        case OSError():
            hint = "make room, then run the same command again" if found.errno == errno.ENOSPC else ""
            output.fault(system_message(found), hint, record=error_record(found))
            return _system_code(found)
    text = f"this is a bug in blobcat: {type(found).__name__}: {found}"
    output.fault(text, "the same command with --debug shows where", record=error_record(found))
    return BUG


def usage_report(exc: "typer.TyperException", output: Output) -> int:
    """Tell of a command line that cannot be read, and return the exit code."""
    context = getattr(exc, "ctx", None)
    message = _of_a_number(exc) or " ".join(exc.format_message().split()).rstrip(".") or "a command is missing"
    record = {"kind": "usage", "message": message, "op": "", "key": ""}
    unquoted = "unexpected extra argument" in message and context is not None and context.params.get("glob")
    output.fault(message, QUOTED if unquoted else _usage(context), record=record)
    return USAGE


def _of_a_number(exc: "typer.TyperException") -> str:
    """What an option takes that is a number, and what it was given; "" where that is not what is wrong."""
    option, told = getattr(exc, "param", None), getattr(exc.__cause__, "errors", None)  # pydantic's, whom typer asks
    if option is None or told is None:
        return ""
    takes = option.get_runtime_param().adapter.json_schema()
    kind = {"integer": "a whole number", "number": "a number"}.get(takes.get("type"))
    if kind is None:
        return ""
    least = f" from {takes['minimum']} up" if "minimum" in takes else ""
    name = next(name for name in option.opts if name.startswith("--"))
    return f"{name} is {kind}{least}, not {told()[0]['input']!r}"


def _usage(context: Any) -> str:
    """How the command is called: its arguments, and where to read of the rest."""
    if context is None:
        return "blobcat --help"
    path, names = context.command_path, arguments_of(context.command, context)
    return f"{' '.join([path, *names])}; more with {path} --help" if names else f"{path} --help"


def _code(error: Exception) -> int:
    if (kind := getattr(error, "kind", "")) in _CODES_OF_KINDS:
        return _CODES_OF_KINDS[kind]
    return next((_CODES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _CODES), FINDINGS)


def _system_code(error: OSError) -> int:
    match error:
        case PermissionError():
            return ACCESS_DENIED
        case FileNotFoundError():
            return NOT_FOUND
        case FileExistsError() | IsADirectoryError() | NotADirectoryError():
            return USAGE
    return UNAVAILABLE


def _first(exc: BaseException, wanted: tuple[type[BaseException], ...]) -> BaseException:
    """Out of a group of tasks' errors, the first that is one of ours."""
    if isinstance(exc, BaseExceptionGroup):
        leaves = [_first(part, wanted) for part in exc.exceptions]
        return next((leaf for leaf in leaves if isinstance(leaf, wanted)), leaves[0])
    return exc
