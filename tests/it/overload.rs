//! More comes in than can be kept: memory stays under its limit, senders are told to come again, as much is kept as without the rush,
//! and pages are answered meanwhile.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tonic::Code;
use tonic::transport::Channel;

use crate::rig::home::Home;
use crate::rig::http::{self, Answer};
use crate::rig::kafka::block_on;
use crate::rig::otlp;

/// The whole process's limit, and so much of it in mebibytes.
const LIMIT_MIB: f64 = 512.0;

/// How long the rush lasts, in seconds; `tests/nightly` makes it a minute.
const SECONDS: u64 = 9;

/// The least share of what is kept without a rush that must still be kept in one, for each second of the server's own processor time:
/// the senders run on the same processors, and take more of the clock's seconds the more of them there are.
/// Under it, refusing has become the server's main work. A long rush must come closer (`IT_RUSH_SHARE`, see `tests/nightly`).
const SHARE: f64 = 0.5;

/// Requests under way at once: as many as keep the server busy, and sixteen times as many as hold more than it may take.
const CALM_LANES: usize = 4;
const RUSH_LANES: usize = 56;
const GRPC_LANES: usize = 8;

/// Spans in a request: some 1 MB of OTLP, as a collector's large batches are.
const SPANS: usize = 960;

/// Spans of one trace.
const TRACE_SPANS: usize = 12;

/// An impatient sender: it comes again long before it is asked to.
const IMPATIENT: Duration = Duration::from_millis(100);

const TRACE_MARK: &[u8; 16] = b"trace-id-is-here";
const SPAN_MARK: &[u8; 8] = b"span--id";
const ORDER_MARK: &str = "order-number-is-";

/// An encoded request in which ids are replaced for each sending, so that sending costs next to nothing beside keeping.
#[derive(Clone)]
struct Template {
    bytes: Vec<u8>,
    traces: Vec<usize>,
    spans: Vec<usize>,
    orders: Vec<usize>,
}

static NEXT: AtomicU64 = AtomicU64::new(1);

impl Template {
    fn new() -> Template {
        let spans = (0..SPANS).map(|number| {
            let mut span = otlp::span(*TRACE_MARK, *SPAN_MARK, ["place order", "charge", "reserve"][number % 3]);
            span.parent_span_id = vec![7; 8];
            span.attributes = (0..18)
                .map(|more| otlp::string(&format!("attribute.number.{more}"), format!("value {}", number * more % 700)))
                .chain([otlp::string("order.id", ORDER_MARK)])
                .collect();
            span
        });
        let bytes = otlp::traces("rush", spans.collect()).encode_to_vec();
        let places = |mark: &[u8]| -> Vec<usize> {
            (0..=bytes.len() - mark.len()).filter(|at| bytes[*at..].starts_with(mark)).collect()
        };
        let (traces, spans, orders) = (places(TRACE_MARK), places(SPAN_MARK), places(ORDER_MARK.as_bytes()));
        assert_eq!((traces.len(), spans.len(), orders.len()), (SPANS, SPANS, SPANS));
        Template { bytes, traces, spans, orders }
    }

    /// Gives all spans new ids; the first trace's.
    fn renew(&mut self) -> String {
        let request = NEXT.fetch_add(1, Ordering::Relaxed);
        for (number, at) in self.traces.iter().enumerate() {
            let trace = (u128::from(request) << 64 | 1 << 40) + (number / TRACE_SPANS) as u128;
            self.bytes[*at..at + 16].copy_from_slice(&trace.to_be_bytes());
        }
        for (number, at) in self.spans.iter().enumerate() {
            self.bytes[*at..at + 8].copy_from_slice(&((request << 16) + number as u64).to_be_bytes());
        }
        for (number, at) in self.orders.iter().enumerate() {
            self.bytes[*at..at + 16].copy_from_slice(format!("{:016x}", (request << 16) + number as u64).as_bytes());
        }
        format!("{:032x}", u128::from(request) << 64 | 1 << 40)
    }
}

/// What became of what was sent.
#[derive(Default)]
struct Tally {
    kept: AtomicU64,
    refused: AtomicU64,
    over_grpc: AtomicU64,
    some_trace: Mutex<Option<String>>,
}

fn exchange(stream: &mut TcpStream, server: SocketAddr, body: &[u8]) -> Answer {
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: {server}\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let (mut received, mut some) = (Vec::new(), [0; 4096]);
    loop {
        let size = stream.read(&mut some).unwrap();
        assert!(size > 0, "closed without an answer after {} bytes", received.len());
        received.extend_from_slice(&some[..size]);
        if let Ok(answer) = http::parse(&received) {
            return answer;
        }
    }
}

/// Sends over HTTP until told to stop. What is refused must say when to come again.
fn send(server: SocketAddr, mut template: Template, tally: &Tally, stop: &AtomicBool) {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    while !stop.load(Ordering::Relaxed) {
        let trace = template.renew();
        let answer = exchange(&mut stream, server, &template.bytes);
        if answer.status == 200 {
            tally.kept.fetch_add(1, Ordering::Relaxed);
            *tally.some_trace.lock().unwrap() = Some(trace);
            continue;
        }
        assert!(matches!(answer.status, 429 | 503), "not to be tried again: {} {}", answer.status, answer.text());
        let retry: u64 = answer.header("retry-after").expect("it says when").parse().unwrap();
        assert!(retry > 0);
        tally.refused.fetch_add(1, Ordering::Relaxed);
        if answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            stream = TcpStream::connect(server).unwrap();
        }
        std::thread::sleep(IMPATIENT);
    }
}

/// The same over gRPC.
fn send_grpc(server: SocketAddr, mut template: Template, tally: &Tally, stop: &AtomicBool) {
    block_on(async {
        let channel = Channel::from_shared(format!("http://{server}")).unwrap().connect().await.unwrap();
        let mut client = TraceServiceClient::new(channel).max_encoding_message_size(64 << 20);
        while !stop.load(Ordering::Relaxed) {
            template.renew();
            let request = ExportTraceServiceRequest::decode(template.bytes.as_slice()).unwrap();
            match client.export(request).await {
                Ok(_) => drop(tally.kept.fetch_add(1, Ordering::Relaxed)),
                Err(status) => {
                    assert!(matches!(status.code(), Code::Unavailable | Code::ResourceExhausted), "{status:?}");
                    let details = String::from_utf8_lossy(status.details()).into_owned();
                    assert!(details.contains("google.rpc.RetryInfo"), "it doesn't say when: {status:?}");
                    tally.over_grpc.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(IMPATIENT).await;
                }
            }
        }
    });
}

fn memory_mib(pid: u32, line: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let told = status.lines().find(|told| told.starts_with(line)).unwrap();
    told.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
}

/// The processor time that a process has used, in seconds: fields 14 and 15 of proc(5)'s stat, a hundred ticks a second.
fn processor_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let ticks =
        stat.rsplit_once(") ").unwrap().1.split(' ').skip(11).take(2).map(|field| field.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

/// How fast spans were kept: by the clock, and by the server's own processor time.
struct Pace {
    second: f64,
    processor_second: f64,
}

/// Runs lanes for a while.
fn rush(home: &Home, pid: u32, template: &Template, tally: &Tally, [http, grpc]: [usize; 2], seconds: u64) -> Pace {
    let stop = AtomicBool::new(false);
    let (before, used) = (tally.kept.load(Ordering::Relaxed), processor_seconds(pid));
    std::thread::scope(|scope| {
        for _ in 0..http {
            scope.spawn(|| send(home.http, template.clone(), tally, &stop));
        }
        for _ in 0..grpc {
            scope.spawn(|| send_grpc(home.grpc, template.clone(), tally, &stop));
        }
        std::thread::sleep(Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
        // What is under way is still answered, but belongs to no second of the rush.
        let kept = ((tally.kept.load(Ordering::Relaxed) - before) * SPANS as u64) as f64;
        Pace { second: kept / seconds as f64, processor_second: kept / (processor_seconds(pid) - used) }
    })
}

#[test]
fn four_times_what_can_be_kept_is_refused_for_now_and_costs_neither_memory_nor_pages() {
    let seconds = std::env::var("IT_RUSH_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let least = std::env::var("IT_RUSH_SHARE").map_or(SHARE, |text| text.parse().unwrap());
    let home = Home::new(&format!("memory_limit = \"{LIMIT_MIB}MiB\"\n"));
    let sillage = home.serve();
    let (template, tally) = (Template::new(), Tally::default());
    let calm_seconds = (seconds / 2).max(4);
    rush(&home, sillage.pid(), &template, &tally, [CALM_LANES, 0], 1);
    let calm_before = rush(&home, sillage.pid(), &template, &tally, [CALM_LANES, 0], calm_seconds);
    let calm_refused = tally.refused.load(Ordering::Relaxed);

    let over = AtomicBool::new(false);
    let (goodput, (rss, anonymous), pages) = std::thread::scope(|scope| {
        let memory = scope.spawn(|| {
            let mut most = (0.0_f64, 0.0_f64);
            while !over.load(Ordering::Relaxed) {
                let now = (memory_mib(sillage.pid(), "VmRSS:"), memory_mib(sillage.pid(), "RssAnon:"));
                most = (most.0.max(now.0), most.1.max(now.1));
                std::thread::sleep(Duration::from_millis(20));
            }
            most
        });
        let pages = scope.spawn(|| {
            let mut times = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let trace = tally.some_trace.lock().unwrap().clone().unwrap();
                for path in ["/".to_owned(), "/status".to_owned(), format!("/api/v1/flow/{trace}")] {
                    let asked = Instant::now();
                    assert_eq!(sillage.get(&path).status, 200, "{path}");
                    times.push(asked.elapsed());
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            times.sort_unstable();
            times
        });
        let goodput = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            rush(&home, sillage.pid(), &template, &tally, [RUSH_LANES, GRPC_LANES], seconds)
        }));
        over.store(true, Ordering::Relaxed);
        let (memory, pages) = (memory.join().unwrap(), pages.join().unwrap());
        (goodput.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), memory, pages)
    });
    let calm_after = rush(&home, sillage.pid(), &template, &tally, [CALM_LANES, 0], calm_seconds);
    let calm = f64::midpoint(calm_before.processor_second, calm_after.processor_second);
    let refused = tally.refused.load(Ordering::Relaxed) - calm_refused;
    let refused_grpc = tally.over_grpc.load(Ordering::Relaxed);
    println!(
        "kept a second of the server's processor time: {:.0}, {:.0} in the rush of {seconds} s, {:.0}; of the clock: {:.0}, {:.0}, {:.0}; \
         refused {refused} over HTTP, {refused_grpc} over gRPC; memory at most {rss:.0} MiB ({anonymous:.0} anonymous) of {LIMIT_MIB}; pages p50 {:?}, p99 {:?}",
        calm_before.processor_second,
        goodput.processor_second,
        calm_after.processor_second,
        calm_before.second,
        goodput.second,
        calm_after.second,
        pages[pages.len() / 2],
        pages[pages.len() * 99 / 100],
    );
    let status = sillage.api("status");
    println!("{} {}", status["memory"], status["store"]);
    assert!(refused > 0 && refused_grpc > 0, "the rush was none");
    assert!(rss <= LIMIT_MIB * 1.1, "{rss:.0} MiB");
    let goodput = goodput.processor_second;
    assert!(goodput >= calm * least, "{goodput:.0} of {calm:.0} a second of processor time");
    assert!(pages[pages.len() / 2] < Duration::from_secs(1), "pages wait: {:?}", pages[pages.len() / 2]);
    assert!(pages[pages.len() * 99 / 100] < Duration::from_secs(5), "pages wait: {:?}", pages.last());
    // Kept once what was acknowledged, and nothing of what was refused.
    assert_eq!(status["store"]["entries"].as_u64().unwrap(), tally.kept.load(Ordering::Relaxed) * SPANS as u64);
    sillage.stop();
}
