//! HTTP/2 as a hostile client speaks it: frame by frame, in any order, taking no answers unless asked to.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_timeout};
use rustix::net::{AddressFamily, SocketType};

/// What a connection begins with.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// The highest number that a window can have.
pub(crate) const WIDEST: u32 = (1 << 31) - 1;

/// How long a peer that doesn't take what is written is waited for.
const STUCK: Duration = Duration::from_millis(20);

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A setting, such as 4: the window that streams begin with.
pub(crate) fn setting(number: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&number.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

/// A header field that no table keeps (RFC 7541, 6.2.2), both texts below 127 bytes.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// The header fields of a call, by which it begins.
pub(crate) fn call(path: &str) -> Vec<u8> {
    let indexed = |name: u8, value: &str| [&[name, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat();
    // POST, http, :path, :authority
    let pseudo = [vec![0x83, 0x86], indexed(0x04, path), indexed(0x01, "localhost")].concat();
    [pseudo, field("content-type", "application/grpc"), field("te", "trailers")].concat()
}

/// A message with the five bytes that gRPC puts before it.
pub(crate) fn message(bytes: &[u8]) -> Vec<u8> {
    [&[0], &u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// A connection.
pub(crate) struct Wire(pub(crate) TcpStream);

impl Wire {
    /// Connects from an address of this host, which makes it a peer of its own: all of 127.0.0.0/8 are.
    pub(crate) fn connect(to: SocketAddr, from: Ipv4Addr) -> Self {
        let socket: OwnedFd = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        // small, so that whoever takes nothing is soon full
        set_socket_recv_buffer_size(socket.as_fd(), 4096).unwrap();
        rustix::net::bind(&socket, &SocketAddrV4::new(from, 0)).unwrap();
        rustix::net::connect(&socket, &to).unwrap();
        set_socket_timeout(&socket, rustix::net::sockopt::Timeout::Send, Some(STUCK)).unwrap();
        Self(TcpStream::from(socket))
    }

    /// Connects and says what HTTP/2 begins with, and these settings.
    pub(crate) fn open(to: SocketAddr, from: Ipv4Addr, settings: &[u8]) -> Self {
        let mut wire = Self::connect(to, from);
        assert!(wire.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[]), settings].concat()), "a new connection takes it");
        wire
    }

    /// Sends; whether the server took it all.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// Reads until the server closes, at most so long; the frames that came, or none if it didn't close.
    pub(crate) fn closed(&mut self, within: Duration) -> Option<Vec<Frame>> {
        let (frames, ended) = self.read(within, |_| false);
        ended.then_some(frames)
    }

    /// Reads until a stream is answered; the frames that came.
    pub(crate) fn answered(&mut self, within: Duration) -> Vec<Frame> {
        let is_last =
            |frame: &Frame| matches!(*frame, (HEADERS | DATA, flags) if flags & END_STREAM != 0) || frame.0 == RST_STREAM;
        self.read(within, |frames| frames.iter().any(is_last)).0
    }

    /// Reads until a ping is answered; whether it was.
    pub(crate) fn ponged(&mut self) -> bool {
        let is_answer = |frame: &Frame| *frame == (PING, 1);
        self.read(Duration::from_mins(1), |frames| frames.iter().any(is_answer)).0.iter().any(is_answer)
    }

    fn read(&mut self, within: Duration, enough: impl Fn(&[Frame]) -> bool) -> (Vec<Frame>, bool) {
        self.0.set_read_timeout(Some(within)).unwrap();
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return (frames(&bytes), true),
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    return (frames(&bytes), true);
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return (frames(&bytes), false);
                }
                Err(error) => panic!("{error}"),
            }
            if enough(&frames(&bytes)) {
                return (frames(&bytes), false);
            }
        }
    }
}

/// The kind and the flags of one.
pub(crate) type Frame = (u8, u8);

fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, flags, _, _, _, _, rest @ ..] = bytes {
        frames.push((*kind, *flags));
        let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).unwrap();
        bytes = rest.get(length..).unwrap_or_default();
    }
    frames
}
