//! Knows every open connection: whose it is, what it does, and whether it may stay.
//!
//! A connection is *at work* while a request of it is being answered, and *waiting* otherwise. At a cap the
//! connection that has waited longest makes room for a new one; where all are at work, the new one is refused.
//! [`Connection::deadline`] says when a connection has used up its patience; `listen` ends it then.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// Connections beyond the cap that callers on this machine still get, so that health checks arrive.
const LOOPBACK_RESERVE: usize = 16;
/// Requests of one connection that are worked on at once. Streams that a client resets count until their work ends.
const MAX_WORK: u32 = 128;

/// How many connections there may be, and how long they may take.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Of all clients together.
    pub in_all: usize,
    /// Of one address (IPv6: one /64); 0 sets no cap. Addresses of this machine have none.
    pub per_address: usize,
    /// From the first byte of a request's head to its last; also for a TLS handshake.
    pub head: Duration,
    /// Without a request, and for a client that does not read its answer.
    pub idle: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { in_all: 512, per_address: 256, head: Duration::from_secs(10), idle: Duration::from_secs(75) }
    }
}

impl ConnectionLimits {
    /// As many connections as a process may have that may open so many files: a part of them is for the
    /// database, for pictures and for the processes that decode them.
    #[must_use]
    pub fn for_open_files(files: u64) -> usize {
        const OTHERS: u64 = 512;
        const MOST: u64 = 10_000;
        let connections = files.saturating_sub(OTHERS).max(files / 2).min(MOST);
        usize::try_from(connections).unwrap_or(usize::MAX)
    }
}

/// Addresses that count as one client: an IPv4 address, or the /64 that an IPv6 host chooses from at will.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network([u8; 16]);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().octets()),
            IpAddr::V6(address) => {
                let mut octets = address.octets();
                octets[8..].fill(0);
                Self(octets)
            }
        }
    }
}

/// What a connection does now.
#[derive(Debug)]
struct Activity {
    /// Requests whose answers are not handed over yet.
    requests: u32,
    /// Requests that are worked on, answered or not.
    work: u32,
    /// A request was answered before.
    served: bool,
    http2: bool,
    upgraded: bool,
    evicted: bool,
    /// The connection waits since then.
    since: Instant,
    /// A head began and has not ended.
    head_since: Option<Instant>,
    /// The peer takes no more bytes.
    blocked_since: Option<Instant>,
    /// Answers of which a part was handed over and the next was not asked for.
    unread: u32,
    unread_since: Instant,
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    activity: Mutex<Activity>,
    evict: Notify,
    /// Bytes that may still be read; see [`Connection::may_read`].
    allowance: AtomicI64,
}

impl Connection {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            activity: Mutex::new(Activity {
                requests: 0,
                work: 0,
                served: false,
                http2: false,
                upgraded: false,
                evicted: false,
                since: now,
                head_since: None,
                blocked_since: None,
                unread: 0,
                unread_since: now,
            }),
            evict: Notify::new(),
            allowance: AtomicI64::new(i64::MAX),
        }
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request in; the guard says what becomes of its answer.
    pub(crate) fn begin(self: &Arc<Self>, http2: bool) -> Answering {
        let mut activity = self.activity();
        activity.requests += 1;
        activity.http2 = http2;
        activity.head_since = None;
        Answering { connection: Arc::clone(self), unread: false }
    }

    /// Room for one more request to be worked on; `None` when the connection has too many.
    pub(crate) fn work(self: &Arc<Self>) -> Option<Work> {
        let mut activity = self.activity();
        if activity.work >= MAX_WORK {
            return None;
        }
        activity.work += 1;
        Some(Work(Arc::clone(self)))
    }

    /// The connection speaks another protocol from now on, which has deadlines of its own.
    pub(crate) fn upgraded(&self) {
        self.activity().upgraded = true;
    }

    /// The TLS handshake is over.
    pub(crate) fn secured(&self) {
        let mut activity = self.activity();
        activity.head_since = None;
        activity.since = Instant::now();
    }

    /// Bytes came in.
    pub(crate) fn received(&self) {
        let mut activity = self.activity();
        // Between requests an HTTP/2 client acknowledges and pings: only before the first one is that a head.
        if activity.requests == 0 && !(activity.http2 && activity.served) && activity.head_since.is_none() {
            activity.head_since = Some(Instant::now());
        }
    }

    /// Bytes went out, or could not.
    pub(crate) fn sent(&self, blocked: bool) {
        let mut activity = self.activity();
        if blocked {
            activity.blocked_since.get_or_insert_with(Instant::now);
        } else {
            activity.blocked_since = None;
            if activity.served {
                activity.since = Instant::now();
            }
        }
    }

    /// Lets the peer send so many bytes from now on and no more. An upgraded connection is held to
    /// this until it has shown its ticket.
    pub(crate) fn may_read(&self, bytes: i64) {
        self.allowance.store(bytes, Ordering::Relaxed);
    }

    /// How many bytes may be read now; `None` for any number.
    pub(crate) fn allowance(&self) -> Option<usize> {
        match self.allowance.load(Ordering::Relaxed) {
            i64::MAX => None,
            left => Some(usize::try_from(left).unwrap_or(0)),
        }
    }

    /// Takes read bytes off the allowance.
    pub(crate) fn spend(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let _ = self.allowance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            (left != i64::MAX).then(|| left.saturating_sub(bytes))
        });
    }

    /// When the patience with this connection ends, as things stand; `None` while the server itself is at work.
    pub(crate) fn deadline(&self, limits: &ConnectionLimits) -> Option<Instant> {
        let activity = self.activity();
        let blocked = activity.blocked_since.map(|since| since + limits.idle);
        let waiting = if activity.upgraded {
            None
        } else if activity.requests > 0 {
            (activity.unread > 0).then(|| activity.unread_since + limits.idle)
        } else {
            let idle = activity.since + limits.idle;
            Some(activity.head_since.map_or(idle, |since| since + limits.head))
        };
        [blocked, waiting].into_iter().flatten().min()
    }

    /// Resolves when the connection must make room.
    pub(crate) async fn evicted(&self) {
        self.evict.notified().await;
    }

    /// How dispensable a waiting connection is; the least goes first. `None` while it is at work.
    fn rank(&self) -> Option<(bool, Instant)> {
        let activity = self.activity();
        let waits = activity.requests == 0 && !activity.upgraded && !activity.evicted;
        waits.then_some((activity.served, activity.since))
    }

    fn make_room(&self) {
        self.activity().evicted = true;
        // One is waiting at most; the permit stays for it if it is not there yet.
        self.evict.notify_one();
    }
}

/// A request that is worked on, until dropped.
pub(crate) struct Work(Arc<Connection>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.activity().work -= 1;
    }
}

/// A request that is being answered, until dropped.
pub(crate) struct Answering {
    connection: Arc<Connection>,
    unread: bool,
}

impl Answering {
    /// A part of the answer was handed over (`true`), or the next part was asked for (`false`).
    pub(crate) fn handed_over(&mut self, unread: bool) {
        if unread == self.unread {
            return;
        }
        self.unread = unread;
        let mut activity = self.connection.activity();
        if unread {
            activity.unread += 1;
        } else {
            activity.unread -= 1;
        }
        activity.unread_since = Instant::now();
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.handed_over(false);
        let mut activity = self.connection.activity();
        activity.requests -= 1;
        activity.served = true;
        activity.since = Instant::now();
    }
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: HashMap<u64, (Network, Arc<Connection>)>,
    by_network: HashMap<Network, usize>,
}

impl Table {
    fn remove(&mut self, id: u64) -> bool {
        let Some((network, _)) = self.open.remove(&id) else { return false };
        if let Some(count) = self.by_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&network);
            }
        }
        true
    }

    /// Ends the most dispensable waiting connection, of one network or of all.
    fn make_room(&mut self, of: Option<Network>) -> bool {
        let chosen = self
            .open
            .iter()
            .filter(|(_, (network, _))| of.is_none_or(|of| of == *network))
            .filter_map(|(id, (_, connection))| connection.rank().map(|rank| (rank, *id)))
            .min();
        let Some((_, id)) = chosen else { return false };
        if let Some((_, connection)) = self.open.get(&id) {
            connection.make_room();
        }
        self.remove(id)
    }
}

/// All connections of this process, and the caps on them.
#[derive(Debug)]
pub(crate) struct Connections {
    pub(crate) limits: ConnectionLimits,
    /// Whether everybody comes through proxies, whose addresses say nothing about clients.
    proxied: bool,
    table: Mutex<Table>,
    accepted: AtomicU64,
    refused: AtomicU64,
    evicted: AtomicU64,
    timed_out: AtomicU64,
}

/// Numbers for `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionCounts {
    pub(crate) open: usize,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) evicted: u64,
    pub(crate) timed_out: u64,
}

impl Connections {
    pub(crate) fn new(limits: ConnectionLimits, proxied: bool) -> Self {
        Self {
            limits,
            proxied,
            table: Mutex::default(),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection in, making room for it where that is possible.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        let (peer, network) = (peer.to_canonical(), Network::from(peer));
        let mut table = self.table();
        let capped = self.limits.per_address > 0 && !self.proxied && !peer.is_loopback();
        let of_network = table.by_network.get(&network).copied().unwrap_or(0);
        let mut has_room = true;
        if capped && of_network >= self.limits.per_address {
            has_room = self.evict(&mut table, Some(network));
        }
        if has_room && table.open.len() >= self.limits.in_all {
            let reserve = if peer.is_loopback() { LOOPBACK_RESERVE } else { 0 };
            has_room = self.evict(&mut table, None) || table.open.len() < self.limits.in_all + reserve;
        }
        if !has_room {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.accepted.fetch_add(1, Ordering::Relaxed);
        table.next += 1;
        let (id, connection) = (table.next, Arc::new(Connection::new()));
        table.open.insert(id, (network, Arc::clone(&connection)));
        *table.by_network.entry(network).or_default() += 1;
        Some(Slot { id, connection, connections: Arc::clone(self) })
    }

    fn evict(&self, table: &mut Table, of: Option<Network>) -> bool {
        let made = table.make_room(of);
        if made {
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        made
    }

    /// Ends a waiting connection because the process ran out of descriptors.
    pub(crate) fn make_room(&self) {
        self.evict(&mut self.table(), None);
    }

    /// A connection used up its patience.
    pub(crate) fn timed_out(&self) {
        self.timed_out.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> ConnectionCounts {
        ConnectionCounts {
            open: self.table().open.len(),
            accepted: self.accepted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
            timed_out: self.timed_out.load(Ordering::Relaxed),
        }
    }
}

/// The place of an open connection, given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    id: u64,
    pub(crate) connection: Arc<Connection>,
    connections: Arc<Connections>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.table().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(in_all: usize, per_address: usize, proxied: bool) -> Arc<Connections> {
        let limits = ConnectionLimits {
            in_all,
            per_address,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
        };
        Arc::new(Connections::new(limits, proxied))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn is_open(slot: &Slot) -> bool {
        slot.connections.table().open.contains_key(&slot.id)
    }

    #[test]
    fn at_the_cap_the_connection_that_waited_longest_makes_room() {
        let all = connections(3, 0, false);
        let slots: Vec<_> = (1..=3).map(|n| all.admit(address(&format!("192.0.2.{n}"))).unwrap()).collect();
        // The first is at work, the second was served before: the third has shown nothing yet.
        let _answering = slots[0].connection.begin(false);
        drop(slots[1].connection.begin(false));
        let fourth = all.admit(address("192.0.2.4")).unwrap();
        assert_eq!(slots.iter().map(is_open).collect::<Vec<_>>(), [true, true, false]);
        let fifth = all.admit(address("192.0.2.5")).unwrap();
        assert!(!is_open(&fourth));
        drop(fifth);
        assert_eq!(all.counts().open, 2);
        assert_eq!(all.counts().evicted, 2);
    }

    #[test]
    fn where_all_are_at_work_a_stranger_is_refused_and_this_machine_is_served() {
        let all = connections(2, 0, false);
        let slots: Vec<_> = (1..=2).map(|n| all.admit(address(&format!("192.0.2.{n}"))).unwrap()).collect();
        let _at_work: Vec<_> = slots.iter().map(|slot| slot.connection.begin(false)).collect();
        assert!(all.admit(address("192.0.2.3")).is_none());
        let _reserve: Vec<_> = (0..LOOPBACK_RESERVE)
            .map(|_| {
                let slot = all.admit(address("127.0.0.1")).unwrap();
                let answering = slot.connection.begin(false);
                (slot, answering)
            })
            .collect();
        assert!(all.admit(address("::ffff:127.0.0.1")).is_none());
        assert_eq!(all.counts().refused, 2);
    }

    #[test]
    fn one_address_takes_no_more_than_its_share_and_evicts_only_itself() {
        let all = connections(100, 2, false);
        let other = all.admit(address("198.51.100.1")).unwrap();
        let mine: Vec<_> = (0..2).map(|n| all.admit(address(&format!("2001:db8::{n}"))).unwrap()).collect();
        let third = all.admit(address("2001:db8::abcd")).unwrap();
        assert!(is_open(&other) && !is_open(&mine[0]) && is_open(&mine[1]) && is_open(&third));
        let _at_work = [mine[1].connection.begin(false), third.connection.begin(false)];
        assert!(all.admit(address("2001:db8::1:0:0:1")).is_none());
        assert!(all.admit(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn the_address_of_a_trusted_proxy_has_no_share() {
        let all = connections(100, 1, true);
        let slots: Vec<_> = (0..3).map(|_| all.admit(address("192.0.2.1")).unwrap()).collect();
        assert!(slots.iter().all(is_open));
    }

    #[test]
    fn a_connection_is_given_the_patience_of_what_it_does() {
        let all = connections(10, 0, false);
        let slot = all.admit(address("192.0.2.1")).unwrap();
        let (connection, limits) = (&slot.connection, &all.limits);
        let left = || {
            let until = connection.deadline(limits)?;
            Some(until.saturating_duration_since(Instant::now()).as_secs_f64().round() as u64)
        };
        assert_eq!(left(), Some(75));
        connection.received();
        assert_eq!(left(), Some(10));
        let mut answering = connection.begin(false);
        assert_eq!(left(), None);
        answering.handed_over(true);
        assert_eq!(left(), Some(75));
        answering.handed_over(false);
        assert_eq!(left(), None);
        connection.sent(true);
        assert_eq!(left(), Some(75));
        connection.sent(false);
        drop(answering);
        assert_eq!(left(), Some(75));
        connection.upgraded();
        assert_eq!(left(), None);
    }

    #[test]
    fn one_connection_has_only_so_many_requests_worked_on() {
        let all = connections(10, 0, false);
        let slot = all.admit(address("192.0.2.1")).unwrap();
        let mut work: Vec<_> = (0..MAX_WORK).map(|_| slot.connection.work().unwrap()).collect();
        assert!(slot.connection.work().is_none());
        work.pop();
        assert!(slot.connection.work().is_some());
    }
}
