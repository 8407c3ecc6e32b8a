# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The files that a server for tests leaves in its directory, and those that it is given."""

import json
import os


def write(directory, name, text):
    """Atomically, as the kubelet renews a token."""
    path = os.path.join(directory, name)
    with open(f"{path}.new", "w", encoding="utf-8", opener=private) as file:
        file.write(text)
    os.rename(f"{path}.new", path)


def private(path, flags):
    return os.open(path, flags, 0o600)


def load_manifests(path):
    """The objects of a JSON file, which has them one after the other or in a List."""
    with open(path, encoding="utf-8") as file:
        text = file.read().strip()
    decoder, found = json.JSONDecoder(), []
    while text:
        try:
            said, end = decoder.raw_decode(text)
        except ValueError as error:
            raise SystemExit(
                f"api: {path}: not JSON ({error}); 'kubectl patch --local -o json --type merge -p {{}} "
                "-f FILE.yaml' makes it of YAML"
            ) from None
        found += said.get("items", [said])
        text = text[end:].strip()
    return found
