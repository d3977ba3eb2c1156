//! A server process of a test: started on a free port, killed or stopped, with its data folder.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// The binary under test.
pub(crate) const BONAFIDE: &str = env!("CARGO_BIN_EXE_bonafide");

/// Test material, or `None` with a word on standard output.
pub(crate) fn test_data() -> Option<PathBuf> {
    let folder = std::env::var_os("BONAFIDE_TESTDATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    if folder.is_dir() {
        Some(folder)
    } else {
        eprintln!("skipped: no test data");
        None
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) base: String,
    data: PathBuf,
    extra: Vec<(String, String)>,
}

/// Names the most files that a server may open, among the environment variables of a test.
pub(crate) const OPEN_FILES: &str = "TEST_OPEN_FILES";

/// What `key create --json` printed.
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) id: String,
    pub(crate) workflow: String,
}

/// Makes a key in a data folder.
pub(crate) fn create_key(data: &Path, scopes: &[&str]) -> Key {
    let mut command = Command::new(BONAFIDE);
    command
        .args(["key", "create", "--json", "--data"])
        .arg(data)
        .env("BONAFIDE_MODELS", data.join("no-models"));
    if !scopes.is_empty() {
        command.arg("--scope").args(scopes);
    }
    let output = command.output().expect("bonafide starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).expect("key create prints JSON");
    let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    Key { text: text("api_key"), id: text("id"), workflow: text("workflow_id") }
}

impl Server {
    /// Starts a server and waits until it listens.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same with further environment variables.
    pub(crate) fn start_with(data: &Path, extra: &[(&str, &str)]) -> Self {
        let extra: Vec<_> =
            extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (child, base) = spawn(data, &extra);
        Self { child, base, data: data.to_owned(), extra }
    }

    /// Kills it without warning and starts it again.
    pub(crate) fn kill_and_restart(&mut self) {
        self.child.kill().expect("the server can be killed");
        let _ = self.child.wait();
        (self.child, self.base) = spawn(&self.data, &self.extra);
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory it ever held, in MiB.
    pub(crate) fn peak_memory_mib(&self) -> u64 {
        self.memory_mib("VmHWM:")
    }

    /// The memory it holds now, in MiB.
    pub(crate) fn memory_now_mib(&self) -> u64 {
        self.memory_mib("VmRSS:")
    }

    fn memory_mib(&self, of: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(of)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
    }

    /// The port it listens on, whatever address its links begin with.
    pub(crate) fn listening_port(&self) -> u16 {
        let process = format!("/proc/{}", self.child.id());
        let own: Vec<String> = std::fs::read_dir(format!("{process}/fd"))
            .unwrap()
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned))
            .collect();
        let sockets = std::fs::read_to_string(format!("{process}/net/tcp")).unwrap();
        // Columns: number, local address, remote address, state (0A listens), …, the tenth is the inode.
        let listening =
            sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|columns| {
                columns.get(3) == Some(&"0A")
                    && columns.get(9).is_some_and(|inode| own.iter().any(|own| own == inode))
            });
        let (_, port) = listening.expect("it listens")[1].split_once(':').unwrap();
        u16::from_str_radix(port, 16).unwrap()
    }

    /// Asks it to stop, as an operator does.
    pub(crate) fn terminate(&self) {
        let id =
            self.child.id().try_into().ok().and_then(rustix::process::Pid::from_raw).expect("is a process");
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("the server runs");
    }

    /// Waits for its end; whether it ended well.
    pub(crate) fn wait(&mut self) -> bool {
        self.child.wait().expect("the server can be waited for").success()
    }

    pub(crate) fn get(&self, path: &str, key: &str) -> Answer {
        send(agent().get(self.url(path)).header("x-api-key", key).call())
    }

    pub(crate) fn post_json(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request =
            agent().post(self.url(path)).header("x-api-key", key).header("content-type", "application/json");
        send(request.send(body.to_string()))
    }

    pub(crate) fn post(&self, path: &str, key: &str, content_type: &str, body: &[u8]) -> Answer {
        let request = agent()
            .post(self.url(path))
            .header("x-api-key", key)
            .header("accept", "application/json")
            .header("content-type", content_type);
        send(request.send(body))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(data: &Path, extra: &[(String, String)]) -> (Child, String) {
    let mut command = match extra.iter().find(|(name, _)| name == OPEN_FILES) {
        None => Command::new(BONAFIDE),
        Some((_, files)) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\""), BONAFIDE]);
            shell
        }
    };
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--rate-limit-scale", "0", "--data"])
        .arg(data)
        .envs(extra.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    // Without models unless a test asks: most need none, and a check that cannot run is part of them.
    if !extra.iter().any(|(name, _)| name == "BONAFIDE_MODELS") {
        command.env("BONAFIDE_MODELS", data.join("no-models"));
    }
    let mut child = command.spawn().expect("bonafide starts");
    let mut lines = BufReader::new(child.stderr.take().expect("standard error is piped")).lines();
    let mut said = Vec::new();
    let base = loop {
        let line = lines.next().map(|line| line.unwrap_or_default());
        match line {
            Some(line) => {
                if let Some(rest) = line.strip_prefix("serving on ") {
                    break rest.split_whitespace().next().unwrap_or_default().to_owned();
                }
                said.push(line);
            }
            None => panic!("the server ended before it listened: {said:?}"),
        }
    };
    // Whoever writes to a pipe that nobody reads would stop some day.
    std::thread::spawn(move || lines.for_each(drop));
    (child, base)
}

/// An answer of the server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// 0 when there was no answer: the connection broke.
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

pub(crate) fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build();
    ureq::Agent::new_with_config(config)
}

pub(crate) fn send(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    match result {
        Ok(mut response) => {
            let status = response.status().as_u16();
            // An answer that breaks off was not received.
            match response.body_mut().with_config().limit(64 << 20).read_to_vec() {
                // Of a picture the text tells no more than whether two are the same.
                Ok(bytes) => Answer { status, text: String::from_utf8_lossy(&bytes).into_owned() },
                Err(_) => Answer { status: 0, text: String::new() },
            }
        }
        Err(_) => Answer { status: 0, text: String::new() },
    }
}

/// A multipart form of files: field, file name, bytes.
pub(crate) fn form(files: &[(&str, &str, &[u8])], texts: &[(&str, &str)]) -> (String, Vec<u8>) {
    const BOUNDARY: &str = "----bonafide-test-91c2";
    let mut body = Vec::new();
    for (name, value) in texts {
        body.extend(
            format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                .into_bytes(),
        );
    }
    for (name, file, bytes) in files {
        let head = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\ncontent-type: application/octet-stream\r\n\r\n"
        );
        body.extend(head.into_bytes());
        body.extend_from_slice(bytes);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").into_bytes());
    (format!("multipart/form-data; boundary={BOUNDARY}"), body)
}

/// A small picture that decodes: a grey JPEG.
pub(crate) fn grey_jpeg(shade: u8) -> Vec<u8> {
    imaging::encode_jpeg(&imaging::RgbImage::from_pixel(320, 240, [shade; 3].into()), 80)
}
