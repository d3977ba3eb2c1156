//! `bonafide serve`: serves the API and the hosted pages, and works on queued checks.

use std::{net::TcpListener, path::PathBuf, process::ExitCode, sync::Arc};

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
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
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
        };
        let tls = tls.map(|(certificate, key)| server::Tls { certificate, key });
        server::serve(listener, server::router(service.clone(), settings), tls, stop_signal()).await?;
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
