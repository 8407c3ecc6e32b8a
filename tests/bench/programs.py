# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the agent's BPF programs cost an event, beside those of the tool that asks the same."""

import contextlib
import shlex
import time
from contextlib import closing
from typing import NamedTuple

from lab import Lab
from parties import Disk, Empty, Missing, OurAgent, Peer, Process, fio_command, load_command
from parties import programs_of, wait_until
from report import Row
from system import LabError, run

SECONDS = 1.5
START_SECONDS = 20
LOSS_PERCENT = 3
LOAD_SECONDS = 60  # it is ended before

SEGMENTS = (
    "tracepoint:tcp:tcp_probe { @[args->daddr[4], args->daddr[5], args->daddr[6], args->daddr[7]]"
    " = hist(args->srtt); }"
)
RETRANSMITS = (
    'tracepoint:tcp:tcp_retransmit_skb { time("%H:%M:%S "); printf("%-8d %14s:%-6d %14s:%-6d %d\\n",'
    " pid, ntop(args->saddr), args->sport, ntop(args->daddr), args->dport, args->state); }"
)


@contextlib.contextmanager
def reads(_build):
    disk = Disk()
    with closing(disk), closing(Process("fio", fio_command(disk, LOAD_SECONDS))):
        yield


def driven(kind):
    @contextlib.contextmanager
    def work(build):
        with closing(Process(f"load {kind}", load_command(build, kind, LOAD_SECONDS))):
            yield

    return work


@contextlib.contextmanager
def losses(build):
    """Transfers between two namespaces, of which a part is lost on the way."""
    with Lab(2, build, members=False) as lab:
        with closing(Process("iperf3 -s", lab.command("n2", ["iperf3", "-s"]))):
            listening = lab.command("n2", ["ss", "-Hltn", "sport = :5201"])
            wait_until(lambda: run(listening).stdout.strip(), START_SECONDS, "iperf3 listens")
            lab.loss("n2", LOSS_PERCENT)
            argv = ["iperf3", "-c", lab.address("n2"), "-P", "16", "-t", str(LOAD_SECONDS)]
            with closing(Process("iperf3", lab.command("n1", argv))):
                yield


class Case(NamedTuple):
    """A row: which of our programs, under which load, beside whose."""

    what: str
    tracepoints: tuple  # of our programs; the first one passes once an event
    load: object  # a context manager of the build directory
    load_name: str
    peer: str
    argv: tuple
    programs: int  # that the peer attaches
    begun: int  # events by which the load is under way, and not only the machine's own
    limit: float  # of our cost over the peer's
    limit_ns: float | None = None


CASES = (
    Case(
        "block programs, an I/O", ("block_rq_complete", "block_rq_issue"),
        reads, "fio, 4k random reads of a loop device",
        "biolatency", ("biolatency", "600"), 2, 5000, 0.25,
    ),
    Case(
        "received segment, request/response", ("tcp_probe",),
        driven("echo"), "tests/bench/load echo",
        "bpftrace, tcp_probe by remote", ("bpftrace", "-e", SEGMENTS), 1, 10000, 1 / 3, 60,
    ),
    Case(
        "received segment, bulk", ("tcp_probe",),
        driven("bulk"), "tests/bench/load bulk",
        "bpftrace, tcp_probe by remote", ("bpftrace", "-e", SEGMENTS), 1, 10000, 1 / 3, 60,
    ),
    Case(
        "retransmit program", ("tcp_retransmit_skb",),
        losses, f"iperf3 -P 16, {LOSS_PERCENT} % lost",
        "tcpretrans' question in bpftrace on the tracepoint", ("bpftrace", "-e", RETRANSMITS), 1, 200, 0.5,
    ),
    Case(
        "exit program, end of a process", ("sched_process_exit",),
        driven("exit"), "tests/bench/load exit",
        "exitsnoop", ("exitsnoop",), 1, 1000, 0.5,
    ),
    Case(
        "switch program, a switch", ("sched_switch",),
        driven("switch"), "tests/bench/load switch",
        "runqlat", ("runqlat", "600"), 3, 20000, 0.5,
    ),
)


def account(pid, tracepoints=None):
    """{program: (ns, runs)} of those of a process that are at one of the tracepoints, or of all."""
    return {
        program: (ns, runs)
        for program, (tracepoint, ns, runs) in programs_of(pid).items()
        if not tracepoints or tracepoint in tracepoints
    }


def spent(before, after):
    """(ns, runs) of all programs together."""
    pairs = [(before[program], after[program]) for program in before if program in after]
    return tuple(sum(b[i] - a[i] for a, b in pairs) for i in range(2))


def one_round(build, case, ours_first):
    """(ours, the peer's) in ns an event, without what an empty program costs."""
    with contextlib.ExitStack() as parts:

        def keep(part):
            return parts.enter_context(closing(part))

        # The first of a chain pays for the cache: an empty one. Then ours and theirs in turn, with what is
        # taken off between them.
        keep(Empty(build, case.tracepoints))
        agent = keep(OurAgent(build)) if ours_first else None
        if not ours_first:
            peer = keep(Peer(case.peer, case.argv, case.programs))
        empty = keep(Empty(build, case.tracepoints))
        if ours_first:
            peer = keep(Peer(case.peer, case.argv, case.programs))
        else:
            agent = keep(OurAgent(build))
        parts.enter_context(case.load(build))
        event = case.tracepoints[:1]
        whose = ((agent, case.tracepoints), (peer, None), (empty, None), (empty, event))
        wait_until(
            lambda: sum(runs for _, runs in account(empty.pid, event).values()) >= case.begun,
            START_SECONDS, f"{case.load_name} is under way",
        )
        before = [account(part.pid, of) for part, of in whose]
        time.sleep(SECONDS)
        after = [account(part.pid, of) for part, of in whose]
        peer.check_alive()
    ours, theirs, nothing, events = (spent(*pair) for pair in zip(before, after))
    for name, (_, runs) in (("ours", ours), (case.peer, theirs), ("the empty program", nothing)):
        if not runs:
            raise LabError(f"{case.what}: {name} did not run")
    empty_ns = nothing[0] / nothing[1]
    return [(ns - empty_ns * runs) / events[1] for ns, runs in (ours, theirs)], events[1] / SECONDS


def rows_of(report, build, case, rounds):
    command = f"{case.load_name}; {shlex.join(case.argv)}"
    ours, theirs, rates = [], [], []
    row = Row(case.what, command, "ns", peer=case.peer, limit=case.limit)
    try:
        for number in range(rounds):
            report.note(f"programs: {case.what}, {number + 1} of {rounds}")
            costs, rate = one_round(build, case, number % 2 == 0)
            ours.append(costs[0])
            theirs.append(costs[1])
            rates.append(rate)
    except Missing as missing:
        return [row._replace(why=str(missing))]
    row = row._replace(
        what=f"{case.what} ({sum(rates) / len(rates):,.0f}/s)", ours=tuple(ours), theirs=tuple(theirs)
    )
    if case.limit_ns is None:
        return [row]
    alone = row._replace(
        what=f"{case.what}, over an empty program", peer="none", theirs=(), limit=case.limit_ns
    )
    return [row, alone]


def section(report, build, rounds):
    report.section("Programs")
    report.say(
        f"ns an event of all programs that take part in it, by the kernel's own account, {rounds} rounds of"
        f" {SECONDS} s. Agent, peer and an empty program are attached to the same events at the same time, the"
        " agent before the peer in every other round; what the empty program takes is taken off for each run."
        " What the kernel does to fill a tracepoint's record for the peers' programs (perf) is not in"
        " their figures. tcpretrans uses kprobes, which not every kernel has: its question is asked at the"
        " tracepoint instead."
    )
    report.say()
    report.rows([row for case in CASES for row in rows_of(report, build, case, rounds)])
