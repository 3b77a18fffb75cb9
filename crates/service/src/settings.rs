//! Every bound of the service, in one place. Those of the words themselves (names, payloads, batches) are in
//! `model::limits`.

use crate::Retention;
use model::AppId;
use std::{collections::BTreeMap, time::Duration};

/// The bounds that an operator may change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The number of this node below its ids: 0 on one machine.
    pub slot: u8,
    /// Publishes that may wait for the sequencer, being looked up or being committed; more are refused at once.
    pub queue_requests: usize,
    /// Bytes of what waits.
    pub queue_bytes: usize,
    /// Drafts in one call of `publish_all`.
    pub publish_drafts: usize,
    /// Bytes in the payload of a signal.
    pub signal_bytes: usize,
    /// The longest time to live that a publisher may ask for.
    pub ttl: Duration,
    /// Channels, records and keys whose newest state the sequencer remembers: 40 bytes each.
    pub known_entries: usize,
    /// How far ahead of the last id ticks are reserved (`store.md` §3).
    pub reserve_ahead: Duration,
    /// How long publishers wait for an unknown outcome to be settled before they are told that it is unknown.
    pub settle_wait: Duration,
    /// Bytes of the recent ring.
    pub ring_bytes: usize,
    /// Age of the oldest change in the recent ring.
    pub ring_age: Duration,
    /// Bytes of the hot pages.
    pub page_cache_bytes: usize,
    /// Messages in one page of history.
    pub page_messages: u32,
    /// Reads of the store that may block a thread at once.
    pub blocking_reads: usize,
    /// Reads that may wait for one of these; more are refused at once.
    pub waiting_reads: usize,
    /// Searches at once.
    pub searches: usize,
    /// Searches that may wait for one of these; more are refused at once.
    pub waiting_searches: usize,
    /// Messages in one answer to a search.
    pub search_messages: u32,
    /// Channels that one search may name.
    pub search_channels: usize,
    /// Candidates that one search reads before it answers with what it has.
    pub search_candidates: usize,
    /// Subscriptions at once.
    pub subscriptions: usize,
    /// Topics in one subscription.
    pub subscription_topics: usize,
    /// Changes that wait for one subscriber before it has to read the ring or the store.
    pub mailbox_changes: usize,
    /// Bytes of what waits for one subscriber.
    pub mailbox_bytes: usize,
    /// Changes in one delivery.
    pub delivery_changes: usize,
    /// Bytes in one delivery, before the change that crosses the bound.
    pub delivery_bytes: usize,
    /// Work on one delivery after which it is handed out, also if it is empty.
    pub delivery_work: Duration,
    /// How long a subscriber that was live may stay behind before it is cut off.
    pub behind: Duration,
    /// Channels that the groups of one subscription may hold together.
    pub subscription_channels: usize,
    /// Channels in one group.
    pub group_channels: usize,
    /// Channels in one call that reads or counts many.
    pub many_channels: usize,
    /// Reads at once for one such call.
    pub many_at_once: usize,
    /// How often the clock is looked at, which may jump, for what is to end at a time.
    pub look: Duration,
    /// Connections on channels, each counted once for every channel that it is on.
    pub presence_connections: usize,
    /// Bytes that presence may take, states included.
    pub presence_bytes: usize,
    /// Channels that one user may be on.
    pub presence_user_channels: usize,
    /// Channels in one call about presence.
    pub presence_channels: usize,
    /// Users that one call lists, over all its channels.
    pub presence_listed: usize,
    /// The longest time that a connection may be silent.
    pub presence_timeout: Duration,
    /// On channels with more users than this nobody is announced by name, only intervals.
    pub presence_announced_users: usize,
    /// How long an interval is.
    pub presence_interval: Duration,
    /// Users that an interval lists; if more came or went it lists none.
    pub presence_interval_users: usize,
    /// Presence events that may wait to be announced; what comes then waits for an interval.
    pub presence_waiting: usize,
    /// Channels that a subscription may have to merge to catch up.
    pub catch_up_channels: usize,
    /// Ids in one deletion.
    pub delete_ids: usize,
    /// Reactions in one answer.
    pub reactions: u32,
    /// What apps keep, unless it is changed at runtime; one that is not named keeps everything.
    pub retention: BTreeMap<AppId, Retention>,
    /// Channels of an app that may have a policy of their own.
    pub retention_rules: usize,
    /// Legal holds of an app.
    pub holds: usize,
    /// The pause between two rounds of maintenance.
    pub maintenance_every: Duration,
    /// Messages that expire in one round.
    pub expire_messages: u32,
    /// Channels whose floors are looked at in one round.
    pub floor_channels: u32,
    /// Grants that are looked at in one round: whether they are over.
    pub expired_grants: u32,
    /// Work on giving back bytes in one round.
    pub sweep_work: Duration,
    /// Channels, and pages of them, that erasures look through in one round.
    pub erase_steps: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            slot: 0,
            queue_requests: 16_384,
            queue_bytes: 64 << 20,
            publish_drafts: 10_000,
            signal_bytes: 32 << 10,
            ttl: Duration::from_secs(100 * 365 * 86_400),
            known_entries: 1 << 20,
            reserve_ahead: Duration::from_secs(2),
            settle_wait: Duration::from_secs(10),
            ring_bytes: 16 << 20,
            ring_age: Duration::from_secs(20 * 60),
            page_cache_bytes: 64 << 20,
            page_messages: 1_000,
            blocking_reads: 32,
            waiting_reads: 4_096,
            searches: 4,
            waiting_searches: 64,
            search_messages: 100,
            search_channels: 1_000,
            search_candidates: 2_000,
            subscriptions: 100_000,
            subscription_topics: 1_000,
            mailbox_changes: 1_024,
            mailbox_bytes: 4 << 20,
            delivery_changes: 500,
            delivery_bytes: 1 << 20,
            delivery_work: Duration::from_millis(10),
            behind: Duration::from_secs(60),
            catch_up_channels: 10_000,
            subscription_channels: 10_000,
            group_channels: 2_000,
            many_channels: 1_000,
            many_at_once: 8,
            look: Duration::from_secs(1),
            presence_connections: 500_000,
            presence_bytes: 256 << 20,
            presence_user_channels: 1_000,
            presence_channels: 1_000,
            presence_listed: 10_000,
            presence_timeout: Duration::from_secs(86_400),
            presence_announced_users: 100,
            presence_interval: Duration::from_secs(10),
            presence_interval_users: 1_000,
            presence_waiting: 10_000,
            delete_ids: 10_000,
            reactions: 10_000,
            retention: BTreeMap::new(),
            retention_rules: 10_000,
            holds: 1_000,
            maintenance_every: Duration::from_secs(1),
            expire_messages: 10_000,
            floor_channels: 1_000,
            expired_grants: 1_000,
            sweep_work: Duration::from_millis(50),
            erase_steps: 100,
        }
    }
}
