//! By which name the server is asked for, and where that leads.

use super::place::Guarded;

#[tokio::test]
async fn a_name_that_was_made_to_lead_here_is_refused() {
    let local = Guarded::local().await;
    for host in [
        "evil.example",
        "evil.example:7373",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
    ] {
        let header = format!("Host: {host}");
        for path in ["/api/v1/tasks", "/ui/", "/healthz"] {
            let answer = local.get(path, &[&header]).await;
            assert_eq!(
                (answer.status, answer.problem()),
                (403, "foreign-host"),
                "{host} {path}"
            );
        }
    }
    let twice = local
        .get("/api/v1/tasks", &["Host: localhost", "Host: evil.example"])
        .await;
    assert!([400, 403].contains(&twice.status), "{}", twice.status);
    for host in ["localhost", "LOCALHOST:7373", "127.0.0.1", "[::1]:7373"] {
        let header = format!("Host: {host}");
        assert_eq!(
            local.get("/api/v1/tasks", &[&header]).await.status,
            200,
            "{host}"
        );
    }
}

#[tokio::test]
async fn names_that_were_given_are_taken() {
    let named = Guarded::with(|options| {
        options.access = fluid_http::Access::Local;
        options.hosts = vec!["fluid.example.org".to_owned()];
    });
    let named = named.await;
    let far = "X-Forwarded-For: 192.0.2.7";
    let answer = named
        .get("/api/v1/tasks", &["Host: fluid.example.org", far])
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        named
            .get("/api/v1/tasks", &["Host: example.org", far])
            .await
            .status,
        403
    );
    let local = Guarded::local().await;
    let answer = local.get("/api/v1/tasks", &[far]).await;
    assert_eq!(
        (answer.status, answer.problem()),
        (403, "not-local"),
        "a proxy hands it down"
    );
}

#[tokio::test]
async fn a_path_leads_to_no_file() {
    let local = Guarded::local().await;
    for path in [
        "/../../../../etc/passwd",
        "/ui/../../../../etc/passwd",
        "/ui/assets/../../../../etc/passwd",
        "/ui/assets/..%2f..%2f..%2fetc%2fpasswd",
        "/ui/assets/%2e%2e/%2e%2e/etc/passwd",
        "/ui/assets//etc/passwd",
        "/api/v1/../../etc/passwd",
        "/ui/assets/..%5c..%5cetc%5cpasswd",
        "/ui/assets/%00",
    ] {
        let answer = local.get(path, &[]).await;
        assert!(
            [400, 404].contains(&answer.status),
            "{path} answers {}",
            answer.status
        );
        assert!(!answer.body.contains("root:"), "{path}");
    }
    // What needs a token is not reached around a corner.
    let guarded = Guarded::by_tokens().await;
    for path in [
        "/healthz/../api/v1/tasks",
        "/ui/assets/../tasks",
        "//api/v1/tasks",
        "/login/../ui/",
        "/%61pi/v1/tasks",
    ] {
        let answer = guarded.get(path, &[]).await;
        assert!(
            [401, 404].contains(&answer.status),
            "{path} answers {}",
            answer.status
        );
        assert!(!answer.body.contains("hello"), "{path}");
    }
}
