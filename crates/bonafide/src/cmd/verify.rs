//! `bonafide verify`: checks local files, without a server; the same engine as everywhere.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context;
use checks::{Engines, Env, Examined, Submission};
use serde_json::{Value, json};
use service::setup::default_features;
use workflow::{Definition, Feature, SessionStatus, decide};

use super::{print_json, print_line};

/// Check that a document is genuine and belongs to the person on a picture.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Side of the document with the portrait (JPEG, PNG, WebP, TIFF or PDF)
    #[arg(long, value_name = "F")]
    front: PathBuf,
    /// The other side
    #[arg(long, value_name = "B")]
    back: Option<PathBuf>,
    /// Picture of the person
    #[arg(long, value_name = "S")]
    selfie: Option<PathBuf>,
    /// Day to judge the document on, YYYY-MM-DD; today without it
    #[arg(long, value_name = "DATE")]
    today: Option<jiff::civil::Date>,
    /// Decline published specimens, as a live application does; without it they are accepted, as in a sandbox
    #[arg(long)]
    live: bool,
    /// Folder of the models
    #[arg(long, value_name = "DIR", env = "BONAFIDE_MODELS")]
    models: Option<PathBuf>,
    /// JSON on standard output
    #[arg(long)]
    json: bool,
}

/// The present day, in UTC.
pub(crate) fn today() -> jiff::civil::Date {
    use store::Clock;
    let now = store::SystemClock.now();
    jiff::Timestamp::from_microsecond(now.micros())
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
}

/// A decided check of local pictures.
pub(crate) struct Verified {
    pub(crate) status: SessionStatus,
    pub(crate) result: Value,
}

/// Runs the default workflow on pictures and decides.
pub(crate) fn verify(
    engines: &Arc<Engines>,
    front: Vec<u8>,
    back: Option<Vec<u8>>,
    selfie: Option<Vec<u8>>,
    today: jiff::civil::Date,
    live: bool,
) -> Verified {
    let liveness = engines.passive().is_ok_and(|passive| passive.is_available());
    let features: Vec<Feature> = default_features(liveness)
        .into_iter()
        .filter(|feature| *feature == Feature::Ocr || selfie.is_some())
        .collect();
    let env = Env {
        engines: Arc::clone(engines),
        today,
        specimens_allowed: !live,
        lists: Arc::new(checks::aml::NoLists),
    };
    let submission = Submission::of([("front", Some(front)), ("back", back), ("selfie", selfie)]);
    let examined = checks::examine(&env, Definition::of(&features), &submission, &BTreeMap::new());
    decided(&examined.completed(&env), &examined, liveness)
}

fn decided(definition: &Definition, examined: &Examined, liveness: bool) -> Verified {
    let verdicts = examined.verdicts(definition);
    let status = match decide(definition, &verdicts) {
        SessionStatus::InProgress => SessionStatus::InReview,
        status => status,
    };
    let warnings: Vec<_> = verdicts.iter().flat_map(|verdict| verdict.warnings.clone()).collect();
    let block = |feature: Feature| {
        let verdict = verdicts.iter().find(|verdict| verdict.feature == feature)?;
        let mut block = examined.ran(&verdict.node_id).map_or_else(|| json!({}), |ran| ran.block.clone());
        block["status"] = json!(verdict.status);
        Some(block)
    };
    let result = json!({
        "status": status.as_str(),
        "warnings": warnings,
        "features": definition.nodes.iter().map(|node| node.feature.name()).collect::<Vec<_>>(),
        "id_verification": block(Feature::Ocr),
        "face_match": block(Feature::FaceMatch),
        "liveness": if liveness { json!(block(Feature::Liveness)) } else { json!({ "status": "not_evaluated", "reason": "no liveness model is installed" }) },
    });
    Verified { status, result }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let read = |path: &PathBuf| fs_err::read(path).with_context(|| "could not read a picture");
    let front = read(&args.front)?;
    let back = args.back.as_ref().map(read).transpose()?;
    let selfie = args.selfie.as_ref().map(read).transpose()?;
    for (name, bytes) in [("--front", Some(&front)), ("--back", back.as_ref()), ("--selfie", selfie.as_ref())]
    {
        if let Some(bytes) = bytes {
            let decoded = if name == "--selfie" {
                checks::pictures::decode_photo(bytes)
            } else {
                checks::pictures::decode(bytes, None)
            };
            decoded.map_err(|error| anyhow::anyhow!("{name}: {}", error.message()))?;
        }
    }
    let folder = args.models.clone().unwrap_or_else(inference::Models::default_dir);
    let engines = Arc::new(Engines::open(&folder)?);
    engines.reader()?;
    engines.faces()?;
    let verified = verify(&engines, front, back, selfie, args.today.unwrap_or_else(today), args.live);
    if args.json {
        print_json(&verified.result)?;
    } else {
        print_line(verified.status.as_str())?;
        let document = &verified.result["id_verification"];
        for (label, field) in [
            ("document", "document_type"),
            ("issued by", "issuing_state"),
            ("name", "full_name"),
            ("born", "date_of_birth"),
            ("number", "document_number"),
            ("expires", "expiration_date"),
        ] {
            if let Some(text) = document[field].as_str() {
                print_line(&format!("  {label:10} {text}"))?;
            }
        }
        if let Some(score) = verified.result["face_match"]["score"].as_f64() {
            print_line(&format!("  {:10} {score:.1} of 100", "face match"))?;
        }
        for warning in verified.result["warnings"].as_array().into_iter().flatten() {
            let text = |name: &str| warning[name].as_str().unwrap_or_default().to_owned();
            print_line(&format!("  {}: {} ({})", text("log_type"), text("short_description"), text("risk")))?;
        }
    }
    // Exit status 0 says that the check ran, whatever it found; the verdict is in the output.
    Ok(ExitCode::SUCCESS)
}
