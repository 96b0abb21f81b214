"""A MariaDB or MySQL server of a test's own."""

from __future__ import annotations

import getpass
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests import servers

PROGRAM = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
INSTALL = shutil.which("mariadb-install-db")
HOW_TO_GET_IT = "apt-get install mariadb-server"


class OwnMySQL:
    """Runs ``mariadbd`` for the block, with an empty database ``ix_own`` that user ``root`` may use without a password."""

    def __enter__(self) -> OwnMySQL:
        if not (PROGRAM and INSTALL):
            raise servers.ServerDidNotStart(f"no MariaDB found; type: {HOW_TO_GET_IT}")
        self.folder = Path(tempfile.mkdtemp(prefix="perfsuite-mysql-"))
        data, user = self.folder / "data", getpass.getuser()
        made = [str(INSTALL), "--no-defaults", f"--datadir={data}", f"--user={user}", "--skip-test-db"]
        made.append("--auth-root-authentication-method=normal")
        subprocess.run(made, check=True, capture_output=True, timeout=120)
        self.port = servers.free_port()
        command = [
            str(PROGRAM),
            "--no-defaults",
            f"--datadir={data}",
            f"--user={user}",
            f"--port={self.port}",
        ]
        command += [
            f"--socket={self.folder}/socket",
            "--bind-address=127.0.0.1",
            "--innodb-buffer-pool-size=64M",
        ]
        self.server = servers.start(command, self.port, self.folder / "log", cwd=self.folder)
        self.server.wait_until_listening()
        return self

    @property
    def setting(self) -> dict[str, Any]:
        """The entry of ``DATABASES``."""
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": "ix_own",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "USER": "root",
        }

    def __exit__(self, *exc: Any) -> None:
        self.server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
