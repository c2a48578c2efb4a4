"""Runs as they go: what is left of each, and what became of the rest."""

from collections import defaultdict
from dataclasses import dataclass, field, replace

from meltemi.daemon.state.records import Run
from meltemi.replication.report import Outcome, Result


@dataclass(slots=True)
class Tally:
    """One run, and how many of its actions each target still has before it."""

    run: Run
    left: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    bad: set[str] = field(default_factory=set)

    def planned(self, libraries: list[str]) -> None:
        """Count actions, by the target of each."""
        for library in libraries:
            self.left[library] += 1
        self.run = replace(self.run, planned=self.run.planned + len(libraries))

    def finished(self, outcome: Outcome) -> None:
        """Count the end of an action."""
        library = outcome.action.subject.target
        self.left[library] -= 1
        done = outcome.result is Result.DONE
        if not done:
            self.bad.add(library)
        self.run = replace(
            self.run,
            done=self.run.done + done,
            failed=self.run.failed + (outcome.result in (Result.FAILED, Result.STALE)),
            moved=self.run.moved + (outcome.wire or outcome.bytes),
        )

    def dropped(self, library: str) -> None:
        """Count an action that is not carried out after all; a later run plans it again."""
        self.left[library] -= 1
        self.bad.add(library)
