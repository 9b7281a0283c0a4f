//! For tests: the whole console over a store, asked as a browser or a script asks it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use store::engine::{Counts, Facet, Forgotten, Found, PageRequest, Sequence, Stats};
use store::knot::Tie;
use store::{Board, Store, StoreError};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::config::{Access, Config, PublicUrl, Role};
use crate::{routes, state};

/// The whole console, without a socket.
pub struct Console {
    app: Router,
    headers: Vec<(&'static str, String)>,
    /// What holds the journal.
    folder: tempfile::TempDir,
    journal: store::Journal,
}

/// What the console answered.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Console {
    /// Over a store, for everybody on this machine.
    pub fn over(store: Arc<dyn Store>) -> Console {
        Console::with(&Config::default(), &[], store, Arc::default())
    }

    /// Over a store and what the collector reports.
    pub fn beside(store: Arc<dyn Store>, board: Arc<Board>) -> Console {
        Console::with(&Config::default(), &[], store, board)
    }

    /// With somebody who may look (`view secret`) and somebody who may operate (`operate secret`).
    pub fn locked(store: Arc<dyn Store>) -> Console {
        Console::locked_beside(store, Arc::default())
    }

    /// The same two people, beside what the collector reports.
    pub fn locked_beside(store: Arc<dyn Store>, board: Arc<Board>) -> Console {
        let person =
            |name: &str, role| Access { name: name.into(), secret: format!("{name} secret").as_str().into(), role };
        let access = [person("view", Role::View), person("operate", Role::Operate)];
        Console::with(&Config::default(), &access, store, board)
    }

    /// Behind a proxy under this address.
    pub fn behind(public_url: &str, store: Arc<dyn Store>) -> Console {
        let public_url = Some(PublicUrl::try_from(public_url.to_owned()).unwrap());
        Console::with(&Config { public_url, ..Config::default() }, &[], store, Arc::default())
    }

    /// With these settings.
    pub fn set(config: &Config, store: Arc<dyn Store>, board: Arc<Board>) -> Console {
        Console::with(config, &[], store, board)
    }

    fn with(config: &Config, access: &[Access], store: Arc<dyn Store>, board: Arc<Board>) -> Console {
        let folder = tempfile::tempdir().unwrap();
        let journal = store::Journal::open(folder.path()).unwrap();
        let state = state(config, access, store, journal.clone(), board, CancellationToken::new()).unwrap();
        Console { app: routes::app(state), headers: Vec::new(), folder, journal }
    }

    /// With a header on every request from now on.
    pub fn sending(mut self, name: &'static str, value: &str) -> Console {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// What stands in the journal.
    pub fn journal(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("journal")).unwrap()
    }

    /// Writes a line of a webhook's outbox, as the collector would.
    pub async fn write(&self, id: &str, says: &store::alert::Outbox) {
        self.journal.append(store::journal::LineKind::Outbox, id, "sillage", says).await.unwrap();
    }

    /// The journal itself, to write there what the collector does.
    pub fn book(&self) -> &store::Journal {
        &self.journal
    }

    /// What a request is answered.
    pub async fn ask(&self, request: axum::http::request::Builder, body: String) -> Answer {
        let mut request = request;
        if !self.headers.iter().any(|(name, _)| *name == "host") {
            request = request.header(header::HOST, "localhost:7455");
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let response = self.app.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// What `GET` is answered.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path), String::new()).await
    }

    /// What a form is answered.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        let encode =
            |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let body: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.ask(request, body.join("&")).await
    }

    /// The body of what `GET` is answered, as it comes.
    pub async fn stream(&self, path: &str) -> Body {
        let request = Request::get(path).header(header::HOST, "localhost:7455").body(Body::empty()).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        response.into_body()
    }

    /// The page at a path; it must be there.
    pub async fn page(&self, path: &str) -> Answer {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        answer.assert_binds_browsers();
        answer
    }
}

impl Answer {
    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The token of the page's forms.
    pub fn token(&self) -> &str {
        let (_, rest) = self.body.split_once("name=\"token\" value=\"").expect("the page has a form");
        rest.split_once('"').unwrap().0
    }

    /// What a person reads: the main part without its tags, white space made one.
    pub fn text(&self) -> String {
        let main = self.body.split_once("<main").map_or(self.body.as_str(), |(_, main)| main);
        let mut text = String::new();
        let mut in_tag = false;
        for letter in main.chars() {
            match letter {
                '<' => in_tag = true,
                '>' => {
                    in_tag = false;
                    text.push(' ');
                }
                letter if !in_tag => text.push(letter),
                _ => {}
            }
        }
        let text = text
            .replace("&#34;", "\"")
            .replace("&#39;", "'")
            .replace("&#60;", "<")
            .replace("&#62;", ">")
            .replace("&#38;", "&");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// A person can read this.
    #[track_caller]
    pub fn shows(&self, words: &str) -> &Answer {
        let text = self.text();
        assert!(text.contains(words), "\"{words}\" is not shown in: {text}");
        self
    }

    /// A person can't read this.
    #[track_caller]
    pub fn hides(&self, words: &str) -> &Answer {
        let text = self.text();
        assert!(!text.contains(words), "\"{words}\" is shown in: {text}");
        self
    }

    /// Nothing in it needs what our policy forbids.
    #[track_caller]
    pub fn assert_binds_browsers(&self) {
        assert!(self.header("content-security-policy").starts_with("default-src 'none'; script-src 'self';"));
        assert!(
            tags(&self.body).iter().all(|tag| !tag.contains(" style=")),
            "a style attribute is ignored under our policy"
        );
        assert!(!self.body.contains("<style"), "a style element is ignored under our policy");
        let scripts = self.body.matches("<script").count();
        assert_eq!(
            scripts,
            self.body.matches("<script type=\"module\" src=\"").count(),
            "an inline script doesn't run"
        );
        for tag in tags(&self.body) {
            assert!(!tag.contains(" on") && !tag.contains("javascript:"), "{tag}");
        }
    }
}

/// The tags of a page, without the values of their attributes: all text is escaped, so every `<` begins one.
fn tags(body: &str) -> Vec<String> {
    let tag = |rest: &str| {
        let mut tag = String::new();
        let mut in_value = false;
        for letter in rest.chars() {
            match letter {
                '"' => in_value = !in_value,
                '>' if !in_value => break,
                letter if !in_value => tag.push(letter),
                _ => {}
            }
        }
        tag
    };
    body.split('<').skip(1).map(tag).collect()
}

/// A store that holds nothing.
pub fn empty() -> Arc<dyn Store> {
    Arc::new(Empty(tokio::sync::watch::Sender::default()))
}

struct Empty(tokio::sync::watch::Sender<Sequence>);

#[async_trait::async_trait]
impl Store for Empty {
    async fn append(&self, _: Vec<store::Entry>, _: store::Checkpoint) -> Result<Sequence, StoreError> {
        Err(StoreError::Closed)
    }
    async fn checkpoint(&self, source: &store::SourceName) -> Result<store::Checkpoint, StoreError> {
        Ok(store::Checkpoint::none(source.clone()))
    }
    async fn related(&self, _: &[(Tie, store::Knot)], _: usize) -> Result<Found, StoreError> {
        Ok(Found::default())
    }
    async fn search(&self, _: &store::Query, _: PageRequest) -> Result<Found, StoreError> {
        Ok(Found::default())
    }
    async fn since(&self, _: Sequence, _: &store::Query, _: usize) -> Result<Found, StoreError> {
        Ok(Found::default())
    }
    async fn count(&self, _: &store::Query, _: Facet) -> Result<Counts, StoreError> {
        Ok(Counts::default())
    }
    async fn forget(&self, _: &store::Query) -> Result<Forgotten, StoreError> {
        Ok(Forgotten::default())
    }
    fn generation(&self) -> tokio::sync::watch::Receiver<Sequence> {
        self.0.subscribe()
    }
    async fn stats(&self) -> Result<Stats, StoreError> {
        Ok(Stats::default())
    }
}

/// A store that holds these entries.
pub async fn holding(entries: Vec<store::Entry>) -> Arc<dyn Store> {
    let memory = store::memory::Memory::new();
    memory.append(entries, store::Checkpoint::none("main".into())).await.unwrap();
    Arc::new(memory)
}

/// An order whose billing was tried three times and set aside, while inventory, shipping and the read model did their part.
/// Trace 1, key `order-48213`, event id `evt-placed-48213`.
pub fn order_journey() -> Vec<store::Entry> {
    use store::fixture::{log, record, span};
    let body = r#"{"orderId":"order-48213","customerId":"c-77","total":129.90,"lines":[{"sku":"A-1","count":2}]}"#;
    let placed =
        record("order.placed", 3, 48213).event("OrderPlaced").id("evt-placed-48213").version("1").producer("shop-api");
    let copy = |topic: &str, offset, at| {
        let copy = record(topic, 0, offset).event("OrderPlaced").id("evt-placed-48213").key("order-48213");
        copy.trace(1).span(1).body(body).at(at)
    };
    let attempt = |topic: &str, partition, offset, id, at| {
        let name = format!("process {topic}");
        let attempt =
            span("billing", &name).trace(1).id(id).parent(1).consumed(topic, partition, offset).group("billing");
        attempt.at(at).took(0.31).failed("payment gateway did not answer in 300 ms")
    };
    vec![
        span("shop-api", "POST /orders").trace(1).id(1).kind(store::span::SpanKind::Server).at(0.0).took(0.064).entry(),
        placed.key("order-48213").trace(1).span(1).body(body).header("tenant", "acme").at(0.060).entry(),
        attempt("order.placed", 3, 48213, 2, 0.110).entry(),
        copy("order.placed-retry", 77, 0.425).retry("billing", 1).from("order.placed", 3, 48213).entry(),
        attempt("order.placed-retry", 0, 77, 3, 1.450).entry(),
        copy("order.placed-retry", 78, 1.765).retry("billing", 2).from("order.placed", 3, 48213).entry(),
        attempt("order.placed-retry", 0, 78, 4, 3.745).entry(),
        copy("order.placed-dlt", 16, 4.060)
            .dead("billing", "payment gateway did not answer")
            .from("order.placed", 3, 48213)
            .entry(),
        span("inventory", "reserve stock")
            .trace(1)
            .id(5)
            .parent(1)
            .consumed("order.placed", 3, 48213)
            .group("inventory")
            .at(0.096)
            .took(0.155)
            .entry(),
        record("stock.reserved", 1, 9120)
            .event("StockReserved")
            .id("evt-reserved-9120")
            .version("2")
            .key("order-48213")
            .trace(1)
            .span(5)
            .at(0.248)
            .body(r#"{"orderId":"order-48213"}"#)
            .entry(),
        span("shipping", "plan parcel")
            .trace(1)
            .id(6)
            .parent(5)
            .consumed("stock.reserved", 1, 9120)
            .group("shipping")
            .at(0.830)
            .took(0.190)
            .entry(),
        span("read-model", "project OrderPlaced")
            .trace(1)
            .id(7)
            .parent(1)
            .consumed("order.placed", 3, 48213)
            .group("read-model")
            .at(0.090)
            .took(0.004)
            .entry(),
        span("read-model", "project StockReserved")
            .trace(1)
            .id(8)
            .parent(5)
            .consumed("stock.reserved", 1, 9120)
            .group("read-model")
            .at(0.268)
            .took(0.004)
            .entry(),
        log("billing", "payment gateway did not answer in 300 ms, giving up")
            .trace(1)
            .span(4)
            .severity(17)
            .at(4.05)
            .entry(),
        log("inventory", "reserved 2 × A-1").trace(1).span(5).at(0.2).entry(),
    ]
}
