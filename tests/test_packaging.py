"""The distribution: what the wheel carries, and that a new host project runs with nothing but it."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import django
import pytest

import perfsuite

ROOT = Path(__file__).resolve().parent.parent

HOST_SETTINGS = """\
import perfsuite

SECRET_KEY = "a host"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = "collected"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "host.sqlite3"}}
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    *perfsuite.APPS,
]
MIDDLEWARE = [
    "perfsuite.monitoring.RequestMetricsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
"""
HOST_URLS = """\
from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("performance/", include("perfsuite.panel.urls"))]
"""
# Opens the panel as a superuser and as nobody.
HOST_VISIT = """\
from django.contrib.auth import get_user_model
from django.test import Client

client = Client()
assert client.get("/performance/").status_code in (302, 403)
client.force_login(get_user_model().objects.create_superuser("admin", "admin@example.com", "secret"))
answer = client.get("/performance/", follow=True)
assert answer.status_code == 200, answer.status_code
print("visited")
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command, return what it printed, and fail with its output when it fails."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist and, from it, the wheel; return their folder."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def files_of_the_package() -> set[str]:
    """Return the package's files in the tree, without what runs leave behind."""
    paths = (path for path in (ROOT / "perfsuite").rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in paths if "__pycache__" not in path.parts}


def test_the_wheel_is_named_by_the_package_version(wheel: Path) -> None:
    assert wheel.name == f"django_perfsuite-{perfsuite.__version__}-py3-none-any.whl"


def test_the_wheel_carries_every_file_of_the_package(names: set[str]) -> None:
    assert files_of_the_package() - names == set()


@pytest.mark.parametrize(
    "pattern", [r"perfsuite/py\.typed", r".*/templates/.*\.html", r".*/static/.*\.(js|css)"]
)
def test_the_wheel_carries_what_is_not_python(names: set[str], pattern: str) -> None:
    assert [name for name in names if re.fullmatch(pattern, name)]


def test_the_wheel_carries_nothing_but_the_package_and_its_metadata(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names} == {
        "perfsuite",
        f"django_perfsuite-{perfsuite.__version__}.dist-info",
    }


def test_the_wheel_carries_the_licence_and_the_extras(wheel: Path, names: set[str]) -> None:
    assert [name for name in names if name.endswith("/LICENSE")]
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"django_perfsuite-{perfsuite.__version__}.dist-info/METADATA").decode()
    assert "Requires-Python: >=3.11" in metadata
    assert "Requires-Dist: Django>=3.1.12" in metadata
    for extra in ("postgresql", "demo", "test"):
        assert f"Provides-Extra: {extra}\n" in metadata


def test_the_wheel_brings_its_plugin_for_pytest(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        said = archive.read(f"django_perfsuite-{perfsuite.__version__}.dist-info/entry_points.txt").decode()
    assert "[pytest11]\nperfsuite.testing.plugin = perfsuite.testing.plugin\n" in said


def test_the_sdist_carries_the_tests_and_no_leftovers(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "setup.cfg", "tests/settings.py", "perfsuite/py.typed"} <= inside
    assert not [name for name in inside if "__pycache__" in name or name.endswith(".sqlite3")]


def test_a_new_host_project_runs_with_only_the_wheel(wheel: Path, tmp_path: Path) -> None:
    environment, host = tmp_path / "environment", tmp_path / "host"
    run(sys.executable, "-m", "venv", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    same_django = f"Django=={django.get_version()}"
    run(python, "-m", "pip", "install", "--quiet", wheel, same_django, cwd=tmp_path)

    host.mkdir()
    (host / "settings.py").write_text(HOST_SETTINGS)
    (host / "urls.py").write_text(HOST_URLS)

    def django_admin(*arguments: str) -> str:
        return run(python, "-m", "django", *arguments, "--settings=settings", "--pythonpath=.", cwd=host)

    assert "no issues" in django_admin("check")
    django_admin("check", "--fail-level", "WARNING")
    django_admin("migrate", "--verbosity", "0")
    assert "No changes detected" in django_admin("makemigrations", "--check", "--dry-run")
    django_admin("collectstatic", "--noinput", "--verbosity", "0")
    assert [path for path in (host / "collected").rglob("*.js") if "perfsuite_panel" in path.parts]
    assert "visited" in django_admin("shell", "-c", HOST_VISIT)
