//! A network that harms notices: a receiver that reads the store when it sees a hole gets everything once and in
//! order; one that trusts notices does not, and is found out.

use model::{Change, Effort, Fanout, Id, Message, Notice, Order, Seq, Span, Store, Window};
use std::sync::{Arc, Mutex};
use testkit::{
    BatchBuilder, Harm, LossyFanout, LossyNetwork, MemoryStore, channel,
    history::{Answer, Publish, RecordedHistory, Seen, Subscriber},
};

const MESSAGES: usize = 300;

#[test]
fn a_receiver_that_reads_the_store_at_holes_sees_all_once() {
    for seed in 0..20 {
        run(seed, Harm::BAD, true).check().expect("the store has what notices lost");
    }
}

#[test]
fn a_receiver_that_trusts_notices_is_found_out() {
    let only =
        |lost, doubled, reordered| run(1, Harm { lost, doubled, reordered }, false).check().expect_err("harm was done");
    assert!(only(0.1, 0.0, 0.0).starts_with("lost"));
    assert!(only(0.0, 0.1, 0.0).starts_with("doubled"));
    assert!(only(0.0, 0.0, 0.1).starts_with("reordered"));
    run(1, Harm::NONE, false).check().expect("no harm was done");
}

#[test]
fn a_seed_replays_its_harm() {
    let seen = |seed| format!("{:?}", run(seed, Harm::BAD, false).subscribers);
    assert_eq!(seen(5), seen(5));
    assert_ne!(seen(5), seen(6));
}

#[test]
fn notices_go_to_other_nodes_that_listen() {
    let network = LossyNetwork::new(1, Harm::NONE);
    let got = Arc::new(Mutex::new(Vec::new()));
    let join = |node: usize| {
        let got = got.clone();
        network.join(move |_| got.lock().expect("unharmed").push(node))
    };
    let nodes: [LossyFanout; 3] = [join(0), join(1), join(2)];
    let (room, other) = (channel("room"), channel("other"));
    nodes.iter().for_each(|node| node.listen(&room));
    nodes[2].unlisten(&room);
    nodes[2].listen(&other);
    let mut builder = BatchBuilder::new();
    builder.publish(&room, "text");
    let change = builder.batch().changes[0].clone();
    nodes[0].announce(&[Notice { frontier: change.id(), previous: Id::MIN, change }]);
    assert_eq!(*got.lock().expect("unharmed"), [1], "not back to the sender, not to who listens elsewhere");
}

/// One node publishes, another follows.
fn run(seed: u64, harm: Harm, reads_store: bool) -> RecordedHistory {
    let store = Arc::new(MemoryStore::new());
    let network = LossyNetwork::new(seed, harm);
    let receiver = Arc::new(Mutex::new(Receiver { store: store.clone(), reads_store, seen: Vec::new() }));
    let sender = network.join(|_| {});
    let follower = network.join({
        let receiver = receiver.clone();
        move |notice| receiver.lock().expect("unharmed").receive(&notice)
    });
    let room = channel("room");
    follower.listen(&room);
    let mut history = RecordedHistory::default();
    let (mut builder, mut previous) = (BatchBuilder::new(), Id::MIN);
    for n in 0..MESSAGES {
        let message = builder.publish(&room, &format!("text {n}"));
        let batch = builder.batch();
        store.apply(&batch).expect("a valid batch is applied");
        history.publishes.push(Publish {
            publisher: "ann".into(),
            channel: "room".into(),
            text: format!("text {n}"),
            answer: Answer::Acknowledged(message.id.raw()),
        });
        sender.announce(&[Notice { change: batch.changes[0].clone(), previous, frontier: message.id }]);
        previous = message.id;
    }
    network.release();
    let mut receiver = receiver.lock().expect("unharmed");
    if reads_store {
        receiver.catch_up(Id::MAX);
    }
    history.subscribers.push(Subscriber {
        name: "sue".into(),
        channels: vec!["room".into()],
        from: 0,
        upto: u64::MAX,
        seen: receiver.seen.clone(),
    });
    history
}

struct Receiver {
    store: Arc<MemoryStore>,
    reads_store: bool,
    seen: Vec<Seen>,
}

impl Receiver {
    fn receive(&mut self, notice: &Notice) {
        let Change::Channel(change) = &*notice.change else { return };
        let message = change.what.message().expect("only messages are sent");
        if !self.reads_store || notice.previous == self.position() {
            self.see(message);
        } else if notice.change.id() > self.position() {
            self.catch_up(notice.change.id());
        }
    }

    fn catch_up(&mut self, upto: Id) {
        let span = Span { after: self.position(), upto };
        let (above, now) = (Seq::NONE, Id::MIN);
        let window =
            Window { span, order: Order::Ascending, limit: u32::MAX, above, author: None, custom_type: None, now };
        let page = self.store.read(&channel("room"), &window, Effort::Disk).expect("read").expect("with an answer");
        page.messages.iter().for_each(|message| self.see(message));
    }

    fn see(&mut self, message: &Message) {
        let text = String::from_utf8(message.payload.bytes.to_vec()).expect("texts are UTF-8");
        self.seen.push(Seen { channel: "room".into(), id: message.id.raw(), text });
    }

    fn position(&self) -> Id {
        self.seen.last().map_or(Id::MIN, |last| Id::from_raw(last.id))
    }
}
