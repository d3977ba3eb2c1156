//! Fetches a file for a command: one download through the one outgoing client, its redirects followed one by one.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, bail};
use egress::{Answer, Client, Entry, Http as _, Limits, Method, Overflow, Policy, Request, Target};

/// Redirects followed for one file.
const MAX_REDIRECTS: usize = 5;

/// What the operator allows beside the public internet.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct EgressArgs {
    /// Also call this host or network: [http://|https://]HOST|ADDRESS|NETWORK[:PORT|:*], with commas between several.
    /// Without it only public addresses are called, by https on port 443
    #[arg(long = "egress-allow", value_name = "ENTRY", env = "BONAFIDE_EGRESS_ALLOW", value_delimiter = ',')]
    pub(crate) allow: Vec<Entry>,
}

/// Downloads files.
pub(crate) struct Fetcher {
    client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Fetcher {
    /// One that goes to the public internet and where the entries let it.
    pub(crate) fn new(allowed: Vec<Entry>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self {
            client: Client::new(Policy::allowing(allowed)),
            runtime: runtime.context("could not start the runtime")?,
        })
    }

    /// Fetches an address and writes what it leads to into what `begin` makes, anew for each redirect. Every redirect
    /// is a call of its own and is judged as one: it leads only where the first call could have gone.
    pub(crate) fn get<W: Write + Send>(
        &self,
        target: &Target,
        headers: &[(&str, &str)],
        max_bytes: u64,
        mut begin: impl FnMut() -> anyhow::Result<W>,
    ) -> anyhow::Result<(Answer, W)> {
        let limits = Limits {
            connect: Duration::from_secs(20),
            whole: Duration::from_secs(660),
            answer_bytes: max_bytes,
            overflow: Overflow::Refuse,
        };
        let mut target = target.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = Request::new(Method::GET, target.clone(), Vec::<u8>::new()).limits(limits);
            for (name, value) in headers {
                request = request.header(name, value)?;
            }
            let mut place = begin()?;
            let answer = self.runtime.block_on(self.client.fetch(request, &mut place))?;
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok((answer, place));
            }
            let location = answer.header("location").context("a redirect without an address")?;
            target = target.follow(location).context("a redirect that cannot be followed")?;
        }
        bail!("more than {MAX_REDIRECTS} redirects")
    }
}
