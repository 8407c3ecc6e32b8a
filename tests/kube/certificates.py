# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A certificate authority, a server's and a client's certificate, and kubeconfig files."""

import base64
import ipaddress
import json
import os
import subprocess

DAYS = "2"
CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


class CertificateError(Exception):
    """What the program openssl said."""


def _openssl(directory, *arguments):
    try:
        done = subprocess.run(
            ["openssl", *arguments],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except OSError as error:
        raise CertificateError(f"openssl: {error.strerror}; install the package openssl") from None
    if done.returncode:
        raise CertificateError(f"openssl {arguments[0]}: {done.stderr.strip()}")


def make_authority(directory, name="ca"):
    _openssl(
        directory, "req", "-x509", *CURVE, "-days", DAYS, "-subj", f"/CN=kubernetes-{name}",
        "-keyout", f"{name}.key", "-out", f"{name}.crt",
    )  # fmt: skip


def sign(directory, name, subject, extensions, authority="ca"):
    """NAME.crt and NAME.key, signed by an authority."""
    with open(os.path.join(directory, f"{name}.ext"), "w", encoding="ascii") as file:
        file.write(extensions)
    _openssl(
        directory, "req", *CURVE, "-keyout", f"{name}.key", "-subj", subject, "-out", f"{name}.csr"
    )
    _openssl(
        directory, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.crt",
        "-CAkey", f"{authority}.key", "-CAcreateserial", "-days", DAYS,
        "-extfile", f"{name}.ext", "-out", f"{name}.crt",
    )  # fmt: skip


def make_all(directory, addresses):
    """ca, server and client; the client is an administrator."""
    make_authority(directory)
    names = [f"DNS:{name}" for name in SERVER_NAMES]
    names += [f"IP:{ipaddress.ip_address(address)}" for address in addresses]
    sign(
        directory,
        "server",
        "/CN=kube-apiserver",
        f"subjectAltName={','.join(names)}\nextendedKeyUsage=serverAuth\n",
    )
    sign(directory, "client", "/O=system:masters/CN=tocsin-admin", "extendedKeyUsage=clientAuth\n")


def _data(directory, name):
    with open(os.path.join(directory, name), "rb") as file:
        return base64.b64encode(file.read()).decode()


def kubeconfig(directory, url, user, namespace):
    """The text of a kubeconfig file (JSON is YAML)."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "stand-in",
                    "cluster": {
                        "server": url,
                        "certificate-authority-data": _data(directory, "ca.crt"),
                    },
                }
            ],
            "users": [{"name": "tocsin", "user": user}],
            "contexts": [
                {
                    "name": "stand-in",
                    "context": {"cluster": "stand-in", "user": "tocsin", "namespace": namespace},
                }
            ],
            "current-context": "stand-in",
        },
        indent=1,
    )


def certificate_user(directory, name="client"):
    return {
        "client-certificate-data": _data(directory, f"{name}.crt"),
        "client-key-data": _data(directory, f"{name}.key"),
    }
