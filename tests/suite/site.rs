//! A running service to test against: the real server on free ports, a real SQLite file, mail as files, a clock that is set.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::{Channel, Endpoint, Uri};
use user_management::app::App;
use user_management::config::Config;
use user_management::domain::clock::{Clock, Timestamp};
use user_management::proto;
use user_management::serve::Service;
use user_management::tls::Certificates;

use crate::client::{Client, Identified};

/// When a site's clock stands at its beginning: 2026-11-24 12:00:00 UTC.
pub(crate) const BEGINNING: Timestamp = Timestamp::from_micros(1_795_521_600_000_000);

/// A personal token of the right form that nobody ever got.
pub(crate) const NOBODYS_TOKEN: &str = "pat_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEkIOF";

/// The password of everybody.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// One service with its data.
pub(crate) struct Site {
    dir: TempDir,
    running: Option<Running>,
    settings: String,
    hash_memory_kib: u32,
    /// The clock that the service reads.
    pub(crate) clock: Clock,
    /// Mails that were seen, in the order in which they came.
    pub(crate) mails: Mutex<Vec<PathBuf>>,
}

struct Running {
    stop: DropGuard,
    thread: thread::JoinHandle<()>,
    app: Arc<App>,
    tcp: String,
    metrics: Option<std::net::SocketAddr>,
    certificates: Option<Certificates>,
}

/// Somebody with a login and a session.
#[derive(Clone)]
pub(crate) struct Person {
    /// `usr_…`.
    pub(crate) id: String,
    /// Their address.
    pub(crate) email: String,
    /// `ses_…`.
    pub(crate) token: String,
}

impl Site {
    /// Starts a service with the settings that tests usually want: Inside, sign-up open to all.
    pub(crate) async fn start() -> Self {
        Self::with("signup = \"open\"").await
    }

    /// Starts a service with more settings (TOML, top-level keys first).
    pub(crate) async fn with(settings: &str) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let mut site = Self {
            dir,
            running: None,
            settings: settings.to_owned(),
            hash_memory_kib: 64,
            clock: Clock::set_to(BEGINNING),
            mails: Mutex::default(),
        };
        site.run().await;
        site
    }

    /// Ends the service and starts it again on the same data, with other settings if given.
    pub(crate) async fn restart(&mut self, settings: Option<&str>) {
        self.stop().await;
        if let Some(settings) = settings {
            settings.clone_into(&mut self.settings);
        }
        self.run().await;
    }

    /// Sets what a password hash costs from the next start on.
    pub(crate) fn cost(&mut self, memory_kib: u32) {
        self.hash_memory_kib = memory_kib;
    }

    /// Another service, at the same time, on the data as a crash at this moment would leave it.
    pub(crate) async fn after_a_crash(&self) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let mut site = Self {
            dir,
            running: None,
            settings: self.settings.clone(),
            hash_memory_kib: self.hash_memory_kib,
            clock: self.clock.clone(),
            mails: Mutex::default(),
        };
        std::fs::DirBuilder::new().mode(0o700).create(site.data_dir()).expect("made");
        for entry in std::fs::read_dir(self.data_dir()).expect("readable").map(|entry| entry.expect("an entry")) {
            if entry.file_type().expect("a type").is_file() {
                std::fs::copy(entry.path(), site.data_dir().join(entry.file_name())).expect("copied");
            }
        }
        site.run().await;
        site
    }

    /// Ends the service; the data stays.
    pub(crate) async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            let Running { stop, thread, app, .. } = running;
            drop((stop, app));
            let ended = tokio::task::spawn_blocking(move || thread.join());
            ended.await.expect("a thread to wait on").expect("the service ends without a panic");
        }
    }

    async fn run(&mut self) {
        let config = Config::from_toml(&self.toml()).unwrap_or_else(|error| panic!("{error}"));
        let (clock, stop) = (self.clock.clone(), CancellationToken::new());
        let stopped = stop.clone();
        let (ready, bound) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let service = Service::bind(&config, clock).await.unwrap_or_else(|error| panic!("{error}"));
                let tcp = service.addresses().tcp.first().map(ToString::to_string).expect("a TCP address");
                let _ = ready.send((Arc::clone(service.app()), tcp, service.metrics_address(), service.certificates()));
                service.run(stopped.cancelled_owned()).await.expect("the service runs until it is stopped");
            });
        });
        let (app, tcp, metrics, certificates) = bound.await.expect("the service starts");
        self.running = Some(Running { stop: stop.drop_guard(), thread, app, tcp, metrics, certificates });
    }

    /// The certificates in use.
    pub(crate) fn certificates(&self) -> &Certificates {
        self.running.as_ref().and_then(|running| running.certificates.as_ref()).expect("grpc.tls is set")
    }

    /// Where metrics are read.
    pub(crate) fn metrics(&self) -> std::net::SocketAddr {
        self.running.as_ref().and_then(|running| running.metrics).expect("metrics.listen is set")
    }

    fn toml(&self) -> String {
        let (top, tables) = match self.settings.find("\n[") {
            Some(at) => self.settings.split_at(at),
            None => (self.settings.as_str(), ""),
        };
        let data = self.data_dir();
        let (data, memory) = (data.display(), self.hash_memory_kib);
        format!(
            "data_dir = '{data}'\n{top}\ngrpc.listen = [\"127.0.0.1:0\"]\n\
             password.memory_kib = {memory}\npassword.iterations = 1\npassword.parallelism = 1\npassword.concurrent = 2\n\
             limits.shutdown_seconds = 3\n{tables}"
        )
    }

    /// The data directory.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Where mails land.
    pub(crate) fn mail_dir(&self) -> PathBuf {
        self.data_dir().join("mail")
    }

    /// The application beneath the wire.
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.running.as_ref().expect("the service runs").app
    }

    /// `127.0.0.1:port`.
    pub(crate) fn tcp(&self) -> &str {
        &self.running.as_ref().expect("the service runs").tcp
    }

    /// A new connection over TCP.
    pub(crate) async fn tcp_channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.tcp())).expect("an address").connect().await.expect("a connection")
    }

    /// A connection from 127.0.0.`last`: another peer than those of other connections.
    pub(crate) async fn channel_from(&self, last: u8) -> Channel {
        let connector = tower::service_fn(move |uri: Uri| async move {
            let server: SocketAddr = uri.authority().expect("an address").as_str().parse().expect("an address");
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into())?;
            socket.connect(server).await.map(hyper_util::rt::TokioIo::new)
        });
        let endpoint = Endpoint::from_shared(format!("http://{}", self.tcp())).expect("an address");
        endpoint.connect_with_connector(connector).await.expect("a connection")
    }

    /// A new connection over the operators' socket.
    pub(crate) async fn socket_channel(&self) -> Channel {
        connect_unix(&self.data_dir().join("grpc.sock")).await
    }

    /// The operator, on a connection of their own.
    pub(crate) async fn operator(&self) -> Client {
        Client::new(self.socket_channel().await, Identified::default())
    }

    /// Nobody who is known, over TCP.
    pub(crate) async fn nobody(&self) -> Client {
        Client::new(self.tcp_channel().await, Identified::default())
    }

    /// Whoever holds a bearer token, over TCP.
    pub(crate) async fn bearer(&self, token: &str) -> Client {
        Client::new(self.tcp_channel().await, Identified::by(token))
    }

    /// Creates an account.
    pub(crate) async fn account(&self, name: &str) {
        let request = proto::CreateAccountRequest { name: name.to_owned(), ..Default::default() };
        self.operator().await.users.create_account(request).await.expect("the account is created");
    }

    /// Signs somebody up, confirms their address by the token of the mail, and signs them in.
    pub(crate) async fn person(&self, email: &str) -> Person {
        self.confirmed(email).await;
        self.sign_in(email).await
    }

    /// Signs somebody up and confirms their address.
    pub(crate) async fn confirmed(&self, email: &str) -> proto::User {
        self.mails_settled().await;
        let mut nobody = self.nobody().await;
        let name = email.split('@').next().unwrap_or("Somebody").replace('.', " ");
        let request = proto::SignUpRequest { email: email.to_owned(), password: PASSWORD.to_owned(), display_name: name };
        nobody.identity.sign_up(request).await.expect("anybody may sign up");
        let token = self.mailed_token(email).await;
        let request = proto::ConfirmEmailRequest { token, password: PASSWORD.to_owned() };
        let answer = nobody.identity.confirm_email(request).await.expect("the address is confirmed");
        answer.into_inner().user.expect("a user")
    }

    /// Signs somebody in.
    pub(crate) async fn sign_in(&self, email: &str) -> Person {
        let request = proto::SignInRequest { email: email.to_owned(), password: PASSWORD.to_owned() };
        let answer = self.nobody().await.identity.sign_in(request).await.expect("signed in").into_inner();
        let user = answer.user.expect("a user");
        Person { id: user.id, email: user.email, token: answer.session_token }
    }

    /// Invites an address as the operator and answers the invitation with the token of its mail.
    pub(crate) async fn invited(
        &self,
        account: &str,
        email: &str,
        privilege: proto::Privilege,
        roles: &[proto::Role],
    ) -> (proto::Invitation, String) {
        self.mails_settled().await;
        let request = proto::InviteUserRequest {
            account: account.to_owned(),
            email: email.to_owned(),
            privilege: privilege.into(),
            roles: roles.iter().map(|role| (*role).into()).collect(),
            ..Default::default()
        };
        let answer = self.operator().await.users.invite_user(request).await.expect("the operator may invite");
        let invitation = answer.into_inner().invitation.expect("an invitation");
        let token = self.mailed_token(email).await;
        (invitation, token)
    }

    /// Somebody with a login who is a member of an account.
    pub(crate) async fn member(&self, account: &str, email: &str, privilege: proto::Privilege, roles: &[proto::Role]) -> Person {
        let person = self.person(email).await;
        self.join(account, &person, privilege, roles).await;
        person
    }

    /// Makes somebody a member.
    pub(crate) async fn join(&self, account: &str, person: &Person, privilege: proto::Privilege, roles: &[proto::Role]) {
        let (invitation, _) = self.invited(account, &person.email, privilege, roles).await;
        let request = proto::AcceptInvitationRequest { invitation: invitation.id, ..Default::default() };
        self.bearer(&person.token).await.identity.accept_invitation(request).await.expect("accepted");
    }

    /// A service, by its token.
    pub(crate) async fn service(&self, name: &str, scopes: &[&str], account: &str) -> String {
        let request = proto::CreateServiceRequest {
            name: name.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            account: account.to_owned(),
            ..Default::default()
        };
        let answer = self.operator().await.operations.create_service(request).await.expect("the service is created");
        answer.into_inner().token
    }
}

/// A new connection over a Unix socket.
pub(crate) async fn connect_unix(path: &Path) -> Channel {
    let path = path.to_owned();
    let connector = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").connect_with_connector(connector).await.expect("the socket answers")
}
