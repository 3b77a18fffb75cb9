//! One realm: an app with its directory, and what its calls have in common.

use crate::{
    directory::{
        Chat, Community, Directory, Entry, Group, Key, Member, Permissions, User,
        password::Hashed,
        records::{self, Founding},
        tokens::TokenKey,
    },
    error::{Answer, Refusal},
    ids::{self, Epoch},
    limits,
    marks::Marks,
    pins::Pins,
    render::View,
    seats::Seats,
    settings::{self, ConfiguredUser, Settings},
    wire::{client_message::Request, rpc_result},
};
use model::{Channel, Clock, Error, Id, Message, Order, Result, Span, TICKS_PER_MS};
use service::{Access, AccessWindow, Caller, Channels, Query, Reach, Rights, Rule, Scope};
use std::sync::{Arc, RwLock};
use tokio::sync::{Mutex, watch};

/// A realm.
pub struct Realm {
    pub(crate) settings: Settings,
    pub(crate) channels: Channels,
    pub(crate) epoch: Epoch,
    pub(crate) seats: Arc<Seats>,
    pub(crate) pins: Pins,
    pub(crate) marks: Marks,
    /// Everything that was visible when it was opened: updates begin above.
    pub(crate) opened_at: Id,
    directory: RwLock<Arc<Directory>>,
    token_key: TokenKey,
    /// Held while something is kept and then shown, so that both happen in one order.
    changing: Mutex<()>,
    /// Counts the changes of the directory.
    changes: watch::Sender<u64>,
    /// Everything that was visible before the first change of the directory that the follower has not seen.
    changed_since: std::sync::Mutex<Option<Id>>,
}

impl Realm {
    /// Reads what is kept of a realm.
    pub async fn open(channels: Channels, settings: Settings, clock: &dyn Clock) -> Result<Realm> {
        let default_ms = settings::DEFAULT_EPOCH_MS;
        let now_ms = clock.now_ticks() / TICKS_PER_MS;
        if let Some(epoch_ms) = settings.epoch_ms.filter(|epoch_ms| *epoch_ms > now_ms) {
            let app = &settings.app;
            return Err(Error::invalid(format!("app {app}: osmium.epoch is {} ms ahead of now", epoch_ms - now_ms)));
        }
        let Founding { epoch_ms, token_key } =
            records::found(&channels, &settings.app, settings.epoch_ms, default_ms).await?;
        let mut directory = records::load(&channels, &settings.app).await?;
        furnish(&mut directory, &settings)?;
        Ok(Realm {
            settings,
            opened_at: channels.frontier(),
            channels,
            epoch: Epoch(epoch_ms),
            seats: Arc::default(),
            pins: Pins::default(),
            marks: Marks::default(),
            directory: RwLock::new(Arc::new(directory)),
            token_key,
            changing: Mutex::default(),
            changes: watch::Sender::new(0),
            changed_since: std::sync::Mutex::default(),
        })
    }

    /// The directory at this moment.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.read().expect("nothing panics while it changes the directory").clone()
    }

    /// Tells of changes of the directory.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The directory, and what was visible before the first change of it since the last call: both at one moment.
    pub(crate) fn take_changes(&self) -> (Arc<Directory>, Option<Id>) {
        let directory = self.directory.read().expect("nothing panics while it changes the directory");
        let since = self.changed_since.lock().expect("nothing panics while it holds a position").take();
        (directory.clone(), since)
    }

    /// Changes the directory by what `decide` makes of it, which sees no other change half done. Durable, and in effect,
    /// when it returns.
    pub async fn change(&self, decide: impl FnOnce(&Directory) -> Answer<Vec<Step>>) -> Answer<()> {
        let _changing = self.changing.lock().await;
        for step in decide(&self.directory())? {
            match &step {
                Step::Put(entry) => records::put(&self.channels, &self.settings.app, entry).await?,
                Step::Remove(key) => records::delete(&self.channels, &self.settings.app, *key).await?,
            }
            self.show(step);
        }
        Ok(())
    }

    fn show(&self, step: Step) {
        let mut ended = None;
        let since = self.channels.frontier();
        {
            let mut directory = self.directory.write().expect("nothing panics while it changes the directory");
            self.changed_since.lock().expect("nothing panics while it holds a position").get_or_insert(since);
            let directory = Arc::make_mut(&mut directory);
            match step {
                Step::Put(Entry::User(user)) => {
                    let before = directory.user(user.id).map(|user| user.generation);
                    ended = before.filter(|generation| *generation != user.generation).map(|_| user.id);
                    directory.put(Entry::User(user));
                }
                Step::Put(entry) => directory.put(entry),
                Step::Remove(key) => {
                    if let Key::User(user) = key {
                        ended = Some(user);
                    }
                    directory.remove(key);
                }
            }
        }
        self.changes.send_modify(|changes| *changes += 1);
        if let Some(user) = ended {
            self.seats.end(user);
        }
    }

    /// The user whom a token is for.
    pub fn user_of_token(&self, token: &str) -> Option<u64> {
        let mut found = None;
        // Every one is compared, so that the time does not tell which was nearly right.
        for user in &self.settings.users {
            if user.token.is(token.as_bytes()) {
                found = Some(user.id);
            }
        }
        found.or_else(|| {
            let (id, generation) = self.token_key.verify(token)?;
            self.directory()
                .user(id)
                .is_some_and(|user| !user.configured && user.generation == generation)
                .then_some(id)
        })
    }

    /// The token of a user that is in the directory.
    pub fn token_of(&self, user: &User) -> String {
        let given = self.settings.users.iter().find(|given| given.id == user.id);
        given.map_or_else(|| self.token_key.token(user), |given| given.token.expose().to_owned())
    }

    /// What a call comes to; a void success is none.
    pub async fn call(&self, user: u64, request: Request) -> Answer<Option<rpc_result::Result>> {
        if self.directory().user(user).is_none() {
            return Err(Refusal::unauthenticated());
        }
        match request {
            Request::MessagesGetHistory(call) => self.get_history(user, call).await.map(Some),
            Request::MessagesSendMessage(call) => self.send_message(user, call).await.map(Some),
            Request::MessagesForwardMessage(call) => self.forward_messages(user, call).await.map(|()| None),
            Request::MessagesSetMessagePin(call) => self.set_pin(user, call).await.map(|()| None),
            Request::MessagesGetPinnedMessages(call) => self.get_pinned(user, call).await.map(Some),
            Request::ChatsMarkChatRead(call) => self.mark_read(user, call).await.map(|()| None),
            Request::MessagesGetUnreadMentions(call) => self.get_unread_mentions(user, call).await.map(Some),
            Request::MessagesEditMessage(call) => self.edit_message(user, call).await.map(|()| None),
            Request::MessagesDeleteMessage(call) => self.delete_messages(user, call).await.map(|()| None),
            Request::ReactionsAddReaction(call) => self.add_reaction(user, call).await.map(|()| None),
            Request::ReactionsRemoveReaction(call) => self.remove_reaction(user, call).await.map(|()| None),
            Request::MessagesSearch(call) => self.search(user, call).await.map(Some),
            Request::AuthSignUp(_) => Err(Refusal::not_served("signing up")),
            Request::CoreInitialize(_) | Request::AuthAuthorize(_) | Request::AuthSignIn(_) => {
                Err(Refusal::invalid("this belongs to the handshake"))
            }
        }
    }

    /// What a user sees of a chat.
    pub(crate) async fn view(&self, directory: Arc<Directory>, chat: Chat, viewer: u64) -> Result<View> {
        let pins = self.pins.of(&self.channels, &self.settings.app, chat).await?;
        Ok(View { directory, epoch: self.epoch, chat, viewer, pins })
    }

    /// Where a chat's messages are kept, and the rights of somebody who may read them. What the user may do besides was
    /// decided by the directory.
    pub(crate) fn place(&self, view: &View) -> (Caller, Channel) {
        let name = view.directory.channel_name(view.chat);
        let rule = Rule { scope: Scope::Channel(name.clone()), rights: Rights::ALL };
        let mut access = Access::new([rule]);
        access.window = AccessWindow { since: Some(self.epoch.first()), ..AccessWindow::default() };
        let (app, user) = (self.settings.app.clone(), Some(ids::user_id(view.viewer)));
        (Caller { app: app.clone(), user, access: Arc::new(access) }, Channel { app, name })
    }

    /// A message of a chat, if there is one with this snowflake.
    pub(crate) async fn message(&self, view: &View, snowflake: u64) -> Result<Option<Arc<Message>>> {
        match self.epoch.exactly(snowflake) {
            Some(id) => self.message_at(view, id).await,
            None => Ok(None),
        }
    }

    /// A message of a chat, if there is one with this id.
    pub(crate) async fn message_at(&self, view: &View, id: Id) -> Result<Option<Arc<Message>>> {
        let (caller, channel) = self.place(view);
        let span = Span { after: id.previous(), upto: id };
        let query = Query::of(Reach::Span { span, order: Order::Ascending }, 1);
        let page = self.channels.history(&caller, &channel, &query).await?;
        Ok(page.page.messages.first().cloned())
    }

    /// The users who are connected, want updates, and may see a chat.
    pub(crate) fn audience(&self, directory: &Directory, chat: Chat) -> Vec<u64> {
        let may_see = |user: &u64| directory.may(*user, chat, Permissions::NONE);
        match chat {
            Chat::Direct(low, high) => {
                let mut sides = vec![low, high];
                sides.dedup();
                sides.retain(|user| self.seats.is_listening(*user) && directory.user(*user).is_some());
                sides
            }
            Chat::Channel { .. } | Chat::Group(_) => self.seats.listening().into_iter().filter(may_see).collect(),
        }
    }
}

/// One step of a change of the directory.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// Puts an entry in the place of what was there.
    Put(Entry),
    /// Takes one out.
    Remove(Key),
}

/// Puts what the configuration gives over what is kept. It is not kept itself: what the configuration no longer names
/// is gone, or again as it was kept.
fn furnish(directory: &mut Directory, settings: &Settings) -> Result<()> {
    for user in &settings.users {
        directory.put(Entry::User(configured(user)?));
    }
    for given in &settings.communities {
        let Community { id, owner, .. } = given.community;
        directory.put(Entry::Community(Community { configured: true, ..given.community.clone() }));
        let owner = std::iter::once((owner, Member::default()));
        // The owner first: what is said of it as a member counts.
        for (user, member) in owner.chain(given.members.clone()) {
            directory.put(Entry::Member(id, user, Member { configured: true, ..member }));
        }
    }
    for group in &settings.groups {
        directory.put(Entry::Group(Group { configured: true, ..group.clone() }));
    }
    let (app, most) = (&settings.app, limits::ALIASES);
    match directory.aliases().count() {
        0..=limits::ALIASES => Ok(()),
        found => Err(Error::invalid(format!("app {app}: {found} channels with an alias, at most {most} can be"))),
    }
}

fn configured(user: &ConfiguredUser) -> Result<User> {
    let password = user.password.as_ref().map(|password| Hashed::new(password.expose())).transpose()?;
    Ok(User {
        id: user.id,
        name: user.name.clone(),
        username: Some(user.name.to_lowercase()),
        bot: user.bot,
        email: user.email.as_ref().map(|email| email.to_lowercase()),
        password,
        generation: 0,
        configured: true,
    })
}
