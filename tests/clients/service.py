"""What the client tests share: the program, a server that runs, and steps that are counted."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

# Longer than anything here takes on a busy machine.
PATIENCE = 60


def program():
    """The program under test: USER_MANAGEMENT_BIN, or what the release build made."""
    path = pathlib.Path(os.environ.get("USER_MANAGEMENT_BIN", REPOSITORY / "target/release/user-management")).absolute()
    if not path.is_file():
        sys.exit(f"{path} isn't there: run `cargo build --release`, or set USER_MANAGEMENT_BIN")
    return path


def environment(**settings):
    """The environment of a program that sees no settings but these; USER_MANAGEMENT_BIN would be an unknown key to it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("USER_MANAGEMENT_")}
    return kept | settings


class Failed(Exception):
    """What a step found wrong."""


def expect(holds, what):
    """Ends the step unless this holds."""
    if not holds:
        raise Failed(what)


def eventually(what, question):
    """Asks again until the answer isn't empty, and returns it."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := question()):
        expect(time.monotonic() < deadline, f"not within {PATIENCE} s: {what}")
        time.sleep(0.02)
    return answer


class Server:
    """A server on a directory of its own, from entering to leaving."""

    def __init__(self, directory, *arguments, socket_path="user-management-data/grpc.sock", **settings):
        self.directory = pathlib.Path(directory)
        self.socket = self.directory / socket_path
        self.arguments = arguments
        self.settings = settings
        self.log = self.directory / "server.log"

    def __enter__(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [program(), *self.arguments],
                cwd=self.directory, env=environment(**self.settings), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        try:
            eventually("the server answers on its socket", self.answers)
        except BaseException:
            self.process.kill()
            print(self.log.read_text(), file=sys.stderr)
            raise
        return self

    def answers(self):
        expect(self.process.poll() is None, f"the server ended with {self.process.returncode}")
        with socket.socket(socket.AF_UNIX) as attempt:
            return attempt.connect_ex(str(self.socket)) == 0

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed("the server didn't end when it was asked to") from None
        if kind is not None:
            print(f"--- {self.log}\n{self.log.read_text()}", file=sys.stderr)
        expect(code == 0, f"the server ended with {code}")


class Steps:
    """Counts steps; a failed one is told, and the next goes on."""

    def __init__(self):
        self.passed = self.failed = 0
        self.name = ""

    def __call__(self, name):
        self.name = name
        return self

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        if kind is not None and not issubclass(kind, Exception):
            return False
        if error is None:
            self.passed += 1
            print(f"ok      {self.name}", flush=True)
        else:
            self.failed += 1
            told = str(error) if isinstance(error, Failed) else f"{kind.__name__}: {error}"
            print(f"FAILED  {self.name}\n" + "\n".join(f"        {line}" for line in told.splitlines()), flush=True)
        return True

    def end(self):
        """Says how it went and ends the program."""
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed or not self.passed else 0)
