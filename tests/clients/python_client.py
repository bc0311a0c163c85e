"""A client of another language: stubs generated from proto/, TLS, a real relay, and the way from an invitation to a removal.

Needs grpcio, grpcio-tools, grpcio-status, grpcio-reflection, grpcio-health-checking, aiosmtpd and the openssl command. The server is the
release build, or USER_MANAGEMENT_BIN.
"""

import asyncio
import contextlib
import email
import email.policy
import importlib
import logging
import pathlib
import ssl
import subprocess
import sys
import tempfile
import threading
import uuid

import aiosmtpd.smtp
import grpc
from google.protobuf import descriptor_pool
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status
from grpc_tools import protoc

from service import PATIENCE, REPOSITORY, Server, Steps, eventually, expect

PACKAGE = "circonus.usermanagement.v1"
PASSWORDS = {"ann@acme.test": "correct horse battery", "bob@acme.test": "hammer and tongs"}
LOGIN, LOGIN_PASSWORD = "users", "hunter2, or not"
ALERTING = "spiffe://acme.test/alerting"


def generate(directory):
    """Makes the stubs and returns a namespace of all messages, enums and stubs."""
    proto = REPOSITORY / "proto"
    files = sorted(str(file) for file in (proto / PACKAGE.replace(".", "/")).glob("*.proto"))
    bundled = pathlib.Path(protoc.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{proto}", f"-I{bundled}", f"--python_out={directory}", f"--grpc_python_out={directory}", *files]
    expect(protoc.main(arguments) == 0, "protoc failed")
    sys.path.insert(0, str(directory))
    names = {}
    for file in files:
        for suffix in ("_pb2", "_pb2_grpc"):
            names.update(vars(importlib.import_module(f"{PACKAGE}.{pathlib.Path(file).stem}{suffix}")))
    return type("Contract", (), names)


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """A private authority, as sites have them."""

    def __init__(self, directory):
        self.directory = directory
        self.certificate = directory / "ca.crt"
        openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=Acme CA",
            "-addext", "keyUsage=critical,keyCertSign", "-keyout", directory / "ca.key", "-out", self.certificate,
        )  # fmt: skip

    def issue(self, name, alternative_names):
        """A certificate and its key, as PEM files."""
        key, request, certificate, extensions = (self.directory / f"{name}.{end}" for end in ("key", "csr", "crt", "ext"))
        extensions.write_text(f"subjectAltName={alternative_names}\nbasicConstraints=CA:FALSE\n")
        openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
            "-keyout", key, "-out", request,
        )  # fmt: skip
        openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.directory / "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", extensions, "-out", certificate,
        )  # fmt: skip
        return certificate, key


class Relay:
    """A relay that takes mail after STARTTLS and AUTH alone; it runs in a thread of its own."""

    def __init__(self, certificate, key):
        self.taken = []
        self.refuses_login = False
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)
        self.loop = asyncio.new_event_loop()

    def __enter__(self):
        self.server = self.loop.run_until_complete(self.loop.create_server(self.conversation, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)

    def conversation(self):
        return aiosmtpd.smtp.SMTP(
            self, hostname="relay.acme.test", tls_context=self.tls, require_starttls=True, auth_required=True,
            authenticator=self.authenticate, loop=self.loop,
        )  # fmt: skip

    def authenticate(self, server, session, envelope, mechanism, login):
        right = (login.login, login.password) == (LOGIN.encode(), LOGIN_PASSWORD.encode())
        return aiosmtpd.smtp.AuthResult(success=right and not self.refuses_login, handled=False)

    async def handle_DATA(self, server, session, envelope):
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.taken.append((bool(session.ssl), session.authenticated, envelope.mail_from, envelope.rcpt_tos, parsed))
        return "250 2.0.0 taken"

    def mail_to(self, address, subject):
        """The newest such mail, once it is there."""
        def newest():
            fitting = [mail for *_, to, mail in self.taken if to == [address] and mail["subject"].startswith(subject)]
            return fitting[-1] if fitting else None

        return eventually(f"a mail {subject!r} to {address}", newest)


def text_of(mail):
    return mail.get_body(("plain",)).get_content()


def token_of(mail):
    """The token that stands alone below `Token:`."""
    lines = text_of(mail).splitlines()
    return lines[lines.index("Token:") + 1]


class Client:
    """All four services on one channel, with the same metadata on every call."""

    def __init__(self, contract, channel, *metadata):
        for stub, prefix in [("UserManagement", "users"), ("Access", "access"), ("Identity", "identity"), ("Operations", "operations")]:
            setattr(self, prefix, Bound(getattr(contract, f"{stub}Stub")(channel), metadata))


class Bound:
    def __init__(self, stub, metadata):
        self.stub, self.metadata = stub, metadata

    def __getattr__(self, rpc):
        call = getattr(self.stub, rpc)
        return lambda request: call(request, metadata=self.metadata, timeout=PATIENCE)


def bearer(token):
    return ("authorization", f"Bearer {token}")


def refusal(call, request, code):
    """The details of the refusal of a call, by their type."""
    try:
        answer = call(request)
    except grpc.RpcError as error:
        expect(error.code() == code, f"{error.code()} {error.details()}")
        found = {}
        for detail in rpc_status.from_call(error).details:
            for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.PreconditionFailure):
                if detail.Is(kind.DESCRIPTOR):
                    found[kind] = kind()
                    detail.Unpack(found[kind])
        info = found[error_details_pb2.ErrorInfo]
        expect(info.domain == "usermanagement.circonus" and info.metadata["trace_id"], f"{info}")
        return found
    expect(False, f"it was answered: {answer}")


def reason(call, request, code):
    return refusal(call, request, code)[error_details_pb2.ErrorInfo].reason


def settings(authority_file, certificate, key, relay, password_file):
    return f"""
data_dir = "data"

[grpc]
listen = ["127.0.0.1:0"]
[grpc.tls]
certificate = "{certificate}"
key = "{key}"
client_ca = "{authority_file}"

[web]
public_url = "https://users.acme.test/inside"

[mail]
transport = "smtp"
from = "Circonus Inside <noreply@acme.test>"
[mail.smtp]
host = "localhost"
port = {relay.port}
username = "{LOGIN}"
password_file = "{password_file}"
ca_file = "{authority_file}"
"""


class Site:
    """What the steps work with: a server, a relay, and clients of it."""

    def __init__(self, contract, authority, server, relay, address):
        self.contract, self.authority, self.server, self.relay, self.address = contract, authority, server, relay, address

    def over_the_socket(self):
        """The operator. Without the option the client sends the path as authority, and HTTP/2 refuses that."""
        return grpc.insecure_channel(f"unix:{self.server.socket}", options=[("grpc.default_authority", "localhost")])

    def over_tcp(self, certificate=None, key=None):
        credentials = grpc.ssl_channel_credentials(
            self.authority.certificate.read_bytes(),
            key and key.read_bytes(),
            certificate and certificate.read_bytes(),
        )
        return grpc.secure_channel(self.address, credentials)


def the_whole_way(steps, site, channel, operator):
    c, relay = site.contract, site.relay
    nobody = Client(c, channel)

    def sign_up(address):
        nobody.identity.SignUp(c.SignUpRequest(email=address, password=PASSWORDS[address], display_name=address[:3].title()))
        mail = relay.mail_to(address, "Confirm your address")
        nobody.identity.ConfirmEmail(c.ConfirmEmailRequest(token=token_of(mail), password=PASSWORDS[address]))
        signed_in = nobody.identity.SignIn(c.SignInRequest(email=address, password=PASSWORDS[address]))
        return Client(c, channel, bearer(signed_in.session_token)), signed_in.user.id

    with steps("an operator makes an account and a service over the socket"):
        account = operator.users.CreateAccount(c.CreateAccountRequest(name="acme", display_name="Acme")).account
        expect(account.admin_missing, f"{account}")
        made = operator.operations.CreateService(c.CreateServiceRequest(name="checker", scopes=["access.check"], account="acme"))
        checker = Client(c, channel, bearer(made.token))

    def check(user, permission, by=checker):
        return by.access.CheckAccess(c.CheckAccessRequest(account="acme", user=user, permission=permission))

    def expect_denied(user, permission, why, by=checker):
        answer = check(user, permission, by)
        expect(not answer.allowed and answer.reason == why, f"{answer}")
        return answer

    with steps("an invitation goes through STARTTLS and AUTH to the address, and says so"):
        request = c.InviteUserRequest(account="acme", email="ann@acme.test", privilege=c.PRIVILEGE_ADMIN)
        invitation = operator.users.InviteUser(request).invitation
        expect(invitation.state == c.INVITATION_STATE_PENDING, f"{invitation}")
        relay.mail_to("ann@acme.test", "You are invited to Acme")
        tls, authenticated, sender, recipients, _ = relay.taken[0]
        expect((tls, authenticated, sender, recipients) == (True, True, "noreply@acme.test", ["ann@acme.test"]), f"{relay.taken[0]}")
        question = c.GetInvitationRequest(account="acme", invitation=invitation.id)

        def sent():
            now = operator.users.GetInvitation(question).invitation
            return now if now.delivery.state == c.DELIVERY_STATE_SENT else None

        delivery = eventually("the invitation is sent", sent).delivery
        expect(delivery.attempts == 1 and delivery.last_reply == "250 2.0.0 taken", f"{delivery}")
    with steps("the mail has the headers and both parts, with the same token in link and text"):
        mail = relay.mail_to("ann@acme.test", "You are invited")
        expect(mail["from"].addresses[0].addr_spec == "noreply@acme.test" and mail["to"] == "ann@acme.test", f"{mail}")
        expect(mail["auto-submitted"] == "auto-generated" and mail["date"].datetime, f"{mail}")
        expect(mail["message-id"].startswith("<mail_") and mail["message-id"].endswith("@acme.test>"), mail["message-id"])
        expect(mail.get_content_type() == "multipart/alternative", mail.get_content_type())
        link = f"https://users.acme.test/inside/invitation#token={token_of(mail)}"
        expect(link in text_of(mail).splitlines(), text_of(mail))
        html = mail.get_body(("html",)).get_content()
        expect(token_of(mail) in html and "https:&#x2f;&#x2f;users.acme.test" in html, html)
    with steps("the link is previewed without being spent, by nobody in particular"):
        token = token_of(relay.mail_to("ann@acme.test", "You are invited"))
        preview = nobody.identity.PreviewInvitation(c.PreviewInvitationRequest(token=token)).invitation
        expect(preview.email == "ann@acme.test" and preview.privilege == c.PRIVILEGE_ADMIN, f"{preview}")
    with steps("a stranger who signs up gets the same answer, and no mail"):
        request = c.SignUpRequest(email="eve@evil.test", password="let me in, please", display_name="Eve")
        nobody.identity.SignUp(request)
    with steps("Ann signs up, confirms, signs in and accepts"):
        ann, ann_id = sign_up("ann@acme.test")
        accepted = ann.identity.AcceptInvitation(c.AcceptInvitationRequest(token=token, etag=preview.etag))
        expect(not accepted.account.admin_missing and accepted.member.user == ann_id, f"{accepted}")
        expect(check(ann_id, c.PERMISSION_MANAGE_USERS).allowed, "Ann may manage users")
    with steps("Ann invites Bob with a role, twice by the same request id and once in fact"):
        request = c.InviteUserRequest(
            account="acme", email="bob@acme.test", privilege=c.PRIVILEGE_NORMAL, roles=[c.ROLE_ALERTS], request_id=str(uuid.uuid4())
        )
        first, second = (ann.users.InviteUser(request).invitation for _ in range(2))
        expect(first.id == second.id and second.send_count == 1, f"{first} {second}")
        request.request_id = ""
        expect(reason(ann.users.InviteUser, request, grpc.StatusCode.ALREADY_EXISTS) == "INVITATION_EXISTS", "it exists")
    with steps("nobody else can accept Bob's invitation"):
        token = token_of(relay.mail_to("bob@acme.test", "You are invited"))
        request = c.AcceptInvitationRequest(token=token)
        why = reason(ann.identity.AcceptInvitation, request, grpc.StatusCode.PERMISSION_DENIED)
        expect(why == "INVITATION_FOR_ANOTHER_ADDRESS", why)
        expect_denied("bob@acme.test", c.PERMISSION_VIEW, c.ACCESS_REASON_NOT_A_MEMBER)
    with steps("Bob signs up, finds his invitation and accepts it"):
        bob, bob_id = sign_up("bob@acme.test")
        mine = bob.identity.ListMyInvitations(c.ListMyInvitationsRequest()).invitations
        expect([offer.granted_by_name for offer in mine] == ["Ann"], f"{mine}")
        bob.identity.AcceptInvitation(c.AcceptInvitationRequest(invitation=mine[0].id))
    with steps("his role opens alerts and not graphs, and the service learns what would"):
        expect(check(bob_id, c.PERMISSION_RESPOND_TO_ALERTS).allowed, "alerts")
        denied = expect_denied(bob_id, c.PERMISSION_MODIFY_GRAPHS, c.ACCESS_REASON_ROLE_MISSING)
        expect([grant.role for grant in denied.would_be_allowed_with] == [c.ROLE_TRENDING], f"{denied}")
    with steps("new roles count with the answer"):
        roles = [c.ROLE_DATA, c.ROLE_TRENDING]
        assigned = ann.users.AssignRoles(c.AssignRolesRequest(account="acme", user="bob@acme.test", roles=roles))
        expect(c.PERMISSION_MODIFY_GRAPHS in assigned.effects[0].gained, f"{assigned}")
        expect(c.PERMISSION_RESPOND_TO_ALERTS in assigned.effects[0].lost, f"{assigned}")
        expect(check(bob_id, c.PERMISSION_MODIFY_GRAPHS).allowed, "graphs")
        expect_denied(bob_id, c.PERMISSION_RESPOND_TO_ALERTS, c.ACCESS_REASON_ROLE_MISSING)
    with steps("a client certificate is a service too"):
        operator.operations.CreateService(
            c.CreateServiceRequest(name="alerting", scopes=["access.check"], certificate_name=ALERTING)
        )
        with site.over_tcp(*site.authority.issue("alerting", f"URI:{ALERTING}")) as certified:
            expect(check(bob_id, c.PERMISSION_MODIFY_GRAPHS, Client(c, certified)).allowed, "graphs, by certificate")
    with steps("a service acting for Bob may do what both may"):
        made = operator.operations.CreateService(
            c.CreateServiceRequest(name="portal", scopes=["users.read", "users.write", "users.act_as"], account="acme")
        )
        portal = Client(c, channel, bearer(made.token), ("x-act-as", "bob@acme.test"))
        expect(len(portal.users.ListMembers(c.ListMembersRequest(account="acme")).members) == 2, "two members")
        request = c.RemoveMemberRequest(account="acme", user=ann_id)
        expect(reason(portal.users.RemoveMember, request, grpc.StatusCode.PERMISSION_DENIED) == "ACCESS_DENIED", "not by Bob")
    with steps("Read-Only takes the roles, and with them the graphs"):
        request = c.ChangePrivilegeRequest(account="acme", user=bob_id, privilege=c.PRIVILEGE_READ_ONLY)
        member = ann.users.ChangePrivilege(request).member
        expect(not member.roles, f"{member}")
        expect_denied(bob_id, c.PERMISSION_MODIFY_GRAPHS, c.ACCESS_REASON_PRIVILEGE_TOO_LOW)
        expect(check(bob_id, c.PERMISSION_VIEW).allowed, "he still sees the pages")
    with steps("the last Admin stays, with a reason for programs"):
        details = refusal(
            ann.users.RemoveMember, c.RemoveMemberRequest(account="acme", user=ann_id), grpc.StatusCode.FAILED_PRECONDITION
        )
        info = details[error_details_pb2.ErrorInfo]
        expect((info.reason, info.metadata["accounts"]) == ("LAST_ADMIN", "acme"), f"{info}")
        expect(details[error_details_pb2.PreconditionFailure].violations[0].type == "LAST_ADMIN", f"{details}")
    with steps("all that is wrong with a request is told at once"):
        request = c.InviteUserRequest(account="acme", email="not an address", roles=[99], request_id="no uuid")
        details = refusal(ann.users.InviteUser, request, grpc.StatusCode.INVALID_ARGUMENT)
        expect(details[error_details_pb2.ErrorInfo].reason == "FIELDS_INVALID", f"{details}")
        fields = {violation.field for violation in details[error_details_pb2.BadRequest].field_violations}
        expect({"email", "privilege", "request_id"} < fields and len(fields) == 4, f"{fields}")
    with steps("removal ends access with the answer, for Bob's own session too"):
        removed = ann.users.RemoveMember(c.RemoveMemberRequest(account="acme", user="bob@acme.test"))
        expect(removed.effects[0].lost == [c.PERMISSION_VIEW], f"{removed}")
        expect_denied(bob_id, c.PERMISSION_VIEW, c.ACCESS_REASON_NOT_A_MEMBER)
        request = c.ListMembersRequest(account="acme")
        expect(reason(bob.users.ListMembers, request, grpc.StatusCode.PERMISSION_DENIED) == "ACCESS_DENIED", "for Bob")
    with steps("what happened is recorded, with who did it"):
        events = ann.operations.ListEvents(c.ListEventsRequest(account="acme")).events
        expect((events[0].kind, events[0].actor) == (c.EVENT_KIND_MEMBER_REMOVED, ann_id), f"{events[0]}")
        expect(not any(event.client_address for event in events), "no client addresses for members")
        everything = operator.operations.ListEvents(c.ListEventsRequest(page_size=1000)).events
        expect([event.seq for event in everything] == list(range(len(everything), 0, -1)), "no gaps")
    with steps("a revoked token, none, and a made-up one are told apart from a refusal"):
        services = {s.name: s for s in operator.operations.ListServices(c.ListServicesRequest()).services}
        operator.operations.RevokeService(c.RevokeServiceRequest(service=services["checker"].id))
        for client, expected in [
            (checker, "CREDENTIALS_INVALID"),
            (nobody, "CREDENTIALS_MISSING"),
            (Client(c, channel, bearer("ses_made-up")), "CREDENTIALS_INVALID"),
        ]:
            request = c.CheckAccessRequest(account="acme", user=bob_id, permission=c.PERMISSION_VIEW)
            why = reason(client.access.CheckAccess, request, grpc.StatusCode.UNAUTHENTICATED)
            expect(why == expected, f"{why}, not {expected}")
    with steps("the stranger got no mail"):
        def drops():
            return [m for m in operator.operations.ListMail(c.ListMailRequest(states=[c.DELIVERY_STATE_DROPPED])).mails]

        dropped = eventually("the mail is dropped", drops)
        expect([mail.recipient for mail in dropped] == ["eve@evil.test"], f"{dropped}")
        expect(not any(to == ["eve@evil.test"] for *_, to, _ in relay.taken), "nothing was sent")


def serves(channel, service=""):
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE)
    return answer.status == health_pb2.HealthCheckResponse.SERVING


def a_relay_that_refuses(steps, site, channel, operator):
    c, relay = site.contract, site.relay

    def find(invitation, state, attempts):
        request = c.GetInvitationRequest(account="acme", invitation=invitation)
        delivery = operator.users.GetInvitation(request).invitation.delivery
        return delivery if delivery.state == state and delivery.attempts == attempts else None

    with steps("a relay that refuses the login keeps the mail queued, and says why on the invitation"):
        relay.refuses_login = True
        request = c.InviteUserRequest(account="acme", email="cid@acme.test", privilege=c.PRIVILEGE_NORMAL)
        cid = operator.users.InviteUser(request).invitation.id
        delivery = eventually("one attempt is made", lambda: find(cid, c.DELIVERY_STATE_QUEUED, 1))
        expect(delivery.last_reply.startswith("AUTH: 535") and delivery.HasField("next_attempt_time"), f"{delivery}")
    with steps("the fault stands in the server's state, and the server is healthy"):
        queue = operator.operations.GetServerInfo(c.GetServerInfoRequest()).mail_queue
        expect(queue.queued == 1 and queue.failed == 0 and queue.last_fault.startswith("AUTH: 535"), f"{queue}")
        expect(serves(channel), "health")
    with steps("once the relay works, RetryMail delivers at once"):
        relay.refuses_login = False
        waiting = operator.operations.ListMail(c.ListMailRequest(states=[c.DELIVERY_STATE_QUEUED])).mails
        expect([mail.recipient for mail in waiting] == ["cid@acme.test"], f"{waiting}")
        operator.operations.RetryMail(c.RetryMailRequest(mail=waiting[0].id))
        mail = relay.mail_to("cid@acme.test", "You are invited")
        expect(mail["message-id"] == waiting[0].message_id, f"{mail['message-id']}, {waiting[0].message_id}")
        eventually("it is sent", lambda: find(cid, c.DELIVERY_STATE_SENT, 2))
        queue = operator.operations.GetServerInfo(c.GetServerInfoRequest()).mail_queue
        expect(queue.queued == 0 and not queue.last_fault, f"{queue}")
    with steps("a sent mail isn't sent again"):
        request = c.RetryMailRequest(mail=waiting[0].id)
        why = reason(operator.operations.RetryMail, request, grpc.StatusCode.FAILED_PRECONDITION)
        expect(why == "MAIL_NOT_RETRYABLE", why)


def health_and_reflection(steps, site, channel):
    with steps("health answers for the server and for each service, to anyone"):
        for service in ["", f"{PACKAGE}.UserManagement", f"{PACKAGE}.Access", f"{PACKAGE}.Identity", f"{PACKAGE}.Operations"]:
            expect(serves(channel, service), service)
    with steps("reflection lists the services and knows the error details"):
        database = ProtoReflectionDescriptorDatabase(channel)
        services = set(database.get_services())
        ours = {f"{PACKAGE}.{name}" for name in ("UserManagement", "Access", "Identity", "Operations")}
        expect(ours | {"grpc.health.v1.Health"} <= services, f"{services}")
        pool = descriptor_pool.DescriptorPool(database)
        expect("CheckAccess" in pool.FindServiceByName(f"{PACKAGE}.Access").methods_by_name, "CheckAccess")
        expect("reason" in pool.FindMessageTypeByName("google.rpc.ErrorInfo").fields_by_name, "ErrorInfo")


def main():
    # aiosmtpd tells of each login that its own attribute is deprecated
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    steps = Steps()
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stubs = directory / "stubs"
        stubs.mkdir()
        contract = generate(stubs)
        authority = Authority(directory)
        certificate, key = authority.issue("server", "DNS:localhost,IP:127.0.0.1")
        relay = stack.enter_context(Relay(certificate, key))
        password = directory / "smtp-password"
        password.touch(0o600)
        password.write_text(f"{LOGIN_PASSWORD}\n")
        (directory / "site.toml").write_text(settings(authority.certificate, certificate, key, relay, password))
        server = stack.enter_context(Server(directory, "--config", "site.toml", socket_path="data/grpc.sock"))
        site = Site(contract, authority, server, relay, None)
        operators = stack.enter_context(site.over_the_socket())
        operator = Client(contract, operators)
        listeners = operator.operations.GetServerInfo(contract.GetServerInfoRequest()).listeners
        site.address = next(name.removeprefix("tcp:") for name in listeners if name.startswith("tcp:"))
        channel = stack.enter_context(site.over_tcp())
        the_whole_way(steps, site, channel, operator)
        a_relay_that_refuses(steps, site, channel, operator)
        health_and_reflection(steps, site, channel)
    steps.end()


if __name__ == "__main__":
    main()
