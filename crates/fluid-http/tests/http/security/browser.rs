//! What a browser may be made to do, and how people sign in with one.

use super::place::{Answer, FULL, Guarded, READ};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

async fn sign_in(guarded: &Guarded, token: &str, headers: &[&str]) -> Answer {
    let body = format!("token={token}&next=ui%2Fruns%3Fstate%3Dfailure");
    guarded
        .ask("POST /login", &[&[FORM], headers].concat(), &body)
        .await
}

/// The header with the cookie that an answer set.
fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").expect("a cookie");
    format!("Cookie: other=1; {}", set.split(';').next().unwrap())
}

#[tokio::test]
async fn a_browser_is_led_to_the_login_and_back() {
    let guarded = Guarded::by_tokens().await;
    let html = "Accept: text/html,*/*";
    let led = guarded.get("/ui/runs?state=failure", &[html]).await;
    assert_eq!(led.status, 303);
    assert_eq!(
        led.header("location"),
        Some("../login?next=ui%2Fruns%3Fstate%3Dfailure")
    );
    let page = guarded
        .get("/login?next=ui%2Fruns%3Fstate%3Dfailure", &[html])
        .await;
    assert!(
        page.body.contains("value=\"ui/runs?state=failure\""),
        "{}",
        page.body
    );
    let signed_in = sign_in(&guarded, FULL, &[]).await;
    assert_eq!(
        (signed_in.status, signed_in.header("location")),
        (303, Some("ui/runs?state=failure"))
    );
    let set = signed_in.header("set-cookie").unwrap();
    assert!(
        set.contains("HttpOnly") && set.contains("SameSite=Strict"),
        "{set}"
    );
    assert!(
        !set.contains("Secure") && !set.contains("Path") && !set.contains(FULL),
        "{set}"
    );
    let session = cookie(&signed_in);
    assert_eq!(guarded.get("/ui/", &[html, &session]).await.status, 200);
    // The page asks for a part after the session is over.
    let part = guarded.get("/ui/", &["HX-Request: true"]).await;
    assert_eq!(
        (part.status, part.header("hx-redirect")),
        (401, Some("../login"))
    );
}

#[tokio::test]
async fn a_link_in_somebody_elses_page_finds_the_session() {
    let guarded = Guarded::by_tokens().await;
    // The cookie is not shown to a page that another site led to.
    let led = guarded
        .get(
            "/ui/runs/x",
            &["Accept: text/html", "Sec-Fetch-Site: cross-site"],
        )
        .await;
    assert_eq!(led.status, 200);
    assert!(
        led.body.contains("0; url=../../login?next=ui%2Fruns%2Fx\""),
        "{}",
        led.body
    );
    let session = cookie(&sign_in(&guarded, READ, &[]).await);
    let back = guarded.get("/login?next=ui%2Fruns%2Fx", &[&session]).await;
    assert_eq!(
        (back.status, back.header("location")),
        (303, Some("ui/runs/x"))
    );
}

#[tokio::test]
async fn a_session_is_marked_secure_where_the_browser_speaks_tls() {
    let guarded = Guarded::by_tokens().await;
    for header in [
        "Origin: https://fluid.example.org",
        "X-Forwarded-Proto: https",
    ] {
        let fetched = ["Sec-Fetch-Site: same-origin", header];
        let set = sign_in(&guarded, FULL, &fetched).await;
        assert!(
            set.header("set-cookie").unwrap().ends_with("; Secure"),
            "{header}"
        );
    }
}

#[tokio::test]
async fn a_session_ends_with_the_logout_and_can_not_be_made_up() {
    let guarded = Guarded::by_tokens().await;
    let session = cookie(&sign_in(&guarded, FULL, &[]).await);
    let fetched = "Sec-Fetch-Site: same-origin";
    assert_eq!(guarded.get("/api/v1/tasks", &[&session]).await.status, 200);
    let out = guarded.ask("POST /logout", &[&session, fetched], "").await;
    assert_eq!((out.status, out.header("location")), (303, Some("login")));
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(
        guarded.get("/api/v1/tasks", &[&session]).await.status,
        401,
        "a copy is no good"
    );
    let session = cookie(&sign_in(&guarded, READ, &[]).await);
    let longer = session.replace("session=1", "session=2");
    assert_ne!(longer, session);
    let sign = session.rsplit('.').next().unwrap();
    for forged in [
        longer,
        session.replace(sign, &"0".repeat(64)),
        "Cookie: fluid_session=..".to_owned(),
    ] {
        assert_eq!(
            guarded.get("/api/v1/tasks", &[&forged]).await.status,
            401,
            "{forged}"
        );
    }
    let wrong = sign_in(&guarded, "nobody-has-this-one", &[]).await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, None));
    assert!(wrong.body.contains("Nobody has this token.") && !wrong.body.contains("nobody-has"));
}

#[tokio::test]
async fn a_login_leads_to_no_other_site() {
    let guarded = Guarded::by_tokens().await;
    for next in [
        "https%3A%2F%2Fevil.example",
        "%2F%2Fevil.example",
        "ui%2F..%2F..%2Fx",
        "javascript%3Aalert(1)",
    ] {
        let body = format!("token={FULL}&next={next}");
        let answer = guarded.ask("POST /login", &[FORM], &body).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some("ui/")),
            "{next}"
        );
    }
    let shown = guarded
        .get("/login?next=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E", &[])
        .await;
    assert!(!shown.body.contains("<script"), "{}", shown.body);
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let guarded = Guarded::by_tokens().await;
    let local = Guarded::local().await;
    let session = cookie(&sign_in(&guarded, FULL, &[]).await);
    let full = format!("Authorization: Bearer {FULL}");
    let here = format!("Origin: http://{}", guarded.address);
    let route = "POST /api/v1/runs";
    for header in [
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Origin: http://evil.example",
        "Origin: null",
        "Origin: http://127.0.0.1:1",
    ] {
        for path in [route, "POST /login", "POST /logout"] {
            for who in [&session, &full] {
                let answer = guarded.ask(path, &[who, header, FORM], "a=1").await;
                assert_eq!(
                    (answer.status, answer.problem()),
                    (403, "cross-site"),
                    "{path} {header}"
                );
            }
        }
        let answer = local.ask(route, &[header, FORM], "a=1").await;
        assert_eq!(
            (answer.status, answer.problem()),
            (403, "cross-site"),
            "{header}"
        );
    }
    let silent = guarded.ask(route, &[&session], "{}").await;
    assert_eq!(
        (silent.status, silent.problem()),
        (403, "cross-site"),
        "a cookie and no origin"
    );
    for headers in [
        [&session, "Sec-Fetch-Site: same-origin"],
        [&session, &here],
        [&full, "Sec-Fetch-Site: none"],
        [&full, "X-Nothing: 1"],
    ] {
        let answer = guarded.ask(route, &headers, "{}").await;
        assert_ne!(answer.status, 403, "{headers:?}");
    }
    // And none of them may read what is answered.
    let answer = guarded
        .get("/api/v1/tasks", &[&full, "Origin: http://evil.example"])
        .await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(
        answer.header("cross-origin-resource-policy"),
        Some("same-origin")
    );
}

#[tokio::test]
async fn browsers_are_told_to_trust_nothing_and_to_keep_nothing() {
    let guarded = Guarded::by_tokens().await;
    for path in ["/login", "/healthz", "/api/v1/tasks", "/what/is/not/there"] {
        let answer = guarded.get(path, &[]).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{path}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        assert!(answer.header("permissions-policy").is_some(), "{path}");
    }
}
