//! `protocols/osmium.md` §1 to §3: what may come when, and that every request gets exactly one result.

use super::rig::*;
use crate::{
    limits, session,
    wire::{
        ClientMessage, GetHistory, Initialize, SendMessage, ServerMessage, SignIn, SignUp, client_message::Request,
        rpc_result::Result as Answer, server_message::Body,
    },
};
use proptest::prelude::*;
use prost::Message as _;

#[tokio::test]
async fn a_token_lets_in_and_is_echoed() {
    let house = House::new().await;
    let mut client = house.connect();
    let Ok(Some(Answer::Authorization(answer))) = client.call(authorize("t-ann")).await else {
        panic!("authorizing without initializing is allowed")
    };
    assert_eq!(answer.token, "t-ann");
    let user = answer.user.expect("clients need it");
    assert_eq!((user.id, &*user.name, user.bot), (ANN, "ann", false));
}

#[tokio::test]
async fn a_rejected_token_is_403_and_may_be_followed_by_a_good_one() {
    let house = House::new().await;
    let mut client = house.connect();
    assert_eq!(client.call(authorize("wrong")).await, Err(403));
    assert_eq!(client.call(authorize("")).await, Err(403));
    assert!(!client.session.is_authorized());
    assert!(client.call(authorize("t-ann")).await.is_ok());
    assert!(client.session.is_authorized());
}

#[tokio::test]
async fn who_tries_token_after_token_is_turned_away() {
    let house = House::new().await;
    let mut client = house.connect();
    for _ in 0..limits::REFUSALS {
        assert_eq!(client.call(authorize("wrong")).await, Err(403));
    }
    let bytes = ClientMessage { id: 1, request: Some(authorize("wrong")) }.encode_to_vec();
    assert_eq!(client.frame(&bytes).await, Err(session::POLICY));
}

#[tokio::test]
async fn calls_before_authorization_are_401() {
    let house = House::new().await;
    let mut client = house.connect();
    assert_eq!(client.call(Request::MessagesGetHistory(GetHistory::default())).await, Err(401));
    assert_eq!(client.call(Request::MessagesSendMessage(SendMessage::default())).await, Err(401));
}

#[tokio::test]
async fn keepalives_get_nothing_unknown_methods_501_and_garbage_ends_it() {
    let house = House::new().await;
    let mut client = house.client("ann").await;
    assert_eq!(client.frame(&[0x08, 0x01]).await, Ok(None));
    let answer = client.frame(&[0x08, 0x05, 0xb2, 0x06, 0x00]).await.expect("it stays").expect("an answer");
    let Some(Body::Result(result)) = ServerMessage::decode(&answer[..]).expect("it decodes").body else {
        panic!("not a result")
    };
    let Some(Answer::Error(error)) = result.result else { panic!("not an error") };
    assert_eq!((result.req_id, error.error_code), (5, 501));
    assert_eq!(client.frame(&[0xff; 40]).await, Err(session::MALFORMED));
}

#[tokio::test]
async fn id_0_is_answered_like_any_other_and_messages_are_numbered() {
    let house = House::new().await;
    let mut client = house.connect();
    for (id, sent) in [(0, 1), (u32::MAX, 2), (0, 3)] {
        let request = Some(Request::CoreInitialize(Initialize::default()));
        let bytes = ClientMessage { id, request }.encode_to_vec();
        let frame = client.frame(&bytes).await.expect("it stays").expect("an answer");
        let message = ServerMessage::decode(&frame[..]).expect("it decodes");
        assert_eq!(message.id, sent);
        let Some(Body::Result(result)) = message.body else { panic!("not a result") };
        assert_eq!(result.req_id, id);
    }
}

#[tokio::test]
async fn a_second_authorization_switches_the_user() {
    let house = House::new().await;
    let mut client = house.client("ann").await;
    client.send(saved(), "ann's").await;
    assert!(client.call(authorize("t-bob")).await.is_ok());
    assert!(client.texts(saved(), None, None).await.is_empty());
    assert_eq!(house.realm.seats.listening(), [BOB]);
}

#[tokio::test]
async fn an_email_and_a_password_let_in_and_give_a_token() {
    let house = House::new().await;
    house.put("users/2000", r#"{"name":"Zoe","email":"Zoe@example.org","password":"horse"}"#).await;
    let sign_in = |password: &str| {
        let (email, password) = ("zoe@EXAMPLE.org".to_owned(), password.to_owned());
        Request::AuthSignIn(SignIn { email, password, totp: None })
    };
    let mut client = house.connect();
    assert_eq!(client.call(sign_in("house")).await, Err(403));
    let Ok(Some(Answer::Authorization(answer))) = client.call(sign_in("horse")).await else { panic!("not let in") };
    assert_eq!(answer.user.expect("a user").id, 2000);
    let mut again = house.connect();
    assert!(again.call(authorize(&answer.token)).await.is_ok(), "the token is good");
    assert_eq!(again.call(Request::AuthSignUp(SignUp::default())).await, Err(501));
}

#[tokio::test]
async fn who_wants_no_updates_gets_none() {
    let house = House::new().await;
    let mut silent = house.connect();
    let initialize = Initialize { no_subscribe: true, ..Default::default() };
    silent.call(Request::CoreInitialize(initialize)).await.expect("initialized");
    silent.call(authorize("t-ann")).await.expect("authorized");
    assert!(house.realm.seats.listening().is_empty());
    silent.send(saved(), "note").await;
    assert_eq!(silent.texts(saved(), None, None).await, ["note"]);
}

fn requests() -> impl Strategy<Value = Vec<u8>> {
    let varint = (any::<u8>(), any::<u64>()).prop_map(|(field, value)| {
        let mut bytes = Vec::new();
        prost::encoding::uint64::encode(u32::from(field % 96) + 1, &value, &mut bytes);
        bytes
    });
    let nested = (any::<u8>(), prop::collection::vec(any::<u8>(), 0..60)).prop_map(|(field, inner)| {
        let mut bytes = Vec::new();
        prost::encoding::bytes::encode(u32::from(field % 96) + 1, &inner, &mut bytes);
        bytes
    });
    prop::collection::vec(prop_oneof![varint, nested, prop::collection::vec(any::<u8>(), 0..20)], 0..5)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_comes_is_answered_or_ends_its_own_connection_only(frames in prop::collection::vec(requests(), 1..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let house = House::new().await;
            let (mut ann, mut bob) = (house.client("ann").await, house.client("bob").await);
            for frame in frames {
                match ann.frame(&frame).await {
                    Ok(Some(answer)) => drop(ServerMessage::decode(&answer[..]).expect("it decodes")),
                    Ok(None) => {}
                    Err(code) => {
                        assert_eq!(code, session::MALFORMED);
                        ann = house.client("ann").await;
                    }
                }
            }
            bob.send(saved(), "still here").await;
            assert_eq!(bob.texts(saved(), None, None).await, ["still here"]);
        });
    }
}
