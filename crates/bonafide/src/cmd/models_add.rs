//! `bonafide models add`: puts a model of the operator's own into its slot.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use inference::Models;
use inference::recipe::{add, recipes};

/// Adds a model of the operator's own.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name of the model; one of the recipes, or any name with `--recipe`.
    name: String,
    /// The model file.
    #[arg(long, value_name = "F")]
    file: Option<PathBuf>,
    /// Fetch it from here; `--url recipe` takes the address in the recipe.
    #[arg(long, value_name = "U", conflicts_with = "file")]
    url: Option<String>,
    /// The recipe to treat it by, where the name is not one.
    #[arg(long, value_name = "NAME")]
    recipe: Option<String>,
    #[command(flatten)]
    egress: super::fetch::EgressArgs,
    /// Accept a file that is not the published one.
    #[arg(long)]
    any_file: bool,
    /// Models folder [default: $BONAFIDE_MODELS or ~/.local/share/bonafide/models].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print JSON on standard output.
    #[arg(long)]
    json: bool,
}

/// The largest file that is fetched.
const MAX_BYTES: u64 = 1 << 30;

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let known = recipes();
    let wanted = args.recipe.as_deref().unwrap_or(&args.name);
    let recipe = known.iter().find(|r| r.name == wanted).ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|r| r.name.as_str()).collect();
        anyhow!("there is no recipe `{wanted}`; known are {}", names.join(", "))
    })?;
    let bytes = match (&args.file, &args.url) {
        (Some(file), None) => fs_err::read(file)?,
        (None, Some(url)) => fetch(if url == "recipe" { &recipe.url } else { url }, &args.egress.allow)?,
        _ => bail!("say where the model is: `--file F` or `--url U` (the recipe knows {})", recipe.url),
    };
    let dir = args.dir.clone().unwrap_or_else(Models::default_dir);
    let entry = add(&dir, &args.name, recipe, &bytes, args.any_file)
        .with_context(|| format!("cannot add model {}", args.name))?;
    if args.json {
        super::print_json(&serde_json::json!({ "added": entry, "dir": dir }))?;
    } else {
        super::print_line(&format!("added {} {} ({})", entry.name, entry.version, entry.licence))?;
    }
    if entry.parameters.get("role").and_then(|r| r.as_str()) == Some("face-embedder") {
        eprintln!(
            "bonafide: scores of a new embedder mean nothing before `bonafide face calibrate --csv PAIRS`"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Fetches a file whole: its hash is compared before it is kept.
fn fetch(url: &str, allowed: &[egress::Entry]) -> anyhow::Result<Vec<u8>> {
    let target = egress::Target::parse(url).with_context(|| format!("cannot fetch {url}"))?;
    let fetcher = super::fetch::Fetcher::new(allowed.to_vec())?;
    let (answer, bytes) = fetcher.get(&target, &[], MAX_BYTES, || Ok(Vec::new()))?;
    if answer.status != 200 {
        bail!("cannot fetch {url}: the answer has status {}", answer.status);
    }
    Ok(bytes)
}
