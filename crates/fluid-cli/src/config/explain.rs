//! The parser's messages, in the words of the file instead of Rust's.

use std::ops::Range;

use super::fault::Fault;
use super::nearest::nearest;

/// The fault behind a message of the parser, with what was probably meant.
pub(super) fn explain(message: &str, span: Range<usize>, text: &str) -> Fault {
    let message = message.trim().replace('\n', ", ");
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (found, known) = quoted.split_first().unwrap_or((&"", &[]));
    if message.starts_with("unknown field") {
        let fault = Fault::new(span, format!("there is no key {found:?} here"));
        return fault.help(instead(found, known));
    }
    if message.starts_with("unknown variant") {
        let fault = Fault::new(span, format!("{found:?} is not a value that goes here"));
        return fault.help(instead(found, known));
    }
    if message.starts_with("missing field") {
        return Fault::new(span, format!("the key {found:?} is missing here"));
    }
    if message == "duplicate key" {
        let key = text.get(span.clone()).unwrap_or_default();
        return Fault::new(span, format!("{key:?} is written twice"));
    }
    let mismatch = ["invalid type: ", "invalid value: "]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split_once(", expected "));
    match mismatch {
        Some((found, expected)) => {
            let (expected, found) = (wanted(expected), met(found));
            Fault::new(span, format!("expected {expected}, found {found}"))
        }
        None => Fault::new(span, message),
    }
}

fn instead(found: &str, known: &[&str]) -> String {
    match nearest(found, known.iter().copied()) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None => format!("what goes here: {}", known.join(", ")),
    }
}

fn wanted(expected: &str) -> &str {
    match expected {
        "a string" => "text in quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list such as [\"a\", \"b\"]",
        "u32" | "usize" => "a whole number that is not negative",
        "a nonzero usize" => "a whole number, at least 1",
        "f64" => "a number",
        "struct ScheduleForm" => "a table such as { every = \"5m\" }",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

fn met(found: &str) -> String {
    let (kind, value) = found.split_once(' ').unwrap_or((found, ""));
    match kind {
        "sequence" => "a list".to_owned(),
        "map" => "a table".to_owned(),
        "floating" => value.trim_start_matches("point ").replace('`', ""),
        "string" | "integer" | "boolean" => value.replace('`', ""),
        _ => found.to_owned(),
    }
}
