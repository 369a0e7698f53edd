//! `schedule(…)`: when a task runs by itself.

use std::time::Duration;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::Path;

use crate::arguments::{Argument, Arguments, Known};
use crate::faults::Faults;
use crate::value::{duration, duration_tokens, text, words};

const KNOWN: &[Known] = &[
    Known {
        name: "every",
        example: "every = \"5m\"",
    },
    Known {
        name: "delay",
        example: "delay = \"1m\"",
    },
    Known {
        name: "jitter",
        example: "jitter = \"10s\"",
    },
    Known {
        name: "cron",
        example: "cron = \"0 3 * * *\"",
    },
    Known {
        name: "timezone",
        example: "timezone = \"Europe/Zurich\"",
    },
];

/// The expression of a `Result<Schedule, ScheduleError>`.
pub(crate) fn schedule(argument: &Argument, krate: &Path, faults: &mut Faults) -> TokenStream {
    let Some(list) = faults.keep(argument.list()) else {
        return TokenStream::new();
    };
    let mut list = Arguments::read(list, "`schedule`", KNOWN, faults);
    match (list.take("every"), list.take("cron")) {
        (Some(every), None) => by_interval(&every, list, krate, faults),
        (None, Some(cron)) => by_cron(&cron, list, krate, faults),
        (Some(_), Some(cron)) => {
            faults.at(&cron.name, "a schedule has `every` or `cron`, not both");
            TokenStream::new()
        }
        (None, None) if list.complete => {
            faults.add(argument.expected("an interval or a cron expression"));
            TokenStream::new()
        }
        (None, None) => TokenStream::new(),
    }
}

fn by_interval(
    every: &Argument,
    mut list: Arguments,
    krate: &Path,
    faults: &mut Faults,
) -> TokenStream {
    let delta = faults.keep(duration(every)).and_then(|delta| {
        let enough = delta >= Duration::from_millis(1);
        if !enough {
            faults.add(every.fault(format!(
                "a schedule can't fire every {}: the shortest interval is 1ms",
                words(delta)
            )));
        }
        enough.then_some(delta)
    });
    let delay = list.given("delay", duration, faults);
    let jitter = list.given("jitter", duration, faults);
    if let Some(zone) = list.take("timezone") {
        faults.at(
            &zone.name,
            "`timezone` goes with `cron`: an interval is the same everywhere",
        );
    }
    if let (Some(delta), Some((argument, jitter))) = (delta, &jitter)
        && *jitter >= delta
    {
        faults.add(argument.fault(format!(
            "a jitter of {} is too long: it must be shorter than the interval of {}",
            words(*jitter),
            words(delta)
        )));
    }
    let delta = duration_tokens(delta.unwrap_or(Duration::from_secs(1)));
    let delay = duration_tokens(delay.map_or(Duration::ZERO, |(_, delay)| delay));
    let jitter = duration_tokens(jitter.map_or(Duration::ZERO, |(_, jitter)| jitter));
    quote!(#krate::__private::every(#delta, #delay, #jitter))
}

fn by_cron(cron: &Argument, mut list: Arguments, krate: &Path, faults: &mut Faults) -> TokenStream {
    let expression = faults.keep(cron_expression(cron));
    let zone = list.given("timezone", zone_name, faults);
    let jitter = list.given("jitter", duration, faults);
    if let Some(delay) = list.take("delay") {
        faults.at(
            &delay.name,
            "`delay` goes with `every`: a cron expression says when already",
        );
    }
    let expression = expression.unwrap_or_default();
    let zone = zone.map_or_else(|| "UTC".to_owned(), |(_, zone)| zone);
    let jitter = duration_tokens(jitter.map_or(Duration::ZERO, |(_, jitter)| jitter));
    quote!(#krate::__private::cron(#expression, #zone, #jitter))
}

/// The same reading as `fluid_core::Schedule::cron`.
fn cron_expression(argument: &Argument) -> syn::Result<String> {
    let expression = text(argument)?;
    let fault = |reason: String| {
        argument.fault(format!(
            "{expression:?} is not a cron expression: {reason}\nexpected five fields (minute hour day month weekday), or six with seconds first"
        ))
    };
    let pattern = CronParser::builder()
        .seconds(Seconds::Optional)
        .build()
        .parse(&expression)
        .map_err(|error| fault(reason(error)))?;
    let now = TimeZone::UTC.to_datetime(Timestamp::now());
    pattern
        .find_next_occurrence(&now, false)
        .map_err(|_| fault("it never comes true".to_owned()))?;
    Ok(expression)
}

/// What is wrong with an expression, without the parser's headings.
fn reason(error: CronError) -> String {
    let text = match error {
        CronError::InvalidPattern(text)
        | CronError::IllegalCharacters(text)
        | CronError::ComponentError(text) => text,
        other => other.to_string(),
    };
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

/// A name with the form of an IANA time zone (the naming rules in the tz database's `theory.html`). Whether it
/// exists only the machine that runs the task can know.
fn zone_name(argument: &Argument) -> syn::Result<String> {
    let zone = text(argument)?;
    let part_fits = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '.'))
    };
    if zone.split('/').all(part_fits) {
        Ok(zone)
    } else {
        Err(argument.fault(format!(
            "{zone:?} is not an IANA time zone such as Europe/Zurich or UTC"
        )))
    }
}

/// Sets the schedule of the task in the variable `task`.
pub(crate) fn setting(
    argument: &Argument,
    task: &Ident,
    krate: &Path,
    faults: &mut Faults,
) -> TokenStream {
    let schedule = schedule(argument, krate, faults);
    if schedule.is_empty() {
        return schedule;
    }
    quote!(#krate::__private::schedule(&mut #task, #schedule);)
}
