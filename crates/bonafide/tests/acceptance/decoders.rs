//! The processes that decode strangers' pictures: what they cannot do, and what is left when one dies.

use std::{
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use base64::Engine as _;
use decoder::{Budget, Pool, Program};
use imaging::{Limits, RgbImage};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::{
    abuse::hostile_files,
    active::models,
    server::{BONAFIDE, Server, create_key, form, grey_jpeg, test_data},
};

/// How long something that must happen is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Fields of a process's line in `/proc` after its name, from the state on.
fn stat(pid: u32) -> Option<Vec<String>> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(line.get(line.rfind(')')? + 2..)?.split(' ').map(str::to_owned).collect())
}

/// Whether a process is there and no mere entry of one that has ended.
fn lives(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields[0] != "Z" && fields[0] != "X")
}

/// Processor time in clock ticks.
fn ticks(pid: u32) -> u64 {
    stat(pid).map_or(0, |fields| fields[11..13].iter().map(|n| n.parse::<u64>().unwrap_or(0)).sum())
}

/// The decoding processes of a server.
fn decoders(server: &Server) -> Vec<u32> {
    let parent = server.pid().to_string();
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .filter(|&pid| stat(pid).is_some_and(|fields| fields[0] != "Z" && fields[1] == parent))
        .collect()
}

fn pool(children: usize) -> Pool {
    Pool::start(Program::new(BONAFIDE, &[decoder::ARGUMENT]), children, Budget::default())
}

fn noise(width: u32, height: u32) -> RgbImage {
    let mut state = 1_u32;
    RgbImage::from_fn(width, height, |x, y| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        [(x % 256) as u8, (y % 256) as u8, (state >> 24) as u8].into()
    })
}

#[test]
#[cfg(target_os = "linux")]
fn a_decoding_process_dies_of_every_forbidden_act() {
    // What a system without these walls lets pass is told in the log; this machine has them.
    let mut acts = 0;
    for act in decoder::forbidden() {
        let mut command = Command::new(BONAFIDE);
        command.args([decoder::ARGUMENT, act]).env_clear().stdin(Stdio::null());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.signal().is_some() && said.is_empty(),
            "{act}: {:?}, and it lived to say {said}",
            output.status
        );
        acts += 1;
    }
    assert!(acts >= 10);
    assert!(!Path::new("/tmp/decoder-was-here").exists());
}

#[test]
#[cfg(target_os = "linux")]
fn a_decoding_process_has_nothing_of_the_servers_environment_and_descriptors() {
    let folder = tempfile::tempdir().unwrap();
    create_key(folder.path(), &[]);
    let server = Server::start_with(folder.path(), &[("BONAFIDE_TEST_SECRET", "hunter2")]);
    wait_until("decoding processes start with the server", || !decoders(&server).is_empty());
    for pid in decoders(&server) {
        // It is listed from its fork on; it is the new program once it has its argument.
        let argument = || std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        wait_until("it becomes a decoder", || argument().contains(decoder::ARGUMENT));
        let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
        assert!(environment.is_empty(), "{environment:?}");
        // What the test runner itself passes on to everything it starts is not the server's.
        let inherited: Vec<String> = links("/proc/self/fd").into_iter().map(|(_, to)| to).collect();
        let open = links(&format!("/proc/{pid}/fd"));
        let kept: Vec<_> = open.iter().filter(|(n, to)| *n > 2 && !inherited.contains(to)).collect();
        assert!(kept.is_empty() && open.len() >= 3, "{kept:?}");
        assert!(
            open.iter().all(|(n, to)| *n > 2 || to.starts_with("pipe:") || to == "/dev/null"),
            "{open:?}"
        );
    }
}

/// A file of a form: field, name, bytes.
type File<'a> = (&'a str, &'a str, &'a [u8]);

/// Open descriptors with what they lead to.
fn links(folder: &str) -> Vec<(u32, String)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let to = std::fs::read_link(entry.path()).ok()?;
            Some((entry.file_name().to_string_lossy().parse().ok()?, to.to_string_lossy().into_owned()))
        })
        .collect()
}

#[test]
fn a_picture_comes_out_of_the_process_as_it_comes_out_of_the_decoder() {
    let pool = pool(2);
    let picture = noise(1_200, 900);
    let jpeg = imaging::encode_jpeg(&picture, 90);
    // As a phone held upright writes it: EXIF orientation 6.
    let exif: &[u8] =
        b"\xFF\xE1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let turned = [&jpeg[..2], exif, &jpeg[2..]].concat();
    assert_eq!(imaging::decode(&turned, &Limits::default()).unwrap().pixels.dimensions(), (900, 1_200));
    for bytes in [imaging::encode_png(&picture), jpeg, turned] {
        let here = imaging::decode(&bytes, &Limits::default()).unwrap();
        let there = pool.decode_pages(&bytes, &Limits::default(), None).unwrap().remove(0);
        assert!(here.pixels == there.pixels);
        assert_eq!((here.format, here.sha256, here.metadata), (there.format, there.sha256, there.metadata));
    }
    let refused =
        pool.decode_pages(&imaging::encode_png(&picture)[..500], &Limits::default(), None).unwrap_err();
    let here = imaging::decode(&imaging::encode_png(&picture)[..500], &Limits::default()).unwrap_err();
    assert_eq!(refused, here, "a refusal is the same");
}

#[test]
fn after_every_hostile_file_the_next_honest_picture_is_decoded() {
    let Some(data) = test_data() else { return };
    let pool = pool(1);
    let honest = imaging::encode_jpeg(&noise(640, 480), 90);
    for file in hostile_files(&data) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&file).unwrap();
        let harmless = name.starts_with("ok_") || name.starts_with("poly_jpg");
        match pool.decode_pages(&bytes, &Limits::default(), None) {
            Ok(_) => assert!(harmless || file.parent().unwrap().ends_with("pdf"), "{name} was decoded"),
            Err(error) => assert!(!harmless && error.code() != "decoder_unavailable", "{name}: {error}"),
        }
        assert!(pool.decode_pages(&honest, &Limits::default(), None).is_ok(), "after {name}");
    }
}

#[test]
fn hostile_files_at_the_doors_for_faces_are_refused_and_no_process_is_left_behind() {
    let Some(data) = test_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(folder.path(), &[]);
    let models = models().map(|(models, _)| models);
    let environment: Vec<(&str, &str)> =
        models.iter().map(|folder| ("BONAFIDE_MODELS", folder.to_str().unwrap())).collect();
    let server = Server::start_with(folder.path(), &environment);
    let sound = grey_jpeg(120);
    for file in hostile_files(&data) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&file).unwrap();
        let harmless = name.starts_with("ok_") || name.starts_with("poly_jpg");
        let is_pdf = bytes.starts_with(b"%PDF");
        let doors: [(&str, Vec<File>); 5] = [
            ("/v3/passive-liveness/", vec![("user_image", "a.jpg", &bytes)]),
            ("/v3/age-estimation/", vec![("user_image", "a.jpg", &bytes)]),
            ("/v3/face-match/", vec![("user_image", "a.jpg", &bytes), ("ref_image", "b.jpg", &sound)]),
            ("/v3/face-match/", vec![("user_image", "a.jpg", &sound), ("ref_image", "b.jpg", &bytes)]),
            ("/v3/id-verification/", vec![("front_image", "a.jpg", &sound), ("back_image", "b.jpg", &bytes)]),
        ];
        for (path, files) in doors {
            let (kind, body) = form(&files, &[("save_api_request", "false")]);
            let answer = server.post(path, &key.text, &kind, &body);
            let expected: &[u16] = if harmless { &[200, 400, 503] } else { &[400, 413, 503] };
            assert!(expected.contains(&answer.status), "{name} at {path}: {} {}", answer.status, answer.text);
            if is_pdf && answer.status == 400 && path != "/v3/id-verification/" {
                assert!(answer.text.contains("A PDF is not taken here"), "{name} at {path}: {}", answer.text);
            }
        }
        if bytes.len() < 2 << 20 {
            let portrait = base64::engine::general_purpose::STANDARD.encode(&bytes);
            let body = json!({ "workflow_id": key.workflow, "portrait_image": portrait });
            let answer = server.post_json("/v3/session/", &key.text, &body);
            assert!(
                answer.status == 400 || harmless && answer.status == 201,
                "{name} as portrait: {} {}",
                answer.status,
                answer.text
            );
        }
    }
    let (kind, body) = form(&[("front_image", "a.jpg", &sound)], &[("save_api_request", "false")]);
    let honest = server.post("/v3/id-verification/", &key.text, &kind, &body);
    assert!(matches!(honest.status, 200 | 400 | 503), "{}", honest.text);
    assert!(!honest.text.contains("could not be opened"), "{}", honest.text);
    wait_until("a decoding process stands ready", || !decoders(&server).is_empty());
    let children = decoders(&server);
    // Killed, not stopped: even then nothing is left.
    drop(server);
    wait_until("the decoding processes end with their server", || !children.iter().any(|&pid| lives(pid)));
}

#[test]
#[cfg(target_os = "linux")]
fn a_decoding_process_that_is_killed_at_work_refuses_its_picture_and_the_next_is_served() {
    let Some(data) = test_data() else { return };
    let Ok(slow) = std::fs::read(data.join("hostile-uploads/pdf/c5_ps_slow.pdf")) else {
        println!("skipped: no test data");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(folder.path(), &[]);
    let server = Server::start(folder.path());
    let session = server.post_json("/v3/session/", &key.text, &json!({ "workflow_id": key.workflow })).json();
    let link = session["url"].as_str().unwrap().to_owned();
    let agreed =
        server.post(&format!("{link}/consent"), "", "application/x-www-form-urlencoded", b"agree=true");
    assert_eq!(agreed.status, 200);
    wait_until("decoding processes start with the server", || !decoders(&server).is_empty());
    let upload = |bytes: &[u8]| {
        let (kind, body) = form(&[("image", "upload.jpg", bytes)], &[]);
        server.post(&format!("{link}/capture/front"), "", &kind, &body)
    };
    let before: Vec<_> = decoders(&server).into_iter().map(|pid| (pid, ticks(pid))).collect();
    let answer = std::thread::scope(|scope| {
        let answer = scope.spawn(|| upload(&slow));
        let mut at_work = None;
        wait_until("a process works on the picture", || {
            let used = |pid| before.iter().find(|(known, _)| *known == pid).map_or(0, |(_, ticks)| *ticks);
            at_work = decoders(&server).into_iter().find(|&pid| ticks(pid) > used(pid) + 10);
            at_work.is_some() || answer.is_finished()
        });
        let pid = at_work.and_then(|pid| Pid::from_raw(i32::try_from(pid).unwrap()));
        kill_process(pid.expect("one was at work"), Signal::KILL).unwrap();
        answer.join().unwrap()
    });
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(upload(&grey_jpeg(99)).status, 200, "the next picture is served");
    wait_until("another process takes its place", || decoders(&server).len() >= before.len());
}
