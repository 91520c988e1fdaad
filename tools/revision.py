"""Of which sources a measurement is, and from how many rounds, for the line above its table."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]


def commit():
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return git("rev-parse", "--short", "HEAD") + (" and changes" if git("status", "--porcelain", "-uno", "src") else "")


def medians(rounds):
    return "one round" if rounds == 1 else f"medians of {rounds} rounds"
