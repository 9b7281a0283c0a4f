//! Who retries, how often, why, does it help?

use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use store::Timestamp;
use store::retries::backoff::{Backoff, TOGETHER};
use store::retries::{self, Consumer};
use store::topics::Period;

use crate::drawing::spark::{Spark, spark};
use crate::href::Href;
use crate::page::flow::headline::Pill;
use crate::page::{Frame, Problem, render};
use crate::state::AppState;
use crate::wording;

/// The windows to choose from: the word in the address, what a reader calls it, how long it is, and its steps.
pub const WINDOWS: [(&str, &str, Duration, Duration); 3] = [
    ("15m", "15 minutes", Duration::from_secs(900), Duration::from_secs(15)),
    ("1h", "1 hour", Duration::from_secs(3_600), Duration::from_secs(60)),
    ("24h", "24 hours", Duration::from_secs(86_400), Duration::from_secs(1_200)),
];

/// From which share of events on retries are a warning, and from which they are bad.
const WARN_FROM: f64 = 0.01;
const BAD_FROM: f64 = 0.05;

/// How many bars the histogram of attempts has; the last stands for all that took more.
const BARS: u32 = 5;

/// From how many retries on it is told that they arrive together, and which share of them then does.
const TOGETHER_MIN: usize = 5;
const TOGETHER_SHARE: f64 = 0.5;

/// What the address asks for.
#[derive(Deserialize)]
pub struct Params {
    #[serde(default)]
    window: String,
}

#[derive(Template)]
#[template(path = "page/retries.html")]
struct Retries {
    frame: Frame,
    windows: Vec<(&'static str, Href, bool)>,
    chosen: &'static str,
    cut: Option<String>,
    rows: Vec<Row>,
    sentences: Vec<String>,
}

/// One consumer on one topic.
struct Row {
    consumer: String,
    topic: String,
    flows: Href,
    rate: Pill,
    retried: String,
    spark: Option<Spark>,
    success: String,
    ended: String,
    dead: Option<(String, Href)>,
    bars: Vec<Bar>,
    attempts: String,
    backoff: String,
    spread: String,
    reasons: Vec<String>,
}

/// One bar of the histogram of attempts, in a box of 100 by 24.
struct Bar {
    x: u32,
    height: u64,
    is_first: bool,
}

/// `GET /retries`.
pub async fn show(
    State(state): State<AppState>,
    Query(params): Query<Params>,
    frame: Frame,
) -> Result<Response, Problem> {
    let now = Timestamp::now();
    let name = if window(&params.window, now).is_some() { params.window.as_str() } else { WINDOWS[0].0 };
    let period = window(name, now).unwrap_or(Period { window: WINDOWS[0].2, step: WINDOWS[0].3, now });
    let found = retries::list(&*state.store, period).await?;
    let is_chosen = |word: &str| word == name || (name.is_empty() && word == WINDOWS[0].0);
    let here = frame.links.retries();
    Ok(render(&Retries {
        windows: WINDOWS.map(|(word, text, ..)| (text, here.clone().with("window", word), is_chosen(word))).to_vec(),
        chosen: WINDOWS.iter().find(|(word, ..)| is_chosen(word)).map_or("", |(_, text, ..)| text),
        rows: found.consumers.iter().map(|consumer| row(consumer, period, &frame)).collect(),
        sentences: found.consumers.iter().filter_map(arrives_together).collect(),
        cut: found.cut,
        frame,
    }))
}

/// The period of a window in an address; the first where none is named, `None` where it isn't known.
pub fn window(name: &str, now: Timestamp) -> Option<Period> {
    let named = WINDOWS.iter().find(|(word, ..)| *word == name || name.is_empty());
    named.map(|(_, _, window, step)| Period { window: *window, step: *step, now })
}

fn row(consumer: &Consumer, period: Period, frame: &Frame) -> Row {
    let name = consumer.consumer.as_str();
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    // Copies name the group, and failed spans the group or the service.
    let of_consumer = match name {
        "" => String::new(),
        name => format!("(group:{0} OR service:{0}) ", quoted(name)),
    };
    let ended = consumer.succeeded + consumer.dead;
    Row {
        consumer: if name.is_empty() { "not told".to_owned() } else { wording::cut(name, 80) },
        topic: wording::cut(&consumer.topic, 120),
        flows: frame.links.flows_for(&format!("{of_consumer}(status:retried OR status:failed)")),
        rate: rate(consumer),
        retried: format!("{} of {}", wording::count(consumer.retried), wording::many(consumer.deliveries, "event")),
        spark: spark(&consumer.steps, period.step, "events that were tried again"),
        success: consumer
            .success_after_retry()
            .map_or_else(|| "–".to_owned(), |_| wording::share(consumer.succeeded, ended)),
        ended: match consumer.retried.saturating_sub(ended) {
            0 => String::new(),
            open => format!("the end of {} isn't known", wording::count(open)),
        },
        dead: (consumer.dead > 0).then(|| {
            let href = frame.links.dead_letters();
            let href = if name.is_empty() { href.with_empty("consumer") } else { href.with("consumer", name) };
            (format!("{} dead", wording::count(consumer.dead)), href)
        }),
        bars: bars(consumer),
        attempts: attempts(consumer),
        backoff: steps(&consumer.backoff),
        spread: spread(&consumer.backoff),
        reasons: consumer
            .reasons
            .iter()
            .map(|(reason, many)| format!("{} ({many})", wording::cut(reason, 100)))
            .collect(),
    }
}

fn rate(consumer: &Consumer) -> Pill {
    let Some(rate) = consumer.rate() else { return Pill::new("", "not known") };
    let tone = match rate {
        rate if rate >= BAD_FROM => "bad",
        rate if rate >= WARN_FROM => "warn",
        _ => "ok",
    };
    Pill::new(tone, &wording::share(consumer.retried, consumer.deliveries))
}

fn bars(consumer: &Consumer) -> Vec<Bar> {
    let many = |number: u32| -> u64 {
        let of = consumer.attempts.iter().filter(|(attempts, _)| (**attempts).min(BARS) == number);
        of.map(|(_, many)| *many).sum()
    };
    let most = (1..=BARS).map(many).max().unwrap_or(0).max(1);
    let height = |many: u64| if many == 0 { 0 } else { (many * 22 / most).max(1) };
    (1..=BARS).map(|number| Bar { x: (number - 1) * 20, height: height(many(number)), is_first: number == 1 }).collect()
}

fn attempts(consumer: &Consumer) -> String {
    let told = consumer.attempts.iter().map(|(attempts, many)| {
        format!("{} took {}", wording::count(*many), wording::many(u64::from(*attempts), "attempt"))
    });
    told.collect::<Vec<_>>().join(", ")
}

/// The waits, as people say them: `1 s, 2 s, 4 s`.
fn steps(backoff: &Backoff) -> String {
    const SHOWN: usize = 5;
    let all: Vec<String> = backoff.steps.iter().map(|step| duration(*step)).collect();
    match all.as_slice() {
        [] => "not seen".to_owned(),
        [one, rest @ ..] if rest.iter().all(|other| other == one) => format!("fixed {one}"),
        first if first.len() > SHOWN => {
            format!("{} and {} more", first[..SHOWN].join(", "), first.len() - SHOWN)
        }
        few => few.join(", "),
    }
}

fn spread(backoff: &Backoff) -> String {
    let mut words = Vec::new();
    if backoff.grows {
        words.push("grows");
    }
    if backoff.hammers {
        words.push("hammers: tried again at once");
    }
    match backoff.jitter {
        Some(true) => words.push("jitter"),
        Some(false) => words.push("no jitter"),
        None => {}
    }
    if !backoff.total.is_zero() {
        return format!(
            "{}{}{} in all",
            words.join(", "),
            if words.is_empty() { "" } else { ", " },
            duration(backoff.total)
        );
    }
    words.join(", ")
}

fn arrives_together(consumer: &Consumer) -> Option<String> {
    let Backoff { together, seen, .. } = consumer.backoff;
    let is_telling = seen >= TOGETHER_MIN && together as f64 >= seen as f64 * TOGETHER_SHARE;
    let name = if consumer.consumer.is_empty() { "who is not told" } else { consumer.consumer.as_str() };
    let how = match consumer.backoff.jitter {
        Some(false) => "at fixed steps without jitter, so its retries arrive together",
        _ => "many events at once",
    };
    let within = duration(TOGETHER);
    is_telling.then(|| format!("{name} retries {how}: {together} of {seen} within the same {within}."))
}

fn duration(duration: Duration) -> String {
    wording::duration(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use store::fixture::{record, span};
    use store::{Entry, Timestamp};

    use crate::given::{Console, empty, holding};

    /// Ten orders of the last minute: billing tried two of them again, one went well and one died.
    fn entries() -> Vec<Entry> {
        let ago = |seconds: f64| {
            let now = Timestamp::now().nanos_since(store::fixture::START) as f64 / 1e9;
            now - seconds
        };
        let mut entries: Vec<Entry> =
            (0..10).map(|offset| record("orders", 0, offset).event("OrderPlaced").at(ago(60.0)).entry()).collect();
        let copy = |offset, of| record("orders-retry", 0, offset).retry("billing", 1).from("orders", 0, of);
        entries.push(copy(0, 1).at(ago(50.0)).entry());
        let again = span("billing", "process").trace(5).id(5).consumed("orders-retry", 0, 0).group("billing-retry");
        entries.push(again.at(ago(48.0)).entry());
        entries.push(copy(1, 2).at(ago(50.0)).entry());
        let dead = record("orders-dlt", 0, 0).dead("billing", "<b>declined</b> 7").from("orders", 0, 2);
        entries.push(dead.at(ago(48.0)).entry());
        entries
    }

    #[tokio::test]
    async fn the_page_says_who_retries_how_often_why_and_whether_it_helps() {
        let console = Console::over(holding(entries()).await);
        let page = console.page("/retries").await;
        page.shows("billing orders 20 % 2 of 10 events").shows("50 %").shows("1 dead");
        page.shows("8 took 1 attempt, 2 took 2 attempts").shows("RuntimeError: <b>declined</b> # (1)");
        page.shows("fixed 2 s");
        assert!(page.body.contains("/dead-letters?consumer=billing"), "the dead lead to their page");
        let (_, rest) = page.body.split_once("/flows?q=").unwrap();
        let flows = format!("/flows?q={}", rest.split_once('"').unwrap().0);
        console.page(&flows).await.hides("can't be read");
        console.page("/retries?window=1h").await.shows("1 hour");
        console.page("/retries?window=nonsense").await.shows("15 minutes");
        Console::over(empty()).page("/retries").await.shows("Nothing was tried again");
    }

    #[tokio::test]
    async fn scripts_get_the_same_and_null_for_what_is_not_known() {
        let console = Console::over(holding(entries()).await);
        let all: Value = serde_json::from_str(&console.get("/api/v1/retries").await.body).unwrap();
        let billing = &all["consumers"][0];
        assert_eq!((&billing["consumer"], &billing["retried"]), (&"billing".into(), &2.into()));
        assert_eq!((&billing["retryRate"], &billing["successAfterRetry"]), (&0.2.into(), &0.5.into()));
        assert_eq!(billing["attempts"], serde_json::json!({ "1": 8, "2": 2 }));
        assert_eq!(billing["backoff"]["jitter"], Value::Null);
        assert_eq!(console.get("/api/v1/retries?window=nonsense").await.status, 400);
    }
}
