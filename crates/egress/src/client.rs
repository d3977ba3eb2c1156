//! The real client: resolve, judge, connect to what was judged, speak HTTP/1.1 once.
//!
//! The steps are written out instead of left to a client library, because each is where a guard is passed: a second
//! resolution, a connection taken from a pool, a redirect, a proxy from the environment. The library that remains
//! (hyper) is handed an open stream and knows no addresses.

use std::{
    fmt,
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{Answer, Boxed, Host, Http, Overflow, Policy, Refusal, Request, Target};

/// Addresses of one name that are tried, one after another.
const MAX_ADDRESSES: usize = 4;
/// Bytes of an answer's head.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Lines of an answer's head.
const MAX_HEADERS: usize = 100;
/// Headers of an answer that a log row shows; others may hold secrets.
const LOGGED: [header::HeaderName; 4] =
    [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::RETRY_AFTER];

/// Makes calls over the network.
pub struct Client {
    policy: Policy,
    resolver: Arc<dyn Resolve>,
    tls: OnceLock<Result<Arc<ClientConfig>, rustls::Error>>,
}

/// Finds the addresses of a name.
pub trait Resolve: Send + Sync {
    /// All addresses, in the order in which to try them.
    fn resolve<'a>(&'a self, name: &'a str) -> Boxed<'a, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Boxed<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Why a call has no answer. Texts name the host and never path, query or body.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The guard does not let it go there.
    #[error("{host} is not called")]
    Refused {
        /// Host and port.
        host: String,
        /// Why.
        #[source]
        source: Refusal,
    },
    /// The name has no address.
    #[error("the name {host} cannot be resolved")]
    Resolve {
        /// Host and port.
        host: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// None of its addresses answered.
    #[error("{host} cannot be reached")]
    Connect {
        /// Host and port.
        host: String,
        /// The cause, of the address tried last.
        #[source]
        source: io::Error,
    },
    /// The TLS handshake failed; nothing was sent.
    #[error("{host} could not show that it is who it says")]
    Tls {
        /// Host and port.
        host: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The certificates that this machine trusts cannot be read.
    #[error("the certificates that this machine trusts cannot be read")]
    Trust(#[source] rustls::Error),
    /// A deadline passed.
    #[error("{host} took longer than {} s to {doing}", .after.as_secs_f64())]
    Deadline {
        /// Host and port.
        host: String,
        /// What it did not finish.
        doing: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// What came is not HTTP/1.1, or broke off.
    #[error("{host} gave an answer that cannot be read")]
    Protocol {
        /// Host and port.
        host: String,
        /// The cause.
        #[source]
        source: hyper::Error,
    },
    /// The answer has more than the call allows.
    #[error("the answer of {host} has more than {limit} bytes")]
    TooLarge {
        /// Host and port.
        host: String,
        /// The call's cap.
        limit: u64,
    },
    /// The answer is packed in a way that was not asked for, or broken.
    #[error("the answer of {host} cannot be unpacked")]
    Packed {
        /// Host and port.
        host: String,
    },
    /// The place for the answer's body failed.
    #[error("the answer of {host} could not be written")]
    Write {
        /// Host and port.
        host: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl Client {
    /// One that goes where the policy lets it.
    pub fn new(policy: Policy) -> Self {
        Self::resolving(policy, Arc::new(SystemResolver))
    }

    /// The same with a resolver of the caller's.
    pub fn resolving(policy: Policy, resolver: Arc<dyn Resolve>) -> Self {
        Self { policy, resolver, tls: OnceLock::new() }
    }

    /// The same trusting other certificates than the machine does.
    #[must_use]
    pub fn with_tls(mut self, config: ClientConfig) -> Self {
        self.tls = OnceLock::from(Ok(Arc::new(config)));
        self
    }

    /// Made at the first use: reading the machine's certificates takes milliseconds that plain calls do not need.
    fn tls(&self) -> Result<Arc<ClientConfig>, Error> {
        let made = self.tls.get_or_init(|| {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let builder = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                .with_platform_verifier()?;
            Ok(Arc::new(builder.with_no_client_auth()))
        });
        made.clone().map_err(Error::Trust)
    }

    /// A connection to an address that was judged.
    async fn connect(&self, target: &Target, within: Duration) -> Result<Box<dyn Stream>, Error> {
        let host = target.authority();
        let refused = |source| Error::Refused { host: host.clone(), source };
        self.policy.admit(target).map_err(refused)?;
        let addresses = match target.host() {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let unresolved = |source| Error::Resolve { host: host.clone(), source };
                let found = self.resolver.resolve(name).await.map_err(unresolved)?;
                if found.is_empty() {
                    return Err(unresolved(io::ErrorKind::NotFound.into()));
                }
                found
            }
        };
        // One that may not be called spoils the rest: honest names do not lead inside and outside at once.
        for address in &addresses {
            self.policy.judge(target, *address).map_err(refused)?;
        }
        let tcp = reach(&addresses, target.port(), within)
            .await
            .map_err(|source| Error::Connect { host: host.clone(), source })?;
        if !target.is_secure() {
            return Ok(Box::new(tcp));
        }
        let name = match target.host() {
            Host::Address(address) => ServerName::from(address.to_canonical()),
            Host::Name(name) => ServerName::try_from(name.clone())
                .map_err(|error| Error::Tls { host: host.clone(), source: io::Error::other(error) })?,
        };
        let stream = tokio_rustls::TlsConnector::from(self.tls()?).connect(name, tcp).await;
        Ok(Box::new(stream.map_err(|source| Error::Tls { host, source })?))
    }

    async fn call(&self, request: Request, into: &mut (dyn Write + Send)) -> Result<Answer, Error> {
        let Request { method, target, mut headers, body, limits } = request;
        let host = target.authority();
        let stream = timeout(limits.connect, self.connect(&target, limits.connect))
            .await
            .map_err(|_| Error::Deadline { host: host.clone(), doing: "connect", after: limits.connect })??;
        let unreadable = |source| Error::Protocol { host: host.clone(), source };
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(unreadable)?;
        // Ends with this call, however it ends.
        let mut driver = JoinSet::new();
        driver.spawn(connection);

        headers.insert(header::HOST, HeaderValue::from_str(&host).expect("a host is plain ASCII"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        headers
            .entry(header::USER_AGENT)
            .or_insert(HeaderValue::from_static(concat!("bonafide/", env!("CARGO_PKG_VERSION"))));
        let mut sent = http::Request::new(Full::new(body));
        *sent.method_mut() = method;
        *sent.uri_mut() = target.path().clone().into();
        *sent.headers_mut() = headers;
        let (head, body) = sender.send_request(sent).await.map_err(unreadable)?.into_parts();
        let (bytes, cut) = receive(&host, &head.headers, body, limits, into).await?;
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: Vec::new(), bytes, cut })
    }
}

impl Http for Client {
    fn fetch<'a>(
        &'a self,
        request: Request,
        into: &'a mut (dyn Write + Send),
    ) -> Boxed<'a, Result<Answer, Error>> {
        Box::pin(async move {
            let started = Instant::now();
            let (method, host) = (request.method.clone(), request.target.authority());
            let (sent, after) = (request.body.len(), request.limits.whole);
            let result = match timeout(after, self.call(request, into)).await {
                Ok(result) => result,
                Err(_) => Err(Error::Deadline { host: host.clone(), doing: "answer", after }),
            };
            let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            match &result {
                Ok(answer) => tracing::info!(
                    http.method = %method,
                    http.host = host,
                    http.status = answer.status,
                    http.sent_bytes = sent,
                    http.bytes = answer.bytes,
                    http.cut = answer.cut,
                    http.headers = %logged(&answer.headers),
                    duration_ms,
                    "called {host}: {}",
                    answer.status
                ),
                Err(error) => tracing::warn!(
                    http.method = %method,
                    http.host = host,
                    http.sent_bytes = sent,
                    error = %Chain(error),
                    duration_ms,
                    "a call of {host} has no answer"
                ),
            }
            result
        })
    }
}

/// What hyper speaks over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Tries the addresses in turn, each with its share of the time.
async fn reach(addresses: &[IpAddr], port: u16, within: Duration) -> io::Result<TcpStream> {
    let tried = &addresses[..addresses.len().min(MAX_ADDRESSES)];
    let share = within / u32::try_from(tried.len()).unwrap_or(1).max(1);
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in tried {
        // Mapped addresses are judged and connected to as the IPv4 addresses that they are.
        match timeout(share, TcpStream::connect(SocketAddr::new(address.to_canonical(), port))).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// Unpacks a body into its place, up to the cap; the bytes written, and whether there would have been more.
async fn receive(
    host: &str,
    headers: &HeaderMap,
    mut body: hyper::body::Incoming,
    limits: crate::Limits,
    into: &mut (dyn Write + Send),
) -> Result<(u64, bool), Error> {
    let packed = || Error::Packed { host: host.to_owned() };
    let too_large = || Error::TooLarge { host: host.to_owned(), limit: limits.answer_bytes };
    let capped = Capped { into, left: limits.answer_bytes, written: 0, over: false };
    let codings: Vec<_> = headers.get_all(header::CONTENT_ENCODING).iter().collect();
    let mut sink = match codings.as_slice() {
        [] => Sink::Plain(capped),
        [one] if one.as_bytes().eq_ignore_ascii_case(b"identity") => Sink::Plain(capped),
        [one] if one.as_bytes().eq_ignore_ascii_case(b"gzip") => {
            Sink::Gzip(Box::new(MultiGzDecoder::new(capped)))
        }
        _ => return Err(packed()),
    };
    // A length that is announced need not be waited for.
    let announced = hyper::body::Body::size_hint(&body).lower();
    if matches!(sink, Sink::Plain(_))
        && limits.overflow == Overflow::Refuse
        && announced > limits.answer_bytes
    {
        return Err(too_large());
    }
    let mut arrived = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|source| Error::Protocol { host: host.to_owned(), source })?;
        let Ok(data) = frame.into_data() else { continue };
        arrived += data.len() as u64;
        let written = sink.write(&data);
        let state = sink.capped();
        // Packed bytes count, too: an empty member after another unpacks to nothing for ever.
        if state.over || arrived > limits.answer_bytes.saturating_add(MAX_HEAD_BYTES as u64) {
            return match limits.overflow {
                Overflow::Refuse => Err(too_large()),
                Overflow::Cut => Ok((state.written, true)),
            };
        }
        match written {
            Ok(()) => {}
            Err(Failed::Packed) => return Err(packed()),
            Err(Failed::Place(source)) => return Err(Error::Write { host: host.to_owned(), source }),
        }
    }
    // Answers without a body (304) name their coding all the same.
    if arrived == 0 {
        return Ok((0, false));
    }
    match sink.finish() {
        Ok(written) => Ok((written, false)),
        Err(Failed::Packed) => Err(packed()),
        Err(Failed::Place(source)) => Err(Error::Write { host: host.to_owned(), source }),
    }
}

enum Sink<'a> {
    Plain(Capped<'a>),
    Gzip(Box<MultiGzDecoder<Capped<'a>>>),
}

enum Failed {
    Packed,
    Place(io::Error),
}

impl<'a> Sink<'a> {
    fn write(&mut self, data: &Bytes) -> Result<(), Failed> {
        match self {
            Self::Plain(capped) => capped.write_all(data).map_err(Failed::Place),
            Self::Gzip(decoder) => decoder.write_all(data).map_err(failed),
        }
    }

    fn capped(&self) -> &Capped<'a> {
        match self {
            Self::Plain(capped) => capped,
            Self::Gzip(decoder) => decoder.get_ref(),
        }
    }

    fn finish(mut self) -> Result<u64, Failed> {
        if let Self::Gzip(decoder) = &mut self {
            decoder.try_finish().map_err(failed)?;
        }
        Ok(self.capped().written)
    }
}

/// The unpacker calls what it cannot read invalid; anything else is the place's own failure.
fn failed(error: io::Error) -> Failed {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    if matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof) {
        Failed::Packed
    } else {
        Failed::Place(error)
    }
}

/// Takes so many bytes and no more.
struct Capped<'a> {
    into: &'a mut (dyn Write + Send),
    left: u64,
    written: u64,
    over: bool,
}

impl Write for Capped<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let fits = data.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if fits == 0 && !data.is_empty() {
            self.over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.into.write_all(&data[..fits])?;
        self.left -= fits as u64;
        self.written += fits as u64;
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// The headers that a log row shows, one line of printable text.
fn logged(headers: &HeaderMap) -> String {
    let mut line = String::new();
    for name in LOGGED {
        let Some(value) = headers.get(&name) else { continue };
        let printable = |b: &u8| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '?' };
        let value: String = value.as_bytes().iter().take(80).map(printable).collect();
        line.push_str(if line.is_empty() { "" } else { "; " });
        line.push_str(&format!("{name}: {value}"));
    }
    line
}

/// An error with its causes in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
