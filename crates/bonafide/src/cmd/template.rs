//! `bonafide template check` — checks a template file and shows what it finds on pictures.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Check a template's format; with pictures, read them with it and print what matched.
    Check {
        /// The template, TOML.
        file: PathBuf,
        /// Pictures of documents.
        images: Vec<PathBuf>,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
        /// Folder of models.
        #[arg(long, value_name = "DIR")]
        models: Option<PathBuf>,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Action::Check { file, images, json, models } = &args.action;
    let text = fs_err::read_to_string(file)?;
    let template = document::Template::parse(&text).with_context(|| file.display().to_string())?;
    if images.is_empty() {
        if *json {
            super::print_json(&serde_json::json!({ "template": template.id, "valid": true }))?;
        } else {
            super::print_line(&format!(
                "{}: a valid template of {} ({})",
                file.display(),
                template.country,
                template.id
            ))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let reader = super::document::open(models.as_deref(), None)?;
    let mut catalogue = document::Catalogue::built_in();
    catalogue.add(template.clone());
    reader.set_catalogue(catalogue);
    let options =
        document::Options { specimens_allowed: true, ..document::Options::on(super::document::today()) };
    for image in images {
        let picture = decoder::decode(&fs_err::read(image)?, &imaging::Limits::default())
            .with_context(|| image.display().to_string())?;
        let matched = match reader.read(&picture, None, &options) {
            Ok(record) => serde_json::json!({
                "file": image, "template": record.template, "matches": record.template.as_deref() == Some(template.id.as_str()),
                "identified_by": record.identified_by, "fields": record.fields, "text": record.text,
            }),
            Err(error) => {
                serde_json::json!({ "file": image, "matches": false, "error": error.code().map_or_else(|| error.to_string(), str::to_owned) })
            }
        };
        if *json {
            super::print_json(&matched)?;
        } else {
            super::print_line(&format!(
                "{}: {}",
                image.display(),
                if matched["matches"] == true { "matches" } else { "does not match" }
            ))?;
            super::print_line(&serde_json::to_string_pretty(&matched["fields"])?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
