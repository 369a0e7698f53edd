//! What scripts answer, taken apart.

use redis::Value;

use crate::fault::{Fault, Outcome};

fn unexpected() -> Fault {
    Fault::Corrupt("a script's answer is of another form than expected".to_owned())
}

pub(crate) fn list(value: Value) -> Outcome<Vec<Value>> {
    match value {
        Value::Array(values) => Ok(values),
        _ => Err(unexpected()),
    }
}

/// A list of this many parts.
pub(crate) fn parts<const N: usize>(value: Value) -> Outcome<[Value; N]> {
    list(value)?.try_into().map_err(|_| unexpected())
}

pub(crate) fn bytes(value: Value) -> Outcome<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(unexpected()),
    }
}

pub(crate) fn optional_bytes(value: Value) -> Outcome<Option<Vec<u8>>> {
    match value {
        Value::Nil => Ok(None),
        value => bytes(value).map(Some),
    }
}

pub(crate) fn text(value: Value) -> Outcome<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).map_err(|_| unexpected()),
        Value::SimpleString(text) => Ok(text),
        Value::Okay => Ok("OK".to_owned()),
        _ => Err(unexpected()),
    }
}

pub(crate) fn texts(value: Value) -> Outcome<Vec<String>> {
    list(value)?.into_iter().map(text).collect()
}

pub(crate) fn number(value: &Value) -> Outcome<usize> {
    match value {
        Value::Int(number) => usize::try_from(*number).map_err(|_| unexpected()),
        _ => Err(unexpected()),
    }
}
