"""What could be true when: the states of things of which each is changed by one writer at a time, and
whether an answer fits them.

A state began between two moments that its writer noted: before it sent what made it so (a COMMIT), and
after that was acknowledged. It may have been the current one from the earliest moment at which it
can have begun to the latest at which the next can have. What several things are said to be in one
answer was true if there is one moment at which all of them may have been current.
"""
import bisect
import math


class History:
    def __init__(self, state):
        self.states, self.earliest, self.latest = [state], [-math.inf], [-math.inf]
        self.own = {} # of a worker: when it acknowledged each state, and which that was

    @property
    def state(self):
        return self.states[-1]

    def add(self, state, earliest, latest, by=None):
        """It became so between two moments; by: the worker that acknowledged it."""
        self.states.append(state)
        self.earliest.append(earliest)
        self.latest.append(latest)
        if by:
            times, numbers = self.own.setdefault(by, ([], []))
            times.append(latest)
            numbers.append(len(self.states) - 1)

    def first_for(self, worker, moment):
        """The oldest state that a worker may speak of that was asked at that moment: not one before its own
        last acknowledged."""
        times, numbers = self.own.get(worker, ((), ()))
        before = bisect.bisect_left(times, moment)
        return numbers[before - 1] if before else 0

    def spans(self, fits, first, since, until):
        """Between two moments, those spans in which a state that fits may have been current."""
        number = max(first, bisect.bisect_left(self.latest, since) - 1, 0)
        while number < len(self.states) and self.earliest[number] <= until:
            end = self.latest[number + 1] if number + 1 < len(self.states) else math.inf
            if end >= since and fits(self.states[number]):
                yield max(since, self.earliest[number]), min(until, end)
            number += 1

    def forget(self):
        """All but the current state, which nobody may contradict from now on."""
        self.states, self.earliest, self.latest, self.own = [self.state], [-math.inf], [-math.inf], {}


def last_moment(conditions, worker, asked, since, until):
    """The last moment between two at which all may have been as a worker says that was asked at some moment;
    None: there is none. conditions: [(history, whether a state fits)]."""
    spans = [(since, until)]
    for history, fits in conditions:
        first = history.first_for(worker, asked)
        spans = [span for since, until in spans for span in history.spans(fits, first, since, until)]
    return max((end for _, end in spans), default=None)
