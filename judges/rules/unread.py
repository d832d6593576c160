"""Statements that the judge cannot read: they cost a little where nothing bears them out, or where they are left out.

Nobody knows every finding. A sentence that says nothing of any known one, and has a word that is neither a phrase nor
plain English (`knowledge/plain.yaml`), asserts something that is not understood. It must not be free, or a policy could
invent what it likes; and it must be visible, so that the word can be added. A reference with such a sentence is not
normal, whatever else it says: the sentence weighs as much as a minor finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from judges import scores
from judges.rules import lexicon as lx
from judges.rules.account import Account
from judges.rules.clause import Silent
from judges.rules.findings import Findings, Unread
from judges.rules.merge import Locate

NAME: Final = "unread"
"""The note about a pair, and the name in its evidence."""
WORTH: Final = scores.MINOR
"""Weight of an unread statement of the reference."""
COST: Final = 0.06
"""Cost of one unread statement that nothing bears out, as a share of the reference's weight."""
MOST: Final = 3
"""So many of them cost something, or weigh something."""
SAID: Final = 0.5
"""Share of the strange words of a statement that the reference has where it says nearly the same."""
_SHORTEST: Final = 3
"""Letters of a word that counts: shorter ones are abbreviations that may mean anything."""
_LONGEST: Final = 40
"""Letters of a word that may be two: texts are not trusted."""


def strange(lexicon: lx.Lexicon, words: Iterable[str]) -> frozenset[str]:
    """Those of these folded words that nobody here knows."""
    plain = lexicon.plain
    return frozenset(
        word for word in frozenset(words) - plain
        if len(word) >= _SHORTEST and word.isalpha() and not _run_together(plain, word)
    )  # fmt: skip


def _run_together(plain: frozenset[str], word: str) -> bool:
    """Whether these are two plain words that have lost the hyphen between them: "wellaerated"."""
    return len(word) <= _LONGEST and any(
        word[:i] in plain and word[i:] in plain for i in range(_SHORTEST, len(word) - _SHORTEST + 1)
    )


def statements(
    lexicon: lx.Lexicon, words: Sequence[str], unknown: frozenset[str], silent: Iterable[Silent], locate: Locate
) -> tuple[Unread, ...]:
    """The unread ones of the sentences that say nothing of a finding. `unknown`: the strange words of the text."""
    found = []
    for first, stop, events in silent:
        said = words[first:stop]
        if unknown.isdisjoint(said) or not lexicon.process.isdisjoint(said):
            continue
        if any(event.leaf.cue & lx.HYP or event.leaf.rare & lx.ADVICE for event in events):
            continue
        read = {i for event in events for i in range(event.first, event.last + 1)}
        where = [i for i in range(first, stop) if words[i] in unknown and i not in read]
        if where:
            denied = any(
                event.first < where[0] if event.leaf.cue & lx.NEG else event.leaf.cue & lx.NEG_AFTER > 0
                for event in events
            )
            span = locate(where[0], where[-1])
            found.append(Unread(frozenset(words[i] for i in where), denied, span))
    return tuple(found)


def alone(one: Findings, other: Findings) -> list[Unread]:
    """The unread statements of one text that assert something which the other does not say."""
    if not one.unread:
        return []
    only_denied: set[str] = set()
    for statement in sorted(other.unread, key=lambda each: not each.denied):
        only_denied = only_denied | statement.words if statement.denied else only_denied - statement.words
    said = other.strange - only_denied
    return [
        statement
        for statement in one.unread
        if not statement.denied and len(statement.words & said) < SAID * len(statement.words)
    ]


def repeated(candidate: Findings, reference: Findings) -> bool:
    """Whether the candidate says something of the reference in words that nobody knows."""
    return bool(candidate.unread and reference.unread) and len(alone(candidate, reference)) < len(candidate.unread)


def expect(account: Account, candidate: Findings, reference: Findings) -> None:
    """Enter what the reference asserts in words that nobody knows, and what of that the candidate leaves out."""
    if not reference.unread:
        return
    count = sum(not statement.denied for statement in reference.unread)
    account.unread = WORTH * min(MOST, count)
    for statement in alone(reference, candidate):
        item = account.tell("missing_finding", NAME, False, None, statement.span, NAME)
        item.unearned += account.unread / count


def charge(account: Account, candidate: Findings, reference: Findings, weight: float) -> bool:
    """Count what the candidate invents in words that nobody knows. `weight` is that of the reference.

    Returns whether there was any.
    """
    found = alone(candidate, reference)
    for statement in found:
        item = account.tell("false_finding", NAME, False, statement.span, None, NAME)
        item.penalty += COST * weight * min(1.0, MOST / len(found))
    return bool(found)
