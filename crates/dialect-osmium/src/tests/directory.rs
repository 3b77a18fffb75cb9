//! The directory: who sees what, and that changes take effect at once and stay.

use super::rig::*;
use crate::{
    Settings,
    realm::Realm,
    wire::{ChatRef, GetHistory, chat_ref::Ref, client_message::Request},
};

async fn sees(client: &mut Client, chat: ChatRef) -> u32 {
    let call = GetHistory { chat_ref: Some(chat), ..Default::default() };
    client.call(Request::MessagesGetHistory(call)).await.map_or_else(|code| code, |_| 200)
}

#[tokio::test]
async fn what_may_not_be_known_is_404_and_what_may_not_be_seen_403() {
    let house = House::furnished().await;
    let (mut ann, mut bob, mut eve) = (house.client("ann").await, house.client("bob").await, house.client("eve").await);
    assert_eq!(sees(&mut ann, channel(COUNCIL)).await, 200, "the owner");
    assert_eq!(sees(&mut bob, channel(COUNCIL)).await, 403, "a member");
    assert_eq!(sees(&mut eve, channel(COUNCIL)).await, 404, "a stranger");
    assert_eq!(sees(&mut bob, channel(SQUARE)).await, 200);
    assert_eq!(sees(&mut eve, channel(SQUARE)).await, 404);
    assert_eq!(sees(&mut bob, channel(77)).await, 404);
    assert_eq!(sees(&mut bob, channel(HEADING)).await, 400, "a category");
    assert_eq!(sees(&mut bob, group(PAIR)).await, 200);
    assert_eq!(sees(&mut eve, group(PAIR)).await, 404);
    assert_eq!(sees(&mut eve, group(77)).await, 404);
    assert_eq!(sees(&mut eve, user(ANN)).await, 200, "everybody may write to everybody");
    assert_eq!(sees(&mut eve, user(77)).await, 404);
    assert_eq!(sees(&mut eve, ChatRef { r#ref: None }).await, 400);
    let unset = [user(0), group(0), channel(0), ChatRef { r#ref: Some(Ref::Channel(Default::default())) }];
    for empty in unset {
        assert_eq!(sees(&mut bob, empty).await, 404, "{empty:?}");
    }
    let elsewhere = Ref::Channel(crate::wire::ChannelRef { community_id: 6, channel_id: SQUARE });
    assert_eq!(sees(&mut bob, ChatRef { r#ref: Some(elsewhere) }).await, 404);
}

#[tokio::test]
async fn roles_and_memberships_take_effect_at_once() {
    let house = House::furnished().await;
    let mut bob = house.client("bob").await;
    house.put("communities/5/members/1002", r#"{"roles":["500"]}"#).await;
    assert_eq!(sees(&mut bob, channel(COUNCIL)).await, 200);
    assert_eq!(house.ask("DELETE", "communities/5/roles/500", "").await.0, 200);
    assert_eq!(sees(&mut bob, channel(COUNCIL)).await, 403);
    assert_eq!(house.ask("DELETE", "communities/5/members/1002", "").await.0, 200);
    assert_eq!(sees(&mut bob, channel(SQUARE)).await, 404);
    assert_eq!(house.ask("DELETE", "groups/9/members/1002", "").await.0, 200);
    assert_eq!(sees(&mut bob, group(PAIR)).await, 404);
}

#[tokio::test]
async fn who_may_not_send_is_refused() {
    let house = House::furnished().await;
    let mut bob = house.client("bob").await;
    house.put("communities/5/channels/50", r#"{"name":"square","overrides":{"0":{"deny":["SEND_MESSAGES"]}}}"#).await;
    let call = crate::wire::SendMessage { message: "hi".into(), ..to(channel(SQUARE)) };
    assert_eq!(bob.send_call(call.clone()).await, Err(403));
    let administrators = r#"{"name":"Elders","permissions":["ADMINISTRATOR"]}"#;
    house.put("communities/5/roles/500", administrators).await;
    house.put("communities/5/members/1002", r#"{"roles":[500]}"#).await;
    assert!(bob.send_call(call).await.is_ok(), "an administrator passes every check");
}

#[tokio::test]
async fn a_new_token_and_a_deletion_end_connections() {
    let house = House::new().await;
    let zoe = house.put("users/2000", r#"{"name":"Zoe"}"#).await;
    let old = zoe["token"].as_str().expect("a token").to_owned();
    let mut client = house.connect();
    client.call(authorize(&old)).await.expect("let in");
    let (status, renewed) = house.ask("POST", "users/2000/token", "").await;
    assert_eq!(status, 200);
    assert!(client.session.next_update().await.is_none(), "the connection ends");
    let new = renewed["token"].as_str().expect("a token").to_owned();
    let mut client = house.connect();
    assert_eq!(client.call(authorize(&old)).await, Err(403));
    client.call(authorize(&new)).await.expect("let in");
    assert_eq!(house.ask("DELETE", "users/2000", "").await.0, 200);
    assert!(client.session.next_update().await.is_none());
    assert_eq!(client.call(Request::MessagesGetHistory(GetHistory::default())).await, Err(401));
    house.put("users/2000", r#"{"name":"Zoe again"}"#).await;
    assert_eq!(house.connect().call(authorize(&new)).await, Err(403), "who comes back has new tokens");
}

#[tokio::test]
async fn the_directory_survives_a_restart() {
    let house = House::furnished().await;
    let zoe = house.put("users/2000", r#"{"name":"Zoe","username":"Zoe.1"}"#).await;
    let mut ann = house.client("ann").await;
    ann.send(channel(SQUARE), "before").await;
    let again = House::over(house.restarted().await, house.clock.clone(), settings()).await;
    let mut client = again.connect();
    client.call(authorize(zoe["token"].as_str().expect("a token"))).await.expect("the token is still good");
    let mut bob = again.client("bob").await;
    assert_eq!(bob.texts(channel(SQUARE), None, None).await, ["before"]);
    assert_eq!(again.realm.directory().user_named("ZOE.1").map(|user| user.id), Some(2000));
    assert_eq!(again.ask("GET", "communities/5", "").await, house.ask("GET", "communities/5", "").await);
}

#[tokio::test]
async fn the_epoch_is_frozen_at_first_use() {
    let house = House::new().await;
    let open = |epoch_ms| Realm::open(house.channels.clone(), Settings { epoch_ms, ..settings() }, &*house.clock);
    assert!(open(Some(crate::DEFAULT_EPOCH_MS)).await.is_ok(), "the same");
    assert!(open(None).await.is_ok(), "nothing said");
    assert!(open(Some(crate::DEFAULT_EPOCH_MS + 1)).await.is_err());
    assert!(open(Some(u64::MAX)).await.is_err(), "in the future");
}

#[tokio::test]
async fn the_api_refuses_what_cannot_be() {
    let house = House::furnished().await;
    for (method, path, body, expected) in [
        ("PUT", "users/0", r#"{"name":"x"}"#, 400),
        ("PUT", "users/9223372036854775808", r#"{"name":"x"}"#, 400),
        ("PUT", "users/x", r#"{"name":"x"}"#, 400),
        ("PUT", "users/2000", r#"{"name":""}"#, 400),
        ("PUT", "users/2000", r#"{"name":"x","colour":1}"#, 400),
        ("PUT", "users/2000", r#"{"name":"x","username":"a b"}"#, 400),
        ("PUT", "users/2000", r#"{"name":"x","username":"ann"}"#, 409),
        ("PUT", "users/1001", r#"{"name":"x"}"#, 409),
        ("DELETE", "users/2000", "", 404),
        ("PUT", "communities/6", r#"{"name":"x","owner":77}"#, 400),
        ("PUT", "communities/6/channels/1", r#"{"name":"x"}"#, 404),
        ("PUT", "communities/5/channels/1", r#"{"name":"x","overrides":{"7":{}}}"#, 400),
        ("PUT", "communities/5/roles/1", r#"{"name":"x","permissions":["FLY"]}"#, 400),
        ("PUT", "communities/5/members/1003", r#"{"roles":[7]}"#, 400),
        ("DELETE", "communities/5/members/1001", "", 409),
        ("PUT", "groups/7", r#"{"name":"x","members":[77]}"#, 400),
        ("GET", "nothing", "", 404),
        ("POST", "users", "", 405),
        ("PATCH", "users/1001", "", 405),
    ] {
        let (status, answer) = house.ask(method, path, body).await;
        assert_eq!(status, expected, "{method} {path} {body}: {answer}");
    }
    assert_eq!(house.ask_with("reader", "GET", "users", "").await.0, 403);
    assert_eq!(house.ask_with("wrong", "GET", "users", "").await.0, 401);
    let (_, users) = house.ask("GET", "users?after=1001", "").await;
    let names: Vec<&str> =
        users["users"].as_array().expect("users").iter().filter_map(|user| user["name"].as_str()).collect();
    assert_eq!(names, ["bob", "eve"]);
}
