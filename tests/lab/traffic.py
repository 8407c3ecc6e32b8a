# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""TCP traffic between the nodes of a lab.

    traffic.py OWNER FLOW...

A flow is FROM:TO:requests=RATE (64 bytes there, 256 back, RATE a second),
FROM:TO:bulk=MB_PER_SECOND or FROM:TO:zero-window (writes to a peer that never reads). Prints
"ready", then, when SIGTERM tells it to end, what it counted as one JSON object. One process for all
nodes: a socket belongs to the namespace that it was made in.
"""

import asyncio
import contextlib
import json
import random
import signal
import socket
import sys

from lab import Lab
from system import inside

PORT = 7000
REQUEST_BYTES = 64
REPLY_BYTES = 256
CHUNK_BYTES = 64 * 1024
REPLY_SECONDS = 3
RECONNECT_SECONDS = 0.2

counts = {"requests": 0, "replies": 0, "bulk_bytes": 0, "connects": 0, "failures": 0}


def tcp_socket(lab, node):
    with inside(lab.namespace(node)):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setblocking(False)
    return made


async def serve(reader, writer):
    """The first byte of a connection says what the client wants."""
    try:
        kind = await reader.readexactly(1)
        if kind == b"Z":
            await asyncio.Event().wait()
        while kind == b"B":
            data = await reader.read(4 * CHUNK_BYTES)
            if not data:
                break
            counts["bulk_bytes"] += len(data)
        while kind == b"R":
            await reader.readexactly(REQUEST_BYTES)
            writer.write(bytes(REPLY_BYTES))
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
        # A cancelled server task means the end of the program; asyncio would print it as an error.
        pass
    finally:
        writer.close()


async def requests(reader, writer, rate):
    kind = b"R"
    while True:
        # Random gaps, so that nothing falls into step with anything else.
        await asyncio.sleep(random.uniform(0.5, 1.5) / rate)
        writer.write(kind + bytes(REQUEST_BYTES))
        kind = b""
        counts["requests"] += 1
        await asyncio.wait_for(reader.readexactly(REPLY_BYTES), REPLY_SECONDS)
        counts["replies"] += 1


async def bulk(writer, rate):
    interval = CHUNK_BYTES / (rate * 1e6)
    clock = asyncio.get_running_loop().time
    due = clock()
    while True:
        writer.write(bytes(CHUNK_BYTES))
        await writer.drain()
        # Time lost to a fault is not caught up on.
        due = max(due + interval, clock() - 10 * interval)
        await asyncio.sleep(due - clock())


async def client(lab, source, target, kind, rate):
    loop = asyncio.get_running_loop()
    while True:
        writer = None
        made = tcp_socket(lab, source)
        try:
            await asyncio.wait_for(loop.sock_connect(made, (lab.address(target), PORT)), 10)
            reader, writer = await asyncio.open_connection(sock=made)
            counts["connects"] += 1
            if kind == "requests":
                await requests(reader, writer, rate)
            elif kind == "bulk":
                writer.write(b"B")
                await bulk(writer, rate)
            else:
                writer.write(b"Z")
                while True:
                    writer.write(bytes(CHUNK_BYTES))
                    await writer.drain()
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            counts["failures"] += 1
        finally:
            (writer or made).close()
        await asyncio.sleep(RECONNECT_SECONDS)


async def main(owner, texts):
    lab = Lab.attach(owner)
    flows = []
    for text in texts:
        source, target, what = text.split(":")
        kind, _, rate = what.partition("=")
        if kind not in ("requests", "bulk", "zero-window"):
            sys.exit(
                f"traffic.py: '{text}': expected requests=RATE, bulk=MB_PER_SECOND or zero-window"
            )
        flows.append((source, target, kind, float(rate or 0)))
    for node in sorted({target for _, target, _, _ in flows}):
        listener = tcp_socket(lab, node)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((lab.address(node), PORT))
        await asyncio.start_server(serve, sock=listener)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    clients = [asyncio.create_task(client(lab, *flow)) for flow in flows]
    print("ready", flush=True)
    await ended.wait()
    for task in clients:
        task.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2:]))
