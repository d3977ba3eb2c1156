//! Lends out equal things so that callers run side by side.
//!
//! A lane is made when a caller needs one and none is idle, up to a bound; past
//! it callers wait. One thread alone therefore never pays for a second lane.

use std::sync::{Condvar, Mutex, PoisonError};

pub(crate) struct Lanes<T> {
    state: Mutex<State<T>>,
    returned: Condvar,
    most: usize,
}

struct State<T> {
    idle: Vec<T>,
    made: usize,
}

impl<T> Lanes<T> {
    pub(crate) fn new(first: T, most: usize) -> Self {
        let state = Mutex::new(State { idle: vec![first], made: 1 });
        Self { state, returned: Condvar::new(), most: most.max(1) }
    }

    /// Lends a lane to `work`; `make` builds one when none is idle and the bound allows.
    ///
    /// # Errors
    /// What `make` returned.
    pub(crate) fn with<R, E>(
        &self,
        make: impl FnOnce() -> Result<T, E>,
        work: impl FnOnce(&mut T) -> R,
    ) -> Result<R, E> {
        let mut loan = Loan { lanes: self, lane: Some(self.take(make)?) };
        let result = loan.lane.as_mut().map(work);
        drop(loan);
        Ok(result.expect("a loan holds its lane until it is dropped"))
    }

    fn take<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(lane) = state.idle.pop() {
                return Ok(lane);
            }
            if state.made < self.most {
                state.made += 1;
                break;
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        make().inspect_err(|_| {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).made -= 1;
            self.returned.notify_one();
        })
    }
}

/// Gives the lane back even when the work panics.
struct Loan<'a, T> {
    lanes: &'a Lanes<T>,
    lane: Option<T>,
}

impl<T> Drop for Loan<'_, T> {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.lanes.state.lock().unwrap_or_else(PoisonError::into_inner).idle.push(lane);
            self.lanes.returned.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn one_caller_after_another_shares_one_lane() {
        let lanes = Lanes::new(0, 4);
        for _ in 0..5 {
            lanes
                .with(|| -> Result<_, Infallible> { panic!("a second lane was made") }, |n| *n += 1)
                .expect("no error");
        }
        assert_eq!(lanes.with(|| Ok::<_, Infallible>(0), |n| *n), Ok(5));
    }

    #[test]
    fn two_callers_at_once_get_two_lanes_and_a_third_waits() {
        let lanes = Lanes::new((), 2);
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let run = |(): &mut ()| {
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        for _ in 0..2000 {
                            std::thread::yield_now();
                        }
                        inside.fetch_sub(1, Ordering::SeqCst);
                    };
                    lanes.with(|| Ok::<_, Infallible>(()), run).expect("no error");
                });
            }
        });
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    }

    #[test]
    fn a_lane_comes_back_after_a_panic() {
        let lanes = Lanes::new(7, 1);
        let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = lanes.with(|| Err(()), |_: &mut i32| panic!("work failed"));
        }));
        assert!(attempt.is_err());
        assert_eq!(lanes.with(|| Err(()), |n| *n), Ok(7));
    }

    #[test]
    fn a_lane_that_cannot_be_made_leaves_room_for_the_next_try() {
        let lanes = Lanes::new(1, 2);
        let outer = lanes.with(
            || Err("never"),
            |_| {
                assert_eq!(lanes.with(|| Err("no memory"), |n| *n), Err("no memory"));
                lanes.with(|| Ok::<_, &str>(2), |n| *n)
            },
        );
        assert_eq!(outer, Ok(Ok(2)));
    }
}
