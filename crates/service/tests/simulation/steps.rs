//! What can happen in a run, in words that mean something whatever happened before, so that any part of a run is a run.

use proptest::{
    collection::vec,
    option,
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use testkit::{Outcome, random::Place};

/// Channels: five with names in the clear, a direct chat, one of a directory.
pub const ROOMS: u8 = 7;
/// Those of them with names in the clear come first.
pub const NAMED: u8 = 5;
/// Users who write and are written to.
pub const USERS: u8 = 3;
/// Callers, each with another access (`cast.rs`).
pub const CALLERS: u8 = 7;
/// Topics to follow (`cast.rs`).
pub const TOPICS: u8 = 14;
/// Who may follow at once.
pub const FOLLOWERS: u8 = 3;
/// Steps of a run.
const STEPS: usize = 90;

/// On what a run stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    /// On the real store on memory devices, else on its oracle.
    pub kept: bool,
    /// With bounds so small that they are reached: mailboxes, deliveries, what the sequencer remembers, tails.
    pub small: bool,
    /// Nothing is found in memory: each page is read by a thread that may block.
    pub cold: bool,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// A caller publishes in a room.
    Publish {
        by: u8,
        room: u8,
        said: Said,
    },
    /// A message in each of these rooms, in one call.
    PublishAll {
        rooms: Vec<u8>,
    },
    /// The same from as many callers at once, every third one a signal; meanwhile all of a room is deleted, or a message
    /// of it edited.
    Burst {
        rooms: Vec<u8>,
        meanwhile: Option<Meanwhile>,
    },
    /// A signal.
    Signal {
        room: u8,
    },
    /// The message so many thousandths into the room gets another text.
    Edit {
        by: u8,
        room: u8,
        thousandths: u16,
    },
    /// A deletion.
    Delete {
        by: u8,
        room: u8,
        what: Gone,
    },
    /// A reaction to what is at a place.
    React {
        by: u8,
        room: u8,
        to: Place,
        value: u8,
        must_exist: bool,
    },
    /// The reaction so many thousandths into those that stand is taken back.
    Unreact {
        by: u8,
        room: u8,
        thousandths: u16,
    },
    /// A page.
    Read {
        by: u8,
        room: u8,
        ask: Ask,
    },
    /// A page of every room in one call, with room for so many bytes.
    ReadMany {
        by: u8,
        limit: u32,
        bytes: usize,
    },
    /// A count.
    Count {
        by: u8,
        room: u8,
        after: Place,
        upto: Place,
    },
    /// Part of what one wrote or received, and how much it is.
    Select {
        by: u8,
        which: u8,
        room: u8,
        ask: Ask,
        offset: u64,
    },
    /// All contents that a message has had.
    Versions {
        by: u8,
        room: u8,
        thousandths: u16,
    },
    /// Reactions, by message and by their own ids.
    Reactions {
        by: u8,
        room: u8,
        ask: Ask,
    },
    /// The change feed of a room.
    Changes {
        by: u8,
        room: u8,
        after: Place,
        limit: u32,
    },
    /// The channels that begin so.
    List {
        prefix: usize,
        limit: u32,
    },
    /// Somebody follows these topics, in place of what it followed before.
    Follow {
        who: u8,
        by: u8,
        topics: Vec<u8>,
        from: From,
    },
    /// It takes what is there, in at most so many deliveries.
    Poll {
        who: u8,
        deliveries: usize,
    },
    /// It goes away and remembers its cursor.
    Leave {
        who: u8,
    },
    /// From now on the caller who sees only what came since it joined sees what comes now.
    Join,
    /// A grant on which a caller stands is put again, or revoked.
    Grant {
        revoke: bool,
    },
    /// A room joins the group, or leaves it.
    Group {
        room: u8,
        add: bool,
    },
    /// A connection of a user comes to a room, to be heard of again within so many seconds; or is heard of.
    Arrive {
        user: u8,
        room: u8,
        connection: u8,
        seconds: Option<u16>,
    },
    /// A connection goes.
    Depart {
        user: u8,
        room: u8,
        connection: u8,
    },
    /// What a room, or the whole app, keeps.
    Retain {
        room: Option<u8>,
        keep: Option<Keep>,
    },
    /// A legal hold on a room, or on a user.
    Hold {
        room: Option<u8>,
        user: u8,
    },
    /// The hold is released.
    Release {
        room: Option<u8>,
        user: u8,
    },
    /// A person is erased.
    Erase {
        user: u8,
    },
    /// Rounds of maintenance, to the end.
    Maintain,
    /// Time passes.
    Pass {
        ms: u64,
    },
    /// The wall clock is set back, or ahead.
    SetBack {
        seconds: u64,
    },
    SetAhead {
        seconds: u64,
    },
    /// The next batch ends like this.
    Fails(Outcome),
    /// So many reads of the store fail.
    ReadsFail {
        room: u8,
        reads: u8,
    },
    /// The program is stopped and started. With `forget` the recent ring begins where it ends.
    Restart {
        forget: bool,
    },
    /// It ends without a warning, with the power if it has any.
    Crash,
    /// It ends while nobody knows whether a batch was written.
    CrashInDoubt {
        rooms: Vec<u8>,
        written: bool,
    },
    /// The tail goes into the tables; the write after so many spaces fails first.
    Flush {
        fails_after: Option<u8>,
    },
    /// The power is cut in the middle of that.
    CutInFlush {
        seed: u64,
    },
}

/// A message.
#[derive(Clone, Default, Debug)]
pub struct Said {
    /// By whom.
    pub author: Option<u8>,
    /// To whom.
    pub recipient: Option<u8>,
    /// Of which type.
    pub custom_type: Option<u8>,
    /// For how many seconds.
    pub ttl: Option<u16>,
    /// Under which key; the text is then always the same, or with `other` another one.
    pub key: Option<u8>,
    /// See `key`.
    pub other: bool,
    /// Whether it is live only.
    pub unstored: bool,
    /// How many bytes it is longer than it needs to be.
    pub padding: u16,
}

/// What happens to a room while many publish.
#[derive(Clone, Copy, Debug)]
pub enum Meanwhile {
    /// All of it is deleted.
    DeleteAll(u8),
    /// Its newest message is edited.
    EditLast(u8),
}

/// What is deleted.
#[derive(Clone, Debug)]
pub enum Gone {
    /// Those so many thousandths into the room.
    Some(Vec<u16>),
    /// Everything between two places.
    Between(Place, Place),
    /// Everything.
    All,
}

/// What is asked of history.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The lower bound of a span; or around what, when there is no upper one.
    pub after: Place,
    /// Its upper bound.
    pub upto: Option<Place>,
    /// From its newest end.
    pub newest: bool,
    /// At most so many.
    pub limit: u32,
    /// Of this author only.
    pub author: Option<u8>,
    /// Of this type only.
    pub custom_type: Option<u8>,
}

/// From where somebody follows.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// From now on.
    Now,
    /// From its last cursor.
    Cursor,
    /// From the beginning.
    Beginning,
}

/// What is kept.
#[derive(Clone, Copy, Debug)]
pub enum Keep {
    /// So many messages.
    Messages(u8),
    /// For so many seconds.
    Seconds(u16),
}

/// The setup and the steps that follow from a seed.
pub fn of_seed(seed: u64) -> (Setup, Vec<Step>) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let run = (setup(), vec(step(), 1..STEPS)).new_tree(&mut runner).expect("steps are made of nothing else");
    run.current()
}

fn setup() -> impl Strategy<Value = Setup> {
    (any::<bool>(), any::<bool>(), option::weighted(0.2, Just(()))).prop_map(|(kept, small, cold)| Setup {
        kept,
        small,
        cold: cold.is_some(),
    })
}

fn step() -> impl Strategy<Value = Step> {
    // On the heap: all of these together are more than the stack of a test takes.
    prop_oneof![
        30 => writes().boxed(),
        12 => alters().boxed(),
        26 => asks().boxed(),
        20 => follows().boxed(),
        8 => keeps().boxed(),
        10 => goes_wrong().boxed(),
    ]
}

fn writes() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (by(), rooms(), said()).prop_map(|(by, room, said)| Step::Publish { by, room, said }),
        5 => vec(rooms(), 1..20).prop_map(|rooms| Step::PublishAll { rooms }),
        2 => (vec(rooms(), 2..12), option::of(meanwhile())).prop_map(|(rooms, meanwhile)| Step::Burst { rooms, meanwhile }),
        1 => rooms().prop_map(|room| Step::Signal { room }),
    ]
}

fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    prop_oneof![rooms().prop_map(Meanwhile::DeleteAll), rooms().prop_map(Meanwhile::EditLast)]
}

fn alters() -> impl Strategy<Value = Step> {
    let gone = prop_oneof![
        4 => vec(thousandths(), 0..5).prop_map(Gone::Some),
        2 => (place(), place()).prop_map(|(a, b)| Gone::Between(a, b)),
        1 => Just(Gone::All),
    ];
    prop_oneof![
        4 => (by(), rooms(), thousandths()).prop_map(|(by, room, thousandths)| Step::Edit { by, room, thousandths }),
        4 => (by(), rooms(), gone).prop_map(|(by, room, what)| Step::Delete { by, room, what }),
        3 => (by(), rooms(), place(), 0..3_u8, any::<bool>())
            .prop_map(|(by, room, to, value, must_exist)| Step::React { by, room, to, value, must_exist }),
        2 => (by(), rooms(), thousandths()).prop_map(|(by, room, thousandths)| Step::Unreact { by, room, thousandths }),
    ]
}

fn asks() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (by(), rooms(), ask()).prop_map(|(by, room, ask)| Step::Read { by, room, ask }),
        2 => (by(), 0..20_u32, prop_oneof![0..2_000_usize, Just(1 << 20)])
            .prop_map(|(by, limit, bytes)| Step::ReadMany { by, limit, bytes }),
        4 => (by(), rooms(), place(), place()).prop_map(|(by, room, after, upto)| Step::Count { by, room, after, upto }),
        4 => (by(), 0..7_u8, rooms(), ask(), 0..8_u64)
            .prop_map(|(by, which, room, ask, offset)| Step::Select { by, which, room, ask, offset }),
        1 => (by(), rooms(), thousandths()).prop_map(|(by, room, thousandths)| Step::Versions { by, room, thousandths }),
        2 => (by(), rooms(), ask()).prop_map(|(by, room, ask)| Step::Reactions { by, room, ask }),
        2 => (by(), rooms(), place(), limit()).prop_map(|(by, room, after, limit)| Step::Changes { by, room, after, limit }),
        1 => (0..3_usize, limit()).prop_map(|(prefix, limit)| Step::List { prefix, limit }),
    ]
}

fn follows() -> impl Strategy<Value = Step> {
    let who = 0..FOLLOWERS;
    let from = prop_oneof![2 => Just(From::Now), 3 => Just(From::Cursor), 2 => Just(From::Beginning)];
    prop_oneof![
        6 => (who.clone(), 0..=CALLERS, vec(0..TOPICS, 1..4), from)
            .prop_map(|(who, by, topics, from)| Step::Follow { who, by, topics, from }),
        8 => (who.clone(), 1..5_usize).prop_map(|(who, deliveries)| Step::Poll { who, deliveries }),
        2 => who.prop_map(|who| Step::Leave { who }),
        1 => Just(Step::Join),
        1 => any::<bool>().prop_map(|revoke| Step::Grant { revoke }),
        2 => (0..NAMED, any::<bool>()).prop_map(|(room, add)| Step::Group { room, add }),
        2 => (0..USERS, 0..NAMED, 0..2_u8, option::of(5..90_u16))
            .prop_map(|(user, room, connection, seconds)| Step::Arrive { user, room, connection, seconds }),
        1 => (0..USERS, 0..NAMED, 0..2_u8)
            .prop_map(|(user, room, connection)| Step::Depart { user, room, connection }),
    ]
}

fn keeps() -> impl Strategy<Value = Step> {
    let keep = prop_oneof![(0..12_u8).prop_map(Keep::Messages), (5..400_u16).prop_map(Keep::Seconds)];
    let held = || option::of(0..ROOMS);
    prop_oneof![
        3 => (option::weighted(0.7, 0..ROOMS), option::of(keep)).prop_map(|(room, keep)| Step::Retain { room, keep }),
        1 => (held(), 0..USERS).prop_map(|(room, user)| Step::Hold { room, user }),
        2 => (held(), 0..USERS).prop_map(|(room, user)| Step::Release { room, user }),
        1 => (0..USERS).prop_map(|user| Step::Erase { user }),
        5 => Just(Step::Maintain),
    ]
}

fn goes_wrong() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        2 => Just(Outcome::Refused), 2 => Just(Outcome::UnknownWritten), 2 => Just(Outcome::UnknownLost)
    ];
    prop_oneof![
        6 => prop_oneof![4 => 1..5_000_u64, 3 => 5_000..200_000_u64, 1 => 3_600_000..100_000_000_u64]
            .prop_map(|ms| Step::Pass { ms }),
        2 => prop_oneof![1..100_u64, Just(3_600)].prop_map(|seconds| Step::SetBack { seconds }),
        2 => prop_oneof![1..100_u64, Just(3_600), Just(365 * 86_400)].prop_map(|seconds| Step::SetAhead { seconds }),
        5 => outcome.prop_map(Step::Fails),
        1 => (rooms(), 1..3_u8).prop_map(|(room, reads)| Step::ReadsFail { room, reads }),
        2 => any::<bool>().prop_map(|forget| Step::Restart { forget }),
        1 => Just(Step::Crash),
        1 => (vec(rooms(), 1..6), any::<bool>()).prop_map(|(rooms, written)| Step::CrashInDoubt { rooms, written }),
        3 => option::weighted(0.3, 0..4_u8).prop_map(|fails_after| Step::Flush { fails_after }),
        1 => any::<u64>().prop_map(|seed| Step::CutInFlush { seed }),
    ]
}

fn said() -> impl Strategy<Value = Said> {
    let who = || option::weighted(0.8, 0..USERS);
    let ttl = option::weighted(0.2, prop_oneof![1..10_u16, 10..400_u16]);
    let padding = prop_oneof![4 => Just(0_u16), 3 => 0..200_u16, 1 => 1_000..3_000_u16];
    let key = option::weighted(0.2, 0..3_u8);
    (who(), who(), option::weighted(0.3, 0..2_u8), ttl, key, any::<bool>(), option::weighted(0.1, Just(())), padding)
        .prop_map(|(author, recipient, custom_type, ttl, key, other, unstored, padding)| Said {
            author,
            recipient,
            custom_type,
            ttl,
            key,
            other,
            unstored: unstored.is_some(),
            padding,
        })
}

fn ask() -> impl Strategy<Value = Ask> {
    let filters = (option::weighted(0.2, 0..USERS), option::weighted(0.15, 0..2_u8));
    (place(), option::weighted(0.8, place()), any::<bool>(), limit(), filters).prop_map(
        |(after, upto, newest, limit, (author, custom_type))| Ask { after, upto, newest, limit, author, custom_type },
    )
}

/// Most callers see everything.
fn by() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), 0..CALLERS]
}

/// One room gets the most messages, so that it is long.
fn rooms() -> impl Strategy<Value = u8> {
    prop_oneof![2 => Just(0), 3 => 0..ROOMS]
}

fn thousandths() -> impl Strategy<Value = u16> {
    0..=1000_u16
}

fn place() -> impl Strategy<Value = Place> {
    let offset = prop_oneof![3 => Just(0), 2 => -1..=1_i64, 1 => -300..=300_i64];
    prop_oneof![
        2 => Just(Place::Start),
        2 => Just(Place::End),
        6 => (thousandths(), offset).prop_map(|(thousandths, offset)| Place::Near { thousandths, offset }),
    ]
}

fn limit() -> impl Strategy<Value = u32> {
    prop_oneof![1 => Just(0), 6 => 1..12_u32, 2 => 12..200_u32]
}
