//! The primitives of the canonical layout: fixed-width big-endian integers, length-prefixed text, one byte before an option.

use super::{Malformed, Personal, Salted};
use crate::domain::clock::Timestamp;
use crate::domain::id::Id;

/// One part of the canonical bytes, by the name that the layout has for it. The parts in their order are the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub name: &'static str,
    /// What stands there.
    pub value: Value,
}

/// What stands in one part of the canonical bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An integer of this many bytes, big-endian.
    Integer(u8, u64),
    /// Microseconds since 1970, UTC: eight bytes, with a sign.
    Time(i64),
    /// The byte before an option: whether it is there.
    Option(bool),
    /// The 16 bytes of an id, as it is shown.
    Id(String),
    /// Bytes as they are.
    Bytes(Vec<u8>),
    /// A text behind its length.
    Text(String),
    /// The digest of a personal value.
    Personal(Personal),
}

/// Writes the layout and collects the personal values that stand beside it; tells the parts by name where somebody asked for them.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    pub(super) personal: Vec<Personal>,
    pub(super) parts: Option<Vec<Part>>,
}

impl Writer {
    pub(super) fn u8(&mut self, name: &'static str, value: u8) {
        self.bytes.push(value);
        self.tell(name, || Value::Integer(1, value.into()));
    }

    pub(super) fn u16(&mut self, name: &'static str, value: u16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self.tell(name, || Value::Integer(2, value.into()));
    }

    pub(super) fn u32(&mut self, name: &'static str, value: u32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self.tell(name, || Value::Integer(4, value.into()));
    }

    pub(super) fn u64(&mut self, name: &'static str, value: u64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self.tell(name, || Value::Integer(8, value));
    }

    pub(super) fn time(&mut self, name: &'static str, value: Timestamp) {
        self.bytes.extend_from_slice(&value.as_micros().to_be_bytes());
        self.tell(name, || Value::Time(value.as_micros()));
    }

    pub(super) fn id(&mut self, name: &'static str, value: &impl Id) {
        self.bytes.extend_from_slice(value.bytes());
        self.tell(name, || Value::Id(value.to_string()));
    }

    pub(super) fn array<const N: usize>(&mut self, name: &'static str, value: &[u8; N]) {
        self.bytes.extend_from_slice(value);
        self.tell(name, || Value::Bytes(value.to_vec()));
    }

    pub(super) fn text(&mut self, name: &'static str, value: &str) {
        self.bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.bytes.extend_from_slice(value.as_bytes());
        self.tell(name, || Value::Text(value.to_owned()));
    }

    /// Writes the digest alone.
    pub(super) fn personal(&mut self, name: &'static str, value: &Personal) {
        self.bytes.extend_from_slice(&value.digest);
        self.tell(name, || Value::Personal(value.clone()));
        self.personal.push(value.clone());
    }

    pub(super) fn option<T>(&mut self, name: &'static str, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.bytes.push(value.is_some().into());
        self.tell(name, || Value::Option(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn tell(&mut self, name: &'static str, value: impl FnOnce() -> Value) {
        if let Some(parts) = &mut self.parts {
            parts.push(Part { name, value: value() });
        }
    }
}

/// Reads the layout back, putting in the personal values that are still there.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    personal: std::vec::IntoIter<Option<Salted>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], personal: Vec<Option<Salted>>) -> Self {
        Self { bytes, personal: personal.into_iter() }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or(Malformed)?;
        self.bytes = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_be_bytes)
    }

    pub(super) fn text(&mut self) -> Result<String, Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        let (head, rest) = self.bytes.split_at_checked(length).ok_or(Malformed)?;
        self.bytes = rest;
        String::from_utf8(head.to_vec()).map_err(|_| Malformed)
    }

    pub(super) fn personal(&mut self) -> Result<Personal, Malformed> {
        Ok(Personal { digest: self.array()?, known: self.personal.next().flatten() })
    }

    pub(super) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Malformed>) -> Result<Option<T>, Malformed> {
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Malformed),
        }
    }

    /// Whether all was read; a personal value that no digest is of isn't the event's.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.bytes.is_empty() && self.personal.flatten().next().is_none() { Ok(()) } else { Err(Malformed) }
    }
}
