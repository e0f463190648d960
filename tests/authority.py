"""An authority of the test's own, which vouches for one server."""

import dataclasses
import pathlib
import ssl
import subprocess


@dataclasses.dataclass(frozen=True)
class Authority:
    """Its files; ``ca.pem`` is its certificate, ``crl.pem`` an empty list."""

    folder: pathlib.Path

    @property
    def certificate(self) -> str:
        """What has to be believed for the server to be, in PEM."""
        return (self.folder / "ca.pem").read_text()

    def context(self) -> ssl.SSLContext:
        """What the server proves itself with."""
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.load_cert_chain(
            self.folder / "server.pem", self.folder / "server.key"
        )
        return found


def create(folder: pathlib.Path, server: str) -> Authority:
    """A new authority in a new folder; its server's alternative name too.

    That is of OpenSSL's form: ``DNS:name`` or ``IP:address``.
    """
    folder.mkdir(parents=True)
    _openssl(
        folder,
        *("req", "-x509", "-nodes", "-days", "30", "-newkey", "rsa:2048"),
        *("-subj", "/CN=Puppet CA: test", "-keyout", "ca.key"),
        *(
            "-out",
            "ca.pem",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        ),
    )
    _openssl(
        folder,
        *("req", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=server"),
        *("-keyout", "server.key", "-out", "server.csr"),
    )
    (folder / "names").write_text(f"subjectAltName={server}\n")
    _openssl(
        folder,
        *("x509", "-req", "-in", "server.csr", "-CA", "ca.pem"),
        *("-CAkey", "ca.key", "-days", "30", "-out", "server.pem"),
        *("-extfile", "names"),
    )
    (folder / "index").touch()
    (folder / "number").write_text("01\n")
    (folder / "ca.cnf").write_text(
        "[ca]\ndefault_ca=own\n[own]\ndatabase=index\ncrlnumber=number\n"
        "default_md=sha256\ndefault_crl_days=30\n"
        "crl_extensions=extensions\n[extensions]\n"
        "authorityKeyIdentifier=keyid:always\n"
    )
    _openssl(
        folder,
        *("ca", "-config", "ca.cnf", "-gencrl", "-keyfile", "ca.key"),
        *("-cert", "ca.pem", "-out", "crl.pem"),
    )
    return Authority(folder)


def _openssl(folder: pathlib.Path, *words: str) -> None:
    subprocess.run(
        ["openssl", *words], cwd=folder, check=True, capture_output=True
    )
