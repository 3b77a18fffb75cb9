//! What a batch of a random run is made of, in words that mean something whatever was done before.

use super::steps::{AUTHORS, KEYS, Place, RECORDS, TYPES, place, rooms};
use model::TICKS_PER_SECOND;
use proptest::{collection::vec, option, prelude::*};

/// One or several changes of a batch; none, when there is nothing that it could be about.
#[expect(missing_docs, reason = "the comment of a variant tells its fields")]
#[derive(Clone, Debug)]
pub enum Draft {
    /// So many messages.
    Publish {
        /// In which channel.
        room: u8,
        /// How many.
        copies: u8,
        /// Bytes of each payload.
        size: u32,
        /// By whom.
        author: Option<u8>,
        /// To whom.
        recipient: Option<u8>,
        /// Of which type.
        custom_type: Option<u8>,
        /// Due so many ticks after the first.
        due_in: Option<u64>,
        /// Under which key the first one is, unless that was used lately.
        key: Option<u8>,
    },
    /// A record is set to a value of so many bytes, or deleted.
    Set { name: u8, size: Option<u16> },
    /// The message so many thousandths into the channel, there or not, gets a payload and perhaps extras of so many bytes.
    Edit { room: u8, thousandths: u16, size: u32, extras: Option<u8> },
    /// Of the edits of the message so many thousandths into those that were edited, every other one or all are taken back.
    Unedit { room: u8, thousandths: u16, all: bool },
    /// What is there between two places goes.
    Delete { room: u8, after: Place, upto: Place },
    /// Of the messages so many thousandths into the channel, those go that are there.
    DeleteSome { room: u8, nth: Vec<u16> },
    /// At most so many go of those that are due.
    Expire { room: u8, limit: usize },
    /// The message so many thousandths into the channel is the floor, if that is above it.
    Floor { room: u8, thousandths: u16 },
    /// A reaction, unless it stands.
    React(ReactionDraft),
    /// The reaction so many thousandths into those of the channel that were not taken back is taken back.
    Unreact { room: u8, thousandths: u16 },
}

/// A reaction to what is at a place.
#[derive(Clone, Debug)]
pub struct ReactionDraft {
    /// In which channel.
    pub room: u8,
    /// The id of its message, or one beside it.
    pub to: Place,
    /// By whom.
    pub user: u8,
    /// Which one.
    pub value: u8,
}

/// One draft.
pub(super) fn draft() -> impl Strategy<Value = Draft> {
    let size = option::weighted(0.7, prop_oneof![4 => 0..50_u16, 1 => 0..5_000_u16]);
    prop_oneof![
        8 => publish(),
        2 => (0..RECORDS, size).prop_map(|(name, size)| Draft::Set { name, size }),
        3 => edit(),
        1 => (rooms(), 0..=1000_u16, any::<bool>())
            .prop_map(|(room, thousandths, all)| Draft::Unedit { room, thousandths, all }),
        3 => removal(),
        3 => reaction().prop_map(Draft::React),
        1 => (rooms(), 0..=1000_u16).prop_map(|(room, thousandths)| Draft::Unreact { room, thousandths }),
    ]
}

fn publish() -> impl Strategy<Value = Draft> {
    let copies = prop_oneof![6 => 1..4_u8, 2 => 4..40_u8, 1 => 100..=255_u8];
    let size = prop_oneof![8 => 0..200_u32, 2 => 0..3_000_u32, 1 => 0..70_000_u32];
    let users = (option::of(0..AUTHORS), option::of(0..AUTHORS));
    let custom_type = option::weighted(0.3, 0..TYPES);
    let publish = (rooms(), copies, size, users, custom_type, due_in(), option::weighted(0.2, 0..KEYS));
    publish.prop_map(|(room, copies, size, (author, recipient), custom_type, due_in, key)| {
        // Many large ones would only make a run slow.
        let size = if copies > 40 { size.min(300) } else { size };
        Draft::Publish { room, copies, size, author, recipient, custom_type, due_in, key }
    })
}

fn edit() -> impl Strategy<Value = Draft> {
    let size = prop_oneof![8 => 0..200_u32, 1 => 0..70_000_u32];
    (rooms(), 0..=1000_u16, size, option::weighted(0.3, 0..100_u8))
        .prop_map(|(room, thousandths, size, extras)| Draft::Edit { room, thousandths, size, extras })
}

/// Floors and wide deletions are rare and floors low, so that something is left to ask about.
fn removal() -> impl Strategy<Value = Draft> {
    let low = prop_oneof![12 => 0..200_u16, 1 => 0..=1000_u16];
    let limit = prop_oneof![2 => 1..5_usize, 1 => Just(usize::MAX)];
    let narrow = (0..=1000_u16, 0..60_u16).prop_map(|(thousandths, width)| {
        let place = |thousandths| Place::Near { thousandths, offset: 0 };
        (place(thousandths), place(thousandths + width))
    });
    let span = prop_oneof![6 => narrow, 1 => (place(), place())];
    prop_oneof![
        3 => (rooms(), span).prop_map(|(room, (after, upto))| Draft::Delete { room, after, upto }),
        3 => (rooms(), vec(0..=1000_u16, 1..12)).prop_map(|(room, nth)| Draft::DeleteSome { room, nth }),
        3 => (rooms(), limit).prop_map(|(room, limit)| Draft::Expire { room, limit }),
        1 => (rooms(), low).prop_map(|(room, thousandths)| Draft::Floor { room, thousandths }),
    ]
}

/// Few users and values, so that the same reaction comes again.
pub(super) fn reaction() -> impl Strategy<Value = ReactionDraft> {
    let on_message = (0..=1000_u16).prop_map(|thousandths| Place::Near { thousandths, offset: 0 });
    let to = prop_oneof![4 => on_message, 1 => place(), 2 => Just(Place::Near { thousandths: 0, offset: 0 })];
    (rooms(), to, 0..AUTHORS, 0..2_u8).prop_map(|(room, to, user, value)| ReactionDraft { room, to, user, value })
}

fn due_in() -> impl Strategy<Value = Option<u64>> {
    option::weighted(0.2, prop_oneof![1..500_u64, 1..TICKS_PER_SECOND, Just(86_400 * TICKS_PER_SECOND)])
}
