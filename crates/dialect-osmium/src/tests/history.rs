//! `protocols/osmium.md` §5: selection, order, limits, anchors, edges, bytes, related objects, paging laws.

use super::rig::*;
use crate::{
    limits,
    wire::{self, client_message::Request, get_history::Offset, message_entity::Entity},
};
use model::{Origin, TICKS_PER_MS, UserId};
use proptest::prelude::*;
use prost::Message as _;

/// Ten notes, `10` to `100`, of which each id is known.
async fn notes(house: &House, client: &mut Client) -> Vec<u64> {
    let mut ids = Vec::new();
    for number in 1..=10 {
        house.clock.advance(TICKS_PER_MS);
        ids.push(client.send(saved(), &(number * 10).to_string()).await);
    }
    ids
}

#[tokio::test]
async fn the_worked_examples_hold() {
    let house = House::new().await;
    let mut ann = house.client("ann").await;
    let ids = notes(&house, &mut ann).await;
    // A snowflake for the numbers of the examples: 45 lies between 40 and 50.
    let at = |number: u64| match number {
        1000 => ids[9] + 1_000_000,
        number if number < 10 => ids[0] - 1,
        number if number % 10 == 0 => ids[number as usize / 10 - 1],
        number => ids[number as usize / 10 - 1] + 1,
    };
    let (since, before, around) =
        (|n| Some(Offset::Since(at(n))), |n| Some(Offset::Before(at(n))), |n| Some(Offset::Around(at(n))));
    let rows: Vec<(u32, Option<Offset>, &str)> = vec![
        (3, None, "80 90 100"),
        (3, since(40), "50 60 70"),
        (3, since(45), "50 60 70"),
        (2, before(40), "30 20"),
        (2, before(45), "40 30"),
        (1, around(50), "50"),
        (2, around(50), "40 50"),
        (3, around(50), "40 50 60"),
        (4, around(50), "30 40 50 60"),
        (5, around(50), "30 40 50 60 70"),
        (4, around(55), "40 50 60 70"),
        (4, around(10), "10 20"),
        (4, around(100), "80 90 100"),
        (4, around(5), "10 20"),
        (4, around(1000), "90 100"),
        (3, Some(Offset::Since(0)), "10 20 30"),
        (3, Some(Offset::Before(0)), ""),
        (4, Some(Offset::Around(0)), "10 20"),
        (3, Some(Offset::Since(u64::MAX)), ""),
        (3, Some(Offset::Before(u64::MAX)), "100 90 80"),
        (3, Some(Offset::Around(u64::MAX)), "100"),
    ];
    for (limit, offset, expected) in rows {
        let texts = ann.texts(saved(), Some(limit), offset).await.join(" ");
        assert_eq!(texts, expected, "limit {limit}, {offset:?}");
    }
}

#[tokio::test]
async fn limits_have_a_default_and_a_ceiling() {
    let house = House::new().await;
    let mut ann = house.client("ann").await;
    for number in 0..105 {
        ann.send(saved(), &number.to_string()).await;
    }
    for (limit, expected) in
        [(None, 50), (Some(0), 50), (Some(1), 1), (Some(100), 100), (Some(101), 100), (Some(u32::MAX), 100)]
    {
        assert_eq!(ann.texts(saved(), limit, None).await.len(), expected, "{limit:?}");
        let since = ann.texts(saved(), limit, Some(Offset::Since(0))).await;
        assert_eq!((since.len(), &*since[0]), (expected, "0"), "{limit:?}");
    }
}

#[tokio::test]
async fn nothing_is_a_page_too() {
    let house = House::new().await;
    let mut ann = house.client("ann").await;
    assert_eq!(ann.history(user(BOB), None, None).await, wire::Messages::default());
}

#[tokio::test]
async fn a_page_stays_within_its_bytes_and_drops_the_farthest() {
    let house = House::new().await;
    let mut ann = house.client("ann").await;
    let text = "語".repeat(limits::TEXT_UNITS);
    let mut ids = Vec::new();
    for _ in 0..100 {
        house.clock.advance(TICKS_PER_MS);
        ids.push(ann.send(saved(), &text).await);
    }
    let check = |page: &wire::Messages, first: u64, last: u64| {
        assert!(page.encoded_len() <= limits::PAGE_BYTES);
        assert!((70..80).contains(&page.messages.len()), "{}", page.messages.len());
        assert_eq!(page.users.len(), 1);
        let shown: Vec<u64> = page.messages.iter().map(|message| message.message_id).collect();
        assert_eq!((shown[0], shown[shown.len() - 1]), (first, last));
        shown.len()
    };
    let page = ann.history(saved(), Some(100), None).await;
    check(&page, ids[100 - page.messages.len()], ids[99]);
    let page = ann.history(saved(), Some(100), Some(Offset::Since(0))).await;
    check(&page, ids[0], ids[page.messages.len() - 1]);
    let page = ann.history(saved(), Some(100), Some(Offset::Before(u64::MAX))).await;
    check(&page, ids[99], ids[100 - page.messages.len()]);
    let page = ann.history(saved(), Some(100), Some(Offset::Around(ids[50]))).await;
    let at = page.messages.iter().position(|message| message.message_id == ids[50]).expect("the anchor stays");
    assert!(at.abs_diff(page.messages.len() - at) <= 1, "both sides alike: {at} of {}", page.messages.len());
}

#[tokio::test]
async fn one_message_is_shown_however_large() {
    let house = House::furnished().await;
    house.put("communities/5/channels/60", r#"{"name":"mixed","alias":"lobby"}"#).await;
    let large = format!("\"{}\"", "x".repeat(2_000_000));
    house.publish_elsewhere("lobby", &large, None).await;
    house.publish_elsewhere("lobby", &large, None).await;
    let mut ann = house.client("ann").await;
    let page = ann.history(channel(60), None, None).await;
    assert_eq!(page.messages.len(), 1);
    assert_eq!(page.messages[0].message.len(), limits::SHOWN_TEXT_BYTES, "cut, so that clients can take it");
}

#[tokio::test]
async fn users_and_members_come_once_each_and_only_in_communities() {
    let house = House::furnished().await;
    let (mut ann, mut bob) = (house.client("ann").await, house.client("bob").await);
    bob.send(channel(SQUARE), "first").await;
    let mention = |start_index, length, entity| wire::MessageEntity { start_index, length, entity: Some(entity) };
    let call = wire::SendMessage {
        message: "😀 @eve and 1002, @nobody".into(),
        entities: vec![
            mention(3, 4, Entity::Username(true)),
            mention(12, 4, Entity::UserMention(wire::UserMention {})),
            mention(18, 7, Entity::Username(true)),
        ],
        ..to(channel(SQUARE))
    };
    ann.send_call(call).await.expect("it is sent");
    let page = ann.history(channel(SQUARE), None, None).await;
    let users: Vec<u64> = page.users.iter().map(|user| user.id).collect();
    assert_eq!(users, [BOB, ANN, EVE], "by first appearance");
    let members: Vec<(u64, Option<&str>)> =
        page.members.iter().map(|member| (member.id, member.nickname.as_deref())).collect();
    assert_eq!(members, [(BOB, Some("Bobby")), (ANN, None)], "Eve is no member");
    assert!(bob.history(user(ANN), None, None).await.members.is_empty());
    bob.send(user(ANN), "direct").await;
    assert!(bob.history(user(ANN), None, None).await.members.is_empty());
}

#[tokio::test]
async fn messages_of_other_dialects_are_shown_as_text_of_strangers() {
    let house = House::furnished().await;
    house.put("communities/5/channels/60", r#"{"name":"mixed","alias":"lobby"}"#).await;
    let pubnub = |id: &str| Some(UserId::new(Origin::Pubnub, id, false).expect("a user"));
    house.publish_elsewhere("lobby", r#""a \"text\"""#, pubnub("1001")).await;
    house.publish_elsewhere("lobby", r#"{"x": 1}"#, None).await;
    let mut ann = house.client("ann").await;
    ann.send(channel(60), "mine").await;
    let page = ann.history(channel(60), None, None).await;
    let texts: Vec<&str> = page.messages.iter().map(|message| &*message.message).collect();
    assert_eq!(texts, ["a \"text\"", r#"{"x": 1}"#, "mine"]);
    let authors: Vec<u64> = page.messages.iter().map(|message| message.author_id).collect();
    assert!(authors[0] >= crate::STRANGERS && authors[1] >= crate::STRANGERS, "an uuid never becomes Ann");
    assert_eq!(authors[2], ANN);
    let names: Vec<&str> = page.users.iter().map(|user| &*user.name).collect();
    assert_eq!(names, ["1001", "Anonymous", "ann"]);
}

#[tokio::test]
async fn a_direct_chat_is_named_by_the_other_side() {
    let house = House::new().await;
    let (mut ann, mut bob) = (house.client("ann").await, house.client("bob").await);
    ann.send(user(BOB), "hi").await;
    let seen = |page: wire::Messages| page.messages[0].chat_ref.expect("always set");
    assert_eq!(seen(ann.history(user(BOB), None, None).await), user(BOB));
    assert_eq!(seen(bob.history(user(ANN), None, None).await), user(ANN));
    ann.send(user(ANN), "note").await;
    assert_eq!(seen(ann.history(saved(), None, None).await), saved(), "to oneself");
}

#[derive(Clone, Copy, Debug)]
enum Ask {
    Newest,
    Since(usize, i64),
    Before(usize, i64),
    Around(usize, i64),
}

fn asks() -> impl Strategy<Value = (Ask, u32)> {
    let near = (0..40_usize, -1..=1_i64);
    let ask = prop_oneof![
        Just(Ask::Newest),
        near.clone().prop_map(|(at, by)| Ask::Since(at, by)),
        near.clone().prop_map(|(at, by)| Ask::Before(at, by)),
        near.prop_map(|(at, by)| Ask::Around(at, by)),
    ];
    (ask, 1..12_u32)
}

/// What §5.1 says, read to the letter on a list of ids.
fn expected(ids: &[u64], anchors: &[u64], ask: Ask, limit: u32) -> Vec<u64> {
    let limit = limit as usize;
    let anchor = |at: usize, by: i64| anchors.get(at).copied().unwrap_or(1 << 62).saturating_add_signed(by);
    let below = |anchor, count: usize| -> Vec<u64> {
        let all: Vec<u64> = ids.iter().copied().filter(|id| *id < anchor).collect();
        all[all.len().saturating_sub(count)..].to_vec()
    };
    let from = |anchor, count: usize| ids.iter().copied().filter(move |id| *id >= anchor).take(count);
    match ask {
        Ask::Newest => ids[ids.len().saturating_sub(limit)..].to_vec(),
        Ask::Since(at, by) => from(anchor(at, by) + 1, limit).collect(),
        Ask::Before(at, by) => below(anchor(at, by), limit).into_iter().rev().collect(),
        Ask::Around(at, by) => {
            let anchor = anchor(at, by);
            below(anchor, limit / 2).into_iter().chain(from(anchor, limit - limit / 2)).collect()
        }
    }
}

fn offset(anchors: &[u64], ask: Ask) -> Option<Offset> {
    let anchor = |at: usize, by: i64| anchors.get(at).copied().unwrap_or(1 << 62).saturating_add_signed(by);
    match ask {
        Ask::Newest => None,
        Ask::Since(at, by) => Some(Offset::Since(anchor(at, by))),
        Ask::Before(at, by) => Some(Offset::Before(anchor(at, by))),
        Ask::Around(at, by) => Some(Offset::Around(anchor(at, by))),
    }
}

async fn ids(client: &mut Client, limit: u32, offset: Option<Offset>) -> Vec<u64> {
    let page = client.history(saved(), Some(limit), offset).await;
    page.messages.iter().map(|message| message.message_id).collect()
}

/// Pages from one end to the other.
async fn walk(client: &mut Client, limit: u32, up: bool) -> Vec<u64> {
    let (mut all, mut anchor) = (Vec::new(), if up { 0 } else { u64::MAX });
    loop {
        let offset = if up { Offset::Since(anchor) } else { Offset::Before(anchor) };
        let page = ids(client, limit, Some(offset)).await;
        let Some(last) = page.last() else { return all };
        anchor = *last;
        all.extend(page);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn paging_follows_its_laws(
        gaps in prop::collection::vec(0..3_u64, 0..40),
        gone in prop::collection::vec(0..40_usize, 0..20),
        asked in prop::collection::vec(asks(), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let house = House::new().await;
            let mut ann = house.client("ann").await;
            let mut known = Vec::new();
            for gap in gaps {
                // Of those in one millisecond, neighbours may be neighbouring numbers.
                house.clock.advance(gap * TICKS_PER_MS);
                known.push(ann.send(saved(), "x").await);
            }
            // Anchors may name what is gone.
            let anchors = known.clone();
            for at in gone {
                let message_ids: Vec<u64> = anchors.get(at).copied().into_iter().collect();
                known.retain(|id| !message_ids.contains(id));
                let call = wire::DeleteMessage { chat_ref: Some(saved()), message_ids };
                assert_eq!(ann.call(Request::MessagesDeleteMessage(call)).await, Ok(None));
            }
            for (ask, limit) in asked {
                let page = ids(&mut ann, limit, offset(&anchors, ask)).await;
                assert_eq!(page, expected(&known, &anchors, ask, limit), "{ask:?}, {limit}");
                let mut down = walk(&mut ann, limit, false).await;
                down.reverse();
                assert_eq!(down, known, "before, {limit} at a time");
                assert_eq!(walk(&mut ann, limit, true).await, known, "since, {limit} at a time");
            }
        });
    }
}
