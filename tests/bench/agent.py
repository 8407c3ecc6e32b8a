# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An agent that the bench runs, and what it logs."""

import contextlib
import json
import os
import subprocess
import time

from system import LabError

CONFIG = """
node: bench
state_dir: {directory}/state
log: {{format: json}}
"""


class AgentLog:
    """What an agent logs, as it comes."""

    def __init__(self, path, process):
        self.log = open(path, encoding="utf-8")
        self.process = process
        self.rest = ""

    def said(self):
        """What has been logged since the last call."""
        self.rest += self.log.read()
        *lines, self.rest = self.rest.split("\n")
        for line in lines:
            with contextlib.suppress(ValueError):
                yield json.loads(line)

    def wait(self, seconds, wanted, other=None):
        """The first event that is wanted, or None; all before it are given to other()."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for said in self.said():
                if wanted(said):
                    return said
                if other:
                    other(said)
            if self.process.poll() is not None:
                raise LabError(f"the agent has ended with {self.process.returncode}")
            time.sleep(0.005)
        return None

    def close(self):
        self.log.close()


class Agent(AgentLog):
    """`tocsin agent` in a network namespace of its own."""

    def __init__(self, build, directory, settings):
        config, log = (os.path.join(directory, name) for name in ("tocsin.yaml", "log"))
        with open(config, "w", encoding="utf-8") as file:
            file.write(settings.format(directory=directory))
        with open(log, "wb") as file:
            process = subprocess.Popen(
                ["unshare", "--net", os.path.join(build, "tocsin"), "agent", "-c", config],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
            )
        super().__init__(log, process)
        if not self.wait(20, lambda said: said.get("event") == "agent started"):
            raise LabError("the agent does not start")

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        super().close()
