//! Any bytes as what a carrier hands back: the terminal never panics and never reads a document out of it.
#![no_main]

use emrtd::terminal::{Settings, Step, Terminal};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = emrtd::apdu::Command::parse(data);
    let password = emrtd::bac::Password::Can("123456".to_owned());
    let mut terminal = Terminal::new(password, Settings::default(), Box::new(emrtd::simulator::seeded(1)));
    let _ = terminal.start();
    let mut rest = data;
    while let Some((length, tail)) = rest.split_first() {
        let (answer, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        match terminal.on_responses(&[answer.to_vec()]) {
            Step::Send(_) => {}
            Step::Failed(_) => break,
            Step::Done(_) => unreachable!("nobody knows the password"),
        }
    }
});
