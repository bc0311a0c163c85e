"""Runs the transcript of README.md as a reader would, and compares every answer with what stands there.

The first ```bash block under "## The whole way" is one bash script. Each of its commands runs in the same shell; the `#>` lines
under a command must all occur in its output, in order, white space apart. A command succeeds unless its first line is
`#> ERROR:`; then it must fail. The server is the release build, or USER_MANAGEMENT_BIN, on its defaults in a fresh directory.
"""

import pathlib
import subprocess
import tempfile

from service import REPOSITORY, Failed, Server, Steps, environment, expect

HEADING = "## The whole way"


def block():
    """The lines of the block."""
    text = (REPOSITORY / "README.md").read_text()
    _, _, after = text.partition(f"\n{HEADING}\n")
    _, _, after = after.partition("\n```bash\n")
    lines, end, _ = after.partition("\n```\n")
    if not end:
        raise SystemExit(f"README.md has no bash block under {HEADING!r}")
    return lines.splitlines()


def is_whole(text):
    """Whether bash takes the lines so far as whole commands."""
    return subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True).returncode == 0


def commands(lines):
    """The commands, each with the lines that are expected of it."""
    found, pending = [], []
    for line in lines:
        if line.startswith("#>"):
            if not found or pending:
                raise SystemExit(f"{line!r} stands under no command")
            found[-1][1].append(line.removeprefix("#>").strip())
        elif pending or (line.strip() and not line.startswith("#")):
            pending.append(line)
            if not line.endswith("\\") and is_whole("\n".join(pending) + "\n"):
                found.append(("\n".join(pending), []))
                pending = []
    if pending:
        raise SystemExit(f"this command has no end: {pending[0]}")
    return found


def run(directory, found):
    """Runs all commands in one shell; answers status and output of each that was reached."""
    outputs = directory / "outputs"
    outputs.mkdir()
    script = "".join(
        f"{{ {command}\n}} >{outputs}/{number}.out 2>&1\necho $? >{outputs}/{number}.status\n"
        for number, (command, _) in enumerate(found)
    )
    try:
        subprocess.run(["bash", "-c", script], stdin=subprocess.DEVNULL, cwd=directory, env=environment(), timeout=300)
    except subprocess.TimeoutExpired:
        print("the block didn't end within 300 s")
    for number in range(len(found)):
        status = outputs / f"{number}.status"
        output = outputs / f"{number}.out"
        yield (
            int(status.read_text()) if status.exists() else None,
            output.read_text() if output.exists() else "",
        )


def judge(status, output, expected):
    """Compares what came with what stands in the README."""
    expect(status is not None, f"it didn't end; so far it said\n{output}")
    if expected and expected[0].startswith("ERROR:"):
        expect(status != 0, f"it should have failed, and said\n{output}")
    else:
        expect(status == 0, f"it ended with {status} and said\n{output}")
    said, at = " ".join(output.split()), 0
    for line in expected:
        line = " ".join(line.split())
        at = said.find(line, at)
        expect(at >= 0, f"expected, and not said from there on: {line}\n{output}")
        at += len(line)


def main():
    steps = Steps()
    found = commands(block())
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        # 127.0.0.1:7001 may be taken on a machine that does other things too; the transcript needs the socket alone
        with Server(directory, USER_MANAGEMENT_GRPC__LISTEN="127.0.0.1:0"):
            outcomes = list(run(directory, found))
    for (command, expected), (status, output) in zip(found, outcomes):
        with steps(command.splitlines()[0]):
            judge(status, output, expected)
    steps.end()


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        raise SystemExit(str(failed)) from None
