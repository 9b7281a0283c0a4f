//! The frame as a browser or a script meets it.

use axum::http::{Request, StatusCode};

use crate::given::{Console, empty};

#[tokio::test]
async fn every_answer_binds_browsers_and_is_not_kept() {
    let console = Console::over(empty());
    for path in ["/", "/no-such-page", "/healthz", "/login", "/api/v1/nothing"] {
        let answer = console.get(path).await;
        answer.assert_binds_browsers();
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
}

#[tokio::test]
async fn assets_are_kept_for_ever_under_their_version() {
    let console = Console::over(empty());
    let page = console.page("/").await;
    let (_, rest) = page.body.split_once("rel=\"stylesheet\" href=\"").unwrap();
    let css = console.get(rest.split_once('"').unwrap().0).await;
    assert_eq!(css.header("content-type"), "text/css; charset=utf-8");
    assert!(css.header("cache-control").contains("immutable"));
    assert!(css.body.starts_with("/* _layers.css */"));
    for (name, content_type) in [("sillage.js", "text/javascript; charset=utf-8"), ("icon.svg", "image/svg+xml")] {
        let asset = console.get(&format!("/assets/{}/{name}", crate::asset::VERSION)).await;
        assert_eq!((asset.status, asset.header("content-type")), (StatusCode::OK, content_type));
        assert!(asset.header("cache-control").contains("immutable") && asset.header("etag") != css.header("etag"));
    }
    assert_eq!(console.get("/assets/an-old-version/sillage.css").await.header("cache-control"), "no-cache");
    let again = Console::over(empty()).sending("if-none-match", css.header("etag"));
    assert_eq!(again.get("/assets/x/sillage.css").await.status, StatusCode::NOT_MODIFIED);
    assert_eq!(console.get("/assets/x/../../Cargo.toml").await.status, StatusCode::NOT_FOUND);
    assert_eq!(console.get("/assets/x/nothing.css").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_wrong_address_offers_a_way_out() {
    let answer = Console::over(empty()).get("/no-such-page").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    answer.shows("There is no such page").shows("All flows");
    assert!(answer.body.contains("<a class=\"button\" href=\"/flows\">"));
}

#[tokio::test]
async fn a_rebound_name_is_refused_with_advice() {
    let answer = Console::over(empty()).sending("host", "evil.example:7455").get("/").await;
    assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST);
    answer.shows("[web] public_url = \"http://evil.example:7455/\"");
}

#[tokio::test]
async fn a_theme_is_chosen_without_a_script_and_printed_into_the_page() {
    let console = Console::over(empty());
    let page = console.page("/help").await;
    let answer = console.post("/theme", &[("theme", "dark"), ("next", "/help"), ("token", page.token())]).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/help"));
    assert!(answer.header("set-cookie").starts_with("sillage_theme=dark; Path=/; "));
    let dark = Console::over(empty()).sending("cookie", "a=b; sillage_theme=dark").page("/").await;
    assert!(dark.body.contains("<html lang=\"en\" data-theme=\"dark\">"));
    let hostile = Console::over(empty()).sending("cookie", "sillage_theme=\"><script>").page("/").await;
    assert!(hostile.body.contains("<html lang=\"en\">"));
}

#[tokio::test]
async fn a_form_without_our_token_or_from_another_site_changes_nothing() {
    let console = Console::over(empty());
    let token = console.page("/").await.token().to_owned();
    for form in [&[("theme", "dark")][..], &[("theme", "dark"), ("token", "made.up")]] {
        let answer = console.post("/theme", form).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (StatusCode::FORBIDDEN, ""));
        answer.shows("This form is out of date");
    }
    let elsewhere = console.sending("origin", "http://evil.example");
    let answer = elsewhere.post("/theme", &[("theme", "dark"), ("token", &token)]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    answer.shows("Nothing was changed");
}

#[tokio::test]
async fn a_login_leads_back_to_the_page_that_was_asked_for() {
    let console = Console::locked(empty());
    let asked = console.get("/flows?q=a%20b").await;
    assert_eq!(asked.status, StatusCode::SEE_OTHER);
    assert_eq!(asked.header("location"), "/login?next=%2Fflows%3Fq%3Da%2520b");
    let form = console.page(asked.header("location")).await;
    form.shows("Ask them for your secret").hides("Overview");
    let wrong = console.post("/login", &[("secret", "guess"), ("token", form.token())]).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    wrong.shows("Nobody in [[access]] has this secret");
    let right = [("secret", "view secret"), ("next", "/flows?q=a%20b"), ("token", form.token())];
    let answer = console.post("/login", &right).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/flows?q=a%20b"));
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
    let session = cookie.split(';').next().unwrap();
    let inside = console.sending("cookie", session);
    let page = inside.page("/").await;
    assert!(page.body.contains("<span>view</span>"));
    let outside_token = form.token();
    assert_eq!(
        inside.post("/theme", &[("theme", "dark"), ("token", outside_token)]).await.status,
        StatusCode::FORBIDDEN
    );
    inside.post("/logout", &[("token", page.token())]).await;
    assert_eq!(inside.get("/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_login_never_leads_to_another_site() {
    let console = Console::locked(empty());
    let form = console.page("/login?next=//evil.example").await;
    assert!(form.body.contains("name=\"next\" value=\"/\""));
    let sent = [("secret", "view secret"), ("next", "/\\evil.example"), ("token", form.token())];
    assert_eq!(console.post("/login", &sent).await.header("location"), "/");
}

#[tokio::test]
async fn nothing_but_the_login_and_the_probes_is_open_without_one() {
    let console = Console::locked(empty());
    for path in ["/healthz", "/login", "/favicon.ico", "/assets/x/sillage.js"] {
        assert_eq!(console.get(path).await.status, StatusCode::OK, "{path}");
    }
    for path in ["/", "/flows", "/flow/1", "/topics", "/live", "/status", "/search", "/help", "/no-such-page"] {
        assert_eq!(console.get(path).await.status, StatusCode::SEE_OTHER, "{path}");
    }
    for path in ["/api/v1/status", "/api/v1/nothing", "/metrics", "/live/rows"] {
        let answer = console.get(path).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (StatusCode::UNAUTHORIZED, "Bearer"), "{path}");
    }
}

#[tokio::test]
async fn a_viewer_changes_nothing_and_a_script_needs_no_form_token() {
    let viewer = Console::locked(empty()).sending("authorization", "Bearer view secret");
    viewer.page("/").await;
    let answer = viewer.post("/api/v1/redrives", &[]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let operator = Console::locked(empty()).sending("authorization", "bearer operate secret");
    assert_ne!(operator.post("/api/v1/redrives", &[]).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_proxy_may_pass_our_path_on_or_take_it_off() {
    let console = Console::behind("https://example.org/tools/sillage/", empty()).sending("host", "example.org");
    for path in ["/", "/tools/sillage/", "/tools/sillage"] {
        let page = console.page(path).await;
        assert!(page.body.contains("href=\"/tools/sillage/help\""), "{path}");
    }
    assert_eq!(console.get("/tools/sillagex").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_form_that_is_too_large_is_refused() {
    let console = Console::over(empty());
    let answer = console.ask(Request::post("/theme"), "a".repeat(70_000)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    answer.shows("at most 64 KiB");
}
