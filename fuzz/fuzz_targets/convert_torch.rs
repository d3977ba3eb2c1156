#![no_main]
//! A PyTorch state dict: nothing in it is ever executed.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = inference::convert::torch_state_dict(data, inference::convert::Architecture::MiniFasNet);
});
