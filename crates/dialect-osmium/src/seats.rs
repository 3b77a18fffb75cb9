//! Who is connected: one seat for each authorized connection, with a bounded queue of updates.

use crate::{
    error::{Answer, Refusal},
    limits,
    wire::Update,
};
use prost::Message;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::sync::mpsc;

/// The seats of a realm.
#[derive(Default)]
pub struct Seats {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    users: HashMap<u64, HashMap<u64, Queue>>,
    taken: usize,
    last: u64,
}

struct Queue {
    sender: mpsc::Sender<Waiting>,
    /// Bytes of what waits.
    bytes: Arc<AtomicUsize>,
    /// The connection wants no updates; the queue is there to end it.
    silent: bool,
}

/// An update that waits, and its bytes.
struct Waiting(Arc<Update>, usize);

/// A connection's place. Dropping it is leaving.
pub struct Seat {
    seats: Arc<Seats>,
    user: u64,
    number: u64,
    updates: mpsc::Receiver<Waiting>,
    bytes: Arc<AtomicUsize>,
}

impl Seats {
    /// A seat for a connection of this user.
    pub fn take(self: &Arc<Self>, user: u64, silent: bool) -> Answer<Seat> {
        let (sender, updates) = mpsc::channel(limits::QUEUED_UPDATES);
        let bytes = Arc::new(AtomicUsize::new(0));
        let mut state = self.lock();
        if state.taken >= limits::CONNECTIONS {
            return Err(Refusal::too_many("too many connections; try again in a minute"));
        }
        state.taken += 1;
        state.last += 1;
        let number = state.last;
        state.users.entry(user).or_default().insert(number, Queue { sender, bytes: bytes.clone(), silent });
        Ok(Seat { seats: self.clone(), user, number, updates, bytes })
    }

    /// Users with a connection that wants updates.
    pub fn listening(&self) -> Vec<u64> {
        let state = self.lock();
        let wants = |queues: &HashMap<u64, Queue>| queues.values().any(|queue| !queue.silent);
        state.users.iter().filter(|(_, queues)| wants(queues)).map(|(user, _)| *user).collect()
    }

    /// Whether a user has a connection that wants updates.
    pub fn is_listening(&self, user: u64) -> bool {
        self.lock().users.get(&user).is_some_and(|queues| queues.values().any(|queue| !queue.silent))
    }

    /// Puts an update into the queues of a user's connections. Whose queue is full gets nothing any more: the end of its
    /// queue is what its connection sees.
    pub fn tell(&self, user: u64, update: &Arc<Update>) {
        let size = update.encoded_len();
        let mut state = self.lock();
        let Some(queues) = state.users.get_mut(&user) else { return };
        queues.retain(|_, queue| queue.silent || queue.put(update, size));
    }

    /// Ends all connections of a user, after what waits for them.
    pub fn end(&self, user: u64) {
        self.lock().users.remove(&user);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the seats")
    }
}

impl Queue {
    /// Whether there was room.
    fn put(&self, update: &Arc<Update>, size: usize) -> bool {
        let waiting = self.bytes.fetch_add(size, Relaxed);
        waiting <= limits::QUEUED_BYTES && self.sender.try_send(Waiting(update.clone(), size)).is_ok()
    }
}

impl Seat {
    /// The next update. None when the connection was too slow for them, or its user's rights ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Arc<Update>> {
        let Waiting(update, size) = self.updates.recv().await?;
        self.bytes.fetch_sub(size, Relaxed);
        Some(update)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.seats.lock();
        state.taken -= 1;
        if let Some(queues) = state.users.get_mut(&self.user) {
            queues.remove(&self.number);
            if queues.is_empty() {
                state.users.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{self, update};

    #[tokio::test]
    async fn a_full_queue_ends_its_own_connection_only() {
        let seats = Arc::new(Seats::default());
        let mut slow = seats.take(1, false).expect("a seat");
        let mut quick = seats.take(1, false).expect("a seat");
        let update = Arc::new(Update::default());
        for _ in 0..limits::QUEUED_UPDATES + 1 {
            seats.tell(1, &update);
            assert!(quick.next().await.is_some());
        }
        for _ in 0..limits::QUEUED_UPDATES {
            assert!(slow.next().await.is_some(), "what waits is given out");
        }
        assert!(slow.next().await.is_none());
        seats.tell(1, &update);
        assert!(quick.next().await.is_some());
        drop((slow, quick));
        assert!(seats.listening().is_empty());
    }

    #[tokio::test]
    async fn a_queue_is_bounded_in_bytes_too() {
        let seats = Arc::new(Seats::default());
        let mut seat = seats.take(1, false).expect("a seat");
        let message = wire::Message { message: "x".repeat(limits::QUEUED_BYTES / 2), ..Default::default() };
        let edited = update::Update::Message(wire::UpdateMessage { message: Some(message) });
        let update = Arc::new(Update { update: Some(edited) });
        for _ in 0..10 {
            seats.tell(1, &update);
            assert!(seat.next().await.is_some(), "what was taken makes room");
        }
        for _ in 0..10 {
            seats.tell(1, &update);
        }
        assert!(seat.next().await.is_some() && seat.next().await.is_some());
        assert!(seat.next().await.is_none(), "before ten of them waited");
    }

    #[tokio::test]
    async fn silent_connections_get_nothing_and_can_be_ended() {
        let seats = Arc::new(Seats::default());
        let mut silent = seats.take(1, true).expect("a seat");
        seats.tell(1, &Arc::new(Update::default()));
        assert!(seats.listening().is_empty());
        seats.end(1);
        assert!(silent.next().await.is_none());
    }
}
