"""The program as a new operator meets it: the sample configuration, what it says of mistakes, how it ends, and its commands.

Runs the release build, or USER_MANAGEMENT_BIN.
"""

import json
import os
import pathlib
import pty
import re
import shutil
import socket
import subprocess
import tempfile

from service import PATIENCE, REPOSITORY, Failed, Server, Steps, environment, eventually, expect, program

SAMPLE = REPOSITORY / "packaging/user-management.toml"
TRANSPORTS = ("directory", "smtp", "sendmail")


def run(directory, *arguments, **settings):
    """Runs the program to its end; answers its status and the lines of standard output and error."""
    done = subprocess.run(
        [program(), *arguments],
        cwd=directory, env=environment(**settings), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def expect_refused(outcome, status, *lines):
    """The status, and exactly these lines on standard error; each may be the beginning of what is said."""
    code, _, errors = outcome
    said = [error.removeprefix("user-management: ") for error in errors if error.startswith("user-management: ")]
    expect(code == status and len(said) == len(errors) == len(lines), f"{outcome}")
    for line, expected in zip(said, lines):
        expect(line.startswith(expected), f"{line!r} doesn't begin with {expected!r}")


def uncommented(directory, transport):
    """The sample with every key in it set, for one transport, with files that are there."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=x",
         "-keyout", directory / "tls.key", "-out", directory / "tls.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    (directory / "smtp-password").touch(0o600)
    (directory / "smtp-password").write_text("secret\n")
    for copy in ("clients.crt", "relay-ca.crt"):
        (directory / copy).write_bytes((directory / "tls.crt").read_bytes())
    others = [f"[mail.{other}]" for other in TRANSPORTS if other != transport]
    (directory / "templates").mkdir(exist_ok=True)
    lines, skipping = [], False
    for line in SAMPLE.read_text().splitlines():
        line = re.sub(r"^#(?=\[|[a-z_]+ = )", "", line)
        if line.startswith("["):
            skipping = line in others
        if not skipping:
            lines.append(line)
    text = "\n".join(lines).replace("/etc/user-management", str(directory)).replace("/usr/sbin/sendmail", "/bin/true")
    return text.replace('transport = "directory"', f'transport = "{transport}"')


def keys_of_the_readme(heading="\n## Configuration\n"):
    """The keys of the tables below a heading, each with its default as it stands there; `.key` stands beside the one before it."""
    _, _, section = (REPOSITORY / "README.md").read_text().partition(heading)
    defaults = {}
    for row, told in re.findall(r"^\| (`[^|]*) \| ([^|]*) \|", section.partition("\n## ")[0], re.MULTILINE):
        keys = []
        for key in re.findall(r"`([^`]*)`", row):
            keys.append(f"{keys[-1].rpartition('.')[0]}{key}" if key.startswith(".") else key)
        several = told.split(", ")
        defaults |= zip(keys, several if len(several) == len(keys) else [told] * len(keys))
    return defaults


# Where the README tells in words what the default goes by, and a program that isn't on every host.
NOT_COMPARED = {
    "edition", "signup", "link_key_file", "grpc.socket", "mail.language", "mail.directory.path", "mail.smtp.host", "mail.smtp.port",
    "mail.smtp.ca_file", "mail.sendmail.command",
}  # fmt: skip


def real_defaults(directory):
    """What `check-config` says of the keys that aren't set, for all transports; without mail, nothing is asked for."""
    mailing = {"USER_MANAGEMENT_WEB__PUBLIC_URL": "https://users.acme.test", "USER_MANAGEMENT_MAIL__FROM": "users@acme.test"}
    real = {}
    for settings in (
        mailing | {"USER_MANAGEMENT_MAIL__TRANSPORT": "sendmail", "USER_MANAGEMENT_MAIL__SENDMAIL__COMMAND": "/bin/true"},
        mailing | {"USER_MANAGEMENT_MAIL__TRANSPORT": "smtp", "USER_MANAGEMENT_MAIL__SMTP__HOST": "relay.acme.test"},
        {},
    ):
        code, said, errors = run(directory, "check-config", **settings)
        expect((code, errors) == (0, []), f"{code} {errors}")
        real |= {line.removeprefix("# ").removesuffix(" is not set"): "none" for line in said if line.endswith(" is not set")}
        real |= dict(line.removesuffix("  # default").split(" = ", 1) for line in said if line.endswith("# default"))
    return real


def the_sample(steps, directory):
    with steps("the sample configuration is good as shipped, and says nothing but the defaults"):
        code, said, errors = run(directory, "check-config", "--config", SAMPLE)
        expect((code, errors) == (0, []), f"{code} {errors}")
        expect((0, said, []) == run(directory, "check-config"), "it differs from the defaults")
        expect("grpc.listen = [\"127.0.0.1:7001\"]  # default" in said, f"{said}")
    for transport in TRANSPORTS:
        with steps(f"the sample with every key written out is good, with the transport {transport}"):
            config = directory / f"{transport}.toml"
            config.write_text(uncommented(directory, transport))
            code, said, errors = run(directory, "check-config", "--config", config)
            expect((code, errors) == (0, []), f"{code} {errors}")
            unset = {line for line in said if line.endswith(" is not set")}
            expect(unset <= {"# mail.smtp.password is not set"}, f"the sample lacks {unset}")
            defaults = {line for line in said if line.endswith("# default")}
            expect(not defaults, f"the sample lacks {defaults}")
    with steps("the README's table has every key"):
        said = {line for name in TRANSPORTS for line in run(directory, "check-config", "--config", f"{name}.toml")[1]}
        known = {re.match(r"(?:# )?(\S+)", line)[1] for line in said}
        expect(known == set(keys_of_the_readme()), f"{known ^ set(keys_of_the_readme())}")
    with steps("the README's table of all limits has every limit"):
        limits = {key for key in known if key.startswith("limits.")}
        told = set(keys_of_the_readme("\n### All limits\n"))
        expect(told == limits, f"{told ^ limits}")
    with steps("the defaults in the README's tables are the real ones"):
        real, told = real_defaults(directory), keys_of_the_readme()
        differing = {key: (told[key], real.get(key)) for key in told if key not in NOT_COMPARED and told[key].strip("`") != real.get(key)}
        expect(not differing, f"{differing}")
    with steps("the defaults that the sample tells are the real ones"):
        code, said, _ = run(directory, "check-config")
        real = dict(line.removesuffix("  # default").split(" = ", 1) for line in said if line.endswith("# default"))
        code, said, _ = run(directory, "check-config", "--config", directory / "directory.toml")
        told = dict(line.split("  # ")[0].split(" = ", 1) for line in said if " = " in line)
        # where the sample shows another place on purpose
        places = {"grpc.socket", "link_key_file"}
        differing = {key: (value, told[key]) for key, value in real.items() if key not in places and told[key] != value}
        expect(not differing, f"{differing}")
    with steps("a secret isn't printed"):
        (directory / "without.toml").write_text((directory / "smtp.toml").read_text().replace("password_file", "#"))
        code, said, _ = run(
            directory, "check-config", "--config", directory / "without.toml", USER_MANAGEMENT_MAIL__SMTP__PASSWORD="hunter2"
        )
        expect(code == 0 and not any("hunter2" in line for line in said), f"{said}")


BAD = """
edition = "outside"
grpc.listn = ["127.0.0.1:7001"]
grpc.listen = ["0.0.0.0:7001", "here"]
limits.connections = 0
[mail]
transport = "smtp"
"""

ABOUT_BAD = (
    'edition (bad.toml): unknown edition "outside": inside or saas',
    'grpc.listen (bad.toml): "here": must be an IP address and a port, such as 127.0.0.1:7001 or [::1]:7001',
    "grpc.listen (bad.toml): 0.0.0.0:7001 can be reached by others: set grpc.tls, or grpc.allow_plaintext = true",
    "grpc.listn (bad.toml): unknown key",
    "limits.connections (bad.toml): must be a whole number from 1 to 100000",
    "mail.from (not set): is needed when mail is sent",
    "mail.smtp.host (not set): ",
    "web.public_url (not set): is needed as soon as mail is sent",
)


def mistakes(steps, directory):
    (directory / "bad.toml").write_text(BAD)
    for arguments in (["check-config"], []):
        with steps(f"a bad configuration is one line for each mistake, and status 2: {' '.join(arguments) or 'serving'}"):
            expect_refused(run(directory, *arguments, "--config", "bad.toml"), 2, *ABOUT_BAD)
            expect(not (directory / "user-management-data").exists(), "it made a directory all the same")
    with steps("a configuration that isn't there, or isn't TOML"):
        expect_refused(run(directory, "--config", "nowhere.toml"), 2, "nowhere.toml: can't be read: No such file")
        (directory / "broken.toml").write_text("[grpc]\nlisten = [\n")
        expect_refused(run(directory, "--config", "broken.toml"), 2, "broken.toml, line 2: ")
    with steps("a mistyped variable is an error, not nothing"):
        refused = run(directory, USER_MANAGEMENT_GRPC_LISTEN="127.0.0.1:0")
        expect_refused(refused, 2, "grpc_listen (environment variable USER_MANAGEMENT_GRPC_LISTEN): unknown key")
    with steps("files that TLS and mail need are looked at by check-config too"):
        (directory / "empty.pem").touch(0o600)
        refused = run(
            directory, "check-config", USER_MANAGEMENT_GRPC__TLS__CERTIFICATE="empty.pem", USER_MANAGEMENT_GRPC__TLS__KEY="empty.pem"
        )
        expect_refused(refused, 1, "can't use empty.pem for TLS: ")
        smtp = {
            "USER_MANAGEMENT_MAIL__TRANSPORT": "smtp", "USER_MANAGEMENT_MAIL__FROM": "users@acme.test",
            "USER_MANAGEMENT_MAIL__SMTP__HOST": "relay.acme.test", "USER_MANAGEMENT_WEB__PUBLIC_URL": "https://users.acme.test",
        }  # fmt: skip
        refused = run(directory, "check-config", USER_MANAGEMENT_MAIL__SMTP__CA_FILE="empty.pem", **smtp)
        expect_refused(refused, 1, "mail: the CA file empty.pem must hold at least one PEM certificate")
        (directory / "words").mkdir()
        (directory / "words/test.txt").write_text("Subject: Test\n\nIt is {{ hour }}.\n")
        refused = run(directory, "check-config", USER_MANAGEMENT_MAIL__TEMPLATES="words")
        expect_refused(refused, 1, "mail: words/test.txt, line 3: undefined value")
        refused = run(directory, "check-config", USER_MANAGEMENT_MAIL__SMTP__CA_FILE="nowhere.pem", **smtp)
        expect_refused(refused, 1, "mail: the CA file nowhere.pem can't be read: No such file")
    with steps("a data directory that others can write to, or that is a link, is refused"):
        (directory / "shared").mkdir()
        (directory / "shared").chmod(0o777)
        expect_refused(run(directory, "--data-dir", "shared", "--listen", "127.0.0.1:0"), 1, "the data directory shared can be written by")
        (directory / "link").symlink_to("shared")
        expect_refused(run(directory, "--data-dir", "link", "--listen", "127.0.0.1:0"), 1, "the data directory link is a link")


def running(steps, directory):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:{}".format(taken.getsockname()[1])
        with steps("a port that is taken is one line, and status 1"):
            said = f"can't listen on {address}: the address is in use; is another server running?"
            expect_refused(run(directory, "--data-dir", "second", "--listen", address), 1, said)
    with steps("a server says where it listens and where mails go, keeps others off its directory, and ends when asked to"):
        with Server(directory, "--listen", "127.0.0.1:0") as server:
            refused = run(directory, "--listen", "127.0.0.1:0")
            expect_refused(refused, 1, "the data directory ./user-management-data is in use by another server or command")
            log = server.log.read_text()
            for said in (r"tcp:127\.0\.0\.1:[1-9]\d*", r"unix:\./user-management-data/grpc\.sock", r"\./user-management-data/mail"):
                expect(re.search(said, log), f"{said} isn't in\n{log}")
        expect(not server.socket.exists(), "the socket stayed")
    with steps("its directory and files are its own"):
        for path in [server.socket.parent, *server.socket.parent.rglob("*")]:
            expect(path.stat().st_mode & 0o077 == 0, f"{path} has mode {path.stat().st_mode:o}")
    with steps("it doesn't start on old data without the link key"):
        (server.socket.parent / "link.key").rename(directory / "kept.key")
        refused = run(directory, "--listen", "127.0.0.1:0")
        expect_refused(refused, 1, "the link key ./user-management-data/link.key is missing beside an existing database")
    with steps("it takes the key from elsewhere, also as systemd shows a credential: of root's group, 0440"):
        (directory / "kept.key").chmod(0o440 if os.getgid() == 0 else 0o400)
        with Server(directory, "--listen", "127.0.0.1:0", USER_MANAGEMENT_LINK_KEY_FILE="kept.key"):
            pass


def at_a_terminal(directory, answer, *arguments):
    """Runs the program where a person could answer its question, and answers so; returns its status and what the terminal showed."""
    ours, its = pty.openpty()
    process = subprocess.Popen([program(), *arguments], cwd=directory, env=environment(), stdin=its, stdout=its, stderr=its)
    os.close(its)
    shown = b""
    while b"[y/N] " not in shown:
        shown += os.read(ours, 4096)
    os.write(ours, answer.encode() + b"\n")
    try:
        while more := os.read(ours, 4096):
            shown += more
    except OSError:
        # so a terminal ends whose other end is closed
        pass
    os.close(ours)
    return process.wait(PATIENCE), shown.decode()


def closed_to_others(directory):
    """Runs a command as somebody who may not use the socket, from a place where they may run the program."""
    copy = directory / "program"
    shutil.copy(program(), copy)
    for passed_through in (directory, directory.parent):
        passed_through.chmod(0o711)
    if os.geteuid() != 0:
        (directory / "user-management-data/grpc.sock").chmod(0)
    done = subprocess.run(
        [copy, "account", "list"],
        cwd=directory, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
        **({"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}),
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def operating(steps, directory):
    directory.mkdir()
    with steps("without a server and without data, a command makes nothing"):
        code, _, errors = run(directory, "account", "create", "acme")
        expect(code == 4 and "holds no data yet" in errors[0], f"{code} {errors}")
        expect(not list(directory.iterdir()), "it made something")
    with steps("commands go to the running server, in words for people and in JSON for scripts"):
        with Server(directory, "--listen", "127.0.0.1:0"):
            expect(run(directory, "account", "create", "acme", "--display-name", "Acme")[0] == 0, "not created")
            code, said, errors = run(directory, "account", "list")
            expect((code, errors, said[0].split()[:2]) == (0, [], ["ACCOUNT", "DISPLAY"]), f"{code} {said} {errors}")
            code, said, _ = run(directory, "invite", "send", "acme", "ann@acme.test", "--privilege", "admin", "--json")
            invitation = json.loads(said[0])["invitation"]
            expect(invitation["privilege"] == "PRIVILEGE_ADMIN", f"{said}")
            code, said, _ = run(directory, "status")
            expect((code, said[-1]) == (0, "all is well"), f"{code} {said}")

            withdraw = ["invite", "withdraw", "acme", invitation["id"]]
            code, _, errors = run(directory, *withdraw)
            expect(code == 1 and "Say --yes" in errors[0], f"{code} {errors}")
            code, shown = at_a_terminal(directory, "", *withdraw)
            expect(code == 1 and "nothing was changed" in shown, f"{code} {shown}")
            code, shown = at_a_terminal(directory, "yes", *withdraw)
            expect(code == 0 and "withdrawn" in shown, f"{code} {shown}")

            shell = f"'{program()}' events list --json | head -n 1"
            piped = subprocess.run(["bash", "-o", "pipefail", "-c", shell], cwd=directory, env=environment(), capture_output=True, text=True)
            expect((piped.returncode, piped.stderr) == (0, ""), f"{piped}")
            expect(json.loads(piped.stdout)["kind"] == "EVENT_KIND_INVITATION_WITHDRAWN", f"{piped}")
            code, said, errors = closed_to_others(directory)
            expect((code, said) == (1, []) and "is closed to uid" in errors[0], f"{code} {said} {errors}")
    with steps("when the server has ended, the same commands work on its data"):
        code, said, errors = run(directory, "account", "show", "acme", "--json")
        expect((code, json.loads(said[0])["name"]) == (0, "acme"), f"{code} {said}")
        expect(errors[0].startswith("user-management: no server runs, so this worked on"), f"{errors}")
        expect(run(directory, "status")[0] == 4, "a server that doesn't run isn't well")


SCREENS = "## For operators: the command line"

# What no two runs have in common. How columns are aligned depends on it.
VARYING = (
    (r"\b(usr|inv|mail|epo)_[0-9a-f]{32}", r"\1_…"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"\b[0-9a-f]{8}-[0-9a-f]+\b", "ETAG"),
    (r"up for +.*", "up for  …"),
    (r"tcp:127\.0\.0\.1:\d+", "tcp:…"),
    (r"operator:\d+", "operator:UID"),
    (r"  +", "  "),
)


def screens():
    """The commands of the README's screens, each with what it shows."""
    _, _, section = (REPOSITORY / "README.md").read_text().partition(f"\n{SCREENS}\n")
    block = section.partition("\n```\n")[2].partition("\n```\n")[0]
    for screen in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, shown = screen.partition("\n")
        yield command, shown.strip("\n")


def alike(text):
    for pattern, word in VARYING:
        text = re.sub(pattern, word, text)
    return text


class Reader:
    """Types the commands of the README in its directory; its ids are those that came back here."""

    def __init__(self, directory):
        self.directory = directory
        self.ids = {}
        (directory / "bin").mkdir()
        (directory / "bin/user-management").symlink_to(program())

    def types(self, command, expected):
        for told, came in self.ids.items():
            command = command.replace(told, came)
        eventually("mails are settled", lambda: not run(self.directory, "mail", "list", "--state", "queued,sending", "--json")[1])
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.directory, env=environment(PATH=f"{self.directory}/bin:{os.environ['PATH']}"), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE,
        )  # fmt: skip
        shown = done.stdout.rstrip("\n").replace(str(self.directory), "/srv/acme")
        expect(alike(shown) == alike(expected), f"it shows\n{shown}\nand not\n{expected}")
        pattern = VARYING[0][0]
        told, came = (re.finditer(pattern, text) for text in (expected, shown))
        self.ids.update((one[0], other[0]) for one, other in zip(told, came))

    def calls(self, rpc, request, *headers):
        done = subprocess.run(
            ["grpcurl", "-plaintext", "-unix", "-authority", "localhost", *headers, "-d", json.dumps(request),
             "user-management-data/grpc.sock", f"circonus.usermanagement.v1.Identity/{rpc}"],
            cwd=self.directory, capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        expect(done.returncode == 0, f"{rpc}: {done.stderr}")
        return json.loads(done.stdout)

    def joins(self, email, name):
        """Lets somebody accept their invitation, which the README doesn't show."""
        link = run(self.directory, "user", "create", email, name, "--return-link")[1][0]
        self.calls("ResetPassword", {"token": link.partition("#token=")[2], "password": "correct horse battery"})
        token = self.calls("SignIn", {"email": email, "password": "correct horse battery"})["sessionToken"]
        invitation = json.loads(run(self.directory, "invite", "list", "acme", "--email", email, "--json")[1][0])["id"]
        self.calls("AcceptInvitation", {"invitation": invitation}, "-H", f"authorization: Bearer {token}")


def the_readme(steps, directory):
    directory.mkdir()
    reader = Reader(directory)
    found = list(screens())
    with steps("the README's screens show every new verb"):
        for verb in ("invite send", "invite update", "member batch", "member list acme --", "edition preview", "super-admin grant", "events list --"):
            expect(any(command.startswith(f"user-management {verb}") for command, _ in found), f"{verb} isn't shown")
    with Server(directory, "--listen", "127.0.0.1:0"):
        for command, shown in found:
            with steps(f"in the README: {command}"):
                if command.startswith("cat "):
                    (directory / command.removeprefix("cat ")).write_text(shown + "\n")
                reader.types(command, shown)
                if command.startswith("user-management account create"):
                    run(directory, "invite", "send", "acme", "ann@acme.test", "--privilege", "admin")
                    reader.joins("ann@acme.test", "Ann")
                elif command.startswith("user-management invite send"):
                    reader.joins("bob@acme.test", "Bob")


def main():
    steps = Steps()
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        the_sample(steps, directory)
        mistakes(steps, directory)
        running(steps, directory)
        operating(steps, directory / "operators")
        the_readme(steps, directory / "readme")
    steps.end()


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        raise SystemExit(str(failed)) from None
