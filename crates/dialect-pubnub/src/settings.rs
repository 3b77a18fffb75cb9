//! The keysets, and what an operator may change of each.

use edge::Secret;
use model::AppId;
use service::Scope;
use std::time::Duration;

/// The keys by which one app is reached, and what may be done through them.
#[derive(Clone, Debug)]
pub struct Keyset {
    /// The tenant behind the keys.
    pub app: AppId,
    /// Who may publish.
    pub publish_key: String,
    /// Names the keyset.
    pub subscribe_key: String,
    /// Signs and grants; without one nobody is an administrator.
    pub secret_key: Option<Secret>,
    /// Whether rights are asked for at all (§11).
    pub access_manager: bool,
    /// Whether messages may be deleted from history (§7.5).
    pub delete_from_history: bool,
    /// The channels that this dialect sees.
    pub scopes: Vec<Scope>,
    /// How long the app keeps messages; without a bound, a publisher's `ttl` means nothing (§4.2).
    pub retention: Option<Duration>,
    /// How long the body of a request may take.
    pub body_time: Duration,
    /// The bounds of its calls.
    pub settings: Settings,
}

/// The bounds of a keyset's calls. The defaults are the vendor's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How long a subscribe without news is held (`protocols/pubnub.md` §5.3); clients give up after 310 s.
    pub hold: Duration,
    /// Messages in one answer of subscribe.
    pub subscribe_messages: usize,
    /// Messages in one answer of v2 history, and of a v3 fetch of one channel: what `count` and `max` may ask for.
    pub history_messages: u32,
    /// Messages per channel in a v3 fetch of several channels, and in one with actions: what `max` may ask for there.
    pub fetch_messages: u32,
    /// Messages per channel in one answer, whatever the two before say; what `limit` may ask for, a parameter of a v3 fetch
    /// that no client of the vendor sends. At most the service's page.
    pub page_messages: u32,
    /// Where message counts stop growing.
    pub counts_upto: u64,
    /// Bytes of messages in one answer of history.
    pub answer_bytes: usize,
    /// Channels that one call reads at the same time.
    pub concurrent_reads: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            hold: Duration::from_secs(275),
            subscribe_messages: 100,
            history_messages: 100,
            fetch_messages: 25,
            page_messages: 1_000,
            counts_upto: 10_000,
            answer_bytes: 32 << 20,
            concurrent_reads: 16,
        }
    }
}
