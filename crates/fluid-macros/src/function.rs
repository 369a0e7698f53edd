//! The function under the attribute: what it must be, and what is taken from it.

use syn::ext::IdentExt;
use syn::{
    Attribute, Expr, FnArg, GenericArgument, ItemFn, Lit, Meta, PathArguments, ReturnType, Safety,
    Type, parse_quote,
};

use crate::faults::Faults;
use crate::value::name_fault;

/// A function that can be a task.
pub(crate) struct Function {
    pub(crate) item: ItemFn,
    /// The type of its parameters; `()` when it takes none.
    pub(crate) params: Type,
    /// The type it returns.
    pub(crate) output: Type,
    /// `#[doc]`: goes to the struct.
    pub(crate) docs: Vec<Attribute>,
    /// `#[cfg]`: goes to everything.
    pub(crate) conditions: Vec<Attribute>,
}

impl Function {
    /// Checks a function; `None` when its faults leave nothing to expand.
    pub(crate) fn check(mut item: ItemFn, faults: &mut Faults) -> Option<Self> {
        let signature = &item.sig;
        let mut wrong = Faults::default();
        if signature.asyncness.is_none() {
            wrong.at(signature.fn_token, "a task is an `async` function");
        }
        if let Some(token) = &signature.constness {
            wrong.at(token, "a task can't be `const`");
        }
        if let Safety::Unsafe(token) = &signature.safety {
            wrong.at(token, "a task can't be `unsafe`");
        }
        if let Some(abi) = &signature.abi {
            wrong.at(abi, "a task can't be `extern`");
        }
        if !signature.generics.params.is_empty() {
            wrong.at(
                &signature.generics,
                "a task can't be generic: its parameters have one type",
            );
        } else if let Some(clause) = &signature.generics.where_clause {
            wrong.at(
                clause,
                "a task can't be generic: its parameters have one type",
            );
        }
        let params = params_type(&item, &mut wrong);
        let output = match &signature.output {
            ReturnType::Default => parse_quote!(()),
            ReturnType::Type(_, output) => output.as_ref().clone(),
        };
        let failed = !wrong.is_empty();
        faults.add_all(wrong);
        if failed {
            return None;
        }

        let (docs, others): (Vec<_>, Vec<_>) = std::mem::take(&mut item.attrs)
            .into_iter()
            .partition(|attribute| attribute.path().is_ident("doc"));
        let (conditions, others) = others
            .into_iter()
            .partition(|attribute| attribute.path().is_ident("cfg"));
        item.attrs = others;
        Some(Self {
            item,
            params,
            output,
            docs,
            conditions,
        })
    }

    /// The name of the function as a task's name.
    pub(crate) fn task_name(&self, faults: &mut Faults) -> String {
        let ident = &self.item.sig.ident;
        let name = ident.unraw().to_string();
        if let Some(reason) = name_fault(&name) {
            faults.at(
                ident,
                format!("{name:?} can't be the task's name too, set `name = \"…\"`: {reason}"),
            );
        }
        name
    }

    /// The doc comment: each paragraph on a line of its own, with an empty line between two.
    pub(crate) fn description(&self) -> String {
        let mut paragraphs = vec![String::new()];
        for line in self
            .docs
            .iter()
            .filter_map(doc_text)
            .collect::<Vec<_>>()
            .join("\n")
            .lines()
        {
            let line = line.trim();
            match paragraphs.last_mut() {
                Some(paragraph) if !line.is_empty() => {
                    if !paragraph.is_empty() {
                        paragraph.push(' ');
                    }
                    paragraph.push_str(line);
                }
                _ => paragraphs.push(String::new()),
            }
        }
        paragraphs.retain(|paragraph| !paragraph.is_empty());
        paragraphs.join("\n\n")
    }
}

fn doc_text(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(meta) = &attribute.meta else {
        return None;
    };
    match &meta.value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

fn params_type(item: &ItemFn, faults: &mut Faults) -> Type {
    let none: Type = parse_quote!(());
    let mut inputs = item.sig.inputs.iter();
    let Some(first) = inputs.next() else {
        return none;
    };
    for other in inputs {
        faults.at(
            other,
            "a task takes its context alone: its parameters are the fields of one type, `TaskContext<Params>`",
        );
    }
    match first {
        FnArg::Receiver(receiver) => {
            faults.at(receiver, "a task is a free function: it has no `self`");
            none
        }
        FnArg::Typed(typed) => faults.keep(context_params(&typed.ty)).unwrap_or(none),
    }
}

/// The `P` of a `TaskContext<P>`.
fn context_params(ty: &Type) -> syn::Result<Type> {
    let ty = match ty {
        Type::Group(group) => &group.elem,
        other => other,
    };
    if let Type::Path(path) = ty
        && let Some(last) = path.path.segments.last()
        && last.ident == "TaskContext"
    {
        match &last.arguments {
            PathArguments::None => return Ok(parse_quote!(())),
            PathArguments::AngleBracketed(arguments) if arguments.args.len() == 1 => {
                if let Some(GenericArgument::Type(params)) = arguments.args.first() {
                    return Ok(params.clone());
                }
            }
            PathArguments::AngleBracketed(_) | PathArguments::Parenthesized(_) => {}
        }
    }
    Err(syn::Error::new_spanned(
        ty,
        "a task takes nothing or a `TaskContext<Params>`",
    ))
}
