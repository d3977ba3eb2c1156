//! Listens, with TLS when a certificate is configured, and ends gracefully.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use axum::Router;
use axum_server::{Handle, tls_rustls::RustlsConfig};

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

/// Serves until `stop` resolves, then ends what is in flight within ten seconds.
///
/// # Errors
/// When the certificate cannot be read or the listener fails.
pub async fn serve(
    listener: std::net::TcpListener,
    router: Router,
    tls: Option<Tls>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), TlsError> {
    let handle = Handle::new();
    tokio::spawn({
        let handle = handle.clone();
        async move {
            stop.await;
            handle.graceful_shutdown(Some(GRACE));
        }
    });
    listener.set_nonblocking(true).map_err(TlsError::Serve)?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    match tls {
        None => axum_server::from_tcp(listener).map_err(TlsError::Serve)?.handle(handle).serve(service).await,
        Some(tls) => {
            let config = RustlsConfig::from_pem_file(&tls.certificate, &tls.key)
                .await
                .map_err(|error| TlsError::Certificate(tls.clone(), error))?;
            axum_server::from_tcp_rustls(listener, config)
                .map_err(TlsError::Serve)?
                .handle(handle)
                .serve(service)
                .await
        }
    }
    .map_err(TlsError::Serve)
}
