//! Promises about edits.

use super::{StoreUnderTest, Story, window};
use crate::channel;
use bytes::Bytes;
use model::{Edit, Effort, Id, Message, Order, Payload, PayloadForm, Position, Span, Store, Target, limits};
use std::sync::Arc;

/// Readers see the newest content with the id of its edit, in the message's own place; versions tell all, oldest first.
pub fn the_newest_edit_is_what_readers_see<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let room = channel("edited");
    let all = story.publish(&room, 0..20);
    story.bench.builder.edit(&room, &all[3], "once");
    story.apply();
    story.bench.tested.flush();
    let first = story.bench.builder.edit(&room, &all[7], "first");
    let second = story.bench.builder.edit(&room, &all[7], "second");
    story.apply();
    let with_extras = Edit {
        message: all[9].id,
        seq: all[9].seq,
        editor: Some(crate::user("editor")),
        payload: Payload { form: PayloadForm::Json, bytes: Bytes::from_static(b"{\"a\": 1}") },
        extras: Some(Bytes::from_static(b"extras")),
    };
    let extras = story.bench.builder.edit_with(&room, with_extras.clone());
    let fresh = story.bench.builder.publish(&room, "published and edited in one batch");
    story.bench.builder.edit(&room, &fresh, "edited at once");
    story.apply();
    story.holds(&[&room], |store| {
        let page = read_all(store, &room);
        let texts: Vec<_> = [3, 7, 9, 20, 4].map(|n: usize| text(&page[n])).into();
        assert_eq!(texts, ["once", "second", "{\"a\": 1}", "edited at once", "text 4"]);
        assert_eq!((page[7].id, page[7].seq, page[7].edited_at), (all[7].id, all[7].seq, Some(second)));
        assert_eq!((&page[9].extras, page[9].payload.form), (&with_extras.extras, PayloadForm::Json));
        assert_eq!(page[4], all[4], "beside them");
        let versions = store.versions(&room, all[7].id).expect("versions are read");
        assert_eq!(versions.iter().map(|version| version.at).collect::<Vec<_>>(), [all[7].id, first, second]);
        let texts: Vec<_> = versions.iter().map(|version| &version.payload.bytes[..]).collect();
        assert_eq!(texts, [&b"text 7"[..], b"first", b"second"]);
        let newest = store.versions(&room, all[9].id).expect("versions are read").pop().expect("there are two");
        assert_eq!(
            (newest.at, newest.by, newest.extras),
            (extras, with_extras.editor.clone(), with_extras.extras.clone())
        );
        assert_eq!(store.versions(&room, Id::from_raw(77)).expect("versions are read"), [], "no such message");
    });
}

/// Edits go with their message, whatever takes it, and an edit of a message that is gone brings nothing back.
pub fn edits_go_with_their_message<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let (room, floored) = (channel("edited"), channel("floored"));
    let mut all = story.publish(&room, 0..5);
    all.extend(story.publish_due(&room, 1..3));
    let old = story.publish(&floored, 0..4);
    for message in all.iter().chain(&old) {
        let room = if old.contains(message) { &floored } else { &room };
        story.bench.builder.edit(room, message, "edited while there");
    }
    story.apply();
    story.bench.tested.flush();
    story.delete(&room, &all[1..3]);
    story.bench.builder.expire(&room, crate::removal_of(&all[5..]));
    story.bench.builder.floor(&floored, Position { id: old[1].id, seq: old[1].seq });
    story.apply();
    for message in all.iter().chain(&old) {
        let room = if old.contains(message) { &floored } else { &room };
        story.bench.builder.edit(room, message, "edited afterwards");
    }
    story.apply();
    story.holds(&[&room, &floored], |store| {
        for (room, message, there) in [
            (&room, &all[0], true),
            (&room, &all[1], false),
            (&room, &all[2], false),
            (&room, &all[3], true),
            (&room, &all[5], false),
            (&floored, &old[0], false),
            (&floored, &old[1], false),
            (&floored, &old[2], true),
        ] {
            let versions = store.versions(room, message.id).expect("versions are read").len();
            assert_eq!(versions, if there { 3 } else { 0 }, "of {message:?}");
            let shown = read_all(store, room).into_iter().find(|shown| shown.id == message.id);
            assert_eq!(shown.map(|shown| text(&shown)), there.then(|| "edited afterwards".to_owned()));
        }
        let target = Target::Ids(vec![all[1].id, all[2].id]);
        let removal = store.removable(&room, &target, Id::MIN).expect("the look-up works");
        assert!(removal.seqs.is_empty(), "an edit brought back {removal:?}");
    });
}

/// Edits that were taken back were never made: readers see what they would have seen, from the published content on, and
/// neither versions nor the change feed tell of them.
pub fn edits_that_were_taken_back_were_never_made<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let room = channel("edited");
    let all = story.publish(&room, 0..6);
    let mut edits = Vec::new();
    for message in &all[..5] {
        for text in ["one", "two", "three"] {
            edits.push(story.bench.builder.edit(&room, message, text));
        }
    }
    story.apply();
    story.bench.tested.flush();
    let fresh = story.bench.builder.edit(&room, &all[4], "four");
    let (newest, middle, every) = ([edits[2]], [edits[4]], [edits[6], edits[7], edits[8]]);
    story.bench.builder.unedit(&room, &all[0], &newest);
    story.bench.builder.unedit(&room, &all[1], &middle);
    story.bench.builder.unedit(&room, &all[2], &every);
    story.bench.builder.unedit(&room, &all[4], &[edits[14], fresh]);
    story.apply();
    story.delete(&room, &all[3..4]);
    story.bench.builder.unedit(&room, &all[3], &[edits[9]]);
    story.apply();
    let mut story = story.holds(&[&room], |store| {
        let page = read_all(store, &room);
        assert_eq!(
            page.iter().map(|message| text(message)).collect::<Vec<_>>(),
            ["two", "three", "text 2", "two", "text 5"]
        );
        let edited: Vec<_> = page.iter().map(|message| message.edited_at).collect();
        assert_eq!(edited, [Some(edits[1]), Some(edits[5]), None, Some(edits[13]), None]);
        let versions = |n: usize| {
            let versions = store.versions(&room, all[n].id).expect("versions are read");
            versions
                .iter()
                .map(|version| String::from_utf8_lossy(&version.payload.bytes).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(versions(0), ["text 0", "one", "two"]);
        assert_eq!(versions(1), ["text 1", "one", "three"]);
        assert_eq!(versions(2), ["text 2"]);
        assert_eq!(versions(4), ["text 4", "one", "two"]);
    });
    story.bench.builder.edit(&room, &all[2], "again");
    story.apply();
    story.holds(&[&room], |store| assert_eq!(text(&read_all(store, &room)[2]), "again"));
}

/// The bound of bytes of a page counts what is read, not what was published.
pub fn the_bound_of_bytes_counts_the_newest_content<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let room = channel("swollen");
    let all = story.publish(&room, 0..10);
    for message in &all {
        let text = text(message)[5..].repeat(limits::PAGE_BYTES / 6);
        story.bench.builder.edit(&room, message, &text);
        story.apply();
    }
    for flushed in [false, true] {
        if flushed {
            story.bench.tested.flush();
        }
        for order in [Order::Ascending, Order::Descending] {
            let page = story.store().read(&room, &window(Span::ALL, order, 100), Effort::Disk);
            let page = page.expect("reads work").expect("with an answer");
            assert!(page.more && page.messages.len() == 7, "{} messages, more: {}", page.messages.len(), page.more);
        }
    }
}

fn read_all(store: &dyn Store, room: &model::Channel) -> Vec<Arc<Message>> {
    let page = store.read(room, &window(Span::ALL, Order::Ascending, 1000), Effort::Disk);
    page.expect("reads work").expect("with an answer").messages
}

fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.payload.bytes).into_owned()
}
