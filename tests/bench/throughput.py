# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What work loses while the agent runs, and while the tool runs that asks the same."""

import contextlib
import json
import subprocess
from typing import NamedTuple

from parties import Disk, Missing, OurAgent, Peer, fio_command, load_command
from report import Row
from system import LabError

SECONDS = 2
# So long may it take over its time.
SLACK_SECONDS = 30


def finished(command):
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
        timeout=SECONDS + SLACK_SECONDS,
    )
    if done.returncode:
        raise LabError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    return done.stdout


def driven(kind):
    return lambda build: float(finished(load_command(build, kind, SECONDS)))


def fio(_build):
    disk = Disk()
    try:
        # It may say something before.
        output = finished(fio_command(disk, SECONDS))
        return json.loads(output[output.index("{"):])["jobs"][0]["read"]["iops"]
    finally:
        disk.close()


class Case(NamedTuple):
    what: str
    command: str
    work: object  # of the build directory: how often it was done, a second
    limit: float  # of the rate with the agent over that without
    peer: str | None = None
    argv: tuple = ()
    programs: int = 0


CASES = (
    Case("1-byte request/response over loopback", "tests/bench/load echo", driven("echo"), 0.98),
    Case(
        "fio, 4k random reads", "fio --rw=randread --bs=4k --direct=1 --ioengine=psync", fio, 0.99,
        "biolatency", ("biolatency", "600"), 2,
    ),
    Case(
        "context-switch ping-pong", "tests/bench/load switch", driven("switch"), 0.98,
        "runqlat", ("runqlat", "600"), 3,
    ),
)


def beside(build, party):
    """None: alone."""
    if party is None:
        return contextlib.nullcontext()
    return contextlib.closing(OurAgent(build) if party == "agent" else party())


def rows_of(report, build, case, rounds):
    parties = [None, "agent"]
    if case.peer:
        parties.append(lambda: Peer(case.peer, case.argv, case.programs))
    rates = [[] for _ in parties]
    why = ""
    for number in range(rounds):
        report.note(f"throughput: {case.what}, {number + 1} of {rounds}")
        # Each is first as often as another.
        for i in range(len(parties)):
            which = (number + i) % len(parties)
            if which == 2 and why:
                continue
            try:
                with beside(build, parties[which]):
                    rates[which].append(case.work(build))
            except Missing as missing:
                if which != 2:
                    raise LabError(str(missing)) from None
                why = str(missing)
    alone, ours, *theirs = (tuple(values) for values in rates)
    row = Row(case.what, case.command, "/s", ours, "no agent", alone, case.limit, more=True)
    if not case.peer:
        return [row]
    theirs = () if why else theirs[0]
    beside_command = f"{case.command}; {' '.join(case.argv)}"
    return [
        row,
        row._replace(
            what=f"{case.what}: {case.peer} in the agent's place", command=beside_command,
            ours=theirs, peer=f"no {case.peer}", theirs=alone if theirs else (), limit=None, why=why,
        ),
        row._replace(
            what=f"{case.what}: agent beside {case.peer}", command=beside_command,
            ours=ours if theirs else (), peer=case.peer, theirs=theirs, limit=1, why=why,
        ),
    ]


def section(report, build, rounds):
    report.section("Throughput")
    report.say(
        f"What is done a second while the agent runs, over what is done without it, in turn, {rounds} rounds of"
        f" {SECONDS} s each; the same for the peers."
    )
    report.say()
    report.rows([row for case in CASES for row in rows_of(report, build, case, rounds)])
