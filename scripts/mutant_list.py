"""The mutants: for each guard of the protocol, the change that takes it out, and the tests that must notice.

A name is what the changed code does wrong; `rule` is what it breaks, with the invariant's number of 02-protocol. The
tests are named by their ids, so that whoever removes one learns here what nothing else would have told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

FAULTS: Final = "tests/faults/test_every_fault.py"
PAIRS: Final = "tests/races/test_interleavings.py::test_interleavings"
SEARCH: Final = "tests/catalog/test_protocol.py::test_no_state_breaks_an_invariant"
MOVES: Final = "tests/catalog/test_moves.py::test_no_state_breaks_an_invariant"
LANES: Final = "tests/catalog/test_commit.py"
PURGES: Final = "tests/catalog/test_purging.py::test_no_state_breaks_an_invariant"
PURGER: Final = "tests/catalog/test_purger.py"
PURGE: Final = "tests/volumes/test_purge.py"
PURGE_RACES: Final = "tests/races/test_purge_races.py::test_interleavings"
INDEXES: Final = "tests/volumes/test_indexes.py"
EXCHANGE: Final = "tests/catalog/test_exchange.py"
RECOVERY: Final = "tests/catalog/test_recovery.py"
ADOPT: Final = "tests/volumes/test_adopt.py"
PUSHDOWN: Final = "tests/catalog/test_pushdown.py"
ADOPT_RACES: Final = "tests/races/test_adopt_races.py::test_no_blob_is_two_volumes"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one place of the code that must not go unnoticed."""

    name: str
    rule: str
    file: str
    old: str
    new: str
    killers: tuple[str, ...]
    """The ids of the tests of which at least one must fail."""

    def applied(self, text: str) -> str:
        """The file's text with this change. Raises: ValueError where it is stale."""
        found = text.count(self.old)
        if found != 1 or self.old == self.new:
            raise ValueError(f"stale: its text is in {self.file} {found} times, not once")
        return text.replace(self.old, self.new)


_COMMIT: Final = """\
                unit = Unit((Delete(intent_row(op.id), etag), *changed(self.volume, file, base), *_recorded(file)))
                await self._commit(file.path, unit, self.seat)
"""

_SEARCH: Final = """\
        asked = [attempt for attempt in attempts if isinstance(attempt.request, SearchIntents)]
        await self._answer(asked, lambda runs: self._fenced(shard, runs))
        asked = [attempt for attempt in attempts if isinstance(attempt.request, SearchVersions)]
        await self._answer(asked, lambda runs: self._referred(shard, runs))
"""

MUTANTS: Final = (
    # --- W1 and W2 ---------------------------------------------------------------------------------------------------
    Mutant(
        "unknown-w1-not-read-back",
        "an unknown W1 is read once, and its intent used",
        "catalog/protocol.py",
        "            return to(op, Phase.READ_BACK, unheard=isinstance(answer, Doubt))\n",
        "            return op, StartOver()\n",
        ("tests/catalog/test_protocol.py::test_an_unknown_intent_is_read_back_and_used",),
    ),
    Mutant(
        "unknown-w2-not-read-back",
        "S9: an unknown or refused W2 is settled by the blob's metadata",
        "catalog/protocol.py",
        "            return to(op, Phase.STAT)\n",
        "            return abort(op, UnavailableError('unknown'))\n",
        (f"{FAULTS}::test_one_transient_fault_is_invisible[create-lost_after]",),
    ),
    Mutant(
        "op-id-made-inside-the-retry-loop",
        "S9: an op keeps its id over all attempts at its requests",
        "catalog/writer.py",
        "step=step, deadline",
        "step=lambda op, answer: step(\n"
        "            op._replace(id=self._new_id()) if hasattr(answer, 'error') else op, answer\n"
        "        ), deadline",
        (f"{FAULTS}::test_one_transient_fault_is_invisible[create-lost_after]",),
    ),
    Mutant(
        "head-before-content",
        "S5: W2 is answered before W3 is sent",
        "catalog/protocol.py",
        '            return to(op, Phase.CONTENT, intent=row)\n        case "copy"',
        '            return to(op, Phase.COMMIT, intent=row)\n        case "copy"',
        (f"{SEARCH}[create, nothing there]",),
    ),
    Mutant(
        "w1-without-the-gate",
        "W1 merges the gate of its settings, so that writers with old ones stay out",
        "catalog/exchange.py",
        "unit = Unit((_inserted(intent),), shared=(_gate(intent),))",
        "unit = Unit((_inserted(intent),))",
        (f"{EXCHANGE}::test_without_the_gate_of_its_settings_nobody_gets_in[W1]",),
    ),
    Mutant(
        "t2-without-the-gate",
        "T2 merges the gate of its settings, in the shard of the source too",
        "catalog/exchange.py",
        "Unit((_inserted(intent), *rewritten(self.volume, head, claimed)), shared=(_gate(intent),))",
        "Unit((_inserted(intent), *rewritten(self.volume, head, claimed)))",
        (f"{EXCHANGE}::test_without_the_gate_of_its_settings_nobody_gets_in[T2]",),
    ),
    # --- W3: one transaction, fenced by the intent and the head's etag -----------------------------------------------
    Mutant(
        "intent-not-in-w3",
        "S2: W3 deletes the intent If-Match, so an aborted op cannot be committed",
        "catalog/exchange.py",
        _COMMIT,
        _COMMIT.replace("Delete(intent_row(op.id), etag), ", ""),
        (f"{PAIRS}[create-recover]",),
    ),
    Mutant(
        "intent-deleted-whatever-its-etag",
        "S2: W3 deletes the intent If-Match, so an aborted op cannot be committed",
        "catalog/exchange.py",
        _COMMIT,
        _COMMIT.replace("Delete(intent_row(op.id), etag), ", "Delete(intent_row(op.id)), "),
        (f"{PAIRS}[create-recover]",),
    ),
    Mutant(
        "head-replaced-whatever-its-etag",
        "S8: the head is replaced If-Match its etag, never `*`",
        "catalog/head_rows.py",
        "Replace(row, marked, base.row_etag) if base",
        'Replace(row, marked, "*") if base',
        (f"{EXCHANGE}::test_a_head_that_was_claimed_meanwhile_refuses_the_commit",),
    ),
    Mutant(
        "version-row-outside-the-batch",
        "S10: a change and its version row are one transaction",
        "catalog/exchange.py",
        _COMMIT,
        """\
                head, version = changed(self.volume, file, base)
                unit = Unit((Delete(intent_row(op.id), etag), head, *_recorded(file)))
                await self._commit(file.path, unit, self.seat)
                await self._commit(file.path, Unit((version,)))
""",
        (f"{FAULTS}::test_a_killed_client_leaves_nothing_half_done[create-crash_after]",),
    ),
    Mutant(
        "request-row-not-in-the-commit",
        "a request and its version are one transaction",
        "catalog/exchange.py",
        _COMMIT,
        _COMMIT.replace(", *_recorded(file)", ""),
        (f"{FAULTS}::test_one_transient_fault_is_invisible[request-lost_after]",),
    ),
    Mutant(
        "rebased-whatever-the-mode-says",
        "S8: a head whose version moved is asked for the mode again",
        "catalog/protocol.py",
        "    if version_at(head) != version_at(op.base) and (error := conflict(op.change, head)):\n",
        "    if not op and (error := conflict(op.change, head)):\n",
        (f"{PAIRS}[if-version-if-version]",),
    ),
    # --- What an answer proves ---------------------------------------------------------------------------------------
    Mutant(
        "refusal-taken-as-proof",
        "S2: a refused W3 may answer a second copy of one that was applied",
        "catalog/protocol.py",
        "        case Refused() | Doubt():\n            return to(op, Phase.SETTLE, doubt=True)\n",
        "        case Refused() if op.doubt:\n            return op, NotApplied(UnavailableError('refused'))\n"
        "        case Refused() | Doubt():\n            return to(op, Phase.SETTLE, doubt=True)\n",
        (f"{SEARCH}[three faults]",),
    ),
    Mutant(
        "proof-of-one-attempt-taken-for-all",
        "S2: one proven attempt does not clear an unproven earlier one",
        "catalog/protocol.py",
        "            return to(op, Phase.SETTLE, ending=True, error=error)\n",
        "            return op, NotApplied(error)\n",
        (f"{SEARCH}[create, nothing there]",),
    ),
    Mutant(
        "giving-up-taken-as-proof",
        "S2: without a proof for W3 the outcome is unknown when time is up",
        "catalog/steps.py",
        "    return op, Undecided(error) if op.doubt else NotApplied(op.error or error)\n",
        "    return op, NotApplied(op.error or error)\n",
        (f"{SEARCH}[create, nothing there]",),
    ),
    Mutant(
        "service-request-error-taken-as-not-applied",
        "S2: ServiceRequestError, and a connection that was lost, say that a request failed, not when",
        "storage/azure_errors.py",
        "    for link in _chain(exc):\n        if isinstance(link, aiohttp.ClientConnectorError):\n",
        '    if type(exc).__name__ in ("ServiceRequestError", "ConnectionLostError"):\n'
        '        return _Meaning(UnavailableError, "unavailable.connect", "not sent")\n'
        "    for link in _chain(exc):\n        if isinstance(link, aiohttp.ClientConnectorError):\n",
        ("tests/storage/test_azure_errors.py::test_everything_else_leaves_a_write_unknown",),
    ),
    Mutant(
        "only-azure-errors-caught",
        "S2: whatever an SDK raises leaves a write unknown: a parser's AttributeError, too",
        "storage/azure_errors.py",
        "    except Exception as exc:  # noqa: BLE001 — see above: all that is not cancellation\n",
        "    except AzureError as exc:\n",
        ("tests/storage/test_azure_errors.py::test_a_parser_that_fails_leaves_a_write_unknown",),
    ),
    Mutant(
        "results-not-counted-by-the-table",
        "S1: fewer results than operations are no answer",
        "catalog/table_wire.py",
        "    if len(results) != len(operations):\n",
        "    if len(results) > len(operations):\n",
        ("tests/catalog/test_table_wire.py::test_an_answer_to_other_operations_proves_nothing",),
    ),
    Mutant(
        "the-first-of-two-answers-is-believed",
        "S1: one request has one answer",
        "catalog/table_wire.py",
        "    if more:\n",
        "    if not part:\n",
        ("tests/catalog/test_table_wire.py::test_an_answer_to_more_than_one_change_set_proves_nothing",),
    ),
    Mutant(
        "a-result-without-an-etag-is-believed",
        "S1: a row that was written has an etag",
        "catalog/table_wire.py",
        "        if not result and not isinstance(operation, Delete):\n",
        "        if result is None and not isinstance(operation, Delete):\n",
        ("tests/catalog/test_table_wire.py::test_an_answer_to_other_operations_proves_nothing",),
    ),
    Mutant(
        "results-not-counted-by-the-lane",
        "S1: fewer results than operations are no answer",
        "catalog/commit.py",
        "        if len(written) != len(operations):\n",
        "        if len(written) > len(operations):\n",
        (f"{LANES}::test_an_answer_that_lacks_some_operations_is_an_unknown_outcome_and_the_lane_goes_on",),
    ),
    # --- Settling: the intent first, then the version row ------------------------------------------------------------
    Mutant(
        "version-row-before-the-intent",
        "S2: the commit can land between the two reads",
        "catalog/protocol.py",
        "            return to(op, Phase.SETTLE, doubt=True)\n",
        "            return to(op, Phase.LOOK, doubt=True, intent=None)\n",
        (f"{SEARCH}[create, nothing there]",),
    ),
    Mutant(
        "resolve-reads-the-version-row-first",
        "S3: an answer of resolve never changes: what may still land is aborted before",
        "catalog/protocol.py",
        "    return to(op, Phase.SETTLE, ending=True)\n",
        "    return to(op, Phase.LOOK, ending=True)\n",
        ("tests/faults/test_resolve.py::test_a_commit_that_arrives_after_the_answer_changes_nothing",),
    ),
    # --- Aborting, and deleting content ------------------------------------------------------------------------------
    Mutant(
        "no-re-check-after-abort",
        "S5: a late copy of W1 brings back the intent of a committed op, whose blob is live",
        "catalog/protocol.py",
        "            return to(op, Phase.LOOK, intent=row)\n",
        "            return to(op, Phase.CLEAN, intent=row)\n",
        (f"{SEARCH}[overwrite against a rival]",),
    ),
    Mutant(
        "abort-deletes-whatever-the-intent-names",
        "S5: content is deleted only if its metadata carries the op's id",
        "catalog/exchange.py",
        "        if found.get(OP) != op.id:\n            return Foreign()\n        facts =",
        "        facts =",
        (f"{EXCHANGE}::test_recovery_spares_content_of_another_op",),
    ),
    Mutant(
        "delete-without-if-match",
        "S5: content is deleted If-Match the etag that was looked at",
        "catalog/exchange.py",
        "self.content.delete(op.blob, when=IfMatch(etag))",
        "self.content.delete(op.blob, when=__import__('storage').Always())",
        (f"{EXCHANGE}::test_content_is_deleted_only_as_it_was_looked_at",),
    ),
    Mutant(
        "digest-of-content-not-checked-by-stat",
        "S4: a blob that carries the op's id and other bytes is not its content",
        "catalog/exchange.py",
        "        if facts and (found",
        "        if facts and not facts and (found",
        (f"{EXCHANGE}::test_a_blob_of_this_op_with_other_bytes_is_foreign",),
    ),
    Mutant(
        "digest-not-checked-by-readers",
        "S4: a whole read gives verified bytes or an error",
        "catalog/reader.py",
        "    same = found.digest == file.digest if file.digest else",
        "    same = file.digest is not None if file.digest else",
        ("tests/volumes/test_read.py::test_damaged_content_is_an_error_and_never_all_of_its_bytes",),
    ),
    Mutant(
        "last-batch-not-digested-by-readers",
        "S4: what is digested meanwhile is waited for before the last bytes are given out",
        "catalog/digesting.py",
        "        for step in self._digester.steps(*self._emptied()):\n            step()\n",
        "",
        ("tests/catalog/test_digesting.py::test_digests_can_be_asked_for_on_the_way",),
    ),
    Mutant(
        "memory-given-back-before-the-digest",
        "a piece of content that a thread still reads is in memory, staged or not",
        "catalog/uploads.py",
        "            await asyncio.wait([digested])\n",
        "            await asyncio.sleep(0)\n",
        ("tests/catalog/test_uploads.py::test_what_is_staged_and_not_yet_digested_is_still_in_memory",),
    ),
    Mutant(
        "md5-of-adopted-content-not-checked",
        "S4: until its digest is learned, adopted content is verified by its MD5",
        "catalog/reader.py",
        "file.md5 in (None, found.md5.hex())",
        "True",
        (f"{ADOPT}::test_bytes_that_are_not_those_of_the_md5_are_damage_and_teach_nothing",),
    ),
    Mutant(
        "drift-of-adopted-content-not-seen",
        "S4: adopted content is read from the etag that was adopted",
        "catalog/reader.py",
        "    if there == file.blob_etag:\n",
        "    if there == file.blob_etag or is_adopted(file):\n",
        (f"{ADOPT}::test_what_others_changed_is_said_to_be_that",),
    ),
    Mutant(
        "adopted-over-a-tombstone",
        "S8: an adoption makes the first version of a path, or none",
        "catalog/changes.py",
        '    if change.kind == "adopt" and head:\n',
        '    if change.kind == "adopt" and not head and file:\n',
        ("tests/faults/test_adopting.py::test_what_was_deleted_meanwhile_is_not_adopted_after_all",),
    ),
    Mutant(
        "unknown-content-taken-for-equal",
        "S1: two contents without a digest are not the same for that",
        "catalog/changes.py",
        "    if facts.digest and there.digest:\n",
        "    if facts.digest == there.digest or there.digest:\n",
        (f"{ADOPT}::test_content_without_a_digest_is_the_same_only_if_it_is_the_same_blob",),
    ),
    Mutant(
        "learned-digest-in-the-chain",
        "S11: what is learned is no part of what was written",
        "catalog/entities.py",
        '        "digest": "" if file.learned else file.digest,\n        "md5": file.md5,\n',
        '        "digest": file.digest,\n        "md5": file.md5,\n',
        (f"{ADOPT}::test_the_digest_is_learned_when_content_is_read",),
    ),
    Mutant(
        "head-learns-whatever-it-is",
        "S7: a head is merged under its etag, as it may be another version's by now",
        "catalog/learning.py",
        "        if entity is not None and (head := parse_head(volume.name, entity)).file.etag == file.etag:\n",
        "        if entity is not None and (head := parse_head(volume.name, entity)):\n",
        (f"{ADOPT}::test_a_read_of_an_old_version_teaches_that_version_alone",),
    ),
    # --- Secondary indexes -------------------------------------------------------------------------------------------
    Mutant(
        "repair-asks-no-gate",
        "S10: a head that is written under old settings would be missing in an index that is filled meanwhile",
        "catalog/reconcile/row_changes.py",
        "gate = (gate_merge(changes.settings),) if changes.settings else ()",
        "gate = ()",
        ("tests/reconcile/test_indexes.py::test_settings_that_are_changed_during_a_repair_refuse_it",),
    ),
    Mutant(
        "undo-into-a-dropped-index",
        "S12: a mark that comes back while an index is dropped would name one that nobody knows",
        "catalog/reconcile/undo.py",
        'if index.id in again and index.state == "dropping":',
        "if not index:",
        ("tests/reconcile/test_indexes.py::test_undo_puts_no_file_into_an_index_that_is_being_dropped",),
    ),
    Mutant(
        "refused-for-ever",
        "S1: a row of an index that somebody has removed keeps nobody from writing its file",
        "catalog/exchange.py",
        "if other := await amended(unit, self.table, shard, self.deadline):",
        "if other := None:",
        ("tests/faults/test_amending.py::test_one_fault_is_not_noticed",),
    ),
    Mutant(
        "index-rows-left-behind",
        "S10: whoever replaces a head removes the rows that its mark names",
        "catalog/head_rows.py",
        "gone = tuple(Delete(row) for row in before if row not in after)",
        "gone: tuple[Operation, ...] = ()",
        (f"{INDEXES}::test_every_change_keeps_it_up[memory]",),
    ),
    Mutant(
        "index-filled-without-the-gate",
        "S12: a head gets its row by the gate, or one is marked with an index that is gone",
        "catalog/filling.py",
        ", shared=(gate_merge(self._volume),))",
        ")",
        (f"{INDEXES}::test_an_index_that_is_dropped_while_it_is_made_is_gone[memory]",),
    ),
    Mutant(
        "settings-in-force-too-early",
        "S10: writes under the old settings are outlasted before the new ones are said to be in force",
        "catalog/turnover.py",
        "    Step.ADVANCE: Step.OUTLAST,\n",
        "    Step.ADVANCE: Step.OPENED,\n",
        ("tests/catalog/test_alterations.py::test_no_state_breaks_an_invariant[added, as one is written]",),
    ),
    Mutant(
        "move-ended-by-old-settings",
        "S12: whoever ends a move knows the settings that it was begun under",
        "catalog/writer.py",
        "if claim.claim.generation > exchange.volume.generation:",
        "if claim.claim.generation < 0:",
        (f"{INDEXES}::test_who_has_old_settings_ends_a_move_by_those_it_was_begun_under[memory]",),
    ),
    # --- Moves between two shards ------------------------------------------------------------------------------------
    Mutant(
        "claim-not-written",
        "S12: T2 writes the claim into the source's head",
        "catalog/exchange.py",
        "claimed = replace(head, claim=claim)",
        "claimed = head",
        (f"{FAULTS}::test_one_transient_fault_is_invisible[move-apart-lost_before]",),
    ),
    Mutant(
        "move-older-than-its-claim",
        "8 · Time: no version is older than the intent of its shard",
        "catalog/op.py",
        "fence_of(op).timestamp, op.claimed, *",
        "fence_of(op).timestamp, 0, *",
        ("tests/catalog/test_moves.py::test_what_was_told_to_be_final_is",),
    ),
    Mutant(
        "claim-of-a-head-that-moved",
        "S1: T2 replaces the source's head If-Match its etag",
        "catalog/head_rows.py",
        "values | indexed_values(after.indexed), before.row_etag)",
        'values | indexed_values(after.indexed), "*")',
        (f"{EXCHANGE}::test_a_source_that_has_moved_refuses_its_claim",),
    ),
    Mutant(
        "commit-without-a-claim",
        "S1: T3 is sent only with the claim in place",
        "catalog/moving.py",
        "        case Absent():\n            return abort(op)\n",
        "        case Absent():\n            return to(op, Phase.COMMIT)\n",
        (f"{MOVES}[the source is written]",),
    ),
    Mutant(
        "claimed-head-changed-by-others",
        "S1: a claimed head is settled before it is changed",
        "catalog/protocol.py",
        "    if head and head.claim:\n        return blocked(op, head, Phase.HEAD)\n",
        "",
        ("tests/races/test_claims.py::test_a_claimed_source_is_settled_before_it_is_changed",),
    ),
    Mutant(
        "claim-met-by-a-rebase-ignored",
        "S1: a claimed head is settled before it is changed, also where the commit met it",
        "catalog/protocol.py",
        "    if head and head.claim:\n        return blocked(op, head, Phase.REBASE)\n",
        "",
        ("tests/races/test_claims.py::test_a_claim_that_comes_meanwhile_is_settled_too",),
    ),
    Mutant(
        "claim-not-settled-by-its-mover",
        "S12: a move that returns has settled its claim",
        "catalog/writer.py",
        "                return await self._settled(exchange, op, request)\n",
        "                return Done()\n",
        ("tests/races/test_claims.py::test_a_move_that_returns_leaves_no_claim",),
    ),
    Mutant(
        "claim-not-settled-by-recovery",
        "S12: recovery settles the claim of a move whose T3 was applied",
        "catalog/writer.py",
        "            await self.settle_claim(volume, intent.path, Claim(intent.op, intent.target, intent.generation))\n"
        "            return",
        "            return",
        (f"{FAULTS}::test_a_killed_client_leaves_nothing_half_done[move-apart-crash_after]",),
    ),
    Mutant(
        "claim-released-without-an-abort",
        "S12: to settle is to abort the intent first, and only then to look",
        "catalog/moves.py",
        "            return _to(replace(at, fence=row), Step.ABORT)\n",
        "            return _to(replace(at, fence=row), Step.LOOK)\n",
        (f"{MOVES}[onto nothing]",),
    ),
    Mutant(
        "t4-skipped",
        "S12: a move that was committed ends its source",
        "catalog/moves.py",
        "            return _to(replace(at, made=made), Step.FINISH)\n",
        "            return at, Settled()\n",
        (f"{MOVES}[onto nothing]",),
    ),
    # --- Purging content that versions share -------------------------------------------------------------------------
    Mutant(
        "purge-flag-taken-back",
        "S5: the flag is one-way; a DELETE of an earlier run may be applied much later",
        "catalog/purging.py",
        "            return at, Held(by)\n",
        "            return _to(replace(at, run=''), Step.FLAG)\n",
        (f"{PURGES}[a copy, two runs]",),
    ),
    Mutant(
        "purge-searches-before-it-flags",
        "S5: all candidates are flagged before anything is searched",
        "catalog/purging.py",
        "else _rows(at, Step.FLAG)\n",
        "else _to(at, Step.INTENTS)\n",
        (f"{PURGES}[a copy]",),
    ),
    Mutant(
        "purge-reads-versions-before-intents",
        "S5: a copy commits between the two, and is in neither",
        "catalog/purging.py",
        "        case Step.INTENTS:\n            return SearchIntents(at.at, at.blob)\n"
        "        case Step.VERSIONS:\n            return SearchVersions(at.at, at.blob, at.run)\n",
        "        case Step.INTENTS:\n            return SearchVersions(at.at, at.blob, at.run)\n"
        "        case Step.VERSIONS:\n            return SearchIntents(at.at, at.blob)\n",
        (f"{PURGES}[a copy]",),
    ),
    Mutant(
        "purge-ignores-the-flags-of-other-runs",
        "S5: what another run has flagged meanwhile may have been copied before",
        "catalog/purging.py",
        "not row.purged and row.purging != run\n",
        "row.live and run != ''\n",
        (f"{PURGES}[two copies, two runs]",),
    ),
    Mutant(
        "purge-of-a-current-version",
        "S5: a change of metadata refers to the head's content, and does not look twice",
        "catalog/purging.py",
        "| Newer(current) if current > file.version:\n",
        "| Newer(current) if current >= file.version:\n",
        (f"{PURGES}[metadata, two runs]",),
    ),
    Mutant(
        "purge-shares-a-reading-with-rows-before-intents",
        "S5: a copy commits between the two, and is in neither",
        "catalog/purger.py",
        _SEARCH,
        """\
        runs = {attempt.at.blob: attempt.at.run for attempt in attempts}
        rows, intents = await self._referred(shard, runs), await self._fenced(shard, runs)
        for search, found in ((SearchIntents, intents), (SearchVersions, rows)):

            async def told(_: object, found: Mapping[str, str] = found) -> Mapping[str, str]:
                return found

            await self._answer([attempt for attempt in attempts if isinstance(attempt.request, search)], told)
""",
        (f"{PURGE_RACES}[restore]",),
    ),
    Mutant(
        "purge-shares-a-reading-that-began-before-it-was-asked-for",
        "S5: a copy that read its source before the flag has its intent after the reading",
        "catalog/purger.py",
        """\
        await self._drive(attempts, SearchIntents, limit=ROWS_AT_A_TIME)  # all flags, before anything is read
        for shard in range(shards):
""",
        """\
        runs = {attempt.at.blob: attempt.at.run for attempt in attempts}
        early = [await self._fenced(shard, runs) for shard in range(shards)]

        async def told(_: object) -> Mapping[str, str]:
            return early.pop(0)

        await self._drive(attempts, SearchIntents, limit=ROWS_AT_A_TIME)
        for shard in range(shards):
            await self._answer([each for each in attempts if isinstance(each.request, SearchIntents)], told)
""",
        (f"{PURGE_RACES}[restore]",),
    ),
    Mutant(
        "purge-selects-what-is-current",
        "what is at a path now never goes, whatever the rule is",
        "catalog/retention.py",
        'if first or file.kind == "delete" or row.purged:\n',
        'if file.kind == "delete" or row.purged:\n',
        (f"{PURGE}::test_what_is_current_never_goes[memory]",),
    ),
    Mutant(
        "purge-forgets-what-a-killed-run-has-flagged",
        "the flag is one-way: who finds one goes on with it",
        "catalog/retention.py",
        "goes=bool(row.purging) or (surplus and old))\n",
        "goes=surplus and old)\n",
        (f"{PURGE}::test_what_a_killed_run_has_flagged_goes_whatever_the_rule_is_by_now[memory]",),
    ),
    Mutant(
        "purge-of-one-of-two-conditions",
        "where two conditions are given both must hold",
        "catalog/retention.py",
        "(surplus and old)",
        "(surplus or old)",
        (f"{PURGE}::test_where_both_are_given_both_must_hold[memory]",),
    ),
    Mutant(
        "purge-flags-what-is-needed",
        "what is seen to be needed stays restorable: it is not flagged",
        "catalog/candidates.py",
        'return ADOPTED if "adopt" in kinds else stays or (',
        'return ADOPTED if "adopt" in kinds else (',
        (f"{PURGE}::test_content_that_another_version_needs_is_held_and_not_even_flagged[memory]",),
    ),
    Mutant(
        "purged-before-it-is-gone",
        "S5: an unanswered DELETE proves nothing",
        "catalog/purging.py",
        "        case Done() | Absent():\n            return _rows(at, Step.MARK)\n        case Doubt():\n",
        "        case Done() | Absent() | Doubt():\n            return _rows(at, Step.MARK)\n        case Doubt():\n",
        (f"{PURGES}[a copy]",),
    ),
    Mutant(
        "copy-of-a-flagged-version",
        "S5: a copy's source is live once its intent is there",
        "catalog/exchange.py",
        "return Found(row.file) if row and row.live else Absent()",
        "return Found(row.file) if row else Absent()",
        (f"{PURGER}::test_a_flagged_version_is_no_source",),
    ),
    Mutant(
        "flag-whatever-the-row-says",
        "S5: flags are set by compare-and-swap, so that nobody's is replaced unseen",
        "catalog/purger.py",
        "values, row.etag),))",
        "values),))",
        (f"{PURGER}::test_each_write_names_the_etag_of_what_was_looked_at",),
    ),
    Mutant(
        "purge-deletes-whatever-blob-is-there",
        "S5: content is deleted only if its metadata carries the op's id",
        "catalog/purger.py",
        "Stored(found.etag, NOTHING) if found.headers.metadata.get(OP) == op else Foreign()",
        "Stored(found.etag, NOTHING) if found.headers.metadata.get(OP) else Foreign()",
        (f"{PURGER}::test_a_blob_of_somebody_else_is_not_deleted",),
    ),
    Mutant(
        "purged-row-removed",
        "S11: rows of history stay; a late W1 of the put finds its version, and spares what copies live on",
        "catalog/purger.py",
        "        unit = Unit((Merge(version_row(file.path, file.version), values, row.etag),))\n",
        "        unit = Unit((Merge(version_row(file.path, file.version), values, row.etag),))\n"
        "        if after.purged:\n"
        "            gone = __import__('catalog').table.Delete(version_row(file.path, file.version), row.etag)\n"
        "            unit = Unit((gone,))\n",
        (f"{PURGER}::test_the_content_of_an_old_version_goes_and_its_row_stays",),
    ),
    # --- Recovery ----------------------------------------------------------------------------------------------------
    Mutant(
        "recovery-without-patience",
        "liveness: in the background an intent is left alone while its writer may be alive",
        "catalog/recovery.py",
        "patience = intent.patience_s if patience_s is None else patience_s",
        "patience = patience_s or 0",
        (f"{RECOVERY}::test_an_open_intent_is_left_alone_for_as_long_as_it_asks",),
    ),
    Mutant(
        "aborted-intents-kept-for-ever",
        "an aborted intent goes after a week, so that the cost of recovery follows the writes in flight",
        "catalog/recovery.py",
        "case NotApplied() | StartOver() if age_us > KEPT_US:",
        "case NotApplied() | StartOver() if False:",
        (f"{RECOVERY}::test_an_aborted_intent_is_kept_for_a_week",),
    ),
    Mutant(
        "aborted-intents-dropped-at-once",
        "S2: an aborted intent stays for a week, so that a put that arrives late is recognised",
        "catalog/recovery.py",
        "case NotApplied() | StartOver() if age_us > KEPT_US:",
        "case NotApplied() | StartOver() if True:",
        (f"{RECOVERY}::test_an_aborted_intent_is_kept_for_a_week",),
    ),
    # --- Dump and load -----------------------------------------------------------------------------------------------
    Mutant(
        "load-believes-every-chain",
        "S11: history that was edited is not loaded",
        "catalog/ledger.py",
        "if chain(self._chain, file) != file.chain:",
        "if False:",
        ("tests/catalog/test_dumped.py::test_what_the_chain_is_over_cannot_be_changed",),
    ),
    Mutant(
        "load-without-content",
        "S5: where content is missing, no volume is made",
        "catalog/load.py",
        "            if not run.missing or wishes.allow_missing:\n",
        "            if True:\n",
        ("tests/volumes/test_dump.py::test_without_its_content_nothing_is_made_and_the_report_says_which",),
    ),
    Mutant(
        "load-takes-a-refusal-for-done",
        "S9: rows of which nothing is known are looked for, and the missing ones inserted",
        "catalog/load_rows.py",
        "        return [unit for unit in units if unit.row not in there]\n",
        "        return []\n",
        ("tests/faults/test_load.py::test_one_transient_fault_is_invisible",),
    ),
    Mutant(
        "dump-with-a-claim",
        "S12: a move that was decided is brought to its end before its source is dumped",
        "catalog/dump.py",
        "                if intent.target:\n",
        "                if False:\n",
        ("tests/volumes/test_dump.py::test_a_move_that_stopped_is_brought_to_its_end_first",),
    ),
    # --- No blob is two volumes' -------------------------------------------------------------------------------------
    Mutant(
        "adopt-notes-once",
        "each window is noted, so that who makes a volume looks after it",
        "catalog/registry.py",
        "            if not record:\n                return Enrolled",
        "            if not record or adopted == row.info.adopted:\n                return Enrolled",
        (f"{ADOPT_RACES}[uploaded-before-it-is-adopted-True]",),
    ),
    Mutant(
        "load-claims-what-others-adopt",
        "a load's volumes adopt nothing that another volume adopts, or has in its root",
        "catalog/load_registry.py",
        "            check_unclaimed(volume.name, volume.adopted, others, gone)\n",
        "            pass\n",
        ("tests/volumes/test_dump.py::test_a_prefix_that_another_volume_adopts_is_refused",),
    ),
    Mutant(
        "adopt-with-the-roots-of-before",
        "the roots are those as of the note",
        "catalog/adopt.py",
        "                    self._roots = (await self._note()).roots\n",
        "                    await self._note()\n",
        (f"{ADOPT_RACES}[uploaded-once-the-volume-is-made-True]",),
    ),
    Mutant(
        "root-among-adopted-blobs",
        "a root that reaches into what a volume adopts has no blob of others below it",
        "catalog/registry.py",
        "        if not (shared := overlaps(wanted.root, there)):\n            return\n",
        "        shared = []\n",
        (f"{ADOPT_RACES}[there-before-True]",),
    ),
    Mutant(
        "content-of-an-unknown-commit-written-again",
        "what may be committed is not tried again",
        "storage/local_index.py",
        "        except CommitError as exc:\n            return [exc] * len(changes)\n",
        "",
        ("tests/storage/test_local.py::test_a_commit_that_fails_leaves_all_of_its_writes_unknown",),
    ),
    Mutant(
        "rows-of-an-unknown-commit-written-again",
        "what may be committed is not tried again",
        "catalog/sqlite_table.py",
        "len(calls) == 1 or isinstance(error, OutcomeUnknownError) or is_busy(error)",
        "len(calls) == 1 or is_busy(error)",
        ("tests/catalog/test_sqlite_table.py::test_a_commit_of_unknown_outcome_is_unknown_to_all_of_its_batches",),
    ),
    Mutant(
        "load-of-anothers-content",
        "what a load refers to is no other volume's",
        "catalog/load_registry.py",
        "            await self._check_outside(others)\n",
        "            pass\n",
        ("tests/volumes/test_dump.py::test_content_that_another_volume_adopts_is_refused",),
    ),
    # --- Conditions --------------------------------------------------------------------------------------------------
    Mutant(
        "push-down-of-not-where-a-column-may-be-missing",
        "what is pushed down holds at least where the condition does",
        "catalog/pushdown.py",
        "    if leaf.column not in ALWAYS_THERE:\n        return None\n    is_text = TYPES[leaf.column] == TEXT\n",
        "    is_text = TYPES.get(leaf.column, TEXT) == TEXT\n",
        (f"{PUSHDOWN}::test_what_is_not_pushed_down",),
    ),
    Mutant(
        "push-down-of-a-digest-that-was-learned",
        "what is pushed down holds at least where the condition does",
        "catalog/pushdown.py",
        "return _of_digest(weaker) if column == DIGEST and weaker is not None else weaker",
        "return weaker",
        (f"{PUSHDOWN}::test_a_strict_service_loses_no_row", f"{ADOPT}::test_a_learned_digest_is_found[memory]"),
    ),
    Mutant(
        "true-is-one",
        "a comparison is false for values of another type",
        "catalog/filters.py",
        "value in self._members.get(kind_of(value), ())",
        "value in self.values",
        ("tests/catalog/test_query_text.py::test_a_condition_holds_where_the_naive_model_says",),
    ),
)

LATER: Final[Mapping[str, str]] = {}
"""Guards of the protocol whose code is not there yet: whoever builds it moves their mutants up."""
