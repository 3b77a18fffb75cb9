//! A realm on the oracle of the store, and connections to it without sockets.

use crate::{
    Key, Settings,
    directory::admin,
    follow,
    realm::Realm,
    session::{Realms, Session, Step},
    settings::ConfiguredUser,
    wire::{
        self, Authorize, ChatRef, ClientMessage, GetHistory, Initialize, SendMessage, ServerMessage, Update,
        chat_ref::Ref, client_message::Request, get_history::Offset, rpc_result::Result as Answer,
        server_message::Body, update,
    },
};
use axum::body::Body as HttpBody;
use edge::{CancellationToken, Secret};
use http_body_util::BodyExt;
use model::{AppId, Channel, ChannelName, Clock, Payload, PayloadForm, TICKS_PER_MS};
use prost::Message as _;
use service::{Access, Caller, Channels, Draft, Parts, Settings as ServiceSettings};
use std::{sync::Arc, time::Duration};
use testkit::{ManualClock, MemoryStore};
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(30);

pub const ANN: u64 = 1001;
pub const BOB: u64 = 1002;
pub const EVE: u64 = 1003;
/// A community of Ann's, with a channel for all, one that only a role sees, and a category.
pub const TOWN: u64 = 5;
pub const SQUARE: u64 = 50;
pub const COUNCIL: u64 = 51;
pub const HEADING: u64 = 52;
/// Ann and Bob.
pub const PAIR: u64 = 9;

pub struct House {
    pub realm: Arc<Realm>,
    pub channels: Channels,
    pub clock: Arc<ManualClock>,
    pub store: Arc<MemoryStore>,
    realms: Arc<Realms>,
    stop: CancellationToken,
}

/// A connection.
pub struct Client {
    pub session: Session,
    requests: u32,
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl House {
    /// Ann, Bob and Eve, each with the token `t-` and the name.
    pub async fn new() -> House {
        let clock = Arc::new(ManualClock::default());
        House::over(Arc::new(MemoryStore::new()), clock, settings()).await
    }

    pub async fn over(store: Arc<MemoryStore>, clock: Arc<ManualClock>, settings: Settings) -> House {
        let parts = Parts { store: store.clone(), fanout: None, search: None, clock: clock.clone() };
        let channels = Channels::start(parts, ServiceSettings::default()).expect("it starts");
        let realm = Arc::new(Realm::open(channels.clone(), settings, &*clock).await.expect("it opens"));
        let realms = Arc::new(Realms { list: vec![realm.clone()], password_checks: Semaphore::new(1) });
        let stop = CancellationToken::new();
        tokio::spawn(follow::follow(realm.clone(), stop.clone()));
        House { realm, channels, clock, store, realms, stop }
    }

    /// With the community and the group, Bob a member of the community and Eve none.
    pub async fn furnished() -> House {
        let house = House::new().await;
        house.put("communities/5", r#"{"name":"Town","owner":"1001"}"#).await;
        house
            .put("communities/5/roles/500", r#"{"name":"Elders","permissions":["DELETE_MESSAGES","PIN_MESSAGES"]}"#)
            .await;
        house.put("communities/5/channels/50", r#"{"name":"square"}"#).await;
        let overrides = r#""overrides":{"0":{"deny":["VIEW_CHANNEL"]},"500":{"allow":["VIEW_CHANNEL"]}}"#;
        house.put("communities/5/channels/51", &format!("{{\"name\":\"council\",{overrides}}}")).await;
        house.put("communities/5/channels/52", r#"{"name":"heading","category":true}"#).await;
        house.put("communities/5/members/1002", r#"{"nickname":"Bobby"}"#).await;
        house.put("groups/9", r#"{"name":"Pair","members":[1001,"1002"]}"#).await;
        house
    }

    pub async fn put(&self, path: &str, body: &str) -> serde_json::Value {
        let (status, value) = self.ask("PUT", path, body).await;
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    pub async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, serde_json::Value) {
        self.ask_with("admin", method, path, body).await
    }

    pub async fn ask_with(&self, key: &str, method: &str, path: &str, body: &str) -> (u16, serde_json::Value) {
        let request = http::Request::builder().method(method).uri(format!("/v1/apps/demo/osmium/{path}"));
        let request = request.header("authorization", format!("Bearer {key}"));
        let request = request.body(HttpBody::from(body.to_owned())).expect("a request");
        let response = admin::router(&self.realm).oneshot(request).await.expect("an answer");
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&bytes).expect("JSON"))
    }

    pub fn clock_ms(&self) -> u64 {
        self.clock.now_ticks() / TICKS_PER_MS
    }

    /// What a new program finds, after this one stopped.
    pub async fn restarted(&self) -> Arc<MemoryStore> {
        self.channels.stop().await;
        Arc::new(self.store.restart())
    }

    /// A connection that nothing was said on.
    pub fn connect(&self) -> Client {
        Client { session: Session::new(self.realms.clone()), requests: 0 }
    }

    /// A connection of a user, after the handshake.
    pub async fn client(&self, name: &str) -> Client {
        let mut client = self.connect();
        let initialized = client.call(Request::CoreInitialize(Initialize::default())).await;
        assert_eq!(initialized, Ok(Some(Answer::Initialized(Default::default()))));
        match client.call(authorize(&format!("t-{name}"))).await {
            Ok(Some(Answer::Authorization(authorization))) => assert_ne!(authorization.session_id, 0),
            other => panic!("not authorized: {other:?}"),
        }
        client
    }

    /// Publishes as another dialect would, a millisecond later than what came before.
    pub async fn publish_elsewhere(&self, channel: &str, payload: &str, author: Option<model::UserId>) {
        self.clock.advance(TICKS_PER_MS);
        let mut draft = Draft::new(Payload { form: PayloadForm::Json, bytes: payload.to_owned().into() });
        draft.author = author;
        let caller = Caller { app: app(), user: None, access: Arc::new(Access::admin()) };
        let channel = Channel { app: app(), name: ChannelName::named(channel).expect("a name") };
        self.channels.publish(&caller, &channel, draft).await.expect("it is published");
    }
}

impl Client {
    /// Hands in a frame; the frame that comes back, if one does.
    pub async fn frame(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, u16> {
        let mut step = self.session.on_frame(bytes);
        loop {
            step = match step {
                Step::Nothing => return Ok(None),
                Step::Send(frame) | Step::Refuse(frame) => return Ok(Some(frame)),
                Step::Work(work) => self.session.on_done(work.run().await),
                Step::Close(code) => return Err(code),
            }
        }
    }

    /// A call: what it comes to, or the number of its error.
    pub async fn call(&mut self, request: Request) -> Result<Option<Answer>, u32> {
        self.requests += 1;
        let id = self.requests;
        let bytes = ClientMessage { id, request: Some(request) }.encode_to_vec();
        let frame = self.frame(&bytes).await.expect("it is not closed").expect("every request has a result");
        let message = ServerMessage::decode(&frame[..]).expect("it decodes");
        let Some(Body::Result(result)) = message.body else { panic!("not a result: {message:?}") };
        assert_eq!(result.req_id, id);
        match result.result {
            Some(Answer::Error(error)) => {
                assert!(result.trace_id.is_some());
                Err(error.error_code)
            }
            result => Ok(result),
        }
    }

    pub async fn send(&mut self, chat: ChatRef, text: &str) -> u64 {
        self.send_call(SendMessage { message: text.to_owned(), ..to(chat) }).await.expect("it is sent")
    }

    pub async fn send_call(&mut self, call: SendMessage) -> Result<u64, u32> {
        match self.call(Request::MessagesSendMessage(call)).await? {
            Some(Answer::SentMessage(sent)) => Ok(sent.message_id),
            other => panic!("not sent: {other:?}"),
        }
    }

    pub async fn history(&mut self, chat: ChatRef, limit: Option<u32>, offset: Option<Offset>) -> wire::Messages {
        let call = GetHistory { chat_ref: Some(chat), limit, offset };
        match self.call(Request::MessagesGetHistory(call)).await {
            Ok(Some(Answer::Messages(messages))) => messages,
            other => panic!("no history: {other:?}"),
        }
    }

    /// The texts of a page.
    pub async fn texts(&mut self, chat: ChatRef, limit: Option<u32>, offset: Option<Offset>) -> Vec<String> {
        self.history(chat, limit, offset).await.messages.into_iter().map(|message| message.message).collect()
    }

    /// The next update that comes.
    pub async fn update(&mut self) -> update::Update {
        let update = tokio::time::timeout(PATIENCE, self.session.next_update()).await.expect("an update comes");
        let frame = self.session.update(&update.expect("it goes on"));
        let Some(Body::Update(Update { update: Some(update) })) =
            ServerMessage::decode(&frame[..]).expect("it decodes").body
        else {
            panic!("not an update")
        };
        update
    }

    pub async fn created(&mut self) -> wire::UpdateMessageCreated {
        match self.update().await {
            update::Update::MessageCreated(created) => created,
            other => panic!("not a new message: {other:?}"),
        }
    }
}

pub fn settings() -> Settings {
    let user = |id, name: &str| ConfiguredUser {
        id,
        name: name.to_owned(),
        token: Secret::new(format!("t-{name}")),
        email: None,
        password: None,
        bot: name == "eve",
    };
    let key = |secret: &str, access| Key { secret: Secret::new(secret), access: Arc::new(access) };
    Settings {
        app: app(),
        epoch_ms: None,
        users: vec![user(ANN, "ann"), user(BOB, "bob"), user(EVE, "eve")],
        communities: Vec::new(),
        groups: Vec::new(),
        keys: vec![key("admin", Access::admin()), key("reader", Access::new([]))],
    }
}

pub fn app() -> AppId {
    AppId::new("demo").expect("an app")
}

pub fn authorize(token: &str) -> Request {
    Request::AuthAuthorize(Authorize { token: token.to_owned() })
}

pub fn to(chat: ChatRef) -> SendMessage {
    SendMessage { chat_ref: Some(chat), ..Default::default() }
}

pub fn user(user_id: u64) -> ChatRef {
    ChatRef { r#ref: Some(Ref::User(wire::UserRef { user_id })) }
}

pub fn saved() -> ChatRef {
    ChatRef { r#ref: Some(Ref::Self_(wire::SelfRef {})) }
}

pub fn channel(channel_id: u64) -> ChatRef {
    ChatRef { r#ref: Some(Ref::Channel(wire::ChannelRef { community_id: TOWN, channel_id })) }
}

pub fn group(group_id: u64) -> ChatRef {
    ChatRef { r#ref: Some(Ref::Group(wire::GroupRef { group_id })) }
}
