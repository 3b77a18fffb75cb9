//! `protocols/osmium.md` §6, §7: editing, deleting, reacting, and who is told.

use super::rig::*;
use crate::wire::{
    self, AddReaction, ChatRef, DeleteMessage, EditMessage, MessageReactionField, ReactionEmoji, RemoveReaction,
    SendMessage, SetMessagePin, client_message::Request, message_entity::Entity, reaction_emoji::Emoji, update::Update,
};
use model::TICKS_PER_MS;

fn edit(chat: ChatRef, message_id: u64, text: &str) -> EditMessage {
    EditMessage { chat_ref: Some(chat), message_id, message: Some(text.into()), ..Default::default() }
}

fn delete(chat: ChatRef, message_ids: Vec<u64>) -> Request {
    Request::MessagesDeleteMessage(DeleteMessage { chat_ref: Some(chat), message_ids })
}

fn unicode(text: &str) -> Option<ReactionEmoji> {
    Some(ReactionEmoji { emoji: Some(Emoji::UnicodeEmoji(text.into())) })
}

fn add(chat: ChatRef, message_id: u64, emoji: Option<ReactionEmoji>) -> Request {
    Request::ReactionsAddReaction(AddReaction { chat_ref: Some(chat), message_id, emoji })
}

fn remove(chat: ChatRef, message_id: u64, emoji: Option<ReactionEmoji>) -> Request {
    Request::ReactionsRemoveReaction(RemoveReaction { chat_ref: Some(chat), message_id, emoji })
}

fn field(text: &str, me: bool, users: &[u64]) -> MessageReactionField {
    let emoji = unicode(text);
    MessageReactionField { emoji, count: users.len() as u32, me, preview_user_ids: users.to_vec() }
}

#[tokio::test]
async fn an_edit_keeps_the_place_and_tells_everyone() {
    let house = House::new().await;
    let (mut ann, mut bob) = (house.client("ann").await, house.client("bob").await);
    let bold = wire::MessageEntity { start_index: 0, length: 3, entity: Some(Entity::Bold(true)) };
    let media = wire::media_ref::Media::Embed(wire::EmbedRef { url: "u".into() });
    let call = SendMessage {
        message: "one".into(),
        entities: vec![bold],
        media: vec![wire::MediaRef { media: Some(media) }],
        ..to(user(BOB))
    };
    let id = ann.send_call(call).await.expect("sent");
    let after = ann.send(user(BOB), "after").await;
    house.clock.advance(5 * TICKS_PER_MS);
    assert_eq!(ann.call(Request::MessagesEditMessage(edit(user(BOB), id, "two"))).await, Ok(None));
    let page = bob.history(user(ANN), None, None).await;
    let message = &page.messages[0];
    assert_eq!((message.message_id, &*message.message, page.messages[1].message_id), (id, "two", after));
    assert_eq!(message.edited_at, Some(house.clock_ms()));
    assert_eq!((message.entities.len(), message.media.len()), (0, 1), "entities go with the text, media stay");
    for (client, other) in [(&mut ann, BOB), (&mut bob, ANN)] {
        client.created().await;
        client.created().await;
        let Update::Message(update) = client.update().await else { panic!("not told") };
        let message = update.message.expect("it is set");
        assert_eq!((message.chat_ref, &*message.message), (Some(user(other)), "two"), "whole, and its own view");
    }
    let silent = EditMessage { message: None, remove_media: true, ..edit(user(BOB), id, "") };
    assert_eq!(ann.call(Request::MessagesEditMessage(silent)).await, Ok(None));
    let message = bob.history(user(ANN), None, None).await.messages[0].clone();
    assert_eq!((&*message.message, message.media.len()), ("two", 0), "the text stays");
}

#[tokio::test]
async fn an_edit_that_may_not_be_is_refused() {
    let house = House::furnished().await;
    let (mut ann, mut bob) = (house.client("ann").await, house.client("bob").await);
    let id = bob.send(channel(SQUARE), "bob's").await;
    let edit = |id, text| Request::MessagesEditMessage(edit(channel(SQUARE), id, text));
    assert_eq!(ann.call(edit(id, "x")).await, Err(403), "not even the owner");
    assert_eq!(bob.call(edit(7, "x")).await, Err(404));
    assert_eq!(bob.call(edit(id, "")).await, Err(400), "it would be empty");
    assert_eq!(bob.texts(channel(SQUARE), None, None).await, ["bob's"]);
}

#[tokio::test]
async fn a_deletion_takes_all_or_nothing_with_pins_and_reactions() {
    let house = House::furnished().await;
    let (mut ann, mut bob) = (house.client("ann").await, house.client("bob").await);
    let anns = ann.send(channel(SQUARE), "ann's").await;
    let (first, second) = (bob.send(channel(SQUARE), "1").await, bob.send(channel(SQUARE), "2").await);
    let pin = SetMessagePin { chat_ref: Some(channel(SQUARE)), message_id: first, pin: true };
    assert_eq!(ann.call(Request::MessagesSetMessagePin(pin)).await, Ok(None));
    assert_eq!(ann.call(add(channel(SQUARE), first, unicode("👍"))).await, Ok(None));
    assert_eq!(bob.call(delete(channel(SQUARE), vec![first, anns])).await, Err(403));
    assert_eq!(bob.texts(channel(SQUARE), None, None).await.len(), 3, "nothing went");
    for _ in 0..2 {
        assert_eq!(bob.call(delete(channel(SQUARE), vec![first, 7])).await, Ok(None), "again, and unknown ones");
    }
    let page = ann.history(channel(SQUARE), None, None).await;
    assert_eq!((page.messages.len(), page.reactions.len()), (2, 0));
    let pinned = Request::MessagesGetPinnedMessages(wire::GetPinnedMessages { chat_ref: Some(channel(SQUARE)) });
    assert_eq!(ann.call(pinned).await, Ok(Some(wire::rpc_result::Result::Messages(Default::default()))));
    assert_eq!(ann.call(delete(channel(SQUARE), vec![second])).await, Ok(None), "who may delete what others sent");
    let mut told = Vec::new();
    while told.len() < 2 {
        if let Update::MessageDeleted(deleted) = bob.update().await {
            assert_eq!(deleted.chat_ref, Some(channel(SQUARE)));
            told.extend(deleted.message_ids);
        }
    }
    assert_eq!(told, [first, second]);
    let direct = ann.send(user(BOB), "direct").await;
    assert_eq!(bob.call(delete(user(ANN), vec![direct])).await, Err(403), "nobody else in a direct chat");
}

#[tokio::test]
async fn reactions_are_counted_once_and_seen_from_each_side() {
    let house = House::new().await;
    let (mut ann, mut bob) = (house.client("ann").await, house.client("bob").await);
    let id = ann.send(user(BOB), "hi").await;
    assert_eq!(bob.call(remove(user(ANN), id, unicode("👍"))).await, Ok(None), "of what is not there");
    for _ in 0..2 {
        assert_eq!(bob.call(add(user(ANN), id, unicode("👍"))).await, Ok(None), "twice is once");
    }
    assert_eq!(ann.call(add(user(BOB), id, unicode("🎉"))).await, Ok(None));
    assert_eq!(ann.call(add(user(BOB), id, unicode("👍"))).await, Ok(None));
    let custom = Some(ReactionEmoji { emoji: Some(Emoji::CustomEmoji(u64::MAX)) });
    assert_eq!(ann.call(add(user(BOB), id, custom.clone())).await, Ok(None));
    let page = ann.history(user(BOB), None, None).await;
    assert_eq!(page.reactions.len(), 1);
    assert_eq!(page.reactions[0].message_id, id);
    let custom = MessageReactionField { emoji: custom, count: 1, me: true, preview_user_ids: vec![ANN] };
    let expected = [field("👍", true, &[BOB, ANN]), field("🎉", true, &[ANN]), custom];
    assert_eq!(page.reactions[0].reaction_fields, expected, "in the order of their first use");
    let users: Vec<u64> = page.users.iter().map(|user| user.id).collect();
    assert_eq!(users, [ANN, BOB], "who reacted is listed");
    assert_eq!(ann.call(remove(user(BOB), id, unicode("👍"))).await, Ok(None));
    let page = bob.history(user(ANN), None, None).await;
    assert_eq!(page.reactions[0].reaction_fields[0], field("👍", true, &[BOB]));
    assert!(!page.reactions[0].reaction_fields[1].me, "as Bob sees it");
    bob.created().await;
    let mut states = Vec::new();
    while states.len() < 5 {
        let Update::MessageReactions(update) = bob.update().await else { panic!("not of reactions") };
        assert_eq!(update.chat_ref, Some(user(ANN)));
        states.push(update.reactions.expect("it is set").reaction_fields.len());
    }
    assert_eq!(states.last(), Some(&3), "complete, once for each change");
}

#[tokio::test]
async fn the_last_reaction_leaves_an_empty_list() {
    let house = House::new().await;
    let mut ann = house.client("ann").await;
    let id = ann.send(saved(), "hi").await;
    ann.created().await;
    assert_eq!(ann.call(add(saved(), id, unicode("👍"))).await, Ok(None));
    let Update::MessageReactions(update) = ann.update().await else { panic!("not told") };
    assert_eq!(update.reactions.expect("it is set").reaction_fields, [field("👍", true, &[ANN])]);
    assert_eq!(ann.call(remove(saved(), id, unicode("👍"))).await, Ok(None));
    let Update::MessageReactions(update) = ann.update().await else { panic!("not told") };
    let reactions = update.reactions.expect("it is set");
    assert_eq!((reactions.message_id, reactions.reaction_fields.len()), (id, 0));
    assert!(ann.history(saved(), None, None).await.reactions.is_empty());
}

#[tokio::test]
async fn reactions_that_cannot_be_are_refused() {
    let house = House::furnished().await;
    let mut bob = house.client("bob").await;
    let id = bob.send(channel(SQUARE), "hi").await;
    let add = |id, emoji| add(channel(SQUARE), id, emoji);
    assert_eq!(bob.call(add(id, None)).await, Err(400));
    assert_eq!(bob.call(add(id, Some(ReactionEmoji { emoji: None }))).await, Err(400));
    assert_eq!(bob.call(add(id, unicode(""))).await, Err(400));
    assert_eq!(bob.call(add(id, unicode(&"👍".repeat(100)))).await, Err(400));
    let custom = |emoji| Some(ReactionEmoji { emoji: Some(Emoji::CustomEmoji(emoji)) });
    assert_eq!(bob.call(add(id, custom(0))).await, Err(400), "no emoji has this id");
    for good in [custom(u64::MAX), unicode("👩‍👩‍👧‍👦"), unicode("🇩🇪"), unicode("any word")] {
        assert_eq!(bob.call(add(id, good)).await, Ok(None), "the vendor's clients choose");
    }
    assert_eq!(bob.call(add(7, unicode("👍"))).await, Err(404));
    house.put("communities/5/channels/50", r#"{"name":"square","overrides":{"0":{"deny":["ADD_REACTIONS"]}}}"#).await;
    assert_eq!(bob.call(add(id, unicode("👍"))).await, Err(403));
}
