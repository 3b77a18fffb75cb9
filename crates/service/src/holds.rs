//! Legal holds: what lies under one is not removed, by nobody and by no policy, until it is released.

use crate::{
    Caller, Channels,
    codec::{self, Reader, Writer},
    policies::AppPolicies,
};
use bytes::Bytes;
use model::{
    AppId, Author, Channel, ChannelName, Effort, Error, ErrorKind, Id, Order, RecordKey, RecordKind, Result, Seq, Span,
    Store, UserId, Window,
};

/// Bytes in the name of a hold.
const NAME_BYTES: usize = 128;
/// Bytes in its reason.
const REASON_BYTES: usize = 4_096;
/// How scopes are written.
const CHANNEL: u8 = 1;
const AUTHOR: u8 = 2;

/// A legal hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    /// Its name in the app.
    pub name: String,
    /// What it holds.
    pub scope: HoldScope,
    /// Why: for the people who read it.
    pub reason: String,
}

/// What a hold holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HoldScope {
    /// Every message of a channel.
    Channel(ChannelName),
    /// Every message of an author, whether its name was proved or not.
    Author(UserId),
}

impl Hold {
    fn encode(&self) -> Bytes {
        let writer = match &self.scope {
            HoldScope::Channel(name) => Writer::new().byte(CHANNEL).bytes(&codec::name_bytes(name)),
            HoldScope::Author(user) => Writer::new().byte(AUTHOR).user(user),
        };
        writer.bytes(self.reason.as_bytes()).finish()
    }

    pub(crate) fn decode(name: String, value: &[u8]) -> Result<Hold> {
        let mut reader = Reader::new(value)?;
        let scope = match reader.byte()? {
            CHANNEL => HoldScope::Channel(codec::name_of(reader.bytes()?)?),
            AUTHOR => HoldScope::Author(reader.user()?),
            scope => return Err(Error::internal(format!("a hold of scope {scope}"))),
        };
        Ok(Hold { name, scope, reason: reader.text()?.to_owned() })
    }

    fn key(app: &AppId, name: &str) -> RecordKey {
        RecordKey { app: app.clone(), kind: RecordKind::Hold, name: name.as_bytes().into() }
    }
}

impl Channels {
    /// Places a hold. `Conflict` if there is one of this name. Needs [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn hold(&self, caller: &Caller, hold: Hold) -> Result<Id> {
        self.shared.admit_admin(caller)?;
        if hold.name.is_empty() || hold.name.len() > NAME_BYTES || hold.reason.len() > REASON_BYTES {
            let most = format!("hold: 1 to {NAME_BYTES} bytes of name, at most {REASON_BYTES} of reason");
            return Err(Error::invalid(most));
        }
        let most = self.shared.settings.holds;
        if self.shared.live.policies.of(&caller.app).holds.len() >= most {
            return Err(Error::new(ErrorKind::TooLarge, format!("hold: an app has at most {most}")));
        }
        self.know_app(&caller.app).await?;
        let placed = self.put_record(Hold::key(&caller.app, &hold.name), Some(hold.encode()), Some(Id::MIN)).await;
        placed.map_err(|error| match error.kind {
            ErrorKind::Conflict => Error::new(ErrorKind::Conflict, format!("hold {}: it exists", hold.name)),
            _ => error,
        })
    }

    /// Releases a hold. `NotFound` if there is none of this name. Needs [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn release(&self, caller: &Caller, name: &str) -> Result<Id> {
        self.shared.admit_admin(caller)?;
        if !self.shared.live.policies.of(&caller.app).holds.contains_key(name) {
            return Err(Error::new(ErrorKind::NotFound, "hold: there is none of this name"));
        }
        self.put_record(Hold::key(&caller.app, name), None, None).await
    }

    /// The holds of the caller's app, by name. Needs [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn holds(&self, caller: &Caller) -> Result<Vec<Hold>> {
        self.shared.admit_admin(caller)?;
        Ok(self.shared.live.policies.of(&caller.app).holds.values().cloned().collect())
    }
}

/// The first message of a span that is held, and the name of the hold. Blocks; a hold on an author has its messages
/// searched for.
pub(crate) fn first_held(
    store: &dyn Store,
    policies: &AppPolicies,
    channel: &Channel,
    span: Span,
) -> Result<Option<(String, Id)>> {
    let mut first: Option<(String, Id)> = None;
    for hold in policies.holds.values() {
        let found = match &hold.scope {
            HoldScope::Channel(name) if *name == channel.name => first_of(store, channel, span, None)?,
            HoldScope::Channel(_) => None,
            HoldScope::Author(user) => first_of(store, channel, span, Some(Author::person(user)))?,
        };
        if let Some(found) = found
            && first.as_ref().is_none_or(|(_, id)| found < *id)
        {
            first = Some((hold.name.clone(), found));
        }
    }
    Ok(first)
}

/// The first message of a span, of some authors. Blocks.
fn first_of(store: &dyn Store, channel: &Channel, mut span: Span, author: Option<Author>) -> Result<Option<Id>> {
    while !span.is_empty() {
        let window = Window {
            span,
            order: Order::Ascending,
            limit: 1,
            above: Seq::NONE,
            author: author.clone(),
            custom_type: None,
            now: Id::MIN,
        };
        let Some(page) = store.read(channel, &window, Effort::Disk)? else { return Ok(None) };
        match page.messages.first() {
            Some(message) => return Ok(Some(message.id)),
            None if page.more => span.after = page.covered.upto,
            None => return Ok(None),
        }
    }
    Ok(None)
}
