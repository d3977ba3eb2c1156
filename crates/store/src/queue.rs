//! The bounded queue between async callers and the database threads.

use crate::error::{Error, Result};
use crate::tx::Tx;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

/// A closure on its way through a database thread.
pub(crate) trait Call: Send {
    /// Runs the closure; says whether its writes are to be kept.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Answers the caller, after the commit (or instead of it).
    fn finish(self: Box<Self>, committed: Result<()>);
}

struct Closure<F, T, E> {
    run: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Call for Closure<F, T, E>
where
    F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(run) = self.run.take() else { return false };
        let result = match catch_unwind(AssertUnwindSafe(|| run(tx))) {
            Ok(Ok(_)) if tx.is_broken() => Err(E::from(Error::Broken)),
            Ok(result) => result,
            Err(_panic) => {
                tracing::error!("a transaction panicked; its writes are rolled back");
                Err(E::from(Error::Panicked))
            }
        };
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn finish(self: Box<Self>, committed: Result<()>) {
        let result = match (self.result, committed) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(E::from(error)),
            (None, Ok(())) => Err(E::from(Error::Closed)),
        };
        // A caller that went away has no use for the answer.
        drop(self.reply.send(result));
    }
}

/// Waiting calls, first in first out.
pub(crate) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    capacity: usize,
}

#[derive(Default)]
struct State {
    calls: VecDeque<Box<dyn Call>>,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { state: Mutex::default(), arrived: Condvar::new(), capacity }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding this lock.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Queues a closure; the answer comes through the receiver.
    pub(crate) fn push<F, T, E>(&self, run: F) -> Result<oneshot::Receiver<Result<T, E>>>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let call = Box::new(Closure { run: Some(run), result: None, reply });
        let mut state = self.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        if state.calls.len() >= self.capacity {
            return Err(Error::Overloaded);
        }
        state.calls.push_back(call);
        drop(state);
        self.arrived.notify_one();
        Ok(answer)
    }

    /// Waits for calls and takes up to `most`; `None` when the queue is closed and empty.
    pub(crate) fn take(&self, most: usize) -> Option<Vec<Box<dyn Call>>> {
        let mut state = self.lock();
        loop {
            if !state.calls.is_empty() {
                let count = state.calls.len().min(most);
                return Some(state.calls.drain(..count).collect());
            }
            if state.closed {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    /// How many calls wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().calls.len()
    }

    /// Takes no more calls; those that wait are still answered.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }
}
