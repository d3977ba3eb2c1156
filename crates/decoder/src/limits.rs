//! What a child may use, taken away before it sees a stranger's byte.
//!
//! Three walls, each enough for most attacks alone: resource limits (memory,
//! processor time, files), Landlock (no file, no network), and a filter of
//! system calls that leaves reading from standard input, writing to standard
//! output, and memory. The filter works on descriptor numbers, so that a
//! descriptor inherited by accident is of no use either. Systems other than
//! Linux have the resource limits only.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Memory a child may take on top of what it has at its start, in bytes. A TIFF of 44 megapixels needs most of what the
/// other limits let through: twice 132 MB for its pixels, and the file (`docs/measurements/decoder.md`).
const MEMORY: u64 = 300_000_000;
/// Processor seconds of its whole life: a backstop where the parent, which counts them for each picture, cannot.
const PROCESSOR_SECONDS: u64 = 600;
/// Stack in bytes. Nothing honest is nested so deeply that it needs more.
const STACK: u64 = 8 << 20;

/// Gives up all that decoding does not need. Gives back what this machine could not take away, in words.
pub(crate) fn lock_up() -> Vec<String> {
    let mut missing = Vec::new();
    let mut limit = |name: &str, resource: Resource, most: u64| {
        let most = Rlimit { current: Some(most), maximum: Some(most) };
        if let Err(error) = setrlimit(resource, most) {
            missing.push(format!("limit on {name}: {error}"));
        }
    };
    if let Some(now) = address_space() {
        limit("memory", Resource::As, now + MEMORY);
    }
    limit("processor time", Resource::Cpu, PROCESSOR_SECONDS);
    limit("stack", Resource::Stack, STACK);
    limit("core dumps", Resource::Core, 0);
    limit("written files", Resource::Fsize, 0);
    limit("processes", Resource::Nproc, 0);
    #[cfg(target_os = "linux")]
    missing.extend(linux::lock_up());
    // After the walls that need descriptors to be built.
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(3), maximum: Some(3) }) {
        missing.push(format!("limit on open files: {error}"));
    }
    #[cfg(target_os = "linux")]
    missing.extend(linux::filter_calls());
    missing
}

/// Size of the address space in bytes; `None` where the system does not tell.
fn address_space() -> Option<u64> {
    let sizes = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = sizes.split_whitespace().next()?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, RestrictionStatus, Ruleset, RulesetAttr as _, RulesetError,
        RulesetStatus, Scope,
    };
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Is, SeccompCondition,
        SeccompFilter, SeccompRule,
    };

    pub(super) fn lock_up() -> Vec<String> {
        let mut missing = Vec::new();
        // The kernel looks here first when memory runs out.
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        let dies_with_parent =
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
        if let Err(error) = dies_with_parent {
            missing.push(format!("end with the parent: {error}"));
        }
        if let Err(error) = rustix::thread::set_no_new_privs(true) {
            missing.push(format!("no new privileges: {error}"));
        }
        match landlock() {
            Ok(status) if status.ruleset == RulesetStatus::NotEnforced => {
                missing.push("Landlock: this kernel has none".to_owned());
            }
            Ok(_) => {}
            Err(error) => missing.push(format!("Landlock: {error}")),
        }
        missing
    }

    /// No file, no port, no signal to others: a ruleset without a rule.
    fn landlock() -> Result<RestrictionStatus, RulesetError> {
        Ruleset::default()
            .handle_access(AccessFs::from_all(ABI::V6))?
            .handle_access(AccessNet::from_all(ABI::V6))?
            .scope(Scope::from_all(ABI::V6))?
            .create()?
            .restrict_self()
    }

    pub(super) fn filter_calls() -> Option<String> {
        let applied = filter().and_then(|filter| seccompiler::apply_filter(&filter));
        applied.err().map(|error| format!("filter of system calls: {error}"))
    }

    /// The calls that are left; any other ends the process.
    fn filter() -> Result<BpfProgram, seccompiler::Error> {
        let only = |argument, value: u64| {
            SeccompCondition::new(argument, Length::Dword, Is::Eq, value)
                .and_then(|condition| SeccompRule::new(vec![condition]))
        };
        let without =
            |argument, bits: u64| SeccompCondition::new(argument, Length::Dword, Is::MaskedEq(bits), 0);
        let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
        let anonymous = u64::from(libc::MAP_ANONYMOUS.unsigned_abs());
        let own = u64::from(std::process::id());
        let mut calls: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::from([
            (libc::SYS_read, vec![only(0, 0)?]),
            (libc::SYS_write, vec![only(0, 1)?, only(0, 2)?]),
            // Memory, never from a file and never executable.
            (
                libc::SYS_mmap,
                vec![SeccompRule::new(vec![
                    without(2, executable)?,
                    SeccompCondition::new(3, Length::Dword, Is::MaskedEq(anonymous), anonymous)?,
                ])?],
            ),
            (libc::SYS_mprotect, vec![SeccompRule::new(vec![without(2, executable)?])?]),
            // A signal to itself is how it aborts.
            (libc::SYS_tgkill, vec![only(0, own)?]),
        ]);
        for call in [
            libc::SYS_munmap,
            libc::SYS_mremap,
            libc::SYS_brk,
            libc::SYS_madvise,
            libc::SYS_futex,
            libc::SYS_getpid,
            libc::SYS_gettid,
            libc::SYS_getrandom,
            libc::SYS_clock_gettime,
            libc::SYS_sched_yield,
            libc::SYS_rt_sigaction,
            libc::SYS_rt_sigprocmask,
            libc::SYS_rt_sigreturn,
            libc::SYS_sigaltstack,
            libc::SYS_restart_syscall,
            libc::SYS_exit,
            libc::SYS_exit_group,
        ] {
            calls.insert(call, Vec::new());
        }
        let filter = SeccompFilter::new(
            calls,
            SeccompAction::KillProcess,
            SeccompAction::Allow,
            std::env::consts::ARCH.try_into()?,
        )?;
        Ok(filter.try_into()?)
    }
}
