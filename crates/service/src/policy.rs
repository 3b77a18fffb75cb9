//! Rules in a language of a dialect's own: asked once for each name, and remembered.

use crate::{Group, Rights};
use foldhash::fast::RandomState;
use model::ChannelName;
use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex},
};

/// Names whose rights are remembered for one caller; when they are more, all are asked for again.
const REMEMBERED: usize = 1_024;

/// What a dialect's own rules give. The answers must not change: who changes rules makes a new [`crate::Access`].
pub trait Policy: Send + Sync + fmt::Debug + 'static {
    /// The rights on a channel.
    fn channel(&self, name: &ChannelName) -> Rights;

    /// The rights on every channel with a name in the clear that begins so.
    fn prefix(&self, _prefix: &str) -> Rights {
        Rights::NONE
    }

    /// The rights on a group.
    fn group(&self, _group: &Group) -> Rights {
        Rights::NONE
    }
}

/// A policy and what it said.
#[derive(Clone)]
pub(crate) struct Remembered {
    policy: Arc<dyn Policy>,
    said: Arc<Mutex<Said>>,
}

#[derive(Default)]
struct Said {
    channels: HashMap<ChannelName, Rights, RandomState>,
    prefixes: HashMap<Arc<str>, Rights, RandomState>,
    groups: HashMap<Group, Rights, RandomState>,
}

impl Remembered {
    pub fn new(policy: Arc<dyn Policy>) -> Remembered {
        Remembered { policy, said: Arc::default() }
    }

    pub fn channel(&self, name: &ChannelName) -> Rights {
        self.ask(|said| &mut said.channels, name.clone(), |policy, name| policy.channel(name))
    }

    pub fn prefix(&self, prefix: &str) -> Rights {
        self.ask(|said| &mut said.prefixes, Arc::from(prefix), |policy, prefix: &Arc<str>| policy.prefix(prefix))
    }

    pub fn group(&self, group: &Group) -> Rights {
        self.ask(|said| &mut said.groups, group.clone(), |policy, group| policy.group(group))
    }

    /// The policy is asked outside of the lock: it may take its time.
    fn ask<K: Eq + Hash>(
        &self,
        part: impl Fn(&mut Said) -> &mut HashMap<K, Rights, RandomState>,
        key: K,
        ask: impl FnOnce(&dyn Policy, &K) -> Rights,
    ) -> Rights {
        let said = || self.said.lock().expect("no panic happens under this lock");
        if let Some(rights) = part(&mut said()).get(&key) {
            return *rights;
        }
        let rights = ask(&*self.policy, &key);
        let mut said = said();
        let remembered = part(&mut said);
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(key, rights);
        rights
    }
}

impl PartialEq for Remembered {
    fn eq(&self, other: &Remembered) -> bool {
        Arc::ptr_eq(&self.policy, &other.policy)
    }
}

impl Eq for Remembered {}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.policy.fmt(f)
    }
}
