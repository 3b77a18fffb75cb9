//! Stores that answer wrongly in one way each: the suite and the random runs find every one of them.

use model::{
    AppId, Change, ChangesPage, Channel, ChannelChange, ChannelEntry, ChannelName, Due, Edit, Effort, Id, Order, Page,
    Position, Reaction, ReactionAt, ReactionEntry, Removal, Result, Selection, SelectionPage, SelectionWindow, Seq,
    ShardId, Span, Store, Target, Version, What, Window,
};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use testkit::{MemoryStore, StoreWrapper, Wrapped, random, store_suite, store_suite::StoreUnderTest};

/// A wrong answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lie {
    /// Pages show edited messages without the id of the edit.
    HidesThatItWasEdited,
    /// Pages do not tell what was deleted.
    HidesDeletions,
    /// Pages take what is deleted for expired.
    MixesDeletedAndExpired,
    /// Pages name no floor.
    HidesTheFloor,
    /// A page that ends early claims the next id, too.
    CoversOneTooMany,
    /// Counts leave nothing out at the lower end.
    CountsOneTooMany,
    /// A removal would take what is due, too.
    RemovesWhatIsDue,
    /// The first range of a removal is one too long.
    RemovesANeighbour,
    /// Ids of a removal are not named.
    NamesNoIds,
    /// A floor takes one of those to be kept.
    FloorsOneTooMany,
    /// A floor does not look at the age.
    FloorsWhatIsYoung,
    /// The oldest version is lost.
    ForgetsTheFirstVersion,
    /// Versions come newest first.
    TurnsVersionsRound,
    /// Reactions come by their own ids.
    ListsReactionsByTime,
    /// Reactions of a span, and those of the message below it.
    ListsReactionsBesideTheSpan,
    /// Reactions of a page come again with the next one.
    PagesReactionsTwice,
    /// Reactions are taken from the wrong end.
    TakesReactionsFromTheOtherEnd,
    /// Reactions differ by user and message only.
    MixesReactions,
    /// The change feed tells again where it ended.
    TellsChangesTwice,
    /// The change feed leaves one out when it is resumed.
    SkipsAChange,
    /// The change feed claims to begin later than it does.
    ForgetsChanges,
    /// What is due, but for the earliest.
    ForgetsTheEarliestDue,
    /// What is due in a moment.
    IsEarly,
    /// A selection leaves out one more than its offset.
    SkipsOneTooMany,
    /// A selection is told from its beginning, whatever was asked.
    SelectsFromTheOtherEnd,
    /// A count of a selection has what is due, too.
    SelectsWhatIsDue,
    /// Edits that were taken back are among the versions.
    RemembersWhatWasTakenBack,
    /// Only channels with names in the clear are listed.
    OverlooksDirectChats,
}

const LIES: [Lie; 28] = [
    Lie::HidesThatItWasEdited,
    Lie::HidesDeletions,
    Lie::MixesDeletedAndExpired,
    Lie::HidesTheFloor,
    Lie::CoversOneTooMany,
    Lie::CountsOneTooMany,
    Lie::RemovesWhatIsDue,
    Lie::RemovesANeighbour,
    Lie::NamesNoIds,
    Lie::FloorsOneTooMany,
    Lie::FloorsWhatIsYoung,
    Lie::ForgetsTheFirstVersion,
    Lie::TurnsVersionsRound,
    Lie::ListsReactionsByTime,
    Lie::ListsReactionsBesideTheSpan,
    Lie::PagesReactionsTwice,
    Lie::TakesReactionsFromTheOtherEnd,
    Lie::MixesReactions,
    Lie::TellsChangesTwice,
    Lie::SkipsAChange,
    Lie::ForgetsChanges,
    Lie::ForgetsTheEarliestDue,
    Lie::IsEarly,
    Lie::SkipsOneTooMany,
    Lie::SelectsFromTheOtherEnd,
    Lie::SelectsWhatIsDue,
    Lie::RemembersWhatWasTakenBack,
    Lie::OverlooksDirectChats,
];

/// What the suite and the random runs drive.
struct LyingStore(Wrapped<Liar>);

impl LyingStore {
    fn open(lie: Lie) -> LyingStore {
        LyingStore(Wrapped(Liar { truth: MemoryStore::new(), lie }))
    }
}

impl StoreUnderTest for LyingStore {
    fn store(&self) -> &dyn Store {
        &self.0
    }

    fn restart(self) -> LyingStore {
        let Wrapped(Liar { truth, lie }) = self.0;
        LyingStore(Wrapped(Liar { truth: truth.restart(), lie }))
    }
}

struct Liar {
    truth: MemoryStore,
    lie: Lie,
}

impl Liar {
    /// Every content that a message has had, taken back or not.
    fn every_version(&self, channel: &Channel, message: Id) -> Vec<Version> {
        let edits = self.truth.stored_changes(ShardId(0));
        let mut versions = self.truth.versions(channel, message).expect("the oracle answers");
        versions.truncate(1);
        for change in &edits {
            if let Change::Channel(ChannelChange { id, channel: of, what: What::Edited(edit), .. }) = &**change
                && (of, edit.message) == (channel, message)
            {
                let Edit { editor, payload, extras, .. } = Edit::clone(edit);
                versions.push(Version { at: *id, by: editor, payload, extras });
            }
        }
        versions
    }
}

fn is_found(find: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(find)).is_err()
}

/// The promises of the suite that are about what happens to messages.
fn keeps_its_promises(lie: Lie) {
    let open = || LyingStore::open(lie);
    store_suite::the_newest_edit_is_what_readers_see(open);
    store_suite::edits_that_were_taken_back_were_never_made(open);
    store_suite::reactions_to_one_message_are_paged(open);
    store_suite::all_channels_are_listed_once(open);
    store_suite::what_a_removal_would_take_is_resolved(open);
    store_suite::a_deletion_takes_exactly_what_it_names(open);
    store_suite::expiry_reads_alike_before_and_after_it_is_applied(open);
    store_suite::a_floor_takes_everything_below(open);
    store_suite::floors_are_found_by_count_and_age(open);
    store_suite::a_reaction_stands_until_it_is_taken_back(open);
    store_suite::reactions_are_listed_by_message_and_by_time(open);
    store_suite::a_channel_tells_its_changes_in_order(open);
    store_suite::what_is_due_is_told_until_it_is_gone(open);
    store_suite::a_selection_is_what_its_selectors_say(open);
}

#[test]
fn the_suite_finds_every_lie() {
    let missed: Vec<Lie> = LIES.into_iter().filter(|&lie| !is_found(|| keeps_its_promises(lie))).collect();
    assert_eq!(missed, []);
}

#[test]
fn random_operations_find_every_lie() {
    let config = Config { cases: 300, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let is_missed = |lie: &Lie| {
        let mut runner = TestRunner::new_with_rng(config.clone(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
        let drive =
            |steps: Vec<random::Step>| random::drive(|| LyingStore::open(*lie), &steps).map_err(TestCaseError::fail);
        runner.run(&random::steps(), drive).is_ok()
    };
    let missed: Vec<Lie> = LIES.into_iter().filter(is_missed).collect();
    assert_eq!(missed, []);
}

impl StoreWrapper for Liar {
    fn inner(&self) -> Result<&dyn Store> {
        Ok(&self.truth)
    }

    fn read(&self, channel: &Channel, window: &Window, effort: Effort) -> Result<Option<Page>> {
        let Some(mut page) = self.truth.read(channel, window, effort)? else { return Ok(None) };
        match self.lie {
            Lie::HidesThatItWasEdited => {
                page.messages.iter_mut().for_each(|message| Arc::make_mut(message).edited_at = None);
            }
            Lie::HidesDeletions => page.removed.deleted = 0,
            Lie::MixesDeletedAndExpired => {
                (page.removed.deleted, page.removed.expired) = (page.removed.expired, page.removed.deleted);
            }
            Lie::HidesTheFloor => page.floor = Position::default(),
            Lie::CoversOneTooMany if page.more && window.order == Order::Ascending => {
                page.covered.upto = Id::from_raw(page.covered.upto.raw() + 256);
            }
            _ => {}
        }
        Ok(Some(page))
    }

    fn count(&self, channel: &Channel, span: Span, above: Seq, now: Id) -> Result<u64> {
        let after = if self.lie == Lie::CountsOneTooMany { span.after.previous() } else { span.after };
        self.truth.count(channel, Span { after, ..span }, above, now)
    }

    fn select(&self, app: &AppId, selection: &Selection, window: &SelectionWindow) -> Result<SelectionPage> {
        let mut window = *window;
        match self.lie {
            Lie::SkipsOneTooMany => window.offset += 1,
            Lie::SelectsFromTheOtherEnd => window.order = Order::Ascending,
            _ => {}
        }
        self.truth.select(app, selection, &window)
    }

    fn count_selected(&self, app: &AppId, selection: &Selection, span: Span, now: Id) -> Result<u64> {
        let now = if self.lie == Lie::SelectsWhatIsDue { Id::MIN } else { now };
        self.truth.count_selected(app, selection, span, now)
    }

    fn removable(&self, channel: &Channel, target: &Target, now: Id) -> Result<Removal> {
        let now = if self.lie == Lie::RemovesWhatIsDue { Id::MIN } else { now };
        let mut removal = self.truth.removable(channel, target, now)?;
        match (self.lie, removal.seqs.first_mut()) {
            (Lie::RemovesANeighbour, Some(range)) => range.last = range.last.next(),
            (Lie::NamesNoIds, _) => removal.ids.clear(),
            _ => {}
        }
        Ok(removal)
    }

    fn floor_for(&self, channel: &Channel, keep: u64, upto: Id) -> Result<Position> {
        let keep = if self.lie == Lie::FloorsOneTooMany { keep.saturating_sub(1) } else { keep };
        self.truth.floor_for(channel, keep, if self.lie == Lie::FloorsWhatIsYoung { Id::MAX } else { upto })
    }

    fn versions(&self, channel: &Channel, message: Id) -> Result<Vec<Version>> {
        let mut versions = self.truth.versions(channel, message)?;
        match self.lie {
            Lie::ForgetsTheFirstVersion if versions.len() > 1 => drop(versions.remove(0)),
            Lie::TurnsVersionsRound => versions.reverse(),
            Lie::RemembersWhatWasTakenBack if !versions.is_empty() => versions = self.every_version(channel, message),
            _ => {}
        }
        Ok(versions)
    }

    fn reactions(
        &self,
        channel: &Channel,
        messages: Span,
        after: Option<ReactionAt>,
        limit: u32,
    ) -> Result<Vec<ReactionEntry>> {
        let beside = self.lie == Lie::ListsReactionsBesideTheSpan;
        let lower = if beside { messages.after.previous() } else { messages.after };
        let again = self.lie == Lie::PagesReactionsTwice;
        let after =
            after.map(|at| ReactionAt { reaction: if again { at.reaction.previous() } else { at.reaction }, ..at });
        let mut entries = self.truth.reactions(channel, Span { after: lower, ..messages }, after, limit)?;
        if self.lie == Lie::ListsReactionsByTime {
            entries.sort_by_key(|entry| entry.id);
        }
        Ok(entries)
    }

    fn reactions_made(&self, channel: &Channel, span: Span, order: Order, limit: u32) -> Result<Vec<ReactionEntry>> {
        let order = if self.lie == Lie::TakesReactionsFromTheOtherEnd { Order::Ascending } else { order };
        self.truth.reactions_made(channel, span, order, limit)
    }

    fn reaction(&self, channel: &Channel, reaction: &Reaction) -> Result<Option<Id>> {
        if self.lie != Lie::MixesReactions {
            return self.truth.reaction(channel, reaction);
        }
        let made = self.truth.reactions_made(channel, Span::ALL, Order::Ascending, u32::MAX)?;
        let same = |entry: &&ReactionEntry| {
            (entry.reaction.message, &entry.reaction.user) == (reaction.message, &reaction.user)
        };
        Ok(made.iter().find(same).map(|entry| entry.id))
    }

    fn changes(&self, channel: &Channel, after: Id, limit: u32) -> Result<ChangesPage> {
        let from = match self.lie {
            Lie::TellsChangesTwice => after.previous(),
            Lie::SkipsAChange if after > Id::MIN => {
                self.truth.changes(channel, after, 1)?.changes.first().map_or(after, |change| change.id())
            }
            _ => after,
        };
        let mut page = self.truth.changes(channel, from, limit)?;
        if self.lie == Lie::ForgetsChanges {
            page.starts_after = page.examined;
            page.changes.clear();
        }
        Ok(page)
    }

    fn due(&self, shard: ShardId, now: Id, limit: u32) -> Result<Vec<Due>> {
        let early = if self.lie == Lie::IsEarly { 256 } else { 0 };
        let mut due = self.truth.due(shard, Id::from_raw(now.raw().saturating_add(early)), limit)?;
        if self.lie == Lie::ForgetsTheEarliestDue
            && let Some(first) = due.first_mut()
            && first.messages.len() > 1
        {
            first.messages.remove(0);
        }
        Ok(due)
    }

    fn all_channels(&self, app: &AppId, after: Option<&ChannelName>, limit: u32) -> Result<Vec<ChannelEntry>> {
        match self.lie {
            Lie::OverlooksDirectChats => self.truth.channels(app, "", after, limit),
            _ => self.truth.all_channels(app, after, limit),
        }
    }
}
