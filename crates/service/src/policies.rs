//! The policies of all apps in memory: what is kept how long, and what is held. Every read asks them, so the sequencer
//! changes them before a change of their records becomes visible; from then on nobody reads by the old ones.

use crate::{
    codec::{self, Reader},
    holds::{Hold, HoldScope},
    retention::Retention,
};
use arc_swap::ArcSwap;
use model::{
    AppId, Author, Change, Channel, ChannelName, Id, Record, RecordChange, RecordKey, RecordKind, Result, Store,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Where the node keeps records of its own: no app of a configuration has this name.
const NODE: &str = "_";
/// Records of the node that name the apps which have policies or erasures.
const APPS: &[u8] = b"app/";
/// The record of an app's policy; those of its channels follow behind a slash.
const RETENTION: &[u8] = b"retention";
/// Records that are read together.
const LISTED: u32 = 1_000;

/// The policies of all apps.
pub(crate) struct Policies {
    apps: ArcSwap<HashMap<AppId, Arc<AppPolicies>>>,
    configured: BTreeMap<AppId, Retention>,
}

/// The policies of one app.
#[derive(Clone, Default, Debug)]
pub(crate) struct AppPolicies {
    /// What the configuration says.
    pub configured: Retention,
    /// What was set for the app at runtime.
    pub app: Option<Retention>,
    /// What was set for channels.
    pub channels: BTreeMap<ChannelName, Retention>,
    /// Legal holds by name.
    pub holds: BTreeMap<String, Hold>,
}

impl Policies {
    /// What is configured and what was set at runtime. Blocks.
    pub fn load(store: &dyn Store, configured: BTreeMap<AppId, Retention>) -> Result<Policies> {
        let mut known: Vec<AppId> = configured.keys().cloned().collect();
        for record in all_records(store, &node(), RecordKind::Setting, APPS)? {
            known.extend(app_of(&record.key));
        }
        let mut apps = HashMap::new();
        for app in known {
            let policies =
                AppPolicies { configured: configured.get(&app).copied().unwrap_or_default(), ..Default::default() };
            let policies = apps.entry(app.clone()).or_insert_with(|| Arc::new(policies));
            let policies = Arc::make_mut(policies);
            for (kind, prefix) in [(RecordKind::Setting, RETENTION), (RecordKind::Hold, b"")] {
                for record in all_records(store, &app, kind, prefix)? {
                    policies.apply(&record.key, Some(&record.value))?;
                }
            }
        }
        Ok(Policies { apps: ArcSwap::from_pointee(apps), configured })
    }

    /// The policies of an app; those of one that nobody knows are empty.
    pub fn of(&self, app: &AppId) -> Arc<AppPolicies> {
        self.apps.load().get(app).cloned().unwrap_or_default()
    }

    /// What a channel keeps.
    pub fn retention(&self, channel: &Channel) -> Retention {
        self.apps.load().get(&channel.app).map_or(Retention::default(), |app| app.retention(&channel.name))
    }

    /// Whether the app is known after a restart.
    pub fn knows(&self, app: &AppId) -> bool {
        self.apps.load().contains_key(app)
    }

    /// The apps that are known.
    pub fn apps(&self) -> Vec<AppId> {
        let mut apps: Vec<AppId> = self.apps.load().keys().cloned().collect();
        apps.sort_unstable();
        apps
    }

    /// Takes in a change of a record, if it is one of a policy.
    pub fn take_in(&self, change: &Change) {
        let Change::Record(change) = change else { return };
        if !matches!(change.key.kind, RecordKind::Setting | RecordKind::Hold) {
            return;
        }
        match (change.key.app == node(), app_of(&change.key)) {
            (true, Some(app)) => self.change(app, |_| Ok(())),
            (true, None) => {}
            (false, _) => self.change(change.key.app.clone(), |policies| policies.take_in(change)),
        }
    }

    fn change(&self, app: AppId, change: impl FnOnce(&mut AppPolicies) -> Result<()>) {
        let mut apps = HashMap::clone(&self.apps.load());
        let policies = apps.entry(app.clone()).or_insert_with(|| {
            let configured = self.configured.get(&app).copied().unwrap_or_default();
            Arc::new(AppPolicies { configured, ..AppPolicies::default() })
        });
        if let Err(error) = change(Arc::make_mut(policies)) {
            // What is written here is read here; a record that is not understood changes nothing.
            tracing::error!(?error, %app, "a policy could not be read");
        }
        self.apps.store(Arc::new(apps));
    }
}

impl AppPolicies {
    /// What a channel keeps.
    pub fn retention(&self, channel: &ChannelName) -> Retention {
        self.channels.get(channel).copied().unwrap_or_else(|| self.app.unwrap_or(self.configured))
    }

    /// The position at or below which no channel keeps anything, by age: what the policy that keeps most leaves.
    pub fn kept_anywhere(&self, now_ticks: u64) -> Id {
        let of_app = self.app.unwrap_or(self.configured);
        let all = self.channels.values().chain([&of_app]);
        all.map(|retention| retention.visible(now_ticks).after).min().unwrap_or(Id::MIN)
    }

    /// Whether anything is not kept for ever.
    pub fn forgets(&self) -> bool {
        let forgets = |retention: &Retention| *retention != Retention::default();
        forgets(&self.app.unwrap_or(self.configured)) || self.channels.values().any(forgets)
    }

    /// The hold that covers everything in a channel, or everything of a person.
    pub fn hold_on(&self, channel: &ChannelName, person: &Author) -> Option<&Hold> {
        self.holds.values().find(|hold| match &hold.scope {
            HoldScope::Channel(held) => held == channel,
            HoldScope::Author(held) => person.is(held),
        })
    }

    /// Whether a hold covers everything in a channel.
    pub fn holds_channel(&self, channel: &ChannelName) -> bool {
        self.holds.values().any(|hold| matches!(&hold.scope, HoldScope::Channel(held) if held == channel))
    }

    fn take_in(&mut self, change: &RecordChange) -> Result<()> {
        self.apply(&change.key, change.value.as_deref())
    }

    fn apply(&mut self, key: &RecordKey, value: Option<&[u8]>) -> Result<()> {
        if key.kind == RecordKind::Hold {
            let name = String::from_utf8_lossy(&key.name).into_owned();
            match value {
                Some(value) => self.holds.insert(name.clone(), Hold::decode(name, value)?),
                None => self.holds.remove(&name),
            };
            return Ok(());
        }
        let Some(rest) = key.name.strip_prefix(RETENTION) else { return Ok(()) };
        let retention = value.map(Retention::decode).transpose()?;
        match rest.strip_prefix(b"/") {
            None if rest.is_empty() => self.app = retention,
            None => {}
            Some(name) => {
                let name = codec::name_of(name)?;
                match retention {
                    Some(retention) => self.channels.insert(name, retention),
                    None => self.channels.remove(&name),
                };
            }
        }
        Ok(())
    }
}

/// The app of the node's own records.
pub(crate) fn node() -> AppId {
    AppId::new(NODE).expect("the name is valid")
}

/// The record by which the node knows that an app has policies.
pub(crate) fn app_key(app: &AppId) -> RecordKey {
    let name = [APPS, app.as_str().as_bytes()].concat();
    RecordKey { app: node(), kind: RecordKind::Setting, name: name.into() }
}

/// The record of a policy.
pub(crate) fn retention_key(app: &AppId, channel: Option<&ChannelName>) -> RecordKey {
    let name = match channel {
        None => RETENTION.to_vec(),
        Some(name) => [RETENTION, b"/", &codec::name_bytes(name)].concat(),
    };
    RecordKey { app: app.clone(), kind: RecordKind::Setting, name: name.into() }
}

fn app_of(key: &RecordKey) -> Option<AppId> {
    let name = std::str::from_utf8(key.name.strip_prefix(APPS)?).ok()?;
    AppId::new(name).ok()
}

/// All records of a kind whose names begin so. Blocks.
pub(crate) fn all_records(store: &dyn Store, app: &AppId, kind: RecordKind, prefix: &[u8]) -> Result<Vec<Record>> {
    let mut all: Vec<Record> = Vec::new();
    loop {
        let after = all.last().map(|record| record.key.name.clone());
        let listed = store.records(app, kind, prefix, after.as_deref(), LISTED)?;
        let complete = listed.len() < LISTED as usize;
        all.extend(listed);
        if complete {
            return Ok(all);
        }
    }
}

impl Retention {
    fn decode(value: &[u8]) -> Result<Retention> {
        let mut reader = Reader::new(value)?;
        let age = reader.maybe()?.map(std::time::Duration::from_millis);
        Ok(Retention { age, messages: reader.maybe()? })
    }
}
