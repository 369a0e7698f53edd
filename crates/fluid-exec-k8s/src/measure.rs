//! What the Kubernetes API costs, measured through the `metrics` facade. `docs/metrics.md` lists the names.

use std::time::{Duration, Instant};

use http::{Method, Request, Uri};
use kube::Client;
use kube::client::Body;
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use tower::service_fn;

const REQUEST: &str = "fluid_k8s_request_seconds";
const RESTARTS: &str = "fluid_k8s_watch_restarts_total";

/// Tells the recorder what each name means.
pub(crate) fn describe() {
    describe_histogram!(
        REQUEST,
        Unit::Seconds,
        "How long the Kubernetes API took to begin its answers."
    );
    describe_counter!(RESTARTS, "Watches that broke and were begun again.");
}

/// The same client, with a clock beside each request.
pub(crate) fn measured(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let client = client.clone();
        async move {
            let verb = verb(request.method(), request.uri());
            let resource = resource(request.uri());
            let begin = Instant::now();
            let answer = client.send(request).await;
            let code = answer.as_ref().map_or_else(
                |_| "none".to_owned(),
                |answer| answer.status().as_u16().to_string(),
            );
            requested(verb, resource, code, begin.elapsed());
            answer
        }
    });
    Client::new(service, namespace)
}

fn requested(verb: &'static str, resource: &'static str, code: String, took: Duration) {
    histogram!(REQUEST, "verb" => verb, "resource" => resource, "code" => code).record(took);
}

/// A watch broke and will be begun again.
pub(crate) fn watch_restarts(resource: &'static str) {
    counter!(RESTARTS, "resource" => resource).increment(1);
}

/// The words of Kubernetes for what is asked.
fn verb(method: &Method, uri: &Uri) -> &'static str {
    let watches = uri.query().is_some_and(|query| {
        query
            .split('&')
            .any(|pair| matches!(pair, "watch=true" | "watch=1"))
    });
    match *method {
        Method::GET if watches => "watch",
        Method::GET => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    }
}

/// Which of the resources that this crate works with a path is about; never a name of one.
fn resource(uri: &Uri) -> &'static str {
    const KNOWN: [&str; 7] = [
        "jobs",
        "pods",
        "secrets",
        "events",
        "deployments",
        "selfsubjectaccessreviews",
        "namespaces",
    ];
    let mut parts = uri.path().split('/').filter(|part| !part.is_empty());
    // `/api/v1` or `/apis/batch/v1`.
    let skipped = usize::from(parts.next() == Some("apis"));
    let mut parts = parts.skip(skipped + 1).peekable();
    let mut resource = parts.next();
    if resource == Some("namespaces") && parts.next().is_some() && parts.peek().is_some() {
        resource = parts.next();
    }
    if parts.next().is_some() && parts.next() == Some("log") {
        return "pods/log";
    }
    KNOWN
        .into_iter()
        .find(|known| Some(*known) == resource)
        .unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_by_verb_and_resource_and_never_by_name() {
        let told = |method, uri: &str| {
            let uri = uri.parse().unwrap();
            (verb(&method, &uri), resource(&uri))
        };
        for (method, uri, expected) in [
            (
                Method::GET,
                "/apis/batch/v1/namespaces/workers/jobs?&watch=true&labelSelector=a",
                ("watch", "jobs"),
            ),
            (
                Method::POST,
                "/apis/batch/v1/namespaces/workers/jobs?",
                ("create", "jobs"),
            ),
            (
                Method::GET,
                "/api/v1/namespaces/pods/pods/jobs",
                ("get", "pods"),
            ),
            (
                Method::GET,
                "/api/v1/namespaces/workers/pods/fluid-1/log?&follow=true",
                ("get", "pods/log"),
            ),
            (
                Method::GET,
                "/api/v1/namespaces/workers",
                ("get", "namespaces"),
            ),
            (
                Method::POST,
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                ("create", "selfsubjectaccessreviews"),
            ),
            (Method::GET, "/version", ("get", "other")),
        ] {
            assert_eq!(told(method, uri), expected, "{uri}");
        }
    }
}
