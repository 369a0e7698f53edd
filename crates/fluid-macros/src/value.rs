//! The values of arguments, read from literals.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, ExprUnary, Lit, LitStr, Token, UnOp};

use crate::arguments::{Argument, Value};
use crate::nearest::nearest;

/// The longest name of a task or queue in characters, as in `fluid_core::MAX_NAME`.
const MAX_NAME: usize = 100;

fn literal<'a>(argument: &'a Argument, what: &str) -> syn::Result<&'a Lit> {
    match argument.expression(what)? {
        Expr::Lit(ExprLit { lit, .. }) => Ok(lit),
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_), ..
        }) => Err(argument.must("not be negative")),
        _ => Err(argument.expected(what)),
    }
}

/// Text in quotes.
pub(crate) fn any_text(argument: &Argument) -> syn::Result<String> {
    let what = "a text in quotes";
    match literal(argument, what)? {
        Lit::Str(text) => Ok(text.value()),
        _ => Err(argument.expected(what)),
    }
}

/// Text in quotes that says something.
pub(crate) fn text(argument: &Argument) -> syn::Result<String> {
    let text = any_text(argument)?;
    if text.trim().is_empty() {
        return Err(argument.must("not be empty"));
    }
    Ok(text)
}

/// `true`, `false`, or the name alone, which is `true`.
pub(crate) fn flag(argument: &Argument) -> syn::Result<bool> {
    let what = "`true` or `false`, or the name alone";
    if matches!(argument.value, Value::Flag) {
        return Ok(true);
    }
    match literal(argument, what)? {
        Lit::Bool(value) => Ok(value.value),
        _ => Err(argument.expected(what)),
    }
}

/// A whole number from 0.
pub(crate) fn count(argument: &Argument) -> syn::Result<u32> {
    let what = "a whole number";
    match literal(argument, what)? {
        Lit::Int(number) if number.suffix().is_empty() => number
            .base10_parse()
            .map_err(|_| argument.must(&format!("be at most {}", u32::MAX))),
        _ => Err(argument.expected(what)),
    }
}

/// A whole number from 1.
pub(crate) fn positive(argument: &Argument) -> syn::Result<u32> {
    match count(argument)? {
        0 => Err(argument.must("be at least 1")),
        number => Ok(number),
    }
}

/// A number from 0.
pub(crate) fn number(argument: &Argument) -> syn::Result<f64> {
    let what = "a number";
    let number: f64 = match literal(argument, what)? {
        Lit::Int(number) if number.suffix().is_empty() => number.base10_parse()?,
        Lit::Float(number) if number.suffix().is_empty() => number.base10_parse()?,
        _ => return Err(argument.expected(what)),
    };
    if !number.is_finite() {
        return Err(argument.must("be a finite number"));
    }
    Ok(number)
}

/// A number from 0 to 1.
pub(crate) fn share(argument: &Argument) -> syn::Result<f64> {
    let share = number(argument)?;
    if share > 1.0 {
        return Err(argument.must("be a share from 0 to 1"));
    }
    Ok(share)
}

/// A duration in words, or a number of seconds.
pub(crate) fn duration(argument: &Argument) -> syn::Result<Duration> {
    let what = "a duration in quotes or a number of seconds";
    let fault = |message| argument.fault(message);
    match literal(argument, what)? {
        Lit::Str(text) => parse_duration(&text.value()).map_err(fault),
        Lit::Int(number) if number.suffix().is_empty() => {
            parse_duration(number.base10_digits()).map_err(fault)
        }
        Lit::Float(number) if number.suffix().is_empty() => {
            parse_duration(number.base10_digits()).map_err(fault)
        }
        _ => Err(argument.expected(what)),
    }
}

/// A duration longer than nothing.
pub(crate) fn some_duration(argument: &Argument) -> syn::Result<Duration> {
    let duration = duration(argument)?;
    if duration.is_zero() {
        return Err(argument.must("be longer than 0s"));
    }
    Ok(duration)
}

/// The same reading as `fluid_core::duration::parse`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds)
            .map_err(|error| format!("{seconds} s is not a duration: {error}"));
    }
    humantime::parse_duration(text)
        .map_err(|error| format!("{text:?} is not a duration such as 30s, 5m or 1h 30m: {error}"))
}

/// A duration for people.
pub(crate) fn words(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// A duration as an expression.
pub(crate) fn duration_tokens(duration: Duration) -> TokenStream {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    quote!(::core::time::Duration::new(#seconds, #nanos))
}

/// The name of a task or queue, which is `what`.
pub(crate) fn name(argument: &Argument, what: &str) -> syn::Result<String> {
    let name = any_text(argument)?;
    match name_fault(&name) {
        Some(reason) => Err(argument.fault(format!("invalid {what} name {name:?}: {reason}"))),
        None => Ok(name),
    }
}

/// What is wrong with a name, by the rules of `fluid_core::TaskName`.
pub(crate) fn name_fault(name: &str) -> Option<String> {
    let reason = match name.chars().next() {
        None => "it is empty",
        Some(_) if name.chars().count() > MAX_NAME => "it is too long",
        Some(first) if !first.is_alphanumeric() => {
            "it begins with something else than a letter or digit"
        }
        Some(_)
            if !name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':')) =>
        {
            "it holds a character that names may not have"
        }
        Some(_) => return None,
    };
    Some(format!(
        "{reason}; use 1 to {MAX_NAME} letters, digits, '_', '-', '.' or ':', and begin with a letter or digit"
    ))
}

/// One of a few words, and what it stands for.
pub(crate) fn word<T: Copy>(argument: &Argument, table: &[(&str, T)]) -> syn::Result<T> {
    let what = format!("one of {}", listed(table));
    let Lit::Str(text) = literal(argument, &what)? else {
        return Err(argument.expected(&what));
    };
    look_up(text, table)
}

fn look_up<T: Copy>(text: &LitStr, table: &[(&str, T)]) -> syn::Result<T> {
    let word = text.value();
    let found = table.iter().find(|(known, _)| *known == word);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let meant = nearest(&word, table.iter().map(|(known, _)| *known))
            .map_or_else(String::new, |near| format!(", did you mean {near:?}?"));
        syn::Error::new(
            text.span(),
            format!("unknown word {word:?}{meant}\nuse {}", listed(table)),
        )
    })
}

fn listed<T>(table: &[(&str, T)]) -> String {
    let words: Vec<String> = table.iter().map(|(word, _)| format!("{word:?}")).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A list of texts, none of them empty or written twice.
pub(crate) fn texts(argument: &Argument) -> syn::Result<Vec<LitStr>> {
    let parser = |input: syn::parse::ParseStream<'_>| {
        Punctuated::<LitStr, Token![,]>::parse_terminated_with(input, |input| {
            input
                .parse()
                .map_err(|error| syn::Error::new(error.span(), "expected a text in quotes"))
        })
    };
    let texts: Vec<LitStr> = parser.parse2(argument.list()?)?.into_iter().collect();
    if texts.is_empty() {
        return Err(argument.expected("at least one text"));
    }
    for (index, text) in texts.iter().enumerate() {
        let value = text.value();
        if value.trim().is_empty() {
            return Err(syn::Error::new(text.span(), "a text in the list is empty"));
        }
        if texts[..index]
            .iter()
            .any(|earlier| earlier.value() == value)
        {
            return Err(syn::Error::new(
                text.span(),
                format!("{value:?} is written twice"),
            ));
        }
    }
    Ok(texts)
}

/// A list of words, and what they stand for.
pub(crate) fn listed_words<T: Copy>(
    argument: &Argument,
    table: &[(&str, T)],
) -> syn::Result<Vec<(LitStr, T)>> {
    texts(argument)?
        .into_iter()
        .map(|text| look_up(&text, table).map(|value| (text, value)))
        .collect()
}
