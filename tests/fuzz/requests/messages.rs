//! Messages with something in every field: what could stand there, and what couldn't.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use super::pool::Pool;
use crate::mutator::Dice;
use crate::site::BEGINNING;

/// A message of a type: every other one such as somebody could mean, which get far, and others that nobody would send.
pub(super) fn any(dice: &mut Dice, pool: &mut Pool, of: &MessageDescriptor) -> DynamicMessage {
    pool.wild = dice.once_in(2);
    within(dice, pool, of, 0)
}

fn within(dice: &mut Dice, pool: &mut Pool, of: &MessageDescriptor, depth: u32) -> DynamicMessage {
    let mut message = DynamicMessage::new(of.clone());
    if of.full_name() == "google.protobuf.Timestamp" {
        let now = BEGINNING.as_micros() / 1_000_000;
        let far = [now + 3600, now + 86_400, now, now - 1, 0, -1, 253_402_300_800, i64::MAX, i64::MIN];
        let (seconds, nanos) =
            if pool.wild { (&far[..], &[0, 1, 999_999_999, 1_000_000_000, -1][..]) } else { (&far[..2], &[0][..]) };
        message.set_field_by_name("seconds", Value::I64(*dice.pick(seconds)));
        message.set_field_by_name("nanos", Value::I32(*dice.pick(nanos)));
        return message;
    }
    for field in of.fields() {
        // what stands in a oneof puts out what stood there before
        let left_out = dice.once_in(if field.containing_oneof().is_some() {
            2
        } else if pool.wild {
            5
        } else {
            20
        });
        if left_out || depth > 4 || field.is_map() {
            continue;
        }
        if field.is_list() {
            let count = if pool.wild && dice.once_in(25) { 1100 } else { *dice.pick(&[0, 1, 1, 2, 3]) };
            let values = (0..count).map(|_| value(dice, pool, &field, depth)).collect();
            message.set_field(&field, Value::List(values));
        } else {
            let value = value(dice, pool, &field, depth);
            message.set_field(&field, value);
        }
    }
    // something is named by a token or otherwise, and by nobody by both
    let named = ["user", "invitation"].iter().find_map(|name| of.get_field_by_name(name));
    if let (false, Some(token), Some(named)) = (pool.wild, of.get_field_by_name("token"), named) {
        message.clear_field(if dice.once_in(2) { &token } else { &named });
    }
    message
}

fn value(dice: &mut Dice, pool: &mut Pool, field: &FieldDescriptor, depth: u32) -> Value {
    match field.kind() {
        Kind::String => Value::String(pool.text(dice, field.name())),
        Kind::Bytes if dice.once_in(4) => Value::Bytes(pool.any(dice).into_bytes().into()),
        Kind::Bytes => Value::Bytes([dice.any().to_be_bytes(); 4].concat().into()),
        // most calls are meant
        Kind::Bool => Value::Bool(dice.once_in(if field.name() == "validate_only" { 5 } else { 3 })),
        Kind::Enum(_) if pool.wild && dice.once_in(6) => {
            Value::EnumNumber(*dice.pick(&[0, -1, 17, 255, 256, i32::MAX, i32::MIN]))
        }
        Kind::Enum(of) => {
            let numbers: Vec<i32> = of.values().map(|value| value.number()).filter(|number| pool.wild || *number != 0).collect();
            Value::EnumNumber(*dice.pick(&numbers))
        }
        Kind::Message(of) => Value::Message(within(dice, pool, &of, depth + 1)),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            Value::I32(*dice.pick(if pool.wild { &[0, 1001, -1, i32::MAX, i32::MIN] } else { &[0, 1, 2, 100, 1000] }))
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            Value::I64(*dice.pick(if pool.wild { &[0, 100, -1, i64::MAX, i64::MIN] } else { &[0, 1, 2, 3, 4] }))
        }
        Kind::Uint32 | Kind::Fixed32 => Value::U32(*dice.pick(&[0, 1, 2, 100, u32::MAX])),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(*dice.pick(&[0, 1, 2, 5, 100, i64::MAX.unsigned_abs(), u64::MAX])),
        Kind::Float => Value::F32(f32::NAN),
        Kind::Double => Value::F64(f64::NAN),
    }
}
