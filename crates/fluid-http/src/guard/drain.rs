//! The end of the process: streams and waits are not waited for.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;

use super::refusal;
use crate::site::Site;

/// How long a request may take that is under way when the process begins to stop.
const LAST: Duration = Duration::from_secs(2);

/// Ends event streams when the process begins to stop, and soon after also whatever still waits for its answer.
pub(super) async fn end(State(site): State<Site>, request: Request, next: Next) -> Response {
    let draining = &site.options.draining;
    let late = async {
        draining.cancelled().await;
        tokio::time::sleep(LAST).await;
    };
    let response = tokio::select! {
        response = next.run(request) => response,
        () = late => return refusal::stopping(),
    };
    let kind = response.headers().get(CONTENT_TYPE);
    if kind.is_none_or(|kind| !kind.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    let over = draining.clone().cancelled_owned();
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(over)))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use fluid_scheduler::{MemoryBroker, TaskManager};
    use futures_util::stream;
    use http_body_util::BodyExt;
    use std::convert::Infallible;
    use std::sync::Arc;
    use tower::ServiceExt;

    use super::*;
    use crate::access::Access;
    use crate::options::HttpOptions;

    #[tokio::test(start_paused = true)]
    async fn streams_and_waits_end_with_the_process() {
        let endless = async || {
            let body = Body::from_stream(stream::pending::<Result<String, Infallible>>());
            ([(CONTENT_TYPE, "text/event-stream")], body)
        };
        let wait = async || std::future::pending::<()>().await;
        let broker = Arc::new(MemoryBroker::new());
        let manager = TaskManager::builder().broker(broker).build().unwrap();
        let mut options = HttpOptions::default();
        options.access = Access::Open;
        let draining = options.draining.clone();
        let routes = Router::new()
            .route("/events", get(endless))
            .route("/wait", get(wait));
        let routes = super::super::around(routes, &Site::new(manager, options));
        let ask = |path: &str| {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            tokio::spawn(routes.clone().oneshot(request))
        };
        let events = ask("/events").await.unwrap().unwrap();
        let wait = ask("/wait");
        tokio::task::yield_now().await;
        draining.cancel();
        assert_eq!(events.into_body().collect().await.unwrap().to_bytes(), "");
        let answer = wait.await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
