//! Damaged input is refused, never followed; real input, where test data lies, gives the published answers.

use std::path::PathBuf;

use proptest::prelude::*;
use rten_tensor::AsView;

use super::*;

/// The folder of test data, when this machine has one.
fn testdata() -> Option<PathBuf> {
    let dir = std::env::var_os("BONAFIDE_TESTDATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    dir.is_dir().then_some(dir)
}

fn run(model: &[u8], shape: &[usize], input: &[f32]) -> Vec<f32> {
    let model = rten::Model::load(model.to_vec()).expect("the converted model loads");
    let input = rten_tensor::NdTensor::from_data([shape[0], shape[1], shape[2], shape[3]], input.to_vec());
    let output = model.run_one(input.view().into(), None).expect("the converted model runs");
    let output: rten_tensor::NdTensor<f32, 2> = output.try_into().expect("two dimensions");
    output.to_vec()
}

/// A legacy state dict with the given tensors, as `torch.save` would write it.
fn legacy(tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
    let mut out =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
    let text = |out: &mut Vec<u8>, s: &str| {
        out.push(b'X');
        out.extend((s.len() as u32).to_le_bytes());
        out.extend(s.as_bytes());
    };
    let int = |out: &mut Vec<u8>, i: usize| {
        out.push(b'J');
        out.extend((i as u32).to_le_bytes());
    };
    out.extend(b"\x80\x02ccollections\nOrderedDict\n)R(");
    for (index, (name, shape, values)) in tensors.iter().enumerate() {
        text(&mut out, name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(b"ctorch\nFloatStorage\n");
        text(&mut out, &index.to_string());
        text(&mut out, "cpu");
        int(&mut out, values.len());
        out.extend(b"NtQ");
        int(&mut out, 0);
        for sizes in [shape.to_vec(), strides(shape)] {
            out.push(b'(');
            sizes.iter().for_each(|&s| int(&mut out, s));
            out.push(b't');
        }
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.extend(b"u.\x80\x02](");
    (0..tensors.len()).for_each(|index| text(&mut out, &index.to_string()));
    out.extend(b"e.");
    for (_, _, values) in tensors {
        out.extend((values.len() as u64).to_le_bytes());
        values.iter().for_each(|v| out.extend(v.to_le_bytes()));
    }
    out
}

fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|i| shape.iter().skip(i + 1).product()).collect()
}

/// A one-layer dlib net with kernel 1 in place of the published one: enough to walk every reader function.
fn small_dlib() -> Vec<u8> {
    fn int(out: &mut Vec<u8>, v: usize) {
        out.push(3);
        out.extend(&(v as u32).to_le_bytes()[..3]);
    }
    fn tag(out: &mut Vec<u8>, t: &str) {
        out.extend([1, t.len() as u8]);
        out.extend(t.as_bytes());
    }
    fn tensor(out: &mut Vec<u8>, dims: [usize; 4], value: f32) {
        int(out, 2);
        dims.iter().for_each(|&d| int(out, d));
        (0..dims.iter().product::<usize>()).for_each(|_| out.extend(value.to_le_bytes()));
    }
    let mut out = Vec::new();
    tag(&mut out, "input_rgb_image_sized");
    tag(&mut out, "con_4");
    tensor(&mut out, [3 * 2 + 2, 1, 1, 1], 0.5);
    [2, 1, 1, 1, 1, 0, 0].iter().for_each(|&v| int(&mut out, v));
    tag(&mut out, "affine_");
    tensor(&mut out, [4, 1, 1, 1], 1.0);
    tag(&mut out, "relu_");
    tag(&mut out, "avg_pool_2");
    tag(&mut out, "fc_2");
    int(&mut out, 3);
    int(&mut out, 2);
    tensor(&mut out, [2, 3, 1, 1], 0.25);
    out
}

/// A graph of one convolution with `SAME` padding, a sum of a constant and a reshape.
fn small_tfjs() -> (Vec<u8>, Vec<u8>) {
    let json = serde_json::json!({
        "modelTopology": {"node": [
            {"name": "x", "op": "Placeholder", "attr": {"shape": {"shape": {"dim": [{"size": "-1"}, {"size": "3"}, {"size": "3"}, {"size": "2"}]}}}},
            {"name": "w", "op": "Const"}, {"name": "b", "op": "Const"}, {"name": "s", "op": "Const"},
            {"name": "conv", "op": "Conv2D", "input": ["x", "w"], "attr": {
                "strides": {"list": {"i": ["1", "2", "2", "1"]}}, "padding": {"s": "U0FNRQ=="}}},
            {"name": "sum", "op": "AddV2", "input": ["conv", "b"]},
            {"name": "flat", "op": "Reshape", "input": ["sum", "s"]}
        ]},
        "weightsManifest": [{"weights": [
            {"name": "w", "shape": [2, 2, 2, 2], "dtype": "float32"},
            {"name": "b", "shape": [2], "dtype": "float32", "quantization": {"dtype": "float16"}},
            {"name": "s", "shape": [2], "dtype": "int32"}
        ]}]
    });
    let mut bin = Vec::new();
    (0..16).for_each(|i| bin.extend((i as f32).to_le_bytes()));
    bin.extend([0x00, 0x3c, 0x00, 0xc0]); // 1, -2
    bin.extend(1_i32.to_le_bytes());
    bin.extend((-1_i32).to_le_bytes());
    (json.to_string().into_bytes(), bin)
}

#[test]
fn half_floats_become_the_same_numbers() {
    let cases = [
        (0x0000, 0.0),
        (0x3c00, 1.0),
        (0xc000, -2.0),
        (0x7bff, 65504.0),
        (0x0001, 5.960_464_5e-8),
        (0x3555, 0.333_251_95),
    ];
    for (bits, value) in cases {
        assert_eq!(half_to_float(bits), value);
    }
    assert!(half_to_float(0x7e00).is_nan());
    assert_eq!(half_to_float(0xfc00), f32::NEG_INFINITY);
}

#[test]
fn a_tensorflow_graph_keeps_its_channel_last_order() {
    let (json, bin) = small_tfjs();
    let model = tfjs(&json, &bin).expect("converts");
    // Planar input: channel 0 is 0..9, channel 1 is 100..109.
    let input: Vec<f32> = (0..9).map(|i| i as f32).chain((100..109).map(|i| i as f32)).collect();
    let got = run(&model, &[1, 2, 3, 3], &input);
    // The same by TensorFlow's definition: SAME, stride 2, 3 -> 2, total padding 1, at the end.
    let at = |y: usize, x: usize, c: usize| if y < 3 && x < 3 { input[c * 9 + y * 3 + x] } else { 0.0 };
    let mut want = Vec::new();
    for oy in 0..2 {
        for ox in 0..2 {
            for o in 0..2 {
                let mut sum = [1.0, -2.0][o];
                for ky in 0..2 {
                    for kx in 0..2 {
                        for c in 0..2 {
                            sum += at(oy * 2 + ky, ox * 2 + kx, c) * (((ky * 2 + kx) * 2 + c) * 2 + o) as f32;
                        }
                    }
                }
                want.push(sum);
            }
        }
    }
    assert_eq!(got, want);
}

#[test]
fn a_small_dlib_net_converts_and_computes() {
    let model = dlib_resnet(&small_dlib()).expect("converts");
    let got = run(&model, &[1, 3, 150, 150], &vec![128.0; 3 * 150 * 150]);
    // Each filter: sum over channels of 0.5 (x - mean) / 256, + 0.5, times 1, + 1; two filters into 0.25 each.
    let filter = (3.0 * 128.0 - 122.782 - 117.001 - 104.298) / 256.0 * 0.5 + 1.5;
    assert_eq!(got.len(), 3);
    for value in got {
        assert!((value - 2.0 * 0.25 * filter).abs() < 1e-4, "{value} against {filter}");
    }
}

#[test]
fn a_legacy_state_dict_is_read_without_running_it() {
    let bytes = legacy(&[("module.a", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), ("module.b", &[1], &[7.0])]);
    let state = read_state_dict(&bytes).expect("reads");
    assert_eq!(
        state["module.a"],
        StateTensor { shape: vec![2, 3], values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] }
    );
    assert_eq!(state["module.b"].values, [7.0]);
}

#[test]
fn a_pickle_that_calls_anything_else_is_refused() {
    let mut bytes =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02"
            .to_vec();
    bytes.extend(b"cos\nsystem\nX\x02\x00\x00\x00id\x85R.");
    let error = read_state_dict(&bytes).expect_err("refused");
    assert!(error.to_string().contains("os.system"), "{error}");
}

#[test]
fn deep_nesting_is_refused_before_it_can_exhaust_the_stack() {
    let mut bytes = b"\x80\x02N".to_vec();
    bytes.extend(std::iter::repeat_n(0x85, 1_000_000));
    assert!(read_state_dict(&bytes).is_err());
}

#[test]
fn minifasnet_gives_the_answers_of_the_published_conversion() {
    let Some(dir) = testdata().map(|d| d.join("models")).filter(|d| d.is_dir()) else {
        eprintln!("skipped: no test data");
        return;
    };
    let mut seed = 7_u32;
    let input: Vec<f32> = (0..3 * 80 * 80)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as f32
        })
        .collect();
    for name in ["2.7_80x80_MiniFASNetV2", "4_0_0_80x80_MiniFASNetV1SE"] {
        let original = std::fs::read(dir.join(format!("{name}.pth"))).expect("the original");
        let published = std::fs::read(dir.join(format!("{name}.onnx"))).expect("the conversion");
        let ours = torch_state_dict(&original, Architecture::MiniFasNet).expect("converts");
        assert_eq!(
            ours,
            torch_state_dict(&original, Architecture::MiniFasNet).expect("converts"),
            "deterministic"
        );
        let (a, b) = (run(&ours, &[1, 3, 80, 80], &input), run(&published, &[1, 3, 80, 80], &input));
        let worst = a.iter().zip(&b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        assert!(a.len() == 3 && worst < 1e-4, "{name}: {a:?} against {b:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        let _ = dlib_resnet(&bytes);
        let _ = tfjs(&bytes, &bytes);
        let _ = read_state_dict(&bytes);
    }

    #[test]
    fn damaged_files_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut pickle = legacy(&[("module.a", &[2, 3], &[1.0; 6]), ("module.b", &[1], &[7.0])]);
        let mut dlib = small_dlib();
        let (mut json, bin) = small_tfjs();
        for file in [&mut pickle, &mut dlib, &mut json] {
            let i = at.index(file.len());
            file[i] = byte;
            let keep = cut.index(2 * file.len());
            file.truncate(keep.max(1));
        }
        let _ = read_state_dict(&pickle);
        let _ = torch_state_dict(&pickle, Architecture::MiniFasNet);
        let _ = dlib_resnet(&dlib);
        let _ = tfjs(&json, &bin);
    }
}
