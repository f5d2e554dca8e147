import subprocess
import sys

import pytest

from mixpo import doctor
from mixpo.doctor import Finding, Health, disk, examine, extras, import_problem, module_of, part


def test_extras_are_the_packages_own(monkeypatch):
    lines = [
        "torch>=2.9", 'datasets>=3; extra == "datasets"', "peft>=0.17; extra == 'peft'", 'ruff>=0.8; extra == "dev"',
    ]  # fmt: skip
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: lines)
    assert extras() == {"datasets": ["datasets"], "peft": ["peft"]}


def test_every_extra_of_the_installed_package_is_looked_at():
    assert {"datasets", "peft"} <= extras().keys()


def test_a_library_that_is_there_one_that_is_not_and_one_that_is_broken(monkeypatch):
    assert part("x", "jinja2").state is Health.OK
    absent = part("app", "no-such-library-as-this")
    assert (absent.state, absent.advice) == (Health.ABSENT, "pip install 'mixpo[app]'")
    monkeypatch.setattr(doctor, "module_of", lambda name: "module_that_fails")
    broken = part("x", "jinja2")
    assert broken.state is Health.BROKEN
    assert "No module named 'module_that_fails'" in broken.detail
    assert "jinja2==" in broken.advice


@pytest.mark.parametrize(("distribution", "module"), [("pyyaml", "yaml"), ("pillow", "PIL"), ("Jinja2", "jinja2")])
def test_modules_of_distributions(distribution, module):
    assert module_of(distribution) == module


def test_an_import_that_hangs_or_crashes_is_told(monkeypatch):
    monkeypatch.setattr(doctor, "IMPORT_LIMIT", 0.01)
    assert "takes more than" in import_problem("jinja2")
    monkeypatch.setattr(doctor, "IMPORT_LIMIT", 30)
    assert "No module named" in import_problem("no_such_module")


def test_disk_of_a_folder_that_is_not_there_yet_and_of_one_with_little_room(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "LOW_DISK", 0)  # the disk of the tests' machine may be nearly full
    assert disk("here", tmp_path / "a" / "b").state is Health.OK
    monkeypatch.setattr(doctor, "LOW_DISK", 1 << 60)
    low = disk("here", tmp_path)
    assert (low.state, "make room" in low.advice) == (Health.LOW, True)


def test_everything_not_ok_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "extras", lambda: {"app": ["no-such-library-as-this"]})
    findings = list(examine(tmp_path))
    assert {"versions", "processor", "memory", "disk here", "disk for models"} <= {finding.name for finding in findings}
    assert any(finding.name.startswith("GPU") for finding in findings)
    assert all(finding.advice for finding in findings if finding.state is not Health.OK)


def test_the_command_fails_only_for_what_is_broken(monkeypatch):
    for state, sound in ((Health.ABSENT, True), (Health.LOW, True), (Health.BROKEN, False)):
        monkeypatch.setattr(doctor, "examine", lambda folder, state=state: iter([Finding("x", state, "y", "z")]))
        assert doctor.doctor(None) is sound


def test_on_the_command_line():
    code = """
import sys
from mixpo import doctor
doctor.extras = lambda: {}
sys.argv = ["mixpo", "doctor"]
from mixpo.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ok     versions: mixpo " in done.stdout
