//! A [`model::Fanout`] in memory that loses, doubles and reorders notices, by seed: what a real one may do, more often.

use model::{Channel, Fanout, Notice};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard},
};

/// How many later notices to the same node a held one lets pass at most.
const HELD_MAX: u32 = 8;

/// How often notices come to harm, each a probability from 0 to 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Harm {
    /// Never delivered.
    pub lost: f64,
    /// Delivered twice.
    pub doubled: f64,
    /// Delivered after up to 8 later ones.
    pub reordered: f64,
}

impl Harm {
    /// Everything arrives once and in order.
    pub const NONE: Harm = Harm { lost: 0.0, doubled: 0.0, reordered: 0.0 };
    /// A bad day: of ten notices one is lost, one doubled, two late.
    pub const BAD: Harm = Harm { lost: 0.1, doubled: 0.1, reordered: 0.2 };
}

/// Carries notices between the nodes that joined it, in this process.
pub struct LossyNetwork(Mutex<State>);

struct State {
    rng: SmallRng,
    harm: Harm,
    nodes: Vec<Member>,
}

struct Member {
    receive: Receive,
    listening: HashSet<Channel>,
    /// Notices on their way, with how many others may still pass each.
    held: Vec<(u32, Notice)>,
}

type Receive = Arc<dyn Fn(Notice) + Send + Sync>;
/// What goes to whom, in this order.
type Deliveries = Vec<(Receive, Notice)>;

/// One node's end of a [`LossyNetwork`].
pub struct LossyFanout {
    network: Arc<LossyNetwork>,
    node: usize,
}

impl LossyNetwork {
    /// A network whose harm follows from the seed and the order of the announcements.
    pub fn new(seed: u64, harm: Harm) -> Arc<LossyNetwork> {
        let state = State { rng: SmallRng::seed_from_u64(seed), harm, nodes: Vec::new() };
        Arc::new(LossyNetwork(Mutex::new(state)))
    }

    /// Adds a node. `receive` gets the notices of channels that it listens to and others announce, on the announcing
    /// thread: it must not block.
    pub fn join(self: &Arc<Self>, receive: impl Fn(Notice) + Send + Sync + 'static) -> LossyFanout {
        let mut state = self.state();
        state.nodes.push(Member { receive: Arc::new(receive), listening: HashSet::new(), held: Vec::new() });
        LossyFanout { network: self.clone(), node: state.nodes.len() - 1 }
    }

    /// From now on notices come to this much harm.
    pub fn set_harm(&self, harm: Harm) {
        self.state().harm = harm;
    }

    /// Delivers everything that is still held back.
    pub fn release(&self) {
        let mut deliveries = Vec::new();
        for node in &mut self.state().nodes {
            let receive = node.receive.clone();
            deliveries.extend(node.held.drain(..).map(|(_, notice)| (receive.clone(), notice)));
        }
        deliver(deliveries);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic happens under this lock")
    }
}

impl Fanout for LossyFanout {
    fn announce(&self, notices: &[Notice]) {
        let mut deliveries = Vec::new();
        {
            let mut state = self.network.state();
            notices.iter().for_each(|notice| state.send(self.node, notice, &mut deliveries));
        }
        deliver(deliveries);
    }

    fn listen(&self, channel: &Channel) {
        self.network.state().nodes[self.node].listening.insert(channel.clone());
    }

    fn unlisten(&self, channel: &Channel) {
        self.network.state().nodes[self.node].listening.remove(channel);
    }
}

impl State {
    fn send(&mut self, from: usize, notice: &Notice, deliveries: &mut Deliveries) {
        let State { rng, harm, nodes } = self;
        for (_, node) in nodes.iter_mut().enumerate().filter(|(to, _)| *to != from) {
            let model::Change::Channel(change) = &*notice.change else { continue };
            if !node.listening.contains(&change.channel) || rng.random_bool(harm.lost) {
                continue;
            }
            let copies = if rng.random_bool(harm.doubled) { 2 } else { 1 };
            for _ in 0..copies {
                if rng.random_bool(harm.reordered) {
                    node.held.push((rng.random_range(1..=HELD_MAX), notice.clone()));
                } else {
                    deliveries.push((node.receive.clone(), notice.clone()));
                    node.let_pass(deliveries);
                }
            }
        }
    }
}

impl Member {
    /// One notice went by: those that have waited for enough of them follow.
    fn let_pass(&mut self, deliveries: &mut Deliveries) {
        self.held.iter_mut().for_each(|(left, _)| *left -= 1);
        let receive = &self.receive;
        let due = self.held.extract_if(.., |(left, _)| *left == 0);
        deliveries.extend(due.map(|(_, notice)| (receive.clone(), notice)));
    }
}

/// Under no lock, so that a receiver may announce or listen itself.
fn deliver(deliveries: Deliveries) {
    for (receive, notice) in deliveries {
        receive(notice);
    }
}
