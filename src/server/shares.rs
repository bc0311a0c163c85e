//! What peers may hold of the server at once: connections, calls, and the bytes of requests and answers.
//!
//! Everybody together may hold so much, which bounds the memory that strangers can make the server use, and each peer a part of it, so that
//! one peer can't keep the others out. Whoever asks for more is refused at once: waiting would cost memory too. A peer is who shares an
//! address, as in [`crate::domain::peer`]; trusted proxies speak for many and are under the whole alone, and the operators' socket under
//! neither, since it is the way back in.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::acceptor::Socket;
use super::turns::Line;
use crate::api::peer::Listener;
use crate::config::Limits;
use crate::domain::error::Error;
use crate::domain::limit::{Limit, Reached};
use crate::domain::peer::{Peer, Proxies};

/// What is held of one thing, of so much.
struct Part {
    held: AtomicUsize,
    most: usize,
}

impl Part {
    const fn new(most: usize) -> Self {
        Self { held: AtomicUsize::new(0), most }
    }

    /// Takes so much, or nothing.
    fn take(&self, amount: usize) -> bool {
        let more = |held: usize| held.checked_add(amount).filter(|held| *held <= self.most);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Takes so much, whether or not there is as much.
    fn overdraw(&self, amount: usize) {
        self.held.fetch_add(amount, Ordering::Relaxed);
    }

    fn give_back(&self, amount: usize) {
        self.held.fetch_sub(amount, Ordering::Relaxed);
    }
}

/// What one peer, or all together, hold.
struct Share {
    connections: Part,
    calls: Part,
    bytes: Part,
    /// Where its connections wait for their turn, on each core.
    lines: Box<[Line]>,
}

/// The shares of all peers that have connections, or had some of late.
#[derive(Clone)]
pub(super) struct Shares(Arc<All>);

struct All {
    whole: Arc<Share>,
    /// Those that nobody holds any more and that owe nothing are swept out as new ones come.
    peers: Mutex<HashMap<Peer, Arc<Share>>>,
    proxies: Proxies,
    limits: Limits,
    cores: usize,
}

impl Shares {
    pub(super) fn new(limits: Limits, proxies: Proxies, cores: usize) -> Self {
        let whole = Share {
            // connections wait for the whole of theirs in the acceptor
            connections: Part::new(usize::MAX),
            calls: Part::new(limits.calls),
            bytes: Part::new(limits.buffered_bytes),
            lines: Box::default(),
        };
        Self(Arc::new(All { whole: Arc::new(whole), peers: Mutex::default(), proxies, limits, cores }))
    }

    /// A place for a connection; none if its peer has as many as it may.
    pub(super) fn seat(&self, socket: &Socket) -> Option<Seat> {
        let peer = match socket {
            Socket::Unix { listener: Listener::OperatorsSocket, .. } => return Some(Seat(Holder::unbounded())),
            Socket::Unix { uid, .. } => uid.map_or(Peer::Inside, Peer::Uid),
            Socket::Tcp(_, address) if self.0.proxies.trust(address.ip().to_canonical()) => {
                return Some(Seat(Holder { whole: Some(Arc::clone(&self.0.whole)), own: None }));
            }
            Socket::Tcp(_, address) => Peer::of_address(address.ip()),
        };
        let own = self.of(peer);
        let taken = own.connections.take(1);
        taken.then(|| Seat(Holder { whole: Some(Arc::clone(&self.0.whole)), own: Some(own) }))
    }

    fn of(&self, peer: Peer) -> Arc<Share> {
        let mut peers = self.0.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = peers.get(&peer) {
            return Arc::clone(share);
        }
        // before the map would grow, so that sweeping costs each newcomer little
        if peers.len() == peers.capacity() {
            let now = Instant::now();
            peers.retain(|_, share| Arc::strong_count(share) > 1 || share.lines.iter().any(|line| line.owes(now)));
        }
        let limits = &self.0.limits;
        let share = Arc::new(Share {
            connections: Part::new(limits.connections_per_peer),
            calls: Part::new(limits.calls_per_peer),
            bytes: Part::new(limits.buffered_bytes_per_peer),
            lines: std::iter::repeat_with(Line::of_peer).take(self.0.cores).collect(),
        });
        peers.insert(peer, Arc::clone(&share));
        share
    }
}

/// The place of a connection, until it is dropped.
pub(super) struct Seat(Holder);

impl Seat {
    /// What the connection's calls are counted against.
    pub(super) fn holder(&self) -> Holder {
        self.0.clone()
    }

    /// Where the connection waits for its turn on a core: one that is nobody's share has turns of its own, and longer ones.
    pub(super) fn line(&self, core: usize) -> Line {
        self.0.own.as_ref().and_then(|own| own.lines.get(core)).cloned().unwrap_or_else(Line::of_many)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(own) = &self.0.own {
            own.connections.give_back(1);
        }
    }
}

/// Whose calls and bytes are counted, and against what.
#[derive(Clone)]
pub(super) struct Holder {
    whole: Option<Arc<Share>>,
    own: Option<Arc<Share>>,
}

/// When a place may be free again: calls take milliseconds.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Holder {
    const fn unbounded() -> Self {
        Self { whole: None, own: None }
    }

    /// Counts a call until what is answered is dropped, with so many bytes for its answer.
    pub(super) fn call(&self, room: usize) -> Result<Call, Error> {
        self.take(|share| &share.calls, 1, Limit::CallsPerPeer)?;
        let call = Call { holder: self.clone(), counted: AtomicUsize::new(0) };
        call.asked(room)?;
        Ok(call)
    }

    fn bytes(&self, amount: usize) -> Result<(), Error> {
        self.take(|share| &share.bytes, amount, Limit::BytesPerPeer)
    }

    fn take(&self, part: fn(&Share) -> &Part, amount: usize, limit: Limit) -> Result<(), Error> {
        if let Some(own) = self.own.as_deref().map(part)
            && !own.take(amount)
        {
            let reached = Reached { limit, subject: "peer".to_owned(), left: 0, retry_after: RETRY_AFTER };
            return Err(Error::LimitReached(reached));
        }
        if let Some(whole) = self.whole.as_deref().map(part)
            && !whole.take(amount)
        {
            if let Some(own) = self.own.as_deref().map(part) {
                own.give_back(amount);
            }
            return Err(Error::Busy { retry_after: RETRY_AFTER });
        }
        Ok(())
    }

    fn each(&self) -> impl Iterator<Item = &Share> {
        self.whole.as_deref().into_iter().chain(self.own.as_deref())
    }
}

/// A call, counted until it is dropped.
pub(super) struct Call {
    holder: Holder,
    /// Bytes that are counted: of its request, and the room for its answer.
    counted: AtomicUsize,
}

impl Call {
    /// Counts bytes of the request that arrived.
    pub(super) fn asked(&self, amount: usize) -> Result<(), Error> {
        self.holder.bytes(amount)?;
        self.counted.fetch_add(amount, Ordering::Relaxed);
        Ok(())
    }

    /// Counts bytes of an answer until what is answered is dropped.
    pub(super) fn answers(&self, amount: usize) -> Result<Charge, Error> {
        self.holder.bytes(amount)?;
        Ok(Charge { holder: self.holder.clone(), amount })
    }

    /// The same for the answer to a change, which was made and is never withheld: it has room since the call began.
    pub(super) fn must_answer(&self, amount: usize) -> Charge {
        self.holder.each().for_each(|share| share.bytes.overdraw(amount));
        Charge { holder: self.holder.clone(), amount }
    }

    /// Gives back what was counted until now: the request was worked on, and isn't held any more.
    pub(super) fn settle(&self) {
        let counted = self.counted.swap(0, Ordering::Relaxed);
        self.holder.each().for_each(|share| share.bytes.give_back(counted));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.settle();
        self.holder.each().for_each(|share| share.calls.give_back(1));
    }
}

/// Bytes of an answer, counted until they are dropped.
pub(super) struct Charge {
    holder: Holder,
    amount: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.holder.each().for_each(|share| share.bytes.give_back(self.amount));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        connections: 8,
        connections_per_peer: 2,
        calls: 5,
        calls_per_peer: 3,
        buffered_bytes: 500,
        buffered_bytes_per_peer: 300,
        streams_per_connection: 256,
        message_bytes: 100,
        handshake: Duration::ZERO,
        request: Duration::ZERO,
        shutdown: Duration::ZERO,
    };

    fn shares() -> Shares {
        Shares::new(LIMITS, Proxies(vec!["10.0.0.0/8".parse().unwrap()]), 2)
    }

    fn from(address: &str) -> Socket {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Socket::Tcp(stream, std::net::SocketAddr::new(address.parse().unwrap(), 1))
    }

    fn on(listener: Listener, uid: u32) -> Socket {
        Socket::Unix { stream: std::os::unix::net::UnixStream::pair().unwrap().0, listener, uid: Some(uid) }
    }

    fn limit(refused: Result<impl Sized, Error>) -> &'static str {
        match refused.err().expect("refused") {
            Error::LimitReached(reached) => reached.limit.key(),
            Error::Busy { .. } => "busy",
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_peer_has_so_many_connections_and_others_theirs() {
        let shares = shares();
        let seats = [shares.seat(&from("192.0.2.1")), shares.seat(&from("::ffff:192.0.2.1"))];
        assert!(seats.iter().all(Option::is_some));
        assert!(shares.seat(&from("192.0.2.1")).is_none());
        assert!(shares.seat(&from("192.0.2.2")).is_some());
        let [kept, given_back] = seats;
        drop(given_back);
        assert!(shares.seat(&from("192.0.2.1")).is_some(), "while another is kept");
        drop(kept);
        for socket in [from("10.1.2.3"), from("::ffff:10.1.2.3"), on(Listener::OperatorsSocket, 1)] {
            let seats: Vec<_> = std::iter::repeat_with(|| shares.seat(&socket)).take(10).collect();
            assert!(seats.iter().all(Option::is_some), "speaks for many, or is the way back in");
        }
        let seats: Vec<_> = std::iter::repeat_with(|| shares.seat(&on(Listener::ToolsSocket, 1))).take(3).collect();
        assert_eq!(seats.iter().filter(|seat| seat.is_some()).count(), 2);
        assert!(shares.seat(&on(Listener::ToolsSocket, 2)).is_some(), "another user of the host");
    }

    #[test]
    fn the_connections_of_a_peer_take_turns_together_on_each_core_and_those_of_others_apart() {
        let shares = shares();
        let seat = |socket: Socket| shares.seat(&socket).unwrap();
        let (one, again, other) = (seat(from("192.0.2.1")), seat(from("::ffff:192.0.2.1")), seat(from("192.0.2.2")));
        assert!(one.line(0).is(&again.line(0)) && one.line(1).is(&again.line(1)));
        assert!(!one.line(0).is(&one.line(1)) && !one.line(0).is(&other.line(0)));
        for many in ["10.1.2.3", "10.1.2.3"].map(from).into_iter().chain([on(Listener::OperatorsSocket, 1)]) {
            let (seat, line) = (seat(many), other.line(0));
            assert!(!seat.line(0).is(&seat.line(0)) && !seat.line(0).is(&line), "each has turns of its own");
        }
    }

    #[test]
    fn what_a_peer_owes_is_not_forgotten_when_it_leaves() {
        let shares = shares();
        let seat = shares.seat(&from("192.0.2.1")).unwrap();
        for _ in 0..1000 {
            seat.line(0).refused();
        }
        drop(seat);
        for number in 0..10_000_u32 {
            drop(shares.seat(&on(Listener::ToolsSocket, number)).expect("a seat"));
        }
        assert!(shares.seat(&from("192.0.2.1")).unwrap().line(0).owes(Instant::now()));
    }

    #[test]
    fn calls_are_bounded_for_each_peer_and_for_all_but_operators() {
        let shares = shares();
        let (one, other) = (shares.seat(&from("192.0.2.1")).unwrap(), shares.seat(&from("192.0.2.2")).unwrap());
        let calls: Vec<_> = std::iter::repeat_with(|| one.holder().call(0).unwrap()).take(3).collect();
        assert_eq!(limit(one.holder().call(0)), "limits.calls_per_peer");
        let others: Vec<_> = std::iter::repeat_with(|| other.holder().call(0).unwrap()).take(2).collect();
        assert_eq!(limit(other.holder().call(0)), "busy", "all together");
        assert!(shares.seat(&on(Listener::OperatorsSocket, 0)).unwrap().holder().call(0).is_ok());
        drop(calls);
        assert!(other.holder().call(0).is_ok(), "what was refused took nothing");
        drop(others);
    }

    #[test]
    fn bytes_are_counted_until_the_answer_is_gone_and_an_answer_that_must_go_out_goes_out() {
        let shares = shares();
        let seat = shares.seat(&from("192.0.2.1")).unwrap();
        let call = seat.holder().call(0).unwrap();
        call.asked(200).unwrap();
        assert_eq!(limit(call.asked(101)), "limits.buffered_bytes_per_peer");
        assert_eq!(limit(call.answers(101)), "limits.buffered_bytes_per_peer");
        call.settle();
        let answer = call.answers(250).expect("the request isn't held any more");
        assert_eq!(limit(seat.holder().call(51)), "limits.buffered_bytes_per_peer");
        let change = call.must_answer(100);
        drop((call, answer));
        let again = seat.holder().call(200).unwrap();
        assert_eq!(limit(again.asked(1)), "limits.buffered_bytes_per_peer");
        drop(change);
        again.asked(100).expect("all is given back");
    }

    #[test]
    fn shares_that_nobody_holds_are_forgotten() {
        let shares = shares();
        for number in 0..10_000_u32 {
            drop(shares.seat(&on(Listener::ToolsSocket, number)).expect("a seat"));
        }
        let kept = shares.0.peers.lock().unwrap().len();
        assert!(kept < 100, "{kept}");
    }
}
