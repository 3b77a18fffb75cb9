//! Which channels a rule is about.

use crate::groups::Group;
use model::{ChannelName, Error, Result};
use regex::{Regex, RegexBuilder};
use std::{fmt, sync::Arc};

/// Bytes in the text of an expression.
const EXPRESSION_BYTES: usize = 1_024;
/// Bytes that a compiled expression and its cache may take, each.
const COMPILED_BYTES: usize = 256 << 10;

/// Some channels of an app, or a group of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// All channels, the directory's and direct chats too, and all groups.
    Everything,
    /// This one.
    Channel(ChannelName),
    /// Those with a name in the clear that begins so: `a.*` is the prefix `a.`; an empty one is all of those.
    Prefix(Arc<str>),
    /// Those with a name in the clear in which the expression is found.
    Expression(Expression),
    /// Direct chats of users whose names both begin so: those of one dialect's own users.
    Chats(Arc<str>),
    /// This group: what it holds is read through it, whatever the rights on the channels themselves.
    Group(Group),
}

/// A regular expression that is matched in linear time and takes a bounded space. Not anchored unless it says so.
#[derive(Clone)]
pub struct Expression(Arc<Regex>);

impl Expression {
    /// Compiles an expression of the RE2 kind: no look-around, no back-references.
    pub fn new(text: &str) -> Result<Expression> {
        if text.len() > EXPRESSION_BYTES {
            return Err(Error::invalid(format!(
                "pattern: it has {} bytes, the limit is {EXPRESSION_BYTES}",
                text.len()
            )));
        }
        let mut builder = RegexBuilder::new(text);
        builder.size_limit(COMPILED_BYTES).dfa_size_limit(COMPILED_BYTES).nest_limit(50);
        let compiled = builder.build();
        compiled.map(|regex| Expression(Arc::new(regex))).map_err(|error| {
            let reason = match error {
                regex::Error::CompiledTooBig(_) => "it takes too much space",
                _ => "it is not an expression of the linear kind",
            };
            Error::invalid(format!("pattern: {reason}")).with_source(error)
        })
    }

    /// Whether it is found in a text.
    pub fn is_found_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Expression {}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.0.as_str())
    }
}

impl Scope {
    /// Whether it is about this channel.
    pub fn covers(&self, channel: &ChannelName) -> bool {
        match self {
            Scope::Everything => true,
            Scope::Channel(name) => name == channel,
            Scope::Prefix(prefix) => channel.as_named().is_some_and(|text| text.starts_with(&**prefix)),
            Scope::Expression(expression) => channel.as_named().is_some_and(|text| expression.is_found_in(text)),
            Scope::Chats(prefix) => match channel {
                ChannelName::Direct(a, b) => a.starts_with(&**prefix) && b.starts_with(&**prefix),
                ChannelName::Named(_) | ChannelName::Member(..) => false,
            },
            Scope::Group(_) => false,
        }
    }

    /// Whether it is about every direct chat of a user with another one of the same dialect.
    pub fn covers_chats(&self, user: &str) -> bool {
        match self {
            Scope::Everything => true,
            Scope::Chats(prefix) => user.starts_with(&**prefix),
            Scope::Channel(_) | Scope::Prefix(_) | Scope::Expression(_) | Scope::Group(_) => false,
        }
    }

    /// Whether it is about every channel with a name in the clear that begins so. Of an expression that is not decided:
    /// no.
    pub fn covers_prefix(&self, asked: &str) -> bool {
        match self {
            Scope::Everything => true,
            Scope::Prefix(prefix) => asked.starts_with(&**prefix),
            Scope::Channel(_) | Scope::Expression(_) | Scope::Chats(_) | Scope::Group(_) => false,
        }
    }

    /// Whether there may be a channel that both are about; between expressions, and an expression and a prefix, this is
    /// not decided: yes.
    pub fn may_meet(&self, other: &Scope) -> bool {
        match (self, other) {
            (Scope::Group(a), Scope::Group(b)) => a == b,
            (Scope::Everything, _) | (_, Scope::Everything) => true,
            (Scope::Group(_), _) | (_, Scope::Group(_)) => false,
            (Scope::Channel(name), scope) | (scope, Scope::Channel(name)) => scope.covers(name),
            (Scope::Chats(a), Scope::Chats(b)) => a.starts_with(&**b) || b.starts_with(&**a),
            (Scope::Chats(_), _) | (_, Scope::Chats(_)) => false,
            (Scope::Prefix(a), Scope::Prefix(b)) => a.starts_with(&**b) || b.starts_with(&**a),
            (Scope::Expression(_), _) | (_, Scope::Expression(_)) => true,
        }
    }

    /// Whether it is about this group.
    pub fn covers_group(&self, asked: &Group) -> bool {
        match self {
            Scope::Everything => true,
            Scope::Group(group) => group == asked,
            Scope::Channel(_) | Scope::Prefix(_) | Scope::Expression(_) | Scope::Chats(_) => false,
        }
    }
}
