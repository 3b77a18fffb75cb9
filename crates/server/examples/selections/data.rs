//! What is asked about: messages in four quarters, and what becomes of them.

use anyhow::Result;
use model::{AppId, Batch, Channel, ChannelName, Id, Message, Origin, Span, Store, TICKS_PER_SECOND, UserId};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{collections::HashMap, sync::Arc};
use testkit::{BatchBuilder, FIRST_TICK, Fields, app as test_app, removal_of};

const BATCH: u64 = 256;
/// Channels whose removals come in one batch.
const CHANNELS_AT_ONCE: usize = 64;
const PAYLOAD_BYTES: usize = 180;
const PAYLOADS: usize = 1_024;
const CHANNELS: u64 = 1_000;
const USERS: u64 = 10_000;
/// Ticks of a day.
pub const DAY: u64 = 86_400 * TICKS_PER_SECOND;
/// The messages lie so many days wide.
pub const DAYS: u64 = 60;

/// Has a quarter of the messages, over all the numbered channels.
pub const AUTHOR: &str = "carl";
/// Another quarter goes to this user, from all the numbered users;
pub const RECIPIENT: &str = "dora";
/// the next from this user,
pub const FROM: &str = "ann";
/// to this one;
pub const TO: &str = "bob";
/// and the last is in this channel, by all the numbered users.
pub const CHANNEL: &str = "room";
/// What the names of users begin with where they are sent to, as the Agora dialect writes them.
pub const CHATS: &str = "agora/";

/// Messages on their way.
pub struct Data {
    builder: BatchBuilder,
    payloads: Vec<String>,
    messages: u64,
    /// Messages that are to be deleted or to expire, by channel.
    doomed: HashMap<Channel, [Vec<Arc<Message>>; 2]>,
}

/// The app that everything is of.
pub fn app() -> AppId {
    test_app()
}

/// Thirty days in the middle.
pub fn month() -> Span {
    let day = |n: u64| Id::new(FIRST_TICK + n * DAY, 0);
    Span { after: day(15), upto: day(45) }
}

impl Data {
    pub fn new(messages: u64) -> Data {
        let mut random = StdRng::seed_from_u64(1);
        let letters = |_| (0..PAYLOAD_BYTES).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect();
        let payloads = (0..PAYLOADS).map(letters).collect();
        Data { builder: BatchBuilder::new(), payloads, messages, doomed: HashMap::new() }
    }

    /// All publishes, in batches.
    pub fn each_batch(&mut self, mut apply: impl FnMut(Batch) -> Result<()>) -> Result<()> {
        for n in 0..self.messages {
            self.publish(n)?;
            if n % BATCH == BATCH - 1 || n + 1 == self.messages {
                apply(self.builder.batch())?;
            }
        }
        Ok(())
    }

    /// Deletes a twentieth of the messages of a filled store and expires another.
    pub fn removals(store: &dyn Store, messages: u64) -> Result<()> {
        let mut data = Data::new(messages);
        data.each_batch(|_| Ok(()))?;
        data.builder.pass_ticks(DAY);
        for (at, (channel, [deleted, expired])) in std::mem::take(&mut data.doomed).into_iter().enumerate() {
            if !deleted.is_empty() {
                data.builder.delete(&channel, removal_of(&deleted));
            }
            if !expired.is_empty() {
                data.builder.expire(&channel, removal_of(&expired));
            }
            if at % CHANNELS_AT_ONCE == 0 {
                store.apply(&data.builder.batch()).map_err(|error| anyhow::anyhow!("{error}"))?;
            }
        }
        store.apply(&data.builder.batch()).map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(())
    }

    fn publish(&mut self, n: u64) -> Result<()> {
        let step = DAYS * DAY / self.messages;
        self.builder.pass_ticks(step.saturating_sub(1));
        let named = |name: String| ChannelName::named(&name);
        let someone = format!("user {}", n / 4 % USERS);
        let chat = |user: &str| format!("{CHATS}{user}");
        let (name, author, recipient) = match n % 4 {
            0 => (named(format!("channel {}", n / 4 % CHANNELS))?, AUTHOR.to_owned(), None),
            1 => (ChannelName::direct(&chat(&someone), &chat(RECIPIENT)), chat(&someone), Some(chat(RECIPIENT))),
            2 => (ChannelName::direct(&chat(FROM), &chat(TO)), chat(FROM), Some(chat(TO))),
            _ => (named(CHANNEL.into())?, someone, None),
        };
        let channel = Channel { app: app(), name };
        let expires = n / 4 % 20 == 13;
        let fields = Fields {
            author: Some(UserId::new(Origin::Agora, &author, true)?),
            recipient: recipient.map(|name| UserId::new(Origin::Agora, &name, true)).transpose()?,
            expires_at: expires.then(|| Id::new(self.builder.next_id().ticks() + TICKS_PER_SECOND, 0)),
            ..Fields::default()
        };
        let payload = self.payloads[n as usize % PAYLOADS].clone();
        let message = self.builder.publish_with(&channel, &payload, fields);
        if expires || n / 4 % 20 == 7 {
            self.doomed.entry(channel).or_default()[usize::from(expires)].push(message);
        }
        Ok(())
    }
}
