//! Holds request bodies to their deadlines and to the memory that all of them may take.
//!
//! The bytes of a body count from their arrival until the request is answered, because handlers hold them that
//! long. A body that stalls, comes too slowly, or finds no memory breaks off for the handler;
//! [`Upload::failure`] is the answer that the client gets then.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::failure::Failure;

/// Bytes a second that a body must have come with on average, after the first stall's worth of patience: a tenth
/// of a slow mobile connection.
const SLOWEST_BYTES_PER_S: f64 = 8.0 * 1024.0;

/// How much memory request bodies take, and how long they may stall.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Bytes of all bodies that are being read or worked on.
    pub held_bytes: u64,
    /// Time without a byte; also the head start before a body must have kept a slowest rate of 8 KiB/s.
    pub stall: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { held_bytes: 256 * 1024 * 1024, stall: Duration::from_secs(20) }
    }
}

/// The bodies of all requests.
#[derive(Debug)]
pub(crate) struct Uploads {
    limits: BodyLimits,
    held: AtomicU64,
    reading: AtomicU64,
    refused: AtomicU64,
    timed_out: AtomicU64,
}

/// Numbers for `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UploadCounts {
    pub(crate) held_bytes: u64,
    pub(crate) reading: u64,
    pub(crate) refused: u64,
    pub(crate) timed_out: u64,
}

impl Uploads {
    pub(crate) fn new(limits: BodyLimits) -> Self {
        let zero = || AtomicU64::new(0);
        Self { limits, held: zero(), reading: zero(), refused: zero(), timed_out: zero() }
    }

    /// Begins the body of a request.
    pub(crate) fn begin(self: &Arc<Self>) -> Arc<Upload> {
        Arc::new(Upload {
            uploads: Arc::clone(self),
            held: AtomicU64::new(0),
            streamed: AtomicBool::new(false),
            fate: AtomicU8::new(FINE),
        })
    }

    fn take(&self, bytes: u64) -> bool {
        let taken = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(bytes).filter(|held| *held <= self.limits.held_bytes)
        });
        taken.is_ok()
    }

    pub(crate) fn counts(&self) -> UploadCounts {
        UploadCounts {
            held_bytes: self.held.load(Ordering::Relaxed),
            reading: self.reading.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            timed_out: self.timed_out.load(Ordering::Relaxed),
        }
    }
}

const FINE: u8 = 0;
const TOO_SLOW: u8 = 1;
const NO_ROOM: u8 = 2;

/// The body of one request, and the memory it takes until the request is over.
#[derive(Debug)]
pub(crate) struct Upload {
    uploads: Arc<Uploads>,
    held: AtomicU64,
    streamed: AtomicBool,
    fate: AtomicU8,
}

impl Upload {
    /// The answer to a request whose body broke off for a reason of the server's.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self.fate.load(Ordering::Relaxed) {
            TOO_SLOW => Some(Failure::too_slow()),
            NO_ROOM => Some(Failure::busy(2)),
            _ => None,
        }
    }

    fn give_back(&self) {
        self.uploads.held.fetch_sub(self.held.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Counts a chunk in; of a streamed body only the last one is held.
    fn hold(&self, bytes: usize) -> bool {
        if self.streamed.load(Ordering::Relaxed) {
            self.give_back();
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if !self.uploads.take(bytes) {
            self.uploads.refused.fetch_add(1, Ordering::Relaxed);
            self.fate.store(NO_ROOM, Ordering::Relaxed);
            return false;
        }
        self.held.fetch_add(bytes, Ordering::Relaxed);
        true
    }

    fn time_out(&self) {
        self.uploads.timed_out.fetch_add(1, Ordering::Relaxed);
        self.fate.store(TOO_SLOW, Ordering::Relaxed);
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// A body that is worked on piece by piece and never held whole.
pub(crate) struct Streamed(pub(crate) Body);

impl<S: Send + Sync> FromRequest<S> for Streamed {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        if let Some(upload) = request.extensions().get::<Arc<Upload>>() {
            upload.streamed.store(true, Ordering::Relaxed);
        }
        Ok(Self(request.into_body()))
    }
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("there is no memory for the body")]
    NoRoom,
    #[error(transparent)]
    Client(axum::Error),
}

/// A body whose bytes and waits are counted.
pub(crate) struct Metered {
    body: Body,
    upload: Arc<Upload>,
    received: u64,
    /// Spent waiting for the client so far: what the handler does between two pieces does not count.
    waited: Duration,
    wait: Option<Wait>,
    is_reading: bool,
}

struct Wait {
    since: Instant,
    until: Pin<Box<Sleep>>,
}

impl Metered {
    pub(crate) fn new(body: Body, upload: Arc<Upload>) -> Self {
        Self { body, upload, received: 0, waited: Duration::ZERO, wait: None, is_reading: false }
    }

    /// How long the client may let the handler wait for its next piece.
    fn patience(&self) -> Duration {
        let stall = self.upload.uploads.limits.stall;
        patience(stall, self.received, self.waited)
    }

    fn end_reading(&mut self) {
        if std::mem::take(&mut self.is_reading) {
            self.upload.uploads.reading.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A stall ends a body, and so does a mean rate below the slowest.
fn patience(stall: Duration, received: u64, waited: Duration) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "seconds for bytes, roughly")]
    let earned = Duration::from_secs_f64(received as f64 / SLOWEST_BYTES_PER_S);
    (stall + earned).saturating_sub(waited).min(stall)
}

impl HttpBody for Metered {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        match this.upload.fate.load(Ordering::Relaxed) {
            TOO_SLOW => return Poll::Ready(Some(Err(Broken::TooSlow.into()))),
            NO_ROOM => return Poll::Ready(Some(Err(Broken::NoRoom.into()))),
            _ => {}
        }
        if !this.is_reading {
            this.is_reading = true;
            this.upload.uploads.reading.fetch_add(1, Ordering::Relaxed);
        }
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            let patience = this.patience();
            let wait = this.wait.get_or_insert_with(|| {
                let since = Instant::now();
                Wait { since, until: Box::pin(sleep_until(since + patience)) }
            });
            if wait.until.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            this.upload.time_out();
            this.end_reading();
            return Poll::Ready(Some(Err(Broken::TooSlow.into())));
        };
        if let Some(wait) = this.wait.take() {
            this.waited += wait.since.elapsed();
        }
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                this.received += u64::try_from(bytes).unwrap_or(u64::MAX);
                if this.upload.hold(bytes) {
                    Some(Ok(frame))
                } else {
                    this.end_reading();
                    Some(Err(Broken::NoRoom.into()))
                }
            }
            Some(Err(error)) => {
                this.end_reading();
                Some(Err(Broken::Client(error).into()))
            }
            None => {
                this.end_reading();
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.end_reading();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const STALL: Duration = Duration::from_secs(20);

    #[test]
    fn a_slow_honest_upload_passes_and_a_dripping_one_does_not() {
        // Four megabytes at 400 kbit/s: 50 KB each second, 80 s in all.
        for second in 0..80 {
            let left = patience(STALL, second * 50_000, Duration::from_secs(second));
            assert_eq!(left, STALL, "after {second} s");
        }
        // One byte each second.
        let left: Vec<_> =
            (0..=21).map(|second| patience(STALL, second, Duration::from_secs(second)).as_secs()).collect();
        assert!(left.windows(2).all(|pair| pair[1] <= pair[0]));
        assert_eq!(left[21], 0);
        // Much at once buys a stall, not an hour.
        assert_eq!(patience(STALL, 1 << 30, Duration::ZERO), STALL);
    }

    async fn read(uploads: &Arc<Uploads>, body: Body) -> (Arc<Upload>, Result<usize, String>) {
        let upload = uploads.begin();
        let mut metered = Metered::new(body, Arc::clone(&upload));
        let mut bytes = 0;
        loop {
            match poll_fn(|context| Pin::new(&mut metered).poll_frame(context)).await {
                None => return (upload, Ok(bytes)),
                Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(error)) => return (upload, Err(error.to_string())),
            }
        }
    }

    #[tokio::test]
    async fn bodies_that_find_no_memory_are_refused_until_others_are_answered() {
        let uploads = Arc::new(Uploads::new(BodyLimits { held_bytes: 100, stall: STALL }));
        let (first, whole) = read(&uploads, Body::from(vec![0; 60])).await;
        assert_eq!(whole, Ok(60));
        let (second, broken) = read(&uploads, Body::from(vec![0; 60])).await;
        assert!(broken.is_err());
        assert!(second.failure().is_some() && first.failure().is_none());
        drop(first);
        let (third, whole) = read(&uploads, Body::from(vec![0; 60])).await;
        assert_eq!(whole, Ok(60));
        drop((second, third));
        let counts = uploads.counts();
        assert_eq!((counts.held_bytes, counts.reading, counts.refused), (0, 0, 1));
    }

    #[tokio::test]
    async fn of_a_streamed_body_only_one_piece_is_held() {
        let uploads = Arc::new(Uploads::new(BodyLimits { held_bytes: 100, stall: STALL }));
        let pieces = (0..10).map(|_| Ok::<_, std::convert::Infallible>(vec![0; 60]));
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        let upload = uploads.begin();
        let mut request = Request::new(Body::new(Metered::new(body, Arc::clone(&upload))));
        request.extensions_mut().insert(Arc::clone(&upload));
        let Ok(Streamed(body)) = Streamed::from_request(request, &()).await;
        assert_eq!(axum::body::to_bytes(body, 10_000).await.unwrap().len(), 600);
        assert_eq!(uploads.counts().held_bytes, 60);
        drop(upload);
        assert_eq!(uploads.counts().held_bytes, 0);
    }

    #[tokio::test]
    async fn a_body_that_stalls_ends() {
        let stall = Duration::from_millis(1);
        let uploads = Arc::new(Uploads::new(BodyLimits { held_bytes: 100, stall }));
        let never = futures_util::stream::pending::<Result<Bytes, std::convert::Infallible>>();
        let (upload, broken) = read(&uploads, Body::from_stream(never)).await;
        assert!(broken.is_err() && upload.failure().is_some());
        assert_eq!(uploads.counts().timed_out, 1);
    }
}
