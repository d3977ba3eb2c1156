//! `bonafide demo`: starts the server and verifies one genuine specimen person and five frauds, over HTTP.
//!
//! Every step goes through the same addresses that a person's browser and a
//! company's program use. With `--once` it ends there, with status 0 only when
//! every verdict was the expected one; otherwise the server goes on.

use std::{net::TcpListener, process::ExitCode, time::Duration};

use anyhow::{Context, bail, ensure};
use egress::Http as _;
use imaging::RgbImage;
use serde_json::{Value, json};
use specimen::{Degradation, Fault, Kind, Portrait, Scene, Spec};

use super::{
    print_line,
    serve::{DataArgs, Prepared, init_logs, prepare},
    specimen::installed_portrait,
    verify::today,
};

/// Start the server and watch a specimen person being verified.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: String,
    /// End after the verdicts, with status 0 only when all were as expected
    #[arg(long)]
    once: bool,
}

/// One person who is verified.
struct Case {
    name: &'static str,
    seed: u64,
    fault: Option<Fault>,
    degradation: Degradation,
    own_selfie: bool,
    expected_status: &'static [&'static str],
    expected_risk: Option<&'static str>,
}

const CASES: &[Case] = &[
    Case {
        name: "genuine person",
        seed: 1,
        fault: None,
        degradation: Degradation::Photo,
        own_selfie: true,
        expected_status: &["Approved"],
        expected_risk: None,
    },
    Case {
        name: "another person's selfie",
        seed: 2,
        fault: None,
        degradation: Degradation::Photo,
        own_selfie: false,
        expected_status: &["Declined"],
        expected_risk: Some("LOW_FACE_MATCH_SIMILARITY"),
    },
    Case {
        name: "expired document",
        seed: 3,
        fault: Some(Fault::Expired),
        degradation: Degradation::Photo,
        own_selfie: true,
        expected_status: &["Declined"],
        expected_risk: Some("DOCUMENT_EXPIRED"),
    },
    Case {
        name: "broken MRZ check digit",
        seed: 4,
        fault: Some(Fault::MrzCheckDigit),
        degradation: Degradation::Photo,
        own_selfie: true,
        expected_status: &["In Review", "Declined"],
        expected_risk: Some("MRZ_VALIDATION_FAILED"),
    },
    Case {
        name: "printed data differs from MRZ",
        seed: 5,
        fault: Some(Fault::DataDiffersFromMrz),
        degradation: Degradation::Photo,
        own_selfie: true,
        expected_status: &["In Review", "Declined"],
        expected_risk: Some("MRZ_AND_DATA_EXTRACTED_FROM_OCR_NOT_SAME"),
    },
    Case {
        name: "photo of a screen",
        seed: 6,
        fault: None,
        degradation: Degradation::Screen,
        own_selfie: true,
        expected_status: &["In Review", "Declined"],
        expected_risk: Some("SCREEN_CAPTURE_DETECTED"),
    },
];

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    init_logs();
    let runtime = tokio::runtime::Runtime::new().context("could not start the runtime")?;
    runtime.block_on(demo(args))
}

async fn demo(args: &Args) -> anyhow::Result<ExitCode> {
    decoder::warm();
    let Prepared { service, ready } = prepare(&args.data).await?;
    let key = service.create_key(ready.application, "demo", Vec::new()).await?.api_key;
    eprintln!("made an API key");
    let portraits = Portraits::load(service.engines().models())?;
    if let Some(missing) = tokio::task::block_in_place(|| service.engines().warm()).into_iter().next() {
        bail!("{missing}");
    }
    let listener =
        TcpListener::bind(&args.listen).with_context(|| format!("could not listen on {}", args.listen))?;
    let base = format!("http://{}", listener.local_addr().context("could not read the listening address")?);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let worker = tokio::spawn(service.clone().work_until(stopped.clone()));
    let settings = server::Settings { public_url: base.clone(), ..server::Settings::default() };
    let served = tokio::spawn(server::serve(listener, service.clone(), settings, None, async move {
        let mut stopped = stopped;
        let _ = stopped.wait_for(|stop| *stop).await;
    }));
    eprintln!("serving on {base}\n");

    let workflow = ready.workflow.to_string();
    let client = Client::new(base.clone(), key.clone(), workflow.clone())?;
    let cases = tokio::task::spawn_blocking(move || run_cases(&client, &portraits)).await??;
    print_line("")?;
    print_line(&format!("API key       {key}"))?;
    let link = cases.link.clone();
    print_line(&format!("hosted link   {link}"))?;
    print_line(&qr(&link))?;
    print_line("start a session yourself:")?;
    print_line(&format!(
        "curl -s -X POST {base}/v3/session/ -H 'x-api-key: {key}' -H 'content-type: application/json' -d '{{\"workflow_id\": \"{workflow}\"}}'"
    ))?;
    print_line("")?;
    let verdicts = if cases.all_expected {
        "every verdict was the expected one"
    } else {
        "NOT every verdict was the expected one"
    };
    print_line(verdicts)?;
    if !args.once {
        eprintln!("the server goes on; stop it with Ctrl-C");
        let _ = tokio::signal::ctrl_c().await;
    }
    let _ = stop.send(true);
    let _ = worker.await;
    served.await??;
    Ok(if cases.all_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The two people of the demo.
struct Portraits {
    holder: Portrait,
    other: Portrait,
}

impl Portraits {
    fn load(models: &inference::Models) -> anyhow::Result<Self> {
        Ok(Self {
            holder: installed_portrait(models, "portrait-astronaut")?,
            other: installed_portrait(models, "portrait-other")?,
        })
    }
}

/// What came of all cases.
struct Outcome {
    all_expected: bool,
    link: String,
}

fn run_cases(client: &Client, portraits: &Portraits) -> anyhow::Result<Outcome> {
    let mut all_expected = true;
    print_line(&format!("{:32}{:12}{:10}{}", "", "verdict", "seconds", "because"))?;
    for case in CASES {
        let spec = Spec {
            fault: case.fault,
            ..Spec::new(Kind::Passport, case.seed, portraits.holder.clone(), today())
        };
        let card = specimen::draw(&spec)?;
        let scene = Scene::degraded(case.seed, &[case.degradation]);
        let (front, _) = specimen::photograph(&card.front, &scene);
        let person = if case.own_selfie { &portraits.holder } else { &portraits.other };
        let selfie = specimen::selfie(person, case.seed);
        let started = std::time::Instant::now();
        let decision = client.verify(&front, &selfie)?;
        let seconds = started.elapsed().as_secs_f64();
        let status = decision["status"].as_str().unwrap_or_default().to_owned();
        let risks = risks_of(&decision);
        let expected = case.expected_status.contains(&status.as_str())
            && case.expected_risk.is_none_or(|risk| risks.iter().any(|found| found == risk));
        all_expected &= expected;
        let mark = if expected { "" } else { "   (not the expected verdict)" };
        print_line(&format!("{:32}{status:12}{seconds:<10.1}{}{mark}", case.name, risks.join(", ")))?;
    }
    let link = client.start()?["url"].as_str().unwrap_or_default().to_owned();
    Ok(Outcome { all_expected, link })
}

/// Risks that changed the status, the gravest lists first.
fn risks_of(decision: &Value) -> Vec<String> {
    ["id_verifications", "liveness_checks", "face_matches"]
        .iter()
        .flat_map(|list| decision[*list].as_array().into_iter().flatten())
        .flat_map(|block| block["warnings"].as_array().into_iter().flatten())
        .filter(|warning| warning["log_type"] != "information")
        .filter_map(|warning| warning["risk"].as_str().map(str::to_owned))
        .collect()
}

/// A company's program and a person's browser in one.
struct Client {
    base: String,
    key: String,
    workflow: String,
    http: egress::Client,
    runtime: tokio::runtime::Handle,
}

impl Client {
    /// One that calls the demo's own server and nothing else.
    fn new(base: String, key: String, workflow: String) -> anyhow::Result<Self> {
        let own = egress::Entry::of(&egress::Target::parse(&base)?);
        let http = egress::Client::new(egress::Policy::allowing([own]));
        Ok(Self { base, key, workflow, http, runtime: tokio::runtime::Handle::current() })
    }

    /// Makes a call and keeps the body of its answer, which must be a good one.
    fn call(&self, request: egress::Request) -> anyhow::Result<Vec<u8>> {
        let limits = egress::Limits {
            whole: Duration::from_secs(120),
            answer_bytes: 64 << 20,
            overflow: egress::Overflow::Refuse,
            ..egress::Limits::default()
        };
        let answer = self.runtime.block_on(self.http.send(request.limits(limits)))?;
        ensure!(answer.status < 400, "the answer has status {}", answer.status);
        Ok(answer.body)
    }

    fn start(&self) -> anyhow::Result<Value> {
        let body = json!({ "workflow_id": self.workflow }).to_string();
        let request = egress::Request::post(&format!("{}/v3/session/", self.base), body)?
            .header("x-api-key", &self.key)?
            .header("content-type", "application/json")?;
        Ok(serde_json::from_slice(&self.call(request)?)?)
    }

    fn verify(&self, front: &RgbImage, selfie: &RgbImage) -> anyhow::Result<Value> {
        let session = self.start()?;
        let text =
            |name: &str| session[name].as_str().map(str::to_owned).context("the session lacks a field");
        let (id, page) = (text("session_id")?, text("url")?);
        let form = |path: &str, kind: &str, body: Vec<u8>| -> anyhow::Result<()> {
            let request = egress::Request::post(&format!("{page}/{path}"), body)?
                .header("accept", "application/json")?
                .header("content-type", kind)?;
            self.call(request).with_context(|| format!("the page refused {path}"))?;
            Ok(())
        };
        let plain = "application/x-www-form-urlencoded";
        form("consent", plain, b"agree=true".to_vec())?;
        let (kind, body) = picture_form(front);
        form("capture/front", &kind, body)?;
        form("skip-back", plain, Vec::new())?;
        let (kind, body) = picture_form(selfie);
        form("capture/selfie", &kind, body)?;
        form("submit", plain, Vec::new())?;
        for _ in 0..600 {
            let request = egress::Request::get(&format!("{}/v3/session/{id}/decision/", self.base))?
                .header("x-api-key", &self.key)?;
            let decision: Value = serde_json::from_slice(&self.call(request)?)?;
            if !matches!(decision["status"].as_str(), Some("In Progress" | "Not Started")) {
                return Ok(decision);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        bail!("session {id} was not decided within two minutes")
    }
}

/// A multipart form with one picture, and its content type.
fn picture_form(image: &RgbImage) -> (String, Vec<u8>) {
    const BOUNDARY: &str = "----bonafide-demo-7f3a";
    let mut body = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"image\"; filename=\"picture.jpg\"\r\ncontent-type: image/jpeg\r\n\r\n"
    )
    .into_bytes();
    body.extend(imaging::encode_jpeg(image, 92));
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
    (format!("multipart/form-data; boundary={BOUNDARY}"), body)
}

/// A link as a QR code in half-block characters.
fn qr(link: &str) -> String {
    fast_qr::QRBuilder::new(link).build().map(|code| code.to_str()).unwrap_or_default()
}
