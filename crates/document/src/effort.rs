//! Counts what a reading costs: wall clock and processor time by stage, and the pixels given to each net.
//!
//! Processor time is that of the threads that do the work ([`both`] adds the second thread's). A runtime that
//! computes on threads of its own (`rten`) is seen in the wall clock only.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds by stage, input pixels by net.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Effort {
    pub(crate) wall_ms: BTreeMap<&'static str, f64>,
    pub(crate) cpu_ms: BTreeMap<&'static str, f64>,
    pub(crate) net_pixels: BTreeMap<&'static str, f64>,
}

impl Effort {
    /// Runs `work` as a part of `stage`.
    pub(crate) fn stage<T>(&mut self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        let (wall, cpu) = (Instant::now(), processor_ms());
        PIXELS.take();
        let result = work();
        sum(&mut self.net_pixels, &PIXELS.take());
        *self.wall_ms.entry(stage).or_default() += wall.elapsed().as_secs_f64() * 1e3;
        *self.cpu_ms.entry(stage).or_default() += processor_ms() - cpu;
        result
    }

    /// Adds what another part of the reading cost.
    pub(crate) fn add(&mut self, other: &Self) {
        sum(&mut self.wall_ms, &other.wall_ms);
        sum(&mut self.cpu_ms, &other.cpu_ms);
        sum(&mut self.net_pixels, &other.net_pixels);
    }
}

fn sum(mine: &mut BTreeMap<&'static str, f64>, theirs: &BTreeMap<&'static str, f64>) {
    for (name, value) in theirs {
        *mine.entry(name).or_default() += value;
    }
}

/// Notes that a net was given this many pixels, for the stage that runs on this thread.
pub(crate) fn count(net: &'static str, pixels: usize) {
    PIXELS.with_borrow_mut(|seen| *seen.entry(net).or_default() += pixels as f64);
}

thread_local! {
    /// Processor time of threads that worked for this one and have ended.
    static HELPERS_MS: Cell<f64> = const { Cell::new(0.0) };
    /// Pixels given to nets by this thread and its helpers since the stage began.
    static PIXELS: RefCell<BTreeMap<&'static str, f64>> = const { RefCell::new(BTreeMap::new()) };
}

fn processor_ms() -> f64 {
    let own = clock_gettime(ClockId::ThreadCPUTime);
    own.tv_sec as f64 * 1e3 + own.tv_nsec as f64 / 1e6 + HELPERS_MS.get()
}

/// Does two things at once, the second on a thread of its own; a panic of either goes on.
pub(crate) fn both<A, B: Send>(left: impl FnOnce() -> A, right: impl FnOnce() -> B + Send) -> (A, B) {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| (right(), processor_ms(), PIXELS.take()));
        let mine = left();
        match other.join() {
            Ok((theirs, ms, pixels)) => {
                HELPERS_MS.set(HELPERS_MS.get() + ms);
                PIXELS.with_borrow_mut(|seen| sum(seen, &pixels));
                (mine, theirs)
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_threads_work_counts_for_the_stage() {
        let spin = || (0..400_000u64).fold(1u64, |a, i| std::hint::black_box(a.wrapping_mul(31) ^ i));
        let mut effort = Effort::default();
        let counted = || {
            count("net", 5);
            spin()
        };
        let (a, b) = effort.stage("both", || both(counted, counted));
        assert_eq!(a, b);
        assert_eq!(effort.net_pixels["net"], 10.0);
        assert!(effort.cpu_ms["both"] > 0.0);
        let mut sum = Effort::default();
        sum.add(&effort);
        sum.add(&effort);
        assert!((sum.cpu_ms["both"] - 2.0 * effort.cpu_ms["both"]).abs() < 1e-9);
    }
}
