"""What a soak has to tell, in numbers."""

import statistics

from trouble import named


def count(names):
    found = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return found


def listed(counts):
    """The most frequent first."""
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items(), key=lambda pair: -pair[1])) or "nothing"


def figures(soak):
    """Pairs: what, and how many."""
    evidence, verdict = soak.evidence, soak.verdict
    moves = [one for history in evidence.history.values() for one in history]
    states = count(one.state for one in moves)
    taken = count(one["kind"] for captures in evidence.taken.values() for one in captures)
    paid = sum(one.paid for one in soak.accountants)
    used = {}
    for fault in soak.faults.values():
        used[named(fault)] = used.get(named(fault), 0) + fault["used"]
    return [
        ("orders", f"{soak.chosen.orders} in {soak.chosen.stores} stores; faults for {soak.faulty:.0f} s, all is quiet"
                   f" after {soak.took:.0f} s"),
        ("payments", f"{paid}, {paid / soak.worked:.1f} a second, by {len(soak.accountants)} accountants;"
                     f" {sum(one.repeated for one in soak.accountants)} requests were made again"),
        ("captures", f"{sum(taken.values())}, {sum(taken.values()) / soak.took:.1f} a second, by {listed(taken)}; the ledger:"
                     f" {listed(count(one.state for one in evidence.captures))}"),
        ("to Captured", until_captured(verdict.times())),
        ("intents", f"{states.get('sending', 0)}; {verdict.exact} surely eligible when they were committed, at"
                    f" {verdict.open} Odoo changed the order at the same moment"),
        ("tried again", f"{states.get('waiting', 0)} waits, {states.get('unknown', 0)} times an outcome was not known"),
        ("requests", f"{evidence.report['requests']}; 429: {evidence.report['throttled']} for the quota,"
                     f" {sum(n for name, n in used.items() if '429' in name)} as a fault"),
        ("workers", f"{len(soak.watch.workers)}, of {soak.watch.peak_kb / 1024:.1f} MB of their own at most, with"
                    f" {soak.watch.files} files and sockets open"),
        ("processes", listed(soak.killer.counts)),
        ("operator", listed(soak.operator.counts)),
        ("stores", listed(soak.weather.counts)),
        ("faults", f"{sum(used.values())}: {listed({name: n for name, n in used.items() if n})}"),
        ("server's log", listed({f"{level}: {text}": n for (level, text), n in evidence.log.items()})),
    ]


def until_captured(times):
    """From the commit that made an order eligible to the one that shows Captured."""
    if not times:
        return "none"
    seconds = [one for one, _ in times]
    return (f"{statistics.median(seconds):.1f} s is the median, 90 % within {seconds[len(seconds) * 9 // 10]:.1f} s,"
            f" the longest {seconds[-1]:.1f} s (order {times[-1][1]})")
