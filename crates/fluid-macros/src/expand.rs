//! What `#[task]` turns a function into.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ItemFn, Signature};

use crate::attributes::{Attributes, variable};
use crate::faults::Faults;
use crate::function::Function;

/// Expands the attribute; faults become compile errors beside as much of the expansion as is possible, so that
/// they are not followed by errors about a name that can't be found.
pub(crate) fn expand(attributes: TokenStream, item: TokenStream) -> TokenStream {
    let mut faults = Faults::default();
    let attributes = Attributes::read(attributes, &mut faults);
    let expansion = match syn::parse2::<ItemFn>(item) {
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
    let result = quote_spanned! {output.span()=>
        <#output as #krate::__private::TaskReturn>
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
            type Output = #result::Output;

            fn name(&self) -> #krate::TaskName {
                #krate::__private::task_name(#name)
            }

            fn task(&self) -> #krate::Task {
                #[allow(unused_mut)]
                let mut #task = #krate::__private::function(
                    #name,
                    #description,
                    |__fluid_context: #krate::TaskContext<#params>| async move {
                        #result::into_result(#ident::call(#argument).await)
                    },
                );
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
