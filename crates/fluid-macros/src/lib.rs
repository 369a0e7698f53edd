//! The `#[task]` attribute of fluid.

mod arguments;
mod attributes;
mod expand;
mod faults;
mod function;
mod nearest;
mod policy;
mod schedule;
mod value;

use proc_macro::TokenStream;

/// Placeholder.
#[proc_macro_attribute]
pub fn task(attributes: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(attributes.into(), item.into()).into()
}
