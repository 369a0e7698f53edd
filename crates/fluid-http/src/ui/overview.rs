//! The first page.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use fluid_core::RunState;

use super::page::Page;
use crate::api::Problem;
use crate::site::Site;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    name: &'a str,
    states: Vec<(&'static str, u64)>,
}

pub(super) async fn show(State(site): State<Site>) -> Result<Response, Problem> {
    let stats = site.manager.broker().stats().await?;
    let states = RunState::ALL.map(|state| (state.as_str(), stats.count(state)));
    let overview = Overview {
        name: &site.options.name,
        states: states.into(),
    };
    Ok(Page(overview).into_response())
}
