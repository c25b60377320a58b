"""What an ordinary run leaves to CI: most cases of the tests that take longest.

A plugin of pytest. Nobody waits twenty minutes, so of each test below everybody's `scripts/test` tries every nth case,
the first one among them, or none (0), and of all others every case. `scripts/test
--all`, which `.ci/run` calls, tries all of all; so does whoever names a file or a test.
"""

from collections import Counter
from typing import Final

import pytest

OPTION: Final = "--sampled"

EVERY_NTH: Final = {
    "tests/catalog/test_alterations.py::test_no_state_breaks_an_invariant": 4,
    "tests/catalog/test_turnover.py::test_a_simpler_version_is_found_out": 2,
    "tests/catalog/test_turnover.py::test_no_state_breaks_an_invariant": 4,
    "tests/catalog/test_moves.py::test_no_state_breaks_an_invariant": 3,
    "tests/catalog/test_moves_within.py::test_no_state_breaks_an_invariant": 4,
    "tests/catalog/test_protocol.py::test_content_that_is_bound_to_its_op_breaks_none_either": 3,
    "tests/catalog/test_protocol.py::test_no_state_breaks_an_invariant": 3,
    "tests/catalog/test_purging.py::test_no_state_breaks_an_invariant": 4,
    "tests/credentials/test_canary_verbs.py::test_no_verb_sings": 3,
    "tests/faults/test_deadlines.py::test_a_call_ends_in_time": 3,
    "tests/faults/test_delayed.py::test_a_late_request_is_harmless": 3,
    "tests/faults/test_every_fault.py::test_an_outage_ends_in_the_truth": 3,
    "tests/faults/test_every_fault.py::test_one_transient_fault_is_invisible": 3,
    "tests/faults/test_killed.py::test_killed_at_any_request_it_leaves_nothing_half_done": 3,
    "tests/faults/test_on_disk.py::test_on_a_folder": 4,
    "tests/faults/test_proxy.py::test_one_fault_on_the_wire_is_invisible": 3,
    "tests/faults/test_purge.py::test_one_fault_is_invisible": 3,
    "tests/faults/test_transport.py::test_a_client_that_dies_leaves_nothing_half_done": 3,
    "tests/faults/test_transport.py::test_an_outage_ends_in_the_truth": 3,
    "tests/faults/test_transport.py::test_one_fault_of_any_kind_is_invisible": 4,
    "tests/faults/test_transport.py::test_one_fault_of_each_class_is_invisible": 4,
    "tests/faults/test_transport_errors.py::test_it_raises_what_a_real_connection_raises": 3,
    "tests/races/test_adopt_races.py::test_no_blob_is_two_volumes": 3,
    "tests/races/test_index_races.py::test_interleavings": 4,
    "tests/races/test_ingest_requests.py::test_two_thousand_files_take_no_more_requests_than_they_must": 0,
    "tests/races/test_interleavings.py::test_interleavings_with_one_lost_answer": 6,
    "tests/races/test_one_winner.py::test_one_winner_a_round": 3,
    "tests/races/test_purge_races.py::test_interleavings": 3,
    "tests/races/test_query_races.py::test_a_query_finds_all_files_whatever_becomes_of_its_index": 3,
    "tests/races/test_reconcile_races.py::test_interleavings": 4,
    "tests/races/test_reconcile_races.py::test_interleavings_with_one_fault": 6,
    "tests/races/test_reconcile_races.py::test_undo_races": 3,
    "tests/races/test_truth.py::test_what_the_processes_were_told_is_true": 2,
    "tests/races/test_volumes.py::test_interleavings": 3,
    "tests/reconcile/test_apply.py::test_what_has_changed_since_is_left_alone": 2,
    "tests/reconcile/test_chaos.py::test_exactly_the_injuries_are_found_repaired_and_taken_back": 2,
    "tests/reconcile/test_chaos.py::test_nothing_is_found_while_others_write": 2,
    "tests/reconcile/test_memory.py::test_a_journal_is_gone_on_with_and_taken_back_line_by_line": 0,
    "tests/reconcile/test_memory.py::test_an_apply_holds_no_plan_and_no_journal": 0,
    "tests/reconcile/test_scale.py::test_memory_is_flat": 0,
    "tests/reconcile/test_states.py::test_a_purge_killed_at_any_request_is_found_and_finished": 0,
    "tests/volumes/test_progress.py::test_what_progress_raises_ends_the_run_and_leaves_nothing": 2,
}
"""By test: of how many cases one is tried; 0: none is."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`scripts/test` gives it."""
    parser.addoption(OPTION, action="store_true", help="leave most cases of the longest tests to CI")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not one in n. Raises: UsageError where a test of the table is not there."""
    if not config.getoption(OPTION):
        return
    seen = Counter[str]()
    kept, left = list[pytest.Item](), list[pytest.Item]()
    for item in items:
        name = item.nodeid.partition("[")[0]
        nth = EVERY_NTH.get(name, 1)
        (kept if nth and seen[name] % nth == 0 else left).append(item)
        seen[name] += 1
    everything = config.args == config.getini("testpaths")
    if everything and (gone := EVERY_NTH.keys() - seen.keys()):
        raise pytest.UsageError(f"tests/harness/tiers.py names what is no test: {', '.join(sorted(gone))}")
    items[:] = kept
    config.hook.pytest_deselected(items=left)
