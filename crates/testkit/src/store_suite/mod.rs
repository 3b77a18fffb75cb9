//! The contract suite of [`model::Store`]: each function is one promise, for any store. A crate runs all of them by
//!
//! ```
//! # use testkit::{MemoryStore, store_suite::StoreUnderTest};
//! # struct MyStore(MemoryStore);
//! # impl MyStore { fn open_empty() -> MyStore { MyStore(MemoryStore::new()) } }
//! # impl StoreUnderTest for MyStore {
//! #     fn store(&self) -> &dyn model::Store { &self.0 }
//! #     fn restart(self) -> MyStore { MyStore(self.0.restart()) }
//! # }
//! testkit::store_suite!(|| MyStore::open_empty());
//! ```
//!
//! in a test file of its own: one `#[test]` comes out for each promise.

mod aftermath;
mod batches;
mod edits;
mod listings;
mod pages;
mod reactions;
mod removals;
mod selections;
mod story;

pub use aftermath::*;
pub use batches::*;
pub use edits::*;
pub use listings::*;
pub use pages::*;
pub use reactions::*;
pub use removals::*;
pub use selections::*;

use story::Story;

use crate::{
    BatchBuilder, Outcome,
    judge::{self, Verdict},
};
use model::{Channel, Effort, Id, Message, Order, Page, Seq, Settled, Span, Store, Window};
use std::sync::Arc;

/// A store and the ways in which a test may treat it.
pub trait StoreUnderTest: Sized {
    /// The store.
    fn store(&self) -> &dyn Store;

    /// Stops it in good order and opens it again.
    fn restart(self) -> Self;

    /// Takes its power away and opens it again. Stores that cannot be treated like that stop in good order.
    fn crash(self) -> Self {
        self.restart()
    }

    /// Lets the next `apply` end like this; `false` if this store cannot be made to, and then the suite leaves out what
    /// needs it and says so.
    fn next_apply(&self, _outcome: Outcome) -> bool {
        false
    }

    /// Does what moves messages to where old ones are kept, if there is such a place. Returns when it is done.
    fn flush(&self) {}
}

/// Makes one `#[test]` of each promise of the suite. Takes an expression that makes an empty [`StoreUnderTest`] each
/// time it is called, `|| …`.
#[macro_export]
macro_rules! store_suite {
    ($open:expr) => {
        $crate::store_suite!($open;
            an_unknown_channel_is_an_empty_page,
            a_page_is_what_its_span_and_limit_say,
            paging_by_covered_visits_each_message_once,
            pages_filter_by_author_and_type,
            a_seq_bound_cuts_like_a_span,
            what_is_due_is_hidden_and_told,
            a_page_stops_at_its_bound_of_bytes,
            large_payloads_come_back_byte_for_byte,
            the_last_batch_again_is_a_no_op,
            a_gap_is_refused_and_changes_nothing,
            an_empty_batch_renews_the_reservation,
            a_refused_batch_leaves_its_number_free,
            settle_decides_a_batch_that_happened,
            settle_decides_a_batch_that_may_be_lost,
            a_doubt_outlives_a_crash,
            what_was_applied_survives_restarts_and_crashes,
            a_full_batch_is_applied_whole,
            reads_never_see_half_a_batch,
            heads_come_in_the_order_asked,
            counts_are_exact_for_any_span,
            keys_are_remembered_for_two_utc_days,
            the_feed_tells_each_change_of_a_span_once,
            recent_changes_are_an_end_of_all_without_a_hole,
            channels_are_listed_in_byte_order,
            all_channels_are_listed_once,
            names_of_any_letters_are_told_apart,
            records_read_as_they_were_last_set,
            records_are_scanned_in_byte_order,
            the_newest_edit_is_what_readers_see,
            edits_go_with_their_message,
            edits_that_were_taken_back_were_never_made,
            the_bound_of_bytes_counts_the_newest_content,
            what_a_removal_would_take_is_resolved,
            a_deletion_takes_exactly_what_it_names,
            pages_tell_what_they_skipped_exactly_once,
            deleting_while_paging_leaves_no_hole,
            expiry_reads_alike_before_and_after_it_is_applied,
            a_floor_takes_everything_below,
            floors_are_found_by_count_and_age,
            removals_stay_exact_among_many_thousands,
            a_removal_in_too_many_pieces_is_refused,
            a_reaction_stands_until_it_is_taken_back,
            reactions_are_listed_by_message_and_by_time,
            reactions_to_one_message_are_paged,
            reactions_go_with_their_message,
            a_channel_tells_its_changes_in_order,
            the_feed_tells_every_kind_of_change,
            what_is_due_is_told_until_it_is_gone,
            sweeping_changes_no_answer,
            erasing_changes_no_answer,
            what_comes_after_a_floor_and_an_erasure_is_read,
            a_selection_is_what_its_selectors_say,
            selections_stay_exact_whatever_happens,
            long_selections_are_ranked_exactly,
            selections_begin_above_their_cuts,
        );
    };
    ($open:expr; $($promise:ident),+ $(,)?) => {
        $(
            #[test]
            fn $promise() {
                $crate::store_suite::$promise($open);
            }
        )+
    };
}

/// A store with a builder of its next batches.
struct Bench<S> {
    tested: S,
    builder: BatchBuilder,
}

impl<S: StoreUnderTest> Bench<S> {
    /// Opens and settles an empty store.
    fn open(open: impl Fn() -> S) -> Bench<S> {
        let bench = Bench { tested: open(), builder: BatchBuilder::new() };
        assert_eq!(bench.settle(), Settled::default(), "an empty store");
        bench
    }

    fn store(&self) -> &dyn Store {
        self.tested.store()
    }

    fn settle(&self) -> Settled {
        self.store().settle(self.builder.shard(), self.builder.epoch()).expect("settle works when nothing is broken")
    }

    /// Applies what was built since the last batch.
    fn apply(&mut self) {
        let batch = self.builder.batch();
        self.store().apply(&batch).expect("a valid batch is applied");
    }

    fn restart(self) -> Bench<S> {
        Bench { tested: self.tested.restart(), builder: self.builder }.taken_over()
    }

    fn crash(self) -> Bench<S> {
        Bench { tested: self.tested.crash(), builder: self.builder }.taken_over()
    }

    fn taken_over(mut self) -> Bench<S> {
        let settled =
            self.store().settle(self.builder.shard(), self.builder.epoch() + 1).expect("settle after a start");
        self.builder.take_over(settled);
        self
    }

    /// Publishes `texts` in one batch.
    fn publish_all(&mut self, channel: &Channel, texts: impl IntoIterator<Item = String>) -> Vec<Arc<Message>> {
        let messages = texts.into_iter().map(|text| self.builder.publish(channel, &text)).collect();
        self.apply();
        messages
    }

    /// Reads a page and holds it against everything that the channel has.
    fn page(&self, channel: &Channel, window: &Window, all: &[Arc<Message>]) -> Page {
        let page = self.store().read(channel, window, Effort::Disk).expect("reads work");
        let page = page.expect("a read that may use the disk has an answer");
        agreed(judge::page(&page, window, all), window);
        let in_memory = self.store().read(channel, window, Effort::Memory).expect("reads work");
        if let Some(in_memory) = in_memory {
            agreed(judge::page(&in_memory, window, all), window);
        }
        page
    }

    /// Walks from page to page by what each covered; all messages in the order of the visit.
    fn walk(&self, channel: &Channel, window: &Window, all: &[Arc<Message>]) -> Vec<Arc<Message>> {
        let mut window = window.clone();
        let mut visited = Vec::new();
        for _ in 0..=2 * all.len() {
            let mut page = self.page(channel, &window, all);
            match window.order {
                Order::Ascending => window.span.after = page.covered.upto,
                Order::Descending => {
                    page.messages.reverse();
                    window.span.upto = page.covered.after;
                }
            }
            visited.append(&mut page.messages);
            if !page.more {
                return visited;
            }
        }
        panic!("paging does not come to an end: {window:?}");
    }
}

/// The newest or oldest `limit` messages of a span, with no filter, long before anything is due.
fn window(span: Span, order: Order, limit: u32) -> Window {
    Window { span, order, limit, above: Seq::NONE, author: None, custom_type: None, now: Id::MIN }
}

fn agreed(verdict: Verdict, asked: impl std::fmt::Debug) {
    if let Err(why) = verdict {
        panic!("{why}\nasked: {asked:?}");
    }
}

fn numbered(range: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    range.map(|n| format!("text {n}"))
}
