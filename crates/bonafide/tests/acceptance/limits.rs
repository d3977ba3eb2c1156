//! Clients that hold connections, heads and bodies back: others are served, memory stays, and each patience ends.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};

use crate::server::{BONAFIDE, Key, OPEN_FILES, Server, create_key, form, grey_jpeg};

/// Far above every patience that a test sets: what reaches it hangs.
const HANGS: Duration = Duration::from_secs(60);
/// What all the stalled connections together may add to the memory of the server.
const GROWTH_MIB: u64 = 64;

/// This process holds the other ends of all connections.
fn raise_open_files() {
    assert!(server::raise_open_files() >= 2_048, "the test needs 2,048 open files");
}

fn connect(server: &Server) -> TcpStream {
    let address = server.base.rsplit("//").next().unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(HANGS)).unwrap();
    stream.set_write_timeout(Some(HANGS)).unwrap();
    stream
}

/// Connects and says something; the server may have closed already.
fn say(server: &Server, bytes: &[u8]) -> TcpStream {
    let mut stream = connect(server);
    let _ = stream.write_all(bytes);
    stream
}

/// Everything that the server says until it closes the connection.
fn until_closed(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let mut buffer = [0; 65_536];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => said.extend_from_slice(&buffer[..read]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the connection never ended: {}", String::from_utf8_lossy(&said))
            }
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// What is read until `end` stands in it.
fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut said = Vec::new();
    let mut buffer = [0; 4_096];
    while !String::from_utf8_lossy(&said).contains(end) {
        let read = stream.read(&mut buffer).expect("the server answers");
        assert!(read > 0, "closed after {}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// The path of the page of a session whose person has agreed.
fn agreed(server: &Server, key: &Key) -> String {
    let answer = server.post_json("/v3/session/", &key.text, &json!({ "workflow_id": key.workflow }));
    assert_eq!(answer.status, 201, "{}", answer.text);
    let link = answer.json()["url"].as_str().unwrap().to_owned();
    let answer =
        server.post(&format!("{link}/consent"), "", "application/x-www-form-urlencoded", b"agree=true");
    assert_eq!(answer.status, 200, "{}", answer.text);
    format!("/{}", link.splitn(4, '/').nth(3).unwrap())
}

/// An honest client: the health check, a new session, the consent and a picture.
fn is_served(server: &Server, key: &Key) {
    assert_eq!(server.get("/system/healthcheck", "").status, 200);
    let page = agreed(server, key);
    let (kind, body) = form(&[("image", "front.jpg", &grey_jpeg(90))], &[]);
    let answer = server.post(&format!("{page}/capture/front"), "", &kind, &body);
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// A form with a picture of which only a part comes.
fn stalled_form(path: &str, key: &str, field: &str, bytes: usize) -> Vec<u8> {
    let (kind, body) = form(&[(field, "front.jpg", &vec![7; 4 << 20])], &[]);
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\naccept: application/json\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body[..bytes]].concat()
}

const UPGRADE: &str = "GET /v1/chip/relay/ HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A WebSocket on which a hello of 700 KiB was announced and has hardly begun.
fn stalled_relay(server: &Server) -> TcpStream {
    let mut stream = say(server, UPGRADE.as_bytes());
    let mut frame = vec![0x81, 0xff];
    frame.extend_from_slice(&(700_u64 << 10).to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&[b'x'; 4_096]);
    let _ = stream.write_all(&frame);
    stream
}

fn gauge(server: &Server, name: &str) -> f64 {
    let text = server.get("/metrics", "").text;
    let line = text.lines().find(|line| line.split(' ').next() == Some(name)).unwrap_or_default();
    line.split(' ').nth(1).and_then(|value| value.parse().ok()).unwrap_or(-1.0)
}

fn others_are_served_beside_many_that_stall(extra: &[(&str, &str)], least_open: f64) {
    raise_open_files();
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(folder.path(), &[]);
    let server = Server::start_with(folder.path(), extra);
    is_served(&server, &key);
    let page = agreed(&server, &key);
    let before = server.memory_now_mib();
    let capture = stalled_form(&format!("{page}/capture/front"), "", "image", 100_000);
    let check = stalled_form("/v3/id-verification/", &key.text, "front_image", 100_000);
    let ticket = [
        b"POST /v1/chip/relay/ HTTP/1.1\r\nhost: localhost\r\nsession-token: nobody\r\ncontent-type: application/json\r\ncontent-length: 5000000\r\n\r\n".as_slice(),
        &[b' '; 200_000],
    ]
    .concat();
    let slow = b"POST /v3/session/ HTTP/1.1\r\nhost: localhost\r\nx-slow: ";
    let mut held = Vec::new();
    held.extend((0..1_050).map(|_| connect(&server)));
    held.extend((0..200).map(|_| say(&server, slow)));
    held.extend((0..100).map(|_| stalled_relay(&server)));
    held.extend((0..50).map(|_| say(&server, &ticket)));
    held.extend((0..50).map(|_| say(&server, &capture)));
    held.extend((0..50).map(|_| say(&server, &check)));
    for _ in 0..3 {
        is_served(&server, &key);
    }
    let open = gauge(&server, "bonafide_connections_open");
    assert!(open >= least_open, "{open} connections are open");
    assert!(gauge(&server, "bonafide_bodies_reading") >= 50.0);
    let grown = server.memory_now_mib().saturating_sub(before);
    eprintln!("{open} connections open, memory {before} MiB, {grown} MiB more");
    assert!(grown <= GROWTH_MIB, "the server holds {grown} MiB more than before");
    drop(held);
    is_served(&server, &key);
}

#[test]
fn t35_an_honest_client_is_served_beside_1450_connections_that_stall() {
    others_are_served_beside_many_that_stall(&[], 1_300.0);
}

#[test]
fn t35_so_it_is_where_the_system_allows_1024_open_files() {
    others_are_served_beside_many_that_stall(&[(OPEN_FILES, "1024")], 400.0);
}

#[test]
fn every_patience_with_a_client_ends() {
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(folder.path(), &[]);
    let short = [
        ("BONAFIDE_HEAD_TIMEOUT", "0.3"),
        ("BONAFIDE_BODY_TIMEOUT", "0.3"),
        ("BONAFIDE_IDLE_TIMEOUT", "0.5"),
    ];
    let server = Server::start_with(folder.path(), &short);
    // nothing at all
    assert_eq!(until_closed(&mut connect(&server)), "");
    // a head that never ends, and the preface of HTTP/2 with nothing after it
    until_closed(&mut say(&server, b"GET /system/healthcheck HTTP/1.1\r\nhost: localhost\r\nx-slow: "));
    until_closed(&mut say(&server, b"PRI * HTT"));
    until_closed(&mut say(&server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"));
    // no second request
    let mut kept = say(&server, b"GET /system/healthcheck HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let said = until_closed(&mut kept);
    assert!(said.starts_with("HTTP/1.1 200 OK") && said.matches("HTTP/1.1").count() == 1, "{said}");
    // bodies that stall: of a person's page, of the API, of an operation without a key
    let page = agreed(&server, &key);
    let age = b"POST /verify-age HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{".to_vec();
    for request in [
        stalled_form(&format!("{page}/capture/front"), "", "image", 100_000),
        stalled_form("/v3/id-verification/", &key.text, "front_image", 100_000),
        age,
    ] {
        let said = until_closed(&mut say(&server, &request));
        assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
        assert!(said.contains(r#""code":"request_timeout""#), "{said}");
    }
    // a relay that hears no hello, and one that is pinged instead
    let mut silent = say(&server, UPGRADE.as_bytes());
    assert!(until_closed(&mut silent).contains("session_over"));
    let mut pinging = say(&server, UPGRADE.as_bytes());
    until(&mut pinging, "\r\n\r\n");
    while pinging.write_all(&[0x89, 0x80, 0, 0, 0, 0]).is_ok() {
        std::thread::yield_now();
    }
    // answers that nobody reads
    let mut deaf = connect(&server);
    let end = loop {
        if let Err(error) = deaf.write_all(b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n") {
            break error.kind();
        }
    };
    assert!(matches!(end, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{end:?}");
    assert!(gauge(&server, "bonafide_connections_timed_out_total") >= 5.0);
    assert!(gauge(&server, "bonafide_bodies_timed_out_total") >= 3.0);
    assert!(gauge(&server, "bonafide_bodies_held_bytes") >= 0.0);
    is_served(&server, &key);
}

#[test]
fn a_relay_is_read_no_further_than_a_hello_until_it_has_shown_a_ticket() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut stream = stalled_relay(&server);
    let sent = (0..10_000).take_while(|_| stream.write_all(&[b'x'; 4_096]).is_ok()).count();
    assert!(sent < 10_000, "the server read on");
    until_closed(&mut stream);
}

#[test]
fn bodies_find_a_busy_answer_where_the_memory_for_them_is_used_up() {
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(folder.path(), &[]);
    let server = Server::start_with(folder.path(), &[("BONAFIDE_BODY_MEMORY", "1")]);
    let stalled = stalled_form("/v3/id-verification/", &key.text, "front_image", 900_000);
    let held = say(&server, &stalled);
    while gauge(&server, "bonafide_bodies_held_bytes") < 800_000.0 {
        std::thread::yield_now();
    }
    let mut second = say(&server, &stalled);
    let said = until(&mut second, "busy");
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("retry-after: 2"), "{said}");
    assert!(gauge(&server, "bonafide_bodies_refused_total") >= 1.0);
    drop(held);
    while gauge(&server, "bonafide_bodies_held_bytes") > 0.0 {
        std::thread::yield_now();
    }
    is_served(&server, &key);
}

#[test]
fn where_every_connection_is_at_work_the_next_is_refused_in_the_shape_of_the_api() {
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(folder.path(), &[]);
    let server = Server::start_with(folder.path(), &[("BONAFIDE_MAX_CONNECTIONS", "4")]);
    let stalled = stalled_form("/v3/id-verification/", &key.text, "front_image", 1_000);
    let mut held: Vec<_> = (0..4).map(|_| say(&server, &stalled)).collect();
    // This machine has a reserve beyond the cap: health checks arrive.
    assert_eq!(server.get("/system/healthcheck", "").status, 200);
    let refused = loop {
        let mut next = say(&server, &stalled);
        next.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut start = [0; 512];
        match next.read(&mut start) {
            Ok(read) if read > 0 => break String::from_utf8_lossy(&start[..read]).into_owned(),
            _ => held.push(next),
        }
        assert!(held.len() < 100, "connections are taken without end");
    };
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: 2"), "{refused}");
    assert!(refused.contains(r#""code":"busy""#), "{refused}");
    drop(held);
    while server.get("/system/healthcheck", "").status != 200 {}
    is_served(&server, &key);
}

#[test]
fn who_shows_no_key_is_refused_before_a_body_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let document = Command::new(BONAFIDE).arg("openapi").output().unwrap();
    let document: Value = serde_json::from_slice(&document.stdout).unwrap();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["post", "put", "patch", "delete"] {
            let operation = &item[method];
            // The one operation that asks for nothing; its body has 16 KiB at most.
            if operation.is_null() || path == "/verify-age" {
                continue;
            }
            let kind = operation["requestBody"]["content"]
                .as_object()
                .and_then(|kinds| kinds.keys().next())
                .map_or("application/json", String::as_str);
            let path: String = path
                .split('/')
                .map(|word| if word.starts_with('{') { "00000000-0000-4000-8000-000000000000" } else { word })
                .collect::<Vec<_>>()
                .join("/");
            let status = refusal(&server, method, &path, kind);
            assert_eq!(status, 403, "{method} {path}");
            asked += 1;
        }
    }
    assert!(asked >= 25, "{asked} operations take a body");
    for form in ["consent", "capture/front", "frames", "challenge", "submit", "skip-back", "withdraw"] {
        let kind =
            if form.contains('/') { "multipart/form-data" } else { "application/x-www-form-urlencoded" };
        assert_eq!(refusal(&server, "post", &format!("/session/nobody/{form}"), kind), 404, "{form}");
    }
}

/// The status of the answer to a request with a wrong key, whose body goes on for as long as it is taken.
fn refusal(server: &Server, method: &str, path: &str, kind: &str) -> u16 {
    let head = format!(
        "{} {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: wrong\r\naccept: application/json\r\ncontent-type: {kind}; boundary=b\r\ntransfer-encoding: chunked\r\n\r\n",
        method.to_uppercase()
    );
    let mut stream = say(server, head.as_bytes());
    let mut sending = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let chunk = [b"1000\r\n".as_slice(), &[b' '; 0x1000], b"\r\n"].concat();
        // A body that is read ends at a size limit; this one goes far beyond all of them.
        (0..64 << 10).take_while(|_| sending.write_all(&chunk).is_ok()).count()
    });
    let said = until(&mut stream, "\r\n\r\n");
    let _ = stream.shutdown(Shutdown::Both);
    let chunks = sender.join().unwrap();
    // What the buffers of the system hold, and what is thrown away after the answer.
    assert!(chunks < 4_096, "{method} {path} took {chunks} chunks");
    said.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

#[test]
fn a_request_in_flight_is_answered_before_the_server_stops() {
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(folder.path(), &[]);
    let mut server = Server::start(folder.path());
    let page = agreed(&server, &key);
    let (kind, body) = form(&[("image", "front.jpg", &grey_jpeg(90))], &[]);
    let head = format!(
        "POST {page}/capture/front HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut uploading = say(&server, head.as_bytes());
    uploading.write_all(&body[..100]).unwrap();
    let mut idle = say(&server, b"GET /system/healthcheck HTTP/1.1\r\nhost: localhost\r\n\r\n");
    until(&mut idle, "ok");
    while gauge(&server, "bonafide_bodies_reading") < 1.0 {
        std::thread::yield_now();
    }
    server.terminate();
    // Who waits is let go, and nobody new is taken in.
    until_closed(&mut idle);
    uploading.write_all(&body[100..]).unwrap();
    let said = until_closed(&mut uploading);
    assert!(said.starts_with("HTTP/1.1 200 OK"), "{said}");
    assert!(server.wait());
}

#[test]
fn a_tls_handshake_that_stalls_ends_and_others_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, private) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj"])
        .args(["/CN=localhost", "-keyout"])
        .arg(&private)
        .arg("-out")
        .arg(&certificate)
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        eprintln!("skipped: openssl makes no certificate here");
        return;
    }
    let data = folder.path().join("data");
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let server = Server::start_with(
        &data,
        &[
            ("BONAFIDE_HEAD_TIMEOUT", "0.5"),
            ("BONAFIDE_TLS_CERTIFICATE", &text(&certificate)),
            ("BONAFIDE_TLS_KEY", &text(&private)),
        ],
    );
    assert!(server.base.starts_with("https://"));
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let unverified = ureq::tls::TlsConfig::builder().disable_verification(true).build();
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().tls_config(unverified).build());
    let mut stalled = say(&server, b"\x16\x03\x01\x02\x00\x01");
    assert_eq!(agent.get(server.url("/system/healthcheck")).call().unwrap().status().as_u16(), 200);
    until_closed(&mut stalled);
    assert_eq!(agent.get(server.url("/system/healthcheck")).call().unwrap().status().as_u16(), 200);
}
