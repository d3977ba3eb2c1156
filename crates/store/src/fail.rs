//! Makes the n-th write, sync, rename, commit or sealing fail, on a test's demand.
//!
//! Every place that touches the disk or a cipher passes [`hit`]. Unarmed, that
//! is one relaxed load. A test arms the process with [`arm`]: the n-th
//! passage from then on fails with [`crate::Error::Injected`]. Looping n from 1
//! until nothing fails any more reaches every point once; [`reached`] lists
//! their names. Environment variable `BONAFIDE_FAIL_NTH=n` arms a whole process.

use crate::error::{Error, Result};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

static ARMED: AtomicBool = AtomicBool::new(false);
static LEFT: AtomicI64 = AtomicI64::new(0);
static REACHED: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

/// Names of all fail points, for the test that wants every one reached.
pub const POINTS: &[&str] = &[
    "database.begin",
    "database.execute",
    "database.commit",
    "audit.append",
    "seal.encrypt",
    "blob.create",
    "blob.write",
    "blob.sync",
    "blob.rename",
    "blob.sync-folder",
    "blob.remove",
];

/// Makes the `nth` passage (from 1) through any fail point fail, once; 0 only records passages.
pub fn arm(nth: u32) {
    if let Ok(mut reached) = REACHED.lock() {
        reached.clear();
    }
    LEFT.store(i64::from(nth), Ordering::SeqCst);
    ARMED.store(true, Ordering::SeqCst);
}

/// Ends the experiment; returns whether a failure was injected since [`arm`].
pub fn disarm() -> bool {
    ARMED.store(false, Ordering::SeqCst);
    LEFT.swap(0, Ordering::SeqCst) < 0
}

/// The points passed since [`arm`], in order.
#[must_use]
pub fn reached() -> Vec<&'static str> {
    REACHED.lock().map(|names| names.clone()).unwrap_or_default()
}

/// Arms the process from `BONAFIDE_FAIL_NTH`, for tests of the whole binary.
pub(crate) fn arm_from_environment() {
    if let Some(nth) = std::env::var("BONAFIDE_FAIL_NTH").ok().and_then(|text| text.parse().ok()) {
        arm(nth);
    }
}

/// Passes a fail point.
#[inline]
pub(crate) fn hit(name: &'static str) -> Result<()> {
    if ARMED.load(Ordering::Relaxed) { hit_armed(name) } else { Ok(()) }
}

#[cold]
fn hit_armed(name: &'static str) -> Result<()> {
    debug_assert!(POINTS.contains(&name), "fail point {name} is not listed");
    if let Ok(mut reached) = REACHED.lock() {
        reached.push(name);
    }
    // -1 marks "has failed", so that exactly one passage fails.
    let before = LEFT.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| match left {
        1 => Some(-1),
        left if left > 1 => Some(left - 1),
        _ => None,
    });
    if before == Ok(1) { Err(Error::Injected(name)) } else { Ok(()) }
}
