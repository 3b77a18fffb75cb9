//! The Agora RTM 1.x dialect. So far the tokens (`protocols/agora-rtm.md` §7); the calls follow.

pub mod token;
