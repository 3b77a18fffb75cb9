//! Who is connected: one seat for each authorized connection, with a bounded queue of updates.

use crate::{
    error::{Answer, Refusal},
    limits,
    wire::Update,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
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
    sender: mpsc::Sender<Arc<Update>>,
    /// The connection wants no updates; the queue is there to end it.
    silent: bool,
}

/// A connection's place. Dropping it is leaving.
pub struct Seat {
    seats: Arc<Seats>,
    user: u64,
    number: u64,
    updates: mpsc::Receiver<Arc<Update>>,
}

impl Seats {
    /// A seat for a connection of this user.
    pub fn take(self: &Arc<Self>, user: u64, silent: bool) -> Answer<Seat> {
        let (sender, updates) = mpsc::channel(limits::QUEUED_UPDATES);
        let mut state = self.lock();
        if state.taken >= limits::CONNECTIONS {
            return Err(Refusal::too_many("too many connections; try again in a minute"));
        }
        state.taken += 1;
        state.last += 1;
        let number = state.last;
        state.users.entry(user).or_default().insert(number, Queue { sender, silent });
        Ok(Seat { seats: self.clone(), user, number, updates })
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
        let mut state = self.lock();
        let Some(queues) = state.users.get_mut(&user) else { return };
        queues.retain(|_, queue| queue.silent || queue.sender.try_send(update.clone()).is_ok());
    }

    /// Ends all connections of a user, after what waits for them.
    pub fn end(&self, user: u64) {
        self.lock().users.remove(&user);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the seats")
    }
}

impl Seat {
    /// The next update. None when the connection was too slow for them, or its user's rights ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Arc<Update>> {
        self.updates.recv().await
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
    async fn silent_connections_get_nothing_and_can_be_ended() {
        let seats = Arc::new(Seats::default());
        let mut silent = seats.take(1, true).expect("a seat");
        seats.tell(1, &Arc::new(Update::default()));
        assert!(seats.listening().is_empty());
        seats.end(1);
        assert!(silent.next().await.is_none());
    }
}
