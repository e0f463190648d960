"""uwsgi, nginx and Apache, each with our example and nothing else."""

import contextlib
import pathlib
import socket

from tests import lab
from tools.lab import daemon

ETC = lab.CHECKOUT / "etc"

# Their own pid files have names of their own: NAME.pid is the lab's, which
# would not know what to end if a server wrote into it.
NGINX = """\
daemon off;
user root;
pid {folder}/master.pid;
error_log stderr info;
events {{}}
http {{
    access_log {folder}/access.log;
    {temporary}
    include {example};
}}
"""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

APACHE = """\
ServerRoot {folder}
ServerName 127.0.0.1
DefaultRuntimeDir {folder}
PidFile {folder}/master.pid
ErrorLog {folder}/error.log
User www-data
Group www-data
{modules}
Include {example}
"""
MODULES = ("mpm_event", "authz_core", "ssl", "proxy", "proxy_uwsgi")
MODULE_PATH = "/usr/lib/apache2/modules"


def example(name: str, changes: dict[str, str]) -> str:
    """One of our examples, with what must differ where a test runs.

    :raises AssertionError: it has not what is to be changed.
    """
    text = (ETC / name).read_text()
    for before, after in changes.items():
        assert before in text, f"{name} has no {before!r}"
        text = text.replace(before, after)
    return text


def certificate(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """A certificate of 127.0.0.1, that signs itself, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    daemon.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-subj", "/CN=127.0.0.1", "-days", "2"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        log=folder / "openssl.log",
    )
    return cert, key


class Uwsgi:
    """The API as ``dib-api.service`` starts it, on a socket in a folder."""

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        config: pathlib.Path,
        commands: pathlib.Path,
    ) -> None:
        self.socket = folder / "api.sock"
        ini = folder / "dib-api.ini"
        ini.write_text(
            example(
                "uwsgi/dib-api.ini",
                {"/run/dib-api/api.sock": str(self.socket)},
            )
        )
        self._notified = folder / "notify.sock"
        self.daemon = daemon.Daemon(
            name="uwsgi",
            argv=[str(commands / "uwsgi"), "--ini", str(ini)],
            state=folder,
            env={
                "NOTIFY_SOCKET": str(self._notified),
                "OS_DIB_SERVICE_CONFIG_DIR": str(config),
            },
        )

    def start(self) -> None:
        """Return once it has told whoever started it that it is ready."""
        with contextlib.closing(
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ) as listening:
            listening.bind(str(self._notified))
            listening.setblocking(False)
            self.daemon.start()
            self.daemon.wait_until(lambda: b"READY=1" in _received(listening))


def _received(listening: socket.socket) -> bytes:
    try:
        return listening.recv(65536)
    except BlockingIOError:
        return b""


def nginx(
    folder: pathlib.Path, uwsgi: Uwsgi, *, port: int, cafile: pathlib.Path
) -> daemon.Daemon:
    """nginx with our example, on a port of 127.0.0.1."""
    site = folder / "dib-api.conf"
    site.write_text(
        example(
            "nginx/dib-api.conf",
            {
                "listen 9393 ssl": f"listen 127.0.0.1:{port} ssl",
                **_paths(uwsgi, cafile),
            },
        )
    )
    config = folder / "nginx.conf"
    config.write_text(
        NGINX.format(
            folder=folder,
            example=site,
            temporary="\n    ".join(
                f"{name}_temp_path {folder}/{name};" for name in TEMPORARY
            ),
        )
    )
    words = ["/usr/sbin/nginx", "-p", str(folder), "-c", str(config)]
    # What an operator does before a reload.
    daemon.run([*words, "-t"], log=folder / "nginx-test.log")
    return daemon.Daemon(name="nginx", argv=words, state=folder)


def apache(
    folder: pathlib.Path, uwsgi: Uwsgi, *, port: int, cafile: pathlib.Path
) -> daemon.Daemon:
    """Apache with our example, on a port of 127.0.0.1."""
    site = folder / "dib-api.conf"
    site.write_text(
        example(
            "apache2/dib-api.conf",
            {
                "Listen 9393": f"Listen 127.0.0.1:{port}",
                "<VirtualHost *:9393>": f"<VirtualHost 127.0.0.1:{port}>",
                **_paths(uwsgi, cafile),
            },
        )
    )
    config = folder / "apache2.conf"
    config.write_text(
        APACHE.format(
            folder=folder,
            example=site,
            modules="\n".join(
                f"LoadModule {name}_module {MODULE_PATH}/mod_{name}.so"
                for name in MODULES
            ),
        )
    )
    env = {"APACHE_LOG_DIR": str(folder)}
    words = ["/usr/sbin/apache2", "-f", str(config)]
    daemon.run([*words, "-t"], log=folder / "apache2-test.log", env=env)
    return daemon.Daemon(
        name="apache2",
        argv=[*words, "-DFOREGROUND"],
        state=folder,
        env=env,
    )


def _paths(uwsgi: Uwsgi, cafile: pathlib.Path) -> dict[str, str]:
    return {
        "/run/dib-api/api.sock": str(uwsgi.socket),
        "/etc/ssl/certs/dib-api.pem": str(cafile),
        "/etc/ssl/private/dib-api.key": str(cafile.with_name("key.pem")),
    }


SERVERS = {"nginx": nginx, "apache2": apache}
