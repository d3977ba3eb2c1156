//! `bonafide chip read` — reads and judges the document on a contactless reader (PC/SC), with the server's terminal.
//!
//! Built only with the `pcsc` feature, because it links the system's PC/SC library.

use super::{gather, now, open_store, roots, store_path};
use anyhow::Context as _;
use emrtd::bac::Password;
use emrtd::terminal::{Reading, Settings, Step, Terminal};
use std::ffi::CString;
use std::path::PathBuf;
use std::process::ExitCode;
use store::Random as _;

/// How the chip is opened and judged.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The machine readable zone, lines joined; quotes keep the shell from the fillers.
    #[arg(long, value_name = "ZONE", required_unless_present = "can", conflicts_with = "can")]
    mrz: Option<String>,
    /// The card access number.
    #[arg(long, value_name = "DIGITS")]
    can: Option<String>,
    /// Part of the reader's name; without it the first reader with a document.
    #[arg(long, value_name = "NAME")]
    reader: Option<String>,
    /// Master lists, certificates or LDIF files to trust; without any, the trust store.
    #[arg(long, value_name = "MASTERLIST", num_args = 1..)]
    trust: Vec<PathBuf>,
    /// Certificates that the signers of master lists must chain to.
    #[arg(long, value_name = "CERTIFICATE", num_args = 1..)]
    root: Vec<PathBuf>,
    /// The trust store's file.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Keep the files of the chip in this folder.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let password = match (&args.mrz, &args.can) {
        (_, Some(can)) => Password::Can(can.clone()),
        (Some(zone), None) => {
            let dg1 = emrtd::lds::dg1::Dg1::from_mrz(zone).context("--mrz is no machine readable zone")?;
            Password::from_mrz(&dg1.document_number, &dg1.date_of_birth, &dg1.date_of_expiry)
        }
        (None, None) => anyhow::bail!("--mrz or --can opens the chip"),
    };
    let trust = if args.trust.is_empty() {
        open_store(&store_path(args.store.as_deref())?)?
    } else {
        gather(&args.trust, &roots(&args.root)?)?
    };
    let card = connect(args.reader.as_deref())?;
    let mut challenge = [0; 8];
    store::SystemRandom.fill(&mut challenge);
    let settings = Settings { challenge: Some(challenge), ..Settings::default() };
    let entropy = Box::new(|bytes: &mut [u8]| store::SystemRandom.fill(bytes));
    let reading = carry(&card, Terminal::new(password, settings, entropy))?;
    if let Some(folder) = &args.out {
        fs_err::create_dir_all(folder)?;
        fs_err::write(folder.join("sod.bin"), &reading.sod)?;
        for (number, file) in &reading.data_groups {
            fs_err::write(folder.join(format!("dg{number}.bin")), file)?;
        }
    }
    let report = reading.judge(&trust, now());
    if args.json {
        let mut value = serde_json::to_value(&report)?;
        value["access"] = reading.access.into();
        crate::cmd::print_json(&value)?;
    } else {
        crate::cmd::print_line(&format!(
            "{} ({}, {} commands)",
            serde_json::to_value(report.verdict)?.as_str().unwrap_or(""),
            reading.access,
            reading.commands
        ))?;
        for line in report.reasons.iter().chain(&report.warnings) {
            crate::cmd::print_line(&format!("  {line}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Connects to the first reader that holds a card and whose name fits.
fn connect(wanted: Option<&str>) -> anyhow::Result<pcsc::Card> {
    let context = pcsc::Context::establish(pcsc::Scope::User).context("the PC/SC service does not answer")?;
    let readers: Vec<CString> = context.list_readers_owned().context("readers cannot be listed")?;
    anyhow::ensure!(!readers.is_empty(), "no reader is connected");
    let mut reason = None;
    for reader in &readers {
        if wanted.is_some_and(|part| !reader.to_string_lossy().contains(part)) {
            continue;
        }
        match context.connect(reader, pcsc::ShareMode::Exclusive, pcsc::Protocols::ANY) {
            Ok(card) => return Ok(card),
            Err(error) => reason = Some(error),
        }
    }
    match reason {
        Some(error) => Err(error).context("no document lies on a reader"),
        None => anyhow::bail!("no reader has this name"),
    }
}

/// Carries commands and answers between the terminal and the card, as a phone does.
fn carry(card: &pcsc::Card, mut terminal: Terminal) -> anyhow::Result<Reading> {
    let mut buffer = vec![0; pcsc::MAX_BUFFER_SIZE_EXTENDED];
    let mut step = terminal.start();
    loop {
        match step {
            Step::Done(reading) => return Ok(*reading),
            Step::Failed(failure) => return Err(failure.into()),
            Step::Send(commands) => {
                let mut responses = Vec::with_capacity(commands.len());
                for command in &commands {
                    let response = card.transmit(command, &mut buffer).context("the document was moved")?;
                    responses.push(response.to_vec());
                    if !response.ends_with(&[0x90, 0x00]) {
                        break;
                    }
                }
                step = terminal.on_responses(&responses);
            }
        }
    }
}
