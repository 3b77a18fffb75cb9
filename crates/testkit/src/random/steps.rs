//! What can be done in a random run, in words that mean something whatever was done before.

use super::drafts::{Draft, ReactionDraft, draft, reaction};
use crate::{BatchBuilder, Outcome};
use model::{Id, Message, Order, TICKS_PER_SECOND};
use proptest::{collection::vec, option, prelude::*};
use std::sync::Arc;

/// How many channels take part, and how many authors, types, idempotency keys and records.
pub const ROOMS: u8 = 8;
pub(super) const AUTHORS: u8 = 3;
pub(super) const TYPES: u8 = 2;
pub(super) const KEYS: u8 = 6;
pub(super) const RECORDS: u8 = 12;
const STEPS: usize = 60;

/// One thing done to the store under test and to the oracle.
#[expect(missing_docs, reason = "the comment of a variant tells its fields")]
#[derive(Clone, Debug)]
pub enum Step {
    /// A batch of these drafts, which ends like this, if the store can be made to; when its outcome is unknown, perhaps
    /// the power goes before it is settled.
    Apply { drafts: Vec<Draft>, outcome: Outcome, crash_in_doubt: bool },
    /// The last batch again.
    ApplyAgain,
    /// New content under a number that is this much too high, or under that of the last batch.
    WrongNumber(i64),
    /// Time goes on by so many ticks.
    Pass(u64),
    /// Messages move to where old ones are kept.
    Flush,
    /// An orderly restart.
    Restart,
    /// A power cut.
    Crash,
    /// One page.
    Read(Question),
    /// All pages, one after the other, each from where the one before ended.
    Walk(Question),
    /// A count of the question's span.
    Count(Question),
    /// Part of a selection, with the question's span, order, limit and now; and its count.
    Select { question: Question, selected: Selected, offset: u64 },
    /// The heads of some channels.
    Heads(Vec<u8>),
    /// What a removal of the question's span would take, and one of the messages so many thousandths into the channel.
    Removable { question: Question, nth: Vec<u16> },
    /// Where a floor would go.
    FloorFor { room: u8, keep: u64, upto: Place },
    /// What a message was.
    Versions { room: u8, of: Place },
    /// Reactions to messages of the question's span, those behind one of them, and reactions made in it.
    Reactions(Question),
    /// Whether a reaction stands.
    Reaction(ReactionDraft),
    /// Part of a channel's change feed.
    Changes { room: u8, after: Place, limit: u32 },
    /// All of it, in parts.
    FollowChanges { room: u8, limit: u32 },
    /// What is due in all channels at a place of one.
    Due { room: u8, now: Place, limit: u32 },
    /// Bytes are given back, for a moment.
    Sweep,
    /// No byte of what was removed from these channels is to be left.
    Erase(Vec<u8>),
    /// An idempotency key, asked for so many days later.
    Keyed { room: u8, key: u8, days_later: u64 },
    /// Part of the feed, between places of a channel.
    Feed { room: u8, from: Place, to: Place, limit: u32 },
    /// What refills the ring.
    Recent { bytes: usize },
    /// A listing by a prefix of a channel's name, perhaps after the name of another.
    Channels { prefix_bytes: usize, after: Option<u8>, limit: u32 },
    /// A listing of all channels, perhaps after the name of one.
    AllChannels { after: Option<u8>, limit: u32 },
    /// One record.
    Record(u8),
    /// A scan by a prefix of a record's name, perhaps after the name of another.
    Records { prefix_bytes: usize, after: Option<u8>, limit: u32 },
}

/// A place in a channel.
#[expect(missing_docs, reason = "the comment of a variant tells its fields")]
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// Below everything.
    Start,
    /// Above everything.
    End,
    /// At the message so many thousandths into the channel, or so many raw ids beside it.
    Near { thousandths: u16, offset: i64 },
    /// When a message is due, or just before: the one so many thousandths into those that ever are.
    Due { thousandths: u16, early: bool },
}

/// A selection: of two users, and of the question's channel.
#[derive(Clone, Copy, Debug)]
pub enum Selected {
    /// What one wrote.
    Author(u8),
    /// What one wrote in direct chats.
    Sender(u8),
    /// What one received.
    Recipient(u8),
    /// From one to the other.
    Pair(u8, u8),
    /// Both directions.
    Conversation(u8, u8),
    /// What one wrote in the channel.
    AuthorIn(u8),
    /// The channel, and what one received elsewhere.
    ChannelAnd(Option<u8>),
}

/// What is asked of a channel.
#[derive(Clone, Debug)]
pub struct Question {
    /// Which channel.
    pub room: u8,
    /// The exclusive lower bound.
    pub after: Place,
    /// The inclusive upper bound.
    pub upto: Place,
    /// From which end.
    pub order: Order,
    /// How many at most.
    pub limit: u32,
    /// Only greater seqs, counted down from the newest one.
    pub above: Option<u64>,
    /// Only these authors (`names::filter_of`).
    pub author: Option<u8>,
    /// Only this type.
    pub custom_type: Option<u8>,
    /// What reads as now.
    pub now: Place,
}

impl Place {
    /// The id meant, in a channel that holds this.
    pub fn resolve(self, all: &[Arc<Message>]) -> Id {
        match self {
            Place::Start => Id::MIN,
            Place::End => Id::MAX,
            Place::Near { thousandths, offset } => {
                let near = nth(all, thousandths).map_or(BatchBuilder::new().next_id(), |message| message.id);
                Id::from_raw(near.raw().saturating_add_signed(offset))
            }
            Place::Due { thousandths, early } => {
                let mortal: Vec<_> = all.iter().filter(|message| message.expires_at.is_some()).cloned().collect();
                let due = nth(&mortal, thousandths).and_then(|message| message.expires_at).unwrap_or_default();
                if early { due.previous() } else { due }
            }
        }
    }
}

pub(super) fn nth(all: &[Arc<Message>], thousandths: u16) -> Option<&Arc<Message>> {
    all.get(all.len() * usize::from(thousandths) / 1000).or(all.last())
}

/// Runs of random steps.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..STEPS)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        24 => (vec(draft(), 0..12), outcome(), any::<bool>())
            .prop_map(|(drafts, outcome, crash_in_doubt)| Step::Apply { drafts, outcome, crash_in_doubt }),
        1 => Just(Step::ApplyAgain),
        2 => prop_oneof![Just(-1), 1..5_i64].prop_map(Step::WrongNumber),
        2 => passing().prop_map(Step::Pass),
        4 => Just(Step::Flush),
        2 => Just(Step::Restart),
        2 => Just(Step::Crash),
        12 => question().prop_map(Step::Read),
        4 => question().prop_map(Step::Walk),
        5 => question().prop_map(Step::Count),
        8 => (question(), selected(), prop_oneof![0..5_u64, 0..400_u64])
            .prop_map(|(question, selected, offset)| Step::Select { question, selected, offset }),
        2 => vec(0..ROOMS, 0..6).prop_map(Step::Heads),
        8 => about_messages(),
        6 => about_changes(),
        4 => (0..ROOMS, 0..KEYS, 0..3_u64).prop_map(|(room, key, days_later)| Step::Keyed { room, key, days_later }),
        4 => (0..ROOMS, place(), place(), limit()).prop_map(|(room, from, to, limit)| Step::Feed { room, from, to, limit }),
        2 => prop_oneof![0..20_000_usize, Just(usize::MAX)].prop_map(|bytes| Step::Recent { bytes }),
        2 => (0..7_usize, option::of(0..ROOMS), limit())
            .prop_map(|(prefix_bytes, after, limit)| Step::Channels { prefix_bytes, after, limit }),
        1 => (option::of(0..ROOMS), limit()).prop_map(|(after, limit)| Step::AllChannels { after, limit }),
        2 => (0..RECORDS).prop_map(Step::Record),
        2 => (0..4_usize, option::of(0..RECORDS), limit())
            .prop_map(|(prefix_bytes, after, limit)| Step::Records { prefix_bytes, after, limit }),
    ]
}

fn about_messages() -> impl Strategy<Value = Step> {
    let keep = prop_oneof![0..5_u64, 0..500_u64];
    prop_oneof![
        3 => (question(), vec(0..=1000_u16, 0..9)).prop_map(|(question, nth)| Step::Removable { question, nth }),
        1 => (rooms(), keep, place()).prop_map(|(room, keep, upto)| Step::FloorFor { room, keep, upto }),
        2 => (rooms(), place()).prop_map(|(room, of)| Step::Versions { room, of }),
        4 => (question(), prop_oneof![0..6_u32, limit()])
            .prop_map(|(question, limit)| Step::Reactions(Question { limit, ..question })),
        2 => reaction().prop_map(Step::Reaction),
    ]
}

fn about_changes() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (rooms(), place(), limit()).prop_map(|(room, after, limit)| Step::Changes { room, after, limit }),
        1 => (rooms(), 1..9_u32).prop_map(|(room, limit)| Step::FollowChanges { room, limit }),
        3 => (rooms(), prop_oneof![place(), due()], limit()).prop_map(|(room, now, limit)| Step::Due { room, now, limit }),
        1 => Just(Step::Sweep),
        1 => vec(0..ROOMS, 0..4).prop_map(Step::Erase),
    ]
}

fn selected() -> impl Strategy<Value = Selected> {
    let user = || 0..2_u8;
    prop_oneof![
        user().prop_map(Selected::Author),
        user().prop_map(Selected::Sender),
        user().prop_map(Selected::Recipient),
        (user(), user()).prop_map(|(from, to)| Selected::Pair(from, to)),
        (user(), user()).prop_map(|(one, other)| Selected::Conversation(one, other)),
        user().prop_map(Selected::AuthorIn),
        option::of(user()).prop_map(Selected::ChannelAnd),
    ]
}

fn question() -> impl Strategy<Value = Question> {
    let span = prop_oneof![2 => Just((Place::Start, Place::End)), 5 => (place(), place())];
    let order = prop_oneof![Just(Order::Ascending), Just(Order::Descending)];
    let above = option::weighted(0.2, 0..400_u64);
    let filters = (option::weighted(0.2, 0..3 * AUTHORS), option::weighted(0.2, 0..TYPES));
    let now = prop_oneof![2 => Just(Place::Start), 2 => place(), 3 => due()];
    (rooms(), span, order, limit(), above, filters, now).prop_map(
        |(room, (after, upto), order, limit, above, (author, custom_type), now)| Question {
            room,
            after,
            upto,
            order,
            limit,
            above,
            author,
            custom_type,
            now,
        },
    )
}

/// One channel gets most messages, so that it grows over the borders of blocks.
pub(super) fn rooms() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), 0..ROOMS]
}

fn due() -> impl Strategy<Value = Place> {
    (0..=1000_u16, any::<bool>()).prop_map(|(thousandths, early)| Place::Due { thousandths, early })
}

pub(super) fn place() -> impl Strategy<Value = Place> {
    let offset = prop_oneof![3 => Just(0), 3 => -1..=1_i64, 1 => -300..=300_i64];
    prop_oneof![
        1 => Just(Place::Start),
        1 => Just(Place::End),
        1 => Just(Place::Near { thousandths: 0, offset: 0 }),
        8 => (0..=1000_u16, offset).prop_map(|(thousandths, offset)| Place::Near { thousandths, offset }),
    ]
}

fn limit() -> impl Strategy<Value = u32> {
    prop_oneof![1 => Just(0), 6 => 1..30_u32, 3 => 30..300_u32, 1 => Just(u32::MAX)]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        15 => Just(Outcome::Happens),
        1 => Just(Outcome::Refused),
        1 => Just(Outcome::UnknownWritten),
        1 => Just(Outcome::UnknownLost),
    ]
}

fn passing() -> impl Strategy<Value = u64> {
    let hour = 3600 * TICKS_PER_SECOND;
    prop_oneof![4 => 1..TICKS_PER_SECOND, 2 => hour..20 * hour, 1 => 24 * hour..72 * hour]
}
