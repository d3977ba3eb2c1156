//! The client against servers of this test: nothing forbidden is connected to (T26), and whatever a server does, the
//! call ends within its limits.

use std::{
    io::{Read, Write},
    net::{IpAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use egress::{Answer, Boxed, Client, Entry, Error, Http, Limits, Overflow, Policy, Request, Resolve};

/// A server of this test: what it does with each connection, and how many it had.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn on(address: &str, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Option<Self> {
        let listener = TcpListener::bind(address).ok()?;
        let port = listener.local_addr().expect("address").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                serve(stream);
            }
        });
        Some(Self { port, connections })
    }

    fn new(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self::on("127.0.0.1:0", serve).expect("a port")
    }

    /// Gives the same bytes to everybody, after their request.
    fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::new(move |stream| answer(stream, &bytes))
    }

    fn count(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// A client that may call this server and nothing else of this machine.
    fn client(&self) -> Client {
        Client::new(policy(&[&format!("http://127.0.0.1:{}", self.port)]))
    }

    fn call(&self, limits: Limits) -> Result<Answer, Error> {
        let request = Request::get(&self.url("/secret-path?secret-query")).expect("plain").limits(limits);
        wait(self.client().send(request))
    }
}

/// Gives an answer to a request without a body, and waits until the client has gone: to close with something unread
/// would reset the connection and lose the answer.
fn answer(mut stream: TcpStream, bytes: &[u8]) {
    head(&mut stream);
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    while stream.read(&mut [0; 512]).is_ok_and(|n| n > 0) {}
}

/// Reads a request's head.
fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut one = [0];
    while !bytes.ends_with(b"\r\n\r\n") && stream.read(&mut one).is_ok_and(|n| n == 1) {
        bytes.push(one[0]);
    }
    String::from_utf8_lossy(&bytes).to_ascii_lowercase()
}

fn policy(entries: &[&str]) -> Policy {
    Policy::allowing(entries.iter().map(|entry| entry.parse::<Entry>().expect("an entry")))
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

/// Deadlines that no honest step of these tests comes near, but for those that wait for one.
fn limits() -> Limits {
    Limits {
        connect: Duration::from_secs(60),
        whole: Duration::from_secs(60),
        answer_bytes: 64 << 10,
        overflow: Overflow::Refuse,
    }
}

/// The deadline of calls that are to meet it.
fn short() -> Limits {
    Limits { whole: Duration::from_millis(300), ..limits() }
}

/// Gives prepared answers in turn, the last one for ever.
#[derive(Default)]
struct Names {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Names {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let read = |answer: &&[&str]| answer.iter().map(|a| a.parse().expect("IP")).collect();
        Arc::new(Self { answers: Mutex::new(answers.iter().map(read).collect()), asked: AtomicUsize::new(0) })
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, _: &'a str) -> Boxed<'a, std::io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().expect("no panic");
        let next = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(async move { Ok(next) })
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[test]
fn t26_no_spelling_of_a_forbidden_address_is_connected_to() {
    let four = Server::on("0.0.0.0:0", |stream| answer(stream, OK.as_bytes())).expect("a port");
    let port = four.port;
    let six = Server::on(&format!("[::1]:{port}"), |stream| answer(stream, OK.as_bytes()));
    // The port is open to public addresses, so that nothing but the address stands between.
    let policy = policy(&[
        "http://8.0.0.0/8:*",
        "https://8.0.0.0/8:*",
        "http://[2606::/16]:*",
        "http://public.example:*",
    ]);
    let spellings = [
        "127.0.0.1",
        "127.0.0.2",
        "127.255.255.254",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "a.localhost",
        "localhost.localdomain",
        "ip6-localhost",
        "127.1",
        "127.0.1",
        "0",
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7f.0.0.1",
        "0x7f.0x0.0x0.0x1",
        "0177.0.0.1",
        "0177.0.0.01",
        "127.0.0.1.",
        "localhost.",
        "127.000.000.001",
        "00000127.0.0.1",
        "127.0.0.1%00.example.com",
        "127%2e0%2e0%2e1",
        "%6c%6fcalhost",
        "1\u{2460}7.0.0.1",
        "127\u{3002}0\u{3002}0\u{3002}1",
        "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
        "user@127.0.0.1",
        "public.example@127.0.0.1",
        "127.0.0.1\\@public.example",
        "public.example#@127.0.0.1",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[0000::0001]",
        "[::127.0.0.1]",
        "[::7f00:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:0001]",
        "[::FFFF:7F00:1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::80ff:fffe]",
        "[fe80::1]",
        "[fe80::1%25lo]",
        "[::1%25lo]",
        "[fc00::1]",
        "[fec0::1]",
        "169.254.169.254",
        "[::ffff:a9fe:a9fe]",
        "2852039166",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "metadata.google.internal",
        "kubernetes.default.svc",
    ];
    let mut tried = 0;
    for host in spellings {
        for scheme in ["http", "https", "HTTP", "ftp", "gopher"] {
            tried += 1;
            let Ok(request) = Request::get(&format!("{scheme}://{host}:{port}/")) else { continue };
            let names = Names::new(&[&["127.0.0.1"]]);
            let result = wait(Client::resolving(policy.clone(), names).send(request.limits(limits())));
            assert!(matches!(result, Err(Error::Refused { .. })), "{scheme}://{host}: {result:?}");
        }
    }
    assert!(tried > 300);
    // A harmless name whose answer holds a forbidden address, alone, beside a public one, first or last.
    for answer in [
        &["127.0.0.1"][..],
        &["::1"],
        &["0.0.0.0"],
        &["::ffff:127.0.0.1"],
        &["8.8.8.8", "127.0.0.1"],
        &["127.0.0.1", "8.8.8.8"],
        &["2606:4700::1111", "::1"],
        &["8.8.8.8", "fe80::1"],
        &["64:ff9b::7f00:1"],
        &["169.254.169.254"],
        &["fd00:ec2::254"],
    ] {
        let request = Request::get(&format!("http://a.b.nip.io:{port}/")).expect("plain").limits(limits());
        let result = wait(Client::resolving(policy.clone(), Names::new(&[answer])).send(request));
        assert!(matches!(result, Err(Error::Refused { .. })), "{answer:?}: {result:?}");
    }
    assert_eq!((four.count(), six.as_ref().map_or(0, Server::count)), (0, 0), "something was connected to");
    // The servers count: what the operator allows reaches them.
    let request = Request::get(&format!("http://127.0.0.1:{port}/")).expect("plain").limits(limits());
    let allowed = Client::new(self::policy(&[&format!("http://127.0.0.1:{port}")]));
    assert_eq!(wait(allowed.send(request)).expect("an answer").status, 200);
    assert_eq!(four.count(), 1);
}

#[test]
fn a_name_is_resolved_once_a_call_and_each_answer_is_judged_anew() {
    let server = Server::answering(OK);
    let names = Names::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let client = Client::resolving(
        policy(&[&format!("http://127.0.0.1:{}", server.port)]),
        Arc::clone(&names) as Arc<dyn Resolve>,
    );
    let call = || {
        let url = format!("http://rebind.example:{}/", server.port);
        wait(client.send(Request::get(&url).expect("plain").limits(limits())))
    };
    assert_eq!(call().expect("the address that was judged").status, 200);
    assert_eq!((names.asked.load(Ordering::SeqCst), server.count()), (1, 1));
    assert!(matches!(call(), Err(Error::Refused { .. })));
    assert_eq!((names.asked.load(Ordering::SeqCst), server.count()), (2, 1));
}

#[test]
fn an_address_that_does_not_answer_is_passed_over() {
    let server = Server::answering(OK);
    // Nothing listens at the first.
    let names = Names::new(&[&["127.0.0.2", "127.0.0.1"]]);
    let entry = format!("http://hooks.example:{}", server.port);
    let url = format!("{entry}/");
    let result = wait(
        Client::resolving(policy(&[&entry]), names).send(Request::get(&url).expect("plain").limits(limits())),
    );
    assert_eq!(result.expect("the second").status, 200);
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("address").port();
    let entry = format!("http://127.0.0.1:{gone}");
    let request = Request::get(&format!("{entry}/")).expect("plain").limits(limits());
    assert!(matches!(wait(Client::new(policy(&[&entry])).send(request)), Err(Error::Connect { .. })));
    let request = Request::get("http://nobody.example/").expect("plain").limits(limits());
    let client = Client::resolving(policy(&["http://nobody.example"]), Names::new(&[&[]]));
    assert!(matches!(wait(client.send(request)), Err(Error::Resolve { .. })));
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    let inside = Server::answering(OK);
    for status in [301, 302, 303, 307, 308] {
        let server = Server::answering(format!(
            "HTTP/1.1 {status} Go\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
            inside.url("/")
        ));
        let answer = server.call(limits()).expect("an answer");
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("location"), Some(inside.url("/").as_str()));
    }
    assert_eq!(inside.count(), 0);
}

#[test]
fn the_request_is_what_the_caller_wrote_and_one_host() {
    let seen = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&seen);
    let server = Server::new(move |mut stream| {
        let mut text = head(&mut stream);
        let mut body = [0; 5];
        stream.read_exact(&mut body).expect("a body");
        text.push_str(&String::from_utf8_lossy(&body));
        *kept.lock().expect("no panic") = text;
        let _ = stream.write_all(OK.as_bytes());
    });
    let request = Request::post(&server.url("/a?b=c"), b"hello".as_slice()).expect("plain");
    let request = request.header("x-signature", "abc").expect("a header").limits(limits());
    let answer = wait(server.client().send(request)).expect("an answer");
    assert_eq!(
        (answer.status, answer.body.as_slice(), answer.bytes, answer.cut),
        (200, &b"ok"[..], 2, false)
    );
    let text = seen.lock().expect("no panic").clone();
    assert!(text.starts_with("post /a?b=c http/1.1\r\n") && text.ends_with("\r\n\r\nhello"), "{text}");
    for line in [
        &format!("host: 127.0.0.1:{}", server.port),
        "content-length: 5",
        "connection: close",
        "accept-encoding: gzip",
        "x-signature: abc",
        "user-agent: bonafide/",
    ] {
        assert_eq!(text.matches(&format!("\r\n{line}")).count(), 1, "{line}: {text}");
    }
}

#[test]
fn a_server_that_never_ends_meets_the_deadline() {
    let drip = |begin: &'static str, drop: &'static [u8]| {
        Server::new(move |mut stream| {
            head(&mut stream);
            let _ = stream.write_all(begin.as_bytes());
            // As slow as the client lets it be: each byte waits for the client to take the one before or to leave.
            let _ = stream.set_read_timeout(Some(Duration::from_millis(5)));
            while stream.write_all(drop).is_ok() {
                if matches!(stream.read(&mut [0]), Ok(0)) {
                    break;
                }
            }
        })
    };
    let silent = Server::new(|mut stream| {
        head(&mut stream);
        let _ = stream.read(&mut [0]);
    });
    let servers = [
        ("says nothing", silent),
        ("never ends its head", drip("HTTP/1.1 200 OK\r\nx-slow: ", b"a")),
        ("never ends its body", drip("HTTP/1.1 200 OK\r\n\r\n", b"a")),
        (
            "says the length of a body that does not come",
            drip("HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n", b"a"),
        ),
        ("goes on and on", drip("", b"HTTP/1.1 100 Continue\r\n\r\n")),
    ];
    for (what, server) in servers {
        let result = server.call(short());
        assert!(matches!(result, Err(Error::Deadline { doing: "answer", .. })), "{what}: {result:?}");
    }
    // A server that does not speak TLS back, and a name that is never resolved: nothing was connected in time.
    let mute = Server::new(|mut stream| {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).is_ok_and(|n| n > 0) {}
    });
    let limits = Limits { connect: Duration::from_millis(300), ..limits() };
    let entry = format!("https://127.0.0.1:{}", mute.port);
    let request = Request::get(&entry).expect("plain").limits(limits);
    let result = wait(Client::new(policy(&[&entry])).with_tls(trusting()).send(request));
    assert!(matches!(result, Err(Error::Deadline { doing: "connect", .. })), "{result:?}");
    struct Never;
    impl Resolve for Never {
        fn resolve<'a>(&'a self, _: &'a str) -> Boxed<'a, std::io::Result<Vec<IpAddr>>> {
            Box::pin(std::future::pending())
        }
    }
    let request = Request::get("https://never.example/").expect("plain").limits(limits);
    let result = wait(Client::resolving(Policy::default(), Arc::new(Never)).send(request));
    assert!(matches!(result, Err(Error::Deadline { doing: "connect", .. })), "{result:?}");
}

#[test]
fn an_answer_of_a_gigabyte_is_refused_or_cut_and_not_read() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let server = Server::new(move |mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        let block = vec![b'x'; 1 << 16];
        for _ in 0..1 << 14 {
            if stream.write_all(&block).is_err() {
                break;
            }
            counted.fetch_add(block.len(), Ordering::SeqCst);
        }
    });
    let refused = server.call(limits());
    assert!(matches!(refused, Err(Error::TooLarge { limit: 65_536, .. })), "{refused:?}");
    let cut = server.call(Limits { overflow: Overflow::Cut, ..limits() }).expect("an answer");
    assert_eq!((cut.status, cut.cut, cut.bytes, cut.body.len()), (200, true, 65_536, 65_536));
    // What lay in the buffers of two connections, and far from two gigabytes.
    assert!(sent.load(Ordering::SeqCst) < 64 << 20, "{} bytes were taken", sent.load(Ordering::SeqCst));
    // A length that is announced is not waited for.
    let announced = Server::new(|mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n");
        let _ = stream.read(&mut [0]);
    });
    assert!(matches!(announced.call(limits()), Err(Error::TooLarge { .. })));
    // What just fits is whole.
    let body = "y".repeat(65_536);
    let fits = Server::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: 65536\r\n\r\n{body}"));
    let answer = fits.call(limits()).expect("an answer");
    assert_eq!((answer.cut, answer.body == body.as_bytes()), (false, true));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).expect("packs");
    packer.finish().expect("packs")
}

fn packed(coding: &str, body: &[u8]) -> Server {
    let head = format!("HTTP/1.1 200 OK\r\n{coding}content-length: {}\r\n\r\n", body.len());
    Server::answering([head.as_bytes(), body].concat())
}

#[test]
fn a_packed_answer_is_unpacked_and_its_cap_counts_what_comes_out() {
    const GZIP: &str = "content-encoding: gzip\r\n";
    let small = packed(GZIP, &gzip(b"hello")).call(limits()).expect("an answer");
    assert_eq!((small.body.as_slice(), small.bytes), (&b"hello"[..], 5));
    let two = packed(GZIP, &[gzip(b"hel"), gzip(b"lo")].concat()).call(limits()).expect("an answer");
    assert_eq!(two.body, b"hello");
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < 65_536 * 2);
    let server = packed(GZIP, &bomb);
    assert!(matches!(server.call(limits()), Err(Error::TooLarge { .. })));
    let cut = server.call(Limits { overflow: Overflow::Cut, ..limits() }).expect("an answer");
    assert_eq!((cut.cut, cut.bytes, cut.body.len()), (true, 65_536, 65_536));
    // Members that unpack to nothing, for ever.
    let empty = gzip(b"");
    let server = Server::new(move |mut stream| {
        head(&mut stream);
        let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{GZIP}\r\n").as_bytes());
        let many = empty.repeat(1000);
        while stream.write_all(&many).is_ok() {}
    });
    assert!(matches!(server.call(limits()), Err(Error::TooLarge { .. })));
    let whole = gzip(&(0..20_000u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
    for (what, coding, body) in [
        ("not gzip", GZIP, b"hello".to_vec()),
        ("half of it", GZIP, whole[..whole.len() / 2].to_vec()),
        ("another packing", "content-encoding: br\r\n", b"hello".to_vec()),
        ("two packings", "content-encoding: gzip, gzip\r\n", gzip(&gzip(b"hello"))),
        (
            "two packings in two lines",
            "content-encoding: gzip\r\ncontent-encoding: gzip\r\n",
            gzip(&gzip(b"hello")),
        ),
    ] {
        let result = packed(coding, &body).call(limits());
        assert!(matches!(result, Err(Error::Packed { .. })), "{what}: {result:?}");
    }
}

#[test]
fn what_is_not_an_answer_is_an_error_and_never_a_status() {
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n", "a".repeat(200_000));
    for (what, bytes) in [
        ("nothing", String::new()),
        ("not HTTP", "SSH-2.0-OpenSSH_9.2\r\n".into()),
        ("half a head", "HTTP/1.1 200 OK\r\ncontent-le".into()),
        ("half a body", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello".into()),
        ("half a chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel".into()),
        ("a wrong chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n".into()),
        ("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".into()),
        ("too many headers", format!("HTTP/1.1 200 OK\r\n{many}\r\n")),
        ("a head without end", long),
    ] {
        let result = Server::answering(bytes).call(limits());
        assert!(matches!(result, Err(Error::Protocol { .. })), "{what}: {result:?}");
    }
}

#[test]
fn a_place_that_fails_ends_the_call() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for server in [Server::answering(OK), packed("content-encoding: gzip\r\n", &gzip(&[7; 100_000]))] {
        let request = Request::get(&server.url("/")).expect("plain").limits(limits());
        let result = wait(server.client().fetch(request, &mut Full));
        assert!(matches!(result, Err(Error::Write { .. })), "{result:?}");
    }
}

/// A TLS server of the name `hooks.example`; counts the bytes that it was sent within TLS.
fn tls_server() -> (Server, Arc<AtomicUsize>) {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    let certificate = CertificateDer::from_pem_slice(include_bytes!("data/hooks.example.crt")).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("data/hooks.example.key")).expect("PEM");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate");
    let (config, read) = (Arc::new(config), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&read);
    let server = Server::new(move |stream| {
        let mut tls = rustls::StreamOwned::new(
            rustls::ServerConnection::new(Arc::clone(&config)).expect("a connection"),
            stream,
        );
        let mut bytes = Vec::new();
        let mut one = [0];
        while !bytes.ends_with(b"\r\n\r\n") && tls.read(&mut one).is_ok_and(|n| n == 1) {
            bytes.push(one[0]);
        }
        counted.fetch_add(bytes.len(), Ordering::SeqCst);
        let _ = tls.write_all(OK.as_bytes());
        let _ = tls.flush();
    });
    (server, read)
}

/// Trusts the certificate of `hooks.example` and no other.
fn trusting() -> rustls::ClientConfig {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let mut roots = rustls::RootCertStore::empty();
    let pem = include_bytes!("data/hooks.example.crt");
    roots.add(CertificateDer::from_pem_slice(pem).expect("PEM")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[test]
fn https_is_spoken_only_with_who_can_show_the_name() {
    let (server, read) = tls_server();
    let names = || Names::new(&[&["127.0.0.1"]]) as Arc<dyn Resolve>;
    let client =
        |host: &str| Client::resolving(policy(&[&format!("https://{host}:{}", server.port)]), names());
    let call = |client: Client, host: &str| {
        let url = format!("https://{host}:{}/", server.port);
        wait(client.send(Request::get(&url).expect("plain").limits(limits())))
    };
    // The machine does not trust the certificate.
    let unknown = call(client("hooks.example"), "hooks.example");
    assert!(matches!(unknown, Err(Error::Tls { .. } | Error::Trust(_))), "{unknown:?}");
    // Another name at the same address.
    let other = call(client("other.example").with_tls(trusting()), "other.example");
    assert!(matches!(other, Err(Error::Tls { .. })), "{other:?}");
    assert_eq!(read.load(Ordering::SeqCst), 0, "nothing was sent to them");
    let good = call(client("hooks.example").with_tls(trusting()), "hooks.example").expect("an answer");
    assert_eq!((good.status, good.body.as_slice()), (200, &b"ok"[..]));
    assert!(read.load(Ordering::SeqCst) > 0);
}

/// Collects log rows.
#[derive(Clone, Default)]
struct Rows(Arc<Mutex<Vec<u8>>>);

impl Write for Rows {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn each_call_leaves_one_row_without_path_query_body_or_secrets() {
    let rows = Rows::default();
    let writer = rows.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\x01\r\nset-cookie: secret-cookie\r\nx-token: secret\r\n\
                  location: /secret\r\ncontent-length: 11\r\n\r\nsecret-body";
    let server = Server::answering(answer.replace('\x01', "; x"));
    tracing::subscriber::with_default(subscriber, || {
        let request = Request::post(&server.url("/secret-path?secret-query"), b"secret-sent".as_slice());
        let request = request.expect("plain").header("authorization", "secret-key").expect("a header");
        wait(server.client().send(request.limits(limits()))).expect("an answer");
        let refused = Request::get("https://127.0.0.1/secret-path?secret-query").expect("plain");
        assert!(wait(Client::new(Policy::default()).send(refused)).is_err());
    });
    let text = String::from_utf8(rows.0.lock().expect("no panic").clone()).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(!text.contains("secret"), "{text}");
    for part in [
        "\"http.method\":\"POST\"",
        &format!("\"http.host\":\"127.0.0.1:{}\"", server.port),
        "\"http.status\":200",
        "\"http.bytes\":11",
        "\"http.sent_bytes\":11",
        "duration_ms",
        "content-type: text/plain; x; content-length: 11",
    ] {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
    assert!(lines[1].contains("the address is not public: this machine"), "{}", lines[1]);
}

#[test]
fn the_stand_in_gives_its_answers_in_turn_and_keeps_what_was_asked() {
    let fake = egress::Fake::new();
    fake.answer(201, &[("etag", "\"a\"")], b"made");
    let http: &dyn Http = &fake;
    let request = Request::post("https://hooks.example/x?y", b"{}".as_slice()).expect("plain");
    let answer = wait(http.send(request.header("x-note", "1").expect("a header"))).expect("an answer");
    assert_eq!(
        (answer.status, answer.body.as_slice(), answer.header("etag")),
        (201, &b"made"[..], Some("\"a\""))
    );
    assert!(wait(http.send(Request::get("https://hooks.example/").expect("plain"))).is_err());
    let seen = fake.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].url.as_str()), ("POST", "https://hooks.example/x?y"));
    assert_eq!((seen[0].body.as_slice(), seen.len()), (&b"{}"[..], 2));
}
