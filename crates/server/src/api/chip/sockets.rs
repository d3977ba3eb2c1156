//! Counts the connections of devices that read chips: so many of one address, so many in all.
//!
//! At a cap the connection that has waited longest for its hello makes room; where all have said theirs, the
//! new one is refused.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::connections::Network;

/// Connections of one address at once.
const MAX_PER_ADDRESS: usize = 64;
/// Connections of all addresses at once.
const MAX_IN_ALL: usize = 1024;

struct Known {
    network: Network,
    greeted: bool,
    ended: Arc<Notify>,
}

/// All of them, the oldest first.
#[derive(Default)]
struct Table {
    next: u64,
    open: BTreeMap<u64, Known>,
}

impl Table {
    fn make_room(&mut self, of: Option<Network>) -> bool {
        let chosen = self
            .open
            .iter()
            .find(|(_, known)| !known.greeted && of.is_none_or(|of| of == known.network))
            .map(|(id, _)| *id);
        let Some(known) = chosen.and_then(|id| self.open.remove(&id)) else { return false };
        known.ended.notify_one();
        true
    }
}

/// The connections of this process.
#[derive(Default)]
pub(crate) struct Sockets(Mutex<Table>);

impl Sockets {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one in; `None` when there are too many.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let network = Network::from(address);
        let mut table = self.table();
        let of_network = table.open.values().filter(|known| known.network == network).count();
        if of_network >= MAX_PER_ADDRESS && !table.make_room(Some(network)) {
            return None;
        }
        if table.open.len() >= MAX_IN_ALL && !table.make_room(None) {
            return None;
        }
        table.next += 1;
        let (id, ended) = (table.next, Arc::new(Notify::new()));
        table.open.insert(id, Known { network, greeted: false, ended: Arc::clone(&ended) });
        Some(Place { id, ended, sockets: Arc::clone(self) })
    }

    pub(crate) fn count(&self) -> usize {
        self.table().open.len()
    }
}

/// The place of one connection, given back when dropped.
pub(crate) struct Place {
    id: u64,
    ended: Arc<Notify>,
    sockets: Arc<Sockets>,
}

impl Place {
    /// The device has shown a ticket: its connection no longer makes room for others.
    pub(crate) fn greeted(&self) {
        if let Some(known) = self.sockets.table().open.get_mut(&self.id) {
            known.greeted = true;
        }
    }

    /// Resolves when the connection must make room.
    pub(crate) async fn ended(&self) {
        self.ended.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sockets.table().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_says_no_hello_makes_room_and_who_reads_a_chip_does_not() {
        let sockets = Arc::new(Sockets::default());
        let address = IpAddr::from([192, 0, 2, 1]);
        let places: Vec<_> = (0..MAX_PER_ADDRESS).map(|_| sockets.admit(address).unwrap()).collect();
        places[0].greeted();
        let next = sockets.admit(address).unwrap();
        places[1].ended().await;
        assert_eq!(sockets.count(), MAX_PER_ADDRESS);
        places.iter().chain([&next]).for_each(Place::greeted);
        assert!(sockets.admit(address).is_none());
        assert!(sockets.admit(IpAddr::from([192, 0, 2, 2])).is_some());
        drop((places, next));
        assert_eq!(sockets.count(), 0);
    }
}
