//! A relay for tests: real SMTP over TCP, with scripted answers, in threads of its own.

#[path = "smtp_sink/script.rs"]
mod script;

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use self::script::{Answer, At, Script};

/// A message that the sink took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The address of `MAIL FROM`.
    pub(crate) from: String,
    /// The addresses of `RCPT TO`.
    pub(crate) to: Vec<String>,
    /// Headers and body as they were before dot-stuffing.
    pub(crate) content: String,
    /// What was sent with AUTH PLAIN on the same connection, in base64.
    pub(crate) credentials: Option<String>,
}

impl Message {
    /// The first header of that name, unfolded.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let headers = self.content.split("\r\n\r\n").next()?.replace("\r\n ", " ");
        let prefix = format!("{}:", name.to_lowercase());
        let line = headers.lines().find(|line| line.to_lowercase().starts_with(&prefix))?;
        Some(line[prefix.len()..].trim().to_owned())
    }

    /// Every token of the text part: the lines that follow a line `Token:`.
    pub(crate) fn tokens(&self) -> Vec<String> {
        let lines = self.content.split("\r\n");
        let labelled = lines.clone().zip(lines.skip(1)).filter(|(label, _)| *label == "Token:");
        labelled.map(|(_, token)| token.to_owned()).collect()
    }
}

#[derive(Default)]
struct State {
    script: Script,
    messages: Vec<Message>,
    open: Vec<TcpStream>,
    conversations: usize,
    /// Conversations in which a silent or slow answer is due.
    waiting: usize,
    released: bool,
    closing: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listening relay. It closes, with all its connections, when it is dropped.
pub(crate) struct SmtpSink {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl SmtpSink {
    /// Listens on a free port of the loopback interface.
    pub(crate) fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        shared.state().script = script;
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Self { address, shared }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers by another script from the next command on.
    pub(crate) fn follow(&self, script: Script) {
        self.shared.state().script = script;
    }

    /// The messages taken so far, in order.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.shared.state().messages.clone()
    }

    /// The messages taken after the first `seen`, in order.
    pub(crate) fn messages_from(&self, seen: usize) -> Vec<Message> {
        self.shared.state().messages.get(seen..).unwrap_or_default().to_vec()
    }

    /// How many connections were made.
    pub(crate) fn conversations(&self) -> usize {
        self.shared.state().conversations
    }

    /// Waits until at least `count` messages were taken; panics after ten seconds.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Message> {
        self.wait_until(|state| state.messages.len() >= count).messages.clone()
    }

    /// Waits until that many conversations wait for an answer that isn't given; panics after ten seconds.
    pub(crate) fn wait_for_silence(&self, count: usize) {
        drop(self.wait_until(|state| state.waiting >= count));
    }

    /// Gives the answers that are held.
    pub(crate) fn release(&self) {
        self.shared.state().released = true;
        self.shared.changed.notify_all();
    }

    fn wait_until(&self, there: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut state = self.shared.state();
        while !there(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} messages came, {} wait", state.messages.len(), state.waiting);
            state = self.shared.changed.wait_timeout(state, left).expect("no panic").0;
        }
        state
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closing = true;
        for connection in state.open.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.changed.notify_all();
        let _ = TcpStream::connect(self.address); // wakes the acceptor
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming().map_while(Result::ok) {
        let mut state = shared.state();
        if state.closing {
            return;
        }
        state.conversations += 1;
        state.open.extend(connection.try_clone());
        drop(state);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            let _ = converse(&connection, &shared);
            // the clone that is kept for closing would hold it open
            let _ = connection.shutdown(Shutdown::Both);
        });
    }
}

/// Runs one conversation until the client leaves or the script ends it.
fn converse(connection: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut writer = connection;
    let mut message = Message { from: String::new(), to: Vec::new(), content: String::new(), credentials: None };
    let mut due = Some(At::Greeting);
    loop {
        if let Some(at) = due {
            // not in the match: the lock would be held through it
            let answer = shared.state().script.answer(at, &message.to);
            match answer {
                Answer::Say(line) => {
                    writer.write_all(format!("{line}\r\n").as_bytes())?;
                    if at == At::Data && line.starts_with('3') {
                        message.content = content(&mut reader)?;
                        keep(&message, shared);
                        due = Some(At::Content);
                        continue;
                    }
                }
                Answer::Silence => {
                    shared.state().waiting += 1;
                    shared.changed.notify_all();
                    return std::io::copy(&mut reader, &mut std::io::sink()).map(|_| ());
                }
                Answer::Hold(line) => {
                    hold(shared);
                    writer.write_all(format!("{line}\r\n").as_bytes())?;
                }
                Answer::Late(wait, line) => {
                    std::thread::sleep(wait);
                    writer.write_all(format!("{line}\r\n").as_bytes())?;
                }
                Answer::Drop => return Ok(()),
            }
        }
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let command = line.trim_end();
        let verb = command.split([' ', ':']).next().unwrap_or_default().to_uppercase();
        due = match verb.as_str() {
            "EHLO" | "HELO" => {
                let auth = if shared.state().script.offers_auth { "250-AUTH PLAIN\r\n" } else { "" };
                writer.write_all(format!("250-sink.test\r\n{auth}250 8BITMIME\r\n").as_bytes())?;
                None
            }
            "AUTH" => {
                message.credentials = command.split(' ').nth(2).map(str::to_owned);
                Some(At::Auth)
            }
            "MAIL" => {
                (message.from, message.to) = (bracketed(command), Vec::new());
                Some(At::Mail)
            }
            "RCPT" => {
                message.to.push(bracketed(command));
                Some(At::Rcpt)
            }
            "DATA" => Some(At::Data),
            "QUIT" => Some(At::Quit),
            _ => {
                writer.write_all(b"500 5.5.1 unknown command\r\n")?;
                None
            }
        };
    }
}

/// Waits until held answers are given, or the sink closes.
fn hold(shared: &Shared) {
    let mut state = shared.state();
    state.waiting += 1;
    shared.changed.notify_all();
    while !state.released && !state.closing {
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    state.waiting -= 1;
}

/// Keeps a message that the script takes. A silent relay took none; one that drops the line did.
fn keep(message: &Message, shared: &Shared) {
    let mut state = shared.state();
    let taken = match state.script.answer(At::Content, &message.to) {
        Answer::Say(line) | Answer::Hold(line) => line.starts_with('2'),
        Answer::Late(_, line) => line.starts_with('2'),
        Answer::Drop => true,
        Answer::Silence => false,
    };
    if taken || state.script.takes_anyway {
        state.messages.push(message.clone());
        shared.changed.notify_all();
    }
}

fn bracketed(command: &str) -> String {
    command.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}

fn content(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut content = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        match line.as_str() {
            ".\r\n" => return Ok(content),
            stuffed => content.push_str(stuffed.strip_prefix('.').unwrap_or(stuffed)),
        }
    }
}
