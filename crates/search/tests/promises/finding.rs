//! What is found: words, places, times, authors and types, as they are in the store now.

use crate::house::{House, everywhere, ids, ids_of, other_app};
use model::{Author, Channel, ChannelName, ErrorKind, Order, Origin, Place, Search, Sought, Span, UserId};
use search::Settings;
use testkit::{Fields, app, channel, user};

#[test]
fn what_was_stored_is_found_by_all_of_its_words() {
    let mut house = House::new();
    let first = house.publish("room", "The quick brown fox");
    let second = house.publish("room", "a QUICK answer");
    let third = house.publish("hall", "quick foxes in Köln");
    assert_eq!(house.found("quick"), ids_of(&[&first, &second, &third]));
    assert_eq!(house.found("fox quick"), ids_of(&[&first]), "only the last word may be a beginning");
    assert_eq!(house.found("quick fox"), ids_of(&[&first, &third]));
    assert_eq!(house.found("koln"), ids_of(&[&third]));
    assert_eq!(house.found("slow"), []);
}

#[test]
fn runs_are_found_by_any_part() {
    let mut house = House::new();
    let tokyo = house.publish("room", "東京都に住んでいます");
    let kyoto = house.publish("room", "京都へ行く");
    assert_eq!(house.found("京都"), ids_of(&[&tokyo, &kyoto]));
    assert_eq!(house.found("東京都"), ids_of(&[&tokyo]));
    assert_eq!(house.found("す"), ids_of(&[&tokyo]), "the last character of a run");
    assert_eq!(house.found("京"), ids_of(&[&tokyo, &kyoto]));
}

#[test]
fn edits_and_removals_change_what_is_found() {
    let mut house = House::new();
    let first = house.publish("room", "apples");
    let second = house.publish("room", "apples and pears");
    let third = house.publish("room", "apples again");
    assert_eq!(house.found("apples").len(), 3);
    house.edit("room", &second, "only pears");
    assert_eq!(house.found("apples"), ids_of(&[&first, &third]));
    assert_eq!(house.found("only"), ids_of(&[&second]));
    house.edit("room", &second, "apples after all");
    house.delete("room", &[first]);
    assert_eq!(house.found("apples"), ids_of(&[&second, &third]));
    house.builder.floor(&channel("room"), model::Position { id: second.id, seq: second.seq });
    house.apply();
    assert_eq!(house.found("apples"), ids_of(&[&third]));
}

#[test]
fn one_batch_may_publish_edit_and_delete() {
    let mut house = House::new();
    let room = channel("room");
    let gone = house.builder.publish(&room, "apples");
    let changed = house.builder.publish(&room, "apples");
    house.builder.edit(&room, &changed, "plums");
    house.builder.delete(&room, testkit::removal_of(&[gone]));
    house.apply();
    assert_eq!(house.found("apples"), []);
    assert_eq!(house.found("plums"), ids_of(&[&changed]));
    assert_eq!(house.index.status().documents, 1, "each message is there once");
}

#[test]
fn filters_narrow_what_is_found() {
    let mut house = House::new();
    let by =
        |name, kind: &str| Fields { author: Some(user(name)), custom_type: Some(kind.into()), ..Fields::default() };
    let room = channel("room");
    let ann = house.publish_with(&room, "hello one", by("ann", "note"));
    let bob = house.publish_with(&room, "hello two", by("bob", "note"));
    let task = house.publish_with(&channel("hall"), "hello three", by("ann", "task"));
    let app = app();
    let sought = |author, custom_type, span| {
        let (words, place, order, limit) = ("hello", everywhere(), Order::Ascending, 10);
        ids(house.ask(&Sought { app: &app, words, place, span, order, limit, author, custom_type }).expect("an answer"))
    };
    let name = Author::exactly(&user("ann"));
    assert_eq!(sought(Some(&name), None, Span::ALL), ids_of(&[&ann, &task]));
    assert_eq!(sought(Some(&name), Some("note"), Span::ALL), ids_of(&[&ann]));
    assert_eq!(sought(None, Some("not"), Span::ALL), []);
    assert_eq!(sought(None, None, Span { after: ann.id, upto: bob.id }), ids_of(&[&bob]));
    let none: &[ChannelName] = &[];
    for (names, found) in [(vec![room.name.clone()], vec![ann.id, bob.id]), (vec![], vec![])] {
        let place = if names.is_empty() { Place::Channels(none) } else { Place::Channels(&names) };
        assert_eq!(ids(house.find("hello", place, Order::Ascending, 10).expect("an answer")), found);
    }
    let both = [room.name.clone(), channel("hall").name];
    assert_eq!(ids(house.find("hello", Place::Channels(&both), Order::Ascending, 10).expect("an answer")).len(), 3);
    let hall = |name: &ChannelName| name.as_named() == Some("hall");
    let found = house.find("hello", Place::Admitted(&hall), Order::Ascending, 10).expect("an answer");
    assert_eq!(ids(found), ids_of(&[&task]));
}

/// By whichever door they came, proved or not, unless that is asked for; and nobody whose name only begins so.
#[test]
fn an_author_is_found_as_in_history() {
    let mut house = House::new();
    let mut say = |id: &str, origin, verified| {
        let author = UserId::new(origin, id, verified).expect("a user");
        house.publish_with(&channel("room"), "hello", Fields { author: Some(author), ..Fields::default() }).id
    };
    let said = [
        say("ann", Origin::Native, false),
        say("ann", Origin::Native, true),
        say("ann", Origin::Pubnub, false),
        say("anna", Origin::Native, false),
    ];
    let app = app();
    let by = |origin, verified| {
        let author = Author { id: "ann".into(), origin, verified };
        let (words, place, order, limit, span) = ("hello", everywhere(), Order::Ascending, 10, Span::ALL);
        let (author, custom_type) = (Some(&author), None);
        ids(house.ask(&Sought { app: &app, words, place, span, order, limit, author, custom_type }).expect("an answer"))
    };
    assert_eq!(by(None, None), said[..3]);
    assert_eq!(by(Some(Origin::Native), None), said[..2]);
    assert_eq!(by(Some(Origin::Native), Some(true)), said[1..2]);
    assert_eq!(by(Some(Origin::Osmium), None), []);
}

#[test]
fn the_nearest_to_the_asked_end_come_first() {
    let mut house = House::new();
    let messages: Vec<_> = (0..10).map(|number| house.publish("room", &format!("hello {number}"))).collect();
    let newest = house.find("hello", everywhere(), Order::Descending, 3).expect("an answer");
    assert!(newest.more);
    assert_eq!(ids(newest), ids_of(&[&messages[9], &messages[8], &messages[7]]));
    let oldest = house.find("hello", everywhere(), Order::Ascending, 3).expect("an answer");
    assert_eq!(ids(oldest), ids_of(&[&messages[0], &messages[1], &messages[2]]));
    let all = house.find("hello", everywhere(), Order::Ascending, 10).expect("an answer");
    assert!(!all.more);
}

#[test]
fn every_kind_of_channel_and_only_apps_that_want_it() {
    let mut house = House::new();
    assert_eq!(house.found("hello"), []);
    let in_app = |name| Channel { app: app(), name };
    let member = house.publish_with(&in_app(ChannelName::Member(5, 6)), "hello member", Fields::default());
    let direct = house.publish_with(&in_app(ChannelName::direct("a", "b")), "hello direct", Fields::default());
    let elsewhere = Channel { app: other_app(), name: channel("room").name };
    house.publish_with(&elsewhere, "hello other", Fields::default());
    assert_eq!(house.found("hello"), ids_of(&[&member, &direct]));
    assert!(house.index.covers(&app()) && !house.index.covers(&other_app()));
}

#[test]
fn a_search_that_passes_over_too_much_is_refused() {
    let mut house = House::with(Settings { passed_documents: 5, ..crate::house::settings() });
    for _ in 0..5 {
        house.publish("room", "hello");
    }
    assert_eq!(house.found("hello").len(), 5);
    house.publish("room", "hello");
    let refused = house.find("hello", everywhere(), Order::Ascending, 1).expect_err("too many");
    assert_eq!(refused.kind, ErrorKind::TooLarge);
    assert_eq!(house.find("!", everywhere(), Order::Ascending, 1).expect_err("no word").kind, ErrorKind::Invalid);
}
