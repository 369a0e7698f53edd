//! What `#[task]` turns a function into.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ItemFn, ReturnType, Signature};

use crate::attributes::{Attributes, variable};
use crate::faults::Faults;
use crate::function::Function;

/// Expands the attribute. Faults become compile errors beside the expansion, or beside the item as it was where
/// nothing can be made of it, so that they are not followed by errors about what can't be found.
pub(crate) fn expand(attributes: TokenStream, item: TokenStream) -> TokenStream {
    let mut faults = Faults::default();
    let attributes = Attributes::read(attributes, &mut faults);
    let expansion = match syn::parse2::<ItemFn>(item.clone()) {
        Ok(item) => Function::check(item, &mut faults)
            .map(|function| definition(&attributes, &function, &mut faults)),
        Err(fault) => {
            faults.add(syn::Error::new(
                fault.span(),
                format!("`#[task]` goes on an `async` function: {fault}"),
            ));
            None
        }
    };
    let errors = faults.into_compile_errors();
    let expansion = expansion.unwrap_or(item);
    quote!(#errors #expansion)
}

fn definition(attributes: &Attributes, function: &Function, faults: &mut Faults) -> TokenStream {
    let Attributes {
        krate, settings, ..
    } = attributes;
    let Function {
        item,
        params,
        output,
        docs,
        conditions,
    } = function;
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
        ..
    } = item;
    let Signature {
        ident,
        inputs,
        output: returned,
        ..
    } = sig;
    let task = variable();
    let name = attributes
        .name
        .clone()
        .unwrap_or_else(|| function.task_name(faults));
    let description = function.description();
    let argument = (!inputs.is_empty()).then(|| quote!(__fluid_context));
    // Spans choose where the compiler points when a type doesn't fit.
    let at = match returned {
        ReturnType::Default => ident.span(),
        ReturnType::Type(_, output) => output.span(),
    };
    let krate_there = attributes.krate_at(at);
    let result = quote_spanned! {at=>
        <#output as #krate_there::__private::TaskReturn>::Output
    };
    let body = quote_spanned! {at=>
        <#output as #krate_there::__private::TaskReturn>::into_result(#ident::call(#argument).await)
    };
    let closure = quote_spanned! {ident.span()=>
        |__fluid_context: #krate::TaskContext<#params>| async move { #body }
    };
    let function = quote_spanned! {at=>
        #krate_there::__private::function::<Self, _, _>(#name, #description, #closure)
    };

    quote! {
        #(#docs)*
        #(#conditions)*
        #[allow(non_camel_case_types)]
        #[derive(::core::fmt::Debug, ::core::clone::Clone, ::core::marker::Copy)]
        #vis struct #ident;

        #(#conditions)*
        impl #ident {
            /// The function itself, without fluid around it: for unit tests.
            #(#attrs)*
            #[allow(clippy::unused_async, clippy::needless_pass_by_value)]
            #vis async fn call(#inputs) #returned #block
        }

        #(#conditions)*
        impl #krate::TaskDefinition for #ident {
            type Params = #params;
            type Output = #result;

            fn name(&self) -> #krate::TaskName {
                #krate::__private::task_name(#name)
            }

            fn task(&self) -> #krate::Task {
                #[allow(unused_mut)]
                let mut #task = #function;
                #(#settings)*
                #task
            }
        }

        #(#conditions)*
        impl ::core::convert::From<#ident> for #krate::Task {
            fn from(__fluid_definition: #ident) -> Self {
                #krate::TaskDefinition::task(&__fluid_definition)
            }
        }
    }
}
