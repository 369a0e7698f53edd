//! The syntax of an attribute's arguments: names, each alone, with a value or with a list.

use std::fmt::Display;

use proc_macro2::{Ident, Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, Token, parenthesized, token};

use crate::faults::Faults;
use crate::nearest::nearest;

/// An argument that may be written, and how it is.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) example: &'static str,
}

/// One argument as it was written.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) value: Value,
    example: &'static str,
}

/// What follows an argument's name.
pub(crate) enum Value {
    /// Nothing.
    Flag,
    /// `= expression`.
    Assigned(Expr),
    /// `(tokens)`.
    List(Span, TokenStream),
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(Ident::peek_any) {
            return Err(input.error("expected the name of an attribute"));
        }
        let name = input.call(Ident::parse_any)?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Value::Assigned(input.parse()?)
        } else if input.peek(token::Paren) {
            let content;
            let paren = parenthesized!(content in input);
            Value::List(paren.span.join(), content.parse()?)
        } else {
            Value::Flag
        };
        Ok(Self {
            name,
            value,
            example: "",
        })
    }
}

impl Argument {
    /// A fault of what the argument says.
    pub(crate) fn fault(&self, message: impl Display) -> syn::Error {
        match &self.value {
            Value::Flag => syn::Error::new_spanned(&self.name, message),
            Value::Assigned(expression) => syn::Error::new_spanned(expression, message),
            Value::List(span, _) => syn::Error::new(*span, message),
        }
    }

    /// The fault of a value that breaks this rule of its attribute.
    pub(crate) fn must(&self, rule: &str) -> syn::Error {
        self.fault(format!("`{}` must {rule}", self.name))
    }

    /// The fault that something else was expected here.
    pub(crate) fn expected(&self, what: &str) -> syn::Error {
        self.fault(format!("expected {what}: `{}`", self.example))
    }

    /// The expression behind `=`.
    pub(crate) fn expression(&self, what: &str) -> syn::Result<&Expr> {
        let Value::Assigned(expression) = &self.value else {
            return Err(self.expected(what));
        };
        let mut expression = expression;
        // A literal that came through another macro has invisible brackets around it.
        while let Expr::Group(group) = expression {
            expression = &group.expr;
        }
        Ok(expression)
    }

    /// The tokens in the brackets.
    pub(crate) fn list(&self) -> syn::Result<TokenStream> {
        match &self.value {
            Value::List(_, tokens) => Ok(tokens.clone()),
            Value::Flag | Value::Assigned(_) => Err(self.expected("a list in brackets")),
        }
    }
}

/// The arguments of one list, each of them known and written once.
pub(crate) struct Arguments {
    given: Vec<Argument>,
    /// Everything that was written is in the list. Otherwise it is no use to say what is missing.
    pub(crate) complete: bool,
}

impl Arguments {
    /// Reads a list; `owner` is whose it is, for people.
    pub(crate) fn read(
        tokens: TokenStream,
        owner: &str,
        known: &[Known],
        faults: &mut Faults,
    ) -> Self {
        let before = std::mem::take(faults);
        let mut read = Vec::new();
        for mut argument in parse(tokens, faults) {
            let name = argument.name.to_string();
            if let Some(entry) = known.iter().find(|known| known.name == name) {
                argument.example = entry.example;
                read.push(argument);
            } else {
                faults.at(&argument.name, unknown(&name, owner, known));
            }
        }
        let given = once(read, faults);
        let found = std::mem::replace(faults, before);
        let complete = found.is_empty();
        faults.add_all(found);
        Self { given, complete }
    }

    /// Reads a list of any names; what is expected there is what `owner` shows.
    pub(crate) fn read_any(
        tokens: TokenStream,
        owner: &Argument,
        faults: &mut Faults,
    ) -> Vec<Argument> {
        let mut read = parse(tokens, faults);
        for argument in &mut read {
            argument.example = owner.example;
        }
        once(read, faults)
    }

    /// Takes the argument of this name out of the list.
    pub(crate) fn take(&mut self, name: &str) -> Option<Argument> {
        let index = self
            .given
            .iter()
            .position(|argument| argument.name == name)?;
        Some(self.given.swap_remove(index))
    }

    /// The argument of this name and its value; a value that can't be read is a fault.
    pub(crate) fn given<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Argument) -> syn::Result<T>,
        faults: &mut Faults,
    ) -> Option<(Argument, T)> {
        let argument = self.take(name)?;
        let value = faults.keep(read(&argument))?;
        Some((argument, value))
    }
}

fn parse(tokens: TokenStream, faults: &mut Faults) -> Vec<Argument> {
    let parser = Punctuated::<Argument, Token![,]>::parse_terminated;
    let parsed = faults.keep(parser.parse2(tokens));
    parsed.into_iter().flatten().collect()
}

/// The arguments without those that were written before.
fn once(arguments: Vec<Argument>, faults: &mut Faults) -> Vec<Argument> {
    let mut kept: Vec<Argument> = Vec::new();
    for argument in arguments {
        if kept.iter().any(|earlier| earlier.name == argument.name) {
            faults.at(
                &argument.name,
                format!("`{}` is written twice", argument.name),
            );
        } else {
            kept.push(argument);
        }
    }
    kept
}

fn unknown(name: &str, owner: &str, known: &[Known]) -> String {
    let names = || known.iter().map(|known| known.name);
    let meant =
        nearest(name, names()).map_or_else(String::new, |word| format!(", did you mean `{word}`?"));
    let all: Vec<String> = names().map(|name| format!("`{name}`")).collect();
    format!(
        "unknown attribute `{name}`{meant}\n{owner} takes {}",
        all.join(", ")
    )
}
