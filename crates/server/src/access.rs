//! Keys of the configuration to rights of the service.

use crate::config::{App, Key, Right};
use dialect_native as native;
use service::{Access, AccessWindow, Rights, Rule, Scope};
use std::sync::Arc;

/// The apps as the native API takes them.
pub fn native_apps(apps: &[App]) -> Vec<native::App> {
    let app = |app: &App| native::App { name: app.name.clone(), keys: app.keys.iter().map(key).collect() };
    apps.iter().map(app).collect()
}

fn key(key: &Key) -> native::Key {
    native::Key { secret: key.secret.value.clone(), access: Arc::new(access(key)) }
}

fn access(key: &Key) -> Access {
    let rights = key.may.iter().fold(Rights::NONE, |rights, right| rights | rights_of(*right));
    let everywhere = [Scope::Everything];
    let scopes = if key.channels.is_empty() { &everywhere[..] } else { &key.channels };
    let mut access = Access::new(scopes.iter().map(|scope| Rule { scope: scope.clone(), rights }));
    access.window = AccessWindow { newest: key.newest, not_older_than: key.not_older_than, since: None };
    access
}

fn rights_of(right: Right) -> Rights {
    match right {
        Right::Read => Rights::READ | Rights::HISTORY | Rights::PRESENCE,
        Right::Write => Rights::WRITE,
        Right::Delete => Rights::DELETE,
        Right::Admin => Rights::ADMIN | Rights::MANAGE,
    }
}
