//! T55: nothing leaves the machine. The program runs where no network is, everything works, and nothing tried.
//!
//! The test starts itself a second time in a network namespace that has the loopback device only. Whatever sends
//! towards any other address there is refused by the kernel for want of a route, and the kernel counts it; every UDP
//! packet is counted as well, so that a question to a name server on the loopback device shows too. Nothing of this
//! needs a tracer, and no thread or child can evade it.

use std::{
    collections::BTreeMap,
    net::{TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::SystemTime,
};

use serde_json::json;

use crate::{
    flow::decided,
    server::{BONAFIDE, Server, create_key, form},
};

const NAME: &str = "quiet::t55_everything_works_without_a_network_and_nothing_tries_to_leave";
/// Says to the second start where its folders are.
const INSIDE: &str = "BONAFIDE_TEST_QUIET";

#[test]
fn t55_everything_works_without_a_network_and_nothing_tries_to_leave() {
    if let Some(place) = std::env::var_os(INSIDE) {
        return inside(Path::new(&place));
    }
    let Some(unshare) = namespace() else { return };
    let models = inference::Models::default_dir();
    if !models.join("portrait-astronaut.png").exists() {
        assert!(std::env::var_os("CI").is_none(), "the models are not installed");
        eprintln!("skipped: the models are not installed; `cargo xtask test` installs them");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    for folder in ["home", "here", "temp"] {
        std::fs::create_dir(place.path().join(folder)).unwrap();
    }
    let before = files(&models);
    // An empty environment: ONNX Runtime's library is silent by itself where it thinks that it is tested (`CI`,
    // `GITHUB_ACTIONS` …), and cargo sets the variable that silences it. Neither may stand in for the program here.
    let output = Command::new(unshare[0])
        .args(&unshare[1..])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .current_dir(place.path().join("here"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", place.path().join("home"))
        .env("TMPDIR", place.path().join("temp"))
        .env("BONAFIDE_TEST_MODELS", &models)
        .env(INSIDE, place.path())
        .output()
        .unwrap();
    let said = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    // What is written lies in the data folder; home, the working folder and the models are as they were.
    assert_eq!(
        files(&place.path().join("home")),
        BTreeMap::new(),
        "something was written in the user's home"
    );
    assert_eq!(
        files(&place.path().join("here")),
        BTreeMap::new(),
        "something was written in the working folder"
    );
    assert_eq!(
        files(&place.path().join("temp")),
        BTreeMap::new(),
        "something was left in the folder for passing files"
    );
    assert_eq!(files(&models), before, "the models folder was changed");
    assert!(!files(&place.path().join("data")).is_empty(), "the data folder holds what was kept");
}

/// The command that starts a program in a network namespace of its own; `None`, with a word, where there is none.
fn namespace() -> Option<Vec<&'static str>> {
    let ways: [&[&str]; 2] = [
        &["unshare", "--net", "--mount", "--"],
        // A user other than root may make namespaces as the root of a user namespace.
        &["unshare", "--map-root-user", "--net", "--mount", "--"],
    ];
    let works = |way: &&[&str]| {
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).args(["ip", "link", "set", "lo", "up"]);
        command.output().is_ok_and(|output| output.status.success())
    };
    let found = ways.into_iter().find(works).map(<[_]>::to_vec);
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "`unshare` and `ip` cannot make a network namespace here");
        eprintln!("skipped: `unshare` and `ip` cannot make a network namespace here; nothing was shown");
    }
    found
}

/// What the kernel counted in this namespace, of every process in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    /// Connections and packets to addresses other than loopback, refused for want of a route, IPv4 and IPv6.
    without_route: [u64; 2],
    /// UDP packets sent, wherever to, IPv4 and IPv6. DNS is among them.
    udp: [u64; 2],
}

const NOTHING: Counted = Counted { without_route: [0; 2], udp: [0; 2] };

impl Counted {
    fn now() -> Self {
        let four = std::fs::read_to_string("/proc/self/net/snmp").unwrap();
        let six = std::fs::read_to_string("/proc/self/net/snmp6").unwrap_or_default();
        let named = |group: &str, name: &str| -> u64 {
            let mut lines = four.lines().filter(|line| line.split(' ').next() == Some(group));
            let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
            let place = names.split(' ').position(|n| n == name).unwrap();
            values.split(' ').nth(place).unwrap().parse().unwrap()
        };
        let listed = |name: &str| -> u64 {
            let line = six.lines().find(|line| line.split_whitespace().next() == Some(name));
            line.map_or(0, |line| line.split_whitespace().nth(1).unwrap().parse().unwrap())
        };
        Self {
            without_route: [named("Ip:", "OutNoRoutes"), listed("Ip6OutNoRoutes")],
            udp: [named("Udp:", "OutDatagrams"), listed("Udp6OutDatagrams")],
        }
    }
}

/// The test proper, in the namespace.
fn inside(place: &Path) {
    run(Command::new("ip").args(["link", "set", "lo", "up"]));
    // Names are asked of name servers only: services of the machine that answer over a socket file would hide it.
    let names = place.join("nsswitch.conf");
    std::fs::write(&names, "hosts: files dns\n").unwrap();
    if Path::new("/etc/nsswitch.conf").exists() {
        run(Command::new("mount").arg("--bind").arg(&names).arg("/etc/nsswitch.conf"));
    }
    if Path::new("/run/nscd").exists() {
        run(Command::new("mount").args(["-t", "tmpfs", "none", "/run/nscd"]));
    }
    let devices = std::fs::read_to_string("/proc/self/net/dev").unwrap();
    assert_eq!(devices.lines().skip(2).filter(|line| !line.trim_start().starts_with("lo:")).count(), 0);
    assert_eq!(Counted::now(), NOTHING);

    let models = PathBuf::from(std::env::var_os("BONAFIDE_TEST_MODELS").unwrap());
    let bonafide = |arguments: &[&str]| {
        let mut command = Command::new(BONAFIDE);
        command.args(arguments).env("BONAFIDE_MODELS", &models);
        command
    };
    let data = place.join("data");
    std::fs::create_dir(&data).unwrap();
    let shown = run(&mut bonafide(&["models", "list", "--json"]));
    let listed: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    // Without the library in question the rest would show little.
    let library = models.join("libonnxruntime.so").exists();
    assert_eq!(listed["runtime"], if library { "ort" } else { "rten" });
    run(&mut bonafide(&["models", "verify"]));
    quiet("models verify");

    let pictures = data.join("pictures");
    run(bonafide(&["specimen", "passport", "--selfie", "--degrade", "photo", "--out"]).arg(&pictures));
    let (front, selfie) = (pictures.join("front.jpg"), pictures.join("selfie.jpg"));
    let verified = run(bonafide(&["verify", "--json", "--front"]).arg(&front).arg("--selfie").arg(&selfie));
    assert!(text(&verified.stdout).contains("\"Approved\""), "{}", text(&verified.stdout));
    quiet("verify");

    run(bonafide(&["demo", "--once", "--listen", "127.0.0.1:0", "--data"]).arg(data.join("demo")));
    quiet("demo");

    serve(&data.join("serve"), &models, &std::fs::read(front).unwrap(), &std::fs::read(selfie).unwrap());
    quiet("serve");
    counters_count();
}

/// A whole session with a decision, and a screening, over HTTP.
fn serve(data: &Path, models: &Path, front: &[u8], selfie: &[u8]) {
    let key = create_key(data, &[]);
    let list = data.join("own.csv");
    let rows = "id,schema,name,aliases,birth_date,topics,notes\n1,Person,Raphael Zapoletes,,,sanction,\n";
    std::fs::write(&list, rows).unwrap();
    let import = ["aml", "import", "--list", &format!("csv={}", list.display()), "--data"];
    run(Command::new(BONAFIDE).args(import).arg(data.join("aml")));
    let server = Server::start_with(data, &[("BONAFIDE_MODELS", models.to_str().unwrap())]);
    let screened =
        server.post_json("/v3/aml/", &key.text, &json!({ "full_name": "Raphael Zapoletes" })).json();
    assert_eq!(screened["aml"]["total_hits"], 1, "{screened}");

    let features = json!({ "workflow_label": "all", "features": [
        { "feature": "OCR" }, { "feature": "FACE_MATCH" }, { "feature": "AML" },
    ] });
    let made = server.post_json("/v3/workflows/", &key.text, &features);
    let workflow = made.json()["uuid"].clone();
    let session = server.post_json("/v3/session/", &key.text, &json!({ "workflow_id": workflow })).json();
    let link = session["url"].as_str().unwrap_or_else(|| panic!("{} {session}", made.text)).to_owned();
    let plain = "application/x-www-form-urlencoded";
    assert_eq!(server.post(&format!("{link}/consent"), "", plain, b"agree=true").status, 200);
    for (side, picture) in [("front", front), ("selfie", selfie)] {
        let (kind, body) = form(&[("image", "picture.jpg", picture)], &[]);
        let answer = server.post(&format!("{link}/capture/{side}"), "", &kind, &body);
        assert_eq!(answer.status, 200, "{side}: {}", answer.text);
        if side == "front" {
            server.post(&format!("{link}/skip-back"), "", plain, b"");
        }
    }
    assert_eq!(server.post(&format!("{link}/submit"), "", plain, b"").status, 200);
    let decision = decided(&server, session["session_id"].as_str().unwrap(), &key.text);
    assert_eq!(decision["status"], "Approved", "{decision}");
    for block in ["id_verifications", "face_matches", "aml_screenings"] {
        assert_eq!(decision[block][0]["status"], "Approved", "{block}: {decision}");
    }
}

/// Nothing tried to leave so far.
fn quiet(what: &str) {
    assert_eq!(Counted::now(), NOTHING, "{what}: something tried to reach an address other than loopback");
}

/// The counters would have shown it: each way out is tried once.
fn counters_count() {
    let sent = |to: &str, from: &str| UdpSocket::bind(from).unwrap().send_to(b"?", to).is_ok();
    // The documentation's networks (RFC 5737, RFC 3849) and a name server on loopback.
    assert!(!sent("203.0.113.1:53", "0.0.0.0:0"));
    assert!(TcpStream::connect("203.0.113.1:443").is_err());
    assert!(sent("127.0.0.53:53", "127.0.0.1:0"));
    let mut expected = Counted { without_route: [2, 0], udp: [1, 0] };
    if UdpSocket::bind("[::1]:0").is_ok() {
        assert!(TcpStream::connect("[2001:db8::1]:443").is_err());
        expected.without_route[1] = 1;
    }
    assert_eq!(Counted::now(), expected);
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}\n{}", text(&output.stdout), text(&output.stderr));
    output
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Every file and folder below one, with its size and when it was written.
fn files(folder: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, about) = (entry.path(), entry.metadata().unwrap());
        if about.is_dir() {
            found.extend(files(&path));
        }
        found.insert(path, (about.len(), about.modified().unwrap()));
    }
    found
}
