//! What is asked by HTTP, by the route that answers it.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use metrics::{Unit, describe_histogram, histogram};

const REQUEST: &str = "fluid_http_request_seconds";

/// Tells the recorder what the name means.
pub(super) fn describe() {
    describe_histogram!(
        REQUEST,
        Unit::Seconds,
        "How long requests took until their answer began."
    );
}

/// Measures a request. Its route is the pattern that matched, never the path.
pub(crate) async fn measure(request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or_else(|| "none".to_owned(), |matched| matched.as_str().to_owned());
    let method = method(request.method());
    let begin = Instant::now();
    let response = next.run(request).await;
    let code = response.status().as_u16().to_string();
    histogram!(REQUEST, "method" => method, "route" => route, "code" => code)
        .record(begin.elapsed());
    response
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
