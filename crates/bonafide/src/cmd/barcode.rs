//! `bonafide barcode read` — reads the barcodes of pictures.

use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Read the barcodes of pictures; one line of JSON for each picture.
    Read {
        /// Pictures: JPEG, PNG, WebP, TIFF or PDF.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
        /// Millions of pixels that the attempts on one picture may look at together; more finds more and takes longer.
        #[arg(long, value_name = "MEGAPIXELS", default_value_t = barcode::Options::default().budget_megapixels)]
        budget: f32,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<std::process::ExitCode> {
    let Action::Read { files, json, budget } = &args.action;
    let mut failed = false;
    for file in files {
        match read(file, *budget) {
            Ok(barcodes) if *json => {
                super::print_json(&serde_json::json!({ "file": file, "barcodes": barcodes }))?;
            }
            Ok(barcodes) => {
                for barcode in barcodes {
                    super::print_line(&format!(
                        "{}\t{}\t{}",
                        file.display(),
                        barcode["type"],
                        barcode["data"]
                    ))?;
                }
            }
            Err(error) => {
                failed = true;
                if *json {
                    super::print_json(&serde_json::json!({
                        "file": file, "barcodes": [], "error": format!("{error:#}"),
                    }))?;
                }
                eprintln!("bonafide: {}: {error:#}", file.display());
            }
        }
    }
    Ok(if failed { std::process::ExitCode::FAILURE } else { std::process::ExitCode::SUCCESS })
}

fn read(file: &std::path::Path, budget_megapixels: f32) -> anyhow::Result<Vec<serde_json::Value>> {
    use base64::Engine as _;
    let picture = decoder::decode(&fs_err::read(file)?, &imaging::Limits::default())?;
    let grey = imaging::grey(&picture.pixels);
    let view = barcode::GrayView { width: grey.width(), height: grey.height(), pixels: grey.as_raw() };
    let options = barcode::Options { budget_megapixels, ..barcode::Options::default() };
    Ok(barcode::read(view, &options)
        .iter()
        .map(|barcode| {
            serde_json::json!({
                "type": barcode.format,
                "data": barcode.text,
                "data_raw": base64::engine::general_purpose::STANDARD.encode(&barcode.bytes),
                "position": barcode.corners,
            })
        })
        .collect())
}
