//! Connections that do nothing: idle ones, headers a byte at a time, relays that stall in their body, while others are served.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use socket2::{Domain, Protocol, Socket, Type};

use super::{
    http::Request,
    server::{Honest, Place, Server},
};

const IDLE: usize = 1_050;
const SLOW: usize = 200;
const STALLED: usize = 100;
/// From how many addresses they come.
const ADDRESSES: usize = 15;
/// What a stalled relay sends of the five megabytes that it announces.
const STALLED_BYTES: usize = 4_900_000;
/// How long each part is measured.
const MEASURED: Duration = Duration::from_secs(20);
/// Most that memory may grow.
pub(super) const MOST_GROWTH: u64 = 64 << 20;

/// Makes room for the connections in this process; the server keeps the limit that it was started with.
fn raise_own_limit() -> bool {
    let limit = |text: &str| text.parse::<usize>().unwrap_or(usize::MAX);
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().next())
        .map_or(0, limit);
    soft >= 2_000
        || Command::new("prlimit")
            .args(["--pid", &std::process::id().to_string(), "--nofile=4096:"])
            .status()
            .is_ok_and(|status| status.success())
}

/// Measures the honest client without and with the crowd, and how memory grows.
pub(super) fn run(server: &mut Server, picture: &Request) -> anyhow::Result<Value> {
    let open_files = server.open_files_limit();
    if !raise_own_limit() {
        return Ok(json!({ "not_measured": "this process may not open 2,000 files: ulimit -n" }));
    }
    let address = server.address;
    let place = Place::new(address);
    let measure = || {
        let pictures = Honest::start(&place, picture.clone(), Duration::from_millis(500));
        let health = Honest::start(&place, Request::get("/healthz"), Duration::from_millis(50));
        let began = Instant::now();
        let mut most = 0;
        while began.elapsed() < MEASURED {
            most = most.max(server.resident().1);
            std::thread::sleep(Duration::from_millis(20));
        }
        (pictures.end(), health.end(), most)
    };
    let (before_pictures, before_health, before) = measure();

    let idle = crowd(address, IDLE);
    let slow = crowd(address, SLOW);
    let mut stalled = crowd(address, STALLED);
    let opened = (idle.len(), slow.len(), stalled.len());
    let stop = Arc::new(AtomicBool::new(false));
    let dripping = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || drip(slow, &stop))
    };
    let pouring = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            for stream in stalled.iter_mut().take_while(|_| !stop.load(Ordering::Relaxed)) {
                pour(stream);
            }
            // They stay open, and silent, until the measurement ends.
            stalled
        })
    };
    // The stalled bodies are on their way while the honest clients measure.
    let (pictures, health, most) = measure();
    stop.store(true, Ordering::Relaxed);
    let closed_slow = dripping.join().unwrap_or_default();
    drop(pouring.join());
    drop(idle);

    let growth = most.saturating_sub(before);
    let ended = server.ended();
    Ok(json!({
        "server_open_files_soft_limit": open_files,
        "connected": { "idle": opened.0, "slow_headers": opened.1, "stalled_relays": opened.2 },
        "slow_headers_closed_by_server": closed_slow,
        "without": { "picture": before_pictures.json(), "health": before_health.json(), "memory": before },
        "with": { "picture": pictures.json(), "health": health.json(), "memory": most },
        "memory_growth": growth,
        "server_ended": ended,
        "broken": ended.is_some() || growth > MOST_GROWTH || health.failed > 0 || pictures.failed > 0
            || health.ms.is_empty() || pictures.ms.is_empty(),
    }))
}

/// Opens connections. A server that accepts none any more has its full crowd: after ten failures the rest is left out.
fn crowd(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::with_capacity(count);
    let mut failures = 0;
    while streams.len() < count && failures < 10 {
        match connect(address, streams.len()) {
            Ok(stream) => {
                let _ = stream.set_write_timeout(Some(Duration::from_secs(2)));
                streams.push(stream);
                failures = 0;
            }
            Err(_) => failures += 1,
        }
    }
    streams
}

/// Connects from one of the crowd's addresses: a cap per address alone must not be what keeps the crowd out, nor the honest client,
/// who comes from 127.0.0.1.
fn connect(address: SocketAddr, number: usize) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == Ipv4Addr::LOCALHOST {
        let source = Ipv4Addr::new(127, 0, 0, 2 + (number % ADDRESSES) as u8);
        // Systems other than Linux have one loopback address; there all come from that one.
        let _ = socket.bind(&SocketAddr::from((source, 0)).into());
    }
    socket.connect_timeout(&address.into(), Duration::from_millis(500))?;
    Ok(socket.into())
}

/// Sends a header byte by byte; gives how many connections the server closed.
fn drip(mut streams: Vec<TcpStream>, stop: &AtomicBool) -> usize {
    let count = streams.len();
    for stream in &mut streams {
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: slow\r\nx-slow: ");
    }
    while !stop.load(Ordering::Relaxed) {
        streams.retain_mut(|stream| stream.write_all(b"a").is_ok());
        for _ in 0..10 {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    count - streams.len()
}

/// Announces five megabytes to the relay with a token that nobody has, sends most, and stalls.
fn pour(stream: &mut TcpStream) {
    let head = "POST /v1/chip/relay/ HTTP/1.1\r\nhost: stalled\r\nsession-token: nobody\r\ncontent-type: application/json\r\ncontent-length: 5000000\r\n\r\n";
    // A server that does not read stalls the writer; the others have their turn.
    let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
    let chunk = vec![b' '; 64 * 1024];
    let mut left = STALLED_BYTES;
    let mut sent = stream.write_all(head.as_bytes());
    while sent.is_ok() && left > 0 {
        sent = stream.write_all(&chunk[..left.min(chunk.len())]);
        left = left.saturating_sub(chunk.len());
    }
}
