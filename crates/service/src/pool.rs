//! Computes on as many threads as there are cores, behind a bounded queue.
//!
//! Past the bound the answer is "busy": waiting longer than a client waits
//! would only waste the cores on answers that nobody reads. Every computation
//! has a deadline ([`Work`]): when it passes, whoever waits gets an error. A
//! thread cannot be ended from outside, so it keeps its core until it is
//! through; what strangers can make endless runs in a process of its own
//! (`decoder`, Tesseract), which is ended.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
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
    /// The computation passed its deadline; it goes on, and nobody waits for it.
    #[error("the computation took longer than {} s", .0.as_secs())]
    TooLong(Duration),
    /// The computation panicked; nothing else is affected.
    #[error("the computation panicked: {0}")]
    Panicked(String),
}

/// What is computed; it decides how long that may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Opening what a person uploaded: a picture, or a batch of at most twelve frames.
    Picture,
    /// Looking at pictures with models: a document with its faces, a selfie, a challenge, a chip.
    Check,
    /// Asking watch-lists or enrolled faces.
    Search,
    /// Loading, comparing and writing lists and trusted issuers.
    Upkeep,
}

impl Work {
    fn deadline(self) -> Duration {
        Duration::from_secs(match self {
            // The decoder ends a picture after 6 s on the clock, and on average frames take 10 ms.
            Self::Picture => 30,
            // Tesseract may take 20 s for each of two sides; all else takes 2 s on one core and ten times that on a
            // machine that is overloaded.
            Self::Check => 90,
            // The first question after a start reads the index: 10 s for the largest lists.
            Self::Search => 120,
            // An operator's act, not a stranger's: the largest list takes minutes to index.
            Self::Upkeep => 1_800,
        })
    }
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

    /// Computes on a core, when one is free, within the deadline of its kind.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: Work,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        self.run_within(work.deadline(), compute).await.inspect_err(|error| {
            if matches!(error, PoolError::TooLong(_)) {
                tracing::error!(work = ?work, error = %error, "a computation is left to itself; it keeps its core");
            }
        })
    }

    async fn run_within<T: Send + 'static>(
        &self,
        deadline: Duration,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            PoolError::Busy
        })?;
        let core = tokio::time::timeout(deadline, Arc::clone(&self.cores).acquire_owned()).await;
        let Ok(Ok(core)) = core else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(PoolError::Busy);
        };
        let computed = tokio::task::spawn_blocking(move || {
            let _held = (place, core);
            catch_unwind(AssertUnwindSafe(compute)).map_err(|panic| PoolError::Panicked(text_of(&*panic)))
        });
        match tokio::time::timeout(deadline, computed).await {
            Ok(computed) => computed.unwrap_or_else(|error| Err(PoolError::Panicked(error.to_string()))),
            Err(_) => Err(PoolError::TooLong(deadline)),
        }
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
            async move { pool.run(Work::Check, move || receive.recv().is_ok()).await }
        });
        let second = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(Work::Check, || 2).await }
        });
        while pool.load() != (Load { running: 1, waiting: 1, refused: 0 }) {
            tokio::task::yield_now().await;
        }
        assert!(matches!(pool.run(Work::Check, || 3).await, Err(PoolError::Busy)));
        assert_eq!(pool.load().refused, 1);
        send.send(()).unwrap();
        assert!(first.await.unwrap().unwrap());
        assert_eq!(second.await.unwrap().unwrap(), 2);
        assert!(matches!(pool.run(Work::Check, || panic!("a test")).await, Err(PoolError::Panicked(_))));
        assert_eq!(pool.run(Work::Check, || 4).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn past_its_deadline_a_computation_is_given_up_and_keeps_its_core_until_it_ends() {
        let pool = CpuPool::new(1, 4);
        let soon = Duration::from_millis(1);
        let (send, receive) = std::sync::mpsc::channel::<()>();
        let given_up = pool.run_within(soon, move || receive.recv().is_ok()).await;
        assert!(matches!(given_up, Err(PoolError::TooLong(_))));
        assert_eq!(pool.load().running, 1, "the thread goes on");
        assert!(matches!(pool.run_within(soon, || 1).await, Err(PoolError::Busy)), "no core is free");
        send.send(()).unwrap();
        assert_eq!(pool.run(Work::Check, || 2).await.unwrap(), 2, "the core is free again");
    }
}
