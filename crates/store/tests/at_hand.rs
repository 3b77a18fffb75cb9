//! What was said lately is at hand, whatever the table knows of its channel; what is in the table alone is not.

mod support;

use model::{AtHand, Channel, Id, Reaction, Seq, Store};
use store::Settings;
use support::OnMemory;
use testkit::{BatchBuilder, channel, removal_of, store_suite::StoreUnderTest, user};

fn smile(message: Id) -> Reaction {
    Reaction { message, user: user("ann"), kind: "reaction".into(), value: "smile".into() }
}

fn at_hand(store: &dyn Store, room: &Channel, message: Id) -> Option<AtHand> {
    store.at_hand(room, message, Some(&smile(message))).expect("it is told")
}

#[test]
fn a_message_in_the_tail_is_at_hand_and_one_in_the_table_is_not() {
    let tested = OnMemory::empty(Settings::default());
    let (mut builder, room) = (BatchBuilder::new(), channel("room"));
    tested.store.settle(builder.shard(), builder.epoch()).expect("an empty store settles");
    let old = builder.publish(&room, "old");
    builder.edit(&room, &old, "older");
    builder.react(&room, &smile(old.id));
    tested.store.apply(&builder.batch()).expect("applied");
    assert_eq!(at_hand(&*tested.store, &room, old.id).map(|found| found.reactions), Some(1));
    tested.flush();
    assert_eq!(at_hand(&*tested.store, &room, old.id), None, "only the table has it");

    let [new, gone] = ["new", "gone"].map(|text| builder.publish(&room, text));
    let reaction = builder.react(&room, &smile(new.id));
    tested.store.apply(&builder.batch()).expect("applied");
    assert!(at_hand(&*tested.store, &room, gone.id).is_some());
    builder.delete(&room, removal_of(std::slice::from_ref(&gone)));
    tested.store.apply(&builder.batch()).expect("applied");
    let mut tested = tested;
    for restarted in [false, true] {
        let found = at_hand(&*tested.store, &room, new.id).expect("it is in the tail");
        assert_eq!((found.seq, found.last.seq, found.reaction), (Seq(2), Seq(3), Some(reaction)), "{restarted}");
        assert_eq!(at_hand(&*tested.store, &room, gone.id), None);
        assert_eq!(at_hand(&*tested.store, &channel("nowhere"), new.id), None);
        tested = tested.restart();
        tested.store.settle(builder.shard(), builder.epoch()).expect("it settles");
    }
}
