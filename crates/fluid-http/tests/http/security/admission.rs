//! Tokens, and those whom a proxy names.

use std::path::Path;
use std::time::{Duration, Instant};

use fluid_http::{Role, UserHeader};
use serde_json::Value;

use super::place::{FULL, Guarded, READ};

/// The changing routes that the description of the API does not have: those of the dashboard and of aio-fluid.
const OTHERS: &[&str] = &[
    "POST /logout",
    "POST /ui/tasks/hello",
    "POST /ui/tasks/hello/switch",
    "POST /ui/queues/default/switch",
    "POST /ui/runs/cancel",
    "POST /ui/runs/retry",
    "POST /ui/runs/01890a5d-ac96-774b-bcce-b302099a8057/cancel",
    "POST /ui/runs/01890a5d-ac96-774b-bcce-b302099a8057/retry",
    "POST /tasks/hello",
    "PATCH /tasks/hello",
    "DELETE /tasks-queue",
    "DELETE /tasks-queue/high",
];

/// Every changing route, as a method and a path.
async fn changing(guarded: &Guarded) -> Vec<String> {
    let bearer = format!("Authorization: Bearer {READ}");
    let document = guarded.get("/api/v1/openapi.json", &[&bearer]).await;
    let document: Value = serde_json::from_str(&unchunked(&document.body)).unwrap();
    let mut routes: Vec<String> = OTHERS.iter().map(|route| (*route).to_owned()).collect();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap().keys();
        let methods =
            methods.filter(|method| ["post", "put", "patch", "delete"].contains(&method.as_str()));
        let path = path
            .replace("{run}", "01890a5d-ac96-774b-bcce-b302099a8057")
            .replace(['{', '}'], "");
        routes.extend(methods.map(|method| format!("{} /api/v1{path}", method.to_uppercase())));
    }
    routes.push("POST /what/is/not/there".to_owned());
    routes
}

fn unchunked(body: &str) -> String {
    let start = body.find('{').unwrap();
    let end = body.rfind('}').unwrap();
    body[start..=end].to_owned()
}

/// Routes of the dashboard and of aio-fluid in the source text that change something.
fn in_source(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let mut count = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count += in_source(&path);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let words = ["post(", "put(", "patch(", "delete("];
            let routed = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//") && !line.contains("fn "));
            let routed = routed.flat_map(|line| line.split([' ', '.']));
            count += routed
                .filter(|word| words.iter().any(|w| word.starts_with(w)))
                .count();
        }
    }
    count
}

#[test]
fn the_list_of_changing_routes_is_whole() {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    let source = Path::new(&manifest).join("src");
    let found = in_source(&source.join("ui")) + in_source(&source.join("aio"));
    let listed = OTHERS
        .iter()
        .filter(|route| !route.contains("/logout"))
        .count();
    assert_eq!(listed, found, "add the new routes to OTHERS");
}

#[tokio::test]
async fn nobody_changes_anything_without_a_token_with_a_wrong_one_or_with_one_to_read() {
    let guarded = Guarded::by_tokens().await;
    for route in changing(&guarded).await {
        if route == "POST /logout" {
            continue;
        }
        let none = guarded.ask(&route, &[], "{}").await;
        assert_eq!(
            (none.status, none.problem()),
            (401, "not-signed-in"),
            "{route}"
        );
        let wrong = guarded
            .ask(
                &route,
                &["Authorization: Bearer full-0123456789abcdeg"],
                "{}",
            )
            .await;
        assert!([401, 429].contains(&wrong.status), "{route}");
        let read = format!("Authorization: Bearer {READ}");
        let read = guarded
            .ask(&route, &[&read, "Content-Type: application/json"], "{}")
            .await;
        assert_eq!(
            (read.status, read.problem()),
            (403, "may-only-read"),
            "{route}"
        );
        let full = format!("Authorization: Bearer {FULL}");
        let full = guarded
            .ask(&route, &[&full, "Content-Type: application/json"], "{}")
            .await;
        assert!(
            ![401, 403].contains(&full.status),
            "{route} answers {}",
            full.status
        );
    }
}

#[tokio::test]
async fn a_token_to_read_reads_and_none_reads_nothing_but_health() {
    let guarded = Guarded::by_tokens().await;
    for path in [
        "/",
        "/ui/",
        "/api/v1/tasks",
        "/api/v1/openapi.json",
        "/metrics",
        "/tasks",
        "/what",
    ] {
        let none = guarded.get(path, &[]).await;
        assert_eq!(
            (none.status, none.problem()),
            (401, "not-signed-in"),
            "{path}"
        );
        assert!(
            none.header("www-authenticate")
                .unwrap()
                .starts_with("Bearer")
        );
        assert!(!none.body.contains("hello"), "{path}");
    }
    for path in ["/healthz", "/readyz", "/login"] {
        assert_eq!(guarded.get(path, &[]).await.status, 200, "{path}");
    }
    let read = format!("Authorization: bearer {READ}");
    assert_eq!(guarded.get("/api/v1/tasks", &[&read]).await.status, 200);
}

#[tokio::test]
async fn a_server_to_read_from_changes_nothing_for_anybody() {
    let guarded = Guarded::with(|options| options.read_only = true).await;
    for route in changing(&guarded)
        .await
        .iter()
        .filter(|route| !route.contains("/logout"))
    {
        let full = format!("Authorization: Bearer {FULL}");
        let answer = guarded.ask(route, &[&full], "{}").await;
        assert_eq!(
            (answer.status, answer.problem()),
            (403, "read-only"),
            "{route}"
        );
    }
}

#[tokio::test]
async fn wrong_tokens_are_counted() {
    let guarded = Guarded::by_tokens().await;
    let mut statuses = Vec::new();
    for guess in 0..11 {
        let bearer = format!("Authorization: Bearer guess-0123456789-{guess}");
        statuses.push(guarded.get("/api/v1/tasks", &[&bearer]).await.status);
    }
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10], 429);
    let form = format!("token={FULL}");
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let login = guarded.ask("POST /login", &[kind], &form).await;
    assert_eq!(login.status, 429, "not even the right one is looked at");
    assert!(login.header("retry-after").is_some() && login.header("set-cookie").is_none());
}

#[tokio::test]
async fn a_token_is_good_as_long_as_it_stands_in_the_file() {
    let guarded = Guarded::by_tokens().await;
    let (old, new) = (
        format!("Authorization: Bearer {READ}"),
        "Authorization: Bearer new-0123456789abcdef",
    );
    assert_eq!(guarded.get("/api/v1/tasks", &[&old]).await.status, 200);
    let replace = |text: &str| std::fs::write(guarded.tokens.path(), text).unwrap();
    replace("eve read new-0123456789abcdef\n");
    let deadline = Instant::now() + Duration::from_secs(30);
    while guarded.get("/api/v1/tasks", &[&old]).await.status == 200 {
        assert!(Instant::now() < deadline, "the file is read again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(guarded.get("/api/v1/tasks", &[new]).await.status, 200);
    replace("a file that is no list of tokens");
    let look = Instant::now();
    while look.elapsed() < Duration::from_millis(1500) {
        assert_eq!(
            guarded.get("/api/v1/tasks", &[new]).await.status,
            200,
            "what it said last holds"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_proxy_names_users_only_where_it_is_trusted_to() {
    let users = |role| UserHeader {
        name: "x-forwarded-user".parse().unwrap(),
        role,
    };
    let named = ["X-Forwarded-User: carol"];
    let trusted = Guarded::by_proxy("127.0.0.0/8", users(Role::Read)).await;
    assert_eq!(trusted.get("/api/v1/tasks", &named).await.status, 200);
    let denied = trusted.ask("POST /api/v1/runs", &named, "{}").await;
    assert_eq!((denied.status, denied.problem()), (403, "may-only-read"));
    for headers in [
        &[] as &[&str],
        &["X-Forwarded-User: "],
        &["X-Forwarded-User: a", "X-Forwarded-User: b"],
    ] {
        assert_eq!(
            trusted.get("/api/v1/tasks", headers).await.status,
            401,
            "{headers:?}"
        );
    }
    let full = Guarded::by_proxy("127.0.0.0/8", users(Role::Full)).await;
    assert!(![401, 403].contains(&full.ask("POST /api/v1/runs", &named, "{}").await.status));
    let elsewhere = Guarded::by_proxy("10.0.0.0/8", users(Role::Full)).await;
    assert_eq!(elsewhere.get("/api/v1/tasks", &named).await.status, 401);
    let not_asked_for = Guarded::by_tokens().await;
    assert_eq!(not_asked_for.get("/api/v1/tasks", &named).await.status, 401);
}
