//! `bonafide aamva parse` — reads the payload of a North American licence.

use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Parse payloads as a barcode reader gives them; one line of JSON for each file.
    Parse {
        /// Files that hold one payload each; `-` is standard input.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<std::process::ExitCode> {
    let Action::Parse { files, json } = &args.action;
    let mut failed = false;
    for file in files {
        // One unreadable payload does not keep the others from being read.
        let licence = match read(file) {
            Ok(licence) => licence,
            Err(error) => {
                failed = true;
                if *json && files.len() > 1 {
                    super::print_json(&serde_json::json!({ "file": file, "error": format!("{error:#}") }))?;
                }
                eprintln!("bonafide: {}: {error:#}", file.display());
                continue;
            }
        };
        if *json {
            let mut value = serde_json::to_value(&licence)?;
            if let (Some(map), true) = (value.as_object_mut(), files.len() > 1) {
                map.insert("file".to_owned(), serde_json::json!(file));
            }
            super::print_json(&value)?;
        } else {
            for (name, value) in &licence.elements {
                super::print_line(&format!("{name}\t{value}"))?;
            }
        }
    }
    Ok(if failed { std::process::ExitCode::FAILURE } else { std::process::ExitCode::SUCCESS })
}

fn read(file: &std::path::Path) -> anyhow::Result<barcode::aamva::Aamva> {
    let bytes = if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes)?;
        bytes
    } else {
        fs_err::read(file)?
    };
    Ok(barcode::aamva::parse(&bytes)?)
}
