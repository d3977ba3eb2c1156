//! Keeps ONNX Runtime's library from reporting to its maker.
//!
//! Builds of it from 1.29 on make a device number and a queue of events in the user's cache and send both, and do so
//! while they start: the call that switches events off (`with_telemetry(false)`) comes too late. They read one variable
//! of the environment before that, so it must be there when the process starts: a process cannot change its own
//! environment safely once it may have threads. The library is therefore loaded only where [`is_on`]; a program calls
//! [`restart`] as the first thing it does.

use std::process::Command;

/// The variable that the library reads.
pub const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// What it must hold.
pub const VALUE: &str = "1";

/// Whether this process was started with the library's reports switched off.
pub fn is_on() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|value| value == VALUE)
}

/// Starts this program anew in the same process, with the same arguments and [`VARIABLE`] set, where it is not.
///
/// Returns `Ok` at once where the variable is set, and otherwise does not return. To be called before anything else:
/// whatever the process did before is done twice.
///
/// # Errors
/// What kept the program from starting anew. It may go on: nets then run without ONNX Runtime.
pub fn restart() -> std::io::Result<()> {
    use std::os::unix::process::CommandExt as _;
    if is_on() {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let name = arguments.next();
    // A file that was replaced while it ran has no path any more, but is still there under the second name.
    let program = std::env::current_exe().ok().filter(|path| path.is_file());
    let mut command = Command::new(program.unwrap_or_else(|| "/proc/self/exe".into()));
    if let Some(name) = name {
        command.arg0(name);
    }
    Err(command.args(arguments).env(VARIABLE, VALUE).exec())
}
