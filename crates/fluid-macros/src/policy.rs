//! `retry(…)`, `rate_limit(…)` and `unique(…)`: what a task allows.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::Path;

use crate::arguments::{Argument, Arguments, Known, Value};
use crate::faults::Faults;
use crate::value::{
    count, duration, duration_tokens, listed_words, number, positive, share, some_duration, texts,
    word, words,
};

const RETRY: &[Known] = &[
    Known {
        name: "attempts",
        example: "attempts = 3",
    },
    Known {
        name: "delay",
        example: "delay = \"2s\"",
    },
    Known {
        name: "backoff",
        example: "backoff = 2.0",
    },
    Known {
        name: "max_delay",
        example: "max_delay = \"1m\"",
    },
    Known {
        name: "jitter",
        example: "jitter = 0.1",
    },
    Known {
        name: "on",
        example: "on(\"error\", \"timeout\")",
    },
    Known {
        name: "interruptions",
        example: "interruptions = 0",
    },
];

/// The longest delay where `max_delay` is not given, as in `fluid_core::RetryPolicy::default()`.
const DEFAULT_MAX_DELAY: Duration = Duration::from_secs(3600);

/// The words of `on` and the variants of `ErrorKind` they stand for, or why they can't be chosen.
const KINDS: &[(&str, Result<&str, &str>)] = &[
    ("error", Ok("Error")),
    ("panic", Ok("Panic")),
    ("timeout", Ok("Timeout")),
    ("exit", Ok("Exit")),
    ("signal", Ok("Signal")),
    ("start", Ok("Start")),
    (
        "lost",
        Err("an attempt that was lost with its consumer is counted by `interruptions`"),
    ),
    (
        "parameters",
        Err("parameters that don't fit are never retried"),
    ),
    ("aborted", Err("an aborted run is never retried")),
];

/// Sets the retry policy of the task in the variable `task`.
pub(crate) fn retry(
    argument: &Argument,
    task: &Ident,
    krate: &Path,
    faults: &mut Faults,
) -> TokenStream {
    let Some(list) = faults.keep(argument.list()) else {
        return TokenStream::new();
    };
    let mut list = Arguments::read(list, "`retry`", RETRY, faults);
    let counted = list.take("attempts");
    let attempts = counted
        .as_ref()
        .and_then(|argument| faults.keep(positive(argument)));
    let delay = list.given("delay", duration, faults);
    let backoff = list.given("backoff", number, faults);
    let max_delay = list.given("max_delay", some_duration, faults);
    let jitter = list.given("jitter", share, faults);
    let on = list.given("on", |on| listed_words(on, KINDS), faults);
    let interruptions = list.given("interruptions", count, faults);

    if counted.is_none() && list.complete {
        let how = [
            delay.as_ref().map(|(argument, _)| argument),
            backoff.as_ref().map(|(argument, _)| argument),
            max_delay.as_ref().map(|(argument, _)| argument),
            jitter.as_ref().map(|(argument, _)| argument),
            on.as_ref().map(|(argument, _)| argument),
        ];
        if let Some(argument) = how.into_iter().flatten().next() {
            faults.at(
                &argument.name,
                format!(
                    "`{}` has no effect without `attempts`: one attempt is the default",
                    argument.name
                ),
            );
        } else if interruptions.is_none() {
            faults.add(argument.expected("at least `attempts`"));
        }
    }
    let longest = max_delay
        .as_ref()
        .map_or(DEFAULT_MAX_DELAY, |(_, max)| *max);
    if let Some((argument, delay)) = &delay
        && *delay > longest
    {
        faults.add(argument.fault(format!(
            "a delay of {} is longer than `max_delay`, which is {}",
            words(*delay),
            words(longest)
        )));
    }

    let attempts = attempts.map(|value| quote!(#task.retry.attempts = #value;));
    let delay = delay.map(|(_, value)| {
        let value = duration_tokens(value);
        quote!(#task.retry.delay = #value;)
    });
    let backoff = backoff.map(|(_, value)| quote!(#task.retry.backoff = #value;));
    let max_delay = max_delay.map(|(_, value)| {
        let value = duration_tokens(value);
        quote!(#task.retry.max_delay = #value;)
    });
    let jitter = jitter.map(|(_, value)| quote!(#task.retry.jitter = #value;));
    let on = on.map(|(_, kinds)| {
        let mut variants = Vec::new();
        for (text, kind) in kinds {
            match kind {
                Ok(variant) => variants.push(format_ident!("{variant}")),
                Err(reason) => faults.at(text, reason),
            }
        }
        quote!(#task.retry.on = ::std::vec::Vec::from([#(#krate::ErrorKind::#variants),*]);)
    });
    let interruptions = interruptions.map(|(_, value)| quote!(#task.retry.interruptions = #value;));
    quote!(#attempts #delay #backoff #max_delay #jitter #on #interruptions)
}

const RATE_LIMIT: &[Known] = &[
    Known {
        name: "limit",
        example: "limit = 10",
    },
    Known {
        name: "period",
        example: "period = \"1m\"",
    },
    Known {
        name: "exceeded",
        example: "exceeded = \"reject\"",
    },
];

/// Sets the rate limit of the task in the variable `task`.
pub(crate) fn rate_limit(
    argument: &Argument,
    task: &Ident,
    krate: &Path,
    faults: &mut Faults,
) -> TokenStream {
    let Some(list) = faults.keep(argument.list()) else {
        return TokenStream::new();
    };
    let mut list = Arguments::read(list, "`rate_limit`", RATE_LIMIT, faults);
    let (limit, period) = (list.take("limit"), list.take("period"));
    if list.complete && (limit.is_none() || period.is_none()) {
        faults.add(argument.expected("a limit and a period"));
    }
    let limit = limit.and_then(|limit| faults.keep(positive(&limit)));
    let period = period.and_then(|period| faults.keep(some_duration(&period)));
    let words = [("wait", "Wait"), ("reject", "Reject")];
    let exceeded = list.given("exceeded", |argument| word(argument, &words), faults);

    let limit = limit.unwrap_or(1);
    let period = duration_tokens(period.unwrap_or(Duration::from_secs(1)));
    let exceeded = format_ident!("{}", exceeded.map_or("Wait", |(_, word)| word));
    quote! {
        #task.rate_limit = ::core::option::Option::Some(#krate::RateLimit {
            limit: #limit,
            period: #period,
            exceeded: #krate::RateExceeded::#exceeded,
        });
    }
}

const UNIQUE: &[Known] = &[
    Known {
        name: "window",
        example: "window = \"1h\"",
    },
    Known {
        name: "by",
        example: "by(\"path\")",
    },
];

/// Sets the unique policy of the task in the variable `task`.
pub(crate) fn unique(
    argument: &Argument,
    task: &Ident,
    krate: &Path,
    faults: &mut Faults,
) -> TokenStream {
    let list = match &argument.value {
        Value::Flag => TokenStream::new(),
        Value::Assigned(_) | Value::List(..) => faults.keep(argument.list()).unwrap_or_default(),
    };
    let mut list = Arguments::read(list, "`unique`", UNIQUE, faults);
    let window = list
        .given("window", some_duration, faults)
        .map(|(_, window)| {
            let window = duration_tokens(window);
            quote!(__fluid_unique.window = ::core::option::Option::Some(#window);)
        });
    let by = list.given("by", texts, faults).map(|(_, names)| {
        quote!(__fluid_unique.by = ::std::vec::Vec::from([#(::std::string::String::from(#names)),*]);)
    });
    quote! {
        #task.unique = ::core::option::Option::Some({
            #[allow(unused_mut)]
            let mut __fluid_unique = <#krate::UniquePolicy as ::core::default::Default>::default();
            #window
            #by
            __fluid_unique
        });
    }
}
