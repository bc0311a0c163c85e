//! The layout of history: hashed events can't be re-shaped, so that any change of a byte has to be seen.

use std::fmt::Write as _;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use user_management::domain::event::{Actor, Change, Encoded, Event, Malformed, Part, Personal, Salted, Value};
use user_management::domain::id::{ApiTokenId, UserId};

use super::reviewed::assert_reviewed;
use super::sample::{Ingredients, events};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn known(encoded: &Encoded) -> Vec<Option<Salted>> {
    encoded.personal.iter().map(|personal| personal.known.clone()).collect()
}

fn decode(encoded: &Encoded) -> Result<Event, Malformed> {
    Event::decode(&encoded.bytes, known(encoded))
}

/// Every kind twice: with everything that can be absent, and without; the choices go round so that each actor and state comes up.
fn fixed_events() -> Vec<Event> {
    let one = |(position, full)| {
        let choice = u8::try_from(position * 11 % 256).expect("a remainder of 256");
        let of = Ingredients { choice, full, ..Ingredients::fixed() };
        events(&of).into_iter().nth(position).expect("as many events as kinds")
    };
    let kinds = events(&Ingredients::fixed()).len();
    (0..kinds).flat_map(|position| [(position, true), (position, false)]).map(one).collect()
}

#[test]
fn the_bytes_of_every_kind_are_the_ones_that_were_reviewed() {
    let mut text = INTRODUCTION.to_owned();
    for event in fixed_events() {
        let debug = format!("{:?}", event.change);
        let name = debug.split('(').next().expect("the variant's name");
        let encoded = event.encode();
        let _ = writeln!(text, "\n{} {name} by {:?}, {} bytes", event.change.kind(), event.actor, encoded.bytes.len());
        for line in encoded.bytes.chunks(48) {
            let _ = writeln!(text, "  {}", hex(line));
        }
        let _ = writeln!(text, "  hash {}", hex(&encoded.hash));
    }
    assert_reviewed("events.txt", &text);
}

const INTRODUCTION: &str = "\
The canonical bytes of one event of every kind, once with all that is optional and once without. A difference here means that
old history can't be read or checked any more: a new layout is a new version beside the old one, and a new kind a new number.
";

#[test]
fn the_bytes_stand_in_the_order_that_is_documented() {
    let of = Ingredients { choice: 3, ..Ingredients::fixed() };
    let event = events(&of).into_iter().find(|event| matches!(event.change, Change::MemberJoined(_))).expect("of every kind");
    let Change::MemberJoined(member) = &event.change else { unreachable!("found as such") };
    let client = event.client.as_ref().expect("a full event");
    let id = |first: u8| [&[first][..], &of.id[1..]].concat();
    let expected = [
        vec![1],
        vec![0, 0, 0, 0, 0, 0, 0, 16],
        id(0xa6),
        of.time.to_be_bytes().to_vec(),
        vec![4],
        id(0xa1),
        vec![1],
        id(0xa8),
        vec![0],
        vec![1],
        id(0xa1),
        vec![1],
        client.digest.to_vec(),
        vec![3],
        id(0xa7),
        vec![0, 30],
        id(0xa2),
        id(0xa1),
        vec![member.standing.privilege.code(), member.standing.roles.bits()],
        (of.time + 2).to_be_bytes().to_vec(),
        vec![1],
        id(0xa4),
        of.digest.to_vec(),
    ];
    assert_eq!(hex(&event.encode().bytes), hex(&expected.concat()));
}

#[test]
fn who_acted_by_a_personal_token_stands_where_a_session_would_and_by_a_right_of_their_own() {
    let of = Ingredients { choice: 3, ..Ingredients::fixed() };
    let [user, token] = [0xa1, 0xad].map(|first| std::array::from_fn(|at| if at == 0 { first } else { of.id[at] }));
    for by_session in events(&of) {
        let actor = Actor::ApiToken { user: UserId::from_bytes(user), token: ApiTokenId::from_bytes(token) };
        let event = Event { actor, ..by_session.clone() };
        let (encoded, other) = (event.encode(), by_session.encode());
        // version, number, id and time, the code of a user, the user, the option of the session, and the right
        assert_eq!(hex(&encoded.bytes[..51]), hex(&other.bytes[..51]));
        assert_eq!(hex(&encoded.bytes[51..67]), hex(&token));
        assert_eq!((encoded.bytes[67], other.bytes[67]), (2, 0));
        assert_eq!(hex(&encoded.bytes[68..]), hex(&other.bytes[68..]));
        assert_eq!(decode(&encoded), Ok(event));
        let mut without = encoded.bytes.clone();
        without[50] = 0;
        without.drain(51..67);
        assert_eq!(Event::decode(&without, known(&encoded)), Err(Malformed), "a right of a token takes the token");
        without[51] = 3;
        assert_eq!(Event::decode(&without, known(&encoded)), Err(Malformed), "no such right");
    }
}

#[test]
fn a_hash_is_sha_256_of_the_bytes_and_changes_with_the_event_before() {
    for event in fixed_events() {
        let encoded = event.encode();
        assert_eq!(encoded.hash, <[u8; 32]>::from(Sha256::digest(&encoded.bytes)));
        let elsewhere = Event { previous: [0; 32], ..event }.encode();
        assert_ne!(elsewhere.hash, encoded.hash);
    }
}

#[test]
fn the_parts_of_an_event_are_its_bytes_in_their_order_each_with_a_name() {
    for event in fixed_events() {
        let mut bytes = Vec::new();
        for Part { name, value } in event.parts() {
            assert!(!name.is_empty());
            match value {
                Value::Integer(width, value) => bytes.extend_from_slice(&value.to_be_bytes()[8 - usize::from(width)..]),
                Value::Time(micros) => bytes.extend_from_slice(&micros.to_be_bytes()),
                Value::Option(there) => bytes.push(there.into()),
                Value::Id(id) => {
                    let digits = id.split_once('_').expect("a prefix").1;
                    bytes.extend_from_slice(&u128::from_str_radix(digits, 16).expect("hexadecimal").to_be_bytes());
                }
                Value::Bytes(raw) => bytes.extend_from_slice(&raw),
                Value::Text(text) => {
                    bytes.extend_from_slice(&u32::try_from(text.len()).expect("short").to_be_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
                Value::Personal(personal) => bytes.extend_from_slice(&personal.digest),
            }
        }
        assert_eq!(hex(&bytes), hex(&event.encode().bytes), "{:?}", event.change);
    }
}

#[test]
fn no_personal_value_stands_in_the_bytes() {
    for event in fixed_events() {
        let encoded = event.encode();
        for personal in &encoded.personal {
            let value = personal.value().as_bytes();
            assert!(!value.is_empty());
            assert!(!encoded.bytes.windows(value.len()).any(|window| window == value), "{}", personal.value());
        }
    }
}

#[test]
fn erasing_every_personal_value_leaves_the_hash_as_it_was() {
    let mut erased = 0;
    for event in fixed_events() {
        let encoded = event.encode();
        let slots = vec![None; encoded.personal.len()];
        let without = Event::decode(&encoded.bytes, slots).expect("an erased event is still an event");
        let again = without.encode();
        assert_eq!(again.hash, encoded.hash);
        assert!(again.personal.iter().all(|personal| personal.value().is_empty() && personal.is_whole()));
        assert_eq!(without == event, encoded.personal.is_empty());
        erased += encoded.personal.len();
    }
    assert!(erased > 0);
}

#[test]
fn a_personal_value_that_was_altered_or_exchanged_is_found_out() {
    let whole = Personal::new("ann@acme.test", [1; 16]);
    assert!(whole.is_whole());
    let with = |salt, value: &str| Personal { known: Some(Salted { salt, value: value.to_owned() }), ..whole.clone() };
    assert!(!with([1; 16], "bob@acme.test").is_whole());
    assert!(!with([2; 16], "ann@acme.test").is_whole());
    assert_ne!(Personal::new("ann@acme.test", [2; 16]).digest, whole.digest, "the salt hides equal values");

    for event in fixed_events() {
        let encoded = event.encode();
        let mut exchanged = known(&encoded);
        exchanged.reverse();
        let read = Event::decode(&encoded.bytes, exchanged).expect("the bytes are whole");
        let moved = encoded.personal.len() > 1;
        assert_eq!(read.encode().personal.iter().any(|personal| !personal.is_whole()), moved, "{:?}", event.change);
    }
}

#[test]
fn bytes_that_were_cut_off_or_extended_are_refused() {
    for event in fixed_events() {
        let encoded = event.encode();
        for length in 0..encoded.bytes.len() {
            assert_eq!(Event::decode(&encoded.bytes[..length], known(&encoded)), Err(Malformed), "{length} of {event:?}");
        }
        for extra in [0, 1, 255] {
            let mut extended = encoded.bytes.clone();
            extended.push(extra);
            assert_eq!(Event::decode(&extended, known(&encoded)), Err(Malformed));
        }
    }
}

#[test]
fn another_version_kind_or_code_is_refused() {
    let event = events(&Ingredients::fixed()).into_iter().next().expect("of every kind");
    assert_eq!(event.actor, Actor::Operator(7));
    let encoded = event.encode();
    // version, kind of actor, both options, door, number of the kind (two bytes), code of the edition behind the epoch
    let alterations = [(0, 0), (0, 2), (33, 0), (33, 6), (38, 2), (55, 2), (88, 4), (105, 1), (106, 2), (123, 0), (123, 3)];
    for (position, value) in alterations {
        let mut altered = encoded.bytes.clone();
        assert_ne!(altered[position], value);
        altered[position] = value;
        assert_eq!(Event::decode(&altered, known(&encoded)), Err(Malformed), "{value} at {position}");
    }
}

fn ingredients() -> impl Strategy<Value = Ingredients> {
    (any::<[u8; 16]>(), any::<[u8; 32]>(), any::<[u8; 16]>(), "\\PC{0,40}", any::<(i64, u32, u8, bool)>()).prop_map(
        |(id, digest, salt, text, (time, number, choice, full))| Ingredients {
            id,
            digest,
            salt,
            text,
            time,
            number,
            choice,
            full,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_event_of_any_kind_reads_back_as_it_was(of in ingredients()) {
        for event in events(&of) {
            let encoded = event.encode();
            prop_assert_eq!(decode(&encoded), Ok(event));
        }
    }

    #[test]
    fn one_altered_byte_is_refused_or_another_event(of in ingredients(), kind in 0_usize..40, position: prop::sample::Index, flip in 1_u8..) {
        let encoded = events(&of).swap_remove(kind).encode();
        let mut altered = encoded.bytes.clone();
        let position = position.index(altered.len());
        altered[position] ^= flip;
        if let Ok(event) = Event::decode(&altered, known(&encoded)) {
            prop_assert_eq!(event.encode().bytes, altered, "one event has one form");
        }
    }

    #[test]
    fn arbitrary_bytes_never_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut versioned = bytes;
        if let Some(version) = versioned.first_mut() {
            *version = 1;
        }
        let _ = Event::decode(&versioned, Vec::new());
    }
}
