//! The nets on both back ends: our own always, the installed ones when they are there.

use inference::{LoadError, Models, Options, Presence, Runtime, Tensor};
use std::sync::Arc;

fn open(runtime: Option<Runtime>) -> Result<Models, inference::OpenError> {
    Models::open_with(&Models::default_dir(), &Options { runtime, threads: 1, lanes: 2 })
}

/// The inputs that nets of the manifest take, by name.
fn inputs() -> [(&'static str, &'static [usize]); 9] {
    [
        ("mrz-lines", &[1, 1, 32, 512]),
        ("ppocr-v6-det", &[1, 3, 160, 224]),
        ("ppocr-v6-rec", &[1, 3, 48, 160]),
        ("ppocr-v6-det-tiny", &[1, 3, 160, 224]),
        ("ppocr-v6-rec-tiny", &[1, 3, 48, 160]),
        ("ppocr-cls", &[1, 3, 48, 192]),
        ("dlib-face-embedder", &[3, 3, 150, 150]),
        ("blazeface", &[1, 3, 256, 256]),
        ("facemesh", &[1, 3, 192, 192]),
    ]
}

/// A smooth pattern between -1 and 1: like a picture, unlike noise.
fn pattern(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let width = shape.last().copied().unwrap_or(1);
    let value = |k: usize| ((k % width) as f32 * 0.11).sin() * ((k / width) as f32 * 0.07).cos();
    Tensor::new(shape, (0..count).map(value).collect())
}

#[test]
fn our_own_net_runs_without_anything_installed() {
    let empty = tempfile::tempdir().expect("a folder");
    let models =
        Models::open_with(empty.path(), &Options { runtime: None, threads: 1, lanes: 1 }).expect("opens");
    assert_eq!(models.runtime(), Runtime::Rten);
    let entry = models.entry("mrz-lines").expect("an entry");
    assert_eq!(models.presence(entry), Presence::BuiltIn);
    let net = models.net("mrz-lines").expect("loads");
    let out = net.run(&[pattern(&[1, 1, 32, 512])]).expect("runs");
    assert!(out.iter().all(|t| t.data.iter().all(|v| v.is_finite())));
}

#[test]
fn a_missing_net_names_the_command_and_a_wrong_input_is_refused() {
    let empty = tempfile::tempdir().expect("a folder");
    let models =
        Models::open_with(empty.path(), &Options { runtime: None, threads: 1, lanes: 1 }).expect("opens");
    let missing = models.net("ppocr-v6-det").err().expect("not installed");
    assert!(
        matches!(&missing, LoadError::NotInstalled { command, .. } if command == "bonafide models install")
    );
    assert!(matches!(models.net("no-such-net"), Err(LoadError::Unknown { .. })));
    let net = models.net("mrz-lines").expect("loads");
    assert!(net.run(&[]).is_err());
    assert!(net.run(&[Tensor::new([1, 1, 32, 512], vec![0.0; 5])]).is_err());
    assert!(net.run(&[Tensor::new([1, 7, 3], vec![0.0; 21])]).is_err());
}

#[test]
fn a_changed_file_is_not_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    fs_err::write(folder.path().join("ppocr-cls.onnx"), b"not the net").expect("writes");
    let models =
        Models::open_with(folder.path(), &Options { runtime: None, threads: 1, lanes: 1 }).expect("opens");
    assert!(matches!(models.net("ppocr-cls"), Err(LoadError::Changed { .. })));
    // A runtime library that is not the pinned one is not run either.
    fs_err::write(folder.path().join("libonnxruntime.so"), b"not the library").expect("writes");
    let forced =
        Models::open_with(folder.path(), &Options { runtime: Some(Runtime::Ort), threads: 1, lanes: 1 });
    assert!(forced.is_err());
}

#[test]
fn the_runtime_library_is_not_loaded_where_it_would_report_to_its_maker() {
    const INSIDE: &str = "BONAFIDE_TEST_FOLDER";
    // The variable cannot be taken out of a running process: this test starts itself without it.
    if let Some(folder) = std::env::var_os(INSIDE) {
        let options = Options { runtime: Some(Runtime::Ort), threads: 1, lanes: 1 };
        let refused = Models::open_with(std::path::Path::new(&folder), &options).err().expect("refused");
        assert!(refused.to_string().contains("ORT_DISABLE_TELEMETRY=1"), "{refused}");
        let options = Options { runtime: None, ..options };
        let models = Models::open_with(std::path::Path::new(&folder), &options).expect("opens");
        assert_eq!(models.runtime(), Runtime::Rten);
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs_err::write(folder.path().join("libonnxruntime.so"), b"not the library").expect("writes");
    for value in [None, Some("0"), Some("")] {
        let mut command = std::process::Command::new(std::env::current_exe().expect("this test"));
        command.args(["--exact", "the_runtime_library_is_not_loaded_where_it_would_report_to_its_maker"]);
        command.env(INSIDE, folder.path()).env_remove("ORT_DISABLE_TELEMETRY");
        if let Some(value) = value {
            command.env("ORT_DISABLE_TELEMETRY", value);
        }
        let output = command.output().expect("starts");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{value:?}: {said}");
    }
}

#[test]
fn the_pinned_runtime_library_has_no_code_that_opens_a_connection() {
    let library = Models::default_dir().join("libonnxruntime.so");
    let Ok(bytes) = fs_err::read(library) else {
        eprintln!("skipped: ONNX Runtime is not installed");
        return;
    };
    // What it imports from the C library stands in its table of strings, each between zeros.
    let imports = |name: &[u8]| {
        let entry = [&[0], name, &[0]].concat();
        bytes.windows(entry.len()).any(|part| part == entry)
    };
    assert!(imports(b"pthread_mutex_lock"), "the table is found");
    for name in ["socket", "connect", "getaddrinfo", "gethostbyname", "sendto", "sendmsg"] {
        assert!(!imports(name.as_bytes()), "it imports {name}");
    }
}

#[test]
fn both_back_ends_give_the_same_numbers() {
    let (Ok(ort), Ok(rten)) = (open(Some(Runtime::Ort)), open(Some(Runtime::Rten))) else {
        eprintln!("skipped: ONNX Runtime is not installed");
        return;
    };
    for (name, shape) in inputs() {
        let (Ok(one), Ok(other)) = (ort.net(name), rten.net(name)) else {
            eprintln!("skipped: {name} is not installed");
            continue;
        };
        let input = [pattern(shape)];
        let (one, other) = (one.run(&input).expect("ort runs"), other.run(&input).expect("rten runs"));
        assert_eq!(one.len(), other.len(), "{name}");
        for (a, b) in one.iter().zip(&other) {
            assert_eq!(a.shape, b.shape, "{name}");
            let largest = a.data.iter().fold(1.0f32, |m, v| m.max(v.abs()));
            let apart = a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
            eprintln!("{name}: largest difference {apart:e} of {largest}");
            assert!(apart <= 1e-3 * largest, "{name}: {apart} of {largest}");
        }
    }
}

#[test]
fn a_net_gives_many_threads_what_it_gives_one() {
    for runtime in [Runtime::Rten, Runtime::Ort] {
        let Ok(models) = open(Some(runtime)) else {
            eprintln!("skipped: {runtime} is not installed");
            continue;
        };
        let net = models.net("mrz-lines").expect("loads");
        let again = models.net("mrz-lines").expect("loads once");
        assert!(Arc::ptr_eq(&net, &again));
        let input = [pattern(&[1, 1, 32, 512])];
        let expected = net.run(&input).expect("runs");
        let mut lent = Tensor::default();
        net.lend(&input, &mut |shape, data| lent = Tensor::new(shape, data.to_vec())).expect("runs");
        assert_eq!(Some(&lent), expected.first());
        assert!(net.lend(&[], &mut |_, _| panic!("nothing ran")).is_err());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..8 {
                        assert_eq!(net.run(&input).expect("runs"), expected);
                    }
                });
            }
        });
    }
}
