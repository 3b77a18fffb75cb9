//! Whether two stores answer every question alike, but for the seqs of each channel.

use super::pages;
use model::{
    AppId, Channel, Effort, Id, Message, Order, Page, Position, Removal, Selection, SelectionWindow, Selector, Seq,
    ShardId, Span, Store, Target, Window,
};
use std::sync::Arc;
use store::KeptStore;

/// Messages of a channel at which spans begin and end.
const PLACES: usize = 6;

/// Two stores that answer the same, but for the seqs of each channel, which all differ by as much.
pub(super) struct Alike<'a> {
    pub one: &'a KeptStore,
    pub other: &'a KeptStore,
}

impl Alike<'_> {
    pub fn assert(&self, app: &AppId) {
        let listed = |store: &KeptStore| store.all_channels(app, None, 1000).expect("listed");
        let names = |store: &KeptStore| listed(store).into_iter().map(|entry| entry.channel).collect::<Vec<_>>();
        assert_eq!(names(self.one), names(self.other));
        names(self.one).iter().for_each(|channel| self.assert_channel(channel));
        for id in ["user 0", "user 1", "ann"] {
            for selector in [Selector::Author(id.into()), Selector::Sender(id.into()), Selector::Recipient(id.into())] {
                self.assert_selected(app, &Selection::new(vec![selector]).expect("valid"));
            }
        }
        let due = |store: &KeptStore| {
            let due = store.due(ShardId::default(), Id::MAX.previous(), 10_000).expect("read");
            let of_app = due.into_iter().filter(|due| due.channel.app == *app);
            let ids = |due: model::Due| (due.channel, due.messages.iter().map(|at| at.id).collect::<Vec<_>>());
            of_app.map(ids).collect::<Vec<_>>()
        };
        assert_eq!(due(self.one), due(self.other));
    }

    fn shift(&self, channel: &Channel) -> i64 {
        let last = |store: &KeptStore| store.heads(std::slice::from_ref(channel)).expect("read")[0].last;
        let (one, other) = (last(self.one), last(self.other));
        assert_eq!(one.id, other.id, "{channel:?}");
        other.seq.0 - one.seq.0
    }

    fn assert_channel(&self, channel: &Channel) {
        let (Alike { one, other }, shift) = (self, self.shift(channel));
        let moved = |seq: Seq| Seq(seq.0 + shift);
        let of_one: Vec<Page> = pages(one, channel).into_iter().map(|page| moved_page(page, shift)).collect();
        let of_other = pages(other, channel);
        assert_eq!(of_one, of_other, "{channel:?}");
        let gone = |store: &KeptStore| store.gone(channel, Span::ALL, 10_000).expect("read");
        let of_one_gone: Vec<_> =
            gone(one).into_iter().map(|(at, is)| (Position { seq: moved(at.seq), ..at }, is)).collect();
        assert_eq!(of_one_gone, gone(other));
        let removable = |store: &KeptStore| -> Removal {
            store.removable(channel, &Target::Span(Span::ALL), Id::MIN).expect("looked up")
        };
        assert_eq!(moved_removal(&removable(one), shift), removable(other));
        let reactions = |store: &KeptStore| store.reactions(channel, Span::ALL, None, 10_000).expect("read");
        assert_eq!(reactions(one), reactions(other));
        let made = |store: &KeptStore| store.reactions_made(channel, Span::ALL, Order::Descending, 10_000);
        assert_eq!(made(one).expect("read"), made(other).expect("read"));
        let changes = |store: &KeptStore| {
            let page = store.changes(channel, Id::MIN, 10_000).expect("read");
            (page.changes.iter().map(|change| change.id()).collect::<Vec<_>>(), page.starts_after)
        };
        let (of_one, of_other_changes) = (changes(one), changes(other));
        // An erasure takes the feed of a channel that is there.
        assert!(of_one.0 == of_other_changes.0 && of_one.1 >= of_other_changes.1, "{of_one:?} {of_other_changes:?}");
        for message in &of_other.last().expect("a page of all").messages {
            let upto = Span { after: Id::MIN, upto: message.id };
            for now in [Id::MIN, Id::MAX.previous()] {
                let count = |store: &KeptStore, above| store.count(channel, upto, above, now).expect("counted");
                assert_eq!(count(one, Seq::NONE), count(other, Seq::NONE));
                assert_eq!(count(one, Seq(3)), count(other, moved(Seq(3))));
            }
            let versions = |store: &KeptStore| store.versions(channel, message.id).expect("read");
            assert_eq!(versions(one), versions(other));
            assert_eq!(other.position_of(channel, message.id).expect("read").map(|at| at.seq), Some(message.seq));
        }
        for keep in [0, 1, 5, 1000] {
            let floor = |store: &KeptStore| store.floor_for(channel, keep, Id::MAX).expect("looked up");
            assert_eq!(floor(one).id, floor(other).id);
        }
        let all = &of_other.last().expect("a page of all").messages;
        all.iter().step_by(1 + all.len() / PLACES).for_each(|message| self.assert_place(channel, message, shift));
    }

    /// What begins or ends at a message, by its id or by its seq.
    fn assert_place(&self, channel: &Channel, message: &Message, shift: i64) {
        let (id, seq) = (message.id, message.seq);
        let above = |store: &KeptStore, order, above: Seq| {
            let (span, limit, author, custom_type, now) = (Span::ALL, 5, None, None, Id::MIN);
            let window = Window { span, order, limit, above, author, custom_type, now };
            store.read(channel, &window, Effort::Disk).expect("read").expect("from the disk")
        };
        for order in [Order::Ascending, Order::Descending] {
            let of_one = above(self.one, order, Seq(seq.0 - shift));
            assert_eq!(moved_page(of_one, shift), above(self.other, order, seq));
        }
        let behind = Span { after: id, upto: Id::MAX };
        let up_to = Span { after: Id::MIN, upto: id };
        for target in [Target::Span(behind), Target::Span(up_to), Target::Ids(vec![id.previous(), id])] {
            let removable = |store: &KeptStore| store.removable(channel, &target, Id::MIN).expect("looked up");
            assert_eq!(moved_removal(&removable(self.one), shift), removable(self.other));
        }
        let same = |ask: &dyn Fn(&KeptStore) -> u64| assert_eq!(ask(self.one), ask(self.other));
        same(&|store| store.count(channel, behind, Seq::NONE, Id::MIN).expect("counted"));
        same(&|store| store.floor_for(channel, 1, id).expect("looked up").id.raw());
    }

    fn assert_selected(&self, app: &AppId, selection: &Selection) {
        let selected = |store: &KeptStore| {
            let (span, order, now) = (Span::ALL, Order::Ascending, Id::MIN);
            let window = SelectionWindow { span, order, offset: 0, limit: 1000, now };
            let page = store.select(app, selection, &window).expect("selected");
            let total = store.count_selected(app, selection, span, now).expect("counted");
            let behind = SelectionWindow { order: Order::Descending, offset: total / 3, limit: 5, ..window };
            let behind = store.select(app, selection, &behind).expect("selected");
            let payload = |message: &Message| (message.id, message.payload.clone());
            let hits = page.messages.iter().chain(&behind.messages);
            (hits.map(|hit| (hit.channel.clone(), payload(&hit.message))).collect::<Vec<_>>(), total)
        };
        assert_eq!(selected(self.one), selected(self.other));
    }
}

fn moved_page(mut page: Page, shift: i64) -> Page {
    page.floor.seq.0 += shift;
    page.head.seq.0 += shift;
    page.messages.iter_mut().for_each(|message| Arc::make_mut(message).seq.0 += shift);
    page
}

fn moved_removal(removal: &Removal, shift: i64) -> Removal {
    let mut removal = removal.clone();
    removal.seqs.iter_mut().for_each(|range| {
        range.first.0 += shift;
        range.last.0 += shift;
    });
    removal
}
