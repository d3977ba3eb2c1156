//! `bonafide serve`: serves the API and the hosted pages, and works on queued checks.

use std::{net::TcpListener, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use service::{Engines, Service, setup::Ready};
use store::{Config, RootKey, Store};

/// Which parts of the program this process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    /// Both.
    All,
    /// Answers requests; leaves queued checks to workers.
    Api,
    /// Works on queued checks only.
    Worker,
}

/// Where data lies; shared by all commands that open it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DataArgs {
    /// Folder for everything that is kept; made when missing
    #[arg(long, value_name = "DIR", default_value = "bonafide-data", env = "BONAFIDE_DATA")]
    pub(crate) data: PathBuf,
    /// PostgreSQL instead of the SQLite file in the data folder: postgres://user:password@host/database
    #[arg(long, value_name = "URL", env = "BONAFIDE_DATABASE")]
    pub(crate) database: Option<String>,
    /// Pictures elsewhere than in the data folder: s3://bucket/prefix, or file:///folder
    #[arg(long, value_name = "URL", env = "BONAFIDE_BLOBS")]
    pub(crate) blobs: Option<String>,
    /// File of the root key (64 hexadecimal digits, readable by its owner only) instead of root.key in the data folder
    #[arg(long, value_name = "FILE", env = "BONAFIDE_ROOT_KEY_FILE")]
    pub(crate) root_key_file: Option<PathBuf>,
    /// Folder of the models
    #[arg(long, value_name = "DIR", env = "BONAFIDE_MODELS")]
    pub(crate) models: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tesseract: super::document::TesseractArgs,
    #[command(flatten)]
    pub(crate) seals: super::document::SealArgs,
}

impl DataArgs {
    /// Opens the store, saying what had to be made.
    pub(crate) async fn open(&self) -> anyhow::Result<Store> {
        let mut config = Config::in_folder(&self.data);
        config.database_url.clone_from(&self.database);
        config.blobs_url.clone_from(&self.blobs);
        if let Some(file) = &self.root_key_file {
            config.root_key = RootKey::File(file.clone());
        }
        let store = Store::open(config).await.context("could not open the store")?;
        for made in store.created() {
            eprintln!("made {made}");
        }
        Ok(store)
    }

    /// Opens the engines; models that are missing are named.
    pub(crate) fn engines(&self) -> anyhow::Result<Engines> {
        let folder = self.models.clone().unwrap_or_else(inference::Models::default_dir);
        let engines = Engines::open(&folder)?.with_tesseract(self.tesseract.find()?);
        Ok(engines.with_seal_signers(self.seals.find()?))
    }
}

/// Serve the API and the hosted pages.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", env = "BONAFIDE_LISTEN")]
    listen: String,
    /// Address that links begin with; without it http(s)://LISTEN
    #[arg(long, value_name = "URL", env = "BONAFIDE_PUBLIC_URL")]
    public_url: Option<String>,
    /// What this process does
    #[arg(long, value_enum, default_value_t = Role::All)]
    role: Role,
    /// Certificate chain (PEM); with --tls-key the server speaks TLS
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "BONAFIDE_TLS_CERTIFICATE")]
    tls_certificate: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate", env = "BONAFIDE_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// How many proxies in front add to X-Forwarded-For
    #[arg(long, value_name = "N", default_value_t = 0)]
    trusted_proxies: usize,
    /// Multiplies every published rate limit; 0 switches limits off
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    rate_limit_scale: f64,
    /// Who may show the hosted page in a frame (CSP frame-ancestors sources)
    #[arg(long, value_name = "SOURCES", default_value = "'self'")]
    frame_ancestors: String,
    #[command(flatten)]
    limits: LimitArgs,
}

/// What clients may take of this process; the defaults suit a machine that serves the open internet.
#[derive(Debug, Clone, clap::Args)]
struct LimitArgs {
    /// Connections at once; without it as many as the system's limit on open files leaves room for, 10000 at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), env = "BONAFIDE_MAX_CONNECTIONS")]
    max_connections: Option<u32>,
    /// Connections of one address at once (IPv6: of one /64), 0 for no cap; holds for no address of this machine, and for
    /// nobody behind trusted proxies
    #[arg(long, value_name = "N", default_value_t = 256, env = "BONAFIDE_MAX_CONNECTIONS_PER_ADDRESS")]
    max_connections_per_address: u32,
    /// Memory for request bodies of all clients; what finds none is answered 503
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..), env = "BONAFIDE_BODY_MEMORY")]
    body_memory: u32,
    /// Seconds for the head of a request, and for a TLS handshake
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, env = "BONAFIDE_HEAD_TIMEOUT")]
    head_timeout: Duration,
    /// Seconds that a request body may stall; it must also come with 8 KiB/s on average
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = seconds, env = "BONAFIDE_BODY_TIMEOUT")]
    body_timeout: Duration,
    /// Seconds that a connection may stay open without a request, or without taking its answer
    #[arg(long, value_name = "SECONDS", default_value = "75", value_parser = seconds, env = "BONAFIDE_IDLE_TIMEOUT")]
    idle_timeout: Duration,
}

/// Reads a time limit: more than nothing, a day at most.
fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.001..=86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "give seconds from 0.001 to 86400".to_owned())
}

impl LimitArgs {
    fn connections(&self) -> anyhow::Result<server::ConnectionLimits> {
        let files = server::raise_open_files();
        let in_all = match self.max_connections {
            None => server::ConnectionLimits::for_open_files(files),
            Some(asked) => {
                anyhow::ensure!(
                    u64::from(asked) < files,
                    "{asked} connections need more than the {files} open files that the system allows this process"
                );
                asked as usize
            }
        };
        Ok(server::ConnectionLimits {
            in_all,
            per_address: self.max_connections_per_address as usize,
            head: self.head_timeout,
            idle: self.idle_timeout,
        })
    }

    fn bodies(&self) -> server::BodyLimits {
        server::BodyLimits { held_bytes: u64::from(self.body_memory) << 20, stall: self.body_timeout }
    }
}

/// A server that is about to listen.
pub(crate) struct Prepared {
    pub(crate) service: Service,
    pub(crate) ready: Ready,
}

/// Opens everything and makes what a first start needs.
pub(crate) async fn prepare(data: &DataArgs) -> anyhow::Result<Prepared> {
    let store = data.open().await?;
    let service = Service::new(store, data.engines()?, &data.data);
    let ready = service.make_ready("My company").await.context("could not prepare the first application")?;
    if ready.made {
        eprintln!(
            "made a sandbox application with the default workflow {} ({})",
            ready.workflow,
            ready.features.join(", ")
        );
        eprintln!(
            "specimens are accepted in it; for real people make a live one: bonafide key create --new-application NAME"
        );
    }
    Ok(Prepared { service, ready })
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    init_logs();
    let runtime = tokio::runtime::Runtime::new().context("could not start the runtime")?;
    runtime.block_on(serve(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: &Args) -> anyhow::Result<()> {
    // First of all: the database and the pictures open files, too.
    let connections = args.limits.connections()?;
    decoder::warm();
    let Prepared { service, ready } = prepare(&args.data).await?;
    let (stop_workers, stopped) = tokio::sync::watch::channel(false);
    let worker = (args.role != Role::Api).then(|| tokio::spawn(service.clone().work_until(stopped)));
    let warming = Arc::clone(service.engines());
    tokio::task::spawn_blocking(move || {
        for missing in warming.warm() {
            eprintln!("warning: {missing}");
        }
    });
    let searching = service.clone();
    tokio::spawn(async move {
        if let Err(error) = searching.warm_face_search().await {
            eprintln!("warning: the index of faces is built at the first search: {error}");
        }
    });
    if args.role == Role::Worker {
        eprintln!("working on queued checks; stop with Ctrl-C");
        stop_signal().await;
    } else {
        let listener = TcpListener::bind(&args.listen)
            .with_context(|| format!("could not listen on {}", args.listen))?;
        let address = listener.local_addr().context("could not read the listening address")?;
        let tls = args.tls_certificate.clone().zip(args.tls_key.clone());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let public_url = args.public_url.clone().unwrap_or_else(|| format!("{scheme}://{address}"));
        if tls.is_none() && !address.ip().is_loopback() {
            eprintln!(
                "warning: serving without TLS on {address}; put a proxy in front or give --tls-certificate and --tls-key"
            );
        }
        eprintln!("serving on {public_url} (default workflow {})", ready.workflow);
        let settings = server::Settings {
            public_url,
            trusted_proxies: args.trusted_proxies,
            rate_limit_scale: args.rate_limit_scale,
            frame_ancestors: args.frame_ancestors.clone(),
            connections,
            bodies: args.limits.bodies(),
        };
        let tls = tls.map(|(certificate, key)| server::Tls { certificate, key });
        server::serve(listener, service.clone(), settings, tls, stop_signal()).await?;
    }
    eprintln!("stopping: checks in hand are finished first");
    let _ = stop_workers.send(true);
    if let Some(worker) = worker {
        let _ = worker.await;
    }
    Ok(())
}

/// Resolves at SIGTERM or Ctrl-C.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminate => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Structured logs on standard error: JSON lines when it is no terminal. `BONAFIDE_LOG` sets the level.
pub(crate) fn init_logs() {
    use std::io::IsTerminal;
    use tracing_subscriber::{EnvFilter, fmt};
    let filter = EnvFilter::try_from_env("BONAFIDE_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = if std::io::stderr().is_terminal() { builder.try_init() } else { builder.json().try_init() };
}
