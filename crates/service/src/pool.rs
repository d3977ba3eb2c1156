//! Computes on as many threads as there are cores, behind a bounded queue.
//!
//! Past the bound the answer is "busy": waiting longer than a client waits
//! would only waste the cores on answers that nobody reads.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Semaphore;

/// Checks that may wait for each core.
const WAITING_PER_CORE: usize = 16;

/// Why nothing was computed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PoolError {
    /// The queue is full.
    #[error("too many checks are waiting")]
    Busy,
    /// The computation panicked; nothing else is affected.
    #[error("the computation panicked: {0}")]
    Panicked(String),
}

/// How busy the cores are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Computations that run.
    pub running: usize,
    /// Computations that wait.
    pub waiting: usize,
    /// Computations refused since the start.
    pub refused: u64,
}

/// The cores, shared by all that compute.
#[derive(Clone)]
pub(crate) struct CpuPool {
    cores: Arc<Semaphore>,
    places: Arc<Semaphore>,
    counts: (usize, usize),
    refused: Arc<AtomicU64>,
}

impl CpuPool {
    pub(crate) fn of_this_machine() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self::new(cores, cores * (1 + WAITING_PER_CORE))
    }

    fn new(cores: usize, places: usize) -> Self {
        Self {
            cores: Arc::new(Semaphore::new(cores)),
            places: Arc::new(Semaphore::new(places)),
            counts: (cores, places),
            refused: Arc::default(),
        }
    }

    pub(crate) fn load(&self) -> Load {
        let running = self.counts.0 - self.cores.available_permits();
        let inside = self.counts.1 - self.places.available_permits();
        Load {
            running,
            waiting: inside.saturating_sub(running),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Computes on a core, when one is free.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            PoolError::Busy
        })?;
        let core = Arc::clone(&self.cores).acquire_owned().await.map_err(|_| PoolError::Busy)?;
        let computed = tokio::task::spawn_blocking(move || {
            let _held = (place, core);
            catch_unwind(AssertUnwindSafe(compute)).map_err(|panic| PoolError::Panicked(text_of(&*panic)))
        });
        computed.await.unwrap_or_else(|error| Err(PoolError::Panicked(error.to_string())))
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    // Only where it happened is kept by the panic hook; the text itself could hold data of a person.
    if panic.is::<String>() || panic.is::<&str>() { "see the log".to_owned() } else { "unknown".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn past_the_bound_the_answer_is_busy_and_a_panic_takes_nothing_down() {
        let pool = CpuPool::new(1, 2);
        let (send, receive) = std::sync::mpsc::channel::<()>();
        let first = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move || receive.recv().is_ok()).await }
        });
        let second = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(|| 2).await }
        });
        while pool.load() != (Load { running: 1, waiting: 1, refused: 0 }) {
            tokio::task::yield_now().await;
        }
        assert!(matches!(pool.run(|| 3).await, Err(PoolError::Busy)));
        assert_eq!(pool.load().refused, 1);
        send.send(()).unwrap();
        assert!(first.await.unwrap().unwrap());
        assert_eq!(second.await.unwrap().unwrap(), 2);
        assert!(matches!(pool.run(|| panic!("a test")).await, Err(PoolError::Panicked(_))));
        assert_eq!(pool.run(|| 4).await.unwrap(), 4);
    }
}
