"""Sources look as .clang-format says, in the one version of clang-format that tests/requirements-build.txt pins."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FORMATTER = pathlib.Path(sys.executable).parent / "clang-format"


def sources():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.c", "*.h"], cwd=ROOT,
                            capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def test_every_c_source_is_formatted():
    result = subprocess.run([FORMATTER, "--dry-run", "-Werror", *sources()], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[:4000] + "\n./dev fmt mends it"


def test_the_formatter_sees_a_fault(tmp_path):
    (tmp_path / ".clang-format").write_text((ROOT / ".clang-format").read_text())
    (tmp_path / "a.c").write_text("int  main( void ){return 0;}\n")
    result = subprocess.run([FORMATTER, "--dry-run", "-Werror", "a.c"], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode != 0
