"""Which misbehaviour is due for a request: an ordered list of {match, chance, after, times, do, ...}."""

from .errors import shaped
from .match import SpecError, compiled, only_keys

COMMON = ("match", "chance", "after", "times", "do", "latency_ms")
# How an answer may be spoilt on its way, whatever made it.
SPOIL = ("headers", "without", "header_case", "close", "drip", "cut")
BODY = ("status", "shape", "body", "body_base64", "content_type")
# do: its members. What each means stands in exchange.py, at the method of that name.
ACTIONS = {
    "answer": BODY + SPOIL + ("taken",),
    "pass": SPOIL + ("status", "content_type"),
    "drop": ("taken", "how"),
    "hang": ("taken", "seconds", "then"),
    "garbage": ("taken", "body", "body_base64"),
    "redirect": ("to", "status"),
    "late": ("seconds", "then") + BODY,
}
CHOICES = {"how": ("close", "reset"), "then": ("close", "answer"), "header_case": ("lower", "upper")}


class Fault:
    """One entry of the list. `times` counts down; "forever" does not. `chance`: of those that match, so many."""

    def __init__(self, number, spec):
        do = spec.get("do") if isinstance(spec, dict) else None
        if do not in ACTIONS:
            raise SpecError(f"fault: do is one of {', '.join(ACTIONS)}, not {do!r}")
        only_keys(spec, COMMON + ACTIONS[do], f"fault {do}")
        for name, choices in CHOICES.items():
            if name in spec and spec[name] not in choices:
                raise SpecError(f"fault {do}: {name} is one of {choices}, not {spec[name]!r}")
        if "shape" in spec:
            shaped(spec["shape"], 500)
        if do == "redirect" and "to" not in spec:
            raise SpecError("fault redirect: `to` is missing")
        self.number, self.spec, self.do = number, spec, do
        self.matches = compiled(spec.get("match"))
        self.left, self.after, self.used = _times(spec), spec.get("after", 0), 0
        self.chance = _chance(spec)

    def get(self, name, default=None):
        return self.spec.get(name, default)

    def summary(self):
        left = "forever" if self.left == float("inf") else self.left
        return {**self.spec, "id": self.number, "left": left, "used": self.used}


def _times(spec):
    times = spec.get("times", 1)
    if times == "forever":
        return float("inf")
    if isinstance(times, int) and times > 0:
        return times
    raise SpecError(f'fault: times is a positive number or "forever", not {times!r}')


def _chance(spec):
    chance = spec.get("chance", 1)
    if isinstance(chance, (int, float)) and 0 < chance <= 1:
        return chance
    raise SpecError(f"fault: chance is above 0 and at most 1, not {chance!r}")


def add(world, spec):
    with world.changed:
        fault = Fault(world.next_fault, spec)
        world.next_fault += 1
        world.faults.append(fault)
        return fault


def due(world, entry):
    """The first fault that matches and is not used up; None mostly. Uses it."""
    if not world.faults:
        return None
    with world.changed:
        for fault in world.faults:
            if fault.left <= 0 or not fault.matches(entry) or world.random.random() >= fault.chance:
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.left -= 1
            fault.used += 1
            entry["fault"] = fault.number
            world.changed.notify_all()
            return fault
    return None
