//! The attributes of a task, each turned into a statement that sets it.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Path, parse_quote};

use crate::arguments::{Argument, Arguments, Known, Value};
use crate::faults::Faults;
use crate::policy::{rate_limit, retry, unique};
use crate::schedule;
use crate::value::{count, duration_tokens, flag, name, some_duration, text, texts, word};

const KNOWN: &[Known] = &[
    Known {
        name: "name",
        example: "name = \"resize\"",
    },
    Known {
        name: "cpu_bound",
        example: "cpu_bound = true",
    },
    Known {
        name: "executor",
        example: "executor = \"subprocess\"",
    },
    Known {
        name: "queue",
        example: "queue = \"images\"",
    },
    Known {
        name: "priority",
        example: "priority = \"high\"",
    },
    Known {
        name: "timeout",
        example: "timeout = \"5m\"",
    },
    Known {
        name: "retry",
        example: "retry(attempts = 3, delay = \"2s\")",
    },
    Known {
        name: "schedule",
        example: "schedule(every = \"5m\")",
    },
    Known {
        name: "missed",
        example: "missed = \"once\"",
    },
    Known {
        name: "max_concurrency",
        example: "max_concurrency = 2",
    },
    Known {
        name: "concurrency_key",
        example: "concurrency_key = \"customer\"",
    },
    Known {
        name: "rate_limit",
        example: "rate_limit(limit = 10, period = \"1m\")",
    },
    Known {
        name: "unique",
        example: "unique(window = \"1h\", by(\"path\"))",
    },
    Known {
        name: "tags",
        example: "tags(\"images\", \"nightly\")",
    },
    Known {
        name: "env",
        example: "env(RUST_LOG = \"debug\")",
    },
    Known {
        name: "k8s_config",
        example: "k8s_config = K8sConfig::default().namespace(\"workers\")",
    },
    Known {
        name: "crate",
        example: "crate = fluid_core",
    },
];

/// What the attributes say.
pub(crate) struct Attributes {
    /// The path of fluid-core.
    pub(crate) krate: Path,
    /// The path was not given.
    usual_crate: bool,
    /// The task's name, unless the function's will do.
    pub(crate) name: Option<String>,
    /// Statements that set everything else on [`variable`].
    pub(crate) settings: Vec<TokenStream>,
}

/// The variable that holds the task while it is built. No item of the user's may have the name of a variable in
/// the same scope, so it has one that nobody gives to a function.
pub(crate) fn variable() -> Ident {
    Ident::new("__fluid_task", Span::mixed_site())
}

impl Attributes {
    /// Reads what stands in the brackets of `#[task(…)]`.
    pub(crate) fn read(tokens: TokenStream, faults: &mut Faults) -> Self {
        let mut list = Arguments::read(tokens, "`task`", KNOWN, faults);
        let given = list.given("crate", path, faults);
        let usual_crate = given.is_none();
        let krate = given.map_or_else(|| parse_quote!(::fluid_core), |(_, path)| path);
        let task_name = list.given("name", |argument| name(argument, "task"), faults);
        Self {
            settings: settings(list, &krate, faults),
            krate,
            usual_crate,
            name: task_name.map(|(_, name)| name),
        }
    }

    /// The path of fluid-core as if it were written at `span`, for errors about what it begins.
    pub(crate) fn krate_at(&self, span: Span) -> TokenStream {
        if self.usual_crate {
            quote_spanned!(span=> ::fluid_core)
        } else {
            self.krate.to_token_stream()
        }
    }
}

fn settings(mut list: Arguments, krate: &Path, faults: &mut Faults) -> Vec<TokenStream> {
    let task = variable();
    let mut settings = Vec::new();

    let cpu_bound = list.given("cpu_bound", flag, faults);
    let kinds = [
        ("inline", "Inline"),
        ("subprocess", "Subprocess"),
        ("k8s", "K8s"),
    ];
    let executor = list.given("executor", |argument| word(argument, &kinds), faults);
    if let (Some((_, true)), Some((argument, "Inline"))) = (&cpu_bound, &executor) {
        faults.add(argument.fault(
            "a `cpu_bound` task runs outside its consumer, \"inline\" is inside: leave one of them out",
        ));
    }
    settings.extend(cpu_bound.map(|(_, value)| quote!(#task.cpu_bound = #value;)));
    settings.extend(executor.map(|(_, kind)| {
        let kind = format_ident!("{kind}");
        quote!(#task.executor = ::core::option::Option::Some(#krate::ExecutorKind::#kind);)
    }));

    let queue = list.given("queue", |argument| name(argument, "queue"), faults);
    settings.extend(
        queue.map(|(_, queue)| quote!(#task.queue = #krate::__private::queue_name(#queue);)),
    );
    let priorities = [("high", "High"), ("medium", "Medium"), ("low", "Low")];
    let priority = list.given("priority", |argument| word(argument, &priorities), faults);
    settings.extend(priority.map(|(_, priority)| {
        let priority = format_ident!("{priority}");
        quote!(#task.priority = #krate::Priority::#priority;)
    }));
    let timeout = list.given("timeout", timeout, faults);
    settings.extend(timeout.map(|(_, timeout)| quote!(#task.timeout = #timeout;)));

    if let Some(argument) = list.take("retry") {
        settings.push(retry(&argument, &task, krate, faults));
    }
    let scheduled = list.take("schedule");
    if let Some(argument) = &scheduled {
        settings.push(schedule::setting(argument, &task, krate, faults));
    }
    let policies = [("skip", "Skip"), ("once", "Once"), ("all", "All")];
    let missed = list.given("missed", |argument| word(argument, &policies), faults);
    if let (Some((argument, _)), None) = (&missed, &scheduled) {
        faults.at(&argument.name, "`missed` has no effect without `schedule`");
    }
    settings.extend(missed.map(|(_, missed)| {
        let missed = format_ident!("{missed}");
        quote!(#task.missed = #krate::MissedTicks::#missed;)
    }));

    let limit = list.take("max_concurrency");
    let key = list.given("concurrency_key", text, faults);
    if let (None, Some((argument, _))) = (&limit, &key) {
        faults.at(
            &argument.name,
            "`concurrency_key` has no effect without `max_concurrency`",
        );
    }
    let limit = limit.and_then(|argument| faults.keep(count(&argument)));
    settings.extend(limit.map(|limit| quote!(#task.max_concurrency = #limit;)));
    settings.extend(key.map(|(_, key)| {
        quote! {
            #task.concurrency_key =
                ::core::option::Option::Some(::std::string::String::from(#key));
        }
    }));
    if let Some(argument) = list.take("rate_limit") {
        settings.push(rate_limit(&argument, &task, krate, faults));
    }
    if let Some(argument) = list.take("unique") {
        settings.push(unique(&argument, &task, krate, faults));
    }

    let tags = list.given("tags", texts, faults);
    for tag in tags.into_iter().flat_map(|(_, tags)| tags) {
        settings.push(quote!(#task.tags.insert(::std::string::String::from(#tag));));
    }
    if let Some(argument) = list.take("env") {
        settings.extend(environment(&argument, &task, faults));
    }
    if let Some(argument) = list.take("k8s_config")
        && let Some(config) = faults.keep(argument.expression("an expression"))
    {
        settings.push(quote_spanned! {config.span()=>
            {
                let __fluid_config: #krate::K8sConfig = #config;
                #task.k8s_config = ::core::option::Option::Some(__fluid_config);
            }
        });
    }
    settings
}

fn path(argument: &Argument) -> syn::Result<Path> {
    match argument.expression("a path")? {
        Expr::Path(path) if path.qself.is_none() => Ok(path.path.clone()),
        _ => Err(argument.expected("a path")),
    }
}

fn timeout(argument: &Argument) -> syn::Result<TokenStream> {
    if let Value::Assigned(Expr::Lit(literal)) = &argument.value
        && let syn::Lit::Str(text) = &literal.lit
        && text.value() == "none"
    {
        return Ok(quote!(::core::option::Option::None));
    }
    let timeout = duration_tokens(some_duration(argument)?);
    Ok(quote!(::core::option::Option::Some(#timeout)))
}

fn environment(argument: &Argument, task: &Ident, faults: &mut Faults) -> Vec<TokenStream> {
    let Some(list) = faults.keep(argument.list()) else {
        return Vec::new();
    };
    Arguments::read_any(list, argument, faults)
        .into_iter()
        .filter_map(|variable| {
            let name = variable.name.to_string();
            let value = faults.keep(crate::value::any_text(&variable))?;
            Some(quote! {
                #task.env.insert(
                    ::std::string::String::from(#name),
                    ::std::string::String::from(#value),
                );
            })
        })
        .collect()
}
