"""Find bad files: which objects make a run's queries fail, or lose rows, though no footer shows it.

A page may be damaged behind a good footer, or a value may be one that an expression of the table
file can't take. Athena then fails the whole query, mostly without naming the object. Or a footer
may have another number of rows than its file. So the objects are read in parts, until each that
can't be read is alone, and the rest is read once more. Then what is alone is proven to be bad.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from forecast_sync.adapters.postgres import transaction
from forecast_sync.adapters.s3 import Storage
from forecast_sync.contracts.redrive import raise_if_stale, refuse_other_definitions
from forecast_sync.contracts.run import BadFiles, BadFilesRequest
from forecast_sync.contracts.survey import Survey
from forecast_sync.errors import QueryFailed, VerificationFailed, message_of
from forecast_sync.extract.probes import (
    MOST_QUERIES,
    Fault,
    LimitReached,
    Probes,
    SearchEnded,
    SearchTools,
)
from forecast_sync.extract.suspects import prove_bad, queries_to_prove
from forecast_sync.lease import lease
from forecast_sync.survey.file_ledger import FileLedger
from forecast_sync.survey.lists import OTHER, WINDOW, read_versions
from forecast_sync.survey.proof import refuse_changed_lake, require_survey
from forecast_sync.tables import definition_of
from forecast_sync.text.sentences import end_sentence

MOST_OBJECTS = 100_000
MOST_SCANS = 2
"""How many times the bytes of all listed objects are read, until each bad one is alone. Halving
reads them once, and then only the halves that fail again.
"""

MOST_SUSPECTS = 4
"""How many objects that Athena's message names are tried first."""

PROOF_MILLISECONDS = 240_000
"""How much of the function's time is kept to prove what was found."""


def find_bad_files(tools: SearchTools, request: BadFilesRequest) -> BadFiles:
    """Quarantine the objects that make the queries fail, so that the run goes on without them.

    Raises ``QueryFailed`` with the run's own message when no object is proven to be the cause; or
    ``VerificationFailed``, if the run had failed with that.
    Raises ``InputsOutdated`` when the run had failed before a redrive, or for another definition.
    Raises ``SourceChanged`` or ``SourceUnstable`` when a listed object is another one now, or gone.
    Raises what ``lease.join`` raises.
    """
    survey, redrive_count = require_survey(request.run, request.window), request.redrive_count
    raise_if_stale(
        "A query failed before the redrive.",
        made_at=survey.redrive_count,
        redrive_count=redrive_count,
    )
    definition = definition_of(tools.table)
    refuse_other_definitions(definition, request.window.definition or definition)
    refuse_changed_lake(tools.storage, tools.settings, survey, request.renewal, redrive_count)
    lease_count = lease.join(tools.connection, request.run, redrive_count)
    ledger = FileLedger(tools.connection, tools.settings)
    message = message_of(request.cause)
    try:
        bad = search(tools, ledger, request, message)
    except SearchEnded as ended:
        kind = VerificationFailed if request.error == VerificationFailed.__name__ else QueryFailed
        raise kind(f"{end_sentence(message)} {ended}".rstrip()) from None
    with transaction(tools.connection) as cursor:
        lease.refuse_lost(cursor, request.run, lease_count, "it searched for bad files")
        ledger.quarantine(cursor, bad, definition)
    return BadFiles(quarantined=len(bad))


def search(
    tools: SearchTools, ledger: FileLedger, request: BadFilesRequest, message: str
) -> dict[str, str]:
    """What is wrong with each bad object, by key; ``message`` is how the run had failed.

    Raises ``SearchEnded`` when no object is proven to be bad.
    """
    survey = require_survey(request.run, request.window)
    objects = survey.window_objects + survey.other_objects
    if objects > MOST_OBJECTS:
        raise SearchEnded(
            f"It reads {objects:,} objects; only up to {MOST_OBJECTS:,} are searched for one that "
            "makes it fail."
        )
    probes = Probes(tools, ledger, request)
    narrowing = _Narrowing(probes, survey.size)
    ended: LimitReached | None = None
    try:
        narrowing.find(list(_list_objects(tools.storage, survey)), message)
    except LimitReached as limit:
        ended = limit
    bad = prove_bad(probes, ledger, narrowing.suspects) if narrowing.suspects else {}
    if not bad:
        raise ended or SearchEnded
    return bad


def _list_objects(storage: Storage, survey: Survey) -> Iterator[str]:
    """The keys of all listed objects, those to take in first."""
    for part, files in ((WINDOW, survey.window_files), (OTHER, survey.other_files)):
        for version in read_versions(storage, survey.location, part, files):
            yield version.key


class _Narrowing:
    """Reads the objects in parts, until each that can't be read is alone."""

    def __init__(self, probes: Probes, listed_bytes: int) -> None:
        self._probes = probes
        self._most_bytes = MOST_SCANS * listed_bytes
        self.suspects: dict[str, Fault] = {}

    def find(self, keys: Sequence[str], message: str) -> None:
        """Try what the message names, then halves, until what is left can be read.

        Raises ``LimitReached`` while what was found can still be proven.
        """
        tried: set[str] = set()
        reason: str | None = message
        rest = [*keys]
        while reason is not None and rest:
            named = [key for key in rest if key not in tried and key in reason][:MOST_SUSPECTS]
            tried.update(named)
            before = len(self.suspects)
            for key in named:
                self._try_alone(key)
            if len(self.suspects) == before and not named:
                self._halve(rest)
                if len(self.suspects) == before:
                    return
            rest = [key for key in keys if key not in self.suspects]
            fault = self._find_fault(rest) if rest else None
            reason = fault.reason if fault else None

    def _halve(self, keys: Sequence[str]) -> None:
        """Find the suspects among objects that couldn't be read together."""
        if len(keys) == 1:
            self._try_alone(keys[0])
            return
        middle = len(keys) // 2
        for half in (keys[:middle], keys[middle:]):
            if len(half) == 1 or self._find_fault(half) is not None:
                self._halve(half)

    def _try_alone(self, key: str) -> None:
        if fault := self._find_fault([key]):
            self.suspects[key] = fault

    def _find_fault(self, keys: Sequence[str]) -> Fault | None:
        """What is wrong with objects, if a proof is still possible after this query."""
        probes = self._probes
        passing = sum(fault.may_pass for fault in self.suspects.values())
        # This query may find another suspect, whose failure may pass.
        kept = queries_to_prove(len(self.suspects) + 1, passing + 1)
        if (
            probes.queries + kept >= MOST_QUERIES
            or probes.scanned_bytes > self._most_bytes
            or probes.remaining_milliseconds < PROOF_MILLISECONDS
        ):
            raise LimitReached
        return probes.find_fault(keys)
