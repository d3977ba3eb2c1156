//! What every handler gets: the service, the limits, the pages, the counters.

use std::{
    net::{IpAddr, SocketAddr},
    ops::Deref,
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::request::Parts,
};
use service::Service;
use store::ApiKeyId;

use crate::{
    api::chip::sockets::Sockets,
    connections::{ConnectionLimits, Connections},
    hosted::pages::Pages,
    http::{
        limit::Limiter,
        metrics::Metrics,
        upload::{BodyLimits, Uploads},
    },
};

/// How the server behaves; everything has a default that works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address that links begin with, such as `https://verify.example.org`.
    pub public_url: String,
    /// How many proxies in front add to `X-Forwarded-For`; 0 ignores the header.
    pub trusted_proxies: usize,
    /// Multiplies every published rate limit; 0 switches limits off.
    pub rate_limit_scale: f64,
    /// Who may show the hosted page in a frame (CSP `frame-ancestors`).
    pub frame_ancestors: String,
    /// How many connections there may be and how long they may take.
    pub connections: ConnectionLimits,
    /// How much of request bodies is held in memory, and how long they may take.
    pub bodies: BodyLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: "http://localhost:8080".to_owned(),
            trusted_proxies: 0,
            rate_limit_scale: 1.0,
            frame_ancestors: "'self'".to_owned(),
            connections: ConnectionLimits::default(),
            bodies: BodyLimits::default(),
        }
    }
}

/// Shared by all requests.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) service: Service,
    pub(crate) settings: Settings,
    pub(crate) keys: Limiter<ApiKeyId>,
    pub(crate) addresses: Limiter<IpAddr>,
    pub(crate) metrics: Metrics,
    pub(crate) pages: Pages,
    pub(crate) connections: Arc<Connections>,
    pub(crate) uploads: Arc<Uploads>,
    pub(crate) relays: Arc<Sockets>,
}

impl App {
    pub(crate) fn new(service: Service, settings: Settings) -> Self {
        let scale = settings.rate_limit_scale;
        Self(Arc::new(Inner {
            service,
            keys: Limiter::new(scale),
            addresses: Limiter::new(scale),
            metrics: Metrics::default(),
            pages: Pages::new(),
            connections: Arc::new(Connections::new(settings.connections, settings.trusted_proxies > 0)),
            uploads: Arc::new(Uploads::new(settings.bodies)),
            relays: Arc::default(),
            settings,
        }))
    }

    /// Seconds since 1970.
    pub(crate) fn now_s(&self) -> i64 {
        self.service.now().seconds()
    }

    /// The present moment.
    pub(crate) fn timestamp(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.service.now().micros()).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// The address of the client: of the connection, or as the trusted proxies say.
///
/// With n trusted proxies it is the n-th entry of `X-Forwarded-For` from the
/// right; what stands further left was written by the client and counts for nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl FromRequestParts<App> for ClientAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(address)| address.ip());
        let forwarded = match app.settings.trusted_proxies {
            0 => None,
            hops => parts
                .headers
                .get_all("x-forwarded-for")
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','))
                .collect::<Vec<_>>()
                .iter()
                .rev()
                .nth(hops - 1)
                .and_then(|text| text.trim().parse().ok()),
        };
        Ok(Self(forwarded.unwrap_or(peer)))
    }
}
