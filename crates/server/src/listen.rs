//! Listens, with TLS when a certificate is configured, holds clients to their deadlines, and ends gracefully.
//!
//! Which connections there may be, and when one has taken too long, `connections` decides; here sockets are
//! accepted, driven and closed.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, http::StatusCode, http::Version, response::Response};
use hyper::{
    Request,
    body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use service::Service;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    sync::{Semaphore, watch},
    time::{Instant, Sleep, sleep, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

use crate::{
    Settings,
    app::App,
    connections::{Answering, Connection, Connections, Slot},
};

/// A certificate chain and its key, PEM.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why listening did not begin or broke off.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate or key could not be read.
    #[error("could not read the certificate {} or its key {}", .0.certificate.display(), .0.key.display())]
    Certificate(Tls, #[source] std::io::Error),
    /// The address is taken, or the connection broke.
    #[error("could not serve")]
    Serve(#[source] std::io::Error),
}

/// How long requests in flight may take to end after a stop was asked for.
const GRACE: Duration = Duration::from_secs(10);
/// How long a connection whose time is over may take to say so.
const FAREWELL: Duration = Duration::from_secs(1);
/// Bytes read and thrown away after the last answer, so that the answer arrives: closing with unread
/// bytes makes the system reset the connection.
const LINGER_BYTES: usize = 256 * 1024;
/// Largest head of an HTTP/1 request, and the largest buffer for one connection.
const HEAD_BYTES: usize = 64 * 1024;
/// Largest header list of an HTTP/2 request.
const HEADER_LIST_BYTES: u32 = 32 * 1024;
/// Open requests of one HTTP/2 connection.
const STREAMS: u32 = 64;
/// Bytes of request bodies that one HTTP/2 connection may send ahead.
const WINDOW_BYTES: u32 = 256 * 1024;
/// Streams that a client reset and that are not cleared away yet; more are a flood, and the connection ends.
const RESET_STREAMS: usize = 20;
/// Streams that the server reset because the client broke the protocol.
const FAULTY_STREAMS: usize = 128;
/// Unread answer that one HTTP/2 stream may buffer.
const SEND_BYTES: usize = 64 * 1024;
/// Refusals that are being said at once; beyond that connections are closed without a word.
const REFUSALS: usize = 64;

/// What connections are told by the accepting loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// No further request is taken; what is in flight ends.
    Ending,
    /// The time for that is over.
    Over,
}

/// Serves until `stop` resolves, then ends what is in flight within ten seconds.
///
/// # Errors
/// When the certificate cannot be read or the listener fails.
pub async fn serve(
    listener: std::net::TcpListener,
    service: Service,
    settings: Settings,
    tls: Option<Tls>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), TlsError> {
    let acceptor = tls.map(acceptor).transpose()?;
    listener.set_nonblocking(true).map_err(TlsError::Serve)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(TlsError::Serve)?;
    let app = App::new(service, settings);
    let connections = Arc::clone(&app.connections);
    let router = crate::router(app);
    let builder = Arc::new(builder());
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let (stage, _) = watch::channel(Stage::Open);
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_the_peer(&error) => continue,
            Err(error) => {
                // No descriptor or memory is left: a waiting connection goes, and the next try is a moment later.
                tracing::warn!(error = %error, "could not accept a connection");
                connections.make_room();
                sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let Some(slot) = connections.admit(peer.ip()) else {
            if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
                let speaks_tls = acceptor.is_some();
                tokio::spawn(async move {
                    let _permit = permit;
                    let _ = timeout(FAREWELL, refuse(stream, speaks_tls)).await;
                });
            }
            continue;
        };
        let _ = stream.set_nodelay(true);
        let attendant = Attendant {
            connection: Arc::clone(&slot.connection),
            connections: Arc::clone(&connections),
            builder: Arc::clone(&builder),
            router: router.clone(),
            peer,
            stage: stage.subscribe(),
        };
        tokio::spawn(attendant.attend(Watched::new(stream, slot), acceptor.clone()));
    }
    drop(listener);
    stage.send_replace(Stage::Ending);
    if timeout(GRACE, stage.closed()).await.is_err() {
        stage.send_replace(Stage::Over);
        let _ = timeout(FAREWELL, stage.closed()).await;
    }
    Ok(())
}

/// The connection was gone before it was accepted.
fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// Reads the certificate; the one crypto provider of the tree is named, whatever the process has installed.
fn acceptor(tls: Tls) -> Result<TlsAcceptor, TlsError> {
    match configuration(&tls.certificate, &tls.key) {
        Ok(config) => Ok(TlsAcceptor::from(Arc::new(config))),
        Err(error) => Err(TlsError::Certificate(tls, error)),
    }
}

fn configuration(certificate: &Path, key: &Path) -> io::Result<ServerConfig> {
    let certificates = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The time for heads is kept by `Connection::deadline`: the one of hyper counts waiting for a head as well.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST_BYTES)
        .max_pending_accept_reset_streams(RESET_STREAMS)
        .max_local_error_reset_streams(FAULTY_STREAMS)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_send_buf_size(SEND_BYTES)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Says that there is no room, where that can be said without a handshake.
async fn refuse(mut stream: TcpStream, speaks_tls: bool) -> io::Result<()> {
    if speaks_tls {
        return Ok(());
    }
    let body = r#"{"detail":"The service is busy. Please try again in a moment.","code":"busy"}"#;
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 2\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let mut thrown_away = [0; 4096];
    for _ in 0..16 {
        if stream.read(&mut thrown_away).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Serves one connection.
struct Attendant {
    connection: Arc<Connection>,
    connections: Arc<Connections>,
    builder: Arc<auto::Builder<TokioExecutor>>,
    router: Router,
    peer: SocketAddr,
    stage: watch::Receiver<Stage>,
}

impl Attendant {
    async fn attend(mut self, io: Watched, acceptor: Option<TlsAcceptor>) {
        let Some(acceptor) = acceptor else { return self.drive(io).await };
        let shaken = tokio::select! {
            shaken = timeout(self.connections.limits.head, acceptor.accept(io)) => shaken,
            () = self.connection.evicted() => return,
            _ = self.stage.changed() => return,
        };
        match shaken {
            Ok(Ok(secured)) => {
                self.connection.secured();
                self.drive(secured).await;
            }
            // The peer speaks no TLS, or left.
            Ok(Err(_)) => {}
            Err(_) => self.connections.timed_out(),
        }
    }

    async fn drive<Io>(mut self, io: Io)
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let answers = {
            let (router, connection, peer) = (self.router.clone(), Arc::clone(&self.connection), self.peer);
            service_fn(move |request| answer(router.clone(), Arc::clone(&connection), peer, request))
        };
        let mut served = pin!(self.builder.serve_connection_with_upgrades(TokioIo::new(io), answers));
        let limits = &self.connections.limits;
        let mut timer = pin!(sleep(limits.idle));
        let mut farewell: Option<Instant> = None;
        loop {
            let driven = poll_fn(|context| {
                if served.as_mut().poll(context).is_ready() {
                    return Poll::Ready(true);
                }
                // HTTP/2 streams move on without waking this task: the deadline is looked at again in any case.
                let until = farewell.or_else(|| self.connection.deadline(limits));
                timer.as_mut().reset(until.unwrap_or_else(|| Instant::now() + limits.idle));
                timer.as_mut().poll(context).map(|()| false)
            });
            tokio::select! {
                is_over = driven => {
                    if is_over || farewell.is_some() {
                        return;
                    }
                    self.connections.timed_out();
                    farewell = Some(Instant::now() + FAREWELL);
                    served.as_mut().graceful_shutdown();
                }
                () = self.connection.evicted() => return,
                changed = self.stage.changed() => {
                    if changed.is_err() || *self.stage.borrow_and_update() == Stage::Over {
                        return;
                    }
                    served.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Answers one request, telling the connection how far the answer is.
async fn answer(
    mut router: Router,
    connection: Arc<Connection>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let answering = connection.begin(request.version() == Version::HTTP_2);
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(Arc::clone(&connection));
    let response = router.call(request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        connection.upgraded();
    }
    Ok(response.map(|body| Answer { body, answering }))
}

/// The body of an answer, watched for a client that does not take it.
struct Answer {
    body: Body,
    answering: Answering,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.answering.handed_over(false);
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if matches!(frame, Some(Ok(_))) {
            self.answering.handed_over(true);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A socket that tells its connection what moves, and lingers a moment when it is closed.
struct Watched {
    // The socket closes before its place is given back.
    stream: TcpStream,
    slot: Slot,
    ended: bool,
    linger: Option<Linger>,
}

struct Linger {
    until: Pin<Box<Sleep>>,
    left: usize,
}

impl Watched {
    fn new(stream: TcpStream, slot: Slot) -> Self {
        Self { stream, slot, ended: false, linger: None }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match self.slot.connection.allowance() {
            None => ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?,
            Some(0) => return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into())),
            Some(left) => {
                let mut part = [0; 1024];
                let most = left.min(buffer.remaining()).min(part.len());
                let mut part = ReadBuf::new(&mut part[..most]);
                ready!(Pin::new(&mut self.stream).poll_read(context, &mut part))?;
                buffer.put_slice(part.filled());
                self.slot.connection.spend(part.filled().len());
            }
        }
        if buffer.filled().len() > before {
            self.slot.connection.received();
        } else if buffer.remaining() > 0 {
            self.ended = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.slot.connection.sent(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.slot.connection.sent(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            let until = Box::pin(sleep_until(Instant::now() + FAREWELL));
            this.linger = Some(Linger { until, left: LINGER_BYTES });
        }
        let Some(linger) = &mut this.linger else { return Poll::Ready(Ok(())) };
        let mut thrown_away = [0; 4096];
        while !this.ended && linger.left > 0 {
            let mut buffer = ReadBuf::new(&mut thrown_away);
            match Pin::new(&mut this.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    linger.left = linger.left.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => this.ended = true,
                Poll::Pending => {
                    ready!(linger.until.as_mut().poll(context));
                    return Poll::Ready(Ok(()));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Lets this process open as many files as the system allows it, and says how many that are.
pub fn raise_open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// More gain nothing, and some programs count through all of them.
    const ENOUGH: u64 = 1 << 20;
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if limit.current.is_some_and(|current| current < wanted)
        && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).is_ok()
    {
        return wanted;
    }
    limit.current.unwrap_or(ENOUGH)
}
